"""Deleting entities and what goes with them (18-088 section 10.4, table 31; 17-079 section 10)."""

from __future__ import annotations

import pytest

from tests.conformance.client import Client, Id, at, link
from tests.conformance.model import BY_NAME, KINDS, Kind
from tests.conformance.requirement import requirement
from tests.conformance.sample import Station, datastream, feature, grid, location, station, thing

DELETE = requirement("create-update-delete/delete-entity")
GONE = {
    "Thing": {
        "HistoricalLocation",
        "Datastream",
        "MultiDatastream",
        "Observation",
        "TaskingCapability",
        "Task",
    },
    "Location": {"HistoricalLocation"},
    "HistoricalLocation": set(),
    "Datastream": {"Observation"},
    "MultiDatastream": set(),
    "Sensor": {"Datastream", "MultiDatastream", "Observation"},
    "ObservedProperty": {"Datastream", "MultiDatastream", "Observation"},
    "Observation": set(),
    "FeatureOfInterest": {"Observation"},
    "Actuator": {"TaskingCapability", "Task"},
    "TaskingCapability": {"Task"},
    "Task": set(),
}
"""What is deleted together with an entity of each kind; everything else stays."""


@DELETE
@pytest.mark.parametrize("kind", GONE)
def test_what_depends_on_it_goes_with_it(client: Client, kind: str) -> None:
    made = station(client)
    client.delete(made.path(kind))
    for other in KINDS:
        if other.name != kind:
            assert client.there(made.path(other.name)) is (other.name not in GONE[kind]), other.name
    multi = client.there(at("Observations", made.multi_observation))
    assert multi is (
        kind not in {"Thing", "MultiDatastream", "Sensor", "ObservedProperty", "FeatureOfInterest"}
    )


@DELETE
@requirement("request-data/status-code")
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
@pytest.mark.parametrize("key", [987_654_321, "nobody"])
def test_deleting_what_is_not_there_is_404(client: Client, kind: Kind, key: Id) -> None:
    client.refuse("DELETE", at(kind.entities, key), None, 404)


@DELETE
def test_deleted_twice_is_404(client: Client) -> None:
    key = client.create("Things", thing())
    client.delete(f"Things({key})")
    client.refuse("DELETE", f"Things({key})", None, 404)


@DELETE
def test_ids_are_not_given_twice(client: Client) -> None:
    key = client.create("Things", thing())
    client.delete(f"Things({key})")
    assert client.create("Things", thing()) != key


@DELETE
@requirement("request-data/status-code")
@pytest.mark.parametrize("path", ["Things", "Observations", "", "Things(1)/Datastreams"])
def test_a_set_is_not_deleted_by_mistake(client: Client, path: str) -> None:
    client.refuse("DELETE", path, None, 400, 404, 405, 501)


@DELETE
@requirement("request-data/status-code")
def test_a_required_property_cannot_be_deleted(client: Client) -> None:
    key = client.create("Things", thing())
    client.refuse("DELETE", f"Things({key})/name", None, 400, 405)
    assert client.there(f"Things({key})")


@DELETE
def test_deleting_by_way_of_the_parent(client: Client) -> None:
    path = grid(client, [1, 2, 3])
    top = client.get(f"{path}/Thing")["@iot.id"]
    (key, *_) = client.ids(f"{path}/Observations", orderby="result")
    client.delete(f"Things({top})/{path}/Observations({key})")
    assert client.results(f"{path}/Observations", orderby="result") == [2, 3]


@DELETE
def test_a_foreign_path_deletes_nothing(client: Client) -> None:
    path = grid(client, [1])
    other = client.create("Things", thing())
    (key,) = client.ids(f"{path}/Observations")
    client.refuse("DELETE", f"Things({other})/{path}", None, 404)
    client.refuse("DELETE", f"Things({other})/{path}/Observations({key})", None, 404)
    assert client.results(f"{path}/Observations") == [1]


@DELETE
def test_deleting_a_location_leaves_the_thing_and_its_other_places(client: Client) -> None:
    places = [client.create("Locations", location()) for _ in range(2)]
    top = client.create("Things", thing(Locations=[link(places[0])]))
    client.change("PATCH", f"Things({top})", {"Locations": [link(places[1])]})
    client.delete(f"Locations({places[0]})")
    assert client.ids(f"Things({top})/Locations") == [places[1]]
    left = client.values(f"Things({top})/HistoricalLocations", expand="Locations")
    assert [[one["@iot.id"] for one in entry["Locations"]] for entry in left] == [[places[1]]]


@DELETE
def test_deleting_a_thing_leaves_its_neighbours(client: Client) -> None:
    place = client.create("Locations", location())
    first, second = (client.create("Things", thing(Locations=[link(place)])) for _ in range(2))
    client.delete(f"Things({first})")
    assert client.ids(f"Locations({place})/Things") == [second]
    assert len(client.values(f"Locations({place})/HistoricalLocations")) == 1


@DELETE
def test_deleted_observations_leave_every_view(client: Client) -> None:
    path = grid(client, [1, 2, 3, 4])
    keys = client.ids(f"{path}/Observations", orderby="result")
    seen = client.get(f"Observations({keys[0]})/FeatureOfInterest")["@iot.id"]
    for key in keys[:2]:
        client.delete(f"Observations({key})")
    assert client.results(f"{path}/Observations", orderby="result") == [3, 4]
    assert client.get(f"{path}/Observations", count=True, top=0)["@iot.count"] == 2
    assert client.results(f"FeaturesOfInterest({seen})/Observations", orderby="result") == [3, 4]
    assert client.ids("Datastreams", filter=f"Observations/result eq 1 and id eq {path[12:-1]}") == []
    found = client.get(path, expand="Observations($orderby=result;$count=true)")
    assert [one["result"] for one in found["Observations"]] == [3, 4]


@DELETE
def test_deleting_a_stream_deletes_its_observations_alone(client: Client) -> None:
    seen = client.create("FeaturesOfInterest", feature())
    rows = [{"result": 1, "FeatureOfInterest": link(seen)}]
    first, second = (
        client.create("Datastreams", datastream(Thing=thing(), Observations=rows)) for _ in range(2)
    )
    client.delete(f"Datastreams({first})")
    left = client.values(f"FeaturesOfInterest({seen})/Observations", expand="Datastream($select=id)")
    assert [one["Datastream"]["@iot.id"] for one in left] == [second]


@DELETE
def test_no_link_leads_to_what_is_gone(client: Client) -> None:
    made: Station = station(client)
    client.delete(made.path("Thing"))
    assert client.values(f"{made.path('Sensor')}/Datastreams") == []
    assert client.values(f"{made.path('Location')}/Things") == []
    assert client.values(f"{made.path('Location')}/HistoricalLocations") == []
    assert client.values(f"{made.path('FeatureOfInterest')}/Observations") == []
    assert client.values(f"{made.path('Actuator')}/TaskingCapabilities") == []
    for name in ("Thing", "Datastream", "Task", "Observation"):
        entities = BY_NAME[name].entities
        assert client.ids(entities, filter=f"id eq {made.ids[name]}") == []


@DELETE
def test_observations_by_a_filter(client: Client) -> None:
    """An extension that clients of other services know; without a filter nothing is deleted."""
    first, second = grid(client, [1, 2, 3, 4]), grid(client, [1, 2])
    assert client.send("DELETE", f"{first}/Observations?$filter=result gt 2").status_code in {200, 204}
    assert client.results(f"{first}/Observations") == [1, 2]
    assert client.results(f"{second}/Observations") == [1, 2]
    client.refuse("DELETE", f"{first}/Observations", None, 405)
    client.refuse("DELETE", f"{first}/Observations?$filter=nothing gt 2", None, 400)
    client.refuse("DELETE", "Datastreams(987654321)/Observations?$filter=result gt 2", None, 404)
    assert client.results(f"{first}/Observations") == [1, 2]
