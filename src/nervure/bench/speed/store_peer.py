"""Peers of ``nervure bench store`` inside the process: DuckDB's own table, plain Parquet, plain Delta.

Each is used as its own guide shows it, with its defaults; all are asked through DuckDB.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow.dataset as ds
import pyarrow.parquet as pq
from deltalake import DeltaTable, write_deltalake

from nervure.bench.speed.store_ours import delta_files
from nervure.bench.speed.store_rows import SLOT_NS, Part
from nervure.bench.speed.store_subject import DELTA, DUCKDB, PARQUET, Answer, Asked, placed, weight
from nervure.core.instant import DAY_NS

__all__ = ["Asking", "DuckTable", "PlainDelta", "PlainParquet"]

_WITHIN = "FROM observation WHERE time >= make_timestamptz($start) AND time < make_timestamptz($end)"
_ONE, _SOME = "datastream = $sensor", "datastream BETWEEN $first AND $last"
_SLOT = "epoch_us(time) // 900000000"


class Asking:
    """The questions in DuckDB's SQL over ``observation``; ``by_day`` names the partitions too."""

    by_day = False
    connection: duckdb.DuckDBPyConnection

    def cpu_s(self) -> float:
        """Return the processor seconds of this process."""
        return time.process_time()

    def last(self, asked: Asked) -> Answer:
        """Scan for the newest of each."""
        found = self._ask(
            "SELECT datastream, epoch_us(max(time)) AS time, arg_max(value, time) AS value "
            "FROM observation GROUP BY datastream"
        )
        return found["datastream"], found["time"] * 1000, found["value"]

    def day(self, asked: Asked) -> Answer:
        """Ask for a range of one sensor."""
        found = self._ask(
            f"SELECT epoch_us(time) AS time, value {self._during(asked.day)} AND {_ONE} ORDER BY time",
            asked.day,
            sensor=asked.sensor,
        )
        return found["time"] * 1000, found["value"]

    def means(self, asked: Asked) -> Answer:
        """Ask for means."""
        found = self._ask(
            f"SELECT datastream, {_SLOT} AS slot, avg(value) AS mean {self._during(asked.week)} AND {_SOME} "
            "GROUP BY 1, 2",
            asked.week,
            first=asked.first,
            last=asked.last,
        )
        return found["datastream"], found["slot"] * SLOT_NS, found["mean"]

    def count(self, asked: Asked) -> Answer:
        """Count."""
        return (self._ask("SELECT count(*) AS rows FROM observation")["rows"],)

    def table(self, asked: Asked) -> Answer:
        """Take the rows and put them on the minutes; which of several in a minute counts is not asked."""
        found = self._ask(
            f"SELECT datastream, epoch_us(time) AS time, value {self._during(asked.history)} AND {_SOME}",
            asked.history,
            first=asked.first,
            last=asked.last,
        )
        return placed(asked, found["datastream"], found["time"], found["value"])

    def _during(self, span: tuple[int, int]) -> str:
        if not self.by_day:
            return _WITHIN
        first, last = (np.datetime64(int(one), "D") for one in (span[0] // DAY_NS, (span[1] - 1) // DAY_NS))
        return f"{_WITHIN} AND day BETWEEN DATE '{first}' AND DATE '{last}'"

    def _ask(self, sql: str, span: tuple[int, int] | None = None, **values: Any) -> dict[str, Any]:
        if span is not None:
            values |= {"start": span[0] // 1000, "end": span[1] // 1000}
        found = self.connection.execute(sql, values or None).fetchnumpy()
        return {name: np.asarray(column) for name, column in found.items()}


class DuckTable(Asking):
    """A table in a file of DuckDB's own; each insertion is a transaction."""

    name = DUCKDB

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._file = folder / "observation.duckdb"
        self.place = str(folder)
        self.open()
        self.connection.execute(
            "CREATE TABLE IF NOT EXISTS observation (datastream BIGINT, time TIMESTAMPTZ, "
            "result_time TIMESTAMPTZ, id BIGINT, value DOUBLE, quality TINYINT)"
        )

    def open(self) -> None:
        """Open the file."""
        self.connection = duckdb.connect(str(self._file))
        self.connection.execute("SET TimeZone = 'UTC'")

    def write(self, part: Part) -> None:
        """Insert Arrow tables."""
        for rows in part.commits():
            self.connection.register("given", rows)
            self.connection.execute(
                "INSERT INTO observation SELECT datastream, time, result_time, id, value, quality FROM given"
            )
            self.connection.unregister("given")

    def settle(self) -> None:
        """Write the log of changes into the table."""
        self.connection.execute("CHECKPOINT")

    def size(self) -> int:
        """Return the bytes of the file and its log."""
        return weight(self.files())

    def files(self) -> Iterable[Path]:
        """Return the file and its log."""
        return [one for one in self._file.parent.iterdir() if one.is_file()]

    def refresh(self) -> None:
        """Do nothing: no second process can open the file."""

    def close(self) -> None:
        """Let go."""
        self.connection.close()


class PlainParquet(Asking):
    """Files in a folder a day, written by pyarrow; settled, a day is one file in the order of arrival."""

    name = PARQUET
    by_day = True

    def __init__(self, folder: Path) -> None:
        self.place = str(folder)
        self._folder = folder
        self._made = 0
        folder.mkdir(parents=True, exist_ok=True)
        self.open()

    def write(self, part: Part) -> None:
        """Write each commit's days into files of their own."""
        for rows in part.commits():
            self._made += 1
            ds.write_dataset(
                rows,
                self._folder,
                format="parquet",
                partitioning=["day"],
                partitioning_flavor="hive",
                basename_template=f"part-{self._made}-{{i}}.parquet",
                existing_data_behavior="overwrite_or_ignore",
            )

    def settle(self) -> None:
        """Put the files of each day into one."""
        for day in self._folder.iterdir():
            old = sorted(day.iterdir(), key=lambda file: int(file.stem.split("-")[1]))
            if len(old) > 1:
                self._made += 1
                pq.write_table(ds.dataset(old).to_table(), day / f"whole-{self._made}-0.parquet")
                for file in old:
                    file.unlink()

    def size(self) -> int:
        """Return the bytes of the files."""
        return weight(self.files())

    def open(self) -> None:
        """Start DuckDB."""
        self.connection = duckdb.connect()
        self.connection.execute("SET TimeZone = 'UTC'")

    def files(self) -> Iterable[Path]:
        """Return the files."""
        return self._folder.rglob("*.parquet")

    def refresh(self) -> None:
        """Do nothing: the folder is listed by every question."""

    def close(self) -> None:
        """Let go."""
        self.connection.close()

    def _ask(self, sql: str, span: tuple[int, int] | None = None, **values: Any) -> dict[str, Any]:
        source = f"read_parquet('{self._folder}/*/*.parquet', hive_partitioning = true)"
        return super()._ask(sql.replace("FROM observation", f"FROM {source}"), span, **values)


class PlainDelta(Asking):
    """A Delta table by day as ``write_deltalake`` makes it, in the order of arrival."""

    name = DELTA
    by_day = True

    def __init__(self, folder: Path) -> None:
        self.place = str(folder)
        self._folder = folder
        self.open()

    def write(self, part: Part) -> None:
        """Append in commits."""
        for rows in part.commits():
            write_deltalake(self._folder, rows, mode="append", partition_by=["day"])

    def settle(self) -> None:
        """Merge files as Delta does by itself, and delete what is left over."""
        table = DeltaTable(self._folder)
        table.optimize.compact()
        table.vacuum(retention_hours=0, dry_run=False, enforce_retention_duration=False)
        self.refresh()

    def size(self) -> int:
        """Return the bytes of the files of the newest version and of the log of the table."""
        return weight(delta_files(self._folder))

    def open(self) -> None:
        """Start DuckDB, over the newest version."""
        self.connection = duckdb.connect()
        self.connection.execute("SET TimeZone = 'UTC'")
        if self._folder.exists():
            self.refresh()

    def files(self) -> Iterable[Path]:
        """Return the files."""
        return (file for file in self._folder.rglob("*") if file.is_file())

    def refresh(self) -> None:
        """See the newest version."""
        self.connection.register("observation", DeltaTable(self._folder).to_pyarrow_dataset())

    def close(self) -> None:
        """Let go."""
        self.connection.close()
