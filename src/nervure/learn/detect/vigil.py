"""A record watched to its end: its beginning teaches, on the rest the promise is kept, and alarms say why."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from nervure.core.event import Event, Persistence
from nervure.core.evidence import Alarm
from nervure.core.guard import Told, watch
from nervure.core.instant import DAY_NS
from nervure.core.monitor import Reading, Setup, combine
from nervure.core.witness import BEFORE, LONGEST, Witness, alarm_of
from nervure.learn.detect.block import NORMAL, ODD, Block
from nervure.learn.detect.monitor import LEAST_ROWS, Monitor, fit_monitor
from nervure.learn.detect.trial import Promise

__all__ = ["Vigil", "keep", "promise_for", "promised", "watched", "without"]

Floats = NDArray[np.float64]
Longs = NDArray[np.int64]

_CHUNK = 20_000
_MOST_LEARNT = 50_000
_STEPS = 500  # readings in which one false alarm is promised where a day holds fewer
_GAP = 20  # readings below which alarms are one
_ACCEPT = 300  # readings after which what lasts is how things are now


class Vigil(msgspec.Struct, frozen=True, kw_only=True):
    """What came of watching a record.

    ``alarms`` in the order in which they rang; ``score [row]`` in decades and ``limit [row]`` from row
    ``since`` on; ``days`` is how long was watched, ``promised`` the alarms a day.
    """

    setup: Setup
    alarms: tuple[Alarm, ...]
    events: tuple[Event, ...]
    since: int
    days: float
    promised: float
    score: Floats
    limit: Floats


def promised(block: Block, rows: int) -> float:
    """Return the alarms a day that are promised where nobody says: one a day, 500 readings, or record.

    Whichever of day and record is shorter counts, and 500 readings where they last longer.
    """
    day = min(DAY_NS, max(rows, 1) * block.every_ns)
    return float(DAY_NS / max(_STEPS * block.every_ns, day))


def promise_for(
    block: Block, rows: int, *, per_day: float | None = None, hold_ns: int = 0, gap_ns: int | None = None
) -> Promise:
    """Return what is promised for a record of which ``rows`` are watched; what is ``None`` is usual."""
    rate = per_day if per_day is not None else promised(block, rows)
    gap = gap_ns if gap_ns is not None else int(min(_GAP * block.every_ns, 0.2 * DAY_NS / rate))
    return Promise(
        alarms_per_day=rate,
        span=Persistence(
            hold_ns=hold_ns, gap_ns=max(gap, block.every_ns), hole_ns=max(gap, 3 * block.every_ns)
        ),
        accept_ns=_ACCEPT * block.every_ns,
    )


def keep(
    block: Block,
    *,
    learn: float = 0.4,
    per_day: float | None = None,
    hold_ns: int = 0,
    gap_ns: int | None = None,
    seed: int = 0,
    quick: bool = False,
    told: Sequence[Told] = (),
    tell: Callable[[float, str], None] | None = None,
) -> Vigil:
    """Learn on the first ``learn`` of the rows and watch the rest.

    ``told`` is what a person said of alarms: rows of true ones and of planned work are not learnt from,
    and limits heed all of them.
    Raises what :func:`~nervure.learn.detect.monitor.fit_monitor` raises.
    """
    since = max(int(len(block) * learn), min(LEAST_ROWS, len(block) - 1))
    promise = promise_for(block, len(block) - since, per_day=per_day, hold_ns=hold_ns, gap_ns=gap_ns)
    normal = without(block.part(max(0, since - _MOST_LEARNT), since), told)
    monitor = fit_monitor(normal, promise, seed=seed, quick=quick, tell=tell)
    return watched(monitor, block, since, told)


def watched(monitor: Monitor, block: Block, since: int, told: Sequence[Told] = ()) -> Vigil:
    """Watch a record from row ``since`` on with a monitor that has been fitted."""
    setup, usual = monitor.setup, monitor.usual(block.time, block.value)
    score = np.concatenate(
        [
            combine(_read(monitor, block, usual, start, min(start + _CHUNK, len(block))).rarity)
            for start in range(since, len(block), _CHUNK)
        ]
        or [np.empty(0)]
    )
    found, limit = watch(setup.plan, block.time[since:], score[:, None], setup.span, told)
    alarms = tuple(_alarm(monitor, block, one, (since, limit, usual)) for one in found)
    return Vigil(
        setup=setup, alarms=alarms, events=tuple(found), since=since, promised=setup.promised,
        days=(len(block) - since) * block.every_ns / DAY_NS, score=score, limit=limit,
    )  # fmt: skip


def without(block: Block, told: Sequence[Told]) -> Block:
    """Return rows with what a person called odd labelled so, and nothing else: labels only measure."""
    label = np.full(len(block), NORMAL, dtype=np.int8)
    for one in told:
        if one.verdict != "false":
            label[(block.time >= one.start_ns) & (block.time <= one.end_ns)] = ODD
    return msgspec.structs.replace(block, label=label)


def _read(monitor: Monitor, block: Block, usual: Floats, start: int, stop: int) -> Reading:
    """Return what the detectors say of rows, with the rows before them as their past."""
    before = max(0, start - monitor.setup.window)
    rows = slice(before, stop)
    return monitor.read(block.value[rows], usual[rows]).take(slice(start - before, None))


def _alarm(monitor: Monitor, block: Block, event: Event, watched: tuple[int, Floats, Floats]) -> Alarm:
    """Look at the rows of an alarm and put it into words."""
    setup, (since, limits, usual) = monitor.setup, watched
    first = int(np.searchsorted(block.time, event.start_ns))
    last = int(np.searchsorted(block.time, event.end_ns, side="right"))
    last = min(max(last, first + 1), first + LONGEST)
    seen = Witness(
        value=block.value[first:last], reading=_read(monitor, block, usual, first, last),
        before=block.value[max(0, first - BEFORE) : first],
        limit=float(limits[min(first - since, len(limits) - 1)]),
    )  # fmt: skip
    return alarm_of(setup, block.name, event, seen)
