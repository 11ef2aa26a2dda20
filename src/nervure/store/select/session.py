"""Session: one question's view of the catalogue and the observations, within its limits.

It is what a condition asks over the border between the two: keys of entities for a condition on
Observations, and Datastreams for a condition on their Observations.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, Protocol, TypeAlias

import msgspec
import pyarrow as pa
import sqlalchemy as sa

from nervure.core.error import QueryError
from nervure.core.observation import Batch
from nervure.core.sensorthings import Kind
from nervure.store import sql
from nervure.store.database import Database
from nervure.store.recent import Near
from nervure.store.scope import Scope
from nervure.store.select.among import among
from nervure.store.select.condition import visible
from nervure.store.select.dialect import duck
from nervure.store.select.source import OBSERVATION
from nervure.store.select.stream import Streams

__all__ = ["MOST_IDS", "Limits", "Observed", "Session", "Slow", "Times", "Way", "opened"]

MOST_IDS = 2_000
"""How many keys one statement names; longer lists go in several statements."""

FEW = 1_100
"""So many rows are written out within the 5 ms for which threads of Python hold each other up anyway."""

_STEPS = 20_000
"""After how many steps SQLite looks at the clock."""


Times: TypeAlias = tuple[int, int, int | None, int | None]
"""First and newest phenomenon time and first and newest result time, in nanoseconds."""


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """How much one question may take: rows of a page and of an answer, seconds."""

    page: int = 100
    largest_page: int = 10_000
    rows: int = 100_000
    seconds: float = 30.0


class Observed(Protocol):
    """What is asked of the store of observations."""

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
        """Answer a query over ``{observation}``, opening only the files that may hold such rows."""
        ...

    def count(self, id: int | None = None) -> int:
        """Return how many there are, in all or of one Datastream."""
        ...

    def near(self, wanted: Near, *, deep: bool = True) -> Batch | None:
        """Return some rows of a Datastream in the order of time, or None if memory does not have them."""
        ...

    def span(self, id: int | None = None) -> tuple[int, int] | None:
        """Return the first and the newest time, or None where there is none."""
        ...

    def spans(self, ids: Sequence[int]) -> Mapping[int, Times]:
        """Return the times of each of the Datastreams that has any."""
        ...

    def moved(self) -> Mapping[int, Times | None]:
        """Return the times of the Datastreams for which they may have changed since the last call."""
        ...


class Way(msgspec.Struct, frozen=True, kw_only=True):
    """Whom a session asks: the catalogue, the observations, and what is remembered of Datastreams."""

    database: Database
    observed: Observed
    remembered: Streams


class Slow(Exception):
    """The answer takes longer than a moment."""


class Session:
    """One question: a consistent picture of the catalogue, a scope, a clock and a count of rows."""

    def __init__(
        self, way: Way, scope: Scope, limits: Limits, stack: ExitStack, *, at_once: bool = False
    ) -> None:
        self.observed = way.observed
        self.scope = scope
        self.limits = limits
        self.known: dict[int, dict[str, Any] | None] = {}
        """Observations by id that were looked for already: a path asks for each of its steps."""
        self._way = way
        self._changes = way.database.changes
        self._stack = stack
        self._at_once = at_once
        self._connection: sa.Connection | None = None
        self._ends = time.monotonic() + limits.seconds
        self._rows = 0
        self._streams: list[int] | None = None
        self._alone = False

    # --- asking ----------------------------------------------------------------------------------

    def sql(self, statement: sa.Select[Any]) -> list[Mapping[str, Any]]:
        """Answer a statement over the catalogue."""
        self.check()
        if self._connection is None:
            self._wait()
            self._connection = self._stack.enter_context(self._way.database.read())
            self._stack.enter_context(_bounded(self._connection, self.limits.seconds))
        try:
            found: list[Any] = list(self._connection.execute(statement).mappings())
        except (sa.exc.DataError, sa.exc.ProgrammingError, sa.exc.OperationalError) as cause:
            self.check()
            text = str(cause.orig).partition("\n")[0]
            raise QueryError(f"the catalogue cannot answer this: {text}") from cause
        return found

    def duck(self, statement: sa.Select[Any], **choice: Any) -> pa.Table:
        """Answer a statement over :data:`OBSERVATION`; ``choice`` says which files may hold such rows."""
        self._wait()
        text, parameters = duck(statement)
        self.check()
        return self.observed.ask(text, parameters, **choice, limit_s=self._ends - time.monotonic())

    def near(self, wanted: Near) -> Batch | None:
        """Return some rows of a Datastream in the order of time, or None if memory does not have them."""
        if wanted.rows > FEW:
            self._wait()
        found = self.observed.near(wanted, deep=not self._at_once)
        if found is None:
            self._wait()
        return found

    def _wait(self) -> None:
        """Give up if the answer may not take its time."""
        if self._at_once:
            raise Slow

    def check(self) -> None:
        """Refuse to go on when the time is over."""
        if time.monotonic() >= self._ends:
            raise QueryError(
                f"the query was stopped after {self.limits.seconds:g} s",
                hint="ask for less: a narrower $filter, a smaller $top, fewer $expand",
            )

    def count(self, rows: int) -> None:
        """Count rows that go into the answer, and refuse one that is too large."""
        self._rows += rows
        if self._rows > 3 * self.limits.rows:
            raise QueryError(
                "the answer is too large", hint="ask for smaller pages: $expand=Datastreams($top=10)"
            )

    def facts(self, ids: Iterable[int]) -> Mapping[int, Mapping[str, Any]]:
        """Return id, key, multi and project_id of those of some Datastreams that there are."""
        return self._way.remembered.of(ids, self.sql, self._changes)

    # --- what is seen ----------------------------------------------------------------------------

    @property
    def project(self) -> int | None:
        """Whose entities are seen."""
        return self.scope.project

    def seen(self, kind: Kind, table: sa.FromClause | None = None) -> list[sa.ColumnElement[bool]]:
        """Return the conditions under which a row is of that kind and in sight."""
        if kind.table == "observation":
            streams = self.streams()
            return [] if streams is None else [among(OBSERVATION.c.datastream, streams)]
        return visible(kind, self.project, table)

    def streams(self) -> list[int] | None:
        """Return the Datastreams of the scope's project; None means all, as where nobody has others."""
        if self.project is None:
            return None
        if self._streams is None:
            mine = sql.datastream.c.project_id == self.project
            self._alone = not self.sql(sa.select(sql.datastream.c.id).where(sa.not_(mine)).limit(1))
            wanted = sa.select(sql.datastream.c.id).where(mine)
            self._streams = [] if self._alone else [row["id"] for row in self.sql(wanted)]
        return None if self._alone else self._streams

    # --- what a condition asks over the border ---------------------------------------------------

    def datastreams_with(self, condition: sa.ColumnElement[bool]) -> Sequence[int]:
        """Return the Datastreams that have an Observation for which the condition holds."""
        return self._distinct(OBSERVATION.c.datastream, condition)

    def features_with(self, condition: sa.ColumnElement[bool]) -> Sequence[int]:
        """Return the features of Observations for which the condition holds."""
        return self._distinct(OBSERVATION.c.feature, condition)

    def rows(self, statement: sa.Select[Any]) -> Sequence[Sequence[Any]]:
        """Answer a statement over the catalogue, each row as a tuple."""
        return [tuple(row.values()) for row in self.sql(statement)]

    def _distinct(self, column: sa.ColumnElement[Any], condition: sa.ColumnElement[bool]) -> Sequence[int]:
        mine = self.streams()
        where = condition if mine is None else sa.and_(among(OBSERVATION.c.datastream, mine), condition)
        found = self.duck(sa.select(column.label("key")).where(where).distinct(), ids=mine)
        return [key for key in found["key"].to_pylist() if key]


@contextmanager
def opened(way: Way, scope: Scope, limits: Limits, *, at_once: bool = False) -> Iterator[Session]:
    """Open a session; the catalogue is asked nothing before it has to, and stops work that outlives it.

    One that answers ``at_once`` raises `Slow` where it would have to ask the catalogue or open files.
    """
    with ExitStack() as stack:
        yield Session(way, scope, limits, stack, at_once=at_once)


@contextmanager
def _bounded(connection: sa.Connection, seconds: float) -> Iterator[None]:
    if connection.dialect.name != "sqlite":
        connection.exec_driver_sql(f"SET LOCAL statement_timeout = {max(1, round(seconds * 1000))}")
        yield
        return
    driver: Any = connection.connection.driver_connection
    ends = time.monotonic() + seconds
    driver.set_progress_handler(lambda: time.monotonic() >= ends, _STEPS)
    try:
        yield
    finally:
        driver.set_progress_handler(None, 0)
