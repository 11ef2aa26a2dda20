"""One causal pass over a stream nobody has seen before: how rare several simple residuals of a row are.

Nothing is fitted beforehand. Each residual (from yesterday at this hour, from last week, from the median
of the last rows, from an autoregression, from the row before, and the mean of the first over some rows)
is turned into decades of rarity by the distribution of its own past, tail included, as the anomaly
likelihood of Ahmad et al., Neurocomputing 262, 2017, does with one. The decades are added up. Half a
decade of each is taken off for every decade of rows already seen: of a stream as long as one likes a person
wants few alarms, not a share of its rows. And a row counts only when it is odder than all rows for some
time before it, so that one event rings once.
"""

from __future__ import annotations

from collections import deque
from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray

from nervure.core.error import ModelError
from nervure.core.instant import DAY_NS
from nervure.core.tail import tail_of
from nervure.learn.detect.block import Block
from nervure.learn.detect.window import last_known

__all__ = ["RESIDUALS", "Streaming"]

Floats = NDArray[np.float64]

RESIDUALS = ("day", "day over 12 rows", "week", "median", "regression", "step")
_MEMORY = 8000  # residuals that a distribution is fitted to
_FIRST = 100  # rows before anything is judged
_MOST = 8.0  # decades that one residual may add
_ORDER, _REFIT, _MEDIAN, _SHORT = 5, 50, 100, 12  # rows
_DAYS = 5
_CALM = 0.5  # decades off each residual for every decade of rows
_QUIET, _LEAST = 0.1, 20  # a row has to top the last tenth of all rows, and 20 at least


class Streaming:
    """Rarity of simple residuals, learnt while the stream runs; of several channels the rarest counts.

    Not where normal has long been known and a fault is a matter of several channels: then fit one of the
    others. ``events=False`` leaves out that a row must top those before it, for an alarm policy that merges.

    >>> value = np.sin(np.arange(900.0) / 7)[:, None]
    >>> value[700] += 2
    >>> block = Block(name="one", channels=("a",), value=value, time=np.arange(900), every_ns=DAY_NS // 44)
    >>> int(Streaming().fit(block).score(value).argmax())
    700
    """

    name = "streaming rarity"
    kind: Literal["baseline", "deep", "peer"] = "baseline"

    def __init__(self, *, events: bool = True) -> None:
        self.events = events
        self._day = 0

    def fit(self, *blocks: Block) -> Self:
        """Note how many rows make a day; nothing else is learnt before the stream runs."""
        self._day = max(1, round(DAY_NS / blocks[0].every_ns))
        return self

    def score(self, value: Floats) -> Floats:
        """Score the rows of one record, ``[row]``, in decades; 0 where a row before was as odd."""
        found: Floats = self.contributions(value).max(axis=1)
        return _topping(found) if self.events else found

    def contributions(self, value: Floats) -> Floats:
        """Return the decades of each channel alone, ``[row, channel]``."""
        if not self._day:
            raise ModelError(f"{self.name} has not been fitted", hint="it needs to know how long a row is")
        columns = [self._decades(value[:, channel]) for channel in range(value.shape[1])]
        return np.stack(columns, axis=1)

    def _decades(self, raw: Floats) -> Floats:
        known = np.isfinite(raw)
        if not known.any():
            return np.zeros(len(raw))
        x = last_known(np.where(known, raw, np.nan)[:, None], raw[known][:1])[:, 0]
        total = np.zeros(len(x))
        for residual in _residuals(x, self._day).values():
            total += np.minimum(_rarity(np.where(known, residual, np.nan)), _MOST)
        rows = np.maximum(np.arange(len(x)) + 1.0, _FIRST)
        calm: Floats = np.maximum(total - len(RESIDUALS) * _CALM * np.log10(rows / 1000), 0.0)
        return np.where(known & (total > 0), calm, 0.0)


def _residuals(x: Floats, day: int) -> dict[str, Floats]:
    """Return each residual without its sign, NaN where there is no past to hold a row against."""
    daily = x - _yesterdays(x, day)
    short = np.where(np.isnan(daily), 0.0, daily)
    found = {
        "day": np.abs(daily),
        "day over 12 rows": np.where(np.isnan(daily), np.nan, np.abs(_mean(short, _SHORT))),
        "week": np.abs(x - _before(x, 7 * day)),
        "median": np.abs(x - _before(_median(x, _MEDIAN), 1)),
        "regression": np.abs(_unforeseen(x)),
        "step": np.abs(np.diff(x, prepend=x[:1])),
    }
    return {name: found[name] for name in RESIDUALS}


def _before(x: Floats, rows: int) -> Floats:
    return np.concatenate([np.full(min(rows, len(x)), np.nan), x[: max(len(x) - rows, 0)]])


def _ending(x: Floats, rows: int) -> Floats:
    """Return the last rows at each row, ``[row, rows]``; before the first, the first."""
    whole = np.concatenate([np.full(rows - 1, x[0]), x])
    return np.lib.stride_tricks.sliding_window_view(whole, rows)


def _mean(x: Floats, rows: int) -> Floats:
    found: Floats = _ending(x, rows).mean(axis=1)
    return found


def _median(x: Floats, rows: int) -> Floats:
    found: Floats = np.median(_ending(x, rows), axis=1)
    return found


def _yesterdays(x: Floats, day: int) -> Floats:
    """Return the median of what was read about this hour on the last days; NaN on the first."""
    out = np.full(len(x), np.nan)
    if day < 4:
        return out
    past = [_before(x, day * turn + near) for turn in range(1, _DAYS + 1) for near in (-1, 0, 1)]
    row = np.arange(len(x))
    for turn in range(1, _DAYS + 1):  # as many days as there are by then
        here = (row >= turn * day + 1) & ((row < (turn + 1) * day + 1) | (turn == _DAYS))
        if here.any():
            out[here] = np.median(np.stack([one[here] for one in past[: 3 * turn]]), axis=0)
    return out


def _unforeseen(x: Floats) -> Floats:
    """Return what an autoregression, fitted again every so many rows to all before, did not foresee."""
    middle = x - x[0]
    shown = np.c_[_ending(np.concatenate([[0.0], middle[:-1]]), _ORDER), np.ones(len(x))]
    moment, product = np.zeros((_ORDER + 1, _ORDER + 1)), np.zeros(_ORDER + 1)
    out = np.full(len(x), np.nan)
    for start in range(_REFIT, len(x), _REFIT):
        old, new = slice(start - _REFIT, start), slice(start, start + _REFIT)
        moment += shown[old].T @ shown[old]
        product += shown[old].T @ middle[old]
        ridge = 1e-6 * np.trace(moment) * np.eye(_ORDER + 1)
        out[new] = middle[new] - shown[new] @ np.linalg.solve(moment + ridge, product)
    return out


def _rarity(residual: Floats) -> Floats:
    """Return decades of rarity among the rows before, ``[row]``; 0 where there is nothing to say."""
    out, start = np.zeros(len(residual)), _FIRST
    while start < len(residual):
        stop = min(len(residual), start + max(20, start // 15))
        past = residual[max(0, start - _MEMORY) : start]
        if np.isfinite(past).sum() >= 30:
            now = residual[start:stop]
            rarity = np.nan_to_num(tail_of(past).rarity(now), nan=0.0)
            out[start:stop] = np.where(now > np.nanmin(past), rarity, 0.0)  # the least there is is not rare
        start = stop
    return np.maximum(out, 0.0)


def _topping(score: Floats) -> Floats:
    """Keep the score of a row that tops all rows for a while before it; 0 else."""
    out = np.zeros(len(score))
    tops: deque[tuple[int, float]] = deque()
    for row, own in enumerate(score.tolist()):
        while tops and tops[0][0] < row - max(_LEAST, _QUIET * row):
            tops.popleft()
        if not tops or own > tops[0][1]:
            out[row] = own
        while tops and tops[-1][1] <= own:
            tops.pop()
        tops.append((row, own))
    return out
