"""The one splitter: parts in time or by group, and a refusal of every split that leaks.

A random split of overlapping windows lets a model see its own test: the same network on CWRU
scores 100 % on random windows and 42 % bearing by bearing. So it is refused unless it is asked
for by name, and every table made from it then says LEAKY.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from nervure.core.error import DataError, DeclarationError, LeakError
from nervure.core.instant import duration_ns

__all__ = ["REST", "Part", "Split", "allowed", "by_group", "by_random", "by_time", "check", "cuts_of"]

Part = Literal["train", "validation", "test"]
Longs = NDArray[np.int64]

REST = "rest"


class Split(msgspec.Struct, frozen=True, kw_only=True):
    """Which rows are whose: three disjoint, rising lists of row numbers.

    ``how`` says in words how it was made; ``leaky`` stands for a split that was allowed although
    it lets the test part into training.
    """

    train: Longs
    validation: Longs
    test: Longs
    how: str
    leaky: bool = False

    def rows(self, part: Part) -> Longs:
        """Return the rows of a part."""
        rows: Longs = getattr(self, part)
        return rows


def cuts_of(parts: Sequence[float | str], length: int, every_ns: int) -> tuple[int, int, int, int]:
    """Read declared parts as row numbers: start, end of train, end of validation, end of test.

    Parts are three fractions, or three durations of which the first may be ``rest``: then the
    other two are counted back from the end. Durations that do not fill the table leave its end out.

    >>> cuts_of((0.7, 0.1, 0.2), 2016, 300)
    (0, 1411, 1613, 2016)
    >>> cuts_of(("rest", "8w", "4w"), 19680, 3_600_000_000_000)
    (0, 17664, 19008, 19680)
    """
    train, validation, _ = parts
    if isinstance(train, str):
        sizes = [0 if one == REST else duration_ns(str(one)) // every_ns for one in parts]
        if train == REST:
            sizes[0] = length - sizes[1] - sizes[2]
    else:
        if not np.isclose(sum(float(one) for one in parts), 1.0):
            raise DeclarationError(f"the parts {tuple(parts)} do not add up to 1", hint="write 0.7, 0.1, 0.2")
        first = round(length * float(train))
        second = round(length * (float(train) + float(validation)))
        sizes = [first, second - first, length - second]
    if min(sizes) <= 0 or sum(sizes) > length:
        raise DataError(
            f"{length} rows are too few for the parts {tuple(parts)}",
            hint="shorten the parts, or load more data",
        )
    return 0, sizes[0], sizes[0] + sizes[1], sum(sizes)


def by_time(cuts: tuple[int, int, int, int], *, purge: int = 0) -> Split:
    """Split rows in time at ``cuts``; ``purge`` rows before each cut belong to nobody.

    Windows may reach back over a cut (what happened is known by then); targets never do, which
    :func:`allowed` sees to. ``purge`` puts more room between the parts where a label looks ahead.

    >>> by_time((0, 6, 8, 10), purge=1).train.tolist()
    [0, 1, 2, 3, 4]
    """
    start, one, two, end = cuts
    if not start < one - purge or not one < two - purge or not two < end:
        raise DataError(
            f"the cuts {cuts} with a purge of {purge} leave a part empty", hint="choose later cuts"
        )
    return Split(
        train=np.arange(start, one - purge, dtype=np.int64),
        validation=np.arange(one, two - purge, dtype=np.int64),
        test=np.arange(two, end, dtype=np.int64),
        how=f"in time at rows {one} and {two}" + (f", purge {purge}" if purge else ""),
    )


def by_group(
    groups: Sequence[str | int], *, validation: Sequence[str | int], test: Sequence[str | int]
) -> Split:
    """Split rows by what they were taken from: a bearing, a unit, a subject is in one part only.

    >>> by_group(["a", "a", "b", "c"], validation=["b"], test=["c"]).train.tolist()
    [0, 1]
    """
    both = set(validation) & set(test)
    if both:
        raise LeakError(
            f"group {min(map(str, both))} is in validation and in test", hint="each group belongs to one part"
        )
    unknown = (set(validation) | set(test)) - set(groups)
    if unknown:
        raise DataError(f"there is no group {min(map(str, unknown))!r} in the data")
    labels = np.array([2 if one in set(test) else 1 if one in set(validation) else 0 for one in groups])
    rows = [np.flatnonzero(labels == part).astype(np.int64) for part in range(3)]
    if any(len(one) == 0 for one in rows):
        raise DataError(
            "a part of the split by group is empty", hint="leave groups for training, validation and test"
        )
    return Split(train=rows[0], validation=rows[1], test=rows[2], how="by group")


def by_random(
    starts: Longs,
    length: int,
    *,
    fractions: tuple[float, float, float] = (0.7, 0.1, 0.2),
    seed: int = 0,
    allow_leaky: bool = False,
) -> Split:
    """Deal windows ``[start, start + length)`` to the parts at random, if none overlaps another.

    >>> by_random(np.array([0, 5]), 10)
    Traceback (most recent call last):
    nervure.core.error.LeakError: windows of 10 rows that start 5 rows apart overlap: ...
    """
    ordered = np.sort(starts)
    closest = int(np.diff(ordered).min()) if len(ordered) > 1 else length
    leaky = closest < length
    if leaky and not allow_leaky:
        raise LeakError(
            f"windows of {length} rows that start {closest} rows apart overlap: dealt at random,"
            " training would see the test part",
            hint="split in time or by group; allow_leaky=True if the leak itself is what you measure",
        )
    order = np.random.default_rng(seed).permutation(len(starts)).astype(np.int64)
    _, one, two, _ = cuts_of(fractions, len(starts), 1)
    return Split(
        train=np.sort(order[:one]),
        validation=np.sort(order[one:two]),
        test=np.sort(order[two:]),
        how=f"at random, seed {seed}",
        leaky=leaky,
    )


def check(split: Split) -> Split:
    """Return the split if its parts share no row, else raise ``LeakError``."""
    for one, other in (("train", "validation"), ("train", "test"), ("validation", "test")):
        shared = np.intersect1d(getattr(split, one), getattr(split, other))
        if len(shared):
            raise LeakError(
                f"row {shared[0]} is in {one} and in {other} ({len(shared)} rows in all)",
                hint="make the split with nervure.learn.split",
            )
    return split


def allowed(
    split: Split, part: Part, length: int, *, window: int, horizon: int, reach: int | None = None
) -> Longs:
    """Return the rows of a table of ``length`` at which a sample of ``part`` may end its window.

    Its targets, the ``horizon`` rows after, all lie in the part. A training window moreover holds
    no row of validation or test, nor do the ``reach`` rows that its channels look back on; the
    windows of those parts hold no row later than their own.
    """
    own = np.zeros(length, dtype=bool)
    own[split.rows(part)] = True
    inside = np.r_[0, np.cumsum(own)]
    last = np.arange(window - 1, length - horizon, dtype=np.int64)
    fits = inside[last + horizon + 1] - inside[last + 1] == horizon
    if part == "train":
        foreign = np.zeros(length, dtype=bool)
        foreign[split.validation] = True
        foreign[split.test] = True
        seen = np.r_[0, np.cumsum(foreign)]
        fits &= seen[last + 1] == seen[np.maximum(last + 1 - max(window, reach or 0), 0)]
    rows: Longs = last[fits]
    return rows
