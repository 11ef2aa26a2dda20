"""Every twin in the field of a real node: made known, heard, commanded past interlocks and guard, answered.

Roads are in a process of their own (`tests/service/test_roads.py`), as SUMO bears no pyarrow beside it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from nervure.cli.field import network, post
from nervure.cli.history import moments
from nervure.cli.steer import _Node
from nervure.core.interlock import Range
from nervure.core.interlock_check import declared
from nervure.twin.api import Twin
from nervure.twin.building import Building
from nervure.twin.energyplus import EnergyPlus, small_office
from nervure.twin.enrol import Place, enrol
from nervure.twin.flood import Flood
from nervure.twin.keep import KINDS, keeps
from nervure.twin.machine import Machine
from nervure.twin.pipes import Pipes
from nervure.twin.run import Broker, Field, Pace
from nervure.twin.structure import Structure
from tests.opened import Opened, opened
from tests.patience import until
from tests.support import free_ports

pytestmark = pytest.mark.service
_STEP_S = 0.05  # of ours, for a step of any twin


def _pipes(folder: Path) -> Twin:
    return Pipes(network("hanoi", folder), pressure=("12", "31"), flow=("1",))


TWINS: dict[str, tuple[Callable[[Path], Twin], str, dict[str, float]]] = {
    "building": (lambda _: Building(), "living", {"heat_setpoint": 21.5, "cool_setpoint": 24.0}),
    "energyplus": (
        lambda _: EnergyPlus(small_office(), ("Core_ZN",)), "Core_ZN",
        {"heat_setpoint": 21.0, "cool_setpoint": 26.0},
    ),
    "flood": (lambda _: Flood(), "basin", {"gate": 1.0}),
    "machine": (lambda _: Machine(), "drive", {"speed": 0.5}),
    "pipes": (_pipes, "", {"valve": 0.0}),
    "structure": (lambda _: Structure(3), "damper", {"damping": 0.1}),
}  # fmt: skip


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Opened]:
    port, mqtt_port = free_ports(2)
    ports = ("--set", f"nats.port={port}", "--set", f"nats.mqtt_port={mqtt_port}")
    with opened(tmp_path_factory.mktemp("field"), *ports) as node:
        yield node


@pytest.fixture(scope="module")
def api(node: Opened) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=node.http, timeout=30.0) as api:
        yield api


@pytest.mark.parametrize("name", sorted(TWINS))
def test_a_twin_is_heard_and_obeys_behind_its_guard(
    name: str, node: Opened, api: httpx.Client, tmp_path: Path
) -> None:
    pytest.importorskip({"pipes": "epanet", "energyplus": "pyenergyplus"}.get(name, "numpy"))
    make, thing, values = TWINS[name]
    twin = make(tmp_path)
    twin.reset(seed=3)
    about = twin.describe()
    speed = about.step_s / _STEP_S
    kept = keeps(about, speed=speed)
    places = enrol(api, about, f"{name}/", kept=kept, sign_in=False)
    place = next(one for one in places if one.fields and one.name.endswith(thing))
    pace = Pace(start_ns=time.time_ns() - 30 * 86_400 * 10**9, speed=speed)
    field = Field(twin, places, Broker("127.0.0.1", node.mqtt_port), pace, post)
    running = threading.Thread(target=field.run)
    running.start()
    try:
        _command(api, place, values)
        forced = {name: field._forced.get(actuator) for name, actuator in place.fields.items()}
        assert {name: forced[name] for name in values} == values
    finally:
        field.stop()
        running.join(60)
        field.close()
        twin.close()
    assert field.counts.tasks == 1
    assert field.counts.readings > 0
    assert set(field.counts.kpis) == set(about.kpis)
    _stored(api, places, field.counts.readings)
    again = enrol(api, about, f"{name}/", kept=kept, sign_in=False)
    assert [(one.thing, one.capability) for one in again] == [(one.thing, one.capability) for one in places]


def test_what_an_engineer_adds_to_a_twin_stays_when_it_is_started_again(api: httpx.Client) -> None:
    """Else nobody could ask for two people's yes, or for a what-if, where a twin is commanded."""
    about = Flood().describe()
    kept = keeps(about)
    assert {rule["kind"] for act in kept.values() for rule in act["interlocks"]} <= KINDS
    (first,) = (one for one in enrol(api, about, "own/", kept=kept, sign_in=False) if one.fields)
    path = f"/v1.1/TaskingCapabilities({first.capability})"
    properties = api.get(path).json()["properties"]
    declared_there = properties["act"]["interlocks"]
    mine = [
        {"kind": "approve", "k": 2, "of": ["maria", "otto"]},
        {"kind": "range", "name": "half open at most", "of": "gate", "high": 0.5},
    ]
    properties["act"] |= {
        "interlocks": [declared_there[0] | {"high": 9.0}, *mine],
        "rests": ["flood-forecast-level"],
    }
    assert api.patch(path, json={"properties": properties}).status_code == 200
    for _ in range(2):
        (again,) = (one for one in enrol(api, about, "own/", kept=kept, sign_in=False) if one.fields)
        act = api.get(path).json()["properties"]["act"]
        assert act["interlocks"] == [*declared_there, *mine]
        assert act["rests"] == ["flood-forecast-level"]
        assert again.properties["act"] == act


def test_of_what_is_stored_a_controller_reads_the_hours_that_it_lives_through(node: Opened) -> None:
    """It read all that was ever stored, and broke on a reading that is no number."""
    read = list[int]()
    with httpx.Client(base_url=node.http, timeout=30.0) as api:
        (place, *_) = enrol(api, Flood().describe(), "old/", kept=keeps(Flood().describe()), sign_in=False)
        (name, stream), *_ = place.datastreams.items()
        path = f"/v1.1/Datastreams({stream})/Observations"
        rows = [
            [f"2026-01-{day:02}T{hour:02}:00:00Z", float(day)] for day in range(1, 20) for hour in range(24)
        ]
        body = [
            {"Datastream": {"@iot.id": stream}, "components": ["phenomenonTime", "result"], "dataArray": rows}
        ]
        assert api.post("/v1.1/CreateObservations", json=body).status_code == 201
        until(lambda: len(api.get(f"{path}?$top=1000").json()["value"]), equals=len(rows))
        api.event_hooks = {"response": [lambda answer: read.append(len(answer.read()))]}
        found = moments(_Node(api), {stream: name}, 3.0, lambda *_: None)
    assert [list(one.values()) for one in found.values()] == [[19.0]] * 3
    assert list(found) == sorted(found)
    assert sum(read) < 2_000


def _command(api: httpx.Client, place: Place, values: dict[str, float]) -> None:
    """Let the loop act, ask as a model does, and see the guard put it into force."""
    loop = place.capability
    first = until(lambda: api.get(f"/api/loops/{loop}").json()["heard"])
    # so that time has passed there
    until(lambda: api.get(f"/api/loops/{loop}").json()["heard"], lambda seen: seen != first)
    assert api.get(f"/api/loops/{loop}").json()["guard"] == "here"
    forced = {"mode": "auto", "because": "a test"}
    assert api.post(f"/api/loops/{loop}/mode", json=forced).status_code == 200
    body = {"taskingParameters": values, "properties": {"act": {"model": "test"}}}
    answer = api.post(f"/v1.1/TaskingCapabilities({loop})/Tasks", json=body)
    assert answer.status_code == 201, answer.text
    found = until(lambda: api.get(answer.headers["location"]).json(), _ended)
    assert found["status"] == "running", found["runLog"]
    assert [one["status"] for one in found["runLog"]] == [
        "requested", "checked", "dispatched", "acknowledged", "running",
    ]  # fmt: skip


def _ended(task: dict[str, Any]) -> bool:
    return task["status"] not in ("requested", "checked", "dispatched", "acknowledged")


def _stored(api: httpx.Client, places: tuple[Place, ...], sent: int) -> None:
    """See every reading that was sent, once."""
    streams = [key for place in places for key in place.datastreams.values()]

    def count() -> int:
        paths = (f"/v1.1/Datastreams({one})/Observations?$count=true&$top=0" for one in streams)
        return sum(int(api.get(path).json()["@iot.count"]) for path in paths)

    assert until(count, lambda seen: seen >= sent) == sent


@pytest.mark.parametrize("speed", [1.0, 100.0])
def test_what_a_twin_declares_can_be_kept(speed: float, tmp_path: Path) -> None:
    for make in (_pipes, *(TWINS[name][0] for name in ("building", "flood", "machine", "structure"))):
        twin = make(tmp_path)
        about = twin.describe()
        for thing, act in keeps(about, speed=speed).items():
            fields = [
                {"name": one.signal, "type": "Quantity"} for one in about.actuators if one.thing == thing
            ]
            read = declared({"act": act}, {"type": "DataRecord", "field": fields})
            assert read is not None
            assert read.simulated
            assert {one.of for one in read.of(Range)} == set(read.fields)
        twin.close()
