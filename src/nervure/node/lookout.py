"""One Thing under watch: readings become rows, rows are judged by its sentinel, alarms become alerts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, get_args

import msgspec
import numpy as np
from numpy.typing import NDArray

from nervure.act.state import clear
from nervure.core.alert import MONITOR, Alert, Evidence, Severity, alert_id
from nervure.core.guard import Verdict
from nervure.core.instant import SECOND_NS, iso
from nervure.core.slot import Slots, laid
from nervure.score.sentinel import Account, Sentinel
from nervure.score.sentinel import Verdict as Judged
from nervure.store.monitor import Posted

__all__ = ["RULE", "Lookout", "Standing"]

Floats = NDArray[np.float64]
Longs = NDArray[np.int64]

RULE = f"{MONITOR}.odd"
_AHEAD_NS = 60 * SECOND_NS  # a stamp may be so far ahead of our clock
_VERDICTS: tuple[Verdict, ...] = get_args(Verdict)


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """How far a lookout has come: what it judged, its limit in decades, the alert that is open."""

    version: str
    fitted_ns: int
    judged_to: str
    limit: float
    rows: int
    late: int
    open: str | None


class _State(msgspec.Struct, frozen=True, kw_only=True):
    """What a restart needs, but for the scores of the guard, which lie before it."""

    sentinel: dict[str, Any]
    slots: dict[str, Any]
    rows: int
    alert: Alert | None
    next_ns: int
    heeded: dict[str, tuple[str, float]]


class Lookout:
    """A sentinel at its Thing; ``units`` are those of its Datastreams.

    An alarm is an alert under an id that its Thing and first odd row give it, so that nothing raises it
    twice. While it lasts it is told again when it has lasted twice as long.
    """

    def __init__(self, posted: Posted, sentinel: Sentinel, units: Mapping[int, str]) -> None:
        self.posted, self.sentinel, self._units = posted, sentinel, units
        self.rows, self.changed = 0, True
        self._alert: Alert | None = None
        self._next_ns = 0
        self._heeded: dict[str, tuple[str, float]] = {}
        self._slots = self._fresh()

    @property
    def alert(self) -> Alert | None:
        """The alert that is open."""
        return self._alert

    @property
    def same(self) -> str:
        """What tells this fit from every other one."""
        return f"{self.posted.version}.{self.posted.fitted_ns}"

    def standing(self) -> Standing:
        """Return how far it has come."""
        done = self.sentinel.last_ns
        return Standing(
            version=self.posted.version, fitted_ns=self.posted.fitted_ns,
            judged_to=iso(done) if done > 0 else "",
            limit=round(self.sentinel.guard.limit, 4), rows=self.rows, late=self._slots.late,
            open=self._alert.id if self._alert else None,
        )  # fmt: skip

    def take(self, place: Longs, time: Longs, value: Floats, now: tuple[int, float]) -> list[Alert]:
        """Take readings ``[reading]`` of streams ``place``; ``now`` is the wall clock and a steady one.

        Returns the alerts that are new, told again, or over.
        """
        known = self._known(time, value, now)
        if not known.any():
            return []
        self._slots.put(place[known], time[known], value[known], now[1])
        self.changed = True
        return self.tick(now[1])

    def _known(self, time: Longs, value: Floats, now: tuple[int, float]) -> NDArray[np.bool_]:
        """Tell which readings are any, and not of the future."""
        ahead_ns = max(_AHEAD_NS, self.sentinel.setup.every_ns)
        found: NDArray[np.bool_] = ~np.isnan(value) & (time <= now[0] + ahead_ns)
        return found

    def tick(self, now_s: float) -> list[Alert]:
        """Judge the slots that are over."""
        return self._judge(*self._slots.over(now_s)) if len(self._slots) else []

    def catch_up(self, place: Longs, time: Longs, value: Floats, now: tuple[int, float]) -> list[Alert]:
        """Judge a history, as far as it is newer than what was judged; its last slot may still fill."""
        setup, origin = self.sentinel.setup, self.posted.origin_ns
        known = self._known(time, value, now)
        place, time, value = place[known], time[known], value[known]
        if not len(time):
            return []
        slot, table, at = laid(
            place, time, value, len(self.posted.watched), every_ns=setup.every_ns, origin_ns=origin
        )
        old = (slot > self.sentinel.last_ns) & (slot < slot[-1])
        found = self._judge(slot[old], table[old])
        self._slots = self._fresh()
        last = at == len(slot) - 1
        return found + self.take(place[last], time[last], value[last], now)

    def heed(self, alert: Alert) -> None:
        """Let a person's verdict move the limit, once; another verdict takes the first one back."""
        said = str(alert.properties["verdict"]["verdict"])
        before, moved = self._heeded.get(alert.id, ("", 0.0))
        verdict = next((one for one in _VERDICTS if one == said), None)
        if said == before or verdict is None or alert.model != self.posted.version:
            return
        if before:
            self.sentinel.unheed(moved)
        peak = float(alert.properties.get("rarity", self.sentinel.guard.limit))
        self._heeded[alert.id] = (said, self.sentinel.heed(verdict, peak))
        self.changed = True

    def end(self) -> list[Alert]:
        """Watch no more: an alert that is open is over with what showed it last."""
        event = self.sentinel.event
        if self._alert is None:
            return []
        over, self._alert = clear(self._alert, event.end_ns if event else self._alert.raised_ns), None
        return [over]

    def _judge(self, time: Longs, value: Floats) -> list[Alert]:
        if not len(time):
            return []
        self.rows += len(time)
        self.changed = True
        found = self._told(self.sentinel.take_all(time, value))
        account = self.sentinel.account if self._alert and int(time[-1]) >= self._next_ns else None
        if account is not None:
            before, self._alert = self._alert, self._of(account)
            self._wait(account, int(time[-1]))
            found += [self._alert] if self._alert != before else []
        return found

    def _told(self, judged: Sequence[Judged]) -> list[Alert]:
        """Turn what rows brought into alerts."""
        found: list[Alert] = []
        for one in judged:
            if one.ended is not None:
                found.append(clear(self._of(one.ended), one.ended.event.end_ns))
                self._alert = None
            if one.began is not None:
                self._alert = self._of(one.began)
                self._wait(one.began, one.time_ns)
                found.append(self._alert)
        return found

    def _wait(self, account: Account, now_ns: int) -> None:
        span = self.sentinel.setup.span
        lasted = max(now_ns - account.event.start_ns, span.hold_ns, 2 * self.sentinel.setup.every_ns)
        self._next_ns = now_ns + lasted

    def _of(self, account: Account) -> Alert:
        """Return an alarm as an alert, with all that was said of it."""
        alarm, event, posted = account.alarm, account.event, self.posted
        names = self.sentinel.setup.streams
        keys = [posted.watched[names.index(one.stream)] for one in alarm.streams]
        shares = [
            msgspec.to_builtins(one) | {"datastream": key, "unit": self._units.get(key, "")}
            for one, key in zip(alarm.streams, keys, strict=True)
        ]
        evidence = tuple(
            Evidence(
                datastream=keys[0], time_ns=one.time_ns, value=one.value, expected=one.expected,
                score=round(one.rarity, 4),
            )
            for one in account.seen
        )  # fmt: skip
        return Alert(
            id=alert_id(f"{MONITOR}.{posted.thing}", 0, event.start_ns),
            solution=MONITOR, rule=RULE, severity=_severity(posted.severity),
            thing=posted.thing, datastream=keys[0],
            text=f"{alarm.says} {alarm.do[0].upper()}{alarm.do[1:]}.",
            start_ns=event.start_ns, raised_ns=event.raised_ns,
            sure=1.0 - 10.0 ** -min(event.peak, 300.0), evidence=evidence, model=posted.version,
            properties={
                "thing": alarm.thing, "sign": alarm.sign, "do": alarm.do, "rarity": alarm.rarity,
                "limit": alarm.limit, "once_s": alarm.once_s, "worst": alarm.worst, "streams": shares,
            },
        )  # fmt: skip

    def _fresh(self) -> Slots:
        every, origin = self.sentinel.setup.every_ns, self.posted.origin_ns
        done = self.sentinel.last_ns
        return Slots(len(self.posted.watched), every_ns=every, origin_ns=origin, done_ns=done)

    def state(self) -> bytes:
        """Return everything that :meth:`restore` needs.

        The scores, which are most of it and of which a row changes one, come first: so what is after
        them does not move them.
        """
        sentinel = self.sentinel.state()
        guard = dict(sentinel["guard"])
        scores: bytes = guard.pop("scores")
        rest = _State(
            sentinel=sentinel | {"guard": guard}, slots=self._slots.state(), rows=self.rows,
            alert=self._alert, next_ns=self._next_ns, heeded=self._heeded,
        )  # fmt: skip
        return len(scores).to_bytes(8, "little") + scores + msgspec.msgpack.encode(rest)

    def restore(self, state: bytes, now_s: float) -> bool:
        """Take up where :meth:`state` left off; false if that was another package's."""
        size = 8 + int.from_bytes(state[:8], "little")
        saved = msgspec.msgpack.decode(state[size:], type=_State)
        saved.sentinel["guard"]["scores"] = state[8:size]
        if not self.sentinel.restore(saved.sentinel):
            return False
        self.rows, self._alert, self._next_ns = saved.rows, saved.alert, saved.next_ns
        self._heeded = dict(saved.heeded)
        self._slots = self._fresh()
        self._slots.restore(saved.slots, now_s)
        self.changed = False
        return True


def _severity(text: str) -> Severity:
    known: tuple[Severity, ...] = get_args(Severity)
    return next((one for one in known if one == text), "minor")
