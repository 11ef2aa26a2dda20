"""What tests of acting share: a pump and a crossing with interlocks, and a device with the real guard on MQTT."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from nervure.act.device import Device
from nervure.act.guard import Guard
from nervure.core.interlock import Declared, Value
from nervure.core.interlock_check import declared

S = 1_000_000_000

SPEED: dict[str, Any] = {
    "type": "DataRecord",
    "field": [{"name": "speed", "label": "speed", "type": "Quantity", "uom": {"code": "%"}}],
}
PUMP: dict[str, Any] = {
    "lease": "3s",
    "age": "5s",
    "every": "100ms",
    "interlocks": [
        {"kind": "range", "of": "speed", "low": 0, "high": 100},
        {"kind": "rate", "of": "speed", "most": 60, "per": "1s"},
    ],
    "plan": [{"hold": "1h", "values": {"speed": 20.0}}],
}


def pump(**more: Any) -> Declared:
    found = declared({"act": PUMP | more}, SPEED)
    assert found is not None
    return found


PHASE: dict[str, Any] = {
    "type": "DataRecord",
    "field": [{"name": "phase", "label": "phase", "type": "Category"}],
}
CROSSING: dict[str, Any] = {
    "lease": "20s",
    "interlocks": [
        {
            "kind": "sequence",
            "of": "phase",
            "after": {"ns": ["yellow"], "yellow": ["ns", "ew"], "ew": ["yellow"]},
            "least": {"ns": "5s", "ew": "5s", "yellow": "3s"},
        },
        {"kind": "starve", "of": "phase", "states": ["ns", "ew"], "most": "60s"},
    ],
    "plan": [{"hold": "20s", "values": {"phase": "ns"}}, {"hold": "20s", "values": {"phase": "ew"}}],
}


def crossing(**more: Any) -> Declared:
    found = declared({"act": CROSSING | more}, PHASE)
    assert found is not None
    return found


def provision(api: httpx.Client, act: dict[str, Any], parameters: dict[str, Any]) -> tuple[int, int]:
    """Make a Thing with an actuator and its capability over the public API; returns their ids."""
    capability = {
        "name": "pump",
        "description": "d",
        "taskingParameters": parameters,
        "properties": {"act": act},
        "Actuator": {
            "name": "motor",
            "description": "d",
            "encodingType": "text/html",
            "metadata": "about:blank",
        },
    }
    body = {"name": "Station", "description": "d", "TaskingCapabilities": [capability]}
    answer = api.post("/v1.1/Things", json=body)
    assert answer.status_code == 201, answer.text
    thing = int(answer.json()["@iot.id"])
    found = api.get(f"/v1.1/Things({thing})/TaskingCapabilities").json()["value"]
    return thing, int(found[0]["@iot.id"])


class Station:
    """A device with the real guard on real MQTT, stepped in a thread; keeps what was in force."""

    def __init__(self, port: int, rules: Declared, thing: int, capability: int, start: dict[str, Value]) -> None:
        from nervure.act.guard import steady_ns

        self.guard = Guard(rules, start, steady_ns())
        self.device = Device(self.guard, thing=thing, capability=capability)
        self.client = mqtt.Client(CallbackAPIVersion.VERSION2)
        self.client.reconnect_delay_set(1, 1)
        self.came = threading.Event()
        self.over = threading.Event()
        self.values: dict[str, Value] = dict(start)
        self.changed: Callable[[dict[str, Value]], None] | None = None
        self.device.connect(self.client, self.came.set)
        self.client.connect_async("127.0.0.1", port)
        self.client.loop_start()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self) -> None:
        while not self.over.is_set():
            values = self.device.step()
            if values != self.values and self.changed is not None:
                self.changed(values)
            self.values = values
            self.came.wait(0.05)
            self.came.clear()

    def close(self) -> None:
        self.over.set()
        self.thread.join(5)
        self.client.disconnect()
        self.client.loop_stop()


@contextlib.contextmanager
def station(
    port: int, rules: Declared, thing: int, capability: int, start: dict[str, Value]
) -> Iterator[Station]:
    found = Station(port, rules, thing, capability, start)
    try:
        yield found
    finally:
        found.close()
