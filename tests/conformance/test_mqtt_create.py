"""Observations and Tasks created by MQTT (18-088 section 16, 17-079 section 11)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conformance.client import Client, link
from tests.conformance.ear import publish, until
from tests.conformance.requirement import requirement
from tests.conformance.sample import (
    Station,
    capability,
    datastream,
    feature,
    grid,
    location,
    multi_datastream,
    station,
    thing,
    unique,
)

CREATE = requirement("create-observations-via-mqtt/observations-creation")
TASKS = requirement("tasking:create-tasks-via-mqtt/task-creation")
WHOLE = {
    "phenomenonTime": "2015-03-01T02:40:00+02:00",
    "validTime": "2016-01-01T01:01:01.000Z/2016-01-01T23:59:59.000Z",
    "result": 4711,
    "parameters": {"a": "b"},
}


@pytest.fixture(scope="module")
def home(client: Client) -> Station:
    """A station of these tests alone: they add to it."""
    return station(client)


def _key(path: str) -> int:
    return int(path.partition("(")[2][:-1])


@CREATE
def test_in_the_set_of_observations(client: Client) -> None:
    path = grid(client, [])
    seen = client.create("FeaturesOfInterest", feature())
    both = {"Datastream": link(_key(path)), "FeatureOfInterest": link(seen)}
    publish(client, "v1.1/Observations", WHOLE | both)
    (found,) = until(client, f"{path}/Observations", 1, expand="FeatureOfInterest($select=id)")
    assert found["result"] == 4711
    assert found["phenomenonTime"].startswith("2015-03-01T00:40:00")
    assert found["validTime"].startswith("2016-01-01T01:01:01")
    assert found["parameters"] == {"a": "b"}
    assert found["FeatureOfInterest"]["@iot.id"] == seen


@CREATE
def test_below_a_datastream(client: Client) -> None:
    path = grid(client, [])
    for result in (1, 2, 3):
        publish(client, f"v1.1/{path}/Observations", {"result": result})
    found = until(client, f"{path}/Observations", 3, orderby="result")
    assert [one["result"] for one in found] == [1, 2, 3]


@CREATE
def test_below_a_feature_of_interest(client: Client) -> None:
    path = grid(client, [])
    seen = client.create("FeaturesOfInterest", feature())
    publish(
        client, f"v1.1/FeaturesOfInterest({seen})/Observations", {"result": 1, "Datastream": link(_key(path))}
    )
    (found,) = until(client, f"FeaturesOfInterest({seen})/Observations", 1)
    assert found["result"] == 1
    assert client.results(f"{path}/Observations") == [1]


@CREATE
def test_below_a_multi_datastream(client: Client) -> None:
    key = client.create("MultiDatastreams", multi_datastream(Thing=thing(Locations=[location()])))
    publish(client, f"v1.1/MultiDatastreams({key})/Observations", {"result": [1, 2]})
    (found,) = until(client, f"MultiDatastreams({key})/Observations", 1)
    assert found["result"] == [1, 2]


@CREATE
@pytest.mark.xfail(reason="a topic of more than three levels is not taken; name the Datastream itself")
def test_below_a_path(client: Client) -> None:
    path = grid(client, [])
    top = client.get(f"{path}/Thing")["@iot.id"]
    publish(client, f"v1.1/Things({top})/{path}/Observations", {"result": 8})
    publish(client, f"v1.1/{path}/Observations", {"result": 9})
    until(client, f"{path}/Observations", 1, filter="result eq 9")  # what came before was seen by then
    assert sorted(client.results(f"{path}/Observations")) == [8, 9]


@CREATE
def test_with_everything_in_it(client: Client) -> None:
    mark = unique("deep")
    stream = datastream(name=mark, Thing=thing(name=mark))
    publish(
        client, "v1.1/Observations", WHOLE | {"Datastream": stream, "FeatureOfInterest": feature(name=mark)}
    )
    (found,) = until(
        client, "Observations", 1, filter=f"Datastream/name eq '{mark}'", expand="FeatureOfInterest"
    )
    assert found["FeatureOfInterest"]["name"] == mark
    assert client.names("Things", filter=f"name eq '{mark}'") == [mark]


@CREATE
@pytest.mark.parametrize("result", [1.5, "text", True, {"a": 1}, [1, 2]], ids=str)
def test_results_of_every_type(client: Client, result: Any) -> None:
    path = grid(client, [])
    publish(client, f"v1.1/{path}/Observations", {"result": result})
    (found,) = until(client, f"{path}/Observations", 1)
    assert found["result"] == result


@CREATE
def test_a_key_of_letters(client: Client) -> None:
    mark = unique("stream").replace(" ", "-")
    body = datastream(Thing=thing(Locations=[location()]))
    client.create("Datastreams", body | {"@iot.id": mark})
    publish(client, f"v1.1/Datastreams('{mark}')/Observations", {"result": 3})
    (found,) = until(client, f"Datastreams('{mark}')/Observations", 1)
    assert found["result"] == 3


@CREATE
@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b'{"phenomenonTime": "never", "result": 1}', b'{"nothing": 1}', b"\xff\xfe"]
)
def test_what_is_malformed_is_dropped(client: Client, body: bytes) -> None:
    """The node goes on, and takes what comes after it."""
    path = grid(client, [])
    publish(client, f"v1.1/{path}/Observations", body)
    publish(client, f"v1.1/{path}/Observations", {"result": 1})
    (found,) = until(client, f"{path}/Observations", 1)
    assert found["result"] == 1


@CREATE
@pytest.mark.parametrize(
    "topic", ["v1.1/Datastreams(987654321)/Observations", "v1.1/Nothings", "v1.1/Things"]
)
def test_what_leads_nowhere_is_dropped(client: Client, topic: str) -> None:
    mark = unique("nowhere")
    publish(client, topic, {"result": 1, "name": mark, "description": mark})
    path = grid(client, [])
    publish(client, f"v1.1/{path}/Observations", {"result": 1})
    until(client, f"{path}/Observations", 1)
    assert client.values("Things", filter=f"name eq '{mark}'") == []


@TASKS
@pytest.mark.parametrize("topic", ["v1.1/Tasks", "v1.1/TaskingCapabilities({key})/Tasks"])
def test_a_task(client: Client, home: Station, topic: str) -> None:
    key = client.create("TaskingCapabilities", capability(Thing=link(home.ids["Thing"])))
    body: dict[str, Any] = {"taskingParameters": {"status": "off"}}
    if "(" not in topic:
        body["TaskingCapability"] = link(key)
    publish(client, topic.format(key=key), body)
    (found,) = until(client, f"TaskingCapabilities({key})/Tasks", 1)
    assert found["taskingParameters"] == {"status": "off"}
    assert found["creationTime"]


@TASKS
def test_a_task_that_is_not_allowed_is_dropped(client: Client, home: Station) -> None:
    key = client.create("TaskingCapabilities", capability(Thing=link(home.ids["Thing"])))
    for status in ("dim", "on"):
        publish(client, f"v1.1/TaskingCapabilities({key})/Tasks", {"taskingParameters": {"status": status}})
    (found,) = until(client, f"TaskingCapabilities({key})/Tasks", 1)
    assert found["taskingParameters"] == {"status": "on"}
