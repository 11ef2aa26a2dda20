"""Structs of columns: choosing rows of one and joining several, whatever columns they have.

A column that is the same in every row need not be there row by row (:func:`constant`), and two columns
may be one array, as the times of readings that came without a result time: both are kept so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["constant", "endless", "every", "joined", "least", "most", "only", "some", "taken", "whole"]

_FEW = 64  # so many rows are looked at sooner as a list: a reduction costs numpy microseconds


def constant(value: Any, count: int) -> NDArray[Any]:
    """Return a column of so many rows that shows one value, in the room of one; nobody can write to it.

    >>> column = constant(np.int8(3), 5)
    >>> column.tolist(), int(only(column))
    ([3, 3, 3, 3, 3], 3)
    """
    one = np.asarray(value)
    return np.ndarray((count,), one.dtype, one.tobytes(), strides=(0,))


def endless(value: Any) -> NDArray[Any]:
    """Return a column that shows one value for ever: its first rows, cut off, are a :func:`constant` one.

    >>> nothing = endless(0.0)
    >>> nothing[:3].tolist(), float(only(nothing[:3]))
    ([0.0, 0.0, 0.0], 0.0)
    """
    return constant(value, 1 << 40)


def every(flags: NDArray[np.bool_]) -> bool:
    """Tell whether all of some flags ``[row]`` are set, of few rows at once."""
    return False not in flags.tolist() if len(flags) <= _FEW else bool(flags.all())


def some(flags: NDArray[np.bool_]) -> bool:
    """Tell whether any of some flags ``[row]`` is set, of few rows at once."""
    return True in flags.tolist() if len(flags) <= _FEW else bool(flags.any())


def least(column: NDArray[Any]) -> Any:
    """Return the least of a column that has rows; where NaN is among them, any number may come."""
    return min(column.tolist()) if len(column) <= _FEW else column.min()


def most(column: NDArray[Any]) -> Any:
    """Return the most of a column that has rows; where NaN is among them, any number may come."""
    return max(column.tolist()) if len(column) <= _FEW else column.max()


def only(column: NDArray[Any]) -> Any:
    """Return the one value that :func:`constant` made a column of, ``None`` if it is another column."""
    return column[0] if column.strides == (0,) and len(column) else None


def whole(table: NDArray[Any]) -> NDArray[np.void]:
    """Return the rows of a contiguous table ``[..., column]`` as one item each, in the same memory.

    Numpy puts such a row into its place in one go, and else number by number.

    >>> table = np.zeros((2, 3))
    >>> whole(table)[[1]] = whole(np.ones((1, 3)))
    >>> table.tolist()
    [[0.0, 0.0, 0.0], [1.0, 1.0, 1.0]]
    """
    rows: NDArray[np.void] = table.view(f"V{table.itemsize * table.shape[-1]}")[..., 0]
    return rows


def taken(table: Any, names: Sequence[str], rows: NDArray[Any]) -> dict[str, Any]:
    """Return the columns of a struct with the rows chosen by a mask or by positions.

    A column that is ``None`` is left out; one that is no array is a list of anything.
    """
    chosen: list[int] | None = None
    found: dict[str, Any] = {}
    known: dict[int, NDArray[Any]] = {}
    count = -1
    for name in names:
        column = getattr(table, name)
        if column is None:
            continue
        if isinstance(column, np.ndarray):
            some = known.get(id(column))
            if some is None:
                if column.strides == (0,) and len(column):
                    count = _count(rows) if count < 0 else count
                    some = constant(column[0], count)
                else:
                    some = column[rows]
                known[id(column)] = some
            found[name] = some
            continue
        if chosen is None:
            chosen = (np.flatnonzero(rows) if rows.dtype == np.bool_ else rows).tolist()
        found[name] = [column[row] for row in chosen]
    return found


def joined(
    tables: Sequence[Any], names: Sequence[str], counts: Sequence[int], neutral: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the columns of several structs end to end; ``counts`` is how many rows each has.

    Where only some have a column, the others get its ``neutral`` value; a column without one is a
    list, whose neutral value is ``None``.
    """
    found: dict[str, Any] = {}
    known: dict[tuple[int, ...], NDArray[Any]] = {}
    for name in names:
        columns = [getattr(table, name) for table in tables]
        if all(column is None for column in columns):
            continue
        if name in neutral:
            found[name] = _joined(columns, counts, neutral[name], known)
        else:
            lists = [
                [None] * count if column is None else column
                for column, count in zip(columns, counts, strict=True)
            ]
            found[name] = list(chain.from_iterable(lists))
    return found


def _joined(
    columns: Sequence[NDArray[Any] | None],
    counts: Sequence[int],
    neutral: Any,
    known: dict[tuple[int, ...], NDArray[Any]],
) -> NDArray[Any]:
    """Join one column; what is the same array in every struct stays the same."""
    key = tuple(map(id, columns))
    if key not in known:
        arrays = [
            constant(neutral, count) if column is None else column
            for column, count in zip(columns, counts, strict=True)
        ]
        firsts = [one[0] for one in arrays if len(one)]
        same = firsts and all(one.strides == (0,) and len(one) for one in arrays)
        if same and np.array_equal(firsts, firsts[:1] * len(firsts), equal_nan=True):
            known[key] = constant(firsts[0], sum(counts))
            return known[key]
        known[key] = np.concatenate(arrays)
    return known[key]


def _count(rows: NDArray[Any]) -> int:
    """Return how many rows a mask or positions choose."""
    return int(np.count_nonzero(rows)) if rows.dtype == np.bool_ else len(rows)
