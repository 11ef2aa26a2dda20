"""The eight resource paths (18-088 section 9.2)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conformance.client import Client, at
from tests.conformance.model import BY_NAME, KINDS, RELATIONS, Kind
from tests.conformance.requirement import requirement
from tests.conformance.sample import Station, thing

PATHS = requirement("resource-path/resource-path-to-entities")
_PROPERTIES = [(kind.name, name) for kind in KINDS for name in kind.required + kind.optional]
_STEPS = [
    (kind.name, one, two)
    for kind in KINDS
    for one in kind.relations
    for two in BY_NAME[dict(kind.many).get(one, one)].relations
    if (kind.name, two) != ("MultiDatastream", "Datastream")
]


def _target(kind: str, relation: str) -> str:
    return dict(BY_NAME[kind].many).get(relation, relation)


@PATHS
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
@pytest.mark.usefixtures("home")
def test_a_set_of_entities(client: Client, kind: Kind) -> None:
    assert client.get(kind.entities, top=1)["value"]


@PATHS
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_an_entity_by_its_id(client: Client, home: Station, kind: Kind) -> None:
    assert client.get(home.path(kind.name))["@iot.id"] == home.ids[kind.name]


@PATHS
@pytest.mark.parametrize(("kind", "name"), _PROPERTIES)
def test_a_property_of_an_entity(client: Client, home: Station, kind: str, name: str) -> None:
    entity = client.get(home.path(kind))
    assert client.get(f"{home.path(kind)}/{name}") == {name: entity[name]}


@PATHS
@pytest.mark.parametrize(("kind", "name"), _PROPERTIES)
def test_the_value_of_a_property(client: Client, home: Station, kind: str, name: str) -> None:
    value: Any = client.get(home.path(kind))[name]
    answer = client.ask(f"{home.path(kind)}/{name}/$value")
    assert answer.status_code == 200
    if isinstance(value, str):
        assert answer.text == value
        assert answer.headers["content-type"].startswith("text/plain")
    else:
        assert answer.json() == value


@PATHS
@pytest.mark.parametrize("tail", ["properties", "properties/$value"])
def test_a_property_that_is_null_has_no_content(client: Client, tail: str) -> None:
    key = client.create("Things", thing())
    answer = client.ask(f"Things({key})/{tail}")
    assert answer.status_code == 204
    assert answer.content == b""


@PATHS
@pytest.mark.parametrize(
    ("kind", "path", "expected"),
    [
        ("Thing", "properties/colour", {"colour": "green"}),
        ("Thing", "properties/deep/on", {"on": True}),
        ("Thing", "properties/deep/list", {"list": [1, 2, 3]}),
        ("Thing", "properties/deep/list%5B1%5D", {"list[1]": 2}),
        ("Observation", "parameters/deep/list%5B0%5D", {"list[0]": 4}),
        ("Datastream", "unitOfMeasurement/symbol", {"symbol": "degC"}),
        ("Location", "location/type", {"type": "Point"}),
    ],
)
def test_a_path_into_a_json_property(
    client: Client, home: Station, kind: str, path: str, expected: dict[str, Any]
) -> None:
    assert client.get(f"{home.path(kind)}/{path}") == expected


@PATHS
def test_the_value_deep_in_a_json_property(client: Client, home: Station) -> None:
    assert client.ask(f"{home.path('Thing')}/properties/colour/$value").text == "green"


@PATHS
@pytest.mark.parametrize("path", ["id", "@iot.id"])
def test_the_id_is_a_property_too(client: Client, home: Station, path: str) -> None:
    answer = client.ask(f"{home.path('Thing')}/{path}")
    assert answer.status_code in {200, 404}
    if answer.status_code == 200:
        assert list(answer.json().values()) == [home.ids["Thing"]]


@PATHS
@pytest.mark.parametrize(("kind", "relation"), RELATIONS)
def test_a_navigation_property(client: Client, home: Station, kind: str, relation: str) -> None:
    found = client.get(f"{home.path(kind)}/{relation}")
    reached = [one["@iot.id"] for one in found["value"]] if "value" in found else [found["@iot.id"]]
    assert home.far(kind, relation) in reached


@PATHS
@pytest.mark.parametrize(("kind", "relation"), RELATIONS)
def test_an_association_link(client: Client, home: Station, kind: str, relation: str) -> None:
    found = client.get(f"{home.path(kind)}/{relation}/$ref")
    target = _target(kind, relation)
    links = found["value"] if relation in dict(BY_NAME[kind].many) else [found]
    assert links
    for one in links:
        assert list(one) == ["@iot.selfLink"]
    path = at(BY_NAME[target].entities, home.far(kind, relation))
    assert f"{client.root}/{path}" in {one["@iot.selfLink"] for one in links}


@PATHS
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
@pytest.mark.usefixtures("home")
def test_links_to_all_of_a_set(client: Client, kind: Kind) -> None:
    found = client.get(f"{kind.entities}/$ref", top=2)
    for one in found["value"]:
        assert list(one) == ["@iot.selfLink"]
        assert client.get(one["@iot.selfLink"])["@iot.selfLink"] == one["@iot.selfLink"]


@PATHS
@pytest.mark.parametrize(("kind", "one", "two"), _STEPS)
def test_a_nested_path(client: Client, home: Station, kind: str, one: str, two: str) -> None:
    """Two relations in a row, by the id where the first is a set."""
    many = one in dict(BY_NAME[kind].many)
    key = f"({home.far(kind, one)})" if many else ""
    found = client.get(f"{home.path(kind)}/{one}{key}/{two}")
    reached = [each["@iot.id"] for each in found["value"]] if "value" in found else [found["@iot.id"]]
    assert home.far(kind, one, two) in reached


@PATHS
def test_a_deep_path(client: Client, home: Station) -> None:
    path = f"{home.path('Observation')}/Datastream/Thing/Locations({home.ids['Location']})/Things"
    assert home.ids["Thing"] in client.ids(path)
    assert client.get(f"{home.path('Observation')}/Datastream/Thing/name")["name"]
    assert client.ask(f"{home.path('Observation')}/Datastream/Sensor/encodingType/$value").text


@PATHS
def test_an_entity_of_another_is_not_found(client: Client, home: Station) -> None:
    other = client.create("Things", thing())
    for tail in ("", "/Observations", "/name", "/$ref", "/Sensor"):
        path = f"Things({other})/Datastreams({home.ids['Datastream']}){tail}"
        assert client.status(path) == 404, path


@PATHS
def test_a_set_of_a_relation_can_be_picked_from(client: Client, home: Station) -> None:
    path = (
        f"{home.path('Thing')}/Datastreams({home.ids['Datastream']})/Observations({home.ids['Observation']})"
    )
    assert client.get(f"{path}/result") == {"result": 12.5}


@PATHS
@pytest.mark.parametrize("tail", ["Datastreams", "Datastreams/$ref", "Locations", "MultiDatastreams"])
def test_an_empty_relation_is_an_empty_set(client: Client, tail: str) -> None:
    key = client.create("Things", thing())
    assert client.values(f"Things({key})/{tail}") == []


@PATHS
def test_a_path_through_nothing_is_404(client: Client) -> None:
    for path in (
        "Things(987654321)/Datastreams",
        "Things(987654321)/name",
        "Datastreams(987654321)/Thing/$ref",
    ):
        assert client.status(path) == 404, path


@PATHS
def test_the_relation_an_observation_does_not_have(client: Client, home: Station) -> None:
    assert client.ask(f"{home.path('Observation')}/MultiDatastream").status_code in {204, 404}
    assert client.ask(f"Observations({home.multi_observation})/Datastream").status_code in {204, 404}


@PATHS
def test_percent_encoded_paths(client: Client, home: Station) -> None:
    path = home.path("Thing").replace("(", "%28").replace(")", "%29")
    assert client.get(path)["@iot.id"] == home.ids["Thing"]


@PATHS
def test_the_value_of_what_is_no_property(client: Client, home: Station) -> None:
    assert client.status(f"{home.path('Thing')}/$value") in {400, 404}
    assert client.status("Things/$value") in {400, 404}
    assert client.status(f"{home.path('Thing')}/Datastreams/$value") in {400, 404}
