"""Pages of observations, in an order, opening only as much as a page needs."""

from __future__ import annotations

from typing import Any

import msgspec

from nervure.core.error import QueryError
from nervure.core.instant import DAY_NS
from nervure.core.observation import Batch
from nervure.store.column import NAMES, from_arrow
from nervure.store.look import WITHIN, View, between

__all__ = ["Page", "page"]

ORDERS = ("time", "result_time", "id")
_WIDER = 8


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """Which page is wanted; ``after`` is the (time, id) of the last row of the page before."""

    datastream: int | None
    limit: int
    skip: int
    order: str
    descending: bool
    after: tuple[int, int] | None


def page(view: View, wanted: Page, span: tuple[int, int] | None, total: int) -> Batch:
    """Return a page; ``span`` is the first and the newest time of ``total`` readings to choose from.

    In the order of time, the end where the page lies is searched first, then ever more.
    """
    if wanted.order not in ORDERS:
        known = ", ".join(ORDERS)
        raise QueryError(f"observations cannot be ordered by {wanted.order!r}", hint=f"one of: {known}")
    if wanted.limit < 0 or wanted.skip < 0:
        raise QueryError("limit and skip are not negative", hint="start with skip 0 and limit 100")
    if span is None or wanted.limit == 0:
        return Batch.concat([])
    start, end = span[0], span[1] + 1
    if wanted.order != "time":
        return _part(view, wanted, start, end)
    if wanted.after is not None and wanted.descending:
        end = min(end, wanted.after[0] + 1)
    elif wanted.after is not None:
        start = max(start, wanted.after[0])
    rows = wanted.limit + wanted.skip
    width = max(DAY_NS, int((end - start) / max(total, 1) * rows * 1.5))
    while True:
        low = max(start, end - width) if wanted.descending else start
        high = end if wanted.descending else min(end, start + width)
        found = _part(view, wanted, low, high)
        if len(found) == wanted.limit or (low, high) == (start, end) or end <= start:
            return found
        width *= _WIDER


def _part(view: View, wanted: Page, start_ns: int, end_ns: int) -> Batch:
    way, sign = ("DESC", "<") if wanted.descending else ("ASC", ">")
    where: list[str] = [WITHIN]
    values: dict[str, Any] = {"limit": wanted.limit, "skip": wanted.skip, **between(start_ns, end_ns)}
    if wanted.datastream is not None:
        where.append("datastream = $datastream")
        values["datastream"] = int(wanted.datastream)
    if wanted.after is not None:
        where.append(f"(epoch_us(time), id) {sign} ($after_us, $after_id)")
        values |= {"after_us": int(wanted.after[0]) // 1000, "after_id": int(wanted.after[1])}
    found = view.ask(
        f"SELECT {NAMES} FROM {{observation}} WHERE {' AND '.join(where)} "  # noqa: S608 - constant text
        f"ORDER BY {wanted.order} {way}, id {way} LIMIT $limit OFFSET $skip",
        values,
        ids=None if wanted.datastream is None else [wanted.datastream],
        start_ns=start_ns,
        end_ns=end_ns,
    )
    return from_arrow(found)
