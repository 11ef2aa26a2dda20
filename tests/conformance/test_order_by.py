"""``$orderby`` (18-088 section 9.3.3.3)."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.conformance.client import Client
from tests.conformance.model import KINDS, Kind
from tests.conformance.requirement import requirement
from tests.conformance.sample import datastream, grid, location, observed_property, sensor, thing

ORDER = requirement("request-data/orderby")


@pytest.fixture(scope="module")
def top(client: Client) -> Iterator[str]:
    """A Thing with four Datastreams; names and properties run against each other."""
    streams = [
        datastream(
            name=name,
            description=description,
            properties={"rank": rank},
            Sensor=sensor(name=f"sensor {5 - rank}"),
            ObservedProperty=observed_property(name=f"property {rank % 2}"),
            Observations=[{"result": rank, "phenomenonTime": f"2024-02-0{5 - rank}T00:00:00Z"}],
        )
        for name, description, rank in (("b", "x", 1), ("a", "y", 2), ("d", "x", 3), ("c", "y", 4))
    ]
    key = client.create("Things", thing(Locations=[location()], Datastreams=streams))
    yield f"Things({key})/Datastreams"
    client.delete(f"Things({key})")


@ORDER
@pytest.mark.parametrize(
    ("orderby", "expected"),
    [
        ("name", "abcd"),
        ("name asc", "abcd"),
        ("name ASC", "abcd"),
        ("name desc", "dcba"),
        ("name DESC", "dcba"),
        ("name Desc", "dcba"),
        ("description,name", "bdac"),
        ("description,name desc", "dbca"),
        ("description desc,name asc", "acbd"),
        ("description desc, name desc", "cadb"),
        ("id", "badc"),
        ("@iot.id desc", "cdab"),
        ("properties/rank", "badc"),
        ("properties/rank desc", "cdab"),
        ("Sensor/name", "cdab"),
        ("Sensor/name desc", "badc"),
        ("ObservedProperty/name,name desc", "cadb"),
        ("ObservedProperty/name desc,Sensor/name", "dbca"),
        ("Thing/name,name", "abcd"),
        ("unitOfMeasurement/name,name", "abcd"),
        ("phenomenonTime", "cdab"),
        ("phenomenonTime desc", "badc"),
        ("length(name),name", "abcd"),
    ],
)
def test_the_order_of_a_set(client: Client, top: str, orderby: str, expected: str) -> None:
    assert "".join(client.names(top, orderby=orderby)) == expected


@ORDER
@requirement("request-data/pagination")
@pytest.mark.parametrize(
    "orderby",
    ["name", "name desc", "description,name desc", "Sensor/name desc", "properties/rank", "description"],
)
def test_pages_keep_the_order(client: Client, top: str, orderby: str) -> None:
    whole = client.names(top, orderby=orderby)
    assert [one["name"] for one in client.walk(top, orderby=orderby, top=1)] == whole
    assert [one["name"] for one in client.walk(top, orderby=orderby, top=3)] == whole


@ORDER
@pytest.mark.usefixtures("home")
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_every_kind_by_its_id(client: Client, kind: Kind) -> None:
    up = [key for key in client.ids(kind.entities, orderby="id asc", top=9) if isinstance(key, int)]
    down = [key for key in client.ids(kind.entities, orderby="id desc", top=9) if isinstance(key, int)]
    assert up == sorted(up)
    assert down == sorted(down, reverse=True)


@pytest.fixture(scope="module")
def series(client: Client) -> str:
    """Observations whose results and times run differently."""
    return f"{grid(client, [3, 1, 2.5, 2, 1])}/Observations"


@ORDER
@pytest.mark.parametrize(
    ("orderby", "expected"),
    [
        ("result", [1, 1, 2, 2.5, 3]),
        ("result desc", [3, 2.5, 2, 1, 1]),
        ("phenomenonTime", [3, 1, 2.5, 2, 1]),
        ("phenomenonTime desc", [1, 2, 2.5, 1, 3]),
        ("result,phenomenonTime desc", [1, 1, 2, 2.5, 3]),
        ("id desc", [1, 2, 2.5, 1, 3]),
        ("Datastream/name,result", [1, 1, 2, 2.5, 3]),
        ("resultTime,id", [3, 1, 2.5, 2, 1]),
    ],
)
def test_the_order_of_observations(client: Client, series: str, orderby: str, expected: list[float]) -> None:
    assert client.results(series, orderby=orderby) == expected


@ORDER
@pytest.mark.parametrize(
    "orderby", ["result", "result desc", "phenomenonTime desc", "id", "resultTime,result"]
)
def test_pages_of_observations_keep_the_order(client: Client, series: str, orderby: str) -> None:
    whole = client.ids(series, orderby=orderby)
    assert [one["@iot.id"] for one in client.walk(series, orderby=orderby, top=2)] == whole
    assert len(set(whole)) == 5


@ORDER
def test_equal_keys_lose_nothing_between_pages(client: Client) -> None:
    path = f"{grid(client, [7] * 23)}/Observations"
    found = [one["@iot.id"] for one in client.walk(path, orderby="result", top=5)]
    assert len(found) == len(set(found)) == 23


@ORDER
def test_entities_without_the_property_are_there_too(client: Client) -> None:
    streams = [datastream(name="a", properties={"rank": 1}), datastream(name="b"), datastream(name="c")]
    key = client.create("Things", thing(Datastreams=streams))
    path = f"Things({key})/Datastreams"
    for orderby in ("properties/rank", "properties/rank desc"):
        assert sorted(one["name"] for one in client.walk(path, orderby=orderby, top=1)) == ["a", "b", "c"]


@ORDER
@requirement("request-data/query-status-code")
@pytest.mark.parametrize(
    "orderby",
    [
        "nothing",
        "name up",
        "name,,id",
        "name asc desc",
        "",
        "Sensor/nothing",
        "name;id",
        "Nothing/name",
        "'a'('",
    ],
)
def test_what_cannot_be_ordered_by_is_400(client: Client, orderby: str) -> None:
    assert client.status("Datastreams", orderby=orderby) == 400
