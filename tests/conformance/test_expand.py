"""``$expand`` (18-088 section 9.3.3.1)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.conformance.client import Client, Json, at
from tests.conformance.model import BY_NAME, KINDS, RELATIONS, Kind
from tests.conformance.requirement import requirement
from tests.conformance.sample import Station, datastream, location, thing

EXPAND = requirement("request-data/expand")
_TWO = [
    (kind.name, one, two)
    for kind in KINDS
    for one in kind.relations
    for two in BY_NAME[dict(kind.many).get(one, one)].relations
    if (kind.name, two) != ("MultiDatastream", "Datastream")
]


@pytest.fixture(scope="module")
def top(client: Client) -> Iterator[str]:
    """A Thing with three Datastreams of five Observations each."""
    streams = [
        datastream(
            name=f"stream {number}",
            properties={"number": number},
            Observations=[
                {"result": 10 * number + step, "phenomenonTime": f"2024-02-0{step + 1}T00:00:00Z"}
                for step in range(5)
            ],
        )
        for number in range(3)
    ]
    key = client.create("Things", thing(Locations=[location()], Datastreams=streams))
    yield f"Things({key})"
    client.delete(f"Things({key})")


def _reached(value: Any) -> list[Json]:
    return value if isinstance(value, list) else [value]


def _target(kind: str, relation: str) -> str:
    return dict(BY_NAME[kind].many).get(relation, relation)


@EXPAND
@pytest.mark.parametrize(("kind", "relation"), RELATIONS)
def test_a_relation_of_an_entity(client: Client, home: Station, kind: str, relation: str) -> None:
    found = client.get(home.path(kind), expand=relation)
    reached = {one["@iot.id"]: one for one in _reached(found[relation])}
    key = home.far(kind, relation)
    assert reached[key] == client.get(at(BY_NAME[_target(kind, relation)].entities, key))


@EXPAND
@pytest.mark.parametrize(("kind", "relation"), RELATIONS)
def test_a_relation_of_a_set(client: Client, home: Station, kind: str, relation: str) -> None:
    found = client.values(BY_NAME[kind].entities, expand=relation, filter=f"id eq {home.ids[kind]}")
    (entity,) = found
    assert home.far(kind, relation) in {one["@iot.id"] for one in _reached(entity[relation])}


@EXPAND
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_all_relations_at_once(client: Client, home: Station, kind: Kind) -> None:
    found = client.get(home.path(kind.name), expand=",".join(kind.relations))
    for relation in kind.relations:
        assert _reached(found[relation])[0]["@iot.selfLink"]


@EXPAND
@pytest.mark.parametrize(("kind", "one", "two"), _TWO)
def test_two_relations_in_a_row(client: Client, home: Station, kind: str, one: str, two: str) -> None:
    for expand in (f"{one}/{two}", f"{one}($expand={two})"):
        found = client.get(home.path(kind), expand=expand)
        reached = {far["@iot.id"] for near in _reached(found[one]) for far in _reached(near.get(two, []))}
        assert home.far(kind, one, two) in reached, expand


@EXPAND
def test_four_relations_in_a_row(client: Client, home: Station) -> None:
    found = client.get(home.path("Observation"), expand="Datastream/Thing/Locations/HistoricalLocations")
    places = found["Datastream"]["Thing"]["Locations"]
    assert places[0]["HistoricalLocations"][0]["@iot.id"] == home.ids["HistoricalLocation"]


@EXPAND
def test_paths_with_a_common_start_come_together(client: Client, home: Station) -> None:
    found = client.get(home.path("Thing"), expand="Datastreams/Sensor,Datastreams/ObservedProperty")
    (stream,) = found["Datastreams"]
    assert stream["Sensor"]["@iot.id"] == home.ids["Sensor"]
    assert stream["ObservedProperty"]["@iot.id"] == home.ids["ObservedProperty"]


@EXPAND
def test_an_expanded_set_has_no_more_than_is_asked(client: Client, top: str) -> None:
    found = client.get(top, expand="Datastreams($top=2;$orderby=name desc)")
    assert [one["name"] for one in found["Datastreams"]] == ["stream 2", "stream 1"]
    assert found["Datastreams@iot.nextLink"]
    rest = client.walk(found["Datastreams@iot.nextLink"])
    assert [one["name"] for one in rest] == ["stream 0"]


@EXPAND
@requirement("request-data/pagination")
def test_expanded_pages_are_walked_to_the_end(client: Client, top: str) -> None:
    found = client.get(top, expand="Datastreams($orderby=name;$expand=Observations($top=2;$orderby=result))")
    for number, stream in enumerate(found["Datastreams"]):
        seen = [one["result"] for one in stream["Observations"]]
        assert len(seen) == 2
        seen += [one["result"] for one in client.walk(stream["Observations@iot.nextLink"])]
        assert seen == [10 * number + step for step in range(5)]


@EXPAND
def test_no_next_link_where_all_is_there(client: Client, top: str) -> None:
    found = client.get(top, expand="Datastreams($top=3),Locations($top=1)")
    assert "Datastreams@iot.nextLink" not in found
    assert "Locations@iot.nextLink" not in found


@EXPAND
def test_top_zero_in_expand(client: Client, top: str) -> None:
    found = client.get(top, expand="Datastreams($top=0;$count=true)")
    assert found["Datastreams"] == []
    assert found["Datastreams@iot.count"] == 3


@EXPAND
def test_the_count_of_what_is_expanded(client: Client, top: str) -> None:
    found = client.get(top, expand="Datastreams($count=true;$top=1;$expand=Observations($count=true;$top=1))")
    assert found["Datastreams@iot.count"] == 3
    assert found["Datastreams"][0]["Observations@iot.count"] == 5
    assert "Datastreams@iot.count" not in client.get(top, expand="Datastreams($count=false)")


@EXPAND
def test_skip_in_expand(client: Client, top: str) -> None:
    found = client.get(top, expand="Datastreams($orderby=name;$skip=1;$top=1)")
    assert [one["name"] for one in found["Datastreams"]] == ["stream 1"]


@EXPAND
def test_filter_in_expand(client: Client, top: str) -> None:
    found = client.get(top, expand="Datastreams($filter=properties/number gt 0;$orderby=name;$select=name)")
    assert found["Datastreams"] == [{"name": "stream 1"}, {"name": "stream 2"}]


@EXPAND
def test_filter_in_expand_with_signs_of_the_grammar(client: Client, top: str) -> None:
    """Semicolons, commas and brackets in a literal do not end the option."""
    wanted = "(name eq 'stream 1' or name eq 'a;b,(c)' or name eq 'it''s')"
    found = client.get(top, expand=f"Datastreams($filter={wanted};$select=name),Locations($select=name)")
    assert found["Datastreams"] == [{"name": "stream 1"}]
    assert found["Locations"]


@EXPAND
def test_filter_in_expand_over_a_relation(client: Client, top: str) -> None:
    found = client.get(top, expand="Datastreams($filter=Observations/result eq 12;$select=name)")
    assert found["Datastreams"] == [{"name": "stream 1"}]


@EXPAND
def test_observations_of_each_datastream_by_time(client: Client, top: str) -> None:
    options = "$filter=phenomenonTime ge 2024-02-04T00:00:00Z;$orderby=phenomenonTime desc;$select=result"
    found = client.values(f"{top}/Datastreams", orderby="name", expand=f"Observations({options})")
    for number, stream in enumerate(found):
        assert stream["Observations"] == [{"result": 10 * number + 4}, {"result": 10 * number + 3}]


@EXPAND
def test_the_last_observation_of_each_datastream(client: Client, top: str) -> None:
    found = client.values(
        f"{top}/Datastreams", orderby="name", expand="Observations($orderby=phenomenonTime desc;$top=1)"
    )
    assert [one["Observations"][0]["result"] for one in found] == [4, 14, 24]


@EXPAND
def test_expand_in_a_set_of_observations(client: Client, top: str) -> None:
    key = client.ids(f"{top}/Datastreams", orderby="name")[0]
    found = client.values(
        f"Datastreams({key})/Observations",
        expand="Datastream($select=name),FeatureOfInterest",
        orderby="result",
    )
    assert [one["Datastream"]["name"] for one in found] == ["stream 0"] * 5
    assert len({one["FeatureOfInterest"]["@iot.id"] for one in found}) == 1


@EXPAND
def test_expand_of_multi_datastream_and_datastream_together(client: Client, home: Station) -> None:
    found = client.values(
        f"{home.path('FeatureOfInterest')}/Observations", expand="Datastream,MultiDatastream", orderby="id"
    )
    assert len(found) == 4
    for one in found:
        assert one.get("Datastream") or one.get("MultiDatastream")
        assert not (one.get("Datastream") and one.get("MultiDatastream"))


@EXPAND
def test_an_expanded_relation_that_is_empty(client: Client) -> None:
    key = client.create("Things", thing())
    assert client.get(f"Things({key})", expand="Datastreams,Locations")["Datastreams"] == []


@EXPAND
def test_expanded_entities_keep_their_navigation_links(client: Client, home: Station) -> None:
    found = client.get(home.path("Thing"), expand="Locations")
    assert found["Locations"][0]["Things@iot.navigationLink"]
    assert found["Datastreams@iot.navigationLink"]


@EXPAND
@requirement("request-data/query-status-code")
@pytest.mark.parametrize(
    "expand",
    [
        "Nothing",
        "name",
        "Datastreams/Nothing",
        "Datastreams(",
        "Datastreams($top=1",
        "Datastreams($top=1))",
        "Datastreams($nothing=1)",
        "Datastreams($select=nothing)",
        "Datastreams($filter=nothing eq 1)",
        "Datastreams($orderby=nothing)",
        "Datastreams($top=-1)",
        "Datastreams($top=many)",
        "Datastreams($filter=name eq)",
        "Datastreams,,Locations",
        "Datastreams/",
        "/Datastreams",
        "",
        "Sensor",
    ],
)
def test_what_cannot_be_expanded_is_400(client: Client, expand: str) -> None:
    assert client.status("Things", expand=expand) == 400


@EXPAND
def test_the_depth_is_bounded(client: Client) -> None:
    assert client.status("Things", expand="/".join(["Datastreams", "Thing"] * 40)) in {400, 501}
