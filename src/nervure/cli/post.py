"""One Thing under watch: its monitor fitted or found again, its sentinel, and what it makes of readings."""

from __future__ import annotations

import os
import re
import time as clock
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from nervure.cli.export import write
from nervure.cli.feed import Source, Stream, history
from nervure.cli.learnt import share_of, span_of
from nervure.core.error import DataError, EnvironmentMissing, ModelError
from nervure.core.instant import DAY_NS, SECOND_NS, iso
from nervure.core.settings import Settings
from nervure.core.slot import Slots, laid
from nervure.score.sentinel import Sentinel, Verdict
from nervure.trust.signature import SigningKey, trusted

if TYPE_CHECKING:
    from collections.abc import Callable

    from nervure.learn.detect.block import Block

__all__ = ["MOST_ROWS", "Post", "Wish", "file_of", "fitted", "resumed"]

Floats = NDArray[np.float64]
Longs = NDArray[np.int64]

MOST_ROWS = 50_000
_LEARN_ONCE = "40%"
_AHEAD_NS = 60 * SECOND_NS  # a stamp may be so far ahead of our clock


class Wish(NamedTuple):
    """What was asked for, whatever the Thing."""

    learn: str | None
    per_day: float | None
    hold_ns: int
    gap_ns: int | None
    seed: int
    quick: bool
    once: bool


class _Known(msgspec.Struct, frozen=True, kw_only=True):
    """What is kept beside a package: whose readings it was fitted to, and where its sentinel stood."""

    streams: tuple[int, ...]
    watched: tuple[int, ...]
    origin_ns: int
    sentinel: dict[str, Any]


class Post:
    """A sentinel at its Thing. ``told`` says in a sentence what it was taught."""

    def __init__(
        self, settings: Settings, source: Source, sentinel: Sentinel, known: _Known, path: Path
    ) -> None:
        self.source, self.sentinel, self.path, self.told = source, sentinel, path, ""
        self._settings, self._known = settings, known
        self._place = {stream: place for place, stream in enumerate(known.watched)}
        self._slots = self._fresh()

    @property
    def streams(self) -> tuple[int, ...]:
        """The Datastreams that are watched."""
        return self._known.watched

    def catch_up(self, *, live: bool) -> list[Verdict]:
        """Judge what the node has read since; if more is to come, the newest slot only when it is over."""
        every = self.sentinel.setup.every_ns
        read = _read(self._settings, self._known.watched, self.sentinel.last_ns + every // 2)
        return self.judge(*read, live=live)

    def judge(self, place: Longs, time: Longs, value: Floats, *, live: bool) -> list[Verdict]:
        """Judge readings of a history, as far as they are newer than what was judged before."""
        self._slots = self._fresh()
        known = time <= clock.time_ns() + max(_AHEAD_NS, self.sentinel.setup.every_ns)
        place, time, value = place[known], time[known], value[known]
        if not len(time):
            return []
        every, origin = self.sentinel.setup.every_ns, self._known.origin_ns
        slot, table, at = laid(place, time, value, len(self._place), every_ns=every, origin_ns=origin)
        new = slot > self.sentinel.last_ns
        over = new & (slot < slot[-1]) if live else new
        found = self.sentinel.take_all(slot[over], table[over])
        self._slots = self._fresh()
        for one in np.flatnonzero(at == len(slot) - 1).tolist() if live and new[-1] else []:
            found += self.hear(self._known.watched[place[one]], int(time[one]), float(value[one]))
        return found

    def hear(self, stream: int, time_ns: int, value: float) -> list[Verdict]:
        """Take a reading that came just now; one of a slot that was judged already is too late."""
        if time_ns > clock.time_ns() + max(_AHEAD_NS, self.sentinel.setup.every_ns):
            return []
        return self._take(self._slots.put(self._place[stream], time_ns, value, clock.monotonic()))

    def tick(self) -> list[Verdict]:
        """Judge the slot that nothing has come to for long enough."""
        return self._take(self._slots.tick(clock.monotonic()))

    def save(self) -> None:
        """Write down where the sentinel stands, whole or not at all."""
        known = msgspec.structs.replace(self._known, sentinel=self.sentinel.state())
        draft = self.path.with_name(f".{self.path.stem}.{os.getpid()}")
        try:
            draft.write_bytes(msgspec.msgpack.encode(known))
            draft.replace(_beside(self.path))
        except OSError as cause:
            raise EnvironmentMissing(f"cannot write {_beside(self.path)}: {cause.strerror}") from cause

    def _take(self, rows: list[tuple[int, Floats]]) -> list[Verdict]:
        return [self.sentinel.take(time, row) for time, row in rows]

    def _fresh(self) -> Slots:
        return Slots(
            len(self._place),
            every_ns=self.sentinel.setup.every_ns,
            origin_ns=self._known.origin_ns,
            done_ns=self.sentinel.last_ns,
        )


def file_of(folder: Path, project: str, source: Source) -> Path:
    """Return where the monitor of a Thing lies: by its name, and its key where that is no name of a file.

    >>> file_of(Path("data"), "Town", Source(id=3, name="via Po / 3", streams=())).as_posix()
    'data/monitors/town/via_Po_3-3.onnx'
    """
    name = re.sub(r"[^\w.-]+", "_", source.name).strip("._-")
    name = name if name == source.name else f"{name}-{source.id}".strip("-")
    place = re.sub(r"[^\w.-]+", "_", project.strip().casefold()).strip("._-") or "_"
    return folder / "monitors" / place / f"{name[:120]}.onnx"


def _beside(path: Path) -> Path:
    return path.with_suffix(".state")


def resumed(settings: Settings, source: Source, path: Path, wish: Wish) -> Post | None:
    """Return the post of an earlier run, None where there is none that still fits Thing and wish."""
    try:
        known = msgspec.msgpack.decode(_beside(path).read_bytes(), type=_Known)
        sentinel = Sentinel(path.read_bytes(), trusted(settings.folder), thing=source.name)
    except (OSError, msgspec.DecodeError, ModelError):
        return None
    setup = sentinel.setup
    same = known.streams == tuple(one.id for one in source.streams)
    same &= wish.per_day in (None, setup.promised) and wish.gap_ns in (None, setup.span.gap_ns)
    same &= wish.hold_ns in (0, setup.span.hold_ns)
    if not same or not sentinel.restore(known.sentinel):
        return None
    post = Post(settings, source, sentinel, known, path)
    post.told = f"goes on from {iso(sentinel.last_ns)}"
    return post


def fitted(
    settings: Settings, source: Source, path: Path, wish: Wish, tell: Callable[[float, str], None]
) -> tuple[Post, list[Verdict]]:
    """Fit a monitor to the history of a Thing, ship it, and judge what is newer than what was learnt.

    Raises ``DataError`` where there is too little, ``ModelError`` where no detector finds injected faults.
    """
    from nervure.learn.detect.monitor import fit_monitor
    from nervure.learn.detect.ship import ship
    from nervure.learn.detect.vigil import promise_for

    tell(0.0, f"{source.name}: reading its history")
    read = _read(settings, tuple(one.id for one in source.streams), None)
    some = sorted(set(read[0].tolist()))
    kept = tuple(source.streams[place] for place in some)
    place, time, value = np.searchsorted(some, read[0]), *read[1:]
    block = _block(source, kept, place, time, value)
    start, since = _split(block, wish)
    ways: dict[str, Any] = {"per_day": wish.per_day, "hold_ns": wish.hold_ns, "gap_ns": wish.gap_ns}
    promise = promise_for(block, int(DAY_NS // block.every_ns) + 1, **ways)
    monitor = fit_monitor(block.part(start, since), promise, seed=wish.seed, quick=wish.quick, tell=tell)
    package = ship(monitor, SigningKey.load_or_create(settings.folder))
    write(path, package)
    sentinel = Sentinel(package, trusted(settings.folder), thing=source.name)
    sentinel.warm(block.time[:since], block.value[:since])
    known = _Known(
        streams=tuple(one.id for one in source.streams), watched=tuple(one.id for one in kept),
        origin_ns=int(time[0]), sentinel={},
    )  # fmt: skip
    post = Post(settings, source, sentinel, known, path)
    post.told = _taught(sentinel, block, (start, since), len(source.streams) - len(kept))
    verdicts = post.judge(place, time, value, live=not wish.once)
    post.save()
    return post, verdicts


def _read(settings: Settings, streams: tuple[int, ...], since_ns: int | None) -> tuple[Longs, Longs, Floats]:
    """Return what was read of Datastreams, in order of time: their places, times and values."""
    parts = [history(settings, one, most=MOST_ROWS, since_ns=since_ns) for one in streams]
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
    """Return from which row to before which one a monitor learns: live, all but the slot that still lasts."""
    span = None if wish.learn is None else span_of(wish.learn)
    if not wish.once and (wish.learn is None or span is not None):
        last = len(block) - 1
        first = 0 if span is None else int(np.searchsorted(block.time, int(block.time[-1]) - span))
        return min(first, last), last
    share = share_of(block, wish.learn or _LEARN_ONCE)
    return 0, int(len(block) * share)


def _taught(sentinel: Sentinel, block: Block, rows: tuple[int, int], silent: int) -> str:
    setup, (start, since) = sentinel.setup, rows
    first, last = iso(int(block.time[start])), iso(int(block.time[since - 1]))
    found, names = setup.found, ", ".join(one.name for one in setup.senses)
    told = (
        f"{len(setup.streams)} Datastreams every {block.every_ns / SECOND_NS:g} s;"
        f" learnt from {first} to {last}, {since - start:,} rows, by {names},"
        f" which found {found['found']:.0%} of injected faults (chance {found['chance']:.0%}),"
        f" naming {found['named']:.0%} of them rightly; {setup.promised:.3g} alarms a day are promised"
    )
    return told + (f"; {silent} Datastreams have no numbers yet and are left out" if silent else "")
