"""Screening: readings as columns are checked against time and range, all at once."""

from __future__ import annotations

import msgspec
import numpy as np
from numpy.typing import NDArray

from nervure.core.columnar import endless, every, least, most
from nervure.core.instant import SECOND_NS, duration_text
from nervure.core.observation import Quality
from nervure.core.settings import Limits
from nervure.sense.directory import Directory
from nervure.sense.moment import FIRST_NS, LAST_NS, moment_ns, written
from nervure.sense.part import Part
from nervure.sense.reason import FUTURE, NOT_A_NUMBER, OUT_OF_TYPE, TOO_OLD

__all__ = ["GOOD", "Bounds", "bounds", "out_of_range", "why_not", "wrong"]

Longs = NDArray[np.int64]

_WRONG = ("", NOT_A_NUMBER, TOO_OLD, FUTURE, OUT_OF_TYPE)


GOOD = endless(np.int8(Quality.GOOD))


class Bounds(msgspec.Struct, frozen=True):
    """The times that a reading may have: not before ``oldest``, not ``future`` ns after its arrival."""

    oldest: int
    future: int


def bounds(limits: Limits) -> Bounds:
    """Return the bounds that the settings set."""
    return Bounds(oldest=moment_ns(limits.oldest), future=round(limits.future_s * SECOND_NS))


def wrong(part: Part, arrival: Longs, directory: Directory, bound: Bounds) -> NDArray[np.int8] | None:
    """Return for each row 0 (good) or the number of its reason, ``[row]``; ``None`` if all are good.

    A forecast lies ahead of its arrival by nature, ours as much as the weather's, where its signal is
    declared to be known ahead: of it, the instant of issue must not. A Datastream that no solution
    declares takes any instant that 64 bits hold.
    """
    time, issued = part.time, part.result_time
    if part.text is None and _plain(part, arrival, directory, bound):
        return None
    horizon = arrival + bound.future
    late = issued > horizon
    early = (time < bound.oldest) | (issued < bound.oldest)
    ahead = time > horizon
    if ahead.any():
        late |= ahead & (time > issued + directory.reach[part.stream])
    if not directory.all_declared:
        free = ~directory.declared[part.stream]
        late[free] = np.maximum(time, issued)[free] >= LAST_NS
        early[free] = np.minimum(time, issued)[free] <= FIRST_NS
    several = _numbers_for_arrays(part, directory)
    finite = np.isfinite(part.value)
    if several is not None:
        finite &= ~several
    if finite.all() and not late.any() and not early.any():
        return None
    verdict = np.zeros(len(time), dtype=np.int8)
    verdict[late] = 3
    verdict[early] = 2
    if part.text is None:
        verdict[~finite] = 1
    else:
        is_text = np.array([text is not None for text in part.text], dtype=bool)
        verdict[~finite & ~is_text] = 1
    if several is not None:
        verdict[several] = 4
    return verdict if verdict.any() else None


def _plain(part: Part, arrival: Longs, directory: Directory, bound: Bounds) -> bool:
    """Tell from the least and the most of each column that nothing is wrong, as is usual.

    What is within the bounds is so for a Datastream that no solution declares, too.
    """
    if directory.several is not None or not len(part.time):
        return False
    columns = [part.time] if part.result_time is part.time else [part.time, part.result_time]
    low, high = min(int(least(one)) for one in columns), max(int(most(one)) for one in columns)
    latest = min(int(least(arrival)) + bound.future, LAST_NS - 1)
    return max(bound.oldest, FIRST_NS + 1) <= low and high <= latest and every(np.isfinite(part.value))


def _numbers_for_arrays(part: Part, directory: Directory) -> NDArray[np.bool_] | None:
    """Tell which rows are numbers in a MultiDatastream, whose results are arrays."""
    if directory.several is None:
        return None
    several: NDArray[np.bool_] = directory.several[part.stream]
    if part.text is not None:
        several &= ~np.isnan(part.value)
    return several if several.any() else None


def why_not(
    verdict: int, time: int, issued: int, arrival: int, bound: Bounds | None, reach: int = 0
) -> tuple[str, str]:
    """Return the reason and the detail of a row that `wrong` has marked; without bounds any time is fine.

    ``reach`` is how long before its time a value of this Datastream may be known.
    """
    reason = _WRONG[verdict]
    if reason == NOT_A_NUMBER:
        return reason, "the value is no finite number any more once it is written in the Datastream's unit"
    if reason == OUT_OF_TYPE:
        return reason, "the result is a number, where an array with a value for each place is expected"
    if bound is None:
        return reason, f"it is of {written(max(time, issued) if reason == FUTURE else min(time, issued))}"
    if reason == TOO_OLD:
        when = min(time, issued)
        return reason, (
            f"it is of {written(when)}, and nothing before {written(bound.oldest)} is taken; "
            "was the device's clock ever set?"
        )
    when = max(time, issued)
    foretold = (
        f"; a forecast says by its resultTime when it was issued, {duration_text(reach)} before at most"
    )
    return reason, (
        f"it is of {written(when)}, but arrived at {written(arrival)}; a clock may be ahead by "
        f"{duration_text(bound.future)} at most{foretold if reach else ''}"
    )


def out_of_range(part: Part, directory: Directory) -> NDArray[np.int8]:
    """Return the quality of each row: a value beyond the physical range is kept, and marked."""
    lowest, highest = directory.inner
    if len(part.value) and lowest <= least(part.value) and most(part.value) <= highest:
        return GOOD[: len(part.value)]
    low, high = directory.low[part.stream], directory.high[part.stream]
    beyond = (part.value < low) | (part.value > high)
    return beyond.astype(np.int8) * np.int8(Quality.OUT_OF_RANGE)
