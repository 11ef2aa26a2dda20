"""Detectors tried on injected faults at the limit that keeps a promise, and the best of them taken."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from nervure.core.error import DataError, ModelError
from nervure.core.event import Persistence
from nervure.core.guard import Plan, plan_for
from nervure.core.monitor import Sense, combine, guilt
from nervure.core.tail import tail_of
from nervure.learn.detect.block import Block
from nervure.learn.detect.inject import Injected, inject
from nervure.learn.detect.windowed import Windowed

__all__ = ["Chosen", "Promise", "Stretches", "choose"]

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

_TRIALS = 160  # faults to inject, about
_COPIES = 8
_LENGTHS = (12, 48)
_SIZES = (
    (3.0, 6.0),
    (8.0, 16.0),
    (20.0, 40.0),
    (60.0, 120.0),
)  # of injected faults, in deviations of their channel
_MOST_ROWS = 20_000  # rows of a calibration that faults are put into
_SHORT = 600  # rows of a calibration below which faults are short
_AFTER = 4  # rows after a fault in which it may still ring
_BETTER = 0.01  # what another detector has to add
_MOST = 3  # detectors of a monitor


class Promise(msgspec.Struct, frozen=True, kw_only=True):
    """How often a monitor may ring: alarms a day, and when alarms are one (see ``Persistence``).

    After ``accept_ns`` an alarm that is still open is how things are now (0: never).
    """

    alarms_per_day: float
    span: Persistence
    accept_ns: int = 0


class Stretches(msgspec.Struct, frozen=True, kw_only=True):
    """Which rows teach and which calibrate, from first to before last, and which are ``odd [row]``."""

    teach: tuple[tuple[int, int], ...]
    calibrate: tuple[tuple[int, int], ...]
    odd: Flags | None = None


class Chosen(NamedTuple):
    """The detectors of a monitor, what was learnt of their scores, and how well they did."""

    detectors: tuple[Windowed, ...]
    senses: tuple[Sense, ...]
    plan: Plan
    found: dict[str, float]


class _Copy(NamedTuple):
    """A stretch with faults in it: where it begins, its place among the calibration rows, and what it is."""

    start: int
    place: int
    injected: Injected


class _Trial(NamedTuple):
    """One detector: rarities of the calibration rows, NaN where odd, and of each copy, with its parts."""

    detector: Windowed
    sense: Sense
    normal: Floats
    copies: list[Floats]
    parts: list[Floats]


class _Choice(NamedTuple):
    merit: float
    plan: Plan
    found: dict[str, float]


class _Ground(NamedTuple):
    """What detectors are tried on."""

    flat: Block
    parts: Stretches
    copies: list[_Copy]
    promise: Promise


def choose(
    detectors: Sequence[Windowed],
    flat: Block,
    parts: Stretches,
    faults: tuple[Floats, int],
    promise: Promise,
) -> Chosen:
    """Choose by faults of the usual sizes; where normal is too wild for those to be told, by larger ones.

    ``faults`` are the deviation of each channel and the seed. Raises ``ModelError`` where no detector finds
    more of them than chance does.
    """
    for last, sizes in enumerate(_SIZES):
        ground = _Ground(flat, parts, _copies(flat, parts, faults, sizes), promise)
        trials = [_tried(one, ground) for one in detectors]
        try:
            best, choice = _best(trials, ground)
        except ModelError:
            if last == len(_SIZES) - 1:
                raise
        else:
            found = choice.found | {"size": sizes[-1]}
            return Chosen(
                tuple(one.detector for one in best), tuple(one.sense for one in best), choice.plan, found
            )
    raise AssertionError("there are sizes")


def _copies(
    flat: Block, parts: Stretches, faults: tuple[Floats, int], sizes: tuple[float, ...]
) -> list[_Copy]:
    """Return copies of the calibration rows with faults in them, enough of them for a choice."""
    scale, seed = faults
    found: list[_Copy] = []
    total = 0
    for copy in range(_COPIES):
        place = 0
        for start, stop in parts.calibrate:
            value = flat.value[start : min(stop, start + _MOST_ROWS)]
            long = len(value) >= _SHORT and copy % 2
            length = _LENGTHS[1] if long else int(np.clip(len(value) // 30, 4, _LENGTHS[0]))
            apart = int(np.clip(len(value) // 8, 4, 80))
            one = inject(value, length=length, apart=apart, seed=1000 * seed + copy, scale=scale, sizes=sizes)
            found.append(_Copy(start, place, _sound(one, start, parts.odd)))
            total += len(found[-1].injected.faults)
            place += stop - start
        if total >= _TRIALS:
            break
    if not total:
        raise DataError(
            f"{flat.name}: {len(flat)} rows are too few to try a monitor on", hint="give it a longer history"
        )
    return found


def _sound(injected: Injected, start: int, odd: Flags | None) -> Injected:
    """Leave out faults that lie where readings are odd anyway."""
    if odd is None:
        return injected
    kept = [one for one in injected.faults if not odd[start + one.start : start + one.stop + _AFTER].any()]
    return msgspec.structs.replace(injected, faults=tuple(kept))


def _tried(detector: Windowed, ground: _Ground) -> _Trial:
    """Score the calibration rows and their copies, each with the rows before them as its past."""
    flat = ground.flat
    whole = detector.score(flat.value)
    if ground.parts.odd is not None:
        whole[_seen_by(ground.parts.odd, detector.window)] = np.nan
    normal = np.concatenate([whole[start:stop] for start, stop in ground.parts.calibrate])
    tail = tail_of(normal)
    scores, parts = [], []
    hit = total = 0
    for copy in ground.copies:
        before = flat.value[max(0, copy.start - detector.window) : copy.start]
        judged = detector.judge(np.concatenate([before, copy.injected.value]))
        scores.append(tail.rarity(judged.score[len(before) :]))
        parts.append(judged.part[len(before) :])
        for fault in copy.injected.faults:
            rows = slice(fault.start, fault.stop + _AFTER)
            blamed = (parts[-1][rows] * scores[-1][rows, None] ** 2).sum(axis=0)
            hit += int(blamed.argmax() == fault.channel)
            total += 1
    sense = Sense(name=detector.name, window=detector.window, tail=tail, named=hit / max(total, 1))
    return _Trial(detector, sense, tail.rarity(normal), scores, parts)


def _seen_by(odd: Flags, window: int) -> Flags:
    """Return the rows whose windows hold an odd one, ``[row]``."""
    before = np.concatenate([np.zeros(window, dtype=np.int64), np.cumsum(odd)])
    found: Flags = before[window:] - before[:-window] > 0
    return found


def _best(trials: list[_Trial], ground: _Ground) -> tuple[list[_Trial], _Choice]:
    """Take the best detector, and others while they find more of the injected faults."""
    best: list[_Trial] = []
    choice: _Choice | None = None
    left = list(trials)
    while left and len(best) < _MOST:
        tried = [(_judged([*best, one], ground), one) for one in left]
        top, one = max(tried, key=lambda pair: pair[0].merit)
        if choice is not None and top.merit < choice.merit + _BETTER:
            break
        choice, best, left = top, [*best, one], [other for other in left if other is not one]
    if choice is None or choice.found["found"] <= choice.found["chance"] + 2 * choice.found["error"]:
        share = choice.found if choice else {"found": 0.0, "chance": 0.0}
        raise ModelError(
            f"{ground.flat.name}: the best score finds {share['found']:.0%} of injected faults,"
            f" chance {share['chance']:.0%}",
            hint="give it a longer history, or allow more alarms a day",
        )
    return best, choice


def _judged(some: list[_Trial], ground: _Ground) -> _Choice:
    """Say how many injected faults a set of detectors finds at the limit that keeps the promise."""
    promise, every = ground.promise, ground.flat.every_ns
    normal = combine(np.stack([one.normal for one in some], axis=1))
    time = np.concatenate([ground.flat.time[start:stop] for start, stop in ground.parts.calibrate])
    plan = plan_for(
        time, normal[:, None], promise.span, alarms_per_day=promise.alarms_per_day, every_ns=every,
        memory=int(np.clip(2 * len(normal), 500, 20_000)), accept_ns=promise.accept_ns,
    )  # fmt: skip
    limit = plan.tail.score_at(plan.limit)
    trust = [one.sense.named for one in some]
    found = named = chance = total = 0
    for at, copy in enumerate(ground.copies):
        each = np.stack([one.copies[at] for one in some], axis=1)
        score = combine(each)
        part = np.stack([one.parts[at] for one in some], axis=1)
        for fault in copy.injected.faults:
            rows = slice(fault.start, fault.stop + _AFTER)
            calm = normal[copy.place + fault.start : copy.place + fault.stop + _AFTER]
            total += 1
            chance += int(np.nanmax(calm, initial=0.0) > limit)
            if score[rows].max() > limit:
                found += 1
                named += int(guilt(each[rows], part[rows], trust).argmax() == fault.channel)
    share, luck = found / max(total, 1), chance / max(total, 1)
    error = float(np.sqrt((share * (1 - share) + luck * (1 - luck)) / max(total, 1) + 1e-9))
    told = {"injected": float(total), "found": share, "chance": luck, "error": error}
    return _Choice(share + 0.5 * named / max(total, 1), plan, told | {"named": named / max(found, 1)})
