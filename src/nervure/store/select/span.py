"""Spans: the first and newest times of Datastreams, brought from memory into the catalogue.

The store of observations knows them at every moment. The catalogue needs them only when somebody
filters or sorts by them, so they are written just before that, and only those that have changed.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence

import sqlalchemy as sa

from nervure.core.sensorthings import BY_NAME, Kind
from nervure.store import sql
from nervure.store.database import Database
from nervure.store.language.option import Options
from nervure.store.language.tree import paths
from nervure.store.select.session import Observed, Times

__all__ = ["Saved", "asked"]

_NAMES = ("phenomenonTime", "resultTime")
_COLUMNS = ("phenomenon_start_ns", "phenomenon_end_ns", "result_start_ns", "result_end_ns")
_NOTHING = (None, None, None, None)


class Saved:
    """What the catalogue was not told yet of the spans."""

    def __init__(self, database: Database, observed: Observed) -> None:
        self._database = database
        self._observed = observed
        self._waiting: dict[int, Times | None] = {}
        self._turn = threading.Lock()

    def flush(self) -> None:
        """Write the spans that have changed since the last time."""
        update = (
            sa.update(sql.datastream)
            .where(sql.datastream.c.id == sa.bindparam("stream"))
            .values({name: sa.bindparam(f"new_{name}") for name in _COLUMNS})
        )
        with self._turn:
            self._waiting |= self._observed.moved()
            if not self._waiting:
                return
            names = [f"new_{name}" for name in _COLUMNS]
            values = [
                {"stream": key, **dict(zip(names, times or _NOTHING, strict=True))}
                for key, times in self._waiting.items()
            ]
            with self._database.write() as connection:
                connection.execute(update, values)
            self._waiting = {}


def asked(options: Options, kind: Kind) -> bool:
    """Return whether the options, or those of an expansion, speak of a time of Datastreams."""
    expressions = [] if options.filter is None else [options.filter]
    expressions += [order.expression for order in options.order]
    if any(_leads(path.steps, kind) for one in expressions for path in paths(one)):
        return True
    for expand in options.expand:
        relation = kind.relation(expand.relation)
        if relation is not None and asked(expand.options, BY_NAME[relation.target]):
            return True
    return False


def _leads(steps: Sequence[str | int], kind: Kind) -> bool:
    """Return whether a path from a kind leads to a time of a Datastream."""
    for step in steps:
        relation = kind.relation(str(step))
        if relation is None:
            return kind.table == sql.datastream.name and step in _NAMES
        kind = BY_NAME[relation.target]
    return False
