"""A twin in the field: readings go out over MQTT with device credentials, Tasks come in and are acknowledged.

The platform cannot tell it from a street cabinet. Simulated time begins in the past and goes ``speed`` times
as fast as ours until it has caught up; from then on it goes like ours, as nobody believes a reading of
tomorrow. A command holds for ``lease_s`` of simulated time; then the twin's own plan has its actuator again.
"""

from __future__ import annotations

import math
import queue
import ssl
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from nervure.core.error import EnvironmentMissing, NervureError
from nervure.core.instant import SECOND_NS, iso
from nervure.stream.subject import reading_topic
from nervure.twin.api import Twin, TwinError
from nervure.twin.enrol import Place
from nervure.twin.fault import Faults

__all__ = ["Broker", "Counts", "Field", "Pace", "Task"]

_CONNECT_S = 20.0
_KEEPALIVE_S = 30
_AHEAD = 2_000  # messages on their way at most


class _About(msgspec.Struct, frozen=True):
    """Which capability a Task is of."""

    id: int = msgspec.field(name="@iot.id")


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """A Task as the platform tells it to a device."""

    id: int
    taskingParameters: dict[str, Any]  # noqa: N815  # the standard's word
    TaskingCapability: _About


class Counts(msgspec.Struct):
    """What a twin in the field has done."""

    steps: int = 0
    readings: int = 0
    silent: int = 0
    tasks: int = 0
    refused: int = 0
    released: int = 0


class Broker(NamedTuple):
    """Where the platform's MQTT door is; ``tls`` is a context that believes it, where it speaks TLS."""

    host: str
    port: int
    tls: ssl.SSLContext | None = None


class Pace(msgspec.Struct, kw_only=True):
    """How simulated time goes: from ``start_ns``, ``speed`` times as fast as ours until it has caught up."""

    start_ns: int
    speed: float
    clock: Callable[[], int] = time.time_ns

    def wait_s(self, moment_ns: int, begun_ns: int) -> float:
        """Return how long to wait until a simulated moment has come, in our seconds.

        >>> pace = Pace(start_ns=0, speed=10.0, clock=lambda: 10**12)
        >>> pace.wait_s(100 * 10**9, 10**12)
        10.0
        """
        now = self.clock()
        by_speed = begun_ns + (moment_ns - self.start_ns) / self.speed
        return max(0.0, (max(by_speed, moment_ns) - now) / SECOND_NS)


class _Client:
    """One device: a session of its own, the Tasks of one Thing."""

    def __init__(
        self, place: Place, broker: Broker, inbox: queue.Queue[tuple[Place, bytes]]
    ) -> None:  # fmt: skip
        self._place, self._inbox = place, inbox
        self._connected = threading.Event()
        self._refused = ""
        self._mqtt = paho.Client(
            CallbackAPIVersion.VERSION2, client_id=f"twin-{place.username}", clean_session=False
        )
        if place.token:
            self._mqtt.username_pw_set(place.username, place.token)
        if broker.tls is not None:
            self._mqtt.tls_set_context(broker.tls)
        self._mqtt.reconnect_delay_set(min_delay=1, max_delay=5)
        self._mqtt.max_inflight_messages_set(64)
        self._mqtt.on_connect = self._on_connect
        self._mqtt.on_message = self._on_message
        self._mqtt.connect_async(broker.host, broker.port, keepalive=_KEEPALIVE_S)
        self._mqtt.loop_start()
        if not self._connected.wait(_CONNECT_S) or self._refused:
            self.close()
            why = self._refused or "silence"
            raise EnvironmentMissing(
                f"the broker at {broker.host}:{broker.port} does not let {place.username} in: {why}",
                hint="is the node up, and are its ports those of the settings?",
            )

    def publish(self, topic: str, payload: bytes) -> None:
        """Hand over a message, which is kept until it is acknowledged."""
        self._mqtt.publish(topic, payload, qos=1)

    def backlog(self) -> int:
        """Return how many messages wait for their acknowledgement."""
        return len(self._mqtt._out_messages)  # noqa: SLF001  # paho has no public count

    def close(self) -> None:
        """Say goodbye."""
        self._mqtt.disconnect()
        self._mqtt.loop_stop()

    def _on_connect(
        self, client: paho.Client, data: object, flags: object, reason: Any, more: object
    ) -> None:
        if reason.is_failure:
            self._refused = str(reason)
        else:
            client.subscribe(f"nervure/tasks/{self._place.thing}", qos=1)
        self._connected.set()

    def _on_message(self, client: paho.Client, data: object, message: paho.MQTTMessage) -> None:
        self._inbox.put((self._place, bytes(message.payload)))


class Field:
    """A twin, its devices, and the loop between them; ``run`` is called once."""

    def __init__(
        self,
        twin: Twin,
        places: Sequence[Place],
        broker: Broker,
        pace: Pace,
        *,
        faults: Faults | None = None,
        lease_s: float = 120.0,
    ) -> None:
        self.counts = Counts()
        self._twin, self._pace, self._faults, self._lease_s = twin, pace, faults, lease_s
        self._about = twin.describe()
        self._inbox: queue.Queue[tuple[Place, bytes]] = queue.Queue()
        self._stream = {name: (place, key) for place in places for name, key in place.datastreams.items()}
        self._stopped = threading.Event()
        self._done: dict[int, str] = {}
        self._held: dict[str, float] = {}
        self._signal = {one.name: one.signal for one in self._about.actuators}
        self._clients: dict[int, _Client] = {}
        for place in places:
            self._clients[place.thing] = _Client(place, broker, self._inbox)

    def run(self, steps: float = math.inf, tell: Callable[[Counts, int], None] | None = None) -> Counts:
        """Simulate, send and obey until ``stop`` or for so many steps."""
        begun_ns, step_ns = self._pace.clock(), round(self._about.step_s * SECOND_NS)
        moment_ns = self._pace.start_ns
        while self.counts.steps < steps and not self._stopped.is_set():
            self._obey(self._pace.wait_s(moment_ns, begun_ns), (moment_ns - self._pace.start_ns) / SECOND_NS)
            readings = self._twin.step()
            self.counts.steps += 1
            moment_ns += step_ns
            self._send(readings, moment_ns)
            if tell is not None:
                tell(self.counts, moment_ns)
        self._drain()
        return self.counts

    def stop(self) -> None:
        """End after the step that is under way; from any thread, or from a signal's handler."""
        self._stopped.set()

    def close(self) -> None:
        """Let the devices sign off, and the engine end."""
        for one in self._clients.values():
            one.close()
        self._twin.close()

    def _obey(self, wait_s: float, now_s: float) -> None:
        """Take Tasks until it is time to go on; then give back what nobody commands any more."""
        until = time.monotonic() + wait_s
        while True:
            left = until - time.monotonic()
            try:
                place, payload = self._inbox.get(timeout=left) if left > 0 else self._inbox.get_nowait()
            except queue.Empty:
                break
            self._take(place, payload, now_s)
        over = tuple(name for name, since in self._held.items() if now_s - since > self._lease_s)
        if over:
            self._twin.release(over)
            self.counts.released += len(over)
            for name in over:
                del self._held[name]

    def _take(self, place: Place, payload: bytes, now_s: float) -> None:
        """Do one Task, once, and say what became of it; the same Task again gets the same answer."""
        try:
            task = msgspec.json.decode(payload, type=Task)
        except (msgspec.DecodeError, UnicodeDecodeError):
            self.counts.refused += 1  # nobody to tell: it has no id
            return
        said = self._done.get(task.id)
        if said is None:
            try:
                commands = self._commands(place, task)
                self._twin.apply(commands)
                self._held |= dict.fromkeys(commands, now_s)
                self.counts.tasks += 1
                said = "completed"
            except NervureError as cause:
                self.counts.refused += 1
                said = f"failed: {cause.what}"
            self._done[task.id] = said
            if len(self._done) > 10_000:
                self._done.pop(next(iter(self._done)))
        status, _, detail = said.partition(": ")
        body = {"status": status} | ({"detail": detail} if detail else {})
        self._clients[place.thing].publish(
            f"nervure/tasks/{place.thing}/{task.id}/status", msgspec.json.encode(body)
        )

    def _commands(self, place: Place, task: Task) -> dict[str, float]:
        name = place.capabilities.get(task.TaskingCapability.id)
        if name is None:
            raise TwinError(f"capability {task.TaskingCapability.id} is none of {place.name}")
        value = task.taskingParameters.get(self._signal[name])
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise TwinError(f"{name} cannot be {value!r}", hint="a number is asked for")
        commands = {name: float(value)}
        if self._faults is not None and name in self._faults.names:
            commands = self._faults.through(commands, 0.0)
        return {one: value for one, value in commands.items() if math.isfinite(value)}

    def _send(self, readings: Mapping[str, float], moment_ns: int) -> None:
        if self._faults is not None:
            readings = self._faults.through(readings, (moment_ns - self._pace.start_ns) / SECOND_NS)
        stamp = iso(moment_ns)
        for name, value in readings.items():
            if not math.isfinite(value):
                self.counts.silent += 1
                continue
            place, key = self._stream[name]
            body = msgspec.json.encode({"phenomenonTime": stamp, "result": value})
            self._clients[place.thing].publish(reading_topic(key), body)
            self.counts.readings += 1
        while any(one.backlog() > _AHEAD for one in self._clients.values()):
            time.sleep(0.01)

    def _drain(self, patience_s: float = 30.0) -> None:
        until = time.monotonic() + patience_s
        while time.monotonic() < until and any(one.backlog() for one in self._clients.values()):
            time.sleep(0.02)
