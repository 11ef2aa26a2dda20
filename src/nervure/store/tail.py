"""The tail: readings that are not in the table yet, as columns that grow."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nervure.core.columnar import constant, only
from nervure.core.observation import NEUTRAL, Batch

__all__ = ["Tail"]

_ALWAYS = ("id", "datastream", "time", "value")
_PLAIN = ("low", "high", "quality")
_SOMETIMES = ("end_time", "feature", "marks")
_WORDS = ("text", "extra")


class Tail:
    """Columns with room to spare, so that adding a reading copies no other.

    What is the same in all rows takes no room, nor do result times that are the times themselves.

    What :meth:`batch` returned stays as it was: rows are only ever added behind it.

    >>> tail = Tail()
    >>> tail.push(Batch.of(id=[1, 2], datastream=[7, 7], time=[0, 1000], value=[1.5, 2.5]))
    >>> tail.batch().value.tolist(), len(tail)
    ([1.5, 2.5], 2)
    """

    def __init__(self, room: int = 4096) -> None:
        self._columns: dict[str, NDArray[Any]] = {
            name: np.empty(room, NEUTRAL[name].dtype) for name in _ALWAYS
        }
        self._same: dict[str, Any] = {name: NEUTRAL[name] for name in (*_PLAIN, *_SOMETIMES)}
        self._words: dict[str, list[str | None]] = {}
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
        if batch.result_time is not batch.time and "result_time" not in self._columns:
            self._columns["result_time"] = self._columns["time"].copy()
        for name in (*_PLAIN, *_SOMETIMES):
            self._differ(name, getattr(batch, name))
        for name, column in self._columns.items():
            given = getattr(batch, name)
            column[self._rows : end] = NEUTRAL[name] if given is None else given
        for name in _WORDS:
            self._push_words(name, getattr(batch, name), len(batch))
        self._rows = end

    def _differ(self, name: str, given: NDArray[Any] | None) -> None:
        """Make a column of what was the same in all rows, if it is not any more."""
        if name in self._columns:
            return
        value = NEUTRAL[name] if given is None else only(given)
        if value is not None and not self._rows:
            self._same[name] = value
        held = self._same[name]
        if value is None or (value != held and (value == value or held == held)):  # noqa: PLR0124 - NaN
            self._columns[name] = np.full(len(self._columns["id"]), held)

    def batch(self) -> Batch:
        """Return the rows so far, without a copy of the numbers."""
        columns: dict[str, Any] = {name: column[: self._rows] for name, column in self._columns.items()}
        columns.setdefault("result_time", columns["time"])
        for name, value in self._same.items():
            if name not in columns and (name in _PLAIN or value != NEUTRAL[name]):
                columns[name] = constant(value, self._rows)
        words: dict[str, Any] = {name: texts[: self._rows] for name, texts in self._words.items()}
        return Batch(**columns, **words)

    def without(self, rows: NDArray[np.bool_]) -> Tail:
        """Return a tail that lacks some rows ``[row]``, and is as old."""
        rest = Tail(len(self._columns["id"]))
        rest.push(self.batch().take(~rows))
        rest._since = self._since
        return rest

    def _reserve(self, rows: int) -> None:
        room = len(self._columns["id"])
        if rows <= room:
            return
        larger = max(rows, 2 * room)
        for name, column in self._columns.items():
            grown = np.empty(larger, column.dtype)
            grown[: self._rows] = column[: self._rows]
            self._columns[name] = grown

    def _push_words(self, name: str, texts: Sequence[str | None] | None, rows: int) -> None:
        """Texts are rare: their list begins with the first of them."""
        known = self._words.get(name)
        if known is None:
            if texts is None:
                return
            known = self._words[name] = [None] * self._rows
        known.extend([None] * rows if texts is None else texts)
