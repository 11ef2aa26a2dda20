"""History: series reduced on the server to what a screen can show, and the matrix of a heat-map.

Reduction is Steinarsson's LTTB (after MinMax, as Van Der Donckt et al., arXiv:2305.00332, found to be
as good and ten times faster), MinMax, or M4 (Jugel et al., PVLDB 7(10), 2014), by ``tsdownsample``.
"""

from __future__ import annotations

import time
from base64 import b64encode
from typing import Annotated, Any, Literal

import msgspec
import numpy as np
from msgspec import Meta
from numpy.typing import NDArray
from tsdownsample import M4Downsampler, MinMaxDownsampler, MinMaxLTTBDownsampler

from nervure.core.error import QueryError
from nervure.core.instant import SECOND_NS
from nervure.serve.answer import Answer, json
from nervure.serve.control.column import numbers
from nervure.serve.control.given import MS, RENAMED, keys, span_ns
from nervure.serve.control.route import Call, Desk, Route
from nervure.serve.control.vital import reporting
from nervure.serve.site import streams_in_sight
from nervure.store.curve import Curve, Summed
from nervure.store.site import Site

__all__ = [
    "ROUTES", "HeatQuery", "HeatView", "SeriesQuery", "SeriesView", "SeriesWhole", "heat", "reduced",
    "series",
]  # fmt: skip

Longs = NDArray[np.int64]
Method = Literal["minmax", "m4", "lttb"]

MOST_SERIES = 64
MOST_GAPS = 500
MOST_CELLS = 6_000_000
GAP_INTERVALS = 3
EMPTY = 255
_POINTS = {"minmax": 2, "m4": 4, "lttb": 1}
_REDUCE: dict[str, Any] = {
    "minmax": MinMaxDownsampler(),
    "m4": M4Downsampler(),
    "lttb": MinMaxLTTBDownsampler(),
}

Key = Annotated[int, Meta(ge=1, le=1 << 53)]
Text = Annotated[str, Meta(max_length=200)]
Keys = Annotated[str, Meta(max_length=60_000)]
Moment = Annotated[str, Meta(max_length=60)]


class SeriesQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename=RENAMED):
    """Which Datastreams, when, how wide the screen is, and how to reduce."""

    streams: Keys
    since: Moment = "-24h"
    until: Moment = "now"
    px: Annotated[int, Meta(ge=2, le=4000)] = 1200
    method: Method = "minmax"
    forecast: bool = False


class HeatQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename=RENAMED):
    """Which Datastreams, when, how many columns, and how cells are written."""

    streams: Keys | None = None
    thing: Key | None = None
    solution: Text | None = None
    signal: Text | None = None
    since: Moment = "-24h"
    until: Moment = "now"
    px: Annotated[int, Meta(ge=1, le=2000)] = 300
    value: Summed = "mean"
    scale: Literal["row", "all"] = "row"
    encoding: Literal["u8", "f32"] = "u8"


class SeriesView(msgspec.Struct, frozen=True, kw_only=True):
    """One series: ``time`` starts with ms since 1970 and goes on with differences; ``rows`` there were."""

    stream: int
    kind: str
    thing: int
    name: str
    unit: str
    every_s: float | None
    source: int | None
    rows: int
    reduced: bool
    time: list[int]
    value: list[float | None]
    gaps: list[tuple[int, int]]
    low: list[float | None] | None = None
    high: list[float | None] | None = None


class SeriesWhole(msgspec.Struct, frozen=True, kw_only=True, rename=RENAMED):
    """Several series of one span."""

    since: int
    until: int
    px: int
    series: list[SeriesView]


class HeatView(msgspec.Struct, frozen=True, kw_only=True, rename=RENAMED):
    """A matrix of Datastreams by columns of time; ``data`` is base64, row by row."""

    since: int
    until: int
    px: int
    stream: list[int]
    encoding: str
    scale: str
    low: list[float | None] | float | None
    high: list[float | None] | float | None
    data: str


def series(desk: Desk, call: Call) -> Answer:
    """Show the history of Datastreams, reduced to what a screen of that width can show."""
    wish: SeriesQuery = call.query
    start, end = span_ns(wish.since, wish.until)
    site = desk.site()
    project = call.principal.project
    rows = streams_in_sight(site, project, ids=keys(wish.streams, MOST_SERIES))
    if wish.forecast:
        about = site.streams.id[rows]
        told = np.isin(site.streams.source, about) & (site.streams.kind == "forecast")
        rows = np.union1d(
            rows, np.flatnonzero(told & np.isin(site.streams.project, site.streams.project[rows]))
        )
    ids = site.streams.id[rows].tolist()
    every = reporting(site.streams, desk.observed.newest(), time.time_ns()).every_ns
    hint = "ask for fewer streams or less time, or for /api/heat"
    with desk.room.lent(desk.observed.about(ids, start, end), hint=hint):
        found = desk.observed.curves(ids, start, end)
        views = [
            _series(site, row, found.pop(int(site.streams.id[row]), None), wish, int(every[row]))
            for row in rows.tolist()
        ]
    return json(SeriesWhole(since=start // MS, until=end // MS, px=wish.px, series=views))


def _series(site: Site, row: int, found: Curve | None, wish: SeriesQuery, every_ns: int) -> SeriesView:
    table = site.streams
    curve = found or Curve(time=np.zeros(0, np.int64), value=np.zeros(0))
    kept = reduced(curve, wish.px, wish.method)
    moment = (curve.time if kept is None else curve.time[kept]) // 1000

    def shown(values: NDArray[np.float64] | None) -> list[float | None] | None:
        return None if values is None else numbers(values if kept is None else values[kept])

    return SeriesView(
        stream=int(table.id[row]),
        kind=str(table.kind[row]),
        thing=int(table.thing[row]),
        name=table.name[row],
        unit=table.unit[row],
        every_s=every_ns / SECOND_NS or None,
        source=int(table.source[row]) or None,
        rows=len(curve.time),
        reduced=kept is not None,
        time=np.diff(moment, prepend=0).tolist(),
        value=shown(curve.value) or [],
        gaps=_gaps(curve.time, every_ns),
        low=shown(curve.low),
        high=shown(curve.high),
    )


def reduced(curve: Curve, px: int, method: Method) -> Longs | None:
    """Return which rows a screen of that width needs, at most four a pixel and the newest; None: all of them.

    The newest is named here: one that comes long after the row before it falls out of the last part of
    time by the rounding of its edge. What the interval of a forecast does is not looked at: it changes
    as slowly as what is foretold.
    """
    most = px * _POINTS[method]
    most -= most % _POINTS[method]
    if len(curve.time) <= max(most, 4):
        return None
    kept = _REDUCE[method].downsample(curve.time, curve.value, n_out=max(most, 4))
    return np.unique(np.append(kept.astype(np.int64), len(curve.time) - 1))


def _gaps(time_us: Longs, every_ns: int) -> list[tuple[int, int]]:
    """Return the longest holes, as ms since 1970, by their beginnings."""
    if len(time_us) < 2 or not every_ns:
        return []
    hole = np.diff(time_us)
    place = np.flatnonzero(hole > GAP_INTERVALS * every_ns // 1000)
    if len(place) > MOST_GAPS:
        place = np.sort(place[np.argsort(hole[place])[-MOST_GAPS:]])
    moment = time_us // 1000
    return list(zip(moment[place].tolist(), moment[place + 1].tolist(), strict=True))


def heat(desk: Desk, call: Call) -> Answer:
    """Show how thousands of Datastreams did, as a matrix of cells."""
    wish: HeatQuery = call.query
    start, end = span_ns(wish.since, wish.until)
    site = desk.site()
    asked = None if wish.streams is None else keys(wish.streams)
    kind = "reading" if asked is None else None
    rows = streams_in_sight(
        site, call.principal.project, ids=asked, thing=wish.thing, solution=wish.solution, signal=wish.signal,
        kind=kind,
    )  # fmt: skip
    if len(rows) * wish.px > MOST_CELLS:
        raise QueryError(
            f"{len(rows):,} series of {wish.px} columns are more than {MOST_CELLS:,} cells",
            hint="ask for fewer streams or a smaller px",
        )
    ids = site.streams.id[rows]
    table = desk.observed.matrix(ids.tolist(), start, end, wish.px, wish.value)
    low, high = _bounds(table, wish.scale)
    data = table.astype("<f4") if wish.encoding == "f32" else _bytes(table, low, high)
    return json(
        HeatView(
            since=start // MS, until=end // MS, px=wish.px, stream=ids.tolist(), encoding=wish.encoding,
            scale=wish.scale, low=_shown(low, wish.scale), high=_shown(high, wish.scale),
            data=b64encode(data.tobytes()).decode(),
        )
    )  # fmt: skip


def _bounds(
    table: NDArray[np.float32], scale: Literal["row", "all"]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the least and greatest value of each row ``[row, 1]``, or of all; NaN where there is none."""
    axis = 1 if scale == "row" else None
    low = np.fmin.reduce(table, axis=axis, keepdims=True, initial=np.float32(np.nan))
    high = np.fmax.reduce(table, axis=axis, keepdims=True, initial=np.float32(np.nan))
    return low, high


def _bytes(
    table: NDArray[np.float32], low: NDArray[np.float32], high: NDArray[np.float32]
) -> NDArray[np.uint8]:
    """Write cells as steps of 1/254 between the bounds, and :data:`EMPTY` for nothing."""
    width = high - low
    step = np.float32(EMPTY - 1) / np.where(width > 0, width, np.float32(1))
    scaled = (table - low) * step
    scaled += np.float32(0.5)
    empty = np.isnan(scaled)
    scaled[empty] = EMPTY
    return scaled.astype(np.uint8)


def _shown(bound: NDArray[np.float32], scale: Literal["row", "all"]) -> list[float | None] | float | None:
    found = numbers(bound.ravel())
    return found if scale == "row" else found[0]


_READ: dict[str, Any] = {"method": "GET", "right": "read"}

ROUTES: tuple[Route, ...] = (
    Route(path="/api/series", work=series, query=SeriesQuery, answer=SeriesWhole, **_READ),
    Route(path="/api/heat", work=heat, query=HeatQuery, answer=HeatView, **_READ),
)
