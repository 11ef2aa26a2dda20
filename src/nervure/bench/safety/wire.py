"""From a sensor's reading to the actuator, by MQTT both ways, on a real node with real nats-server.

    sensor ─MQTT─▶ node: log, store ─MQTT─▶ controller: decides ─MQTT─▶ node: Task, judge, log
                                                                            └─MQTT─▶ guard: judge, in force

The clock starts when the sensor publishes and stops when the guard has put the command into force.
"""

from __future__ import annotations

import asyncio
import json
import threading
import time
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from nervure.bench.process import NodeProcess, free_settings
from nervure.bench.safety.station import Station, made
from nervure.core.error import DataError
from nervure.core.instant import to_ns

__all__ = ["WAYS", "Taken", "delays_ms"]

_FIELDS = {"speed": "Quantity"}
_ACT: dict[str, Any] = {
    "lease": "30s", "age": "5s", "every": "100ms",
    "interlocks": [
        {"kind": "range", "of": "speed", "low": 0, "high": 10_000},
        {"kind": "rate", "of": "speed", "most": 5_000, "per": "1s"},
        {"kind": "hourly", "most": 10_000, "per": "1h"},
        {"kind": "authority", "models": ["straight"]},
        {"kind": "scope", "fields": ["speed"]},
    ],
    "plan": [{"hold": "1h", "values": {"speed": 0.0}}],
}  # fmt: skip


WAYS = ("sensor to controller", "controller to Task", "Task to judged", "judged to in force", "to be noted")
"""Where the time goes; after the last, which is not on the way, the node has written that the guard obeys."""


class Taken(NamedTuple):
    """Milliseconds of every command, one that never came counts as infinite; and of the parts of its way."""

    whole: list[float]
    ways: dict[str, list[float]]


async def delays_ms(folder: Path, commands: int, rate_s: float, tell: Any = None) -> Taken:
    """Return how long commands took, and where."""
    node = NodeProcess(free_settings(folder))
    await node.start()
    try:
        return await asyncio.to_thread(_measured, node, commands, rate_s, tell)
    finally:
        await node.stop()


def _measured(node: NodeProcess, commands: int, rate_s: float, tell: Any) -> Taken:
    port = node.settings.nats.mqtt_port
    with httpx.Client(base_url=node.url, timeout=10.0) as api:
        given = made(api, "drive", _ACT, _FIELDS)
        stream, loop = _stream(api, given.thing), given.capability
        forced = {"mode": "auto", "because": "the protocol of the bench"}
        api.post(f"/api/loops/{loop}/mode", json=forced).raise_for_status()
        with Station(port, given, {"speed": 0.0}) as station:
            _here(api, loop)
            controller, sensor = _client(port), _client(port)
            heard = _listen(controller, stream, loop)
            sent = _send(sensor, stream, commands, rate_s, tell)
            end = time.monotonic() + 5.0
            while time.monotonic() < end and station.values["speed"] != float(commands):
                time.sleep(0.02)
            for client in (controller, sensor):
                client.disconnect()
                client.loop_stop()
            came = {round(float(one.value)): one.since_ns for one in station.guard.known.held["speed"]}
        tasks = _logs(api)
    states = ("requested", "checked", "acknowledged")
    marks = []
    for one, when in sent.items():
        log = tasks.get(one, {})
        if one in came and one in heard and all(state in log for state in states):
            asked, judged, noted = (log[state] for state in states)
            marks.append((when, heard[one], asked, judged, came[one], noted))
    return Taken(
        whole=[(came[one] - when) / 1e6 if one in came else float("inf") for one, when in sent.items()],
        ways={name: [(each[at + 1] - each[at]) / 1e6 for each in marks] for at, name in enumerate(WAYS)},
    )


def _logs(api: httpx.Client) -> dict[int, dict[str, int]]:
    """Return when each Task came to its states, by the value that it asks for."""
    page: str | None = "/v1.1/Tasks?$select=taskingParameters,runLog&$top=1000"
    found: dict[int, dict[str, int]] = {}
    while page:
        answer = api.get(page).raise_for_status().json()
        for one in answer["value"]:
            log = {line["status"]: to_ns(datetime.fromisoformat(line["time"])) for line in one["runLog"]}
            found[round(one["taskingParameters"]["speed"])] = log
        link = answer.get("@iot.nextLink")
        page = link[link.index("/v1.1/") :] if link else None
    return found


def _stream(api: httpx.Client, thing: int) -> int:
    body = {
        "name": "demand", "description": "What is needed",
        "observationType": "http://www.opengis.net/def/observationType/OGC-OM/2.0/OM_Measurement",
        "unitOfMeasurement": {"name": "one", "symbol": "1", "definition": "1"},
        "Sensor": {"name": "s", "description": "d", "encodingType": "text/html", "metadata": "about:blank"},
        "ObservedProperty": {"name": "demand", "description": "d", "definition": "http://example.org/demand"},
    }  # fmt: skip
    answer = api.post(f"/v1.1/Things({thing})/Datastreams", json=body)
    answer.raise_for_status()
    return int(answer.json()["@iot.id"])


def _here(api: httpx.Client, loop: int) -> None:
    for _ in range(200):
        if api.get(f"/api/loops/{loop}").json()["guard"] == "here":
            return
        time.sleep(0.1)
    raise DataError("the guard was not heard")


def _client(port: int) -> mqtt.Client:
    ready = threading.Event()
    client = mqtt.Client(CallbackAPIVersion.VERSION2)
    client.on_connect = lambda *_: ready.set()
    client.connect("127.0.0.1", port)
    client.loop_start()
    if not ready.wait(10):
        raise DataError("the node's MQTT door does not answer")
    return client


def _listen(client: mqtt.Client, stream: int, loop: int) -> dict[int, int]:
    """Let a controller follow the readings, and ask for what each says; returns when it heard which."""
    from nervure.act.guard import steady_ns

    ready, heard = threading.Event(), dict[int, int]()

    def decide(_client: Any, _data: Any, message: mqtt.MQTTMessage) -> None:
        value = float(json.loads(message.payload)["result"])
        heard[round(value)] = steady_ns()
        task = {
            "taskingParameters": {"speed": value},
            "properties": {"act": {"model": "straight", "lease_s": 20}},
        }
        client.publish(f"v1.1/TaskingCapabilities({loop})/Tasks", json.dumps(task), 1)

    client.on_message = decide
    client.on_subscribe = lambda *_: ready.set()
    client.subscribe(f"v1.1/Datastreams({stream})/Observations", 1)
    if not ready.wait(10):
        raise DataError("nobody may follow the readings")
    return heard


def _send(client: mqtt.Client, stream: int, commands: int, rate_s: float, tell: Any) -> dict[int, int]:
    from nervure.act.guard import steady_ns

    sent: dict[int, int] = {}
    begun = time.monotonic()
    for number in range(1, commands + 1):
        wait = begun + number / rate_s - time.monotonic()
        if wait > 0:
            time.sleep(wait)
        sent[number] = steady_ns()
        client.publish(f"v1.1/Datastreams({stream})/Observations", json.dumps({"result": number}), 1)
        if tell is not None and number % 50 == 0:
            tell(number / commands, f"command {number} of {commands}")
    return sent
