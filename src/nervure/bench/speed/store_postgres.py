"""PostgreSQL beside the store: one table with a primary key, rows in and out by its binary COPY.

The format: https://www.postgresql.org/docs/current/sql-copy.html, "Binary Format".
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
import pyarrow as pa
from numpy.typing import NDArray
from psycopg.abc import Query

from nervure.bench.speed.postgres import Server
from nervure.bench.speed.store_rows import SENSORS, Part
from nervure.bench.speed.store_subject import POSTGRES, Answer, Asked, placed

__all__ = ["OPTIONS", "Postgres"]

OPTIONS = (
    *("-c", "shared_buffers=1GB"),
    *("-c", "work_mem=256MB"),
    *("-c", "max_wal_size=8GB"),
    *("-c", "timezone=UTC"),
)

_MADE = """
    CREATE TABLE IF NOT EXISTS observation (datastream bigint NOT NULL, time timestamptz NOT NULL,
        result_time timestamptz NOT NULL, id bigint NOT NULL, value double precision NOT NULL,
        quality smallint NOT NULL, PRIMARY KEY (datastream, time))
"""
_COLUMNS = ("datastream", "time", "result_time", "id", "value", "quality")
_COPY = f"COPY observation ({', '.join(_COLUMNS)}) FROM STDIN BINARY".encode()
_LATEST = f"""
    SELECT sensor::bigint, time, value FROM generate_series(1, {SENSORS}) AS sensor, LATERAL
    (SELECT time, value FROM observation WHERE datastream = sensor ORDER BY time DESC LIMIT 1) AS newest
"""  # noqa: S608 - constant text
_SLOT = "date_bin('15 minutes', time, timestamptz 'epoch')"
_EPOCH_US = 946_684_800_000_000  # its instants count from 2000
_HEAD = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_LAST = b"\xff\xff"
_SOME = "FROM observation WHERE datastream BETWEEN {first} AND {last} AND time >= {start} AND time < {end}"


class Postgres:
    """A table in a server; this process is its client."""

    name = POSTGRES

    def __init__(self, server: Server | None = None, where: str = "") -> None:
        self._server = server
        self._where = where
        self._connect()
        self._connection.execute(_MADE)

    @property
    def place(self) -> str:
        """How psycopg finds it."""
        return self._where if self._server is None else self._server.where

    def _connect(self) -> None:
        self._connection = psycopg.connect(self.place, autocommit=True)

    def cpu_s(self) -> float:
        """Return the processor seconds of this process and of the server's."""
        return time.process_time() + (0.0 if self._server is None else self._server.cpu_s())

    def write(self, part: Part) -> None:
        """Copy rows in, each commit a transaction."""
        for rows in part.commits():
            with self._connection.cursor() as cursor, cursor.copy(_COPY) as copy:
                copy.write(_HEAD + _tuples(rows).tobytes() + _LAST)

    def settle(self) -> None:
        """Vacuum and analyse, and write all of it into its files."""
        self._connection.execute("VACUUM ANALYZE observation")
        self._connection.execute("CHECKPOINT")

    def size(self) -> int:
        """Return the bytes of table and index."""
        found = self._connection.execute("SELECT pg_total_relation_size('observation')").fetchone()
        return int(found[0]) if found else 0

    def open(self) -> None:
        """Start the server anew, and connect."""
        if self._server is not None:
            self._server.stop()
            self._server.start()
        self._connect()

    def files(self) -> Iterable[Path]:
        """Return the files of its databases."""
        if self._server is None:
            return []
        return [one for one in (self._server.place / "data" / "base").rglob("*") if one.is_file()]

    def refresh(self) -> None:
        """Do nothing: each question sees what is committed."""

    def close(self) -> None:
        """Let go."""
        self._connection.close()

    def last(self, asked: Asked) -> Answer:
        """Look into the index for each sensor."""
        return self._instants(_LATEST, "itf")

    def day(self, asked: Asked) -> Answer:
        """Ask for a range of the index."""
        where = _where(asked.sensor, asked.sensor, asked.day)
        return self._instants(f"SELECT time, value {where} ORDER BY time", "tf")

    def means(self, asked: Asked) -> Answer:
        """Ask for means."""
        where = _where(asked.first, asked.last, asked.week)
        return self._instants(f"SELECT datastream, {_SLOT}, avg(value) {where} GROUP BY 1, 2", "itf")

    def count(self, asked: Asked) -> Answer:
        """Count."""
        return self._ask("SELECT count(*) FROM observation", "i")

    def table(self, asked: Asked) -> Answer:
        """Take the rows and put them on the minutes; which of several in a minute counts is not asked."""
        where = _where(asked.first, asked.last, asked.history)
        sensor, moment, value = self._ask(f"SELECT datastream, time, value {where}", "itf")
        return placed(asked, sensor, moment + _EPOCH_US, value)

    def _instants(self, sql: str, kinds: str) -> Answer:
        """Ask for columns, of which the last but one holds instants, as nanoseconds since 1970."""
        *keys, moment, value = self._ask(sql, kinds)
        return (*keys, (moment + _EPOCH_US) * 1000, value)

    def _ask(self, sql: str, kinds: str) -> Answer:
        """Return columns of whole numbers and instants (``i``, ``t``: 8 bytes) and floats (``f``)."""
        query: Query = f"COPY ({sql}) TO STDOUT BINARY".encode()
        with self._connection.cursor() as cursor, cursor.copy(query) as copy:
            found = b"".join(copy)
        fields = [("fields", ">i2")]
        for place, kind in enumerate(kinds):
            fields += [(f"size{place}", ">i4"), (f"{place}", ">f8" if kind == "f" else ">i8")]
        rows = np.frombuffer(found[len(_HEAD) : -len(_LAST)], np.dtype(fields))
        return tuple(_native(rows[f"{place}"]) for place in range(len(kinds)))


def _native(column: NDArray[Any]) -> NDArray[Any]:
    return column.astype(column.dtype.newbyteorder("="))


def _where(first: int, last: int, span: tuple[int, int]) -> str:
    start, end = (f"to_timestamp({one / 1e9!r})" for one in span)
    return _SOME.format(first=first, last=last, start=start, end=end)


def _tuples(rows: pa.Table) -> NDArray[Any]:
    """Lay rows out as COPY takes them: the number of fields, then the length and the bytes of each."""
    wide = {name: ">f8" if name == "value" else ">i2" if name == "quality" else ">i8" for name in _COLUMNS}
    fields = [("fields", ">i2")]
    for name, kind in wide.items():
        fields += [(f"{name} size", ">i4"), (name, kind)]
    found = np.empty(rows.num_rows, np.dtype(fields))
    found["fields"] = len(wide)
    for name in wide:
        column = rows[name]
        if name in {"time", "result_time"}:
            column = column.cast(pa.int64())
        found[name] = column.to_numpy() - (_EPOCH_US if name in {"time", "result_time"} else 0)
        found[f"{name} size"] = found[name].dtype.itemsize
    return found
