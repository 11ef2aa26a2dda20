"""Creating entities and linking them to others (18-088 sections 10.2.1 to 10.2.2)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.conformance.client import Client, Json, at, link
from tests.conformance.model import KINDS, Kind
from tests.conformance.requirement import requirement
from tests.conformance.sample import (
    Station,
    actuator,
    capability,
    datastream,
    feature,
    location,
    multi_datastream,
    observed_property,
    sensor,
    station,
    thing,
    unique,
)

CREATE = requirement("create-update-delete/create-entity")
LINK = requirement("create-update-delete/link-to-existing-entities")
ALONE: dict[str, Callable[..., Json]] = {
    "Things": thing,
    "Locations": location,
    "Sensors": sensor,
    "ObservedProperties": observed_property,
    "FeaturesOfInterest": feature,
    "Actuators": actuator,
}


@pytest.fixture(scope="module")
def home(client: Client) -> Station:
    """A station of these tests alone: they add to it."""
    return station(client)


def body(home: Station, kind: str, **more: Any) -> Json:
    """Return a body of a kind that is linked to the station where it must be linked."""
    where = {"Thing": link(home.ids["Thing"])}
    tools = {"Sensor": link(home.ids["Sensor"])}
    match kind:
        case "Datastream":
            watched = {"ObservedProperty": link(home.ids["ObservedProperty"])}
            return datastream(**where, **tools, **watched) | more
        case "MultiDatastream":
            return multi_datastream(**where, **tools) | more
        case "TaskingCapability":
            return capability(**where, Actuator=link(home.ids["Actuator"])) | more
        case "Task":
            able = {"TaskingCapability": link(home.ids["TaskingCapability"])}
            return {"taskingParameters": {"status": "on"}} | able | more
        case "Observation":
            seen = {"FeatureOfInterest": link(home.ids["FeatureOfInterest"])}
            return {"result": 5, "Datastream": link(home.ids["Datastream"])} | seen | more
        case "HistoricalLocation":
            place = {"Locations": [link(home.ids["Location"])]}
            return {"time": "2001-01-01T00:00:00Z"} | where | place | more
        case _:
            entities = next(one.entities for one in KINDS if one.name == kind)
            return ALONE[entities](**more)


every_kind = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)


@CREATE
@every_kind
def test_an_entity_is_there_after_its_creation(client: Client, home: Station, kind: Kind) -> None:
    given = body(home, kind.name)
    key = client.create(kind.entities, given)
    found = client.get(at(kind.entities, key))
    for name in kind.required:
        if name != "time":
            assert found[name] == given[name], name
    client.delete(at(kind.entities, key))


@CREATE
@every_kind
def test_the_answer_says_where_it_is(client: Client, home: Station, kind: Kind) -> None:
    answer = client.send("POST", kind.entities, body(home, kind.name))
    assert answer.status_code == 201
    found = client.get(answer.headers["location"])
    assert found["@iot.selfLink"] == answer.headers["location"]
    if answer.content:
        assert answer.json()["@iot.id"] == found["@iot.id"]
    client.delete(answer.headers["location"])


_OPTIONAL = [(kind, "properties") for kind in KINDS if "properties" in kind.optional]


@CREATE
@pytest.mark.parametrize(("kind", "name"), _OPTIONAL, ids=[kind.name for kind, _ in _OPTIONAL])
def test_properties_are_any_json_object(client: Client, home: Station, kind: Kind, name: str) -> None:
    value: Json = {"a": None, "b": [1, 2.5, "ü", {"c": True}], "d": {"e": {}}, "f g": "", "": 1}
    key = client.create(kind.entities, body(home, kind.name, **{name: value}))
    assert client.get(at(kind.entities, key))[name] == value
    client.delete(at(kind.entities, key))


@CREATE
@requirement("request-data/status-code")
@pytest.mark.parametrize(
    ("kind", "name"),
    [(kind, name) for kind in KINDS for name in kind.required],
    ids=lambda one: str(one)[:30],
)
def test_a_required_property_must_be_there(client: Client, home: Station, kind: Kind, name: str) -> None:
    given = body(home, kind.name)
    del given[name]
    client.refuse("POST", kind.entities, given)


@LINK
@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("Datastream", "Thing"),
        ("Datastream", "Sensor"),
        ("Datastream", "ObservedProperty"),
        ("MultiDatastream", "Thing"),
        ("MultiDatastream", "Sensor"),
        ("MultiDatastream", "ObservedProperties"),
        ("HistoricalLocation", "Thing"),
        ("HistoricalLocation", "Locations"),
        ("Observation", "Datastream"),
        ("TaskingCapability", "Thing"),
        ("TaskingCapability", "Actuator"),
        ("Task", "TaskingCapability"),
    ],
)
def test_a_required_relation_must_be_there(client: Client, home: Station, kind: str, name: str) -> None:
    given = body(home, kind)
    del given[name]
    entities = next(one.entities for one in KINDS if one.name == kind)
    client.refuse("POST", entities, given, 400, 409)


@LINK
@pytest.mark.parametrize("kind", [one for one in KINDS if one.one], ids=lambda kind: kind.name)
@pytest.mark.parametrize("key", [987_654_321, "nobody"])
def test_a_link_to_what_is_not_there(client: Client, home: Station, kind: Kind, key: Any) -> None:
    for name in kind.one:
        client.refuse("POST", kind.entities, body(home, kind.name, **{name: link(key)}), 400, 404, 409)


@LINK
@pytest.mark.parametrize("kind", [one for one in KINDS if one.one], ids=lambda kind: kind.name)
def test_a_link_reaches_what_is_there(client: Client, home: Station, kind: Kind) -> None:
    key = client.create(kind.entities, body(home, kind.name))
    for name in kind.one:
        assert client.get(f"{at(kind.entities, key)}/{name}")["@iot.id"] == home.ids[name]
    client.delete(at(kind.entities, key))


@LINK
def test_a_link_may_carry_the_whole_entity(client: Client, home: Station) -> None:
    """A client may send what it got; only the id counts, and nothing is made or changed."""
    whole = client.get(home.path("Sensor"))
    before = client.get("Sensors", count=True, top=0)["@iot.count"]
    key = client.create("Datastreams", body(home, "Datastream", Sensor=whole | {"description": "other"}))
    assert client.get(f"Datastreams({key})/Sensor") == client.get(home.path("Sensor"))
    assert client.get("Sensors", count=True, top=0)["@iot.count"] == before
    assert client.get(home.path("Sensor"))["description"] == whole["description"]


@LINK
@pytest.mark.parametrize(
    "value", [{}, {"@iot.id": None}, {"@iot.id": {}}, 5, "x", [], [{"@iot.id": 1}], None, {"id": {}}]
)
def test_a_link_that_is_none(client: Client, home: Station, value: Any) -> None:
    client.refuse("POST", "Datastreams", body(home, "Datastream", Thing=value), 400, 404, 409)


@LINK
@pytest.mark.parametrize("value", [5, [5], [{"@iot.id": {}}], "x", [None]])
def test_links_that_are_no_list(client: Client, value: Any) -> None:
    client.refuse("POST", "Things", thing(Locations=value), 400, 404, 409)


@LINK
def test_several_links_at_once(client: Client) -> None:
    keys = [
        client.create("Locations", location(encodingType=kind)) for kind in ("application/geo+json", "text")
    ]
    top = client.create("Things", thing(Locations=[link(key) for key in keys]))
    assert sorted(client.ids(f"Things({top})/Locations")) == sorted(keys)
    for key in keys:
        assert client.ids(f"Locations({key})/Things") == [top]


@CREATE
@pytest.mark.parametrize(
    ("kind", "path"),
    [
        ("Datastream", "Thing"),
        ("Datastream", "Sensor"),
        ("Datastream", "ObservedProperty"),
        ("MultiDatastream", "Thing"),
        ("MultiDatastream", "Sensor"),
        ("HistoricalLocation", "Thing"),
        ("Observation", "Datastream"),
        ("Observation", "FeatureOfInterest"),
        ("TaskingCapability", "Thing"),
        ("TaskingCapability", "Actuator"),
        ("Task", "TaskingCapability"),
    ],
)
def test_creation_by_way_of_the_parent(client: Client, home: Station, kind: str, path: str) -> None:
    given = body(home, kind)
    del given[path]
    entities = next(one.entities for one in KINDS if one.name == kind)
    key = client.create(f"{home.path(path)}/{entities}", given)
    assert client.get(f"{at(entities, key)}/{path}")["@iot.id"] == home.ids[path]
    client.delete(at(entities, key))


@CREATE
@pytest.mark.parametrize(
    ("parent", "entities", "back"),
    [
        ("Thing", "Locations", "Things"),
        ("Location", "Things", "Locations"),
    ],
)
def test_creation_in_a_relation_of_many_to_many(
    client: Client, parent: str, entities: str, back: str
) -> None:
    above = "Things" if parent == "Thing" else "Locations"
    top = client.create(above, ALONE[above]())
    key = client.create(f"{above}({top})/{entities}", ALONE[entities]())
    assert client.ids(f"{entities}({key})/{back}") == [top]


@CREATE
def test_creation_two_steps_down(client: Client, home: Station) -> None:
    path = f"{home.path('Thing')}/Datastreams({home.ids['Datastream']})/Observations"
    key = client.create(path, {"result": 3, "FeatureOfInterest": link(home.ids["FeatureOfInterest"])})
    assert client.get(f"Observations({key})/Datastream")["@iot.id"] == home.ids["Datastream"]
    client.delete(f"Observations({key})")


@CREATE
@requirement("request-data/status-code")
@pytest.mark.parametrize(
    "path", ["Things(987654321)/Datastreams", "Datastreams('no')/Observations", "Nothings"]
)
def test_creation_where_nothing_is(client: Client, path: str) -> None:
    client.refuse("POST", path, datastream(), 404)


@CREATE
def test_creation_below_a_stranger(client: Client, home: Station) -> None:
    other = client.create("Things", thing())
    client.refuse(
        "POST", f"Things({other})/Datastreams({home.ids['Datastream']})/Observations", {"result": 1}, 404
    )


@CREATE
@requirement("request-data/status-code")
@pytest.mark.parametrize(
    "content", ["", "{", "[]", "5", "null", '"x"', '{"name": }', "\x00", "{'name': 1}", "<a/>"]
)
def test_a_body_that_is_no_entity(client: Client, content: str) -> None:
    answer = client.send("POST", "Things", content=content, headers={"content-type": "application/json"})
    assert answer.status_code == 400


@CREATE
@pytest.mark.parametrize(
    ("entities", "change"),
    [
        ("Things", {"name": 5}),
        ("Things", {"name": None}),
        ("Things", {"description": {}}),
        ("Things", {"properties": "text"}),
        ("Things", {"properties": [1]}),
        ("Locations", {"location": None}),
        ("Locations", {"encodingType": 5}),
        ("Sensors", {"encodingType": []}),
        ("ObservedProperties", {"definition": 7}),
        ("FeaturesOfInterest", {"feature": None}),
    ],
)
def test_a_property_of_the_wrong_type(client: Client, entities: str, change: Json) -> None:
    client.refuse("POST", entities, ALONE[entities](**change))


@CREATE
def test_what_is_not_known_is_refused_or_passed_over(client: Client) -> None:
    answer = client.send("POST", "Things", thing(nothing=1))
    assert answer.status_code in {201, 400}
    if answer.status_code == 201:
        assert "nothing" not in client.get(answer.headers["location"])


@CREATE
def test_control_information_of_an_answer_may_be_sent_back(client: Client, home: Station) -> None:
    whole = client.get(home.path("Thing"))
    key = client.create("Things", whole)
    assert key != whole["@iot.id"]
    assert client.get(f"Things({key})")["properties"] == whole["properties"]


@CREATE
@pytest.mark.parametrize("entities", ALONE)
def test_a_client_may_choose_a_key_of_letters(client: Client, entities: str) -> None:
    name = unique("key").replace(" ", "-")
    assert client.create(entities, ALONE[entities](**{"@iot.id": name})) == name
    found = client.get(at(entities, name))
    assert found["@iot.id"] == name
    assert found["@iot.selfLink"] == f"{client.root}/{at(entities, name)}"
    assert client.ids(entities, filter=f"id eq '{name}'") == [name]
    client.refuse("POST", entities, ALONE[entities](**{"@iot.id": name}), 400, 409)
    client.delete(at(entities, name))


@CREATE
def test_keys_of_letters_all_the_way(client: Client) -> None:
    mark = unique("station").replace(" ", "-")
    top, tool, watched, stream = (f"{mark}-{part}" for part in ("thing", "sensor", "property", "stream"))
    client.create("Things", thing(**{"@iot.id": top}, Locations=[location()]))
    client.create("Sensors", sensor(**{"@iot.id": tool}))
    client.create("ObservedProperties", observed_property(**{"@iot.id": watched}))
    given = datastream(Thing=link(top), Sensor=link(tool), ObservedProperty=link(watched))
    assert client.create("Datastreams", given | {"@iot.id": stream}) == stream
    client.create(f"{at('Datastreams', stream)}/Observations", {"result": 8})
    assert client.results(f"{at('Things', top)}/{at('Datastreams', stream)}/Observations") == [8]
    found = client.get(at("Datastreams", stream), expand="Thing($select=id),Sensor,Observations")
    assert (found["Thing"]["@iot.id"], found["Sensor"]["@iot.id"]) == (top, tool)
    assert client.results("Observations", filter=f"Datastream/id eq '{stream}'") == [8]
    client.delete(at("Datastreams", stream))


@CREATE
def test_a_key_with_signs(client: Client) -> None:
    name = unique("a/b?c#d%e(f)'g ü")
    answer = client.send("POST", "Things", thing(**{"@iot.id": name}))
    assert answer.status_code in {201, 400}
    if answer.status_code == 201:
        assert client.get(answer.headers["location"])["@iot.id"] == name


@CREATE
def test_a_number_as_id_is_given_by_the_service(client: Client) -> None:
    key = client.create("Things", thing(**{"@iot.id": 987_654_322}))
    assert client.get(f"Things({key})")["@iot.id"] == key


@CREATE
@pytest.mark.parametrize(("entities", "name"), [("Sensors", "metadata"), ("Actuators", "metadata")])
@pytest.mark.parametrize("value", ["text", {"type": "PhysicalSystem"}, ["a", 1], 5, True])
def test_metadata_is_any_json(client: Client, entities: str, name: str, value: Any) -> None:
    key = client.create(entities, ALONE[entities](**{name: value}))
    assert client.get(at(entities, key))[name] == value


@CREATE
@pytest.mark.parametrize("value", ["Main Street 1", {"type": "Feature", "geometry": None, "properties": {}}])
def test_a_location_need_not_be_a_geometry(client: Client, value: Any) -> None:
    key = client.create("Locations", location(encodingType="text/plain", location=value))
    assert client.get(f"Locations({key})")["location"] == value


@CREATE
def test_the_content_type_may_name_a_charset(client: Client) -> None:
    name = unique("Straße ü")
    content = f'{{"name": "{name}", "description": "é"}}'.encode()
    headers = {"content-type": "application/json; charset=utf-8"}
    answer = client.send("POST", "Things", content=content, headers=headers)
    assert answer.status_code == 201
    assert client.get(answer.headers["location"])["name"] == name
