"""Lane: one model on its live streams: windows in, forecasts and anomaly scores out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from nervure.core.calendar import calendar
from nervure.core.card import Card
from nervure.core.columnar import every
from nervure.core.error import ModelError
from nervure.core.problem import Forecast
from nervure.core.residual import Accumulator, Issued, Limit, Options, enough, excess, sure
from nervure.core.window import Rings, Window
from nervure.score.ahead import Ahead
from nervure.score.band import Bands
from nervure.score.layout import layout

__all__ = ["Foreseen", "Lane", "Model", "limit_in"]

Floats = NDArray[np.float64]
Longs = NDArray[np.int64]
Flags = NDArray[np.bool_]

_BLOCK = 1024  # slots of calendar computed at a time
_NO_SLOT = -(1 << 62)
_TOGETHER = 1 << 18  # numbers of windows that are cut at once: they stay near the processor


class Model(Protocol):
    """What a lane needs of a model: its card, and the run of its graph."""

    @property
    def card(self) -> Card:
        """What the model is and must be fed."""
        ...

    def run(self, window: Window) -> NDArray[np.float32]:
        """Foresee: ``[batch, horizon, quantile]``."""
        ...


class Foreseen(msgspec.Struct, frozen=True, kw_only=True):
    """What a lane made of readings, ``[row]``: judged by older forecasts, then foreseen anew.

    ``band`` is the new forecast, ``[row, horizon, 3]``: median, low, high, widened or narrowed by
    how the last ones fared. The score is measured in the model's own bands, as it was calibrated.
    """

    expected: Floats
    low: Floats
    high: Floats
    score: Floats
    sure: Floats
    onset: Longs
    band: Floats


def limit_in(card: Card, problem: str | None) -> Limit | None:
    """Return the calibrated limit of an anomaly problem, if the model carries one."""
    raw = card.limits.get(problem) if problem else None
    if raw is None:
        return None
    try:
        limit = msgspec.convert(raw, Limit)
    except msgspec.ValidationError as cause:
        raise ModelError(f"{card.name}: the limit of {problem} cannot be read: {cause}") from cause
    if limit.streams != card.streams or max(limit.options.leads) > card.horizon:
        raise ModelError(
            f"{card.name}: the limit of {problem} was calibrated for other streams or a longer horizon",
            hint="calibrate and package the model again",
        )
    return limit


class Lane:
    """The windows, the forecasts not yet judged, and the running scores of one model.

    ``ahead`` says of signals how long before its time a value may be known, in nanoseconds.
    """

    def __init__(
        self, model: Model, limit: Limit | None, *, batch: int, ahead: Mapping[str, int] | None = None
    ) -> None:
        card = model.card
        nodes = len(card.streams)
        self.card = card
        self.limit = limit
        self.layout = layout(card)
        self.foreseen: int = getattr(model, "foreseen", nodes)
        """How many nodes are foreseen; those after them are neighbours, which are only seen."""
        self._model = model
        self._batch = max(1, batch // nodes) * nodes if card.joint else batch
        cut = _TOGETHER // (card.window * len(card.channels))
        self._stretch = max(1, cut // self._batch) * self._batch
        self._days: Longs = np.zeros((self._batch, card.window + card.horizon, 5), dtype=np.int64)
        self._days_of: Longs = np.full(self._batch, _NO_SLOT)
        self._median = card.quantiles.index(0.5)
        self._country = card.problem.calendar if isinstance(card.problem, Forecast) else None
        back = np.array([one.back for one in card.channels], dtype=np.int64)
        self._back: Longs | None = back if back.any() else None
        self._near = np.flatnonzero([one.neighbour > 0 for one in card.channels])
        leads = limit.options.leads if limit else (1,)
        self._grid: Floats = np.array(limit.grid if limit else (0.0,))
        self._floor: Floats = np.array(limit.floor) if limit else np.full(nodes, 1e-9)
        self.span = card.window + card.horizon + int(back.max(initial=0))
        self._rings = Rings(streams=len(self.layout.names), length=self.span, every_ns=card.every_ns)
        self._lay_ahead(ahead or {})
        self._issued = Issued(nodes, leads)
        self._bands = Bands(nodes, card.horizon, 1.0 - (card.quantiles[-1] - card.quantiles[0]))
        self._sums = Accumulator.calibrated(limit) if limit else Accumulator(nodes, Options(leads=leads))

    def _lay_ahead(self, ahead: Mapping[str, int]) -> None:
        """Give every column a place among those whose values may be known before their time, or -1."""
        known = np.array([ahead.get(one, 0) > 0 for one in self.layout.signals], dtype=bool)
        self._place: Longs = np.where(known, np.cumsum(known) - 1, -1)
        self._open = np.flatnonzero((self._place[self.layout.columns] >= 0).any(axis=0))
        reach = max((-(-ahead.get(one, 0) // self.card.every_ns) for one in self.layout.signals), default=0)
        length = self.span + max(self.card.horizon, reach)
        self._ahead = Ahead(int(known.sum()), length) if known.any() else None

    def feed(self, columns: Longs, time: Longs, value: Floats) -> Flags:
        """Put one reading a column into the windows; tells which open a new slot."""
        opened: Flags = self._rings.push(columns, time, value) == 1
        return opened

    def fill(self, columns: Longs, time: Longs, value: Floats) -> Flags:
        """Put late readings into slots that are still held and empty; tells which went in."""
        rings = self._rings
        slot = time // rings.every_ns
        head = rings.head[columns]
        held = (slot <= head) & (slot > head - rings.length)
        held &= np.isnan(rings.value[slot % rings.length, columns])
        if held.any():
            rings.push(columns[held], time[held], value[held])
        filled: Flags = held
        return filled

    def foretell(self, columns: Longs, time: Longs, value: Floats, issued: Longs) -> None:
        """Take in values known before their time, no slot of a column twice; a newer issue replaces."""
        place = self._place[columns]
        known = place >= 0
        if self._ahead is not None and known.any():
            slot = time[known] // self.card.every_ns
            self._ahead.tell(place[known], slot, value[known], issued[known])

    def again(self, nodes: Longs, time: Longs) -> Floats:
        """Foresee from slots that are over: ``[row, horizon, 3]``. Nobody is judged by it."""
        band, _ = self._foresee(nodes, time // self.card.every_ns)
        return self._bands.widen(nodes, band)

    def distrust(self, column: int, node: int | None, since_ns: int, until_ns: int) -> None:
        """Take out what a stuck meter repeated, and what was foreseen with it.

        The reading at ``since_ns`` was new and stays.
        """
        rings, every_ns = self._rings, self.card.every_ns
        first, last = since_ns // every_ns + 1, until_ns // every_ns
        first = max(first, last - rings.length + 1)
        places = np.arange(first, last + 1, dtype=np.int64) % rings.length
        rings.value[places, column] = np.nan
        rings.value[places + rings.length, column] = np.nan
        if node is not None:
            self._issued.revoke(node, first, last)

    def take(self, nodes: Longs, time: Longs, value: Floats, fresh: Flags) -> Foreseen:
        """Judge one reading a node by what was foreseen, then foresee anew."""
        slot = time // self.card.every_ns
        seen = excess(value, self._issued.about(nodes, slot), self._floor[nodes])
        score, onset = self._sums.step(nodes, time, seen.value, fresh)
        if self.limit is None:
            score = certain = np.full(len(nodes), np.nan)
        else:
            certain = sure(self._grid, score)
        band, trusted = self._foresee(nodes, slot)
        sound = band if every(trusted) else np.where(trusted[:, None, None], band, np.nan)
        self._issued.issue(nodes, slot, sound)
        calm = ~(score > self.limit.limit) if self.limit else np.ones(len(nodes), dtype=bool)
        self._bands.learn(nodes, slot, value, calm)
        self._bands.issue(nodes, slot, sound)
        band = self._bands.widen(nodes, band)
        return Foreseen(
            expected=seen.expected,
            low=seen.low,
            high=seen.high,
            score=score,
            sure=certain,
            onset=onset,
            band=band,
        )

    def _foresee(self, nodes: Longs, slot: Longs) -> tuple[Floats, Flags]:
        """Foresee: ``[row, horizon, 3]``, and whether enough was read to trust it.

        A joint graph runs once for each slot, over all nodes, however many of them are asked for.
        """
        if not self.card.joint:
            return self._run(nodes, slot)
        count = len(self.card.streams)
        each, turn = np.unique(slot, return_inverse=True)
        everyone = np.tile(np.arange(count, dtype=np.int64), len(each))
        band, trusted = self._run(everyone, np.repeat(each, count))
        rows = turn * count + nodes
        return band[rows], trusted[rows]

    def _run(self, nodes: Longs, slot: Longs) -> tuple[Floats, Flags]:
        """Run the model in batches; windows are cut for several of them at once."""
        card = self.card
        parts: list[NDArray[np.float32]] = []
        trusted: list[Flags] = []
        for start in range(0, len(nodes), self._stretch):
            node, last = nodes[start : start + self._stretch], slot[start : start + self._stretch]
            x, ahead = self._shown(node, last)
            trusted.append(enough(x))
            first = last - (card.window - 1)
            for begin in range(0, len(x), self._batch):
                rows = slice(begin, begin + self._batch)
                days = self._calendar(first[rows])
                known = None if ahead is None else ahead[rows]
                parts.append(self._model.run(Window(x=x[rows], node=node[rows], calendar=days, ahead=known)))
        y = parts[0] if len(parts) == 1 else np.concatenate(parts)
        if y.shape[1:] != (card.horizon, len(card.quantiles)):
            raise ModelError(
                f"{card.name} yields {y.shape}, its card says [batch, {card.horizon}, {len(card.quantiles)}]",
                hint="package the model again",
            )
        band = np.empty((*y.shape[:2], 3))
        for place, quantile in enumerate((self._median, 0, -1)):
            band[:, :, place] = y[:, :, quantile]
        return band, trusted[0] if len(trusted) == 1 else np.concatenate(trusted)

    def window(self, nodes: Longs, slot: Longs) -> Window:
        """Return what the model eats when it foresees from ``slot [row]``."""
        x, ahead = self._shown(nodes, slot)
        calendar = [self._of_slots(one) for one in (slot - self.card.window + 1).tolist()]
        return Window(x=x, node=nodes, calendar=np.stack(calendar), ahead=ahead)

    def _shown(self, nodes: Longs, slot: Longs) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
        """Return the windows ``[row, time, channel]`` and the drivers over the horizon, if there are any.

        Where a driver was foretold but not (or not yet) read, its forecast stands in, over the horizon
        and in the window.
        """
        card, rings = self.card, self._rings
        columns = self.layout.columns[nodes]
        x = rings.window(columns, slot, card.window, self._back)
        if len(self._near):
            x[:, -1, self._near] = np.nan  # as in training: who of two neighbours reads first is chance
        if len(self._open):
            at = slot[:, None, None] + np.arange(1 - card.window, 1)[:, None]
            at = at if self._back is None else at - self._back[self._open]
            x[:, :, self._open] = self._told(x[:, :, self._open], columns[:, self._open], at)
        ahead = None
        if card.future:
            drivers = self.layout.future[nodes]
            steps = np.broadcast_to(np.arange(1, card.horizon + 1)[:, None], (card.horizon, len(card.future)))
            read = rings.window(drivers, slot + card.horizon, card.horizon)
            ahead = self._told(read, drivers, slot[:, None, None] + steps).astype(np.float32)
        return np.ascontiguousarray(x), ahead

    def _told(self, read: NDArray[np.float32], columns: Longs, slot: Longs) -> NDArray[np.floating[Any]]:
        """Return what was read ``[batch, time, channel]``, or else what was foretold of those slots."""
        if self._ahead is None:
            return read
        about = self._ahead.about(self._place[columns], slot)
        told: NDArray[np.floating[Any]] = np.where(np.isnan(read), about, read)
        return told

    def _calendar(self, first: Longs) -> Longs:
        """Return the calendar of windows that begin with these slots: ``[row, time + horizon, 5]``.

        It holds until the next call, of a batch at most. Streams keep step, so most rows show already what
        they are to show.
        """
        made, shown = self._days[: len(first)], self._days_of[: len(first)]
        if shown.tobytes() != first.tobytes():  # a tenth of the time of asking numpy, of so few
            changed = np.flatnonzero(shown != first)
            begins = first[changed]
            for one in set(begins.tolist()):
                made[changed[begins == one]] = self._of_slots(one)
            shown[:] = first
        return made

    def _of_slots(self, first: int) -> Longs:
        """Return the calendar of a window that begins with a slot, and of its horizon."""
        card = self.card
        length = card.window + card.horizon
        block, offset = divmod(first, _BLOCK)
        table = calendar(card.zone, self._country, card.every_ns, block * _BLOCK, _BLOCK + length)
        return table[offset : offset + length]

    def state(self) -> dict[str, Any]:
        """Return what :meth:`restore` needs to go on after a restart."""
        return {
            "version": self.card.version,
            "rings": self._rings.state(),
            "issued": self._issued.state(),
            "sums": self._sums.state(),
            "bands": self._bands.state(),
            "ahead": None if self._ahead is None else self._ahead.state(),
        }

    def restore(self, state: dict[str, Any]) -> bool:
        """Take up where :meth:`state` left off; false if that was another version of the model."""
        if state["version"] != self.card.version:
            return False
        self._rings.restore(state["rings"])
        self._issued.restore(state["issued"])
        self._sums.restore(state["sums"])
        self._bands.restore(state["bands"])
        if self._ahead is not None and state.get("ahead") is not None:
            self._ahead.restore(state["ahead"])
        return True
