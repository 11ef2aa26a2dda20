"""``$select`` (18-088 section 9.3.3.2)."""

from __future__ import annotations

import pytest

from tests.conformance.client import Client
from tests.conformance.model import KINDS, Kind
from tests.conformance.requirement import requirement
from tests.conformance.sample import Station

SELECT = requirement("request-data/select")
every_kind = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)


@SELECT
@every_kind
def test_one_property_of_an_entity(client: Client, home: Station, kind: Kind) -> None:
    name = kind.required[0]
    assert list(client.get(home.path(kind.name), select=name)) == [name]


@SELECT
@every_kind
@pytest.mark.usefixtures("home")
def test_properties_of_a_set(client: Client, kind: Kind) -> None:
    names = kind.required[:2]
    for one in client.values(kind.entities, select=",".join(names), top=3):
        assert set(one) == set(names)


@SELECT
@every_kind
def test_each_property_by_itself(client: Client, home: Station, kind: Kind) -> None:
    entity = client.get(home.path(kind.name))
    for name in kind.required + kind.optional:
        assert client.get(home.path(kind.name), select=name) == {name: entity[name]}


@SELECT
@every_kind
def test_the_id_alone(client: Client, home: Station, kind: Kind) -> None:
    for spelled in ("id", "@iot.id"):
        found = client.get(home.path(kind.name), select=spelled)
        assert found == {"@iot.id": home.ids[kind.name]}


@SELECT
def test_the_link_to_itself_alone(client: Client, home: Station) -> None:
    found = client.get(home.path("Thing"), select="@iot.selfLink,name")
    assert set(found) == {"@iot.selfLink", "name"}


@SELECT
@every_kind
def test_a_navigation_property(client: Client, home: Station, kind: Kind) -> None:
    """A selected relation is its navigation link."""
    relation = kind.relations[0]
    found = client.get(home.path(kind.name), select=f"{kind.required[0]},{relation}")
    assert set(found) == {kind.required[0], f"{relation}@iot.navigationLink"}


@SELECT
def test_a_star_is_every_property(client: Client, home: Station) -> None:
    answer = client.ask(home.path("Thing"), select="*")
    assert answer.status_code in {200, 501}
    if answer.status_code == 200:
        assert {"name", "description", "properties"} <= set(answer.json())


@SELECT
def test_blanks_around_names_are_passed_over(client: Client, home: Station) -> None:
    assert set(client.get(home.path("Thing"), select="name, description")) == {"name", "description"}


@SELECT
def test_with_expand_the_expanded_stays(client: Client, home: Station) -> None:
    found = client.get(home.path("Thing"), select="name", expand="Locations($select=name)")
    assert set(found) == {"name", "Locations"}
    assert set(found["Locations"][0]) == {"name"}


@SELECT
def test_inside_expand(client: Client, home: Station) -> None:
    found = client.get(home.path("Thing"), expand="Datastreams($select=id,name;$expand=Sensor($select=name))")
    (stream,) = found["Datastreams"]
    assert set(stream) == {"@iot.id", "name", "Sensor"}
    assert set(stream["Sensor"]) == {"name"}


@SELECT
def test_over_a_relation(client: Client, home: Station) -> None:
    found = client.get(f"{home.path('Observation')}/Datastream/Thing", select="name")
    assert set(found) == {"name"}
    for one in client.values(f"{home.path('Thing')}/Datastreams", select="id"):
        assert one == {"@iot.id": home.ids["Datastream"]}


@SELECT
def test_what_is_selected_needs_not_be_what_is_filtered_or_ordered(client: Client, home: Station) -> None:
    path = f"{home.path('Datastream')}/Observations"
    found = client.values(
        path, select="result", filter="phenomenonTime ge 2024-05-01T11:00:00Z", orderby="id"
    )
    assert [set(one) for one in found] == [{"result"}, {"result"}]


@SELECT
def test_selected_pages_follow_each_other(client: Client, home: Station) -> None:
    path = f"{home.path('Datastream')}/Observations"
    found = client.walk(path, select="result", orderby="result", top=1)
    assert found == [{"result": 10}, {"result": 11}, {"result": 12.5}]


@SELECT
@requirement("request-data/query-status-code")
@pytest.mark.parametrize("select", ["nothing", "name,,description", "name;description", "", "name eq 1"])
def test_what_cannot_be_selected_is_400(client: Client, select: str) -> None:
    assert client.status("Things", select=select) == 400
