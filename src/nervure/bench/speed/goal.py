"""The goals of speed: what each bench's figures are held against."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import msgspec

from nervure.bench.speed.fault.title import TITLES
from nervure.bench.speed.row import Row

__all__ = ["GATES", "GOALS", "Goal", "Held", "failed", "held"]


class Goal(msgspec.Struct, frozen=True, kw_only=True):
    """A bound on a figure: its value, or with ``over`` its ratio to that subject's."""

    bench: str
    case: str
    subject: str
    metric: str
    bound: float
    way: Literal["at least", "at most"] = "at least"
    over: str | None = None
    stretch: float | None = None

    @property
    def words(self) -> str:
        """The goal as it stands in the report."""
        times = f" times {self.over}" if self.over else ""
        return f"{self.way} {self.bound:,g}{times}"


class Held(msgspec.Struct, frozen=True, kw_only=True):
    """A goal, what was found, and whether that is enough; ``None``: it was not measured."""

    goal: Goal
    found: float | None
    met: bool | None


def _most(case: str, metric: str, bound: float) -> Goal:
    return Goal(
        bench="faults", case=TITLES[case], subject="nervure", metric=metric, bound=bound, way="at most"
    )


_UNWATCHED = ("log", "table")  # a node for each trial: its memory is not watched
_NEVER = ("lost", "doubled", "altered", "alerts missing or twice")
_FAULTS = (
    *(_most(case, metric, 0) for case in TITLES for metric in _NEVER),
    *(_most(case, "s to recover, at most", 30) for case in TITLES),
    *(_most(case, "node MB at most", 512) for case in TITLES if case not in _UNWATCHED),
    *(_most(case, "Tasks missing or twice", 0) for case in ("node", "broker", "both")),
    *(_most(case, "others' p99 to decision, times before", 2) for case in ("thousand", "flood")),
    _most("flood", "flood messages neither stored nor counted", 0),
)

_RATE = "messages per CPU-s"
_CNN = "CNN at every message"
_FASTEST = "10,000 messages/s, interval 0 ms"
_NODE, _WEB, _PEER = "nervure", "node and log server", "FastAPI + pydantic + SQLite"

_STREAM = (
    Goal(bench="stream", case="no model", subject=_NODE, metric=_RATE, bound=150_000, stretch=350_000),
    Goal(bench="stream", case="no model", subject=_NODE, metric=_RATE, bound=2.5, over="bare paho"),
    Goal(bench="stream", case=_CNN, subject=_NODE, metric=_RATE, bound=2.0, over="bare paho"),
    Goal(bench="stream", case=_CNN, subject=_NODE, metric="share of the additive bound", bound=0.9),
    Goal(bench="stream", case="packs of 100", subject=_NODE, metric="points per CPU-s", bound=5e6),
    Goal(
        bench="stream", case="no model", subject="load generator", metric="share of the node's CPU",
        bound=0.15, way="at most",
    ),
)  # fmt: skip
_LATENCY = (
    Goal(bench="latency", case=_FASTEST, subject=_NODE, metric="p50 ms", bound=3, way="at most"),
    Goal(
        bench="latency", case=_FASTEST, subject=_NODE, metric="p99 above the floor, ms",
        bound=10, way="at most",
    ),
)  # fmt: skip
_HTTP = tuple(
    Goal(bench="http", case=case, subject=_WEB, metric=metric, bound=bound, over=over)
    for case, metric, bound, over in (
        ("single POST", "POST per server CPU-s", 3_000, None),
        ("single POST", "POST per server CPU-s", 3, _PEER),
        ("dataArray of 1,000", "observations per server CPU-s", 200_000, None),
        ("dataArray of 1,000", "observations per server CPU-s", 3, _PEER),
    )
)


def _store(rows: int, case: str, metric: str, bound: float, way: Literal["at least", "at most"]) -> Goal:
    return Goal(
        bench="store", case=f"{rows:,} rows: {case}", subject="nervure", metric=metric, bound=bound, way=way
    )


_TEN_MILLION = 10_000_000
_STORE = (
    _store(_TEN_MILLION, "write", "rows per CPU-s", 1e6, "at least"),
    _store(_TEN_MILLION, "write", "rows/s", 1e6, "at least"),
    _store(_TEN_MILLION, "compacted", "bytes a row", 2.0, "at most"),
    _store(_TEN_MILLION, "last value of each of 1,000 sensors, warm", "ms", 5.0, "at most"),
    _store(_TEN_MILLION, "24 h of one sensor, warm", "ms", 30.0, "at most"),
    _store(_TEN_MILLION, "15-min means of 100 sensors over 7 days, warm", "ms", 100.0, "at most"),
    _store(_TEN_MILLION, "from kill -9 to answers", "s", 30.0, "at most"),
    _store(_TEN_MILLION, "from kill -9 to answers, without its digest", "s", 30.0, "at most"),
)

_JOB = "1,000 sensors, windows of 64, a score at every message"
_ENGINES = tuple(
    Goal(bench="engines", case=_JOB, subject=_NODE, metric="events per CPU-s", bound=bound, over=over)
    for over, bound in (("Quix Streams", 5), ("PyFlink", 10), ("Spark", 10))
)

_TWO = ("2 workers", "2 workers, placed by Ray")
_PLANNED, _KILLED = "a worker is stopped", "a worker is killed"


def _leaving(case: str, subject: str, metric: str, bound: float) -> Goal:
    return Goal(bench="scale", case=case, subject=subject, metric=metric, bound=bound, way="at most")


_ONCE = ("readings scored by nobody", "readings scored twice")
_SCALE = (
    *(
        Goal(
            bench="scale", case=f"CNN of {channels} channels at every message", subject="2 workers",
            metric="messages/s until all are scored and sealed", bound=bound, over="no workers",
        )
        for channels, bound in ((64, 1.2), (256, 1.5))
    ),
    *(_leaving(_KILLED, subject, one, 0) for subject in _TWO for one in _ONCE),
    *(_leaving(_PLANNED, _TWO[0], one, 0) for one in _ONCE),
    _leaving(_PLANNED, _TWO[0], "s to the first decision of what it held", 2),
    *(_leaving(_KILLED, one, "s to the first decision of what it held", 10) for one in _TWO),
)  # fmt: skip

_WEIGHT = Goal(
    bench="console", case="first load, gzip", subject="console", metric="bytes without the map",
    bound=80_000, way="at most",
)  # fmt: skip
_CONSOLE = (
    _WEIGHT,
    Goal(
        bench="console", case="heat-map of 10,000 series", subject="console",
        metric="ms from the answer to the screen", bound=300, way="at most",
    ),
)  # fmt: skip

GOALS: tuple[Goal, ...] = (
    *_STREAM, *_LATENCY, *_STORE, *_HTTP, *_ENGINES, *_SCALE, *_FAULTS, *_CONSOLE,
)  # fmt: skip


def _quick(case: str, metric: str, bound: float, way: Literal["at least", "at most"], over: str) -> Goal:
    return msgspec.structs.replace(_store(200_000, case, metric, bound, way), over=over)


GATES: tuple[Goal, ...] = (
    Goal(bench="stream", case="no model", subject=_NODE, metric=_RATE, bound=0.5, over="bare paho"),
    _quick("write", "rows per CPU-s", 0.05, "at least", "DuckDB table"),
    _quick("write", "rows per CPU-s", 0.1, "at least", "plain Delta"),
    _quick("compacted", "bytes a row", 0.6, "at most", "plain Parquet"),
    _quick("last value of each of 1,000 sensors, warm", "CPU ms", 0.8, "at most", "DuckDB table"),
    _quick("24 h of one sensor, warm", "CPU ms", 8.0, "at most", "DuckDB table"),
    _quick("15-min means of 100 sensors over 7 days, warm", "CPU ms", 12.0, "at most", "DuckDB table"),
    _quick("table of 100 sensors for training, warm", "CPU ms", 15.0, "at most", "DuckDB table"),
    Goal(
        bench="engines", case=_JOB, subject=_NODE, metric="events per CPU-s", bound=0.08, over="Python loop"
    ),
    *(_leaving(_KILLED, _TWO[0], one, 0) for one in _ONCE),
    _WEIGHT,
)
"""What a quick run must hold, on whatever machine: ratios to peers, well below the goals; nothing lost."""


def held(rows: Iterable[Row], goals: Iterable[Goal] = GOALS) -> list[Held]:
    """Hold figures against the goals."""
    known = {(one.bench, one.case, one.subject, one.metric): one for one in rows}
    found = []
    for goal in goals:
        row = known.get((goal.bench, goal.case, goal.subject, goal.metric))
        value = None if row is None else row.ratio_to.get(goal.over) if goal.over else row.value
        found.append(Held(goal=goal, found=value, met=None if value is None else _met(goal, value)))
    return found


def _met(goal: Goal, value: float) -> bool:
    return value >= goal.bound if goal.way == "at least" else value <= goal.bound


def failed(rows: Iterable[Row]) -> list[str]:
    """Return the gates that figures of a quick run do not hold, in words."""
    found = list(rows)
    benches = {one.bench for one in found}
    return [
        f"{one.goal.case}: {one.goal.subject} has {one.found} {one.goal.metric}, not {one.goal.words}"
        for one in held(found, [gate for gate in GATES if gate.bench in benches])
        if not one.met
    ]
