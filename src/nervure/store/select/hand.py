"""What is at hand: pages of a Datastream's Observations in the order of time, answered out of memory."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import sqlalchemy as sa

from nervure.core.observation import NO_END, Batch
from nervure.core.sensorthings import BY_NAME
from nervure.store.language.option import Options, Order
from nervure.store.language.tree import Path
from nervure.store.recent import Near
from nervure.store.select.entity import Rows, page_size
from nervure.store.select.keyset import Key, following, keys, read_token
from nervure.store.select.row import Within
from nervure.store.select.session import Session
from nervure.store.select.source import OBSERVATION

__all__ = ["TIME", "Leaf", "groups", "leaves", "order", "rows"]

TIME = sa.func.epoch_us(OBSERVATION.c.time, type_=sa.BigInteger)
"""The time of an Observation in microseconds."""

_KIND = BY_NAME["Observation"]
_RISING = (
    Key(expression=TIME, label="kt", exact=True),
    Key(expression=OBSERVATION.c.id, label="k0", exact=True),
)
_SHORT = len(_RISING)
_FURTHEST = 20_000
_FEW = 64
_EXACT_US = 1 << 53


_BY_TIME: dict[bool, tuple[Key, ...]] = {}  # no session counts for these: made once


class Leaf(msgspec.Struct, frozen=True, kw_only=True):
    """A page as columns, how many there are in all if that was asked, and how it goes on."""

    batch: Batch
    total: int | None = None
    following: tuple[str, str] | None = None


def order(options: Options, session: Session) -> tuple[tuple[Key, ...], bool | None]:
    """Return what Observations are sorted by, and whether they fall in time; None for another order."""
    if not options.order:
        return _RISING, False
    falling = _by_time(options)
    if falling is None:
        return keys(options, _KIND, session, OBSERVATION), None
    if falling not in _BY_TIME:
        _BY_TIME[falling] = keys(options, _KIND, session, OBSERVATION)
    return _BY_TIME[falling], falling


def rows(session: Session, options: Options, within: Within | None) -> Rows | None:
    """Return a page of one Datastream, or None if it takes more than what is at hand."""
    if within is None or len(within.ids) != 1:
        return None
    return groups(session, options, within).get(within.ids[0])


def groups(session: Session, options: Options, within: Within) -> dict[int, Rows]:
    """Return a page for each of the Datastreams for which memory has it."""
    found = leaves(session, options, within).items()
    return {
        one: Rows(rows=_dicts(leaf.batch), total=leaf.total, following=leaf.following) for one, leaf in found
    }


def leaves(session: Session, options: Options, within: Within) -> dict[int, Leaf]:
    """Return a page, as columns, for each of the Datastreams for which memory has it."""
    known = within.relation.foreign == "datastream" and len(within.ids) <= _FEW
    if not known or options.filter is not None or options.skip > _FURTHEST:
        return {}
    by, falling = order(options, session)
    if falling is None:
        return {}
    after = None
    if options.token is not None and (after := _instants(read_token(by, options))) is None:
        return {}
    limit = page_size(session, options, len(within.ids))
    found: dict[int, Leaf] = {}
    for one in within.ids:
        wanted = Near(
            datastream=one,
            rows=limit + 1 + options.skip,
            falling=falling,
            ends=len(by) > _SHORT,
            after=after,
        )
        batch = session.near(wanted) if limit else Batch.concat([])
        if batch is None:
            continue
        more = len(batch) == wanted.rows
        if more or options.skip:
            batch = batch.take(np.arange(options.skip, len(batch) - more))
        found[one] = Leaf(
            batch=batch,
            total=session.observed.count(one) if options.count else None,
            following=following(by, _last(batch, by), options, limit) if more and len(batch) else None,
        )
    return found


def _by_time(options: Options) -> bool | None:
    match options.order:
        case (Order(expression=Path(steps=("phenomenonTime",)), descending=descending),):
            return descending
    return None


def _instants(values: list[Any]) -> tuple[int, ...] | None:
    """Return the keys of a token in nanoseconds, as far as they are instants in microseconds and an id."""
    *instants, last = values
    if not all(type(one) is int and abs(one) < _EXACT_US for one in instants):
        return None
    return (*(one * 1000 for one in instants), last)


def _last(batch: Batch, by: tuple[Key, ...]) -> dict[str, Any]:
    """Return by what the last row is sorted."""
    time = int(batch.time[-1]) // 1000
    end = NO_END if batch.end_time is None else int(batch.end_time[-1])
    ends = (time if end == NO_END else end // 1000,) if len(by) > _SHORT else ()
    return dict(zip((key.label for key in by), (time, *ends, int(batch.id[-1])), strict=True))


def _dicts(batch: Batch) -> list[dict[str, Any]]:
    """Write rows as DuckDB would return them."""
    nothing = [None] * len(batch)
    columns = (
        batch.datastream.tolist(),
        (batch.time // 1000).tolist(),
        nothing if batch.end_time is None else _some(batch.end_time // 1000, batch.end_time == NO_END),
        (batch.result_time // 1000).tolist(),
        batch.id.tolist(),
        _some(batch.value, np.isnan(batch.value)),
        _some(batch.low, np.isnan(batch.low)),
        _some(batch.high, np.isnan(batch.high)),
        batch.quality.tolist(),
        batch.text or nothing,
        nothing if batch.feature is None else _some(batch.feature, batch.feature == 0),
        [0] * len(batch) if batch.marks is None else batch.marks.tolist(),
        batch.extra or nothing,
    )
    return [
        {
            "datastream": datastream, "time": start, "end_time": end, "result_time": issued, "id": identity,
            "value": value, "low": low, "high": high, "quality": quality, "text": text,
            "feature": feature, "marks": marks, "extra": extra,
        }
        for datastream, start, end, issued, identity, value, low, high, quality, text, feature, marks, extra
        in zip(*columns, strict=True)
    ]  # fmt: skip


def _some(values: Any, missing: Any) -> list[Any]:
    """List values, None where one is missing."""
    if not missing.any():
        return list(values.tolist())
    if missing.all():
        return [None] * len(missing)
    return [None if none else one for one, none in zip(values.tolist(), missing.tolist(), strict=True)]
