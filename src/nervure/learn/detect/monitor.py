"""The label-free default: fitted to any stream, chosen by injected faults, with a promised number of alarms.

    monitor = fit_monitor(block, AlarmPolicy(alarms_per_day=1.0))
    found = monitor.watch(time, value)

Of the rows taken for normal the earlier part teaches the detectors; on the later part their scores are
calibrated, and faults are injected, by which the detectors are chosen: where no choice finds more of
them than chance, the fit is refused (``ModelError``), for such alarms would mean nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray

from nervure.core.error import DataError
from nervure.core.monitor import Reading, Setup
from nervure.core.season import usual_of
from nervure.learn.detect.block import ODD, Block, runs
from nervure.learn.detect.inject import scale_of
from nervure.learn.detect.models.change import Change
from nervure.learn.detect.models.patch_memory import PatchMemory
from nervure.learn.detect.models.sub_pca import SubPca
from nervure.learn.detect.trial import Promise, Stretches, choose
from nervure.learn.detect.windowed import Windowed

__all__ = ["LEAST_ROWS", "Bundle", "Monitor", "candidates", "fit_monitor"]

Floats = NDArray[np.float64]
Longs = NDArray[np.int64]
Flags = NDArray[np.bool_]
Tell = Callable[[float, str], None]

LEAST_ROWS = 60
_CALIBRATE = 0.4  # share of the normal rows that calibrate
_LEAST = 0.05  # share of how a channel varies that is a deviation at least
_FAR = 5.0  # times the 99.5 % quantile of what was learnt from: such rows are odd themselves
_MOST_ODD = 0.1  # share of odd rows from which on normal has changed in between


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

    def usual(self, time: Longs, value: Floats) -> Floats:
        """Return what readings of a history are held against, ``[row, stream]``."""
        return self.setup.course.at(time, value)[0]

    def read(self, value: Floats, usual: Floats) -> Reading:
        """Say what each detector makes of rows ``[row, stream]``, causally; see :meth:`usual`."""
        parts = [one.judge(value - usual) for one in self.detectors]
        both = zip(self.setup.senses, parts, strict=True)
        return Reading(
            rarity=np.stack([sense.tail.rarity(one.score) for sense, one in both], axis=1),
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

    Rows labelled odd are not learnt from. Raises ``DataError`` where there are too few, or nothing moves;
    ``ModelError`` where no detector finds injected faults.
    """
    if len(block) < LEAST_ROWS:
        raise DataError(
            f"{block.name}: {len(block)} rows are too few to learn from",
            hint=f"at least {LEAST_ROWS} are needed",
        )
    course = usual_of(block.time, block.value, block.every_ns)
    flat = msgspec.structs.replace(block, value=block.value - course.at(block.time, block.value)[0])
    detectors, parts = _taught(flat, seed=seed, quick=quick, tell=tell)
    scale = _scale(block, flat, parts)
    chosen = choose(detectors, flat, parts, (scale, seed), promise)
    setup = Setup(
        streams=tuple(streams or block.channels),
        every_ns=block.every_ns,
        window=max(one.window for one in chosen.detectors),
        course=course,
        senses=chosen.senses,
        plan=chosen.plan,
        span=promise.span,
        usual=tuple(scale.tolist()),
        promised=promise.alarms_per_day,
        found=chosen.found,
    )
    return Monitor(setup, chosen.detectors)


def _scale(block: Block, flat: Block, parts: Stretches) -> Floats:
    """Return the deviation of each channel that injected faults are sized by, ``[channel]``."""
    learnt, raw = (np.concatenate([one.value[a:b] for a, b in parts.teach]) for one in (flat, block))
    whole = np.array([one.std() if len(one) else 0.0 for one in _known(raw)])
    scale: Floats = np.maximum(scale_of(learnt), _LEAST * whole)  # where a course is left without noise
    if scale.any():
        return scale
    level = np.array([0.05 * abs(one[0]) if len(one) else 0.0 for one in _known(learnt)])
    return np.where(level > 0, level, 1.0)  # nothing ever moves: any movement would be odd


def _known(value: Floats) -> list[Floats]:
    """Return what was read of each channel."""
    return [one[~np.isnan(one)] for one in value.T]


def _taught(flat: Block, *, seed: int, quick: bool, tell: Tell | None) -> tuple[list[Windowed], Stretches]:
    """Fit every candidate, and say which rows calibrate.

    The later rows do, as what is to come is later still; where they are too odd for what was learnt from
    the earlier ones, normal has changed in between, and stretches of both are learnt from.
    """
    size = len(flat)
    cut = int(size * (1 - _CALIBRATE))
    parts = Stretches(teach=((0, cut),), calibrate=((cut, size),))
    detectors = _fitted(flat, parts, seed=seed, quick=quick, tell=tell)
    odd = _odd(detectors, flat, parts)
    if odd[cut:].mean() > _MOST_ODD and size >= 4 * LEAST_ROWS:
        a, b, c = int(0.3 * size), int(0.5 * size), int(0.8 * size)
        parts = Stretches(teach=((0, a), (b, c)), calibrate=((a, b), (c, size)))
        detectors = _fitted(flat, parts, seed=seed, quick=quick, tell=tell)
        odd = _odd(detectors, flat, parts)
    return detectors, msgspec.structs.replace(parts, odd=odd)


def _fitted(flat: Block, parts: Stretches, *, seed: int, quick: bool, tell: Tell | None) -> list[Windowed]:
    rows = sum(stop - start for start, stop in parts.teach)
    found = candidates(len(flat.channels), rows, seed=seed, quick=quick)
    blocks = [one for start, stop in parts.teach for one in _normal(flat.part(start, stop))]
    for number, detector in enumerate(found):
        if tell is not None:
            tell(number / len(found), f"{flat.name}: {detector.name}")
        detector.fit(*blocks)
    return found


def _normal(block: Block) -> list[Block]:
    """Return a stretch without the rows that are labelled odd."""
    if block.label is None or not (block.label == ODD).any():
        return [block]
    return [block.part(start, stop) for start, stop in runs(block.label != ODD).tolist()]


def _odd(detectors: Sequence[Windowed], flat: Block, parts: Stretches) -> Flags:
    """Tell which rows are odd, ``[row]``, by most detectors or by label: nothing is calibrated on them."""
    far = np.zeros(len(flat))
    for one in detectors:
        score = one.score(flat.value)
        learnt = np.concatenate([score[start:stop] for start, stop in parts.teach])
        far += score > _FAR * max(float(np.quantile(learnt, 0.995)), 1e-9)
    odd: Flags = far > len(detectors) / 2
    if flat.label is not None:
        odd = odd | (flat.label == ODD)
    return odd
