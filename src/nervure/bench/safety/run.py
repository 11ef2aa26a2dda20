"""The protocol of safety, and its report: what was thrown at judge, guard and platform, what came of it."""

from __future__ import annotations

import asyncio
import math
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import msgspec

from nervure.bench.forecast.run import Task, work_through
from nervure.bench.safety.chaos import Chaos, play
from nervure.bench.safety.guarded import Guarded, try_guard
from nervure.bench.safety.hostile import KINDS
from nervure.bench.safety.judged import Judged, decisions_ms, try_kind
from nervure.bench.safety.late import Late
from nervure.bench.safety.plant import PLANTS
from nervure.bench.safety.street import SIDES, Street, Streets
from nervure.bench.safety.tardy import behind, streets
from nervure.bench.safety.verdict import unlike
from nervure.bench.safety.wire import delays_ms
from nervure.bench.speed.machine import machine
from nervure.core.error import DataError, EnvironmentMissing
from nervure.twin.scene import find_scene

__all__ = ["PARTS", "Delay", "Safety", "failed", "measure", "put"]

PARTS = ("judge", "guard", "decision", "wire", "chaos", "street", "late")
DECISION_MS, WIRE_MS = 5.0, 100.0
_PIECE = 50_000
Tell = Callable[[float, str], None]


class Delay(msgspec.Struct, frozen=True, kw_only=True):
    """Quantiles of a delay in milliseconds; ``lost`` never came."""

    count: int
    p50_ms: float
    p99_ms: float
    most_ms: float
    lost: int = 0


class Safety(msgspec.Struct, kw_only=True):
    """What a run found; parts that were not asked for are empty."""

    machine: dict[str, Any] = {}
    command: str = ""
    commands: dict[str, str] = {}
    """By which command each part was measured, and at which load of the machine."""
    seconds: float = 0.0
    judge: list[Judged] = []
    guard: list[Guarded] = []
    decision: Delay | None = None
    wire: Delay | None = None
    ways: dict[str, Delay] = {}
    """Where on the wire the time goes."""
    chaos: Chaos | None = None
    street: list[Street] = []
    late: list[Late] = []


def measure(
    *, parts: tuple[str, ...] = PARTS, commands: int, orders: int, wire: int, kills: int, hours: int = 10,
    seed: int = 0, workers: int = 1, tell: Tell,
) -> Safety:  # fmt: skip
    """Run the parts; ``commands`` are per kind of interlock, ``orders`` per plant, ``hours`` of each side."""
    begun, found = time.monotonic(), Safety(machine=machine())
    if "judge" in parts:
        found.judge = [_judged(kind, commands, seed, workers, tell) for kind in KINDS]
    if "guard" in parts:
        for plant in PLANTS:
            tell(len(found.guard) / len(PLANTS), f"guard: {plant.name}")
            found.guard.append(try_guard(plant, seed, orders))
    if "decision" in parts:
        found.decision = _delay(decisions_ms(max(1000, commands // 10), seed))
    if "wire" in parts:
        with tempfile.TemporaryDirectory(prefix="nervure-safety-") as folder:
            taken = asyncio.run(
                delays_ms(Path(folder), wire, 10.0, lambda share, text: tell(share, f"wire: {text}"))
            )
        found.wire = _delay(taken.whole)
        found.ways = {name: _delay(each) for name, each in taken.ways.items()}
    if "chaos" in parts:
        with tempfile.TemporaryDirectory(prefix="nervure-safety-") as folder:
            found.chaos = asyncio.run(
                play(Path(folder), kills, seed, lambda share, text: tell(share, f"chaos: {text}"))
            )
    if "street" in parts:
        found.street = _street(hours, seed, workers, tell)
    if "late" in parts:
        found.late = streets(hours, seed, workers, tell)
    found.seconds = round(time.monotonic() - begun, 1)
    return found


def _judged(kind: str, commands: int, seed: int, workers: int, tell: Tell) -> Judged:
    """Try one kind, in pieces of seeds of their own."""
    tell(list(KINDS).index(kind) / len(KINDS), f"judge: {kind}")
    pieces = [min(_PIECE, commands - start) for start in range(0, commands, _PIECE)]
    seeds = [seed * 100_000 + number for number in range(len(pieces))]
    if workers > 1:
        with ProcessPoolExecutor(workers) as pool:
            parts = list(pool.map(try_kind, [kind] * len(pieces), seeds, pieces))
    else:
        parts = [try_kind(kind, one, piece) for one, piece in zip(seeds, pieces, strict=True)]
    whole = Judged(kind=kind)
    for part in parts:
        for name in ("commands", "passed", "unsafe", "violations", "needless"):
            setattr(whole, name, getattr(whole, name) + getattr(part, name))
        whole.first = whole.first or part.first
    return whole


def _street(hours: int, seed: int, workers: int, tell: Tell) -> list[Street]:
    """Run an hour of every side for so many seeds, each seed in a process of its own."""
    with tempfile.TemporaryDirectory(prefix="nervure-street-") as place:
        folder = Path(place)
        tasks = [
            Task(
                label=f"an hour of {net}, seed {one}",
                request={"out": str(path), "net": net, "sides": sides, "seeds": [one], "minutes": 60.0},
                path=path, limit_s=1800.0, module="nervure.bench.safety.street",
            )
            for net, sides in SIDES.items()
            if _there(net, tell)
            for one in range(201 + 1000 * seed, 201 + 1000 * seed + hours)
            for path in [folder / f"{net.replace('/', '-')}-{one}.json"]
        ]  # fmt: skip
        for done in work_through(tasks, folder / "log", jobs=workers, tell=tell):
            if done.error:
                raise DataError(f"an hour of a street failed: {done.error}", where=done.task.label)
        read = [msgspec.json.decode(one.path.read_bytes(), type=Streets) for one in tasks]
        return [run for one in read for run in one.runs]


def _there(net: str, tell: Tell) -> bool:
    """Tell whether a net is on this machine: RESCO's come with a package that not everybody installs."""
    try:
        find_scene(net)
    except EnvironmentMissing as cause:
        tell(0.0, f"{net} is left out: {cause}")
        return False
    return True


def _delay(taken: list[float]) -> Delay:
    came = sorted(one for one in taken if math.isfinite(one))
    if not came:
        return Delay(count=len(taken), p50_ms=0.0, p99_ms=0.0, most_ms=0.0, lost=len(taken))
    return Delay(
        count=len(taken),
        p50_ms=round(came[len(came) // 2], 3),
        p99_ms=round(came[min(len(came) - 1, int(len(came) * 0.99))], 3),
        most_ms=round(came[-1], 3),
        lost=len(taken) - len(came),
    )


def failed(found: Safety) -> list[str]:
    """Return what did not hold."""
    wrong = [
        f"{one.kind}: {one.violations} unsafe commands let pass: {one.first}"
        for one in found.judge
        if one.violations
    ]
    wrong += [
        f"{one.kind}: {one.needless} safe commands refused: {one.first}"
        for one in found.judge
        if one.needless
    ]
    wrong += ["\n".join((f"{one.plant}: {one.wrong}", *one.tale)) for one in found.guard if one.wrong]
    if found.decision is not None and found.decision.p99_ms > DECISION_MS:
        wrong.append(f"a decision takes {found.decision.p99_ms} ms at p99, {DECISION_MS} are allowed")
    if found.wire is not None and (found.wire.p99_ms > WIRE_MS or found.wire.lost):
        wrong.append(
            f"sensor to command: {found.wire.p99_ms} ms at p99, {found.wire.lost} lost; {WIRE_MS} are allowed"
        )
    chaos = found.chaos
    if chaos is not None:
        counts = {name: getattr(chaos, name) for name in ("late", "unsafe", "not_in_log", "broken")}
        wrong += [f"chaos: {name} {count}: {chaos.first}" for name, count in counts.items() if count]
    return wrong + unlike(found.street) + behind(found.late)


def put(found: Safety, folder: Path) -> list[Path]:
    """Put a run into the report; parts that it does not have stay as they are there."""
    from nervure.bench.safety.page import page

    file, text = folder / "safety.json", folder / "safety.md"
    whole = msgspec.json.decode(file.read_bytes(), type=Safety) if file.exists() else Safety()
    if found.ways:
        whole.ways = found.ways
    for name in PARTS:
        if getattr(found, name):
            setattr(whole, name, getattr(found, name))
            load = found.machine.get("load", [0.0])[0]
            whole.commands = whole.commands | {name: f"{found.command}, load {load}"}
    whole.machine, whole.command = found.machine, found.command or whole.command
    whole.seconds = found.seconds
    folder.mkdir(parents=True, exist_ok=True)
    file.write_bytes(msgspec.json.format(msgspec.json.encode(whole), indent=1) + b"\n")
    text.write_text(page(whole), "utf-8")
    return [file, text]
