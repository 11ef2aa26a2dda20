"""``nervure bench engines``: the job on every engine that can be had, in turns."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from nervure.bench.markdown import table
from nervure.bench.speed.engines.job import check, write
from nervure.bench.speed.engines.peer import ENGINES, OURS, PEERS, Engine, installed, prepare
from nervure.bench.speed.engines.seat import SENSORS, WARM_SENSORS, WARM_TURNS, WINDOW
from nervure.bench.speed.engines.turn import Turned, turn
from nervure.bench.speed.row import Row, Turns
from nervure.bench.speed.run import Tell, silent
from nervure.core.error import EnvironmentMissing, UsageError

__all__ = ["CASE", "chosen", "measure"]

CASE = f"{SENSORS:,} sensors, windows of {WINDOW}, a score at every message"
_METRICS = (
    "events per CPU-s",
    "events per CPU-s without the broker",
    "events/s",
    "s to start",
    "MB at the end",
)
_QUICK = (OURS, "Python loop", "ONNX Runtime alone", "Bytewax")


def chosen(only: Sequence[str] = (), *, quick: bool = False, cache: Path) -> list[Engine]:
    """Return the engines that are named, or all; a quick run takes what needs nothing to be installed.

    ``UsageError`` if a name is none of theirs; case does not matter.
    """
    names = {one.subject.casefold(): one for one in ENGINES}
    for name in only:
        if name.casefold() not in names:
            known = ", ".join(one.subject for one in ENGINES)
            raise UsageError(f"there is no engine {name!r}", hint=f"there are {known}")
    wanted = [names[name.casefold()] for name in only] or list(ENGINES)
    if quick and not only:
        wanted = [one for one in wanted if one.subject in _QUICK]
        wanted = [one for one in wanted if one.peer is None or installed(one.peer, cache)]
    return wanted


def measure(
    engines: Sequence[Engine],
    *,
    messages: int,
    turns: int,
    cache: Path,
    notes: list[str],
    progress: Tell = silent,
) -> list[Row]:
    """Run the job on each engine in turns and return the medians.

    What could not be had, and what each figure includes, is said in ``notes``. ``DataError`` if a score
    is wrong.
    """
    pythons = _pythons(engines, cache, notes, progress)
    found: dict[str, list[Turned]] = {one.subject: [] for one in engines if one.subject in pythons}
    with tempfile.TemporaryDirectory(prefix="nervure-job-") as name:
        job = Path(name)
        expected = write(job, messages)
        for number in range(turns):
            for place, one in enumerate(engines):
                if one.subject not in found:
                    continue
                done = (number + place / len(engines)) / turns
                progress(done, f"turn {number + 1} of {turns}: {one.subject}")
                try:
                    turned = turn(pythons[one.subject], one.program, one.variant, job, messages)
                except EnvironmentMissing as cause:
                    del found[one.subject]
                    notes.append(f"Left out: {one.subject}, {cause.what}.")
                    continue
                check(turned.scores, expected, one.subject)
                found[one.subject].append(turned)
    notes += _described([one for one in engines if one.subject in found], messages)
    return _rows(found, messages)


def _pythons(engines: Sequence[Engine], cache: Path, notes: list[str], tell: Tell) -> dict[str, Path]:
    """Return the Python of each engine whose environment is there or can be made."""
    pythons: dict[str, Path] = {}
    for one in engines:
        try:
            pythons[one.subject] = (
                Path(sys.executable) if one.peer is None else prepare(one.peer, cache, tell)
            )
        except EnvironmentMissing as cause:
            notes.append(f"Left out: {one.subject}, {cause.what}.")
    return pythons


def _rows(found: dict[str, list[Turned]], messages: int) -> list[Row]:
    rates = Turns("engines")
    others = Turns("engines")
    for subject, each in found.items():
        for one in each:
            engine_s = max(0.01, one.cpu_s - one.broker_cpu_s)  # the kernel counts hundredths
            rates.add(CASE, subject, _METRICS[0], messages / max(0.01, one.cpu_s))
            rates.add(CASE, subject, _METRICS[1], messages / engine_s)
            others.add(CASE, subject, _METRICS[2], messages / one.wall_s)
            others.add(CASE, subject, _METRICS[3], one.started_s)
            others.add(CASE, subject, _METRICS[4], one.memory_mb)
    peers = [name for name in found if not name.startswith(OURS)]
    beside = {name: peers for name in found if name.startswith(OURS)}
    ranked = {
        name: place for place, name in enumerate(("events per CPU-s", "events per CPU-s without the broker"))
    }
    rows = rates.rows(beside) + others.rows()
    return sorted(rows, key=lambda row: ranked.get(row.metric, len(ranked)))


def _described(engines: Sequence[Engine], messages: int) -> list[str]:
    """Return what is common to the figures, and what each includes."""
    head = ("subject", "package", "broker", "durable", "once after a crash", "how")
    lines = [
        (
            one.subject,
            PEERS[one.peer].pins[0] if one.peer else "",
            one.broker,
            one.durable,
            one.once,
            one.how,
        )
        for one in engines
    ]
    scored, warm = messages - (WINDOW - 1) * SENSORS, WARM_TURNS * WARM_SENSORS
    said = (
        f"{messages:,} messages of {SENSORS:,} sensors in turn; a window of {WINDOW} each, and from then on "
        f"the same small CNN at every message, all {scored:,} scores held against plain numpy. Processor "
        'time is that of all processes of a side, the broker among them, from "go" to the last score; '
        "starting, installing and sending the messages are not in it. PyFlink, Spark, Ray and Quix Streams "
        f"take {warm:,} messages of other sensors first. Who has no broker reads from memory or files."
    )
    return [said, table(head, lines, len(head))]
