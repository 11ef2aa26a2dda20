"""What is usual at this time of day or week, and what is left of a reading without it.

Detectors look at short windows and know no clock; a demand that is right at noon is wrong at night. So the
usual course is taken off first, where there is one: a median by time of day, or of week, of each channel.
"""

from __future__ import annotations

from functools import cached_property

import msgspec
import numpy as np
from numpy.typing import NDArray

from nervure.core.instant import DAY_NS

__all__ = ["Season", "Usual", "season_of", "usual_of"]

Floats = NDArray[np.float64]
Longs = NDArray[np.int64]

_BINS_A_DAY = 96
_WEEK_NS = 7 * DAY_NS
_FROM_MONDAY_NS = 4 * DAY_NS  # 1970-01-01 was a Thursday
_LEAST_PERIODS = 3
_GAIN = 0.9  # share of the variance that may be left where a course is taken for one


class Season(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """A course that repeats after ``period_ns``: ``table [bin, channel]``, 0 where a channel has none."""

    period_ns: int
    table: tuple[tuple[float, ...], ...]

    @cached_property
    def _table(self) -> Floats:
        """The same as an array, which takes longer to make than a row to judge."""
        return np.asarray(self.table, dtype=np.float64)

    def at(self, time: Longs) -> Floats:
        """Return what is usual at times in UTC nanoseconds, ``[row, channel]``, between bins by a line."""
        table = self._table
        place = ((time + _FROM_MONDAY_NS) % self.period_ns) / self.period_ns * len(table) - 0.5
        low = np.floor(place).astype(np.int64)
        share = (place - low)[:, None]
        found: Floats = table[low % len(table)] * (1 - share) + table[(low + 1) % len(table)] * share
        return found


def season_of(time: Longs, value: Floats, every_ns: int) -> Season | None:
    """Return the course of readings ``[row, channel]`` over the day or the week, if they have one.

    A course is believed of a channel where what half of the periods let expect leaves less than 90 % of
    the variance of the other half, and needs three periods; the week's is taken where it leaves less than
    the day's.
    """
    best: tuple[float, Season | None] = (_GAIN * value.shape[1], None)
    for period in (DAY_NS, _WEEK_NS):
        bins = int(min(period // max(every_ns, 1), _BINS_A_DAY * (period // DAY_NS)))
        if bins < 4 or (time[-1] - time[0]) < _LEAST_PERIODS * period * 0.95:
            continue
        place = ((time + _FROM_MONDAY_NS) % period * bins // period).astype(np.int64)
        turn = (time + _FROM_MONDAY_NS) // period % 2
        left = np.minimum(_left(place, value, turn == 0, bins), _left(place, value, turn == 1, bins))
        kept = np.where(left < _GAIN, left, 1.0)
        if kept.sum() < best[0] - 0.02 * len(kept) * (best[1] is not None) and (left < _GAIN).any():
            table = _course(place, value, bins) * (left < _GAIN)
            best = (float(kept.sum()), Season(period_ns=period, table=tuple(map(tuple, table.tolist()))))
    return best[1]


def _left(place: Longs, value: Floats, half: NDArray[np.bool_], bins: int) -> Floats:
    """Return the share of the variance of the rest that one half's course leaves, ``[channel]``."""
    other = value[~half]
    if not half.any() or not len(other):
        return np.ones(value.shape[1])
    rest = other - _course(place[half], value[half], bins)[place[~half]]
    with np.errstate(invalid="ignore", divide="ignore"):
        share = np.nanvar(rest, axis=0) / np.nanvar(other, axis=0)
    return np.where(np.isfinite(share), share, 1.0)


def _course(place: Longs, value: Floats, bins: int) -> Floats:
    """Return the median of each bin less that of all, smoothed over three bins: ``[bin, channel]``."""
    out = np.zeros((bins, value.shape[1]))
    order = np.argsort(place, kind="stable")
    edges = np.searchsorted(place[order], np.arange(bins + 1))
    for channel in range(value.shape[1]):
        own = value[order, channel]
        known = own[~np.isnan(own)]
        if not len(known):
            continue
        middle = float(np.median(known))
        for at in range(bins):
            some = own[edges[at] : edges[at + 1]]
            some = some[~np.isnan(some)]
            out[at, channel] = np.median(some) - middle if len(some) else 0.0
    return (np.roll(out, 1, axis=0) + 2 * out + np.roll(out, -1, axis=0)) / 4


class Usual(msgspec.Struct, frozen=True, kw_only=True):
    """What a reading is held against before detectors see it: its season, and where it drifts, its level.

    ``drifts [channel]`` says which channels have no level of their own: of those the running mean over
    about ``memory`` readings before is taken off too, so that what is odd is a change and not a level.
    """

    season: Season | None
    drifts: tuple[bool, ...]
    memory: int = 100

    def at(self, time: Longs, value: Floats, level: Floats | None = None) -> tuple[Floats, Floats]:
        """Return what is usual of rows, ``[row, channel]``, and the running mean after them, ``[channel]``.

        ``level`` is the running mean before the first row, NaN where nothing was read yet; a reading is
        held against those before it alone.
        """
        season = self.season.at(time) if self.season else np.zeros_like(value)
        out, after = season, np.full(value.shape[1], np.nan) if level is None else level.copy()
        for channel in np.flatnonzero(np.asarray(self.drifts)).tolist():
            mean, after[channel] = _running(
                value[:, channel] - season[:, channel], float(after[channel]), self.memory
            )
            out[:, channel] += mean
        return out, after


def usual_of(time: Longs, value: Floats, every_ns: int) -> Usual:
    """Learn what is usual of normal rows ``[row, channel]``.

    A channel drifts where most of how it varies is slow: where the means of an eighth of the rows each
    differ by more than half of the whole variance.
    """
    season = season_of(time, value, every_ns)
    rest = value if season is None else value - season.at(time)
    drifts = []
    for channel in range(value.shape[1]):
        parts = [one[~np.isnan(one)] for one in np.array_split(rest[:, channel], 8)]
        known = np.concatenate(parts)
        whole = float(known.var()) if len(known) else 0.0
        means = np.array([one.mean() for one in parts if len(one)])
        drifts.append(bool(whole > 0 and len(means) > 2 and means.var() > 0.5 * whole))
    return Usual(season=season, drifts=tuple(drifts))


def _running(value: Floats, level: float, memory: int) -> tuple[Floats, float]:
    """Return the running mean before each row, and after the last; the first readings count in full."""
    out, share, seen = np.empty(len(value)), 1.0 / memory, 0 if np.isnan(level) else memory
    for row, one in enumerate(value.tolist()):
        if one == one:  # noqa: PLR0124 (not NaN)
            if seen == 0:
                level = one
            out[row] = level
            seen += 1
            level += max(share, 1.0 / seen) * (one - level)
        else:
            out[row] = 0.0 if seen == 0 else level
    return out, level
