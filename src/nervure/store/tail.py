"""The tail: readings that are not in the table yet, as columns that grow."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nervure.core.observation import Batch

__all__ = ["Tail"]

_DTYPES: dict[str, Any] = {
    "id": np.int64,
    "datastream": np.int64,
    "time": np.int64,
    "result_time": np.int64,
    "value": np.float64,
    "low": np.float64,
    "high": np.float64,
    "quality": np.int8,
}


class Tail:
    """Columns with room to spare, so that adding a reading copies no other.

    What :meth:`batch` returned stays as it was: rows are only ever added behind it.

    >>> tail = Tail()
    >>> tail.push(Batch.of(id=[1, 2], datastream=[7, 7], time=[0, 1000], value=[1.5, 2.5]))
    >>> tail.batch().value.tolist(), len(tail)
    ([1.5, 2.5], 2)
    """

    def __init__(self, room: int = 4096) -> None:
        self._columns: dict[str, NDArray[Any]] = {
            name: np.empty(room, dtype) for name, dtype in _DTYPES.items()
        }
        self._text: list[str | None] | None = None
        self._rows = 0
        self._since = 0.0

    def __len__(self) -> int:
        return self._rows

    @property
    def age_s(self) -> float:
        """How long the oldest row has waited, in seconds; 0 when there is none."""
        return time.monotonic() - self._since if self._rows else 0.0

    def push(self, batch: Batch) -> None:
        """Add rows at the end."""
        if not len(batch):
            return
        if not self._rows:
            self._since = time.monotonic()
        end = self._rows + len(batch)
        self._reserve(end)
        for name, column in self._columns.items():
            column[self._rows : end] = getattr(batch, name)
        self._push_text(batch)
        self._rows = end

    def batch(self) -> Batch:
        """Return the rows so far, without a copy of the numbers."""
        text = None if self._text is None else self._text[: self._rows]
        return Batch(text=text, **{name: column[: self._rows] for name, column in self._columns.items()})

    def _reserve(self, rows: int) -> None:
        room = len(self._columns["id"])
        if rows <= room:
            return
        larger = max(rows, 2 * room)
        for name, column in self._columns.items():
            grown = np.empty(larger, column.dtype)
            grown[: self._rows] = column[: self._rows]
            self._columns[name] = grown

    def _push_text(self, batch: Batch) -> None:
        """Results that are no numbers are rare: their list begins with the first of them."""
        if self._text is None and batch.text is None:
            return
        if self._text is None:
            self._text = [None] * self._rows
        self._text.extend(batch.text if batch.text is not None else [None] * len(batch))
