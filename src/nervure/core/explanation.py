"""Explanation of one forecast in words and numbers: which sensor, how long ago, which driver.

The calendar is known first: its share is what it says alone, and the shares of readings and drivers
are what they add to that (asymmetric Shapley values: Frye, Rowat & Feige, NeurIPS 2020). A reading
held against the wrong hour would mean nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from nervure.core.attribution import Block, Predict, Shares, game, shapley
from nervure.core.calendar import calendar
from nervure.core.card import Card, Channel
from nervure.core.instant import DAY_NS, HOUR_NS, SECOND_NS
from nervure.core.problem import Forecast
from nervure.core.window import Window

__all__ = [
    "CALENDAR", "Contribution", "Explanation", "Kind", "Layout", "Named",
    "blocks_of", "explain", "layout_of", "spans",
]  # fmt: skip

Floats = NDArray[np.float64]
Longs = NDArray[np.int64]
Kind = Literal["own", "neighbour", "driver", "ahead", "calendar"]

CALENDAR = "calendar"
_MINUTE_NS = 60 * SECOND_NS
_LADDER = tuple(
    [SECOND_NS * one for one in (1, 2, 5, 10, 30)]
    + [_MINUTE_NS * one for one in (1, 2, 5, 10, 15, 30)]
    + [HOUR_NS * one for one in (1, 2, 3, 6, 12)]
    + [DAY_NS * one for one in (1, 2, 3, 7, 14, 28)]
)
_REFERENCES = 32  # other moments that the calendar is held against
_YEAR_NS = 365 * DAY_NS


class Layout(msgspec.Struct, frozen=True, kw_only=True):
    """What the cells of a model's window hold: as in its card, or in the task it was trained on.

    ``streams`` are named in the order of nodes, ``neighbours [node, neighbour]`` are nodes.
    """

    streams: tuple[str, ...]
    channels: tuple[Channel, ...]
    future: tuple[Channel, ...]
    neighbours: tuple[tuple[int, ...], ...]
    joint: bool
    window: int
    horizon: int
    every_ns: int
    zone: str
    country: str | None
    unit: str
    median: int


class Named(NamedTuple):
    """A block of a window, with the input it holds, when that was or will be, and its kind."""

    block: Block
    source: str
    span: str
    kind: Kind


class Contribution(msgspec.Struct, frozen=True, kw_only=True):
    """What one input adds to the forecast: ``value`` is the mean over the horizon, in its unit.

    ``source`` names the input and ``span`` the time; ``by_step [horizon]`` is the value at each step,
    and ``error`` the standard error of ``value``, which drawing leaves.
    """

    source: str
    span: str
    kind: Kind
    value: float
    error: float
    by_step: tuple[float, ...]

    @property
    def name(self) -> str:
        """Name the input as a person would: source and time.

        >>> Contribution(source="rain", span="0-6 h ago", kind="driver", value=1, error=0, by_step=(1,)).name
        'rain, 0-6 h ago'
        """
        return f"{self.source}, {self.span}" if self.span else self.source


class Explanation(msgspec.Struct, frozen=True, kw_only=True):
    """Why a forecast is what it is; the contributions, largest first, add up to forecast less nothing.

    ``forecast``, ``usual`` (from the calendar alone) and ``nothing`` (every reading and the moment
    hidden) are ``[horizon]``, medians in ``unit``. ``slot`` is the last slot of the window, and
    ``asked`` counts the windows that the model was asked for.
    """

    stream: str
    unit: str
    slot: int
    every_ns: int
    forecast: tuple[float, ...]
    usual: tuple[float, ...]
    nothing: tuple[float, ...]
    contributions: tuple[Contribution, ...]
    sentence: str
    asked: int

    @property
    def values(self) -> Floats:
        """The contributions as an array: ``[contribution, horizon]``."""
        return np.array([one.by_step for one in self.contributions])

    def by(self, what: Literal["source", "span", "kind"]) -> dict[str, float]:
        """Add the contributions up per sensor, per lag or per kind of input, largest first.

        The calendar has no span, and stands under its own name there.
        """
        total: dict[str, float] = {}
        for one in self.contributions:
            name = getattr(one, what) or one.source
            total[name] = total.get(name, 0.0) + one.value
        return dict(sorted(total.items(), key=lambda item: -abs(item[1])))


def layout_of(card: Card) -> Layout:
    """Return the layout of a packaged model."""
    return Layout(
        streams=card.streams,
        channels=card.channels,
        future=card.future,
        neighbours=card.neighbours,
        joint=card.joint,
        window=card.window,
        horizon=card.horizon,
        every_ns=card.every_ns,
        zone=card.zone,
        country=card.problem.calendar if isinstance(card.problem, Forecast) else None,
        unit=card.unit,
        median=card.quantiles.index(0.5),
    )


def spans(length: int, every_ns: int, most: int) -> list[tuple[int, int]]:
    """Cut ``length`` slots into at most ``most`` spans of age, newest first and finest.

    >>> spans(12, 5 * _MINUTE_NS, 4)
    [(0, 1), (1, 3), (3, 6), (6, 12)]
    >>> spans(168, HOUR_NS, 6)
    [(0, 1), (1, 3), (3, 12), (12, 24), (24, 72), (72, 168)]
    """
    steps = [one // every_ns for one in _LADDER if one % every_ns == 0 and one < length * every_ns]
    kept = np.unique(np.rint(np.linspace(0, len(steps) - 1, min(most - 1, len(steps)))).astype(int))
    edges = [0, *(steps[one] for one in kept), length]
    return [(start, stop) for start, stop in pairwise(edges) if stop > start]


def explain(
    predict: Predict,
    window: Window,
    layout: Layout,
    *,
    slot: int,
    row: int = 0,
    detail: int = 6,
    orders: int = 32,
    near: Sequence[int] = (),
    seed: int = 0,
) -> Explanation:
    """Explain the forecast of the window's ``row``; the window ends with ``slot``.

    The window has one row, or one for every node where the model sees all at once; then ``near``
    are the nodes that are told apart, and all others stand together. ``detail`` is into how many
    spans the past is cut; drivers, neighbours and what is known ahead into about half as many.
    The model is asked for ``orders`` times as many windows as there are blocks, at most.
    """
    named = blocks_of(window, layout, row=row, detail=detail, near=near)
    blocks = [one.block for one in named]
    shares = shapley(
        game(predict, window, blocks, row=row, median=layout.median), len(blocks), orders=orders, seed=seed
    )
    nothing = _nothing(predict, window, layout, blocks, slot=slot, row=row)
    found = _contributions(named, shares, nothing)
    stream = layout.streams[int(window.node[row])]
    return Explanation(
        stream=stream,
        unit=layout.unit,
        slot=slot,
        every_ns=layout.every_ns,
        forecast=tuple(shares.whole.tolist()),
        usual=tuple(shares.nothing.tolist()),
        nothing=tuple(nothing.tolist()),
        contributions=tuple(found),
        sentence=_sentence(stream, layout, shares, found),
        asked=(shares.asked + _REFERENCES) * len(window.node),
    )


def _contributions(named: list[Named], shares: Shares, nothing: Floats) -> list[Contribution]:
    """Give every share its name, the calendar's too; largest first."""
    days = shares.nothing - nothing
    rows = [
        (*words, value, float(error.mean()))
        for (_, *words), value, error in zip(named, shares.value, shares.error, strict=True)
    ]
    rows.append((CALENDAR, "", "calendar", days, 0.0))
    found = [
        Contribution(
            source=source,
            span=span,
            kind=kind,
            value=float(value.mean()),
            error=error,
            by_step=tuple(value.tolist()),
        )
        for source, span, kind, value, error in rows
    ]
    return sorted(found, key=lambda one: -abs(one.value))


def blocks_of(
    window: Window, layout: Layout, *, row: int = 0, detail: int = 6, near: Sequence[int] = ()
) -> list[Named]:
    """Cut the window into blocks, named; what the arguments mean is said in :func:`explain`."""
    node = int(window.node[row])
    few = max(2, detail // 2)
    named: list[Named] = []
    for place, channel in enumerate(layout.channels):
        kind: Kind = "driver"
        if channel.neighbour:
            kind = "neighbour"
        elif channel.signal == layout.channels[0].signal:
            kind = "own"
        source = _source(layout, channel, node)
        parts = detail if place == 0 else few
        named += _cut(layout, place, (row,), source=source, kind=kind, detail=parts)
    others = [one for one in range(len(window.node)) if one != row]
    told = [one for one in others if int(window.node[one]) in set(near)]
    for one in told:
        stream = _said(layout.streams[int(window.node[one])])
        named += _cut(layout, 0, (one,), source=stream, kind="neighbour", detail=few)
    rest = tuple(one for one in others if one not in told)
    if rest:
        name = f"{layout.channels[0].signal} of all others"
        named += _cut(layout, 0, rest, source=name, kind="neighbour", detail=few)
    for place, channel in enumerate(layout.future):
        source = f"{_source(layout, channel, node)} foreseen"
        for start, stop in spans(layout.horizon, layout.every_ns, few):
            block = Block(channel=place, start=start, stop=stop, rows=(row,), ahead=True)
            named.append(Named(block, source, _ages(start, stop, layout.every_ns, "ahead"), "ahead"))
    return named


def _cut(
    layout: Layout, place: int, rows: tuple[int, ...], *, source: str, kind: Kind, detail: int
) -> list[Named]:
    """Cut the channel at ``place`` into blocks, newest first."""
    length, channel = layout.window, layout.channels[place]
    return [
        Named(
            Block(channel=place, start=length - stop, stop=length - start, rows=rows),
            source,
            _ages(start + channel.back, stop + channel.back, layout.every_ns, "ago"),
            kind,
        )
        for start, stop in spans(length, layout.every_ns, detail)
    ]


def _source(layout: Layout, channel: Channel, node: int) -> str:
    """Name what a channel of a node holds."""
    if channel.shared:
        return channel.signal
    if channel.neighbour:
        node = layout.neighbours[node][channel.neighbour - 1]
    thing, _, own = layout.streams[node].rpartition("/")
    signal = channel.signal or own
    return f"{signal} of {thing}" if thing else signal


def _said(stream: str) -> str:
    thing, _, signal = stream.rpartition("/")
    return f"{signal} of {thing}" if thing else signal


def _ages(start: int, stop: int, every_ns: int, word: str) -> str:
    """Write a span of slots in the unit that reads best.

    >>> five = 5 * _MINUTE_NS
    >>> _ages(3, 6, five, "ago"), _ages(24, 72, HOUR_NS, "ago"), _ages(276, 278, five, "ago")
    ('15-30 min ago', '1-3 days ago', '23-23.2 h ago')
    """
    low, high = start * every_ns, stop * every_ns
    units = ((DAY_NS, "days", 2 * DAY_NS), (HOUR_NS, "h", 0), (_MINUTE_NS, "min", 0), (SECOND_NS, "s", 0))
    whole = ((size, name) for size, name, least in units if high > least and not (low % size or high % size))
    size, name = next(whole, (HOUR_NS, "h"))
    if size == _MINUTE_NS and high > 3 * HOUR_NS:  # 23-23.2 h reads better than 1380-1390 min
        size, name = HOUR_NS, "h"
    return f"{low / size:.3g}-{high / size:.3g} {name} {word}".strip()


def _nothing(
    predict: Predict, window: Window, layout: Layout, blocks: Sequence[Block], *, slot: int, row: int
) -> Floats:
    """Return the mean forecast of moments spread over the year before, nothing read: ``[horizon]``."""
    length = layout.window + layout.horizon
    year = _YEAR_NS // layout.every_ns
    shift = (year * ((np.arange(_REFERENCES) + 0.5) * 0.6180339887 % 1)).astype(np.int64)
    total = np.zeros(layout.horizon)
    for back in shift.tolist():
        first = slot - back - layout.window + 1
        days = calendar(layout.zone, layout.country, layout.every_ns, first, length)
        moved = msgspec.structs.replace(
            window, calendar=np.tile(days[None], (len(window.node), 1, 1)).astype(window.calendar.dtype)
        )
        play = game(predict, moved, blocks, row=row, median=layout.median)
        total += play(np.zeros((1, len(blocks)), dtype=bool))[0]
    return total / len(shift)


def _sentence(stream: str, layout: Layout, shares: Shares, found: Sequence[Contribution]) -> str:
    """Say what the forecast is, what is usual, and what moved it most."""
    span = _ages(0, layout.horizon, layout.every_ns, "").removeprefix("0-")
    unit = f" {layout.unit}" if layout.unit else ""
    forecast, usual = float(shares.whole.mean()), float(shares.nothing.mean())
    said = (
        f"{_said(stream)}: {forecast:.4g}{unit} foreseen on average over the next {span};"
        f" the calendar alone says {usual:.4g}{unit}."
    )
    readings = [one for one in found if one.kind != "calendar"]
    raised = [f"{one.name} ({one.value:+.3g})" for one in readings if one.value > 0][:2]
    lowered = [f"{one.name} ({one.value:+.3g})" for one in readings if one.value < 0][:2]
    if raised:
        said += f" Raised most by {' and '.join(raised)}."
    if lowered:
        said += f" Lowered most by {' and '.join(lowered)}."
    return said
