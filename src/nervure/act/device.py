"""A guard on the wire: beside a real actuator or a twin, it hears orders by MQTT and says how it stands.

    device = installed(papers(file.read_bytes()), values, memory=Path("guard.memory"))
    device.connect(client)                                 # a paho client with the device's own credentials
    while True:
        device.sense(readings)                             # inputs that rules ask for, from its own sensors
        actuator.set(device.step())                        # at least every `every` of the declaration

`file` is what `nervure act guard 5 --out` wrote, `guard.memory` is the guard's own: what outlives a restart.
The network may come and go as it likes: paho connects again by itself, and `step` needs none.
"""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from nervure.act import array
from nervure.act.guard import MOST_BYTES, Guard, steady_ns
from nervure.act.memory import Memory
from nervure.core.interlock import Value
from nervure.core.mac import whose
from nervure.core.order import Answer
from nervure.core.papers import Papers

if TYPE_CHECKING:
    import paho.mqtt.client as paho

__all__ = ["REPORT_S", "Device", "installed"]

REPORT_S = 1.0
_WAITING = 1000


class _About(msgspec.Struct, frozen=True):
    """Which capability a Task is of."""

    id: int | str = msgspec.field(name="@iot.id", default=0)


class _Told(msgspec.Struct):
    """A message of the platform to a Thing, as far as a guard needs it."""

    order: msgspec.Raw = msgspec.Raw(b"")
    TaskingCapability: _About = _About()


_told = msgspec.json.Decoder(_Told).decode


class Device:
    """One guarded capability of one Thing on MQTT; messages come in another thread than ``step``.

    ``clock`` is nanoseconds of a clock that nobody sets. What is said while there is no network waits in
    paho, at most so much as its queue holds. Where the clock is simulated, reports go by ours, and at once
    when something else is in force, as much may happen there in one second of ours. What the guard has to
    remember is in its ``memory`` before anybody hears of it; where that cannot be written it says so, and
    goes on.
    """

    def __init__(
        self, guard: Guard, *, thing: int, capability: int, clock: Callable[[], int] = steady_ns,
        memory: Memory | None = None,
    ) -> None:  # fmt: skip
        self.guard = guard
        self.said: Counter[str] = Counter()
        """How many answers there were of each kind, in the words of a Task's states."""
        self._clock = clock
        self._beat = steady_ns if guard.declared.simulated else clock
        self._told: tuple[object, ...] = ()
        self._memory, self._forgets = memory, ""
        self._topic = f"nervure/tasks/{thing}"
        self.capability = capability
        self._came: deque[bytes] = deque(maxlen=_WAITING)
        self._client: paho.Client | None = None
        self._next_ns = 0
        self._lock = threading.Lock()
        self._wake: Callable[[], None] | None = None

    def connect(self, client: paho.Client, wake: Callable[[], None] | None = None) -> None:
        """Take a client, connected or not; ``wake`` is called when an order has come."""
        self.speak(client)
        self._wake = wake
        client.on_connect = self._connected
        client.on_message = self._message
        if client.is_connected():
            client.subscribe(self._topic, 1)

    def speak(self, client: paho.Client) -> None:
        """Speak through a client that somebody else listens to, who gives what came to :meth:`hear`."""
        self._client = client

    def hear(self, payload: bytes) -> None:
        """Take a message of the platform to this Thing; from any thread."""
        if len(payload) <= 2 * MOST_BYTES:
            self._came.append(payload)

    @property
    def waits(self) -> bool:
        """Whether something has come that was not followed yet."""
        return bool(self._came)

    @property
    def fields(self) -> dict[str, Value]:
        """What the actuator has to do: all that is in force; where nothing has a plan, what is held.

        What is not in it then is left to a plan of the actuator's own.
        """
        values = self.guard.values
        if self.guard.declared.plan or self.guard.holder == "starve":
            return values
        return {name: values[name] for name in array.decide(self.guard.slots)}

    def sense(self, readings: Mapping[str, Value]) -> None:
        """Take readings of inputs."""
        with self._lock:
            self.guard.sense(readings, self._clock())

    def step(self) -> dict[str, Value]:
        """Follow what came, go on, say how it stands; returns what is in force now."""
        with self._lock:
            now_ns = self._clock()
            while self._came:
                self._follow(self._came.popleft(), now_ns)
            values = self.guard.step(now_ns)
            self._remember()
            answers = self.guard.answers()
            beat_ns = self._beat()
            due = self._moved(values) or beat_ns >= self._next_ns
            if due:
                self._next_ns = beat_ns + round(REPORT_S * 1e9)
            report = self.guard.report(now_ns) if due else None
        for answer in answers:
            self.said[answer.status] += 1
            self._answer(answer)
        if report is not None:
            self._say(f"{self._topic}/guard-{self.capability}/status", report)
        return values

    def _remember(self) -> None:
        """Write down what the guard has to remember; what is wrong with that is said once."""
        why = "" if self._memory is None else self._memory.keep(self.guard.kept())
        if why and why != self._forgets:
            self.guard.forgets(why)
        self._forgets = why

    def _moved(self, values: Mapping[str, Value]) -> bool:
        """Tell whether simulated time has brought something that the platform has yet to hear of."""
        if not self.guard.declared.simulated:
            return False
        before, self._told = self._told, (dict(values), self.guard.holder, self.guard.known.trips)
        return before != self._told

    def _follow(self, payload: bytes, now_ns: int) -> None:
        try:
            told = _told(payload)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            self.guard.receive(payload, now_ns)
            return
        if told.order:
            named = whose(bytes(told.order))
            mine = not named or self.capability in named
        else:  # a Task without an order is for who has no guard, or its order was damaged
            mine = told.TaskingCapability.id in (0, self.capability)
        if mine:
            self.guard.receive(bytes(told.order), now_ns)

    def _answer(self, answer: Answer) -> None:
        if answer.task.isdecimal():
            body = {"status": answer.status, "detail": answer.detail}
            self._say(f"{self._topic}/{answer.task}/status", body)

    def _say(self, topic: str, body: Any) -> None:
        if self._client is not None:
            self._client.publish(topic, msgspec.json.encode(body), 1)

    def _connected(self, client: paho.Client, *_: Any) -> None:
        client.subscribe(self._topic, 1)
        self._next_ns = 0

    def _message(self, _client: Any, _data: Any, message: paho.MQTTMessage) -> None:
        self.hear(bytes(message.payload))
        if self._wake is not None:
            self._wake()


def installed(
    given: Papers,
    values: Mapping[str, Value],
    *,
    clock: Callable[[], int] = steady_ns,
    memory: Path | None = None,
) -> Device:
    """Return the guard of these papers as it begins, with what is in force at its actuator.

    With ``memory`` it goes on where it was when it was stopped or killed: that file is its own.
    """
    kept = None if memory is None else Memory(memory, given.capability)
    guard = Guard(
        given.declared, values, clock(), key=given.secret, kept=None if kept is None else kept.read()
    )
    return Device(guard, thing=given.thing, capability=given.capability, clock=clock, memory=kept)
