"""One Thing of a running node: a monitor fitted to its history, and handed over to the node to watch it."""

from __future__ import annotations

import asyncio
import time as clock
from hashlib import sha256
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from nervure.cli.catalogue import catalogue
from nervure.cli.export import put
from nervure.cli.feed import Source, Stream, history
from nervure.cli.learnt import share_of, span_of
from nervure.core.alert import Severity
from nervure.core.error import DataError
from nervure.core.guard import Told
from nervure.core.instant import DAY_NS, SECOND_NS, iso
from nervure.core.settings import Settings
from nervure.core.slot import laid
from nervure.score.sentinel import Sentinel
from nervure.store.monitor import Posted
from nervure.trust.signature import SigningKey, trusted

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from nervure.learn.detect.block import Block

__all__ = ["MOST_ROWS", "Wish", "fits", "fitted", "hand_over", "take_back"]

Floats = NDArray[np.float64]
Longs = NDArray[np.int64]

MOST_ROWS = 50_000
_LEARN_ONCE = "40%"


class Wish(NamedTuple):
    """What was asked for, whatever the Thing."""

    learn: str | None
    per_day: float | None
    hold_ns: int
    gap_ns: int | None
    seed: int
    quick: bool
    once: bool
    severity: Severity | None


class _About(msgspec.Struct, frozen=True, kw_only=True):
    """From what a monitor learnt and what it promises, as the catalogue keeps it."""

    says: str
    promised: float
    hold_ns: int
    gap_ns: int
    every_s: float
    rows: int
    since: str
    until: str
    detectors: tuple[str, ...]
    found: dict[str, float]
    verdicts: int


def fits(view: dict[str, Any], source: Source, wish: Wish | None) -> bool:
    """Tell whether a monitor, as ``/api/monitors`` has it, is of this Thing as it is, and as wished."""
    about = view["about"]
    same = tuple(view["streams"]) == tuple(one.id for one in source.streams)
    if wish is None:
        return same
    same &= wish.per_day in (None, about["promised"]) and wish.gap_ns in (None, about["gap_ns"])
    same &= wish.severity in (None, view["severity"])
    return same and wish.hold_ns in (0, about["hold_ns"])


def fitted(
    settings: Settings,
    source: Source,
    how: tuple[Wish, Sequence[Told]],
    tell: Callable[[float, str], None],
) -> Posted:
    """Fit a monitor to the history of a Thing, but for what a person said was odd, and ship it.

    Raises ``DataError`` where there is too little, ``ModelError`` where no detector finds injected faults.
    """
    from nervure.learn.detect.monitor import fit_monitor
    from nervure.learn.detect.ship import ship
    from nervure.learn.detect.vigil import promise_for, without

    wish, told = how
    tell(0.0, f"{source.name}: reading its history")
    read = _read(settings, tuple(one.id for one in source.streams))
    some = sorted(set(read[0].tolist()))
    kept = tuple(source.streams[place] for place in some)
    place, time, value = np.searchsorted(some, read[0]), *read[1:]
    block = _block(source, kept, place, time, value)
    start, since = _split(block, wish)
    ways: dict[str, Any] = {"per_day": wish.per_day, "hold_ns": wish.hold_ns, "gap_ns": wish.gap_ns}
    promise = promise_for(block, int(DAY_NS // block.every_ns) + 1, **ways)
    learnt = without(block.part(start, since), told)
    monitor = fit_monitor(learnt, promise, seed=wish.seed, quick=wish.quick, tell=tell)
    package = ship(monitor, SigningKey.load_or_create(settings.folder))
    sentinel = Sentinel(package, trusted(settings.folder), thing=source.name)
    sentinel.warm(block.time[:since], block.value[:since])
    name = f"monitor-{source.id}-{sha256(package).hexdigest()[:16]}.onnx"
    asyncio.run(put(settings, name, package))
    return Posted(
        thing=source.id, version=sentinel.version, package=name,
        streams=tuple(one.id for one in source.streams), watched=tuple(one.id for one in kept),
        origin_ns=int(time[0]), severity=wish.severity or "minor",
        state=msgspec.msgpack.encode(sentinel.state()), fitted_ns=clock.time_ns(),
        about=_about(sentinel, learnt, len(source.streams) - len(kept), told),
    )  # fmt: skip


def hand_over(settings: Settings, posted: Posted) -> None:
    """Let the node watch a Thing by this monitor from now on."""
    from nervure.trust.console import CONSOLE

    with catalogue(settings) as kept:
        kept.post_monitor(posted, CONSOLE)


def take_back(settings: Settings, thing: int) -> None:
    """Let the node watch a Thing no more."""
    from nervure.trust.console import CONSOLE

    with catalogue(settings) as kept:
        kept.drop_monitor(thing, CONSOLE)


def _read(settings: Settings, streams: tuple[int, ...]) -> tuple[Longs, Longs, Floats]:
    """Return what was read of Datastreams, in order of time: their places, times and values."""
    parts = [history(settings, one, most=MOST_ROWS) for one in streams]
    place = np.repeat(np.arange(len(parts), dtype=np.int64), [len(time) for time, _ in parts])
    time, value = (np.concatenate([part[at] for part in parts]) for at in range(2))
    time = time.astype(np.int64)
    order = np.argsort(time, kind="stable")
    return place[order], time[order], value[order]


def _block(source: Source, kept: tuple[Stream, ...], place: Longs, time: Longs, value: Floats) -> Block:
    """Lay a history side by side on slots of its usual step, the newest ``MOST_ROWS`` of them."""
    from nervure.learn.detect.block import Block
    from nervure.learn.own.clock import median_step

    every = round(median_step(place, time))
    if not every:
        raise DataError(f"{len(time)} readings are too few to learn from", hint="wait until it has more")
    slot, table, _ = laid(place, time, value, len(kept), every_ns=every, origin_ns=int(time[0]))
    names = tuple(one.name for one in kept)
    whole = Block(name=source.name, channels=names, value=table, time=slot, every_ns=every)
    return whole.part(max(0, len(whole) - MOST_ROWS))


def _split(block: Block, wish: Wish) -> tuple[int, int]:
    """Return from which row to before which one a monitor learns: all but the slot that may still last."""
    span = None if wish.learn is None else span_of(wish.learn)
    if not wish.once and (wish.learn is None or span is not None):
        last = len(block) - 1
        first = 0 if span is None else int(np.searchsorted(block.time, int(block.time[-1]) - span))
        return min(first, last), last
    share = share_of(block, wish.learn or _LEARN_ONCE)
    return 0, int(len(block) * share)


def _about(sentinel: Sentinel, learnt: Block, silent: int, told: Sequence[Told]) -> dict[str, Any]:
    setup, rows = sentinel.setup, len(learnt)
    first, last = iso(int(learnt.time[0])), iso(int(learnt.time[-1]))
    found, names = setup.found, tuple(one.name for one in setup.senses)
    says = (
        f"{len(setup.streams)} Datastreams every {setup.every_ns / SECOND_NS:g} s;"
        f" learnt from {first} to {last}, {rows:,} rows, by {', '.join(names)},"
        f" which found {found['found']:.0%} of injected faults (chance {found['chance']:.0%}),"
        f" naming {found['named']:.0%} of them rightly; {setup.promised:.3g} alarms a day are promised"
    )
    says += f"; {silent} Datastreams have no numbers yet and are left out" if silent else ""
    says += f"; {len(told)} verdicts were heeded" if told else ""
    about = _About(
        says=says, promised=setup.promised, hold_ns=setup.span.hold_ns, gap_ns=setup.span.gap_ns,
        every_s=setup.every_ns / SECOND_NS, rows=rows, since=first, until=last, detectors=names,
        found=dict(found), verdicts=len(told),
    )  # fmt: skip
    plain: dict[str, Any] = msgspec.to_builtins(about)
    return plain
