"""Streams: by which key a client knows each Datastream, whether it is a Multi one, and whose it is.

Nearly every question needs to know it and it hardly ever changes, so it is remembered: until this
process changes the catalogue, and for a second, as another process may.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from nervure.store import sql
from nervure.store.database import Database
from nervure.store.select.among import among

__all__ = ["Streams"]

REMEMBERED_S = 1.0
MOST = 10_000
_TABLE = sql.datastream
_COLUMNS = (_TABLE.c.id, _TABLE.c.key, _TABLE.c.multi, _TABLE.c.project_id)

Row = Mapping[str, Any]


class Streams:
    """What is remembered of Datastreams, for all threads."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._kept: tuple[dict[int, Row | None], int, float] = ({}, -1, 0.0)

    def of(
        self, ids: Iterable[int], ask: Callable[[sa.Select[Any]], Sequence[Row]], changes: int
    ) -> dict[int, Row]:
        """Return those of some Datastreams that there are.

        ``ask`` puts a question to the catalogue, as it was after so many changes or later.
        """
        wanted = list(ids)
        if self._database.joined:  # what this thread sees is not kept yet
            return _asked(wanted, ask)
        known, since, until = self._kept
        now = time.monotonic()
        if changes != since or now >= until or len(known) > MOST:
            known = {}
            self._kept = (known, changes, now + REMEMBERED_S)
        if missing := [one for one in wanted if one not in known]:
            known |= dict.fromkeys(missing) | _asked(missing, ask)
        return {one: row for one in wanted if (row := known[one]) is not None}


def _asked(ids: Sequence[int], ask: Callable[[sa.Select[Any]], Sequence[Row]]) -> dict[int, Row]:
    return {row["id"]: row for row in ask(sa.select(*_COLUMNS).where(among(_TABLE.c.id, ids)))}
