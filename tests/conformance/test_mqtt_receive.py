"""Updates received by MQTT (18-088 section 17, 17-079 section 12)."""

from __future__ import annotations

import pytest

from tests.conformance.client import Client, Json, at, link
from tests.conformance.ear import listening, publish
from tests.conformance.model import BY_NAME
from tests.conformance.requirement import requirement
from tests.conformance.sample import Station, datastream, grid, location, point, station, thing
from tests.conformance.test_create import body

RECEIVE = requirement("receive-updates-via-mqtt/receive-updates")
TASKS = requirement("tasking:receive-updates-via-mqtt/receive-updates")
KINDS = (
    "Thing",
    "Location",
    "HistoricalLocation",
    "Datastream",
    "MultiDatastream",
    "Sensor",
    "ObservedProperty",
    "Observation",
    "FeatureOfInterest",
)
CHANGES: dict[str, Json] = {
    "Thing": {"description": "new"},
    "Location": {"location": point(1, 2)},
    "HistoricalLocation": {"time": "2015-07-01T00:00:00Z"},
    "Datastream": {"name": "new"},
    "MultiDatastream": {"name": "new"},
    "Sensor": {"metadata": {"new": 1}},
    "ObservedProperty": {"definition": "http://example.org/new"},
    "Observation": {"result": 1234},
    "FeatureOfInterest": {"feature": point(3, 4)},
    "Actuator": {"name": "new"},
    "TaskingCapability": {"description": "new"},
}


@pytest.fixture(scope="module")
def own(client: Client) -> Station:
    """A station of these tests alone, to be changed."""
    return station(client)


def _plain(entity: Json) -> Json:
    return {name: value for name, value in entity.items() if not name.endswith("@iot.navigationLink")}


@RECEIVE
@pytest.mark.parametrize("kind", KINDS)
def test_what_is_made_is_told_to_its_set(client: Client, own: Station, kind: str) -> None:
    entities = BY_NAME[kind].entities
    with listening(client, f"v1.1/{entities}") as ear:
        key = client.create(entities, body(own, kind))
        topic, told = ear.about(key)
    assert topic == f"v1.1/{entities}"
    assert _plain(told) == _plain(client.get(at(entities, key)))


@RECEIVE
@pytest.mark.parametrize("method", ["PATCH", "PUT"])
@pytest.mark.parametrize("kind", KINDS)
def test_what_is_changed_is_told_to_its_set_and_itself(
    client: Client, own: Station, kind: str, method: str
) -> None:
    entities = BY_NAME[kind].entities
    change = CHANGES[kind]
    if method == "PUT":
        whole = client.get(own.path(kind))
        change = {name: whole[name] for name in BY_NAME[kind].required} | change
    with listening(client, f"v1.1/{entities}", f"v1.1/{own.path(kind)}") as ear:
        client.change(method, own.path(kind), change)
        told = dict(ear.next() for _ in range(2))
    now = _plain(client.get(own.path(kind)))
    assert set(told) == {f"v1.1/{entities}", f"v1.1/{own.path(kind)}"}
    assert [_plain(one) for one in told.values()] == [now, now]


@RECEIVE
@pytest.mark.parametrize("kind", KINDS)
def test_what_is_changed_is_told_to_its_property(client: Client, own: Station, kind: str) -> None:
    for name, value in CHANGES[kind].items():
        with listening(client, f"v1.1/{own.path(kind)}/{name}") as ear:
            client.change("PATCH", own.path(kind), {name: value})
            assert ear.entity() == client.get(f"{own.path(kind)}/{name}")


@RECEIVE
def test_a_property_that_stays_says_nothing(client: Client, own: Station) -> None:
    with listening(client, f"v1.1/{own.path('Thing')}/name") as ear:
        client.change("PATCH", own.path("Thing"), {"description": "another one"})
        ear.silent()


@RECEIVE
@pytest.mark.parametrize("kind", KINDS)
def test_only_what_is_selected(client: Client, own: Station, kind: str) -> None:
    entities = BY_NAME[kind].entities
    name = next(iter(CHANGES[kind]))
    with listening(client, f"v1.1/{entities}?$select={name}") as ear:
        client.change("PATCH", own.path(kind), CHANGES[kind])
        assert ear.entity() == client.get(own.path(kind), select=name)


@RECEIVE
def test_only_what_is_selected_of_observations(client: Client) -> None:
    path = grid(client, [])
    with listening(client, f"v1.1/{path}/Observations?$select=result,phenomenonTime") as ear:
        client.create(f"{path}/Observations", {"result": 5, "phenomenonTime": "2020-01-01T00:00:00Z"})
        told = ear.entity()
    assert set(told) == {"result", "phenomenonTime"}
    assert told["result"] == 5


@RECEIVE
def test_the_observations_of_one_datastream(client: Client) -> None:
    path, other = grid(client, []), grid(client, [])
    with listening(client, f"v1.1/{path}/Observations") as ear:
        client.create(f"{other}/Observations", {"result": 1})
        for result in (2, 3):
            client.create(f"{path}/Observations", {"result": result})
        assert [told["result"] for _, told in ear.some(2)] == [2, 3]


@RECEIVE
@pytest.mark.parametrize(
    ("kind", "relation", "target"),
    [
        ("Thing", "Datastreams", "Datastream"),
        ("Thing", "Locations", "Location"),
        ("Thing", "HistoricalLocations", "HistoricalLocation"),
        ("Thing", "MultiDatastreams", "MultiDatastream"),
        ("Location", "Things", "Thing"),
        ("Sensor", "Datastreams", "Datastream"),
        ("ObservedProperty", "Datastreams", "Datastream"),
        ("Datastream", "Observations", "Observation"),
        ("FeatureOfInterest", "Observations", "Observation"),
        ("Datastream", "Thing", "Thing"),
        ("Datastream", "Sensor", "Sensor"),
        ("Datastream", "ObservedProperty", "ObservedProperty"),
        ("Observation", "Datastream", "Datastream"),
        ("Observation", "FeatureOfInterest", "FeatureOfInterest"),
        ("HistoricalLocation", "Thing", "Thing"),
        ("Observation", "Datastream/Thing", "Thing"),
        ("Observation", "Datastream/Thing/Locations", "Location"),
        ("Datastream", "Thing/HistoricalLocations", "HistoricalLocation"),
        ("Observation", "Datastream/Sensor/Datastreams", "Datastream"),
    ],
)
def test_a_change_is_told_by_way_of_a_relation(
    client: Client, own: Station, kind: str, relation: str, target: str
) -> None:
    topic = f"v1.1/{own.path(kind)}/{relation}"
    with listening(client, topic) as ear:
        client.change("PATCH", own.path(target), CHANGES[target])
        heard, told = ear.next()
    assert heard == topic
    assert told["@iot.id"] == own.ids[target]


@RECEIVE
def test_every_entity_of_a_deep_insert(client: Client) -> None:
    sets = ("Things", "Locations", "HistoricalLocations", "Datastreams", "Sensors", "ObservedProperties")
    given = thing(name="deep", Locations=[location()], Datastreams=[datastream(Observations=[{"result": 1}])])
    with listening(client, *(f"v1.1/{one}" for one in (*sets, "Observations", "FeaturesOfInterest"))) as ear:
        client.create("Things", given)
        heard = {ear.next()[0] for _ in range(8)}
    assert heard == {f"v1.1/{one}" for one in (*sets, "Observations", "FeaturesOfInterest")}


@RECEIVE
def test_a_feature_that_was_made(client: Client) -> None:
    stream = client.create("Datastreams", datastream(Thing=thing(Locations=[location()])))
    with listening(client, "v1.1/FeaturesOfInterest") as ear:
        key = client.create(f"Datastreams({stream})/Observations", {"result": 1})
        assert ear.about(client.get(f"Observations({key})/FeatureOfInterest")["@iot.id"])


@RECEIVE
def test_what_comes_by_mqtt_and_by_arrays_is_told_too(client: Client) -> None:
    path = grid(client, [])
    array = {
        "Datastream": link(int(path[12:-1])),
        "components": ["phenomenonTime", "result"],
        "dataArray": [["2020-01-01T00:00:00Z", 2], ["2020-01-02T00:00:00Z", 3]],
    }
    with listening(client, f"v1.1/{path}/Observations") as ear:
        publish(client, f"v1.1/{path}/Observations", {"result": 1})
        assert ear.entity()["result"] == 1
        assert client.send("POST", "CreateObservations", [array]).status_code == 201
        assert sorted(told["result"] for _, told in ear.some(2)) == [2, 3]


@RECEIVE
def test_two_listeners_hear_the_same(client: Client) -> None:
    path = grid(client, [])
    with (
        listening(client, f"v1.1/{path}/Observations") as one,
        listening(client, f"v1.1/{path}/Observations") as two,
    ):
        client.create(f"{path}/Observations", {"result": 1})
        assert one.entity() == two.entity()


@TASKS
@pytest.mark.parametrize("kind", ["Actuator", "TaskingCapability", "Task"])
def test_entities_of_tasking_are_told(client: Client, own: Station, kind: str) -> None:
    entities = BY_NAME[kind].entities
    with listening(client, f"v1.1/{entities}") as ear:
        assert ear.about(client.create(entities, body(own, kind)))


@TASKS
def test_the_tasks_of_one_capability(client: Client, own: Station) -> None:
    path = f"{own.path('TaskingCapability')}/Tasks"
    with listening(client, f"v1.1/{path}") as ear:
        _, told = ear.about(client.create(path, {"taskingParameters": {"status": "off"}}))
    assert told["taskingParameters"] == {"status": "off"}


@TASKS
@pytest.mark.parametrize("kind", ["Actuator", "TaskingCapability"])
def test_changes_of_tasking_are_told(client: Client, own: Station, kind: str) -> None:
    with listening(client, f"v1.1/{own.path(kind)}") as ear:
        client.change("PATCH", own.path(kind), CHANGES[kind])
        told = ear.entity()
    for name, value in CHANGES[kind].items():
        assert told[name] == value
