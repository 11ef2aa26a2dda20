"""Creating an entity with its related entities in it (18-088 sections 10.2.1.2, 10.2.1.3)."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from tests.conformance.client import Client, Json, at, link
from tests.conformance.requirement import requirement
from tests.conformance.sample import (
    actuator,
    capability,
    datastream,
    feature,
    location,
    multi_datastream,
    observed_property,
    point,
    sensor,
    thing,
    unique,
)

DEEP = requirement("create-update-delete/deep-insert")
STATUS = requirement("create-update-delete/deep-insert-status-code")


@DEEP
def test_a_thing_with_everything_below(client: Client) -> None:
    rows = [{"result": one, "phenomenonTime": f"2024-01-0{one}T00:00:00Z"} for one in (1, 2, 3)]
    given = thing(
        Locations=[location(name="roof")],
        Datastreams=[datastream(name="one", Observations=rows), datastream(name="two")],
        MultiDatastreams=[multi_datastream(name="both", Observations=[{"result": [1, 2]}])],
        TaskingCapabilities=[capability(name="light", Tasks=[{"taskingParameters": {"status": "off"}}])],
    )
    top = f"Things({client.create('Things', given)})"
    assert client.names(f"{top}/Locations") == ["roof"]
    assert client.names(f"{top}/Datastreams", orderby="name") == ["one", "two"]
    assert client.names(f"{top}/MultiDatastreams") == ["both"]
    assert client.names(f"{top}/TaskingCapabilities") == ["light"]
    assert len(client.values(f"{top}/HistoricalLocations")) == 1
    path = f"{top}/Datastreams({client.ids(f'{top}/Datastreams', orderby='name')[0]})"
    assert client.results(f"{path}/Observations", orderby="result") == [1, 2, 3]
    assert client.get(f"{path}/Sensor/name")["name"].startswith("sensor")
    assert client.get(f"{path}/ObservedProperty/definition")
    path = f"{top}/MultiDatastreams({client.ids(f'{top}/MultiDatastreams')[0]})"
    assert client.results(f"{path}/Observations") == [[1, 2]]
    assert len(client.values(f"{path}/ObservedProperties")) == 2
    path = f"{top}/TaskingCapabilities({client.ids(f'{top}/TaskingCapabilities')[0]})"
    assert client.values(f"{path}/Tasks")[0]["taskingParameters"] == {"status": "off"}
    assert client.get(f"{path}/Actuator")["name"].startswith("actuator")


@DEEP
@pytest.mark.parametrize(
    ("entities", "body", "path", "expected"),
    [
        ("Locations", location(Things=[thing(name="inner")]), "Things", "inner"),
        ("Sensors", sensor(Datastreams=[datastream(name="inner", Thing=thing())]), "Datastreams", "inner"),
        (
            "ObservedProperties",
            observed_property(Datastreams=[datastream(name="inner", Thing=thing())]),
            "Datastreams",
            "inner",
        ),
        ("Datastreams", datastream(Thing=thing(name="inner")), "Thing", "inner"),
        ("Datastreams", datastream(Thing=thing(), Sensor=sensor(name="inner")), "Sensor", "inner"),
        ("MultiDatastreams", multi_datastream(Thing=thing(name="inner")), "Thing", "inner"),
        (
            "Actuators",
            actuator(TaskingCapabilities=[capability(name="inner", Thing=thing())]),
            "TaskingCapabilities",
            "inner",
        ),
        ("TaskingCapabilities", capability(Thing=thing(name="inner")), "Thing", "inner"),
        ("Things", thing(Datastreams=[datastream(name="inner")]), "Datastreams", "inner"),
        (
            "Tasks",
            {
                "taskingParameters": {"status": "on"},
                "TaskingCapability": capability(name="inner", Thing=thing()),
            },
            "TaskingCapability",
            "inner",
        ),
        (
            "HistoricalLocations",
            {"time": "2010-01-01T00:00:00Z", "Thing": thing(), "Locations": [location(name="inner")]},
            "Locations",
            "inner",
        ),
        (
            "Observations",
            {
                "result": 1,
                "Datastream": datastream(Thing=thing()),
                "FeatureOfInterest": feature(name="inner"),
            },
            "FeatureOfInterest",
            "inner",
        ),
        (
            "Observations",
            {
                "result": [1, 2],
                "MultiDatastream": multi_datastream(name="inner", Thing=thing()),
                "FeatureOfInterest": feature(),
            },
            "MultiDatastream",
            "inner",
        ),
        (
            "FeaturesOfInterest",
            feature(Observations=[{"result": 1, "Datastream": datastream(name="inner", Thing=thing())}]),
            "Observations",
            "",
        ),
    ],
)
def test_every_shape(client: Client, entities: str, body: Json, path: str, expected: str) -> None:
    key = client.create(entities, body)
    found = client.get(f"{at(entities, key)}/{path}")
    (one,) = found.get("value", [found])
    assert one.get("name", "") == expected


@DEEP
def test_links_and_whole_entities_together(client: Client) -> None:
    tool = client.create("Sensors", sensor())
    place = client.create("Locations", location())
    given = thing(
        Locations=[link(place)],
        Datastreams=[datastream(name="a", Sensor=link(tool)), datastream(name="b", Sensor=link(tool))],
    )
    key = client.create("Things", given)
    assert client.names(f"Sensors({tool})/Datastreams", orderby="name") == ["a", "b"]
    assert client.ids(f"Locations({place})/Things") == [key]


@DEEP
def test_links_to_streams_that_are_there_move_them(client: Client) -> None:
    stream = client.create("Datastreams", datastream(Thing=thing()))
    key = client.create("Things", thing(Datastreams=[link(stream)]))
    assert client.get(f"Datastreams({stream})/Thing")["@iot.id"] == key


@DEEP
def test_a_location_with_its_things_writes_history(client: Client) -> None:
    key = client.create("Locations", location(Things=[thing(), thing()]))
    for top in client.ids(f"Locations({key})/Things"):
        assert len(client.values(f"Things({top})/HistoricalLocations")) == 1


@DEEP
def test_deep_down_from_an_observation(client: Client) -> None:
    given = {
        "result": 7,
        "phenomenonTime": "2024-03-03T00:00:00Z",
        "FeatureOfInterest": feature(),
        "Datastream": datastream(Thing=thing(name="deep", Locations=[location(name="down")])),
    }
    key = client.create("Observations", given)
    path = f"Observations({key})/Datastream/Thing"
    assert client.get(path)["name"] == "deep"
    assert client.names(f"{path}/Locations") == ["down"]


@DEEP
def test_the_feature_is_made_from_a_location_in_the_same_body(client: Client) -> None:
    given = datastream(
        Thing=thing(Locations=[location(location=point(3, 4))]), Observations=[{"result": 1}, {"result": 2}]
    )
    key = client.create("Datastreams", given)
    found = client.values(f"Datastreams({key})/Observations", expand="FeatureOfInterest")
    assert {one["FeatureOfInterest"]["@iot.id"] for one in found} == {
        found[0]["FeatureOfInterest"]["@iot.id"]
    }
    assert found[0]["FeatureOfInterest"]["feature"] == point(3, 4)


@DEEP
@requirement("datamodel/datastream/properties")
def test_the_stream_knows_its_inline_observations(client: Client) -> None:
    rows = [{"result": 1, "phenomenonTime": f"2024-01-0{day}T00:00:00Z"} for day in (2, 1, 3)]
    key = client.create("Datastreams", datastream(Thing=thing(Locations=[location()]), Observations=rows))
    first, last = client.get(f"Datastreams({key})")["phenomenonTime"].split("/")
    assert (first[:10], last[:10]) == ("2024-01-01", "2024-01-03")


def _without(body: Json, *path: Any) -> Json:
    made = copy.deepcopy(body)
    place: Any = made
    for step in path[:-1]:
        place = place[step]
    del place[path[-1]]
    return made


_WHOLE = {
    "name": "broken",
    "description": "must not come to be",
    "Locations": [location()],
    "Datastreams": [datastream(Observations=[{"result": 1}])],
    "MultiDatastreams": [multi_datastream()],
    "TaskingCapabilities": [capability()],
}


@STATUS
@pytest.mark.parametrize(
    "path",
    [
        ("Locations", 0, "name"),
        ("Locations", 0, "encodingType"),
        ("Locations", 0, "location"),
        ("Datastreams", 0, "Sensor"),
        ("Datastreams", 0, "ObservedProperty"),
        ("Datastreams", 0, "unitOfMeasurement"),
        ("Datastreams", 0, "Sensor", "metadata"),
        ("Datastreams", 0, "ObservedProperty", "definition"),
        ("Datastreams", 0, "Observations", 0, "result"),
        ("MultiDatastreams", 0, "ObservedProperties"),
        ("MultiDatastreams", 0, "unitOfMeasurements"),
        ("TaskingCapabilities", 0, "Actuator"),
        ("TaskingCapabilities", 0, "taskingParameters"),
    ],
    ids=lambda path: "/".join(str(step) for step in path),
)
def test_nothing_comes_of_a_body_that_is_wrong_somewhere(client: Client, path: tuple[Any, ...]) -> None:
    mark = unique("broken")
    given = _without(_WHOLE, *path) | {"name": mark}
    for entities in ("Locations", "Datastreams", "MultiDatastreams", "TaskingCapabilities"):
        given[entities] = [one | {"description": mark} for one in given[entities]]
    client.refuse("POST", "Things", given, 400, 409)
    assert client.values("Things", filter=f"name eq '{mark}'") == []
    for entities in ("Locations", "Datastreams", "MultiDatastreams", "TaskingCapabilities"):
        assert client.values(entities, filter=f"description eq '{mark}'") == []


@STATUS
def test_nothing_comes_of_a_link_to_nothing_deep_inside(client: Client) -> None:
    mark = unique("broken")
    inner = datastream(Sensor=link(987_654_321), ObservedProperty=observed_property(name=mark))
    client.refuse("POST", "Things", thing(name=mark, Datastreams=[inner]), 400, 404, 409)
    assert client.values("Things", filter=f"name eq '{mark}'") == []
    assert client.values("ObservedProperties", filter=f"name eq '{mark}'") == []


@STATUS
def test_nothing_comes_of_an_observation_without_a_feature(client: Client) -> None:
    mark = unique("broken")
    given = {"result": 1, "Datastream": datastream(name=mark, Thing=thing(name=mark))}
    client.refuse("POST", "Observations", given, 400, 409)
    assert client.values("Datastreams", filter=f"name eq '{mark}'") == []
    assert client.values("Things", filter=f"name eq '{mark}'") == []


@STATUS
def test_a_body_too_deep_is_refused(client: Client) -> None:
    given: Json = thing()
    for _ in range(200):
        given = thing(Locations=[location(Things=[given])])
    assert client.send("POST", "Things", given).status_code in {201, 400, 413}


@STATUS
@requirement("create-update-delete/create-entity")
def test_json_too_deep_is_refused(client: Client) -> None:
    content = '{"name":"a","description":"b","properties":' + '{"a":' * 5000 + "1" + "}" * 5001
    answer = client.send("POST", "Things", content=content, headers={"content-type": "application/json"})
    assert answer.status_code in {400, 413}
