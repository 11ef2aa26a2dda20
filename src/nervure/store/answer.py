"""Answers: the questions that are asked of the observations, in files and in memory together."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from nervure.core.observation import Batch, Observation
from nervure.core.window import Table
from nervure.store import curve, look
from nervure.store.column import to_arrow
from nervure.store.curve import Curve, Goodness, Summed
from nervure.store.duplicate import Key, Keys
from nervure.store.engine import Engine
from nervure.store.latest import NEVER, Span, Summary
from nervure.store.look import View
from nervure.store.memory import Memory
from nervure.store.page import Page, page
from nervure.store.recent import Near
from nervure.store.shelf import Files, Shelf

__all__ = ["Answers"]

FEW_ROWS = 64
"""So many newest rows of a Datastream are kept in memory once they were asked for."""


class Answers:
    """What can be asked; every answer holds each row once, whatever is being written meanwhile."""

    _engine: Engine
    _shelf: Shelf
    _memory: Memory
    _state: threading.RLock

    def _view(self, ids: Sequence[int] | None = None, start_ns: int | None = None) -> View:
        """Return files and memory that together hold every row once.

        Where memory has all there is of a few Datastreams from an instant on, it is enough.
        """
        with self._state:
            memory = self._memory
            if ids is not None and len(ids) <= look.FEW and memory.holds(ids, start_ns):
                return View(engine=self._engine, shelf=None, memory=(*memory.recent(), *memory.parts()))
            return View(engine=self._engine, shelf=self._shelf, memory=memory.parts(), gone=memory.gone)

    def last(self, ids: Sequence[int]) -> dict[int, tuple[int, float]]:
        """Return time in nanoseconds and value of the newest reading of each Datastream that has one."""
        with self._state:
            return self._memory.latest.last(ids)

    def newest(self) -> Summary:
        """Return one row a Datastream that has readings: its newest time and value, its first, how many."""
        with self._state:
            return self._memory.latest.summary()

    def curves(self, ids: Sequence[int], start_ns: int, end_ns: int) -> dict[int, Curve]:
        """Return the numbers with ``start <= time < end`` of each Datastream that has any, by time."""
        return curve.curves(self._view(ids, start_ns), ids, start_ns, end_ns)

    def matrix(
        self, ids: Sequence[int], start_ns: int, end_ns: int, columns: int, summed: Summed = "mean"
    ) -> NDArray[np.float32]:
        """Return what numbers come to in each of some equal parts of time ``[stream, column]``, NaN: nothing.

        ``ids`` rise.
        """
        rows = self.about(ids, start_ns, end_ns)
        return curve.matrix(self._view(ids, start_ns), ids, start_ns, end_ns, columns, summed, rows=rows)

    def quality(self, ids: Sequence[int], every_ns: Sequence[int], start_ns: int, end_ns: int) -> Goodness:
        """Return how good what some Datastreams sent in a span is; ``ids`` rise, an interval of 0 is none."""
        return curve.quality(self._view(ids, start_ns), ids, every_ns, start_ns, end_ns)

    def about(self, ids: Sequence[int], start_ns: int, end_ns: int) -> float:
        """Return about how many rows some Datastreams have in a span, as if theirs came evenly."""
        newest = self.newest()
        mine = np.isin(newest.datastream, np.asarray(ids, dtype=np.int64))
        first, last, rows = newest.first[mine], newest.time[mine], newest.rows[mine]
        within = np.minimum(last, end_ns) - np.maximum(first, start_ns)
        return float((rows * np.clip(within / np.maximum(last - first, 1), 0.0, 1.0)).sum())

    def since(self, ids: Sequence[int], identity: int, limit: int) -> Batch:
        """Return the rows of some Datastreams that came after an id, the first ``limit`` by id."""
        return look.since(self._view(), ids, identity, limit)

    def newest_after(self, ids: Sequence[int], identity: int) -> dict[int, tuple[int, float, int]]:
        """Return of each Datastream time (ns) and value of its newest row that came after an id.

        The third is the greatest id among them. Raises ``StoreError`` where the disk does not answer.
        """
        return look.newest_after(self._view(), ids, identity)

    def count(self, id: int | None = None) -> int:
        """Return how many readings there are, in all or of one Datastream."""
        with self._state:
            return self._memory.latest.count(id)

    def span(self, id: int | None = None) -> tuple[int, int] | None:
        """Return the first and the newest time in nanoseconds, or None where there is no reading."""
        with self._state:
            return self._memory.latest.span(id)

    def spans(self, ids: Sequence[int]) -> dict[int, Span]:
        """Return the times of each of the Datastreams that has readings."""
        with self._state:
            return self._memory.latest.spans(ids)

    def moved(self) -> dict[int, Span | None]:
        """Return the times of the Datastreams for which they may have changed since the last call.

        ``None`` is for one that has no readings. After opening, all may have changed.
        """
        with self._state:
            ids = self._memory.latest.take_moved()
            return dict.fromkeys(ids) | self._memory.latest.spans(ids)

    def series(self, ids: Sequence[int], start_ns: int | None = None, end_ns: int | None = None) -> Batch:
        """Return the readings with ``start <= time < end``, sorted by Datastream, time, result time."""
        return look.series(self._view(ids, start_ns), ids, start_ns, end_ns)

    def table(
        self,
        ids: Sequence[int],
        names: Sequence[str],
        every_ns: int,
        start_ns: int | None = None,
        end_ns: int | None = None,
        *,
        good_only: bool = True,
        measured: Sequence[int] = (),
    ) -> Table:
        """Return a regular history ``[slot, stream]``: in each slot the reading that came last.

        With ``start_ns`` and ``end_ns`` the table spans exactly the slots between them. Of Datastreams
        ``measured`` results from before their time, which are forecasts, are left out.
        """
        span = (start_ns, end_ns)
        view = self._view()
        return look.table(view, ids, names, every_ns, span, good_only=good_only, measured=measured)

    def near(self, wanted: Near, *, deep: bool = True) -> Batch | None:
        """Return some rows of a Datastream in the order of time, or None if memory does not have them.

        A few newest rows that it does not have are fetched for good, unless ``deep`` is false.
        """
        with self._state:
            memory = self._memory
            hand = memory.hand(wanted.datastream)
        found = hand.near(wanted)
        if found is not None or not deep or not wanted.falling or wanted.rows > FEW_ROWS:
            return found
        rows = 4 * FEW_ROWS
        newest = self.page(wanted.datastream, limit=rows, descending=True)
        with self._state:
            if not len(newest) or memory is not self._memory:
                return None
            if not memory.recall(newest, hand, int(newest.time[-1]) if len(newest) == rows else NEVER):
                return None
            hand = memory.hand(wanted.datastream)
        return hand.near(wanted)

    def by_id(self, identity: int) -> Observation | None:
        """Return the observation of that id, or None."""
        return look.by_id(self._view(), identity)

    def holders(self, keys: Keys) -> dict[Key, int]:
        """Return the ids of the rows that have some keys (Datastream, time, result time)."""
        return look.holders(self._view(), keys)

    def page(
        self,
        datastream: int | None = None,
        *,
        limit: int = 100,
        skip: int = 0,
        order: str = "time",
        descending: bool = False,
        after: tuple[int, int] | None = None,
    ) -> Batch:
        """Return some readings in the order of ``time``, ``result_time`` or ``id``.

        ``after`` is the (time, id) of the last row of the page before, in the order of time: it
        costs the same on every page, where ``skip`` costs more the further it goes.
        """
        wanted = Page(
            datastream=datastream, limit=limit, skip=skip, order=order, descending=descending, after=after
        )
        return page(self._view(), wanted, self.span(datastream), self.count(datastream))

    def ask(
        self,
        sql: str,
        parameters: Mapping[str, Any] | None = None,
        *,
        ids: Sequence[int] | None = None,
        start_ns: int | None = None,
        end_ns: int | None = None,
        identity: int | Sequence[int] | None = None,
        limit_s: float = 60.0,
    ) -> pa.Table:
        """Answer DuckDB's SQL over ``{observation}``, with ``$parameters``; for our own questions only.

        The rest says which rows the answer can come from, so that other files stay closed: of some
        Datastreams, in ``start <= time < end``, of one id or of some. It filters nothing by itself.
        """
        return self._view(ids, start_ns).ask(
            sql,
            dict(parameters or {}),
            limit_s=limit_s,
            ids=ids,
            start_ns=start_ns,
            end_ns=end_ns,
            identity=identity,
        )

    def query(
        self,
        sql: str,
        parameters: Sequence[Any] | Mapping[str, Any] | None = None,
        *,
        limit_s: float = 30.0,
    ) -> pa.Table:
        """Answer one SELECT over the view ``observation`` (DuckDB's SQL); instants are in UTC.

        A malformed query, or one that takes longer than ``limit_s``, raises ``QueryError``.
        """
        view = self._view()
        memory = [to_arrow(batch) for batch in view.memory]
        files = Files() if view.shelf is None else view.shelf.choose()
        return self._engine.view(sql, files, memory, parameters, gone=view.gone, limit_s=limit_s)
