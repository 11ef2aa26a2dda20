"""Engine: the rules of a solution over its findings, and the alerts that are open.

A condition that holds long enough raises an alert; while it goes on the alert is updated at
doubling intervals, never raised again; when it is over it clears. The same findings in the same
order give the same alerts under the same ids. While a stuck or silent meter has an alert, rules
on its score keep quiet: a broken meter is not a burst.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec
import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from nervure.act.phrase import hours, local, number, signed, unit_text, whole
from nervure.act.recent import Recent
from nervure.act.rule import Ruling, above, rulings, sentence
from nervure.act.state import clear, merge
from nervure.core.alert import Alert, alert_id
from nervure.core.answer import JUDGED
from nervure.core.columnar import every, most, some
from nervure.core.declaration import BY_MODEL, Solution
from nervure.core.entity import Datastream, Thing
from nervure.core.event import NEVER, Hold
from nervure.core.finding import Finding, Findings
from nervure.core.group import Groups, Places, gathered
from nervure.core.instant import SECOND_NS
from nervure.core.window import rounds

__all__ = ["Engine", "State"]

Longs = NDArray[np.int64]
Flags = NDArray[np.bool_]

_BROKEN = ("flat", "silent")


class _Open(msgspec.Struct, frozen=True, kw_only=True):
    """An alert that is not over: which rule, which stream, and when it is next told again."""

    ruling: int
    place: int
    alert: Alert
    next_ns: int


class State(msgspec.Struct, frozen=True, kw_only=True):
    """What a restart needs."""

    ids: bytes
    clock_ns: int
    recent: dict[str, bytes]
    holds: list[dict[str, bytes]]
    rules: tuple[str, ...]
    open: list[_Open]
    heard_ns: int = 0


class Engine:
    """Rules and open alerts of one solution; a stream keeps its place once it has one."""

    def __init__(
        self, solution: Solution, things: Iterable[Thing], datastreams: Iterable[Datastream]
    ) -> None:
        self.solution = solution
        self.rulings = rulings(solution)
        self.clock_ns = NEVER
        self.heard_ns = 0
        """Until when somebody listened by the clock on the wall."""
        self._zone = solution.data.zone if solution.data else "UTC"
        self._things: dict[int, Thing] = {}
        self._streams: dict[int, Datastream] = {}
        self._ids: list[int] = []
        self._recent = Recent(0)
        self._holds = [Hold(0, ruling.span) for ruling in self.rulings]
        self._open: dict[tuple[int, int], _Open] = {}
        self._lay([])
        self.learn(things, datastreams)

    def learn(self, things: Iterable[Thing], datastreams: Iterable[Datastream]) -> None:
        """Take up Things and Datastreams that are new or have changed."""
        before = dict(self._streams)
        self._things.update({one.id: one for one in things})
        for one in datastreams:
            if one.kind in JUDGED and one.solution == self.solution.name:
                self._streams[one.id] = one
        if self._streams.keys() != before.keys():
            self._lay([*self._ids, *sorted(self._streams.keys() - set(self._ids))])

    def _lay(self, ids: list[int]) -> None:
        """Give every stream its place, and note which streams each rule watches."""
        self._ids = ids
        known = np.array(ids, dtype=np.int64)
        self._order = np.argsort(known)
        self._sorted = known[self._order]
        self._known = Places(self._sorted)
        self._recent.grow(len(ids))
        for hold in self._holds:
            hold.grow(len(ids))
        signals = [self._streams[one].signal if one in self._streams else "" for one in ids]
        self._watch = np.array(
            [[signal in ruling.signals for signal in signals] for ruling in self.rulings], dtype=bool
        ).reshape(len(self.rulings), len(ids))
        self._mark()

    def _mark(self) -> None:
        """Note which streams have an alert that says their meter is broken."""
        self._broken = np.zeros(len(self._ids), dtype=bool)
        for ruling, place in self._open:
            if self.rulings[ruling].condition.measure in _BROKEN:
                self._broken[place] = True

    @property
    def open(self) -> list[Alert]:
        """The alerts that are active now."""
        return [one.alert for one in self._open.values()]

    def note(self, alert: Alert) -> None:
        """Take note of what a person did to an alert, so that later updates carry it."""
        for key, one in self._open.items():
            if one.alert.id == alert.id:
                self._open[key] = replace(one, alert=merge(alert, one.alert))

    def take(self, findings: Findings | Sequence[Finding]) -> list[Alert]:
        """Judge findings in log order; returns the alerts that are new, told again, or over."""
        if not isinstance(findings, Findings):
            findings = Findings.of(findings)
        if not len(findings) or not self._ids:
            return []
        groups = gathered(findings.datastream)
        streams = findings.datastream[groups.firsts]
        where = self._known.of(streams)
        mine = self._sorted[where] == streams
        if not every(mine):
            rows = np.flatnonzero(groups.spread(mine))
            return self.take(findings.take(rows)) if len(rows) else []
        there = self._order[where]
        changed: list[Alert] = []
        if groups.single:
            self._round(findings, np.arange(len(findings)), groups.spread(there), changed)
        else:  # reading by reading only where something is, or may come to be, the matter
            self._several(findings, there, groups, changed)
        self.clock_ns = max(self.clock_ns, int(most(findings.time)))
        return changed

    def _several(self, findings: Findings, there: Longs, groups: Groups, changed: list[Alert]) -> None:
        """Judge several findings a stream; ``there`` is where that of each group has its place."""
        stirred = self._stirred(findings, there, groups)
        if not stirred.any():
            self._recent.extend(there, findings, groups)
            return
        place = groups.spread(there)
        calm = ~stirred[place]
        quiet = gathered(place[calm])
        self._recent.extend(place[calm][quiet.firsts], findings.take(calm), quiet)
        judged = np.flatnonzero(~calm)
        for chosen in rounds(place[judged]):
            self._round(findings, judged[chosen], place[judged[chosen]], changed)

    def _stirred(self, findings: Findings, there: Longs, groups: Groups) -> Flags:
        """Tell in which streams, ``[place]``, a condition is fulfilled, holds, or has an alert.

        ``there`` are the streams that findings are of, by group.
        """
        stirred = self._broken.copy()
        for number_, ruling in enumerate(self.rulings):
            if ruling.condition.measure == "silent":
                continue
            hold, watched = self._holds[number_], self._watch[number_]
            met, known = above(ruling, findings)
            if not hold.quiet:
                held = there[(hold.since[there] != NEVER) | hold.active[there]]
                stirred[held[watched[held]]] = True
            if some(met) and (met := met & known).any():
                moved = groups.spread(there)[met]
                stirred[moved[watched[moved]]] = True
        return stirred

    def _round(self, findings: Findings, rows: Longs, place: Longs, changed: list[Alert]) -> None:
        """Judge one finding a stream."""
        self._recent.push(place, findings, rows)
        broken = some(self._broken[place])
        for number_, ruling in enumerate(self.rulings):
            if ruling.condition.measure == "silent":
                if broken:
                    chosen = self._watch[number_][place]
                    self._heard(number_, place[chosen], findings.time[rows[chosen]], changed)
                continue
            met, known = above(ruling, findings)
            if self._holds[number_].quiet and not some(met):
                continue
            chosen = self._watch[number_][place] & known[rows]
            if some(chosen):
                self._judge(number_, findings, (rows, place), (met[rows], chosen), changed)

    def _judge(
        self,
        ruling: int,
        findings: Findings,
        at: tuple[Longs, Longs],
        told: tuple[Flags, Flags],
        changed: list[Alert],
    ) -> None:
        (rows, place), (met, chosen) = at, told
        hold = self._holds[ruling]
        if self.rulings[ruling].condition.measure == "score" and some(self._broken[place]):
            blocked = chosen & self._broken[place]
            hold.since[place[blocked]] = NEVER
            for stream in place[blocked & met].tolist():
                self._suppress(ruling, stream)
            chosen = chosen & ~blocked
        if not some(met & chosen) and hold.idle(place):
            return
        rows, place, met = rows[chosen], place[chosen], met[chosen]
        raised, cleared = hold.step(place, findings.time[rows], met)
        for index in np.flatnonzero(raised | cleared | (met & hold.active[place])).tolist():
            stream, finding = int(place[index]), findings[int(rows[index])]
            if cleared[index]:
                self._clear(ruling, stream, int(hold.last[stream]) if not met[index] else None, changed)
            if raised[index]:
                alert = self._raise(ruling, stream, finding, int(hold.start[stream]), model=findings.model)
                changed.append(alert)
            elif met[index]:
                self._update(ruling, stream, finding, changed)

    def _raise(self, ruling: int, place: int, finding: Finding, first_ns: int, *, model: str = "") -> Alert:
        """Open an alert; its id comes from the first reading of the run, its start from the cause.

        No alert claims hours that the one before it has claimed, though both may have one cause.
        """
        rule = self.rulings[ruling]
        measure = rule.condition.measure
        start_ns = first_ns
        if measure == "score" and max(0, self._holds[ruling].ended[place]) < finding.onset_ns <= first_ns:
            start_ns = finding.onset_ns
        elif measure == "flat":
            start_ns = finding.time_ns - round(finding.flat_s * SECOND_NS)
        stream = self._streams[finding.datastream]
        alert = Alert(
            id=alert_id(rule.key, finding.datastream, first_ns),
            solution=self.solution.name,
            rule=rule.key,
            severity=rule.rule.severity,
            thing=stream.thing,
            datastream=finding.datastream,
            text="",
            start_ns=start_ns,
            raised_ns=finding.time_ns,
            model=model if measure in BY_MODEL else "",
        )
        alert = self._told(rule, alert, place, finding)
        self._keep(ruling, place, alert, finding.time_ns)
        self._mark()
        return alert

    def _update(self, ruling: int, place: int, finding: Finding, changed: list[Alert]) -> None:
        """Bring an open alert up to date; it is told again when it has lasted twice as long."""
        held = self._open.get((ruling, place))
        if held is None:
            return
        alert = self._told(self.rulings[ruling], held.alert, place, finding)
        if finding.time_ns >= held.next_ns:
            self._keep(ruling, place, alert, finding.time_ns)
            changed.append(alert)
        else:
            self._open[ruling, place] = replace(held, alert=alert)

    def _keep(self, ruling: int, place: int, alert: Alert, now_ns: int) -> None:
        wait_ns = max(now_ns - alert.start_ns, self.rulings[ruling].span.hold_ns, SECOND_NS)
        self._open[ruling, place] = _Open(ruling=ruling, place=place, alert=alert, next_ns=now_ns + wait_ns)

    def _clear(self, ruling: int, place: int, end_ns: int | None, changed: list[Alert]) -> None:
        """Close an alert; without an end of its own it ended with its last evidence."""
        held = self._open.pop((ruling, place), None)
        if held is None:
            return
        shown = held.alert.evidence
        last_ns = end_ns if end_ns is not None else shown[-1].time_ns if shown else held.alert.raised_ns
        changed.append(clear(held.alert, last_ns))
        self._mark()

    def _suppress(self, ruling: int, place: int) -> None:
        """Say on the alert about the broken meter which rule it keeps quiet."""
        key = self.rulings[ruling].key
        for (number_, stream), held in self._open.items():
            if stream == place and self.rulings[number_].condition.measure in _BROKEN:
                said = held.alert.properties
                quiet = sorted({*said.get("suppressed", []), key})
                alert = replace(held.alert, properties={**said, "suppressed": quiet})
                self._open[number_, stream] = replace(held, alert=alert)

    def _told(self, rule: Ruling, alert: Alert, place: int, finding: Finding) -> Alert:
        """Return the alert with text, evidence, certainty and properties as of this finding.

        Of a score, which adds up over several readings, the sentence gives the mean of those shown.
        """
        stream, thing = self._streams[finding.datastream], self._things.get(alert.thing)
        name = thing.name if thing else f"Thing {alert.thing}"
        evidence = self._recent.since(place, finding.datastream, alert.start_ns)
        value, expected = finding.value, finding.expected
        shown = [(one.value, one.expected) for one in evidence if one.expected is not None]
        if shown and rule.condition.measure == "score":  # a score adds up over readings: say their mean
            value = sum(one for one, _ in shown) / len(shown)
            expected = sum(one for _, one in shown) / len(shown)
        write = whole if rule.condition.measure == "life" else number
        said = {
            "thing": name,
            "signal": self.solution.about(stream.signal)[0],
            "value": write(value),
            "expected": write(expected),
            "low": write(finding.low),
            "high": write(finding.high),
            "unit": unit_text(stream.unit),
            "since": local(alert.start_ns, self._zone),
            "excess": signed(value - expected),
            "hours": hours((finding.time_ns - alert.start_ns) / SECOND_NS),
        }
        properties = {**alert.properties, "thing": name, "signal": stream.signal, "unit": stream.unit}
        sure = alert.sure
        if rule.condition.measure == "score":
            properties |= {
                "excess": value - expected if shown else None,
                "score": finding.score,
                "limit": finding.limit,
            }
            sure = max(sure or 0.0, finding.sure)
        elif rule.condition.measure in _BROKEN:
            scored = (one for one in self.rulings if one.condition.measure == "score")
            properties["suppresses"] = [one.key for one in scored if stream.signal in one.signals]
        text = sentence(rule.rule, said)
        return replace(alert, text=text, evidence=evidence, sure=sure, properties=properties)

    def _heard(self, ruling: int, place: Longs, time: Longs, changed: list[Alert]) -> None:
        """Close the alerts of streams that were silent; they ended with the reading that came."""
        for index in self._broken[place].nonzero()[0].tolist():
            self._clear(ruling, int(place[index]), int(time[index]), changed)

    def tick(self, now_ns: int | None = None, missed: tuple[int, int] = (0, 0)) -> list[Alert]:
        """Let time pass for rules that wait for a silence; returns the alerts that are new.

        Without ``now_ns`` it is as late as the newest reading of any stream, which is right for a
        replay of old data and finds one silent stream among others, but not the silence of all. When
        nobody listened, between the instants ``missed``, is no silence.
        """
        now = self.clock_ns if now_ns is None else now_ns
        self.heard_ns = max(self.heard_ns, now_ns or 0)
        changed: list[Alert] = []
        if not self._ids:
            return changed
        last = self._recent.time.max(axis=1)
        deaf = np.maximum(min(now, missed[1]) - np.maximum(last, missed[0]), 0)
        for number_, ruling in enumerate(self.rulings):
            if ruling.condition.measure != "silent" or ruling.condition.limit is None:
                continue
            over = now - last - deaf > ruling.condition.limit * SECOND_NS
            quiet = self._watch[number_] & (last != NEVER) & over
            for place in np.flatnonzero(quiet).tolist():
                if (number_, place) not in self._open and self._ids[place] in self._streams:
                    moment, value = self._recent.last(place)
                    finding = Finding(datastream=self._ids[place], time_ns=now, value=value)
                    changed.append(self._raise(number_, place, finding, moment))
        return changed

    def state(self) -> bytes:
        """Return everything that :meth:`restore` needs; its size depends on the streams only."""
        return msgspec.msgpack.encode(
            State(
                ids=np.array(self._ids, dtype=np.int64).tobytes(),
                clock_ns=self.clock_ns,
                recent=self._recent.state(),
                holds=[hold.state() for hold in self._holds],
                rules=tuple(ruling.key for ruling in self.rulings),
                open=list(self._open.values()),
                heard_ns=self.heard_ns,
            )
        )

    def restore(self, state: bytes) -> None:
        """Take up where :meth:`state` left off; rules that are new since then start idle."""
        saved = msgspec.msgpack.decode(state, type=State)
        ids = np.frombuffer(saved.ids, dtype=np.int64).tolist()
        self.clock_ns, self.heard_ns = saved.clock_ns, saved.heard_ns
        self._recent.restore(saved.recent)
        self._holds = [Hold(0, ruling.span) for ruling in self.rulings]
        number_of = {ruling.key: number_ for number_, ruling in enumerate(self.rulings)}
        for key, hold in zip(saved.rules, saved.holds, strict=True):
            if key in number_of:
                self._holds[number_of[key]].restore(hold)
        self._open = {
            (number_of[key], one.place): replace(one, ruling=number_of[key])
            for one in saved.open
            if (key := saved.rules[one.ruling]) in number_of
        }
        self._lay([*ids, *sorted(set(self._streams) - set(ids))])
