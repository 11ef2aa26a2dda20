"""What a joined controller is given: the loops that it commands, its file, where its Tasks are written."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nervure.core.error import EnvironmentMissing, UsageError

if TYPE_CHECKING:
    from nervure.act.seat import Asked, Loop

__all__ = ["loops_of", "model_of", "tracing"]


def loops_of(capabilities: Sequence[Mapping[str, Any]]) -> dict[str, Loop]:
    """Return where commands go, by the labels of fields, which are what controllers call them.

    Who has no label is left out, and that is said. Raises UsageError where nothing is left.
    """
    from nervure.act.seat import Loop

    found: dict[str, Loop] = {}
    unnamed = []
    for one in capabilities:
        for part in _fields(one.get("taskingParameters")):
            if isinstance(label := part.get("label"), str) and label:
                found[label] = Loop(int(one["@iot.id"]), str(part["name"]))
            else:
                unnamed.append(f"field {part['name']!r} of loop {one['@iot.id']} has no label")
    if not found:
        raise UsageError(
            unnamed[0] if unnamed else "no loop here has a field that could be set",
            where="$.taskingParameters",
            hint='give its field the name that controllers have for it: "label": "mid/phase"',
        )
    for text in unnamed:
        print(f"{text}: left out", file=sys.stderr, flush=True)
    return found


def _fields(parameters: Any) -> Iterator[Mapping[str, Any]]:
    """Yield the fields of a DataRecord that have a name; in SWE Common 3 they stand under ``fields``."""
    parts = parameters.get("field", parameters.get("fields")) if isinstance(parameters, Mapping) else None
    for one in parts if isinstance(parts, list) else ():
        if isinstance(one, Mapping) and isinstance(one.get("name"), str):
            inner = one.get("component")
            yield {**inner, **one} if isinstance(inner, Mapping) else one


def model_of(path: Path | None) -> bytes:
    """Return the file of a learned controller as it is; who signed it is looked at by who opens it."""
    if path is None:
        raise UsageError("learned needs its file", hint="--model signals.onnx")
    try:
        return path.read_bytes()
    except OSError as cause:
        raise EnvironmentMissing(
            f"the model cannot be read: {cause.strerror}",
            where=str(path),
            hint="--model names the signed ONNX file",
        ) from cause


def tracing(path: Path | None) -> Callable[[Asked], None]:
    """Return what writes each Task down, where that is wanted; a disk that fills up ends no controller."""
    if path is None:
        return lambda _: None
    try:
        path.open("a").close()
    except OSError as cause:
        raise EnvironmentMissing(
            f"the trace cannot be written: {cause.strerror}", where=str(path), hint="--trace FILE"
        ) from cause
    broken = False

    def tell(one: Asked) -> None:
        import msgspec

        nonlocal broken
        try:
            with path.open("ab") as file:
                file.write(msgspec.json.encode(one) + b"\n")
        except OSError as cause:
            if not broken:
                print(f"the trace cannot be written: {cause.strerror}", file=sys.stderr, flush=True)
            broken = True

    return tell
