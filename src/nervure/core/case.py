"""Whole windows: which rows of a Thing a model is asked about, and what it is then shown.

Training cuts recordings and scoring cuts what has come in by these functions, so that a model is shown
the same bits in both. Rows are ``[row, channel]``, NaN where nothing was read; :func:`channels` says
which channel is which.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nervure.core.declaration import Solution
from nervure.core.problem import Case, Classify, RemainingLife, steps
from nervure.core.window import gather

__all__ = ["asked", "channels", "cut", "reach"]

Floats = NDArray[np.float64]
Longs = NDArray[np.int64]

_MISSING = 0.1


def channels(problem: Case) -> tuple[str, ...]:
    """Return the signals that a window shows, in the order of its channels.

    Of a machine the settings come first and the row's number last.
    """
    match problem:
        case RemainingLife():
            return (*problem.settings, *problem.of, problem.age)
        case Classify():
            return problem.of


def reach(solution: Solution, problem: Case) -> int:
    """Return how many rows a window holds."""
    match problem:
        case RemainingLife():
            return problem.window
        case Classify():
            return steps(problem.window, solution.signal(problem.of[0]).every_ns, where="$.window")


def cut(value: Floats, last: Longs, length: int) -> NDArray[np.float32]:
    """Cut windows of ``length`` rows that end with rows ``last [batch]``: ``[batch, time, channel]``.

    Before the first row nothing was read.

    >>> cut(np.array([[1.0], [2.0]]), np.array([1]), 3)[0, :, 0].tolist()
    [nan, 1.0, 2.0]
    """
    before = np.full((length - 1, value.shape[1]), np.nan)
    everyone = np.broadcast_to(np.arange(value.shape[1]), (len(last), value.shape[1]))
    return gather(np.concatenate([before, value]), last + length - 1, everyone, length).astype(np.float32)


def asked(problem: Classify, value: Floats, length: int) -> Longs:
    """Return the rows at which windows end that are worth asking about, in order.

    What wakes stands in the middle of its window, at place ``length // 2``. A window that begins before
    the first row is left out.

    >>> from nervure.core.problem import Wake
    >>> problem = Classify(
    ...     what="motion", of=("a",), window="3s", wake=Wake(of=("a",), above=2.0), classes=(), model=""
    ... )
    >>> asked(problem, np.array([[0.0], [1.0], [3.0], [1.0], [0.0]]), 3).tolist()
    [3]
    """
    place = [problem.of.index(name) for name in problem.wake.of]
    level = np.nan_to_num(np.sqrt((value[:, place] ** 2).sum(axis=1)), nan=-1.0)
    middle = length // 2
    peak = np.flatnonzero(level > problem.wake.above)
    peak = peak[(peak >= middle) & (peak - middle + length <= len(value))]
    if not len(peak):
        return peak
    first = peak - middle
    rows = first[:, None] + np.arange(length)
    strongest = level[rows].argmax(axis=1) == middle
    known = np.isnan(value).cumsum(axis=0).sum(axis=1)
    lost = known[first + length - 1] - np.where(first > 0, known[first - 1], 0)
    chosen: Longs = peak[strongest & (lost <= _MISSING * length * value.shape[1])]
    return chosen - middle + length - 1
