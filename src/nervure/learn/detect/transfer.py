"""Transfer functions of a structure whose ground is measured, and milder damage made of what was seen."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nervure.core.error import DataError

__all__ = ["halfway", "peak", "transfer"]

Floats = NDArray[np.float64]
Longs = NDArray[np.int64]


def transfer(
    value: Floats, *, bins: int = 200, highest: float = 0.4, lines: int = 4096, smooth: int = 17
) -> Floats:
    """Return log gains from the first channel of ``value [row, channel]`` to others, ``[bin, channel - 1]``.

    Bins lie from 0 to ``highest`` cycles a row. It is the H1 estimate over ``smooth`` neighbouring
    lines of one long record (Bendat & Piersol, Random Data, 1971): noise on the answers averages out,
    noise on the ground lowers all gains alike.
    """
    if len(value) < 2 * smooth:
        raise DataError(f"{len(value)} rows tell no transfer function", hint="take longer records")
    found = np.fft.rfft(value - value.mean(axis=0), lines, axis=0)
    level = np.apply_along_axis(_smoothed, 0, np.abs(found[:, 0]) ** 2, smooth)
    cross = np.apply_along_axis(_smoothed, 0, found[:, :1].conj() * found[:, 1:], smooth)
    gain = np.log(np.abs(cross) / (level[:, None] + 1e-12 * level.max()) + 1e-6)
    at = np.linspace(0, highest * lines, bins, endpoint=False).astype(np.int64)
    kept: Floats = gain[at]
    return kept


def _smoothed(line: NDArray[np.complex128], size: int) -> NDArray[np.complex128]:
    return np.convolve(line, np.ones(size) / size, "same")


def peak(gain: Floats, *, highest: float = 0.4, low: float = 0.02, high: float = 0.2) -> float:
    """Return where a gain ``[bin]`` is largest between ``low`` and ``high``, in cycles a row.

    It is the vertex of a parabola through the largest bin and its neighbours.
    """
    step = highest / len(gain)
    first, last = max(1, int(low / step)), min(len(gain) - 1, int(high / step))
    at = first + int(gain[first:last].argmax())
    before, here, after = gain[at - 1 : at + 2]
    bend = before - 2 * here + after
    return (at + (0.5 * float((before - after) / bend) if bend < 0 else 0.0)) * step


def halfway(damaged: Longs, healthy: Longs, group: NDArray[np.str_]) -> Longs:
    """Pair each damaged run with the healthy one of its own excitation, ``[pair, (damaged, healthy)]``.

    Rows of a pair, averaged, are the answer of a structure about half as damaged: transfer functions
    add up, and resonances that lie near each other melt into one between them. What is learnt from
    worse damage alone calls mild damage healthy. Runs without a partner are left out.

    >>> halfway(np.array([2, 3]), np.array([0, 1]), np.array(["a", "b", "b", "c"])).tolist()
    [[2, 1]]
    """
    partner = {str(group[row]): int(row) for row in healthy}
    pairs = [(int(row), partner[str(group[row])]) for row in damaged if str(group[row]) in partner]
    return np.array(pairs, dtype=np.int64).reshape(-1, 2)
