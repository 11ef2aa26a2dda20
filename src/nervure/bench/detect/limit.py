"""From a detector's scores to alarms in the contests of streams: balanced, smoothed, held, recalibrated."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nervure.learn.detect.window import last_known

__all__ = ["balanced", "held_on", "recalibrated", "recent", "short", "smoothed", "without_minute"]

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

_FIRST = 1440  # rows before a stream may ring, where its limit is learnt while it runs
_STEP = 360  # rows between two recalibrations


def smoothed(value: Floats, rows: int) -> Floats:
    """Return the mean of the last rows, ``[row, ...]``; fewer at the start.

    >>> smoothed(np.array([1.0, 3.0, 5.0]), 2).tolist()
    [1.0, 2.0, 4.0]
    """
    total = np.cumsum(np.concatenate([np.zeros_like(value[:1]), value]), axis=0)
    last = np.arange(1, len(value) + 1)
    first = np.maximum(last - rows, 0)
    count = (last - first).reshape(-1, *([1] * (value.ndim - 1)))
    found: Floats = (total[last] - total[first]) / count
    return found


def balanced(part: Floats, calm: Floats, level: float = 0.99, least: float = 0.5) -> Floats:
    """Return contributions over what is high in calm rows, channel by channel; the largest, ``[row]``.

    So a channel that was restless there, or drifted, weighs less.
    """
    found: Floats = (part / np.maximum(np.quantile(calm, level, axis=0), least)).max(axis=1)
    return found


def held_on(alarm: Flags, rows: int) -> Flags:
    """Return alarms that stay on until ``rows`` rows, the first included, have passed without a cause.

    >>> held_on(np.array([True, False, False, False]), 2).tolist()
    [True, True, False, False]
    """
    row = np.arange(len(alarm))
    last = np.maximum.accumulate(np.where(alarm, row, -rows))
    found: Flags = row - last < rows
    return found


def without_minute(value: Floats, columns: tuple[int, ...], rows: int = 60) -> Floats:
    """Return readings of which some columns are told from the mean of their own last rows."""
    out = value.copy()
    some = list(columns)
    filled = last_known(value[:, some], np.nanmean(value[:, some], axis=0))
    out[:, some] = value[:, some] - smoothed(filled, rows)
    return out


def recent(value: Floats, rows: int, short: int = 1) -> Floats:
    """Return how far the median of the last ``short`` rows is from that of the ``rows`` before, signed."""
    filled = last_known(value, np.nanmean(value, axis=0))
    columns = []
    for own in filled.T:
        before = np.concatenate([np.full(rows + short, own[0]), own[:-short]])
        now = np.concatenate([np.full(short - 1, own[0]), own])
        past = np.median(np.lib.stride_tricks.sliding_window_view(before, rows), axis=1)[1:]
        columns.append(np.median(np.lib.stride_tricks.sliding_window_view(now, short), axis=1) - past)
    return np.where(np.isnan(value), np.nan, np.stack(columns, axis=1))


def recalibrated(part: Floats, *, times: float, level: float, memory: int) -> tuple[Flags, Floats]:
    """Ring where a part ``[row, channel]`` is ``times`` what is high in its own last ``memory`` rows.

    Returns alarms and the largest such ratio, ``[row]``. Rows in alarm are not learnt from, and nothing
    rings on the first day; the quantile of ``level`` is taken anew every six hours of minutes.
    """
    alarm, ratio = np.zeros(len(part), bool), np.zeros(len(part))
    for start in range(_FIRST, len(part), _STEP):
        past, now = slice(max(0, start - memory), start), slice(start, start + _STEP)
        calm = part[past][~alarm[past]]
        high = np.nanquantile(calm, level, axis=0) if len(calm) else np.ones(part.shape[1])
        ratio[now] = (np.nan_to_num(part[now]) / np.maximum(np.nan_to_num(high), 1e-9)).max(axis=1)
        alarm[now] = ratio[now] > times
    return alarm, ratio


def short(value: Floats, points: int = 400) -> list[float]:
    """Return at most so many points of a curve: the largest of each stretch, so that no peak is lost."""
    stretch = max(1, -(-len(value) // points))
    whole = np.concatenate([value, np.full(-len(value) % stretch, -np.inf)])
    found: list[float] = whole.reshape(-1, stretch).max(axis=1).round(4).tolist()
    return found
