"""A device on real MQTT with the real guard, as it stands beside an actuator: for benches and tests."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from typing import Any, Self

import httpx
import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from nervure.act.device import installed
from nervure.act.guard import steady_ns
from nervure.core.error import DataError
from nervure.core.interlock import Declared, Value
from nervure.core.interlock_check import declared
from nervure.core.papers import Papers, papers

__all__ = ["Station", "made", "read"]

_STEP_S = 0.05


def made(api: httpx.Client, name: str, act: Mapping[str, Any], fields: Mapping[str, str]) -> Papers:
    """Make a Thing with an actuator and its capability over the public API; returns its guard's papers."""
    actuator = {
        "name": "drive",
        "description": "A drive",
        "encodingType": "text/html",
        "metadata": "about:blank",
    }
    capability = {
        "name": name, "description": "What may be asked", "taskingParameters": _record(fields),
        "properties": {"act": act}, "Actuator": actuator,
    }  # fmt: skip
    body = {"name": name, "description": "A station", "TaskingCapabilities": [capability]}
    answer = api.post("/v1.1/Things", json=body)
    if answer.status_code != 201:
        raise DataError(f"the station cannot be made: {answer.text}")
    thing = int(answer.json()["@iot.id"])
    found = api.get(f"/v1.1/Things({thing})/TaskingCapabilities").json()["value"]
    given = api.post(f"/api/loops/{found[0]['@iot.id']}/guard", json={})
    if given.is_error:
        raise DataError(f"the station gets no papers: {given.text}")
    return papers(given.content)


def read(act: Mapping[str, Any], fields: Mapping[str, str]) -> Declared:
    """Read a declaration as a device does that was given it as JSON."""
    found = declared({"act": act}, _record(fields))
    if found is None:
        raise DataError("nothing is declared")
    return found


def _record(fields: Mapping[str, str]) -> dict[str, Any]:
    parts = [
        {"name": name, "label": name, "type": kind} | ({"uom": {"code": "1"}} if kind == "Quantity" else {})
        for name, kind in fields.items()
    ]
    return {"type": "DataRecord", "field": parts}


class Station:
    """Steps a guard in a thread of its own, whatever becomes of the network.

    ``trace`` is what was in force, each change with its time (ns of the guard's clock) and whose word it
    was; ``skew_ns`` is how wrong the device's clock is.
    """

    def __init__(
        self,
        port: int,
        given: Papers,
        start: Mapping[str, Value],
        *,
        skew_ns: int = 0,
    ) -> None:
        self._skew_ns = skew_ns
        self.device = installed(given, start, clock=self.now_ns)
        self.guard = self.device.guard
        self.client = mqtt.Client(CallbackAPIVersion.VERSION2)
        self.client.reconnect_delay_set(1, 1)
        self.values: dict[str, Value] = dict(start)
        self.trace: list[tuple[int, dict[str, Value], str]] = [(self.now_ns(), dict(start), "plan")]
        self.holders: list[tuple[float, str]] = [(time.monotonic(), "plan")]
        self._came, self._over = threading.Event(), threading.Event()
        self.device.connect(self.client, self._came.set)
        self.client.connect_async("127.0.0.1", port)
        self.client.loop_start()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def now_ns(self) -> int:
        """Return the time by the device's own clock."""
        return steady_ns() + self._skew_ns

    def _run(self) -> None:
        while not self._over.is_set():
            values, holder = self.device.step(), self.guard.holder
            if values != self.values:
                self.trace.append((self.guard.known.now_ns, values, holder))
            if holder != self.holders[-1][1]:
                self.holders.append((time.monotonic(), holder))
            self.values = values
            self._came.wait(_STEP_S)
            self._came.clear()

    def close(self) -> None:
        """Stop."""
        self._over.set()
        self._thread.join(5)
        self.client.disconnect()
        self.client.loop_stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
