"""Creating Tasks, and their parameters (17-079 sections 8 and 10)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conformance.client import Client, Id, Json, link
from tests.conformance.requirement import requirement
from tests.conformance.sample import Station, actuator, capability, station, thing

TASK = requirement("tasking:create-tasks/task-creation")


def _record(*fields: Json) -> Json:
    return {"type": "DataRecord", "field": list(fields)}


DIMMER = _record(
    {
        "name": "level",
        "type": "Quantity",
        "uom": {"code": "%"},
        "constraint": {"type": "AllowedValues", "interval": [[0, 100]]},
    },
    {"name": "steps", "type": "Count", "constraint": {"type": "AllowedValues", "value": [1, 5, 10]}},
    {"name": "colour", "type": "Category", "constraint": {"type": "AllowedTokens", "value": ["red", "blue"]}},
    {"name": "slowly", "type": "Boolean"},
    {"name": "note", "type": "Text"},
)
GOOD = {"level": 50, "steps": 5, "colour": "red", "slowly": True, "note": "x"}


@pytest.fixture(scope="module")
def home(client: Client) -> Station:
    """A station of these tests alone: they add to it."""
    return station(client)


@pytest.fixture(scope="module")
def dimmer(client: Client) -> Id:
    key: Id = client.create("TaskingCapabilities", capability(taskingParameters=DIMMER, Thing=thing()))
    return key


@TASK
@pytest.mark.parametrize(
    "change",
    [{}, {"level": 0}, {"level": 100}, {"level": 12.5}, {"steps": 10}, {"colour": "blue"}, {"slowly": False}],
    ids=str,
)
def test_a_task_within_its_limits(client: Client, dimmer: Id, change: Json) -> None:
    given = GOOD | change
    key = client.create(f"TaskingCapabilities({dimmer})/Tasks", {"taskingParameters": given})
    assert client.get(f"Tasks({key})")["taskingParameters"] == given
    assert client.get(f"Tasks({key})/TaskingCapability")["@iot.id"] == dimmer


@TASK
@pytest.mark.parametrize(
    "change",
    [
        {"level": 101},
        {"level": -1},
        {"level": "much"},
        {"level": None},
        {"steps": 2},
        {"steps": 5.5},
        {"colour": "green"},
        {"colour": 5},
        {"slowly": "yes"},
        {"slowly": 1},
        {"note": 5},
        {"nothing": 1},
    ],
    ids=str,
)
def test_a_task_beyond_its_limits_is_400(client: Client, dimmer: Id, change: Json) -> None:
    body = {"taskingParameters": GOOD | change}
    client.refuse("POST", f"TaskingCapabilities({dimmer})/Tasks", body)


@TASK
@pytest.mark.parametrize("missing", ["level", "colour"])
def test_a_parameter_must_be_there(client: Client, dimmer: Id, missing: str) -> None:
    given = {name: value for name, value in GOOD.items() if name != missing}
    client.refuse("POST", f"TaskingCapabilities({dimmer})/Tasks", {"taskingParameters": given})


@TASK
@pytest.mark.parametrize("given", [5, "x", [], None])
def test_parameters_are_an_object(client: Client, dimmer: Id, given: Any) -> None:
    client.refuse("POST", f"TaskingCapabilities({dimmer})/Tasks", {"taskingParameters": given})


@TASK
def test_a_capability_without_parameters(client: Client) -> None:
    key = client.create("TaskingCapabilities", capability(taskingParameters={}, Thing=thing()))
    client.create(f"TaskingCapabilities({key})/Tasks", {"taskingParameters": {}})


@TASK
def test_a_task_with_everything_above_it(client: Client) -> None:
    above = capability(Thing=thing(name="lamp"), Actuator=actuator(name="switch"))
    key = client.create("Tasks", {"taskingParameters": {"status": "on"}, "TaskingCapability": above})
    found = client.get(f"Tasks({key})", expand="TaskingCapability($expand=Thing,Actuator)")
    assert found["TaskingCapability"]["Thing"]["name"] == "lamp"
    assert found["TaskingCapability"]["Actuator"]["name"] == "switch"


@TASK
def test_tasks_are_found(client: Client, home: Station) -> None:
    path = f"{home.path('TaskingCapability')}/Tasks"
    for status in ("on", "off"):
        client.create(path, {"taskingParameters": {"status": status}})
    found = client.values(path, filter="taskingParameters/status eq 'off'", orderby="creationTime desc")
    assert found[0]["taskingParameters"] == {"status": "off"}
    found = client.values(path, filter="creationTime lt now() and year(creationTime) gt 2020", count=True)
    assert len(found) >= 2


@TASK
def test_the_time_of_creation_is_the_services(client: Client, home: Station) -> None:
    body = {"taskingParameters": {"status": "on"}, "creationTime": "1999-01-01T00:00:00Z"}
    key = client.create(f"{home.path('TaskingCapability')}/Tasks", body)
    assert not client.get(f"Tasks({key})")["creationTime"].startswith("1999")


@TASK
@requirement("tasking:task/properties")
def test_a_task_has_a_status(client: Client, home: Station) -> None:
    """Beyond the standard: the status of SensorThings 2.0 (OGC 23-019)."""
    key = client.create(f"{home.path('TaskingCapability')}/Tasks", {"taskingParameters": {"status": "on"}})
    assert client.get(f"Tasks({key})")["status"]


@requirement("tasking:tasking-capability/relations")
def test_a_capability_needs_a_thing_and_an_actuator(client: Client) -> None:
    client.refuse("POST", "TaskingCapabilities", capability(), 400, 409)
    alone = capability(Thing=thing())
    del alone["Actuator"]
    client.refuse("POST", "TaskingCapabilities", alone, 400, 409)
    client.refuse("POST", "TaskingCapabilities", capability(Thing=link(987_654_321)), 400, 404, 409)


@requirement("tasking:actuator/relations")
def test_an_actuator_serves_several_capabilities(client: Client) -> None:
    key = client.create("Actuators", actuator())
    made = {
        client.create("TaskingCapabilities", capability(Thing=thing(), Actuator=link(key))) for _ in range(2)
    }
    assert set(client.ids(f"Actuators({key})/TaskingCapabilities")) == made


@requirement("tasking:tasking-capability/properties")
@pytest.mark.parametrize(
    "change", [{"taskingParameters": None}, {"taskingParameters": "x"}, {"name": None}], ids=str
)
def test_a_malformed_capability_is_400(client: Client, change: Json) -> None:
    client.refuse("POST", "TaskingCapabilities", capability(Thing=thing()) | change)
