"""DuckDB over the files and the tail: the only place that speaks to it.

The engine reads nothing outside the table's folder, and no query can change its settings.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from nervure.core.error import QueryError, StoreError
from nervure.store.column import COLUMNS, NAMES, names
from nervure.store.failure import explained, is_full
from nervure.store.gone import NOTHING, TABLE, Gone
from nervure.store.shelf import Files

__all__ = ["Engine", "single_query"]

_EMPTY = COLUMNS.empty_table()
_SETTINGS = (
    "SET TimeZone = 'UTC'",
    "SET enable_progress_bar = false",
    "SET python_enable_replacements = false",
    "SET autoinstall_known_extensions = false",
    "SET enable_external_access = false",
    "SET lock_configuration = true",
)


class Engine:
    """An in-memory DuckDB; every question gets a connection of its own, so threads may ask at once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder.resolve()
        self._root = duckdb.connect(":memory:")
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 4
        self._root.execute(f"SET memory_limit = '{memory >> 20}MiB'")
        self._root.execute(f"SET temp_directory = {_quoted(self._folder / '_spill')}")
        self._root.execute(f"SET allowed_directories = [{_quoted(self._folder)}]")
        for setting in _SETTINGS:
            self._root.execute(setting)

    def close(self) -> None:
        """Let go of everything."""
        self._root.close()

    def rows(
        self,
        sql: str,
        files: Files,
        memory: Sequence[pa.Table],
        parameters: Mapping[str, Any] | None = None,
        *,
        gone: Gone = NOTHING,
        limit_s: float = 60.0,
        keys: pa.Table | None = None,
    ) -> pa.Table:
        """Answer a query over ``{observation}``: the rows of some files and of tables in memory.

        Rows of files that are ``gone`` are left out. ``keys`` is a table that the query may join,
        under that name.
        """
        values = dict(parameters or {})
        with self._connection(limit_s) as connection:
            memory = _register(connection, files, memory, gone)
            if keys is not None:
                connection.register("keys", keys)
            union = f"({_union(files, gone, memory)})"
            return connection.sql(sql.replace("{observation}", union), params=values or None).to_arrow_table()

    def ask(self, sql: str, parameters: Mapping[str, Any]) -> pa.Table:
        """Answer a query over files that it names itself."""
        with self._connection(600.0) as connection:
            return connection.sql(sql, params=dict(parameters)).to_arrow_table()

    def view(
        self,
        sql: str,
        files: Files,
        memory: Sequence[pa.Table],
        parameters: Sequence[Any] | Mapping[str, Any] | None,
        *,
        gone: Gone = NOTHING,
        limit_s: float,
    ) -> pa.Table:
        """Answer a query that came from outside, over the view ``observation``."""
        with self._connection(limit_s) as connection:
            single_query(connection, sql)
            memory = _register(connection, files, memory, gone)
            connection.execute(f"CREATE TEMP VIEW observation AS {_union(files, gone, memory)}")
            return connection.sql(sql, params=parameters or None).to_arrow_table()

    @contextmanager
    def _connection(self, limit_s: float) -> Iterator[duckdb.DuckDBPyConnection]:
        """Lend a connection that is interrupted after ``limit_s``, and explain what goes wrong on it."""
        connection = self._root.cursor()
        timer = threading.Timer(limit_s, connection.interrupt)
        timer.daemon = True
        timer.start()
        try:
            yield connection
        except duckdb.InterruptException as cause:
            raise QueryError(
                f"the query was stopped after {limit_s:g} s",
                hint="ask for less: fewer Datastreams, less time",
            ) from cause
        except (duckdb.IOException, duckdb.InternalException) as cause:
            if is_full(cause):
                raise explained("merge files or answer a query", self._folder, cause) from cause
            raise _unreadable(cause, self._folder) from cause
        except duckdb.Error as cause:
            if "arquet" in str(cause) or "magic bytes" in str(cause):
                raise _unreadable(cause, self._folder) from cause
            raise QueryError(f"the query cannot be answered: {_first_line(cause)}") from cause
        finally:
            timer.cancel()
            connection.close()


def _register(
    connection: duckdb.DuckDBPyConnection, files: Files, memory: Sequence[pa.Table], gone: Gone
) -> list[pa.Table]:
    """Name the rows in memory, and return them; where there are none, that takes as long as a question."""
    some = [table for table in memory if len(table)]
    if not some and not files:
        some = [_EMPTY]
    if some:
        connection.register("memory", pa.concat_tables(some))
    if gone.ids:
        connection.register(TABLE, gone.table())
    return some


def _union(files: Files, gone: Gone, memory: Sequence[pa.Table]) -> str:
    """Write the rows in memory, and those in files that are not gone, as one SELECT."""
    found = []
    for lacking, paths in files.lacking.items():
        listed = ", ".join(_quoted(Path(path)) for path in paths)
        found.append(f"SELECT {names(lacking)} FROM read_parquet([{listed}], hive_partitioning = false)")  # noqa: S608
    if gone:
        found = [f"SELECT {NAMES} FROM ({one}) WHERE NOT {gone.condition()}" for one in found]  # noqa: S608
    if memory:
        found.insert(0, f"SELECT {NAMES} FROM memory")  # noqa: S608
    return " UNION ALL ".join(found)


def single_query(connection: duckdb.DuckDBPyConnection, sql: str) -> None:
    """Refuse what is not one query: no statement that changes, copies or attaches anything."""
    statements = connection.extract_statements(sql)
    if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
        raise QueryError(
            "only one SELECT is answered", hint="ask the view `observation`: SELECT count(*) FROM observation"
        )


def _unreadable(cause: duckdb.Error, folder: Path) -> StoreError:
    return StoreError(
        f"a file of the observations cannot be read: {_first_line(cause)}",
        where=str(folder),
        hint="stop and start: opening the store checks its files and repairs what the log can refill",
    )


def _first_line(cause: BaseException) -> str:
    return str(cause).strip().partition("\n")[0]


def _quoted(path: Path) -> str:
    return "'" + str(path).replace("'", "''") + "'"
