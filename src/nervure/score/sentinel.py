"""Sentinel: a shipped monitor on live rows: how odd each one is, and the alarms with their reasons.

One row at a time comes to the same as many at once, and a restart in the middle to the same as none.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from hashlib import sha256
from typing import Any

import msgspec
import numpy as np
import onnxruntime
from numpy.typing import NDArray

from nervure.core.error import DataError, ModelError
from nervure.core.event import NEVER, Event
from nervure.core.evidence import Alarm
from nervure.core.guard import HIGHEST, LOWEST, Guard
from nervure.core.guard import Verdict as Said
from nervure.core.monitor import SETUP_KEY, Reading, Setup, combine
from nervure.core.witness import BEFORE, LONGEST, Witness, alarm_of
from nervure.trust.signature import verify

__all__ = ["Account", "Sentinel", "Sight", "Verdict"]

Floats = NDArray[np.float64]
Longs = NDArray[np.int64]

_OUTPUTS = ["score", "part", "expected"]
_CHUNK = 1024
_REPACK = "fit it again with: nervure watch --project NAME --refit"
_ONE = np.zeros(1, dtype=np.int64)
_SIGHTS = 24  # readings that are shown of an alarm


class Sight(msgspec.Struct, frozen=True, kw_only=True):
    """One reading of the stream that an alarm blames most, what was expected, and how odd the row was."""

    time_ns: int
    value: float
    expected: float | None
    rarity: float


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """An alarm in numbers, in words, and the readings that led to where it was worst."""

    event: Event
    alarm: Alarm
    seen: tuple[Sight, ...]


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What came of one row: its ``score`` and the ``limit`` it was held against, in decades of rarity.

    The score is NaN where no detector could tell. ``began`` is an alarm that this row raised, ``ended``
    the final form of one that it ended; a row after a hole may do both.
    """

    time_ns: int
    score: float
    limit: float
    began: Account | None = None
    ended: Account | None = None

    @property
    def raised(self) -> Alarm | None:
        """The alarm that this row raised, in words."""
        return None if self.began is None else self.began.alarm

    @property
    def cleared(self) -> Alarm | None:
        """The final form of the alarm that this row ended, in words."""
        return None if self.ended is None else self.ended.alarm


class _Run(msgspec.Struct, kw_only=True):
    """Rows since the score rose above its limit, of which an alarm is made; arrays grow with them."""

    start_ns: int
    limit: float
    before: Floats
    time: list[int] = []
    value: list[Floats] = []
    rarity: list[Floats] = []
    part: list[Floats] = []
    expected: list[Floats] = []


class Sentinel:
    """One monitor, watching one thing.

    ``trusted`` are the public keys its package may be signed with; nothing of it is read before its
    signature holds. ``thing`` is what alarms call the whole. Raises ``ModelError``.
    """

    def __init__(self, package: bytes, trusted: Iterable[bytes], *, thing: str = "") -> None:
        verify(package, trusted)
        self.version, self.thing = sha256(package).hexdigest()[:16], thing
        self._session = _session(package)
        self.setup = setup = _setup(self._session)
        streams = len(setup.streams)
        self.guard = Guard(setup.plan, 1, setup.span)
        self._named = int(np.argmax([one.named for one in setup.senses]))
        self.last_ns = NEVER
        self._ring: Floats = np.full((setup.window - 1, streams), np.nan)
        self._level: Floats | None = None
        self._past: deque[Floats] = deque(maxlen=BEFORE)
        self._run: _Run | None = None
        self._event: Event | None = None

    @property
    def alarm(self) -> Alarm | None:
        """The alarm that is open, as it looks by now."""
        account = self.account
        return None if account is None else account.alarm

    @property
    def event(self) -> Event | None:
        """The same in numbers."""
        return self._event

    @property
    def account(self) -> Account | None:
        """The alarm that is open, as it looks by now, with its numbers and readings."""
        if self._event is None or self._run is None:
            return None
        return self._told(self._event, self._run)

    def heed(self, verdict: Said, peak: float) -> float:
        """Take in what a person says of an alarm of such a peak; returns what that moved the limit by."""
        before = self.guard.limit
        self.guard.heed(verdict, peak)
        return self.guard.limit - before

    def unheed(self, moved: float) -> None:
        """Take back what a verdict has moved the limit by, as another one stands in its place."""
        self.guard.limit = float(np.clip(self.guard.limit - moved, LOWEST, HIGHEST))

    def warm(self, time: Longs, value: Floats) -> None:
        """Take rows ``[row, stream]`` as the past, in order of time: nothing of them is judged."""
        self._fits(time, value)
        self._flat(time, value)
        self._past.extend(value[-BEFORE:].copy())

    def take(self, time_ns: int, row: Floats) -> Verdict:
        """Judge one more row ``[stream]``, NaN where nothing was read; times rise."""
        return self.take_all(np.array([time_ns], dtype=np.int64), np.asarray(row, dtype=np.float64)[None])[0]

    def take_all(self, time: Longs, value: Floats) -> list[Verdict]:
        """Judge rows ``[row, stream]`` in order of time."""
        self._fits(time, value)
        found: list[Verdict] = []
        for start in range(0, len(time), _CHUNK):
            rows = slice(start, start + _CHUNK)
            found += self._judge(time[rows], value[rows], self._read(time[rows], value[rows]))
        return found

    def _judge(self, time: Longs, value: Floats, reading: Reading) -> list[Verdict]:
        """Hold rows against the limit: those in which nothing happens at once, the others one by one."""
        found: list[Verdict] = []
        score, at = combine(reading.rarity), 0
        while at < len(time):
            if len(time) - at > 1:
                found += self._calm(time[at:], value[at:], score[at:])
                at = len(found)
            if at < len(time):
                one = (value[at], reading.rarity[at], reading.part[at], reading.expected[at])
                found.append(self._step(int(time[at]), float(score[at]), one))
                at += 1
        return found

    def _calm(self, time: Longs, value: Floats, score: Floats) -> list[Verdict]:
        """Take the first rows in which nothing happens, if there are any."""
        tail = self.guard.tail
        count, limit = self.guard.skim(score[:, None])
        if not count:
            return []
        self._past.extend(value[max(0, count - BEFORE) : count].copy())
        told = zip(time[:count].tolist(), tail.rarity(score[:count]).tolist(), limit.tolist(), strict=True)
        return [Verdict(time_ns=moment, score=rarity, limit=held) for moment, rarity, held in told]

    def _fits(self, time: Longs, value: Floats) -> None:
        if value.shape != (len(time), len(self.setup.streams)):
            raise DataError(
                f"rows of {list(value.shape)} are not {len(time)} of {len(self.setup.streams)} streams",
                where=self.thing,
            )
        if len(time) and (int(time[0]) <= self.last_ns or (np.diff(time) <= 0).any()):
            raise DataError(
                "rows must come in order of time, each once", where=self.thing, hint="sort them, or leave out"
            )

    def _flat(self, time: Longs, value: Floats) -> tuple[Floats, Floats]:
        """Return rows less what is usual, with those before them in the window, and what is usual."""
        usual, self._level = self.setup.course.at(time, value, self._level)
        whole = np.concatenate([self._ring, value - usual])
        self._ring = whole[len(whole) - len(self._ring) :].copy()
        self.last_ns = int(time[-1]) if len(time) else self.last_ns
        return whole, usual

    def _read(self, time: Longs, value: Floats) -> Reading:
        """Return what the detectors say of rows."""
        setup = self.setup
        whole, usual = self._flat(time, value)
        shown = whole.astype(np.float32)[None]
        if len(time) > 1:
            x = np.lib.stride_tricks.sliding_window_view(shown[0], setup.window, axis=0)
            shown = np.ascontiguousarray(x.transpose(0, 2, 1))
        score, part, expected = (one.astype(np.float64) for one in self._session.run(_OUTPUTS, {"x": shown}))
        rarity = [sense.tail.rarity(score[:, at]) for at, sense in enumerate(setup.senses)]
        return Reading(rarity=np.stack(rarity, axis=1), part=part, expected=expected + usual[:, None])

    def _step(self, time_ns: int, score: float, row: tuple[Floats, Floats, Floats, Floats]) -> Verdict:
        """Hold a score against the limit, and keep what an alarm is told by."""
        limit, hold = self.guard.limit, self.guard.hold
        if np.isnan(score):
            self._keep(time_ns, row)
            return Verdict(time_ns=time_ns, score=score, limit=limit)
        ring = self.guard.step(_ONE, np.array([time_ns]), np.array([score]))
        rarity = float(ring.rarity[0])
        ended = None
        if ring.cleared[0] and self._event is not None and self._run is not None:
            ended, self._event = self._told(self._event, self._run), None
        start = int(hold.start[0] if hold.active[0] else hold.since[0])
        if self._run is None or self._run.start_ns != start:
            before = np.array(self._past).reshape(-1, len(row[0]))
            self._run = None if start == NEVER else _Run(start_ns=start, limit=limit, before=before)
        self._keep(time_ns, row)
        began = None
        if ring.raised[0] and self._run is not None:
            self._event = Event(
                stream=0, start_ns=start, raised_ns=time_ns, end_ns=time_ns, peak=rarity, worst_ns=time_ns
            )
            began = self._told(self._event, self._run)
        elif self._event is not None and rarity > limit:
            worst = {"peak": rarity, "worst_ns": time_ns} if rarity > self._event.peak else {}
            self._event = msgspec.structs.replace(self._event, end_ns=time_ns, **worst)
        return Verdict(time_ns=time_ns, score=rarity, limit=limit, began=began, ended=ended)

    def _keep(self, time_ns: int, row: tuple[Floats, Floats, Floats, Floats]) -> None:
        self._past.append(row[0])
        run = self._run
        if run is not None and len(run.time) < LONGEST:
            run.time.append(time_ns)
            for kept, one in zip((run.value, run.rarity, run.part, run.expected), row, strict=True):
                kept.append(one)

    def _told(self, event: Event, run: _Run) -> Account:
        """Put an alarm into words by its rows up to the last above the limit."""
        rows = slice(0, max(1, int(np.searchsorted(run.time, event.end_ns, side="right"))))
        reading = Reading(
            rarity=np.array(run.rarity[rows]),
            part=np.array(run.part[rows]),
            expected=np.array(run.expected[rows]),
        )
        seen = Witness(value=np.array(run.value[rows]), reading=reading, before=run.before, limit=run.limit)
        alarm = alarm_of(self.setup, self.thing, event, seen)
        return Account(event=event, alarm=alarm, seen=self._seen(run, reading, alarm.streams[0].stream))

    def _seen(self, run: _Run, reading: Reading, name: str) -> tuple[Sight, ...]:
        """Return what a stream read up to where the alarm was worst."""
        stream, sense = self.setup.streams.index(name), self._named
        score = np.nan_to_num(combine(reading.rarity), nan=-1.0)
        last = int(np.argmax(score)) + 1
        found: list[Sight] = []
        for row in range(max(0, last - _SIGHTS), last):
            value, expected = float(run.value[row][stream]), float(reading.expected[row, sense, stream])
            if np.isfinite(value):
                wanted = expected if np.isfinite(expected) else None
                sight = Sight(time_ns=run.time[row], value=value, expected=wanted, rarity=float(score[row]))
                found.append(sight)
        return tuple(found)

    def state(self) -> dict[str, Any]:
        """Return what :meth:`restore` needs to go on after a restart; MessagePack can hold it."""
        return {
            "version": self.version,
            "last_ns": self.last_ns,
            "ring": self._ring.tobytes(),
            "level": None if self._level is None else self._level.tobytes(),
            "past": np.array(self._past).tobytes(),
            "guard": self.guard.state(),
            "run": None if self._run is None else _packed(self._run),
            "event": None if self._event is None else msgspec.to_builtins(self._event),
        }

    def restore(self, state: dict[str, Any]) -> bool:
        """Take up where :meth:`state` left off; false if that was another package."""
        if state["version"] != self.version:
            return False
        streams = len(self.setup.streams)
        self.last_ns = int(state["last_ns"])
        self._ring = np.frombuffer(state["ring"]).reshape(-1, streams).copy()
        self._level = None if state["level"] is None else np.frombuffer(state["level"]).copy()
        self._past = deque(np.frombuffer(state["past"]).reshape(-1, streams).copy(), maxlen=BEFORE)
        self.guard.restore(state["guard"])
        self._run = None if state["run"] is None else _unpacked(state["run"], streams, self.setup)
        self._event = None if state["event"] is None else msgspec.convert(state["event"], Event)
        return True


def _packed(run: _Run) -> dict[str, Any]:
    rows = {name: np.array(getattr(run, name)).tobytes() for name in ("value", "rarity", "part", "expected")}
    known = {"start_ns": run.start_ns, "limit": run.limit, "before": run.before.tobytes()}
    return known | rows | {"time": run.time}


def _unpacked(state: dict[str, Any], streams: int, setup: Setup) -> _Run:
    count, senses = len(state["time"]), len(setup.senses)
    shapes = {
        "value": (count, streams), "rarity": (count, senses),
        "part": (count, senses, streams), "expected": (count, senses, streams),
    }  # fmt: skip
    rows = {name: list(np.frombuffer(state[name]).reshape(shape).copy()) for name, shape in shapes.items()}
    before = np.frombuffer(state["before"]).reshape(-1, streams).copy()
    return _Run(
        start_ns=int(state["start_ns"]),
        limit=float(state["limit"]),
        before=before,
        time=list(state["time"]),
        **rows,
    )


def _session(package: bytes) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(package, options, providers=["CPUExecutionProvider"])
    except Exception as cause:  # ONNX Runtime's errors share no class of their own
        raise ModelError(f"ONNX Runtime cannot load the monitor: {cause}", hint=_REPACK) from cause


def _setup(session: onnxruntime.InferenceSession) -> Setup:
    """Read what the monitor was taught, and see that its graph is such a one."""
    text = session.get_modelmeta().custom_metadata_map.get(SETUP_KEY)
    if text is None:
        raise ModelError("the package carries no monitor", hint=_REPACK)
    try:
        setup = msgspec.json.decode(text, type=Setup)
    except msgspec.DecodeError as cause:
        raise ModelError(f"what the monitor was taught cannot be read: {cause}", hint=_REPACK) from cause
    (x,), given = session.get_inputs(), [one.name for one in session.get_outputs()]
    if list(x.shape[1:]) != [setup.window, len(setup.streams)] or given != _OUTPUTS:
        raise ModelError(
            f"the graph eats {x.name} {x.shape} and gives {given}, not what the monitor says", hint=_REPACK
        )
    return setup
