"""A twin in the field: readings go out over MQTT with device credentials, Tasks come in through guards.

The platform cannot tell it from a street cabinet. Simulated time begins in the past and goes ``speed`` times
as fast as ours until it has caught up; from then on it goes like ours, as nobody believes a reading of
tomorrow. Beside every actuator stands a guard, which goes by the twin's time: what it lets into force is put
into the twin, and what is left to the device's own plan is given back to it.
"""

from __future__ import annotations

import logging
import math
import ssl
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import msgspec
import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from nervure.core.error import EnvironmentMissing
from nervure.core.instant import SECOND_NS, iso
from nervure.core.interlock import Value
from nervure.stream.subject import reading_topic
from nervure.twin.api import Twin
from nervure.twin.enrol import Place
from nervure.twin.fault import Faults

__all__ = ["Broker", "Counts", "Field", "Guarded", "Keep", "Pace", "Post"]

_log = logging.getLogger("nervure.twin")
_CONNECT_S = 20.0
_KEEPALIVE_S = 30
_AHEAD = 2_000  # messages on their way at most
_KEEP_S = 10.0  # how often, by our clock, it is written down where the twin is
_BEAT_S = 0.5  # how often guards are asked to report while the twin waits for its time


Keep = Callable[[Twin, int, float], None]
"""Writes down where a twin is: at which moment (ns), after how many simulated seconds."""


class Guarded(Protocol):
    """What stands between the wire and an actuator: :class:`nervure.act.device.Device`."""

    @property
    def said(self) -> Counter[str]:
        """How many answers there were of each kind."""
        ...

    @property
    def fields(self) -> Mapping[str, Value]:
        """What the actuator has to do; what is not in it is left to a plan of its own."""
        ...

    @property
    def waits(self) -> bool:
        """Whether something has come that was not followed yet."""
        ...

    def speak(self, client: paho.Client, /) -> None:
        """Speak through a client."""
        ...

    def hear(self, payload: bytes, /) -> None:
        """Take a message of the platform."""
        ...

    def sense(self, readings: Mapping[str, Value], /) -> None:
        """Take readings of inputs."""
        ...

    def step(self) -> Mapping[str, Value]:
        """Follow what came, go on, say how it stands."""
        ...


class Post(NamedTuple):
    """A Thing with actuators: its guard, their names by field, and the inputs that its rules ask for."""

    thing: int
    guard: Guarded
    fields: Mapping[str, str]
    inputs: frozenset[str]


class Counts(msgspec.Struct):
    """What a twin in the field has done; ``kpis`` are what came of it, ``alone`` what comes of its plans.

    ``units`` are those of ``kpis``, as UCUM has them.
    """

    steps: int = 0
    readings: int = 0
    silent: int = 0
    tasks: int = 0
    refused: int = 0
    released: int = 0
    kpis: dict[str, float] = {}
    wall_s: float = 0.0
    alone: dict[str, float] = {}
    units: dict[str, str] = {}


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
    """One device: a session of its own, what the platform says to one Thing."""

    def __init__(self, place: Place, broker: Broker, hear: Callable[[int, bytes], None]) -> None:
        self._place, self._hear = place, hear
        self._connected = threading.Event()
        self._refused = ""
        self.mqtt = paho.Client(
            CallbackAPIVersion.VERSION2, client_id=f"twin-{place.username}", clean_session=False
        )
        if place.token:
            self.mqtt.username_pw_set(place.username, place.token)
        if broker.tls is not None:
            self.mqtt.tls_set_context(broker.tls)
        self.mqtt.reconnect_delay_set(min_delay=1, max_delay=5)
        self.mqtt.max_inflight_messages_set(64)
        self.mqtt.on_connect = self._on_connect
        self.mqtt.on_message = self._on_message
        self.mqtt.connect_async(broker.host, broker.port, keepalive=_KEEPALIVE_S)
        self.mqtt.loop_start()
        if not self._connected.wait(_CONNECT_S) or self._refused:
            self.close()
            why = self._refused or "silence"
            raise EnvironmentMissing(
                f"the broker at {broker.host}:{broker.port} does not let {place.username} in: {why}",
                hint="is the node up, and are its ports those of the settings?",
            )

    def publish(self, topic: str, payload: bytes) -> None:
        """Hand over a message, which is kept until it is acknowledged."""
        self.mqtt.publish(topic, payload, qos=1)

    def backlog(self) -> int:
        """Return how many messages wait for their acknowledgement."""
        return len(self.mqtt._out_messages)  # noqa: SLF001  # paho has no public count

    def close(self) -> None:
        """Say goodbye."""
        self.mqtt.disconnect()
        self.mqtt.loop_stop()

    def _on_connect(
        self, client: paho.Client, data: object, flags: object, reason: Any, more: object
    ) -> None:
        if reason.is_failure:
            if self._connected.is_set() and not self._refused:  # else it is told to who opens it
                _log.warning("%s is not let in any more: %s; nobody hears it", self._place.username, reason)
            self._refused = str(reason)
        else:
            self._refused = ""
            client.subscribe(f"nervure/tasks/{self._place.thing}", qos=1)
        self._connected.set()

    def _on_message(self, client: paho.Client, data: object, message: paho.MQTTMessage) -> None:
        self._hear(self._place.thing, bytes(message.payload))


class Field:
    """A twin, its devices, and the loop between them; ``run`` is called once.

    ``guard(place, clock)`` makes the guard of a Thing with actuators, which goes by the twin's clock. Without
    a broker nobody hears of anything: the twin goes by its guards' plans, as fast as it can.
    """

    def __init__(
        self,
        twin: Twin,
        places: Sequence[Place],
        broker: Broker | None,
        pace: Pace,
        guard: Callable[[Place, Callable[[], int]], Post],
        *,
        faults: Faults | None = None,
        keep: Keep | None = None,
    ) -> None:
        self.counts = Counts()
        self.now_ns = pace.start_ns
        """The twin's time."""
        self._twin, self._pace, self._faults = twin, pace, faults
        self._keep, self._kept_s = keep, -math.inf
        self._about = twin.describe()
        self._stream = {name: (place, key) for place in places for name, key in place.datastreams.items()}
        self._seldom = {
            one.name: round(one.every_s * SECOND_NS) for one in self._about.sensors if one.every_s
        }
        self._stopped, self._woken = threading.Event(), threading.Event()
        self._forced: dict[str, float] = {}
        self._posts = [guard(one, lambda: self.now_ns) for one in places if one.capability is not None]
        self._by_thing = {one.thing: one for one in self._posts}
        self._clients: dict[int, _Client] = {}
        if broker is not None:
            for place in places:
                self._clients[place.thing] = _Client(place, broker, self._hear)
            for post in self._posts:
                post.guard.speak(self._clients[post.thing].mqtt)

    def run(self, steps: float = math.inf, tell: Callable[[Counts, int], None] | None = None) -> Counts:
        """Simulate, send and obey until ``stop`` or for so many steps."""
        begun_ns, step_ns = self._pace.clock(), round(self._about.step_s * SECOND_NS)
        while self.counts.steps < steps and not self._stopped.is_set():
            self._obey(self._pace.wait_s(self.now_ns, begun_ns) if self._clients else 0.0)
            readings = self._twin.step()
            self.counts.steps += 1
            self.now_ns += step_ns
            if self._faults is not None:
                readings = self._faults.through(readings, (self.now_ns - self._pace.start_ns) / SECOND_NS)
            self._guard(readings)
            self._send(readings)
            self._note(_KEEP_S)
            if tell is not None:
                tell(self.counts, self.now_ns)
        self.counts.wall_s = (self._pace.clock() - begun_ns) / SECOND_NS
        self._note(0.0)
        self._drain()
        self.counts.kpis = dict(self._twin.kpis())
        return self.counts

    def stop(self) -> None:
        """End after the step that is under way; from any thread, or from a signal's handler."""
        self._stopped.set()

    def close(self) -> None:
        """Let the devices sign off; the engine is whoever's who opened it."""
        for one in self._clients.values():
            one.close()

    def _note(self, every_s: float) -> None:
        """Write down where the twin is, if that is wanted and was so long ago."""
        if self._keep is not None and time.monotonic() - self._kept_s >= every_s:
            self._keep(self._twin, self.now_ns, (self.now_ns - self._pace.start_ns) / SECOND_NS)
            self._kept_s = time.monotonic()

    def _hear(self, thing: int, payload: bytes) -> None:
        post = self._by_thing.get(thing)
        if post is not None:
            post.guard.hear(payload)
            self._woken.set()

    def _obey(self, wait_s: float) -> None:
        """Follow orders as they come until it is time to go on; the twin's time stands still meanwhile."""
        until = time.monotonic() + wait_s
        while (left := until - time.monotonic()) > 0 and not self._stopped.is_set():
            woken = self._woken.wait(min(left, _BEAT_S))
            self._woken.clear()
            self._force([one for one in self._posts if one.guard.waits or not woken])
        self._force([one for one in self._posts if one.guard.waits])

    def _guard(self, readings: Mapping[str, float]) -> None:
        """Let a step of time pass for every guard."""
        for post in self._posts:
            seen = {
                name: readings[name] for name in post.inputs if math.isfinite(readings.get(name, math.nan))
            }
            if seen:
                post.guard.sense(seen)
        self._force(self._posts)

    def _force(self, posts: Sequence[Post]) -> None:
        """Put into the twin what guards have in force, and give back what they leave to its own plan."""
        wanted: dict[str, float] = {}
        left: list[str] = []
        for post in posts:
            post.guard.step()
            values = post.guard.fields
            for field, name in post.fields.items():
                value = values.get(field)
                if value is None:
                    left.append(name)
                elif not isinstance(value, str):
                    wanted[name] = float(value)
        if back := tuple(name for name in left if name in self._forced):
            self._twin.release(back)
            for name in back:
                del self._forced[name]
        if new := {name: value for name, value in wanted.items() if self._forced.get(name) != value}:
            self._twin.apply(new)
            self._forced |= new
        said = sum((post.guard.said for post in self._posts), Counter[str]())
        self.counts.tasks, self.counts.released = said["acknowledged"], said["completed"]
        self.counts.refused = said["rejected"] + said["tripped"] + said["overridden"]

    def _send(self, readings: Mapping[str, float]) -> None:
        stamp, now = iso(self.now_ns), iso(self._pace.clock())
        before_ns = self.now_ns - round(self._about.step_s * SECOND_NS)
        for name, value in readings.items():
            every_ns = self._seldom.get(name)
            if every_ns is not None and self.now_ns // every_ns == before_ns // every_ns:
                continue
            if not math.isfinite(value):
                self.counts.silent += 1
                continue
            place, key = self._stream[name]
            self.counts.readings += 1
            if self._clients:
                body = msgspec.json.encode({"phenomenonTime": stamp, "resultTime": now, "result": value})
                self._clients[place.thing].publish(reading_topic(key), body)
        while not self._stopped.is_set() and any(one.backlog() > _AHEAD for one in self._clients.values()):
            time.sleep(0.01)

    def _drain(self, patience_s: float = 30.0) -> None:
        """Wait for what is on its way; who was told to stop does not wait for a platform that is away."""
        until = time.monotonic() + patience_s
        while time.monotonic() < until and any(
            one.backlog() and (one.mqtt.is_connected() or not self._stopped.is_set())
            for one in self._clients.values()
        ):
            time.sleep(0.02)
