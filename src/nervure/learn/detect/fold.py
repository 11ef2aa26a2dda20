"""Folds that keep what belongs together on one side, and windows that never cross a split."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from nervure.core.error import DataError
from nervure.learn.split import Split, by_group, by_random, check

__all__ = ["deal", "folds", "leave_one_out", "stretches"]

Longs = NDArray[np.int64]


def folds(
    groups: Sequence[str], count: int, *, stratum: Sequence[str] | None = None, seed: int = 0
) -> tuple[Split, ...]:
    """Split rows into ``count`` folds by group: each group is tested once, whole.

    The validation part of a fold is the test part of the next one. Groups of the same ``stratum``
    (a fault's kind, an age group; one to a group) are dealt evenly; ``seed`` shuffles their order.

    >>> [one.test.tolist() for one in folds(["a", "a", "b", "c"], 3, seed=1)]
    [[0, 1], [2], [3]]
    """
    if count < 3:
        raise DataError(f"{count} folds leave no part to train on", hint="take at least 3")
    kinds = _kinds(groups, stratum if stratum is not None else [""] * len(groups))
    if len(kinds) < count:
        raise DataError(f"{len(kinds)} groups cannot be dealt into {count} folds", hint="take fewer folds")
    random = np.random.default_rng(seed)
    hands: list[list[str]] = [[] for _ in range(count)]
    turn = 0
    for kind in sorted(set(kinds.values())):
        same = sorted(name for name, own in kinds.items() if own == kind)
        for place in random.permutation(len(same)):
            hands[turn % count].append(same[place])
            turn += 1
    return tuple(
        check(by_group(groups, validation=hands[(turn + 1) % count], test=hands[turn]))
        for turn in range(count)
    )


def _kinds(groups: Sequence[str], stratum: Sequence[str]) -> dict[str, str]:
    kinds: dict[str, str] = {}
    for group, kind in zip(groups, stratum, strict=True):
        if kinds.setdefault(group, kind) != kind:
            raise DataError(f"group {group!r} is of two strata: {kinds[group]!r} and {kind!r}")
    return kinds


def leave_one_out(groups: Sequence[str]) -> tuple[Split, ...]:
    """Split rows so that each group is tested once, alone; the next group in order validates.

    >>> [one.validation.tolist() for one in leave_one_out(["a", "b", "c"])]
    [[1], [2], [0]]
    """
    names = sorted(set(groups))
    after = [*names[1:], *names[:1]]
    return tuple(
        check(by_group(groups, validation=[following], test=[name]))
        for name, following in zip(names, after, strict=True)
    )


def stretches(label: Sequence[int] | Longs, length: int) -> tuple[str, ...]:
    """Name the stretch of about ``length`` consecutive rows each row is in; none holds two labels.

    Rows that follow each other are alike, so they are one group. A run of one label is cut into
    whole stretches of nearly the same length.

    >>> stretches([0, 0, 0, 1, 1], 2)
    ('0', '0', '1', '2', '2')
    """
    values = np.asarray(label)
    edges = np.r_[0, np.flatnonzero(np.diff(values)) + 1, len(values)]
    cuts: list[int] = []
    for start, stop in pairwise(edges.tolist()):
        pieces = max(1, round((stop - start) / length + 1e-9))
        cuts += [start + round((stop - start) * piece / pieces) for piece in range(pieces)]
    numbers = np.searchsorted(cuts, np.arange(len(values)), side="right") - 1
    return tuple(str(number) for number in numbers)


def deal(rows: int, window: int, step: int, *, seed: int = 0, allow_leaky: bool = False) -> Split:
    """Deal the windows of one record to the parts at random, which is refused where windows overlap.

    Raises ``LeakError``; with ``allow_leaky`` the split is made, and says that it leaks.

    >>> deal(10, window=4, step=2)
    Traceback (most recent call last):
    nervure.core.error.LeakError: windows of 4 rows that start 2 rows apart overlap: ...
    """
    starts = np.arange(0, rows - window + 1, step, dtype=np.int64)
    return by_random(starts, window, seed=seed, allow_leaky=allow_leaky)
