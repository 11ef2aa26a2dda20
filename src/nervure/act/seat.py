"""A controller's seat: readings of a running node come in, it decides, and what it wants is asked as Tasks.

    seat = Seat(controller, loops, streams, ask=post, lease_s=120)
    seat.hear(stream, time_ns, value, read_ns)   # from the thread of the network, as readings come
    seat.step(0.1)                               # decides when the readings of a moment are there

The seat goes by the time of the readings, never by ours: a city that is played back decides as it would have
then. A moment is whole when everybody has spoken who spoke the last two times, or when a little while has
passed without them. What is not asked again ends with its lease, so a seat that dies leaves the field to its
plan. So does one that hears late, or that is not answered: it holds back, lest a late node gets later still.
"""

from __future__ import annotations

import hashlib
import math
import queue
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import NamedTuple

import msgspec

from nervure.act.controller.api import Controller
from nervure.act.late import Lateness, Pause
from nervure.core.error import NervureError
from nervure.core.instant import SECOND_NS, iso
from nervure.core.strange import Strange
from nervure.core.task import FINAL

__all__ = ["Asked", "Loop", "Seat"]

GRACE_S = 0.25
_LOOK_S = 2.0
_STALE_ROUNDS = 3
_GAPS, _SEVERAL = 8, 3
_FAR_GAPS = 10  # so many usual gaps ahead is far: one clock that is wrong must not end a seat
_MOST_ROUNDS = 1000
_ANEW_S = 60.0  # or three usual gaps of ours, for which only readings of before came: their time began anew
_ANEW_MOMENTS = 3
_MOST_COUNTS = 200
_BAD = FINAL - {"completed", "superseded"}


class Loop(NamedTuple):
    """Where a command goes: a TaskingCapability and one of its fields."""

    capability: int
    field: str


class Asked(msgspec.Struct, kw_only=True):
    """A Task that was asked for: what was seen when, when that was read, heard and answered (ns of ours)."""

    task: int
    capability: int
    values: dict[str, float]
    moment_ns: int
    read_ns: int
    heard_ns: int
    asked_ns: int
    inputs: str
    state: str = "requested"


class _Round(NamedTuple):
    """The readings of one moment, since when the first was heard, and when the last was read."""

    values: dict[str, float]
    since_s: float
    heard_ns: list[int]
    read_ns: list[int]


Ask = Callable[[int, dict[str, object]], int]
States = Callable[[Iterable[int]], Mapping[int, str]]


class Seat:
    """Joins one controller to loops; ``hear`` may be called from another thread than ``step``.

    ``loops`` are the commands that it may give by actuator, ``streams`` the readings by Datastream. ``ask``
    makes a Task and returns its id, ``states`` says how Tasks do; both may raise ``NervureError`` while the
    platform is away. A controller decides on every moment, but where the next one is there already nothing is
    asked. A command is asked when it is another one, when half of its lease is over, or when the
    last was not taken. Where a capability says how old readings may be that a command rests on (``seen_s``,
    seconds of the device), nothing is asked on older ones, as it would be refused.
    ``strange`` says how unlike what the controller was taught on what it sees now is; its Tasks say so too.
    """

    def __init__(
        self,
        controller: Controller,
        loops: Mapping[str, Loop],
        streams: Mapping[int, str],
        *,
        ask: Ask,
        states: States | None = None,
        lease_s: Mapping[int, float],
        seen_s: Mapping[int, float] | None = None,
        strange: Callable[[], Strange | None] = lambda: None,
        tell: Callable[[Asked], None] = lambda _: None,
    ) -> None:
        self.counts: Counter[str] = Counter()
        """Rounds, Tasks asked, failures by kind, and Tasks by the state they ended in."""
        self.trouble = ""
        """What the controller broke on, the last time it did."""
        self._controller, self._loops, self._streams = controller, dict(loops), dict(streams)
        self._ask, self._states, self._lease_s, self._tell = ask, states, dict(lease_s), tell
        self._strange = strange
        self._seen_s, self._late, self._pause, self._ask_ns = dict(seen_s or {}), Lateness(), Pause(), 0
        self._came: queue.SimpleQueue[tuple[int, int, float, int, int]] = queue.SimpleQueue()
        self._rounds: dict[int, _Round] = {}
        self._newest: dict[str, tuple[int, float]] = {}
        self._expected: frozenset[str] = frozenset()
        self._spoke: frozenset[str] = frozenset()
        self._closed_ns: int | None = None
        self._closed_s = self._closes_s = 0.0  # when by ours, and how long after the one before
        self._behind = (0, 0)  # the newest reading of before since then, and of how many moments they were
        self._gap_ns, self._gaps_ns = 0, deque[int](maxlen=_GAPS)
        self._decided_ns: int | None = None
        self._last: dict[int, Asked] = {}
        self._open: dict[int, Asked] = {}
        self._looked_s = 0.0

    @property
    def names(self) -> Mapping[int, str]:
        """The readings that are to be heard, by Datastream."""
        return dict(self._streams)

    def teach(self, moment_ns: int, values: Mapping[str, float]) -> None:
        """Let the controller live through a moment that is over, by the readings' names; nothing is asked."""
        seen = {name: value for name, value in values.items() if math.isfinite(value)}
        try:
            self._controller.decide(seen, moment_ns / SECOND_NS)
        except Exception as cause:  # noqa: BLE001  # as of a moment that is not over
            self.counts[f"broken: {type(cause).__name__}"] += 1
        self.counts["taught"] += 1

    def hear(self, stream: int, time_ns: int, value: float, read_ns: int = 0) -> None:
        """Take a reading: of when, and when it was read by our clock, if that is known."""
        self._came.put((stream, time_ns, value, read_ns, time.time_ns()))

    def step(self, wait_s: float = 0.1) -> bool:
        """Take what has come, for so long at most; decide on a moment that is whole. Whether one was."""
        until = time.monotonic() + wait_s
        while True:
            left = until - time.monotonic()
            with suppress(queue.Empty):
                self._take(*self._came.get(timeout=left) if left > 0 else self._came.get_nowait())
                while True:  # all that is there: nobody decides on what was overtaken
                    self._take(*self._came.get_nowait())
            moment = self._whole()
            if moment is not None:
                self._close(moment)
                return True
            if time.monotonic() >= until:
                self._look()
                return False

    # --- readings to rounds -----------------------------------------------------------------------------

    def _take(self, stream: int, time_ns: int, value: float, read_ns: int, heard_ns: int) -> None:
        name = self._streams.get(stream)
        if name is None or not math.isfinite(value):
            return
        if self._closed_ns is not None and time_ns <= self._closed_ns and not self._anew(time_ns):
            self.counts["late"] += 1
            if self._newest.get(name, (time_ns, 0.0))[0] < time_ns:
                self._newest[name] = (time_ns, value)
            return
        found = self._rounds.get(time_ns)
        if found is None:
            found = self._rounds[time_ns] = _Round({}, time.monotonic(), [heard_ns], [read_ns])
            while len(self._rounds) > _MOST_ROUNDS:
                del self._rounds[max(self._rounds)]
                self.counts["too many moments"] += 1
            if time_ns not in self._rounds:
                return
        found.values[name] = value
        found.heard_ns[0], found.read_ns[0] = max(found.heard_ns[0], heard_ns), max(found.read_ns[0], read_ns)

    def _whole(self) -> int | None:
        """Return the oldest moment, if nobody is missing or nobody is waited for any longer."""
        while self._rounds:
            moment = min(self._rounds)
            one = self._rounds[moment]
            if self._complete(one):
                return moment
            if time.monotonic() - one.since_s < GRACE_S:
                return None
            if not self._far(moment, one):
                return moment
            del self._rounds[moment]
            self.counts["far ahead"] += 1
        return None

    def _far(self, moment: int, one: _Round) -> bool:
        """Tell whether a moment lies far ahead, and fewer than half of several who are expected speak of it.

        When all others have been silent for a while, it is believed.
        """
        if self._closed_ns is None or len(self._expected) < _SEVERAL or self._waits():
            return False
        few = 2 * len(self._expected & one.values.keys()) < len(self._expected)
        return few and moment - self._closed_ns > _FAR_GAPS * max(self._gaps_ns, default=moment)

    def _waits(self) -> bool:
        """Tell whether no moment was whole for longer than it ever takes."""
        return time.monotonic() - self._closed_s >= max(_ANEW_S, 3 * self._closes_s)

    def _anew(self, time_ns: int) -> bool:
        """Begin anew if nothing but readings of before comes: a simulation was started again, a clock set."""
        last, moments = self._behind
        if time_ns > last:
            self._behind = (time_ns, moments + 1)
        if not self._waits() or self._rounds or self._behind[1] < _ANEW_MOMENTS:
            return False
        self._closed_ns = self._decided_ns = None
        self._gap_ns, self._expected, self._spoke = 0, frozenset(), frozenset()
        self._gaps_ns.clear()
        self._newest, self._last, self._late, self._behind = {}, {}, Lateness(), (0, 0)
        self.counts["begun anew"] += 1
        return True

    def _complete(self, one: _Round) -> bool:
        return bool(self._expected) and self._expected <= one.values.keys()

    def _close(self, moment: int) -> None:
        one = self._rounds.pop(moment)
        if self._closed_ns is not None:  # what was read before a long silence is as old after it
            gap_ns = moment - self._closed_ns
            self._gap_ns = min(gap_ns, max(self._gaps_ns, default=gap_ns))
            self._gaps_ns.append(gap_ns)
        spoke = frozenset(one.values)  # who speaks now and then is not waited for
        self._expected = spoke & self._spoke if self._spoke & spoke else spoke
        now_s = time.monotonic()
        self._closes_s = now_s - self._closed_s if self._closed_ns is not None else 0.0
        self._closed_ns, self._closed_s, self._spoke, self._behind = moment, now_s, spoke, (0, 0)
        self._newest |= {name: (moment, value) for name, value in one.values.items()}
        self.counts["rounds"] += 1
        self._late.note(moment, one.read_ns[0], one.heard_ns[0])
        every = round(self._controller.every_s * SECOND_NS)
        if self._decided_ns is None or moment - self._decided_ns >= every - self._gap_ns // 2:
            self._decided_ns = moment
            self._decide(moment, one)
        if time.monotonic() - self._looked_s > _LOOK_S:  # else when nothing comes, lest anybody waits for it
            self._look()

    # --- decisions to Tasks -----------------------------------------------------------------------------

    def _decide(self, moment: int, one: _Round) -> None:
        oldest = moment - _STALE_ROUNDS * max(self._gap_ns, SECOND_NS)
        seen = {name: value for name, (when, value) in self._newest.items() if when >= oldest}
        try:
            commands = self._controller.decide(seen, moment / SECOND_NS)
        except Exception as cause:  # noqa: BLE001  # whatever a controller does, the plan has it then
            self.counts[f"broken: {type(cause).__name__}"] += 1
            self.trouble = repr(cause)[:300]
            return
        if any(self._complete(newer) for newer in self._rounds.values()):
            self.counts["overtaken"] += 1
            return
        digest = _digest(moment, seen)
        wanted: dict[int, dict[str, float]] = {}
        for name, value in commands.items():
            loop = self._loops.get(name)
            if loop is not None and math.isfinite(value):
                wanted.setdefault(loop.capability, {})[loop.field] = float(value)
        for capability, values in wanted.items():
            if self._due(capability, values, moment) and not self._holds_back(capability, one.read_ns[0]):
                draft = Asked(
                    task=0, capability=capability, values=values, moment_ns=moment, read_ns=one.read_ns[0],
                    heard_ns=one.heard_ns[0], asked_ns=0, inputs=digest,
                )  # fmt: skip
                self._put(draft)

    def _due(self, capability: int, values: Mapping[str, float], moment: int) -> bool:
        """Tell whether a command has to be asked: it is new, or what was asked does not hold much longer."""
        last = self._last.get(capability)
        if last is None or last.values != values or last.state in _BAD:
            return True
        return moment - last.moment_ns >= self._lease_s[capability] * SECOND_NS / 2

    def _holds_back(self, capability: int, read_ns: int) -> bool:
        """Tell whether nothing is to be asked now: it would be too late, or nobody answers."""
        bound = self._seen_s.get(capability, math.inf)
        if self._late.by_device_s(read_ns, time.time_ns() + self._ask_ns) > bound:
            self.counts["held back: late"] += 1
            return True
        if self._pause.left_s(time.monotonic()) > 0:
            self.counts["held back: not answered"] += 1
            return True
        return False

    def _put(self, draft: Asked) -> None:
        act: dict[str, object] = {
            "model": self._controller.name,
            "lease_s": self._lease_s[draft.capability],
            "inputs": draft.inputs,
            "seen": iso(draft.moment_ns),
        }
        if rests := getattr(self._controller, "rests", ()):
            act["rests"] = list(rests)
        if (odd := self._strange()) is not None:
            act["strange"] = msgspec.to_builtins(odd)
        body: dict[str, object] = {"taskingParameters": draft.values, "properties": {"act": act}}
        begun_ns = time.time_ns()
        try:
            draft.task = self._ask(draft.capability, body)
        except NervureError as cause:  # the platform is away, or does not want it: again at the next moment
            why = f"not asked: {cause.what}"[:100]
            self.counts[why if why in self.counts or len(self.counts) < _MOST_COUNTS else "not asked"] += 1
            self._last.pop(draft.capability, None)
            self._pause.failed(time.monotonic())
            return
        draft.asked_ns = time.time_ns()
        self._ask_ns = (self._ask_ns + draft.asked_ns - begun_ns) // 2  # the next will take about as long
        self._pause.succeeded()
        self.counts["asked"] += 1
        self._last[draft.capability] = self._open[draft.task] = draft
        self._tell(draft)

    def _look(self) -> None:
        """See what became of Tasks, now and then."""
        now = time.monotonic()
        if self._states is None or not self._open or now - self._looked_s < GRACE_S:
            return
        self._looked_s = now
        try:
            found = self._states(tuple(self._open))
        except NervureError:
            return
        for task, state in found.items():
            if task in self._open:
                self._open[task].state = state
                if state in FINAL:
                    self.counts[state] += 1
                    del self._open[task]
        while len(self._open) > 1000:  # nobody says what became of the oldest
            del self._open[next(iter(self._open))]


def _digest(moment: int, seen: Mapping[str, float]) -> str:
    """Return the hash of what a controller saw, and when."""
    body = msgspec.json.encode({"time": iso(moment), "seen": dict(seen)}, order="deterministic")
    return hashlib.sha256(body).hexdigest()[:32]
