"""The Delta table of observations: commits that carry the log position, merging, retention.

Delta Lake protocol: https://github.com/delta-io/delta/blob/master/PROTOCOL.md ("Transaction
Identifiers", "Add File and Remove File"). Each commit of readings sets two transaction
identifiers: ``log``, the last log position it holds, and ``log-before``, the position of the
commit before it, up to which the log may be forgotten.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec
from deltalake import (
    CommitProperties,
    DeltaTable,
    Schema,
    Transaction,
)
from deltalake._internal import RemoveAction
from deltalake.transaction import AddAction

from nervure.core.observation import observation_id
from nervure.store import sums
from nervure.store.column import SCHEMA
from nervure.store.failure import storing
from nervure.store.shelf import Shelf, day_text, shelve

__all__ = ["BEFORE", "OURS", "SUM", "Delta", "Fresh", "create", "position_of", "positions", "widen"]

LOG = "log"
BEFORE = "log-before"
MERGE = "merge"

OURS = {"writer": "nervure"}
"""What marks our commits: the last action of each is a transaction identifier."""

SUM = "sum"
"""Under this a commit says the sum of what it says."""

KEEP_FILES_H = 1
"""How long files stay that no version of the table needs: readers may be at them."""

_REOPEN_AFTER = 64
_CONFIGURATION = {
    "delta.logRetentionDuration": "interval 6 hours",
    "delta.deletedFileRetentionDuration": f"interval {KEEP_FILES_H} hours",
    "delta.checkpointInterval": "100",
}
_CLOCK_NS = 100_000_000  # how coarse a file system's clock may be


def create(folder: Path) -> DeltaTable:
    """Make an empty table."""
    with storing("create the observations", folder):
        return DeltaTable.create(
            folder,
            schema=SCHEMA,
            partition_by=["day"],
            name="observations",
            description="Observations by UTC day, sorted by datastream and time; written by Nervure.",
            configuration=_CONFIGURATION,
        )


def widen(folder: Path, table: DeltaTable) -> DeltaTable:
    """Give a table of an older version the columns that it lacks; its files stay as they are."""
    known = {field.name for field in table.schema().fields}
    missing = [field for field in Schema.from_arrow(SCHEMA).fields if field.name not in known]
    if not missing:
        return table
    with storing("add columns to the observations", folder):
        before = table.transaction_version(BEFORE) or 0
        table.alter.add_columns(missing, commit_properties=positions(position_of(table), before))
        return DeltaTable(folder)


def position_of(table: DeltaTable) -> int:
    """Return the last log position that a version of the table holds."""
    return table.transaction_version(LOG) or 0


def positions(position: int, before: int) -> CommitProperties:
    """Return the properties of a commit that holds the log up to ``position``."""
    marks = [Transaction(LOG, position), Transaction(BEFORE, before)]
    return CommitProperties(custom_metadata=OURS, app_transactions=marks)


class Fresh(msgspec.Struct, frozen=True, kw_only=True):
    """A file that was written and is in no version of the table yet."""

    path: Path
    day: int
    statistics: str


class Delta:
    """The writer's side of the table. It is not thread-safe: the caller holds a lock."""

    def __init__(self, folder: Path, table: DeltaTable) -> None:
        self.folder = folder
        self._table = table
        self._commits = 0
        self._doubt = False
        self._known: tuple[int, int] | None = None

    @property
    def position(self) -> int:
        """The last log position in a commit."""
        return self._positions()[0]

    @property
    def before(self) -> int:
        """The log position of the commit before."""
        return self._positions()[1]

    def _positions(self) -> tuple[int, int]:
        """Read both once a version: the table looks for them in its whole log."""
        if self._known is None:
            self._known = position_of(self._table), self._table.transaction_version(BEFORE) or 0
        return self._known

    def shelf(self) -> Shelf:
        """Return the files of the newest version."""
        with storing("list the observations", self.folder):
            return shelve(self._table, self.folder)

    def refresh(self) -> None:
        """See what another process has committed."""
        with storing("read the observations", self.folder):
            self._table.update_incremental()
            self._known = None

    def certain(self) -> int:
        """Return the position; if the last commit seemed to fail, look first whether it did."""
        if self._doubt:
            with storing("open the observations", self.folder):
                self._table = DeltaTable(self.folder)
            self._doubt, self._known = False, None
        return self.position

    def exchange(self, shelf: Shelf, old: Sequence[int], new: Path, statistics: str) -> None:
        """Put one merged file in the place of several of the same day; no row changes."""
        now = time.time_ns() // 1_000_000
        fresh = Fresh(path=new, day=int(shelf.day[old[0]]), statistics=statistics)
        actions: list[AddAction | RemoveAction] = [_addition(self.folder, fresh, now)]
        actions += [_removal(self.folder, shelf, number, now) for number in old]
        self._sum(self.shelf(), [fresh])  # others may have been sealed since it was merged
        with self._committing("merge files"):
            self._commit(actions, self._mark())

    def rewrite(self, shelf: Shelf, old: Sequence[int], new: Sequence[Fresh], position: int) -> None:
        """Add files, and take out those whose rows they replace, in one commit that carries ``position``."""
        now = time.time_ns() // 1_000_000
        actions: list[AddAction | RemoveAction] = [
            _addition(self.folder, fresh, now, change=True) for fresh in new
        ]
        actions += [_removal(self.folder, shelf, number, now, change=True) for number in old]
        self._sum(shelf, new)
        known = position, self.position
        with self._committing("store readings"):
            self._commit(actions, positions(*known))
        self._known = known

    def drop(self, shelf: Shelf, files: Sequence[int], *, refill: bool = False) -> None:
        """Take files out of the table, with their rows.

        With ``refill`` the position goes back as far as the log reaches, so that it is read again.
        """
        now = time.time_ns() // 1_000_000
        actions: list[AddAction | RemoveAction] = [
            _removal(self.folder, shelf, number, now, change=True) for number in files
        ]
        marks = positions(self.before, self.before) if refill else self._mark()
        with self._committing("drop files"):
            self._commit(actions, marks)

    def vacuum(self, keep_hours: float = KEEP_FILES_H) -> int:
        """Delete files that no version needs and that are older than ``keep_hours``; return how many."""
        with self._committing("delete unused files"):
            gone = self._table.vacuum(
                retention_hours=int(keep_hours), dry_run=False, enforce_retention_duration=False, full=True
            )
        return len(gone)

    def clear(self, since_ns: int) -> None:
        """Delete files of readings that a failed commit left, written since an instant."""
        known = set(self.shelf().path.tolist())
        for path in self.folder.glob("day=*/part-*.parquet"):
            if str(path) not in known and path.stat().st_mtime_ns >= since_ns - _CLOCK_NS:
                path.unlink(missing_ok=True)

    def file_for(self, day: int, kind: str = "merged") -> Path:
        """Return a fresh file name in a day's folder; :meth:`clear` may delete what is a ``part``."""
        return self.folder / f"day={day_text(day)}" / f"{kind}-{uuid.uuid4()}.parquet"

    def _sum(self, shelf: Shelf, new: Sequence[Fresh]) -> None:
        """Keep the sums of the newest files before a commit names them, so that none ever lacks its own."""
        newest = shelf.path[shelf.high_id >= observation_id(self.before + 1)].tolist()
        sums.save(self.folder, [*newest, *(str(one.path) for one in new)], shelf.path.tolist())

    def _mark(self) -> CommitProperties:
        """Every commit of ours ends with a transaction identifier: one that was cut off is recognised."""
        return CommitProperties(
            custom_metadata=OURS, app_transactions=[Transaction(MERGE, self._table.version())]
        )

    def _commit(self, actions: list[AddAction | RemoveAction], marks: CommitProperties) -> None:
        total = sums.of_commit(
            [
                (one.path, one.size, one.partition_values, one.stats)
                for one in actions
                if isinstance(one, AddAction)
            ],
            [one.path for one in actions if isinstance(one, RemoveAction)],
            [(one.app_id, one.version) for one in marks.app_transactions or ()],
        )
        marks.custom_metadata = OURS | {SUM: total}
        self._table.create_write_transaction(
            actions, "append", self._table.schema(), ["day"], commit_properties=marks
        )

    @contextmanager
    def _committing(self, what: str) -> Iterator[None]:
        """Commit, and catch up with it. A handle grows slow with each one, so now and then it is renewed."""
        self._doubt = True
        with storing(what, self.folder):
            yield
            self._known = None
            self._commits += 1
            if self._commits >= _REOPEN_AFTER:
                self._commits = 0
                self._table = DeltaTable(self.folder)
            else:
                self._table.update_incremental()
        self._doubt = False


def _addition(folder: Path, fresh: Fresh, now: int, *, change: bool = False) -> AddAction:
    return AddAction(
        path=fresh.path.relative_to(folder).as_posix(),
        size=fresh.path.stat().st_size,
        partition_values={"day": day_text(fresh.day)},
        modification_time=now,
        data_change=change,
        stats=fresh.statistics,
    )


def _removal(folder: Path, shelf: Shelf, number: int, now: int, *, change: bool = False) -> RemoveAction:
    return RemoveAction(
        path=Path(shelf.path[number]).relative_to(folder).as_posix(),
        size=int(shelf.size[number]),
        partition_values={"day": day_text(int(shelf.day[number]))},
        deletion_timestamp=now,
        data_change=change,
    )
