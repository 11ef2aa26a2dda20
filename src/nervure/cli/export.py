"""``nervure export``: a model package, verified, and its card."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from cyclopts import Parameter

from nervure.cli.option import Change, File, Json, read
from nervure.cli.output import say, table, write_json
from nervure.core.error import EnvironmentMissing, NotFoundError
from nervure.core.problem import Classify, RemainingLife

if TYPE_CHECKING:
    from nervure.core.card import Card
    from nervure.core.settings import Settings
    from nervure.score.runner import Runner

__all__ = ["export", "models_folder", "newest", "open_package", "put", "write"]


def export(
    name: Annotated[str, Parameter(help="A package file, or a solution: then its newest package here.")],
    /,
    *,
    out: Annotated[Path | None, Parameter(help="Write the package to this file.")] = None,
    card: Annotated[Path | None, Parameter(help="Write its card to this file, as JSON.")] = None,
    settings: File = None,
    change: Change = (),
    json: Json = False,
) -> int:
    """Verify a model package and show its card; write either to a file.

    A package is one ONNX file that any ONNX runtime can run, with its card in the metadata and an
    Ed25519 signature at its end. One that is unsigned, changed, or signed by a key that is not
    trusted here is refused.
    """
    from nervure.trust.signature import trusted

    loaded, _ = read(settings, change)
    path = Path(name) if Path(name).suffix == ".onnx" else newest(loaded.folder, name)
    runner = open_package(path, loaded.folder)
    if out is not None:
        write(out, path.read_bytes())
    if card is not None:
        write(card, msgspec.json.format(msgspec.json.encode(runner.card), indent=2))
    if json:
        write_json({"file": str(path), "verified": True, "card": runner.card})
        return 0
    say(f"{path}: the signature holds ({len(trusted(loaded.folder))} keys are trusted)")
    _show(runner.card)
    for written in (out, card):
        if written is not None:
            say(f"wrote {written}")
    return 0


async def put(settings: Settings, name: str, package: bytes) -> None:
    """Put a package into the log, where the node finds it by its name."""
    from nervure.stream.log import Log

    log = await Log.connect(settings)
    try:
        await log.put_package(name, package)
    finally:
        await log.close()


def open_package(path: Path, keys: Path) -> Runner:
    """Verify and open a package; ``keys`` is the folder with the keys that are trusted."""
    from nervure.score.runner import Runner
    from nervure.trust.signature import trusted

    try:
        data = path.read_bytes()
    except OSError as cause:
        raise NotFoundError(
            f"cannot read {path}: {cause.strerror}", hint="nervure train writes packages"
        ) from cause
    return Runner(data, trusted(keys))


def models_folder(data: Path) -> Path:
    """Return where ``nervure train`` puts packages below the data folder."""
    return data / "models"


def newest(data: Path, solution: str, problem: str | None = None) -> Path:
    """Return the newest package of a solution, for one of its problems if that is named."""
    what, folder = "-".join((solution, *([problem] if problem else []))), models_folder(data)
    found = sorted(folder.glob(f"{what}-*.onnx"), key=lambda path: path.stat().st_mtime_ns)
    if not found:
        raise NotFoundError(f"there is no package of {what!r} in {folder}", hint=f"nervure train {solution}")
    return found[-1]


def write(path: Path, data: bytes) -> None:
    """Write a file whole."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    except OSError as cause:
        raise EnvironmentMissing(f"cannot write {path}: {cause.strerror}") from cause


def _asked(card: Card) -> list[tuple[str, Any]]:
    """Return what a card says of question, input and answer."""
    shown = f"{card.window} readings, channels {', '.join(one.signal for one in card.channels)}"
    levels = ", ".join(f"{one:g}" for one in card.quantiles)
    match card.problem:
        case RemainingLife():
            return [
                ("answers", card.problem.name),
                ("from", shown),
                ("to", f"{card.unit}, at most {card.problem.clip:g}, quantiles {levels}"),
                ("was shown", card.notes),
            ]
        case Classify():
            return [
                ("answers", card.problem.name),
                ("from", shown),
                ("to", f"probabilities of {', '.join(card.problem.classes)}"),
                ("was shown", card.notes),
            ]
    return [
        ("foresees", f"{card.problem.name} of {len(card.streams)} streams, {card.unit}"),
        ("from", shown),
        ("to", f"{card.horizon} steps, quantiles {levels}"),
        ("was shown", " to ".join(card.span)),
    ]


def _show(card: Card) -> None:
    rows: list[tuple[str, Any]] = [
        ("name", card.name),
        ("version", card.version),
        ("made", card.created),
        *_asked(card),
        ("model", f"{card.model}, {card.parameters:,} parameters"),
        ("training", f"{card.train_cpu_s:g} CPU seconds"),
        ("inference", f"{card.infer_ms:g} ms"),
        ("alarm limits", ", ".join(card.limits) or "none"),
    ]
    table(("card", ""), rows)
    if card.metrics:
        from nervure.cli.metric import show

        show(card.metrics, card.unit)
