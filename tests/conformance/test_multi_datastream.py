"""MultiDatastreams and their rules (18-088 section 14)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.conformance.client import Client, Id, Json, link
from tests.conformance.requirement import requirement
from tests.conformance.sample import (
    MEASUREMENT,
    Station,
    datastream,
    location,
    multi_datastream,
    observed_property,
    sensor,
    thing,
)

RULES = requirement("multi-datastream/constraints")
RELATIONS = requirement("multi-datastream/relations")
UNIT = {"name": "metre", "symbol": "m", "definition": "ucum:m"}
PLACED = {"Thing": thing(Locations=[location()])}


@pytest.fixture(scope="module")
def pair(client: Client) -> Iterator[str]:
    """A MultiDatastream of two properties with three Observations."""
    rows = [{"result": [at, 10 * at], "phenomenonTime": f"2024-01-0{at}T00:00:00Z"} for at in (1, 2, 3)]
    key = client.create("MultiDatastreams", multi_datastream(Observations=rows, **PLACED))
    yield f"MultiDatastreams({key})"
    client.delete(f"MultiDatastreams({key})")


def _of(client: Client, properties: list[Id], **more: Any) -> Id:
    count = len(properties)
    body = multi_datastream(
        **PLACED,
        unitOfMeasurements=[UNIT] * count,
        multiObservationDataTypes=[MEASUREMENT] * count,
        ObservedProperties=[link(one) for one in properties],
    )
    key: Id = client.create("MultiDatastreams", body | more)
    return key


@RULES
@pytest.mark.parametrize(
    "change",
    [
        {"unitOfMeasurements": [UNIT]},
        {"unitOfMeasurements": [UNIT, UNIT, UNIT]},
        {"multiObservationDataTypes": [MEASUREMENT]},
        {"multiObservationDataTypes": []},
        {"ObservedProperties": [observed_property()]},
        {"ObservedProperties": [observed_property()] * 3},
        {"ObservedProperties": []},
        {"unitOfMeasurements": UNIT},
        {"unitOfMeasurements": None},
        {"multiObservationDataTypes": MEASUREMENT},
        {"unitOfMeasurements": [UNIT, 5]},
    ],
    ids=lambda change: "-".join(f"{name}{len(value or [])}" for name, value in change.items()),
)
def test_as_many_units_as_types_as_properties(client: Client, change: Json) -> None:
    client.refuse("POST", "MultiDatastreams", multi_datastream(**PLACED) | change, 400, 409)


@RULES
@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_any_number_of_properties(client: Client, count: int) -> None:
    keys = [client.create("ObservedProperties", observed_property()) for _ in range(count)]
    key = _of(client, keys)
    assert client.ids(f"MultiDatastreams({key})/ObservedProperties") == keys
    made = client.create(f"MultiDatastreams({key})/Observations", {"result": list(range(count))})
    assert client.get(f"Observations({made})")["result"] == list(range(count))


@RULES
def test_the_order_of_the_properties_is_kept(client: Client) -> None:
    keys = [client.create("ObservedProperties", observed_property()) for _ in range(4)]
    order = [keys[2], keys[0], keys[3], keys[1]]
    key = _of(client, order)
    assert client.ids(f"MultiDatastreams({key})/ObservedProperties") == order
    found = client.get(f"MultiDatastreams({key})", expand="ObservedProperties($select=id)")
    assert [one["@iot.id"] for one in found["ObservedProperties"]] == order
    assert client.values(f"MultiDatastreams({key})/ObservedProperties/$ref")[0]["@iot.selfLink"].endswith(
        f"({order[0]})"
    )


@RULES
def test_a_property_may_come_twice(client: Client) -> None:
    one = client.create("ObservedProperties", observed_property())
    key = _of(client, [one, one])
    assert client.ids(f"MultiDatastreams({key})/ObservedProperties") == [one, one]
    assert client.ids(f"ObservedProperties({one})/MultiDatastreams") == [key]


@RULES
@pytest.mark.parametrize("result", [1, [1], [1, 2, 3], [], "x", {}, {"a": 1, "b": 2}, None])
def test_a_result_has_one_value_for_each_property(client: Client, pair: str, result: Any) -> None:
    client.refuse("POST", f"{pair}/Observations", {"result": result}, 400, 409)


@RULES
@pytest.mark.parametrize("result", [[1, 2], [1.5, "text"], [None, 2], [True, {"a": 1}]])
def test_the_values_of_a_result(client: Client, result: Any) -> None:
    key = client.create("MultiDatastreams", multi_datastream(**PLACED))
    made = client.create(f"MultiDatastreams({key})/Observations", {"result": result})
    assert client.get(f"Observations({made})")["result"] == result


@RULES
def test_one_value_of_a_result(client: Client, pair: str) -> None:
    key = client.ids(f"{pair}/Observations", orderby="phenomenonTime")[1]
    assert client.get(f"Observations({key})/result%5B1%5D") == {"result[1]": 20}
    assert client.results(f"{pair}/Observations", filter="result[0] gt 1", orderby="id") == [[2, 20], [3, 30]]


@RULES
def test_an_observation_is_of_one_stream(client: Client, home: Station) -> None:
    single, several = f"Observations({home.ids['Observation']})", f"Observations({home.multi_observation})"
    client.refuse("PATCH", single, {"MultiDatastream": link(home.ids["MultiDatastream"])}, 400, 409)
    client.refuse("PATCH", several, {"Datastream": link(home.ids["Datastream"])}, 400, 409)


@RULES
def test_a_multi_datastream_is_not_linked_from_its_properties(client: Client, pair: str) -> None:
    other = client.create("ObservedProperties", observed_property())
    key = int(pair.partition("(")[2][:-1])
    client.refuse("PATCH", f"ObservedProperties({other})", {"MultiDatastreams": [link(key)]}, 400, 409)
    fresh = observed_property(MultiDatastreams=[link(key)])
    client.refuse("POST", "ObservedProperties", fresh, 400, 409)


@RULES
def test_a_property_that_is_taken_away_takes_its_unit_and_type(client: Client) -> None:
    """It is refused, or the numbers stay equal."""
    keys = [client.create("ObservedProperties", observed_property()) for _ in range(3)]
    path = f"MultiDatastreams({_of(client, keys)})"
    client.send("DELETE", f"{path}/ObservedProperties({keys[1]})/$ref")
    found = client.get(path)
    left = client.ids(f"{path}/ObservedProperties")
    assert left in ([keys[0], keys[2]], keys)
    assert len(found["unitOfMeasurements"]) == len(found["multiObservationDataTypes"]) == len(left)


@RULES
@pytest.mark.parametrize(
    "change",
    [
        {"unitOfMeasurements": [UNIT]},
        {"multiObservationDataTypes": [MEASUREMENT] * 3},
        {"ObservedProperties": [{"@iot.id": 1}]},
    ],
)
def test_a_change_keeps_the_numbers_equal(client: Client, pair: str, change: Json) -> None:
    client.refuse("PATCH", pair, change, 400, 404, 409)


@RELATIONS
def test_streams_of_both_kinds_are_apart(client: Client, pair: str) -> None:
    key = int(pair.partition("(")[2][:-1])
    assert client.status(f"Datastreams({key})") == 404
    single = client.create("Datastreams", datastream(**PLACED))
    assert client.status(f"MultiDatastreams({single})") == 404
    assert client.ids("Datastreams", filter=f"id eq {key}") == []
    client.refuse("POST", "Observations", {"result": [1, 2], "Datastream": link(key)}, 400, 404, 409)


@RELATIONS
def test_the_relations_of_a_multi_datastream(client: Client) -> None:
    tool = client.create("Sensors", sensor())
    watched = client.create("ObservedProperties", observed_property())
    single = client.create(
        "Datastreams", datastream(**PLACED, Sensor=link(tool), ObservedProperty=link(watched))
    )
    several = _of(client, [watched], Sensor=link(tool))
    for path in (f"Sensors({tool})", f"ObservedProperties({watched})"):
        assert client.ids(f"{path}/Datastreams") == [single]
        assert client.ids(f"{path}/MultiDatastreams") == [several]


@RELATIONS
def test_filters_over_multi_datastreams(client: Client, pair: str) -> None:
    key = int(pair.partition("(")[2][:-1])
    watched = client.ids(f"{pair}/ObservedProperties")[0]
    assert client.ids("MultiDatastreams", filter=f"ObservedProperties/id eq {watched}") == [key]
    assert (
        client.ids("ObservedProperties", filter=f"MultiDatastreams/id eq {key}", orderby="id")[0] == watched
    )
    found = client.results(
        "Observations", filter=f"MultiDatastream/id eq {key}", orderby="phenomenonTime desc"
    )
    assert found == [[3, 30], [2, 20], [1, 10]]


@RELATIONS
def test_pages_of_a_multi_datastream(client: Client, pair: str) -> None:
    found = client.walk(f"{pair}/Observations", orderby="phenomenonTime", top=1)
    assert [one["result"] for one in found] == [[1, 10], [2, 20], [3, 30]]


@requirement("create-update-delete/delete-entity")
def test_deleting_a_property_deletes_the_streams_that_need_it(client: Client) -> None:
    first, second = (client.create("ObservedProperties", observed_property()) for _ in range(2))
    both, alone = _of(client, [first, second]), _of(client, [first])
    made = client.create(f"MultiDatastreams({both})/Observations", {"result": [1, 2]})
    client.delete(f"ObservedProperties({second})")
    assert not client.there(f"MultiDatastreams({both})")
    assert not client.there(f"Observations({made})")
    assert client.there(f"MultiDatastreams({alone})")
