"""Scorer: what a solution's readings look like to its model, as they arrive.

The outcome depends on the order of readings only, not on how the log was cut into batches: a restart in
the middle gives the same under the same names. Only a joint model sees what came in the same batch.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from nervure.core.answer import ANSWER
from nervure.core.columnar import constant, endless, every, only, some
from nervure.core.declaration import Solution
from nervure.core.entity import Datastream
from nervure.core.error import ModelError
from nervure.core.finding import Findings, merged
from nervure.core.group import Places
from nervure.core.instant import SECOND_NS
from nervure.core.observation import Batch, Quality
from nervure.core.window import Table, rounds, turns
from nervure.score.asked import FOREVER, anomaly, node_of, ruled_by, stuck_ns
from nervure.score.lane import Lane, Model, limit_in
from nervure.score.order import PLAIN, stages
from nervure.score.pack import Pack, Word, forecasts
from nervure.score.track import Track
from nervure.solutions import find

__all__ = ["Scored", "Scorer"]

Floats = NDArray[np.float64]
Longs = NDArray[np.int64]
Flags = NDArray[np.bool_]

_KINDS = ("reading", ANSWER)
_TRUE, _FALSE, _ZERO = endless(np.bool_(True)), endless(np.bool_(False)), endless(0.0)
_NOTHING = Batch.concat([])


class Scored(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a batch: forecasts and answers to publish, findings for the rules."""

    packs: list[Pack]
    findings: Findings
    words: list[Word] = []


class Scorer:
    """Scores the readings of one solution.

    Without a model (``None``) it still finds how long values have stayed the same, for rules that
    ask no more. Readings of streams that neither a model nor a rule needs are skipped unseen.
    ``forecasts`` maps reading Datastreams to those of their forecasts; it is read from the
    Datastreams if left out.
    """

    def __init__(
        self,
        model: Model | None,
        datastreams: Iterable[Datastream],
        *,
        solution: Solution | None = None,
        forecasts: dict[int, int] | None = None,
        batch: int = 64,
    ) -> None:
        known = list(datastreams)
        if solution is None:
            solution = find(model.card.solution if model else next(iter(known)).solution)
        self.solution = solution
        self.model_name = f"{model.card.name} {model.card.version}" if model else ""
        self._lane: Lane | None = None
        if model is not None:
            limit = limit_in(model.card, anomaly(solution, model.card))
            ahead = {one.name: one.ahead_ns for one in solution.signals}
            self._lane = Lane(model, limit, batch=batch, ahead=ahead)
        self._forecasts = dict(forecasts or {})
        self._told: list[tuple[object, ...]] = []
        self._track = Track(0)
        self._ids: Longs = np.zeros(0, dtype=np.int64)
        self._known = Places(self._ids)
        self._place([], {})
        self.learn(known)

    def learn(self, datastreams: Iterable[Datastream]) -> None:
        """Take up Datastreams that are new; those already known go on undisturbed."""
        known = list(datastreams)
        told: list[tuple[object, ...]] = [(one.id, one.name, one.kind, one.source) for one in known]
        if told == self._told:
            return
        self._told = told
        for one in known:
            if one.kind == "forecast" and one.source is not None:
                self._forecasts.setdefault(one.source, one.id)
        lane = self._lane
        columns = {name: place for place, name in enumerate(lane.layout.names)} if lane else {}
        ruled = ruled_by(self.solution)
        known = [one for one in known if one.kind in _KINDS]
        kept = sorted(
            (one for one in known if one.name in columns or one.signal in ruled),
            key=lambda one: one.id,
        )
        before, after = self._ids, np.array([one.id for one in kept], dtype=np.int64)
        track = Track(len(kept))
        here, there = np.flatnonzero(np.isin(after, before)), np.flatnonzero(np.isin(before, after))
        track.restore(self._track.state(), here, there)
        self._track, self._ids, self._known = track, after, Places(after)
        self._place(kept, columns)

    def _place(self, kept: list[Datastream], columns: dict[str, int]) -> None:
        """Note for every stream its ring column, its node, and for how long it may stay unchanged."""
        nodes = {name: node for node, name in enumerate(self._lane.card.streams)} if self._lane else {}
        feeds: dict[int, set[int]] = {}
        if self._lane is not None:
            laid = np.concatenate([self._lane.layout.columns, self._lane.layout.future], axis=1)
            everyone = set(range(len(laid))) if self._lane.card.joint else None
            for node, row in enumerate(laid.tolist()):
                for column in row:
                    feeds.setdefault(column, set()).update(everyone or {node})
        self._column = np.array([columns.get(one.name, -1) for one in kept], dtype=np.int64)
        foreseen = self._lane.foreseen if self._lane is not None else 0
        self._target = np.array([nodes.get(one.name, foreseen) < foreseen for one in kept], dtype=bool)
        self._node = np.array(
            [node_of(one.name, nodes, feeds.get(columns.get(one.name, -1), set())) for one in kept],
            dtype=np.int64,
        )
        early = {one.name for one in self.solution.signals if one.ahead is not None}
        self._early = np.array([one.signal in early for one in kept], dtype=bool)
        self._foretold = bool(self._early.any())
        self._answer = np.array([one.kind == ANSWER for one in kept], dtype=bool)
        self._answers = bool(self._answer.any())
        self._stuck_ns = np.array([stuck_ns(self.solution, one.signal) for one in kept], dtype=np.int64)
        self._outlet = np.array([self._forecasts.get(one.id, 0) for one in kept], dtype=np.int64)
        shown = self._lane is not None and bool(self._lane.layout.showing)
        self._apart = not shown and not ((self._node != PLAIN) & ~self._target).any()
        self._place_of = {key: place for place, one in enumerate(kept) for key in (one.name, str(one.id))}

    @property
    def inputs(self) -> list[int]:
        """The Datastreams whose readings the model eats."""
        return [int(one) for one in self._ids[self._column >= 0]]

    @property
    def targets(self) -> list[int]:
        """The Datastreams whose readings the model foresees."""
        return [int(one) for one in self._ids[self._target]]

    @property
    def early(self) -> list[int]:
        """The Datastreams among the inputs whose values may be known before their time."""
        return [int(one) for one in self._ids[self._early & (self._column >= 0)]]

    @property
    def span(self) -> int:
        """How many slots of the past the windows hold."""
        return self._lane.span if self._lane else 0

    def take(self, batch: Batch) -> Scored:
        """Score a batch, in log order; batches may be cut anywhere."""
        batch, there = self._mine(batch)
        if not len(batch):
            return Scored(packs=[], findings=merged([]))
        time, value, issued = batch.time, batch.value, batch.result_time
        now = issued is time or not self._foretold
        told = _FALSE[: len(time)] if now else batch.groups.spread(self._early[there]) & (time > issued)
        if self._lane is None and (found := self._plain(batch, there, told)) is not None:
            return Scored(packs=[], findings=found)
        place = batch.groups.spread(there)
        good = _TRUE[: len(time)] if only(batch.quality) == Quality.GOOD else batch.quality == Quality.GOOD
        packs, parts = list[Pack](), list[tuple[Longs, Findings]]()
        for stage in turns(batch.groups) if now and self._apart else self._stages(place, time, told):
            early, chosen = (stage[:0], stage) if now else (stage[told[stage]], stage[~told[stage]])
            if len(early):
                sound = early[good[early]]
                self._foretell(place[sound], time[sound], value[sound], issued[sound])
            if not len(chosen):
                continue
            columns = place, time, value, good
            if len(chosen) < len(time):
                columns = place[chosen], time[chosen], value[chosen], good[chosen]
            newer, findings, made = self._stage(*columns)
            kept = chosen[newer]
            parts.append((kept, self._answered(findings, batch, kept, place[kept])))
            packs += made
        return Scored(packs=packs, findings=merged(parts))

    def _mine(self, batch: Batch) -> tuple[Batch, Longs]:
        """Return the readings that anything here is made of, and where the stream of each group is."""
        if len(batch.groups.starts) == 1 and str(batch.datastream[0]) not in self._place_of:
            return _NOTHING, self._ids[:0]
        streams = batch.datastream[batch.groups.firsts] if len(self._ids) else self._ids
        place = self._known.of(streams)
        ours = self._ids[place] == streams
        good = only(batch.quality) == Quality.GOOD
        if not some(ours):
            return _NOTHING, self._ids[:0]
        words = np.isnan(batch.value)
        if good and every(ours) and not some(words):
            return batch, place
        mine = batch.groups.spread(ours) & ~words
        if not good:
            mine &= batch.quality != Quality.LATE
        if not every(mine):
            batch = batch.take(np.flatnonzero(mine))
            place = self._known.of(batch.datastream[batch.groups.firsts])
        return batch, place

    def _plain(self, batch: Batch, there: Longs, told: Flags) -> Findings | None:
        """Take readings of which no model makes anything, but those ``told``; None if times do not rise."""
        if some(told):
            batch = batch.take(np.flatnonzero(~told))
            there = self._known.of(batch.datastream[batch.groups.firsts])
        seen = self._track.follow(there, batch.groups, batch.time, batch.value)
        if seen is None:
            return None
        flat_s = _ZERO[: len(batch)] if only(seen.flat_ns) == 0 else seen.flat_ns / SECOND_NS
        columns = batch.datastream, batch.time, batch.value, flat_s
        if not self._answers:
            return Findings.blank(*columns, model=self.model_name, lasting=True)
        found = Findings.blank(*columns, model=self.model_name)
        return self._answered(found, batch, np.arange(len(batch)), batch.groups.spread(there))

    def _answered(self, findings: Findings, batch: Batch, rows: Longs, place: Longs) -> Findings:
        """Give the answers among findings, ``rows`` of a batch, the intervals that they bring with them."""
        if self._answers and (answered := self._answer[place]).any():
            source = rows[answered]
            findings.low[answered], findings.high[answered] = batch.low[source], batch.high[source]
        return findings

    def _stages(self, place: Longs, time: Longs, told: Flags) -> list[NDArray[Any]]:
        """Return rows by stage: a stream comes once in each, and what is foretold of one once a slot."""
        if self._lane is None:
            return rounds(place)
        turn, layout = place, self._lane.layout
        if told.any():
            turn = place.copy()
            keys = np.stack([place[told], time[told] // self._lane.card.every_ns])
            turn[told] = len(self._ids) + np.unique(keys, axis=1, return_inverse=True)[1].ravel()
        target = self._target[place] & ~told
        return stages(turn, self._node[place], target, layout.showing, foreseen=self._lane.foreseen)

    def _foretell(self, place: Longs, time: Longs, value: Floats, issued: Longs) -> None:
        """Take in values known before their time: they are not read, so nothing else sees them."""
        column = self._column[place]
        fed = column >= 0
        if self._lane is not None and fed.any():
            self._lane.foretell(column[fed], time[fed], value[fed], issued[fed])

    def _stage(
        self, place: Longs, time: Longs, value: Floats, good: Flags
    ) -> tuple[Longs, Findings, list[Pack]]:
        """Take one reading a stream; returns which rows were new, what was found, what was foreseen."""
        seen, newer = self._track.step(place, time, value), np.arange(len(place))
        column, filled = self._column[place], (place[:0], time[:0])
        if not every(seen.newer):
            late = ~seen.newer & good & (column >= 0)
            filled = self._fill(place[late], time[late], value[late])
            newer = np.flatnonzero(seen.newer)
            seen, place, column = seen.take(newer), place[newer], column[newer]
            time, value, good = time[newer], value[newer], good[newer]
        flat, fed = seen.flat_ns, column >= 0
        plain = self._ids[place], time, value, flat / SECOND_NS
        if self._lane is None or not some(fed):
            return newer, Findings.blank(*plain, model=self.model_name), self._again(*filled)
        stuck_ns = self._stuck_ns[place]
        stuck = flat > stuck_ns
        stopped = some(stuck)
        believed = value if every(good) and not stopped else np.where(good & ~stuck, value, np.nan)
        opened, mine = fed.copy(), slice(None) if every(fed) else fed
        opened[mine] = self._lane.feed(column[mine], time[mine], believed[mine])
        if stopped:
            just = stuck & fed & (seen.before_ns <= stuck_ns)
            self._distrust(self._lane, place[just], time[just] - flat[just], time[just])
        packs = self._again(*filled)
        judged = opened & self._target[place]
        findings = Findings.blank(*plain, model=self.model_name, lasting=every(judged))
        if some(judged):
            fresh = seen.fresh | (stuck_ns == FOREVER)
            findings, made = self._judge(self._lane, place, believed, fresh, findings, judged)
            packs += made
        return newer, findings, packs

    def _fill(self, place: Longs, time: Longs, value: Floats) -> tuple[Longs, Longs]:
        """Take in late readings; returns place and time of the targets that were never foreseen from."""
        if self._lane is None or not len(place):
            return place[:0], time[:0]
        filled = self._lane.fill(self._column[place], time, value) & self._target[place]
        return place[filled], time[filled]

    def _again(self, place: Longs, time: Longs) -> list[Pack]:
        """Foresee from late readings: a device that was cut off sends what it kept after what came since."""
        if self._lane is None or not len(place):
            return []
        return self._packs(self._lane, place, time, self._lane.again(self._node[place], time))

    def _distrust(self, lane: Lane, place: Longs, since: Longs, until: Longs) -> None:
        """Take back what meters repeated that turned out to be stuck."""
        for row, stream in enumerate(place.tolist()):
            node = int(self._node[stream]) if self._target[stream] else None
            lane.distrust(int(self._column[stream]), node, int(since[row]), int(until[row]))

    def _judge(
        self, lane: Lane, place: Longs, value: Floats, fresh: Flags, findings: Findings, judged: Flags
    ) -> tuple[Findings, list[Pack]]:
        """Score and foresee the targets among readings that opened a slot: all, or those ``judged``."""
        time, whole = findings.time, every(judged)
        if not whole:
            place, time, value, fresh = place[judged], time[judged], value[judged], fresh[judged]
        made = lane.take(self._node[place], time, value, fresh)
        limit = np.inf if lane.limit is None else lane.limit.limit
        opinion = {
            "expected": made.expected, "low": made.low, "high": made.high, "score": made.score,
            "sure": made.sure, "onset": np.where(made.score > 0, made.onset, time),
            "limit": constant(limit, len(time)),
        }  # fmt: skip
        if whole:
            findings = msgspec.structs.replace(findings, **opinion)
        else:
            for name, column in opinion.items():
                getattr(findings, name)[judged] = column
        return findings, self._packs(lane, place, time, made.band)

    def _packs(self, lane: Lane, place: Longs, time: Longs, band: Floats) -> list[Pack]:
        """Put each forecast that has a Datastream into the message that publishes it."""
        return forecasts(self._outlet[place], time, band, lane.card.every_ns, lane.card.version)

    def warm(self, table: Table) -> None:
        """Take in a history, so that the next reading can be scored; its forecasts are not published.

        Streams are named by Datastream name or id. What comes before the last ``horizon`` slots
        only fills windows.
        """
        lane = self._lane
        if lane is None:
            return
        if table.every_ns != lane.card.every_ns:
            raise ModelError(
                f"{lane.card.name} eats a reading every {lane.card.every_ns / 1e9:g} s,"
                f" not every {table.every_ns / 1e9:g} s"
            )
        pairs = [
            (self._place_of[name], column)
            for column, name in enumerate(table.streams)
            if name in self._place_of
        ]
        place = np.array([pair[0] for pair in pairs], dtype=np.int64)
        value = table.value[:, [pair[1] for pair in pairs]]
        judged_from = len(value) - lane.card.horizon
        for number, slot in enumerate(table.slots.tolist()):
            known = ~np.isnan(value[number])
            if known.any():
                self._recall(place[known], slot * table.every_ns, value[number, known], number >= judged_from)

    def recall(self, batch: Batch) -> None:
        """Take in what was foretold before, so that the next reading can be scored; readings are left out."""
        told = batch.time > batch.result_time
        if told.any() and len(self.early):
            batch = batch.take(told & np.isin(batch.datastream, self.early))
            self.take(batch)

    def _recall(self, place: Longs, moment: int, value: Floats, judge: bool) -> None:
        time = np.full(len(place), moment, dtype=np.int64)
        if judge:
            self._stage(place, time, value, np.ones(len(place), dtype=bool))
            return
        seen = self._track.step(place, time, value)
        fed = (self._column[place] >= 0) & seen.newer
        if self._lane is not None and fed.any():
            believed = np.where(seen.flat_ns <= self._stuck_ns[place], value, np.nan)
            self._lane.feed(self._column[place[fed]], time[fed], believed[fed])

    def state(self) -> bytes:
        """Return everything that :meth:`restore` needs; its size depends on the streams only."""
        saved: dict[str, Any] = {"ids": self._ids.tobytes(), "track": self._track.state(), "lane": None}
        if self._lane is not None:
            saved["lane"] = self._lane.state()
        return msgspec.msgpack.encode(saved)

    def restore(self, state: bytes) -> bool:
        """Take up where :meth:`state` left off; false if the windows were another model's."""
        saved = msgspec.msgpack.decode(state)
        before = np.frombuffer(saved["ids"], dtype=np.int64)
        here, there = np.flatnonzero(np.isin(self._ids, before)), np.flatnonzero(np.isin(before, self._ids))
        self._track.restore(saved["track"], here, there)
        return self._lane is None or (saved["lane"] is not None and self._lane.restore(saved["lane"]))
