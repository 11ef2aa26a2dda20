"""The label-free default: fitted to any stream, chosen by injected faults, with a promised number of alarms.

    monitor = fit_monitor(block, AlarmPolicy(alarms_per_day=1.0))
    found = monitor.watch(time, value)

Of the rows taken for normal the earlier part teaches the detectors; on the later part their scores are
calibrated, and faults are injected, by which the detectors are chosen: where no choice finds more of
them than chance, the fit is refused (``ModelError``), for such alarms would mean nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray

from nervure.core.error import DataError, ModelError
from nervure.core.event import Persistence
from nervure.core.guard import Plan, plan_for
from nervure.core.monitor import Reading, Sense, Setup, combine
from nervure.core.season import season_of
from nervure.core.tail import tail_of
from nervure.learn.detect.block import Block
from nervure.learn.detect.inject import Injected, inject, scale_of
from nervure.learn.detect.models.change import Change
from nervure.learn.detect.models.patch_memory import PatchMemory
from nervure.learn.detect.models.sub_pca import SubPca
from nervure.learn.detect.windowed import Windowed

__all__ = ["LEAST_ROWS", "Bundle", "Monitor", "Promise", "candidates", "fit_monitor"]

Floats = NDArray[np.float64]
Longs = NDArray[np.int64]
Tell = Callable[[float, str], None]

LEAST_ROWS = 120
_CALIBRATE = 0.4  # share of the normal rows that calibrate
_TRIALS = 160  # faults to inject, about
_COPIES = 8
_LENGTHS = (12, 48)
_MOST_ROWS = 20_000  # rows of a calibration that faults are put into
_BETTER = 0.01  # what another detector has to add


class Promise(msgspec.Struct, frozen=True, kw_only=True):
    """How often a monitor may ring: alarms a day, and when alarms are one (see ``Persistence``)."""

    alarms_per_day: float
    span: Persistence
    accept_ns: int = 0


class Bundle(torch.nn.Module):
    """Several detectors as one graph: ``score [batch, sense]``, the others ``[batch, sense, channel]``."""

    def __init__(self, modules: Sequence[torch.nn.Module], windows: Sequence[int]) -> None:
        super().__init__()
        self.inner = torch.nn.ModuleList(modules)
        self.windows = tuple(windows)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Judge windows ``[batch, time, channel]`` as long as the longest of them."""
        found = [one(x[:, -size:]) for one, size in zip(self.inner, self.windows, strict=True)]
        score, part, expected = (torch.stack([one[at] for one in found], dim=1) for at in range(3))
        return score, part, expected


class Monitor:
    """Fitted detectors and what was learnt of their scores."""

    def __init__(self, setup: Setup, detectors: Sequence[Windowed]) -> None:
        self.setup, self.detectors = setup, tuple(detectors)

    def read(self, time: Longs, value: Floats) -> Reading:
        """Say what each detector makes of the rows of a history, ``[row, stream]``, causally."""
        usual = self.setup.season.at(time) if self.setup.season else np.zeros_like(value)
        parts = [one.judge(value - usual) for one in self.detectors]
        return Reading(
            rarity=np.stack(
                [sense.tail.rarity(one.score) for sense, one in zip(self.setup.senses, parts, strict=True)],
                axis=1,
            ),
            part=np.stack([one.part for one in parts], axis=1),
            expected=np.stack([one.expected + usual for one in parts], axis=1),
        )

    def bundle(self) -> Bundle:
        """Return the detectors as one module, to be shipped."""
        modules = [one.module for one in self.detectors if one.module is not None]
        return Bundle(modules, [one.window for one in self.detectors])


def candidates(channels: int, rows: int, *, seed: int = 0, quick: bool = False) -> list[Windowed]:
    """Return the detectors that a monitor is chosen from, not yet fitted."""
    long = 64 if rows >= 1000 else 32
    found: list[Windowed] = [
        Change(16, seed=seed), Change(long, seed=seed), SubPca(16, seed=seed), SubPca(long, seed=seed),
    ]  # fmt: skip
    if not quick and rows * channels <= 4_000_000:
        found.append(PatchMemory(16, seed=seed))
    return found


class _Trial(NamedTuple):
    """Scores of one detector: normal ones, and those of each copy with its faults; parts beside them."""

    detector: Windowed
    sense: Sense
    normal: Floats
    copies: list[Floats]
    parts: list[Floats]


def fit_monitor(
    block: Block,
    promise: Promise,
    *,
    streams: Sequence[str] | None = None,
    seed: int = 0,
    quick: bool = False,
    tell: Tell | None = None,
) -> Monitor:
    """Fit a monitor to rows that are taken for normal, some of which may be odd all the same.

    Raises ``DataError`` where there are too few, or nothing moves; ``ModelError`` where no detector finds
    injected faults.
    """
    if len(block) < LEAST_ROWS:
        raise DataError(
            f"{block.name}: {len(block)} rows are too few to learn from",
            hint=f"at least {LEAST_ROWS} are needed",
        )
    cut = int(len(block) * (1 - _CALIBRATE))
    season = season_of(block.time[:cut], block.value[:cut], block.every_ns)
    flat = (
        block if season is None else msgspec.structs.replace(block, value=block.value - season.at(block.time))
    )
    teach = flat.part(0, cut)
    scale = scale_of(teach.value)
    copies = _copies(flat, cut, scale, seed)
    trials, chosen = [], candidates(len(block.channels), cut, seed=seed, quick=quick)
    for number, detector in enumerate(chosen):
        if tell is not None:
            tell(number / len(chosen), f"{block.name}: {detector.name}")
        fit = detector.fit(teach)
        trials.append(_tried(fit, flat, cut, copies))
    best, plan, found = _choose(trials, copies, block, cut, promise)
    usual = (
        np.nanstd(flat.value[cut:] - np.nanmedian(flat.value[cut:], axis=0), axis=0)
        if len(flat) > cut
        else scale
    )
    setup = Setup(
        streams=tuple(streams or block.channels),
        every_ns=block.every_ns,
        window=max(one.detector.window for one in best),
        season=season,
        senses=tuple(one.sense for one in best),
        plan=plan,
        span=promise.span,
        usual=tuple(np.where(scale > 0, scale, np.nan_to_num(usual)).tolist()),
        promised=promise.alarms_per_day,
        found=found,
    )
    return Monitor(setup, [one.detector for one in best])


def _copies(flat: Block, cut: int, scale: Floats, seed: int) -> list[Injected]:
    """Return copies of the calibration rows with faults in them, enough of them for a choice."""
    value = flat.value[cut : cut + _MOST_ROWS]
    found: list[Injected] = []
    total = 0
    for copy in range(_COPIES):
        length = _LENGTHS[copy % len(_LENGTHS)] if len(value) >= 600 else _LENGTHS[0]
        one = inject(
            value, length=length, apart=80 if len(value) >= 600 else 40, seed=1000 * seed + copy, scale=scale
        )
        found.append(one)
        total += len(one.faults)
        if total >= _TRIALS:
            break
    if not total:
        raise DataError(
            f"{flat.name}: {len(value)} rows are too few to try a monitor on", hint="give it a longer history"
        )
    return found


def _tried(detector: Windowed, flat: Block, cut: int, copies: list[Injected]) -> _Trial:
    """Score the calibration rows and their copies, each with the rows before them as its past."""
    before = flat.value[max(0, cut - detector.window) : cut]
    skip = len(before)
    normal = detector.score(np.concatenate([before, flat.value[cut:]]))[skip:]
    tail = tail_of(normal)
    scores, parts = [], []
    hit = [0, 0]
    for copy in copies:
        judged = detector.judge(np.concatenate([before, copy.value]))
        scores.append(tail.rarity(judged.score[skip:]))
        parts.append(judged.part[skip:])
        for fault in copy.faults:
            rows = slice(fault.start, max(fault.stop, fault.start + 4))
            weight = scores[-1][rows] ** 2
            hit[0] += int((parts[-1][rows] * weight[:, None]).sum(axis=0).argmax() == fault.channel)
            hit[1] += 1
    sense = Sense(name=detector.name, window=detector.window, tail=tail, named=hit[0] / max(hit[1], 1))
    return _Trial(detector, sense, tail.rarity(normal), scores, parts)


class _Choice(NamedTuple):
    merit: float
    plan: Plan
    found: dict[str, float]


def _choose(
    trials: list[_Trial], copies: list[Injected], block: Block, cut: int, promise: Promise
) -> tuple[list[_Trial], Plan, dict[str, float]]:
    """Take the best detector, and others while they find more of the injected faults."""
    time = block.time[cut:]

    def judged(some: list[_Trial]) -> _Choice:
        return _judged(some, copies, time, block, promise)

    best: list[_Trial] = []
    choice: _Choice | None = None
    left = list(trials)
    while left and len(best) < 3:
        tried = [(judged([*best, one]), one) for one in left]
        top, one = max(tried, key=lambda pair: pair[0].merit)
        if choice is not None and top.merit < choice.merit + _BETTER:
            break
        choice, best, left = top, [*best, one], [other for other in left if other is not one]
    if choice is None or choice.found["found"] <= choice.found["chance"] + 2 * choice.found["error"]:
        share = choice.found if choice else {"found": 0.0, "chance": 0.0}
        raise ModelError(
            f"{block.name}: the best score finds {share['found']:.0%} of injected faults,"
            f" chance {share['chance']:.0%}",
            hint="give it a longer history, or allow more alarms a day",
        )
    return best, choice.plan, choice.found


def _judged(
    some: list[_Trial], copies: list[Injected], time: Longs, block: Block, promise: Promise
) -> _Choice:
    """Say how many injected faults a set of detectors finds at the limit that keeps the promise."""
    normal = combine(np.stack([one.normal for one in some], axis=1))
    plan = plan_for(
        time, normal[:, None], promise.span, alarms_per_day=promise.alarms_per_day, every_ns=block.every_ns,
        memory=int(np.clip(2 * len(normal), 500, 20_000)), accept_ns=promise.accept_ns,
    )  # fmt: skip
    limit = plan.tail.score_at(plan.limit)
    found, named, chance, total = 0, 0, 0, 0
    trust = np.array([max(one.sense.named, 0.05) for one in some]) ** 2
    for at, copy in enumerate(copies):
        each = np.stack([one.copies[at] for one in some], axis=1)
        score = combine(each)
        for fault in copy.faults:
            rows = slice(fault.start, fault.stop + 4)
            total += 1
            chance += int(normal[rows].max(initial=0.0) > limit)
            if score[rows].max() <= limit:
                continue
            found += 1
            voice = 10.0 ** (each[rows] - score[rows, None]) * trust * (1 + score[rows, None] ** 2)
            parts = np.stack([one.parts[at][rows] for one in some], axis=1)
            parts = parts / np.maximum(parts.sum(axis=2, keepdims=True), 1e-12)
            named += int((parts * voice[:, :, None]).sum(axis=(0, 1)).argmax() == fault.channel)
    share, luck = found / total, chance / total
    error = float(np.sqrt((share * (1 - share) + luck * (1 - luck)) / total + 1e-9))
    merit = share + 0.5 * named / total
    told = {
        "injected": float(total),
        "found": share,
        "chance": luck,
        "error": error,
        "named": named / max(found, 1),
    }
    return _Choice(merit, plan, told)
