"""Readings of the running node as training data: the data set goes on where the city goes on.

What the store holds of a solution's declared Datastreams is put on slots as a data set is, and
joined to it: in a slot that both know, the node's own reading stands. A store that begins long
after the data set ends stands alone, as nothing is known of the time between.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from nervure.core.declaration import Solution
from nervure.core.entity import Datastream
from nervure.core.error import DataError
from nervure.core.instant import DAY_NS, duration_ns, duration_text
from nervure.core.label import free, labels_of
from nervure.core.unit import linear
from nervure.core.window import Table
from nervure.learn.dataset import Dataset, ThingMeta
from nervure.learn.split import REST

__all__ = ["Store", "live", "readings"]

_SHORT = (0.6, 0.2, 0.2)
_GAP_NS = 60 * DAY_NS  # a longer silence between data set and store is not bridged


class Store(Protocol):
    """What is asked of the observations."""

    def span(self, id: int | None = None) -> tuple[int, int] | None:
        """Return the first and the newest time of a Datastream, in nanoseconds."""
        ...

    def table(
        self,
        ids: Sequence[int],
        names: Sequence[str],
        every_ns: int,
        start_ns: int | None = None,
        end_ns: int | None = None,
    ) -> Table:
        """Return a regular history ``[slot, stream]``."""
        ...


def live(
    solution: Solution,
    dataset: Dataset | None,
    datastreams: Sequence[Datastream],
    store: Store,
    *,
    since_ns: int | None = None,
) -> Dataset:
    """Return the data set with what the store holds of the solution's Datastreams, or that alone.

    Only readings of ``since_ns`` and later are taken. Raises ``DataError`` if the store has none.
    """
    table, hidden = readings(solution, datastreams, store, since_ns=since_ns)
    zone = solution.data.zone if solution.data else "UTC"
    alone = Dataset(
        solution=_growing(solution, len(table.value), every_ns=table.every_ns),
        table=table,
        things=_things(table.streams),
        zone=zone,
        origin="the node",
        hidden=hidden,
    )
    if dataset is None:
        return alone
    end = dataset.table.first + len(dataset.table.value)
    if (table.first - end) * table.every_ns > _GAP_NS or dataset.table.every_ns != table.every_ns:
        return alone
    joined = _join(dataset.table, table)
    more = [one for one in alone.things if one.name not in {thing.name for thing in dataset.things}]
    return msgspec.structs.replace(
        dataset,
        solution=_growing(solution, len(joined.value), every_ns=table.every_ns),
        table=joined,
        things=(*dataset.things, *more),
        adjacency=None if more else dataset.adjacency,
        origin=f"{dataset.origin} and the node",
        hidden=dataset.hidden + hidden,
    )


def _growing(solution: Solution, length: int, *, every_ns: int) -> Solution:
    """Return the solution with parts that end where its readings end.

    Parts of three durations are those of a published protocol: what comes after them would never count.
    Where the parts that judge would leave less than half for learning, all shrink.
    """
    source = solution.data
    if source is None or not all(isinstance(one, str) for one in source.split):
        return solution
    spans = [0 if one == REST else duration_ns(str(one)) for one in source.split]
    if REST in source.split:
        parts = source.split if 2 * sum(spans) <= length * every_ns else _SHORT
    else:
        short = length * every_ns < sum(spans)
        train, validation, test = (one / sum(spans) for one in spans)
        parts = (train, validation, test) if short else (REST, *source.split[1:])
    return msgspec.structs.replace(solution, data=msgspec.structs.replace(source, split=parts))


def readings(
    solution: Solution, datastreams: Sequence[Datastream], store: Store, *, since_ns: int | None = None
) -> tuple[Table, int]:
    """Return what the store holds, in the units declared, and how many values were out of range.

    Where a person has labelled a span of a Datastream, nothing stands.
    """
    own = [one for one in datastreams if one.solution == solution.name and one.kind == "reading"]
    signals = {signal.name: signal for signal in solution.signals}
    spans: Mapping[int, tuple[int, int]] = {
        one.id: span for one in own if one.signal in signals and (span := store.span(one.id)) is not None
    }
    own = [one for one in own if one.id in spans]
    if not own:
        raise DataError(
            f"{solution.name}: the node has no readings of it yet",
            hint="nervure status shows what comes in; without --live the data set alone is used",
        )
    every = {signals[one.signal].every_ns for one in own}
    if len(every) != 1:
        raise DataError(f"{solution.name}: signals of different intervals", where="$.signals")
    every_ns = every.pop()
    start = max(min(first for first, _ in spans.values()), since_ns or 0)
    end = min(max(last for _, last in spans.values()), time.time_ns()) + 1  # no clock runs ahead of ours
    if end - start < every_ns:
        raise DataError(f"{solution.name}: the node has less than {duration_text(every_ns)} of readings")
    found = store.table([one.id for one in own], [one.name for one in own], every_ns, start, end)
    value = found.value.copy()
    wrong = 0
    for column, one in enumerate(own):
        signal = signals[one.signal]
        factor, offset = linear(one.unit, signal.unit)
        value[:, column] = value[:, column] * factor + offset
        low = -np.inf if signal.low is None else signal.low
        high = np.inf if signal.high is None else signal.high
        value[~free(found.slots * every_ns, labels_of(one.properties), every_ns), column] = np.nan
        out = (value[:, column] < low) | (value[:, column] > high)
        value[out, column] = np.nan
        wrong += int(out.sum())
    return msgspec.structs.replace(found, value=value), wrong


def _things(streams: Sequence[str]) -> tuple[ThingMeta, ...]:
    names = dict.fromkeys(stream.rpartition("/")[0] for stream in streams)
    return tuple(ThingMeta(name=name) for name in names if name)


def _join(old: Table, new: Table) -> Table:
    """Lay one table over the other: ``[slot, stream]`` over all slots and streams of both."""
    streams = (*old.streams, *(name for name in new.streams if name not in set(old.streams)))
    first = min(old.first, new.first)
    after = max(old.first + len(old.value), new.first + len(new.value))
    value: NDArray[np.float64] = np.full((after - first, len(streams)), np.nan)
    value[old.first - first :][: len(old.value), : len(old.streams)] = old.value
    place = [streams.index(name) for name in new.streams]
    part = value[new.first - first :][: len(new.value)]
    part[:, place] = np.where(np.isnan(new.value), part[:, place], new.value)
    return Table(streams=streams, first=first, every_ns=old.every_ns, value=value)
