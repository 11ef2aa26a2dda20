"""Files of the table: which there are, what each holds, and which ones a question needs."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
from deltalake import DeltaTable
from numpy.typing import NDArray

from nervure.core.instant import DAY_NS
from nervure.store.column import LATER, RARE

__all__ = ["Files", "Shelf", "day_text", "shelve"]

Longs = NDArray[np.int64]

_LOWEST = np.iinfo(np.int64).min
_HIGHEST = np.iinfo(np.int64).max
_BITS = {name: bit for bit, name in enumerate(RARE)}
_SLACK_NS = 1_000_000
"""Delta cuts the instants in its statistics to milliseconds."""


class Files(msgspec.Struct, frozen=True):
    """Files to read, by the columns that they lack."""

    lacking: dict[tuple[str, ...], list[str]] = {}

    def __len__(self) -> int:
        return sum(map(len, self.lacking.values()))

    @property
    def paths(self) -> list[str]:
        """All of them."""
        return [one for some in self.lacking.values() for one in some]


class Shelf(msgspec.Struct, frozen=True, kw_only=True):
    """The files of one version of the table, as columns ``[file]``; ``low`` and ``high`` are inclusive.

    ``lacks`` has a bit for each of the columns that a file need not have, in the order of :data:`RARE`.
    """

    version: int
    path: NDArray[np.object_]
    day: Longs
    size: Longs
    rows: Longs
    low_stream: Longs
    high_stream: Longs
    low_time: Longs
    high_time: Longs
    low_id: Longs
    high_id: Longs
    lacks: Longs

    def __len__(self) -> int:
        return len(self.path)

    def choose(
        self,
        *,
        ids: Sequence[int] | None = None,
        start_ns: int | None = None,
        end_ns: int | None = None,
        identity: int | Sequence[int] | None = None,
        since: int | None = None,
    ) -> Files:
        """Return the files that may hold certain rows.

        They may be of some Datastreams, in ``start <= time < end``, of one id or of several, or
        ``since`` an id.
        """
        chosen = np.ones(len(self), dtype=np.bool_)
        if ids is not None:
            wanted = np.asarray(ids, dtype=np.int64)
            lowest, highest = (wanted.min(), wanted.max()) if len(wanted) else (_HIGHEST, _LOWEST)
            chosen &= (self.high_stream >= lowest) & (self.low_stream <= highest)
        if start_ns is not None:
            chosen &= (self.high_time >= start_ns) & (self.day >= start_ns // DAY_NS)
        if end_ns is not None:
            chosen &= (self.low_time < end_ns) & (self.day * DAY_NS < end_ns)
        if identity is not None:
            named = np.unique(np.asarray(identity, dtype=np.int64))
            chosen &= np.searchsorted(named, self.low_id) < np.searchsorted(named, self.high_id, "right")
        if since is not None:
            chosen &= self.high_id >= since
        return self.files(chosen)

    def files(self, chosen: NDArray[np.bool_] | Sequence[int]) -> Files:
        """Return files by a mask or by their numbers."""
        path, lacks = self.path[chosen], self.lacks[chosen]
        kinds = np.unique(lacks).tolist()
        return Files({_named(kind): path[lacks == kind].tolist() for kind in kinds})

    def without(self, name: str) -> NDArray[np.bool_]:
        """Tell which files lack a column."""
        lacking: NDArray[np.bool_] = (self.lacks & 1 << _BITS[name]) != 0
        return lacking


def shelve(table: DeltaTable, folder: Path) -> Shelf:
    """Read what the log of the table in ``folder`` says about each of its files."""
    actions = pa.table(table.get_add_actions(flatten=True))
    found: dict[str, Any] = {name: actions[name] for name in actions.column_names}
    paths = [str(folder / path) for path in found["path"].to_pylist()]
    return Shelf(
        version=table.version(),
        path=np.array(paths, dtype=np.object_),
        day=_whole(found["partition.day"].cast(pa.int32()), 0),
        size=_whole(found["size_bytes"], 0),
        rows=_whole(found["num_records"], 0),
        low_stream=_bound(found, "min.datastream", len(paths), _LOWEST),
        high_stream=_bound(found, "max.datastream", len(paths), _HIGHEST),
        low_time=_instant(found, "min.time", len(paths), _LOWEST, 0),
        high_time=_instant(found, "max.time", len(paths), _HIGHEST, _SLACK_NS),
        low_id=_bound(found, "min.id", len(paths), _LOWEST),
        high_id=_bound(found, "max.id", len(paths), _HIGHEST),
        lacks=_lacks(found, len(paths)),
    )


def day_text(day: int) -> str:
    """Write a partition's day (days since 1970) as the table spells it.

    >>> day_text(19_417)
    '2023-03-01'
    """
    return (date(1970, 1, 1) + timedelta(days=day)).isoformat()


def _named(lacks: int) -> tuple[str, ...]:
    return tuple(name for name, bit in _BITS.items() if lacks & 1 << bit)


def _lacks(found: dict[str, Any], files: int) -> Longs:
    """Tell what files lack: a column in which no row has anything, whether it is there or not.

    What has not been counted of files of older versions are the columns that they do not have.
    """
    rows, lacks = _whole(found["num_records"], -1), np.zeros(files, dtype=np.int64)
    for name, bit in _BITS.items():
        if (counted := found.get(f"null_count.{name}")) is not None:
            lacks |= np.where(_whole(counted, -1) == rows, 1 << bit, 0)
    counted = found.get("null_count.marks")
    old = np.ones(files, np.bool_) if counted is None else counted.is_null().to_numpy()
    return np.where(old, lacks | sum(1 << _BITS[name] for name in LATER), lacks)


def _whole(column: Any, missing: int) -> Longs:
    numbers = column.cast(pa.int64()).fill_null(missing).to_numpy()
    return np.asarray(numbers, dtype=np.int64)


def _bound(found: dict[str, Any], name: str, rows: int, missing: int) -> Longs:
    """A file without statistics may hold anything."""
    return _whole(found[name], missing) if name in found else np.full(rows, missing, dtype=np.int64)


def _instant(found: dict[str, Any], name: str, rows: int, missing: int, slack: int) -> Longs:
    if name not in found:
        return np.full(rows, missing, dtype=np.int64)
    column = found[name]
    none = np.asarray(column.is_null().to_numpy(), dtype=np.bool_)
    return np.where(none, missing, _whole(column, 0) * 1000 + slack)
