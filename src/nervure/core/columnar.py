"""Structs of columns: choosing rows of one and joining several, whatever columns they have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["joined", "taken"]


def taken(table: Any, names: Sequence[str], rows: NDArray[Any]) -> dict[str, Any]:
    """Return the columns of a struct with the rows chosen by a mask or by positions.

    A column that is ``None`` is left out; one that is no array is a list of anything.
    """
    chosen: list[int] | None = None
    found: dict[str, Any] = {}
    for name in names:
        column = getattr(table, name)
        if column is None:
            continue
        if isinstance(column, np.ndarray):
            found[name] = column[rows]
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
    for name in names:
        columns = [getattr(table, name) for table in tables]
        if all(column is None for column in columns):
            continue
        if name in neutral:
            arrays = [
                np.full(count, neutral[name]) if column is None else column
                for column, count in zip(columns, counts, strict=True)
            ]
            found[name] = np.concatenate(arrays)
        else:
            lists = [
                [None] * count if column is None else column
                for column, count in zip(columns, counts, strict=True)
            ]
            found[name] = list(chain.from_iterable(lists))
    return found
