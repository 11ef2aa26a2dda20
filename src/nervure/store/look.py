"""Looking: the questions that are asked of files and tail together."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
from deltalake import DeltaTable
from numpy.typing import NDArray

from nervure.core.error import NotFoundError
from nervure.core.observation import NO_RESULT_TIME, Batch, Observation, Quality
from nervure.core.window import Table
from nervure.store.column import NAMES, from_arrow, to_arrow
from nervure.store.duplicate import Key, Keys, Result
from nervure.store.engine import Engine
from nervure.store.failure import storing
from nervure.store.gone import NOTHING, Gone
from nervure.store.latest import ALWAYS, NEVER, Summary
from nervure.store.shelf import Files, Shelf

__all__ = [
    "FEW",
    "WITHIN",
    "View",
    "among",
    "between",
    "by_id",
    "holders",
    "near",
    "newest_after",
    "opened",
    "series",
    "since",
    "stored",
    "summary",
    "table",
]

WITHIN = "time >= make_timestamptz($start) AND time < make_timestamptz($end)"
"""A span of time, in a form by which DuckDB leaves row groups unread."""

FEW = 64
"""For so many Datastreams rows in memory are looked through one by one."""

_FAR = 1 << 54  # microseconds; what 64 bits of nanoseconds hold ends before
"""An end in microseconds that no instant reaches."""

_READ = 1 << 61
"""More than any id: by so much a reading ranks above a forecast."""


class View(msgspec.Struct, frozen=True, kw_only=True):
    """Files of one version and the rows in memory that are not in them: every row once.

    Where memory is known to hold all that a question can be about, there is no shelf.
    """

    engine: Engine
    shelf: Shelf | None
    memory: tuple[Batch, ...]
    gone: Gone = NOTHING

    def ask(
        self,
        sql: str,
        parameters: dict[str, Any] | None = None,
        *,
        limit_s: float = 60.0,
        keys: pa.Table | None = None,
        **choice: Any,
    ) -> pa.Table:
        """Answer a query over ``{observation}``, opening only the files that ``choice`` needs.

        ``keys`` is a table that the query may join, under that name.
        """
        memory = [to_arrow(near(batch, **choice)) for batch in self.memory]
        files = Files() if self.shelf is None else self.shelf.choose(**choice)
        return self.engine.rows(sql, files, memory, parameters, gone=self.gone, limit_s=limit_s, keys=keys)


def near(
    batch: Batch,
    ids: Sequence[int] | NDArray[np.int64] | None = None,
    start_ns: int | None = None,
    end_ns: int | None = None,
    **_: Any,
) -> Batch:
    """Return the rows of some Datastreams in a span of time, if they are few; else all may come along."""
    if ids is None or len(ids) > FEW:
        return batch
    mask = batch.datastream == ids[0] if len(ids) == 1 else np.isin(batch.datastream, ids)
    if start_ns is not None:
        mask &= batch.time >= start_ns
    if end_ns is not None:
        mask &= batch.time < end_ns
    return batch.take(np.flatnonzero(mask))


def opened(folder: Path) -> DeltaTable:
    """Open a table for reading."""
    if not (folder / "_delta_log").is_dir():
        raise NotFoundError(f"there are no observations in {folder}", hint="start once: nervure up")
    with storing("open the observations", folder):
        return DeltaTable(folder)


def summary(view: View, where: str = "true", **choice: Any) -> Summary:
    """Read what is newest of each Datastream, in one pass over the rows that fulfil a condition.

    ``choice`` says in which files they can be.
    """
    found = view.ask(
        f"""
        SELECT datastream, max(epoch_us(time)) AS time, arg_max(value, (time, result_time, id)) AS value,
               arg_max(epoch_us(result_time), (time, result_time, id)) AS result_of_time,
               max(epoch_us(result_time)) AS result_time, min(epoch_us(time)) AS first, count(*) AS rows,
               max(epoch_us(coalesce(end_time, time))) AS end,
               min(epoch_us(result_time)) FILTER (marks & {NO_RESULT_TIME} = 0) AS first_result,
               max(epoch_us(result_time)) FILTER (marks & {NO_RESULT_TIME} = 0) AS last_result
        FROM {{observation}} WHERE {where} GROUP BY datastream ORDER BY datastream
        """,  # noqa: S608 - whole numbers and constant text
        **choice,
    )
    whole = {name: found[name].to_numpy().astype(np.int64) for name in ("datastream", "rows")}
    instants = {
        name: found[name].to_numpy().astype(np.int64) * 1000
        for name in ("time", "result_of_time", "result_time", "first", "end")
    }
    given = {
        name: np.where(found[name].is_valid().to_numpy(), found[name].fill_null(0).to_numpy() * 1000, nothing)
        for name, nothing in (("first_result", ALWAYS), ("last_result", NEVER))
    }
    return Summary(value=found["value"].to_numpy().astype(np.float64), **whole, **instants, **given)


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


def since(view: View, ids: Sequence[int], identity: int, limit: int) -> Batch:
    """Return the rows of some Datastreams that came after an id, the first ``limit`` of them."""
    if not len(ids):
        return Batch.concat([])
    found = view.ask(
        f"SELECT {NAMES} FROM {{observation}} WHERE {among(ids)} AND id > $after ORDER BY id LIMIT $limit",  # noqa: S608
        {"after": int(identity), "limit": limit},
        ids=ids, since=int(identity) + 1,
    )  # fmt: skip
    return from_arrow(found)


def newest_after(view: View, ids: Sequence[int], identity: int) -> dict[int, tuple[int, float, int]]:
    """Return of each Datastream the newest by time of the rows that came after an id, if there are any.

    Its time in nanoseconds, its value (NaN where it is no number), and the greatest id that was looked at.
    """
    if not len(ids):
        return {}
    found = view.ask(
        "SELECT datastream, epoch_us(max(time)) AS us, max(id) AS upto,"  # noqa: S608
        " arg_max(coalesce(value, 'NaN'::DOUBLE), (time, id)) AS value"
        f" FROM {{observation}} WHERE {among(ids)} AND id > $after GROUP BY datastream",
        {"after": int(identity)},
        ids=ids, since=int(identity) + 1,
    )  # fmt: skip
    rows = found.to_pylist()
    return {row["datastream"]: (row["us"] * 1000, row["value"], row["upto"]) for row in rows}


def table(
    view: View,
    ids: Sequence[int],
    names: Sequence[str],
    every_ns: int,
    span: tuple[int | None, int | None],
    *,
    good_only: bool,
    measured: Sequence[int] = (),
) -> Table:
    """Return a regular history; of several readings in a slot the one that came last stays.

    What was read counts before what was foretold. Mostly a slot holds one reading, so rows are put into
    their places as they are: grouping them first takes three times as long.
    """
    start_ns, end_ns = span
    kind = f"AND quality = {int(Quality.GOOD)}" if good_only else ""
    kind += f" AND (result_time >= time OR NOT ({among(measured)}))" if len(measured) else ""
    found = view.ask(
        f"""
        SELECT datastream, epoch_us(time) * 1000 // $every AS slot, value,
               id + CASE WHEN result_time >= time THEN {_READ} ELSE 0 END AS rank
        FROM {{observation}} WHERE {among(ids)} AND {WITHIN} {kind}
        """,  # noqa: S608 - whole numbers and constant text
        {"every": int(every_ns), **between(start_ns, end_ns)},
        ids=ids, start_ns=start_ns, end_ns=end_ns,
    )  # fmt: skip
    slot = found["slot"].to_numpy().astype(np.int64)
    first = int(slot.min(initial=_FAR) if len(slot) else 0) if start_ns is None else int(start_ns // every_ns)
    after = int(slot.max(initial=first - 1)) + 1 if end_ns is None else -(-end_ns // every_ns)
    order = np.argsort(np.asarray(ids, dtype=np.int64), kind="stable")
    place = np.searchsorted(np.asarray(ids, dtype=np.int64)[order], found["datastream"].to_numpy())
    cell = (slot - first) * len(ids) + order[place]
    shape = max(0, after - first), len(ids)
    value = _placed(cell, found["value"].to_numpy(), found["rank"].to_numpy(), shape[0] * shape[1])
    return Table(streams=tuple(names), first=first, every_ns=every_ns, value=value.reshape(shape))


def _placed(
    cell: NDArray[np.int64], value: NDArray[np.float64], rank: NDArray[np.int64], cells: int
) -> NDArray[np.float64]:
    """Put values into cells; of several the one of the highest rank stays, and NaN is none."""
    found = np.full(cells, np.nan)
    missing = np.isnan(value)
    if missing.any():
        cell, value, rank = cell[~missing], value[~missing], rank[~missing]
    number = np.arange(len(cell))
    holder = np.empty(cells, np.int64)
    holder[cell] = number
    if (holder[cell] != number).any():
        order = np.argsort(rank)
        cell, value = cell[order], value[order]
    found[cell] = value
    return found


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
        end_time_ns=None if row.end_time is None else int(row.end_time[0]),
        feature=None if row.feature is None else int(row.feature[0]),
        marks=0 if row.marks is None else int(row.marks[0]),
        extra=None if row.extra is None else row.extra[0],
    )


def stored(engine: Engine, shelf: Shelf, gone: Gone, keys: Keys) -> dict[Key, Result]:
    """Find keys in the files."""
    datastreams = np.unique(keys.datastream).tolist()
    start, end = int(keys.time.min()), int(keys.time.max()) + 1
    files = shelf.choose(ids=datastreams, start_ns=start, end_ns=end)
    if not len(files):
        return {}
    found = engine.rows(_matching(datastreams), files, (), between(start, end), gone=gone, keys=_wanted(keys))
    values = found["value"].to_numpy().astype(np.float64).tolist()
    return dict(zip(_keys(found), zip(values, found["text"].to_pylist(), strict=True), strict=True))


def holders(view: View, keys: Keys) -> dict[Key, int]:
    """Return the ids of the rows that have some keys."""
    datastreams = np.unique(keys.datastream).tolist()
    choice = {"ids": datastreams, "start_ns": int(keys.time.min()), "end_ns": int(keys.time.max()) + 1}
    memory = [to_arrow(near(batch, **choice)) for batch in view.memory]
    files = Files() if view.shelf is None else view.shelf.choose(**choice)
    span = between(choice["start_ns"], choice["end_ns"])
    found = view.engine.rows(_matching(datastreams), files, memory, span, gone=view.gone, keys=_wanted(keys))
    return dict(zip(_keys(found), found["id"].to_numpy().astype(np.int64).tolist(), strict=True))


def _matching(datastreams: Sequence[int]) -> str:
    """Write the question for the rows that have the keys in the table ``keys``."""
    return f"""
        SELECT id, datastream, epoch_us(time) AS at, epoch_us(result_time) AS result_at, value, text
        FROM (SELECT * FROM {{observation}} WHERE {among(datastreams)} AND {WITHIN}) AS o JOIN keys
        ON datastream = stream AND epoch_us(time) = keys.at AND epoch_us(result_time) = keys.result_at
        """  # noqa: S608 - whole numbers and constant text


def _wanted(keys: Keys) -> pa.Table:
    return pa.table(
        {"stream": keys.datastream, "at": keys.time // 1000, "result_at": keys.result_time // 1000}
    )


def _keys(found: pa.Table) -> list[Key]:
    return Keys(
        datastream=found["datastream"].to_numpy(),
        time=found["at"].to_numpy() * 1000,
        result_time=found["result_at"].to_numpy() * 1000,
    ).tuples()


def between(start_ns: int | None, end_ns: int | None) -> dict[str, int]:
    """Return the parameters of :data:`WITHIN`; an end inside a microsecond includes it."""
    return {
        "start": -_FAR if start_ns is None else -(-int(start_ns) // 1000),
        "end": _FAR if end_ns is None else -(-int(end_ns) // 1000),
    }


def among(ids: Sequence[int] | NDArray[np.int64]) -> str:
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
