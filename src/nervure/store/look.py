"""Looking: the questions that are asked of files and tail together."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
from deltalake import DeltaTable

from nervure.core.error import NotFoundError
from nervure.core.observation import Batch, Observation, Quality
from nervure.core.window import Table
from nervure.store.column import NAMES, from_arrow, to_arrow
from nervure.store.duplicate import Key, Keys, Result
from nervure.store.engine import Engine
from nervure.store.failure import storing
from nervure.store.latest import Summary
from nervure.store.shelf import Shelf

__all__ = ["WITHIN", "View", "among", "between", "by_id", "opened", "series", "stored", "summary", "table"]

WITHIN = "time >= make_timestamptz($start) AND time < make_timestamptz($end)"
"""A span of time, in a form by which DuckDB leaves row groups unread."""

_FAR = 1 << 53
"""An end in microseconds that no instant reaches."""


class View(msgspec.Struct, frozen=True, kw_only=True):
    """Files of one version and the rows in memory that are not in them: every row once."""

    engine: Engine
    shelf: Shelf
    memory: tuple[Batch, ...]

    def ask(self, sql: str, parameters: dict[str, Any] | None = None, **choice: Any) -> pa.Table:
        """Answer a query over ``{observation}``, opening only the files that ``choice`` needs."""
        memory = [to_arrow(batch) for batch in self.memory]
        return self.engine.rows(sql, self.shelf.choose(**choice), memory, parameters)


def opened(folder: Path) -> DeltaTable:
    """Open a table for reading."""
    if not (folder / "_delta_log").is_dir():
        raise NotFoundError(f"there are no observations in {folder}", hint="start once: nervure up")
    with storing("open the observations", folder):
        return DeltaTable(folder)


def summary(view: View, *, since: int = 0) -> Summary:
    """Read what is newest of each Datastream, in one pass over the rows from an id on."""
    found = view.ask(
        """
        SELECT datastream, max(epoch_us(time)) AS time, arg_max(value, (time, result_time, id)) AS value,
               arg_max(epoch_us(result_time), (time, result_time, id)) AS result_of_time,
               max(epoch_us(result_time)) AS result_time, min(epoch_us(time)) AS first, count(*) AS rows
        FROM {observation} WHERE id >= $since GROUP BY datastream ORDER BY datastream
        """,
        {"since": int(since)},
        since=since,
    )
    names = ("datastream", "time", "result_of_time", "result_time", "first", "rows")
    whole = {name: found[name].to_numpy().astype(np.int64) for name in names}
    return Summary(
        datastream=whole["datastream"],
        time=whole["time"] * 1000,
        value=found["value"].to_numpy().astype(np.float64),
        result_of_time=whole["result_of_time"] * 1000,
        result_time=whole["result_time"] * 1000,
        first=whole["first"] * 1000,
        rows=whole["rows"],
    )


def series(view: View, ids: Sequence[int], start_ns: int | None, end_ns: int | None) -> Batch:
    """Return the readings of some Datastreams in a span of time, sorted."""
    if not len(ids):
        return Batch.concat([])
    found = view.ask(
        f"SELECT {NAMES} FROM {{observation}} WHERE {among(ids)} AND {WITHIN} "  # noqa: S608
        "ORDER BY datastream, time, result_time, id",
        between(start_ns, end_ns),
        ids=ids, start_ns=start_ns, end_ns=end_ns,
    )  # fmt: skip
    return from_arrow(found)


def table(
    view: View,
    ids: Sequence[int],
    names: Sequence[str],
    every_ns: int,
    span: tuple[int | None, int | None],
    *,
    good_only: bool,
) -> Table:
    """Return a regular history; of several readings in a slot the one that came last stays."""
    start_ns, end_ns = span
    quality = f"AND quality = {int(Quality.GOOD)}" if good_only else ""
    found = view.ask(
        f"""
        SELECT datastream, epoch_us(time) * 1000 // $every AS slot, arg_max(value, id) AS value
        FROM {{observation}} WHERE {among(ids)} AND {WITHIN} {quality} GROUP BY datastream, slot
        """,  # noqa: S608 - whole numbers and constant text
        {"every": int(every_ns), **between(start_ns, end_ns)},
        ids=ids, start_ns=start_ns, end_ns=end_ns,
    )  # fmt: skip
    slot = found["slot"].to_numpy().astype(np.int64)
    first = int(slot.min(initial=_FAR) if len(slot) else 0) if start_ns is None else int(start_ns // every_ns)
    after = int(slot.max(initial=first - 1)) + 1 if end_ns is None else -(-end_ns // every_ns)
    value = np.full((max(0, after - first), len(ids)), np.nan)
    order = np.argsort(np.asarray(ids, dtype=np.int64), kind="stable")
    place = np.searchsorted(np.asarray(ids, dtype=np.int64)[order], found["datastream"].to_numpy())
    value[slot - first, order[place]] = found["value"].to_numpy()
    return Table(streams=tuple(names), first=first, every_ns=every_ns, value=value)


def by_id(view: View, identity: int) -> Observation | None:
    """Return the observation of an id, or None."""
    found = view.ask(
        f"SELECT {NAMES} FROM {{observation}} WHERE id = $id",  # noqa: S608 - constant names
        {"id": int(identity)},
        identity=int(identity),
    )
    if not found.num_rows:
        return None
    row = from_arrow(found)
    words = row.text[0] if row.text is not None else None
    low, high = float(row.low[0]), float(row.high[0])
    return Observation(
        id=int(row.id[0]),
        datastream=int(row.datastream[0]),
        time_ns=int(row.time[0]),
        result_time_ns=int(row.result_time[0]),
        result=float(row.value[0]) if words is None else words,
        low=None if np.isnan(low) else low,
        high=None if np.isnan(high) else high,
        quality=int(row.quality[0]),
    )


def stored(engine: Engine, shelf: Shelf, keys: Keys) -> dict[Key, Result]:
    """Find keys in the files."""
    datastreams = np.unique(keys.datastream).tolist()
    start, end = int(keys.time.min()), int(keys.time.max()) + 1
    files = shelf.choose(ids=datastreams, start_ns=start, end_ns=end)
    if not files:
        return {}
    wanted = pa.table(
        {"stream": keys.datastream, "at": keys.time // 1000, "result_at": keys.result_time // 1000}
    )
    found = engine.rows(
        f"""
        SELECT datastream, epoch_us(time) AS at, epoch_us(result_time) AS result_at, value, text
        FROM (SELECT * FROM {{observation}} WHERE {among(datastreams)} AND {WITHIN}) AS o JOIN keys
        ON datastream = stream AND epoch_us(time) = keys.at AND epoch_us(result_time) = keys.result_at
        """,  # noqa: S608 - constant text
        files, (), between(start, end), keys=wanted,
    )  # fmt: skip
    there = Keys(
        datastream=found["datastream"].to_numpy(),
        time=found["at"].to_numpy() * 1000,
        result_time=found["result_at"].to_numpy() * 1000,
    )
    values = found["value"].to_numpy().astype(np.float64).tolist()
    return dict(zip(there.tuples(), zip(values, found["text"].to_pylist(), strict=True), strict=True))


def between(start_ns: int | None, end_ns: int | None) -> dict[str, int]:
    """Return the parameters of :data:`WITHIN`; an end inside a microsecond includes it."""
    return {
        "start": -_FAR if start_ns is None else -(-int(start_ns) // 1000),
        "end": _FAR if end_ns is None else -(-int(end_ns) // 1000),
    }


def among(ids: Sequence[int]) -> str:
    """Write "is one of these Datastreams" so that DuckDB leaves row groups unread.

    >>> among([3, 1])
    'datastream BETWEEN 1 AND 3 AND datastream IN (1, 3)'
    """
    wanted = np.unique(np.asarray(ids, dtype=np.int64)).tolist()
    if not wanted:
        return "false"
    return (
        f"datastream BETWEEN {wanted[0]} AND {wanted[-1]} AND datastream IN ({', '.join(map(str, wanted))})"
    )
