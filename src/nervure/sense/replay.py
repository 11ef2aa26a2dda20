"""Real readings played again by field devices: one MQTT client each, QoS 1, at a chosen speed-up.

Each device is a `paho-mqtt` client with a session of its own. What the broker has not acknowledged
is sent again after a reconnect, as MQTT wants it; so every reading arrives at least once.
"""

from __future__ import annotations

import asyncio
import math
import threading
import time
from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
import paho.mqtt.client as paho
from numpy.typing import NDArray
from paho.mqtt.enums import CallbackAPIVersion

from nervure.core.error import EnvironmentMissing
from nervure.core.instant import iso
from nervure.stream.subject import reading_topic

__all__ = ["Device", "Replay", "Replayed", "Track"]

KEEPALIVE_S = 60
WINDOW = 64
"""How many messages a device sends ahead of their acknowledgements."""

_TICK_S = 0.02


class Track(msgspec.Struct, frozen=True, kw_only=True):
    """What a device sends for one Datastream: ``time [row]``, ``value [row]``, NaN where it is silent."""

    device: str
    datastream: int
    time: NDArray[np.int64]
    value: NDArray[np.float64]


class Replayed(msgspec.Struct, frozen=True, kw_only=True):
    """How a replay went. ``behind_s`` is how late the latest reading was against its plan."""

    sent: int
    acknowledged: int
    devices: int
    reconnects: int
    wall_s: float
    behind_s: float


class Device:
    """One field device: a client with its own session, and how much of what it sent was acknowledged."""

    def __init__(self, name: str, host: str, port: int) -> None:
        self.name = name
        self.sent = self.acknowledged = self.connects = 0
        self._changed = threading.Condition()
        self._client = paho.Client(
            CallbackAPIVersion.VERSION2, client_id=f"device-{name}".replace(" ", "-"), clean_session=False
        )
        self._client.max_inflight_messages_set(WINDOW)
        self._client.reconnect_delay_set(min_delay=1, max_delay=1)
        self._client.on_connect = self._on_connect
        self._client.on_publish = self._on_publish
        self._address = (host, port)

    def start(self, username: str | None, password: str | None) -> None:
        """Connect in the background, and again whenever the connection is lost."""
        if username is not None:
            self._client.username_pw_set(username, password)
        self._client.connect_async(*self._address, keepalive=KEEPALIVE_S)
        self._client.loop_start()

    def stop(self) -> None:
        """Disconnect."""
        self._client.disconnect()
        self._client.loop_stop()

    def send(self, topic: str, payload: bytes) -> None:
        """Hand a message to the client, which keeps it until it is acknowledged."""
        self.sent += 1
        self._client.publish(topic, payload, qos=1)

    def wait_below(self, unacknowledged: int, timeout_s: float) -> bool:
        """Wait until fewer messages than that are unacknowledged."""
        with self._changed:
            return self._changed.wait_for(
                lambda: self.sent - self.acknowledged < unacknowledged, timeout=timeout_s
            )

    def wait_connected(self, timeout_s: float) -> bool:
        """Wait for the first connection."""
        with self._changed:
            return self._changed.wait_for(lambda: self.connects > 0, timeout=timeout_s)

    def _on_connect(
        self, client: paho.Client, data: object, flags: object, reason: Any, more: object
    ) -> None:
        if not reason.is_failure:
            with self._changed:
                self.connects += 1
                self._changed.notify_all()

    def _on_publish(self, client: paho.Client, data: object, mid: int, reason: object, more: object) -> None:
        with self._changed:
            self.acknowledged += 1
            self._changed.notify_all()


class Replay:
    """Plays tracks through the MQTT door in the order of their times, across all devices.

    ``speed_up`` is how many seconds of the data pass in one of ours; infinity sends as fast as the
    broker acknowledges. ``sent_ns`` holds for each ``(datastream, time_ns)`` when it was sent, by
    ``time.time_ns``, so that whoever sees a decision can tell how long it took.
    """

    def __init__(
        self,
        tracks: Sequence[Track],
        *,
        host: str,
        port: int,
        speed_up: float = math.inf,
        username: str | None = None,
        password: str | None = None,
    ) -> None:
        self.speed_up = speed_up
        self.sent_ns: dict[tuple[int, int], int] = {}
        self.now_ns = 0
        self._tracks = tuple(tracks)
        self._devices = {
            name: Device(name, host, port) for name in dict.fromkeys(one.device for one in tracks)
        }
        self._account = (username, password)
        self._stopped = threading.Event()
        self._behind_s = 0.0
        self._where = f"{host}:{port}"

    @property
    def sent(self) -> int:
        """How many readings were sent so far."""
        return sum(device.sent for device in self._devices.values())

    @property
    def acknowledged(self) -> int:
        """How many of them the broker has acknowledged."""
        return sum(device.acknowledged for device in self._devices.values())

    @property
    def total(self) -> int:
        """How many readings there are to send."""
        return sum(int(np.isfinite(track.value).sum()) for track in self._tracks)

    def stop(self) -> None:
        """End a replay that is running; what was sent is still waited for."""
        self._stopped.set()

    async def play(self, *, patience_s: float = 60.0) -> Replayed:
        """Do what :meth:`run` does, beside the running loop."""
        return await asyncio.to_thread(self.run, patience_s=patience_s)

    def run(self, *, patience_s: float = 60.0) -> Replayed:
        """Send everything, and return once all of it is acknowledged or ``patience_s`` have passed since."""
        began = time.monotonic()
        for device in self._devices.values():
            device.start(*self._account)
        try:
            self._require_broker(patience_s)
            self._send_all()
            until = time.monotonic() + patience_s
            for device in self._devices.values():
                device.wait_below(1, max(0.0, until - time.monotonic()))
        finally:
            for device in self._devices.values():
                device.stop()
        return Replayed(
            sent=self.sent,
            acknowledged=self.acknowledged,
            devices=len(self._devices),
            reconnects=sum(max(0, device.connects - 1) for device in self._devices.values()),
            wall_s=round(time.monotonic() - began, 3),
            behind_s=round(self._behind_s, 3),
        )

    def _require_broker(self, patience_s: float) -> None:
        for device in self._devices.values():
            if not device.wait_connected(patience_s):
                raise EnvironmentMissing(
                    f"device {device.name} cannot connect to the broker at {self._where}",
                    hint="start it with nervure up, or correct nats.mqtt_port",
                )

    def _send_all(self) -> None:
        track, time_ns, value = self._merged()
        topics = [reading_topic(one.datastream) for one in self._tracks]
        devices = [self._devices[one.device] for one in self._tracks]
        began = time.monotonic()
        first = int(time_ns[0]) if len(time_ns) else 0
        for number, when, what in zip(track.tolist(), time_ns.tolist(), value.tolist(), strict=True):
            due = began + (when - first) / 1e9 / self.speed_up
            device = devices[number]
            if not self._wait(due, device):
                return
            self.now_ns = when
            self._behind_s = max(
                self._behind_s, time.monotonic() - due if math.isfinite(self.speed_up) else 0.0
            )
            payload = f'{{"result":{what!r},"phenomenonTime":"{iso(when)}"}}'.encode()
            self.sent_ns[self._tracks[number].datastream, when] = time.time_ns()
            device.send(topics[number], payload)

    def _wait(self, due: float, device: Device) -> bool:
        """Wait for the time of a reading and for room in its device's window; ``False`` if stopped."""
        while (left := due - time.monotonic()) > 0:
            if self._stopped.wait(left):
                return False
        while not device.wait_below(WINDOW, _TICK_S):
            if self._stopped.is_set():
                return False
        return not self._stopped.is_set()

    def _merged(self) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
        """Return all readings by time, then by track: track number, time, value, all ``[row]``."""
        if not self._tracks:
            return np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0)
        track = np.concatenate([np.full(len(one.time), place) for place, one in enumerate(self._tracks)])
        time_ns = np.concatenate([one.time for one in self._tracks]).astype(np.int64)
        value = np.concatenate([one.value for one in self._tracks]).astype(np.float64)
        read = np.isfinite(value)
        track, time_ns, value = track[read], time_ns[read], value[read]
        order = np.lexsort((track, time_ns))
        return track[order], time_ns[order], value[order]
