"""The score of the Numenta Anomaly Benchmark, NAB v1.1.

Within a labelled window the first alarm earns the more the earlier it is; alarms outside cost the
more the further they lie past the last window, and a window without alarm costs. One threshold
serves the whole corpus: the best one, found with the labels. So the figure compares detectors, and
says nothing of how well a threshold is chosen in advance. (Lavin & Ahmad, ICMLA, 2015; Ahmad et
al., Neurocomputing, 2017.)
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from nervure.core.error import DataError
from nervure.learn.detect.stream import Series

__all__ = ["LOW_FALSE_NEGATIVES", "LOW_FALSE_POSITIVES", "STANDARD", "Found", "Profile", "score", "weights"]

Floats = NDArray[np.float64]
Longs = NDArray[np.int64]


class Profile(msgspec.Struct, frozen=True, kw_only=True):
    """What finding, alarming for nothing and missing are worth."""

    name: str
    hit: float = 1.0
    false_alarm: float = 0.11
    miss: float = 1.0


STANDARD = Profile(name="standard")
LOW_FALSE_POSITIVES = Profile(name="reward low FP rate", false_alarm=0.22)
LOW_FALSE_NEGATIVES = Profile(name="reward low FN rate", miss=2.0)


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """A detector's ``score``, 0 for one that never alarms and 100 for a perfect one, and how it came about.

    An alarm is a row that scores ``threshold`` or more; infinite where it is best never to alarm.
    """

    score: float
    threshold: float
    windows_found: int
    false_rows: int


def _sigmoid(place: Floats) -> Floats:
    """The benchmark's curve over the place relative to a window: near 1 at -1, 0 at 0, -1 from 3 on."""
    curve: Floats = np.where(place >= 3, -1.0, 2 / (1 + np.exp(5 * np.minimum(place, 3))) - 1)
    return curve


def weights(series: Series, profile: Profile) -> tuple[Floats, Longs]:
    """Return what an alarm at each row is worth, and the window it is in or -1: ``[row]`` each.

    Places are counted in rows. In a window only the best alarm counts. A window of one row has no
    width to measure by, so alarms after it count as far away.
    """
    rows = np.arange(len(series.block))
    worth = np.full(len(rows), -profile.false_alarm)
    inside = np.full(len(rows), -1, np.int64)
    best = float(_sigmoid(np.array([-1.0]))[0])
    order = series.windows[np.argsort(series.windows[:, 0])]
    for turn, (first, last) in enumerate(order.tolist()):
        past = rows[last + 1 :] - last
        if last > first:
            worth[last + 1 :] = _sigmoid(past / (last - first)) * profile.false_alarm
        else:
            worth[last + 1 :] = -profile.false_alarm
        width = last - first + 1
        worth[first : last + 1] = _sigmoid(-(last - rows[first : last + 1] + 1) / width) / best * profile.hit
        inside[first : last + 1] = turn
    return worth, inside


def score(corpus: Sequence[Series], scores: Sequence[Floats], profile: Profile = STANDARD) -> Found:
    """Score a detector over the corpus at the one threshold that serves it best.

    ``scores`` has one array ``[row]`` a series, larger where it is odder. The probation of each
    series is left out. Raises ``DataError`` where a score is missing or no number.
    """
    value, worth, window = _gather(corpus, scores, profile)
    total = sum(len(one.windows) for one in corpus)
    if not total:
        raise DataError("a corpus without labelled windows cannot be scored")
    order = np.argsort(-value, kind="stable")
    value, worth, window = value[order], worth[order], window[order]
    gain = np.where(window < 0, worth, 0.0)
    inside = np.flatnonzero(window >= 0)
    gain[inside] = _rises(window[inside], worth[inside], total, -profile.miss)
    sums = np.cumsum(gain) - profile.miss * total
    ends = np.flatnonzero(np.r_[value[1:] != value[:-1], True]) if len(value) else np.empty(0, np.int64)
    best = ends[sums[ends].argmax()] if len(ends) else -1
    worst, perfect = -profile.miss * total, profile.hit * total
    if best < 0 or sums[best] <= worst:
        return Found(score=0.0, threshold=float("inf"), windows_found=0, false_rows=0)
    called = window[: best + 1]
    return Found(
        score=float(100 * (sums[best] - worst) / (perfect - worst)),
        threshold=float(value[best]),
        windows_found=len(np.unique(called[called >= 0])),
        false_rows=int((called < 0).sum()),
    )


def _gather(
    corpus: Sequence[Series], scores: Sequence[Floats], profile: Profile
) -> tuple[Floats, Floats, Longs]:
    """Put the rows after probation together: what they scored, are worth, and their window's number."""
    parts: list[tuple[Floats, Floats, Longs]] = []
    number = 0
    for series, own in zip(corpus, scores, strict=True):
        if own.shape != (len(series.block),) or np.isnan(own).any():
            raise DataError(
                f"{series.block.name}: the scores {own.shape} are not one number for each of its rows",
                hint="a detector scores every row, also those of the probation",
            )
        worth, window = weights(series, profile)
        cut = slice(series.probation, None)
        parts.append(
            (own[cut].astype(np.float64), worth[cut], np.where(window < 0, -1, window + number)[cut])
        )
        number += len(series.windows)
    value, worths, windows = (np.concatenate(column) for column in zip(*parts, strict=True))
    return value, worths, windows


def _rises(window: Longs, worth: Floats, total: int, start: float) -> Floats:
    """Return by how much each alarm, in order, betters the best of its window."""
    best = np.full(total, start)
    out = np.zeros(len(window))
    for row, (place, value) in enumerate(zip(window.tolist(), worth.tolist(), strict=True)):
        if value > best[place]:
            out[row], best[place] = value - best[place], value
    return out
