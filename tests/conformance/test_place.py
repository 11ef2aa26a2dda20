"""Locations and HistoricalLocations (18-088 sections 8.2.3, 10.2.1, 10.3)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from tests.conformance.client import Client, Id, link
from tests.conformance.requirement import requirement
from tests.conformance.sample import location, thing

AUTOMATIC = requirement("create-update-delete/historical-location-auto-creation")
MANUAL = requirement("create-update-delete/historical-location-manual-creation")


def _places(client: Client, count: int) -> list[Id]:
    return [client.create("Locations", location()) for _ in range(count)]


def _history(client: Client, top: Id) -> list[list[Id]]:
    """Return the ids of the Locations of each HistoricalLocation of a Thing, newest first."""
    found = client.values(
        f"Things({top})/HistoricalLocations", orderby="time desc,id desc", expand="Locations($select=id)"
    )
    return [[place["@iot.id"] for place in one["Locations"]] for one in found]


@AUTOMATIC
def test_a_thing_with_a_location_has_history(client: Client) -> None:
    (place,) = _places(client, 1)
    top = client.create("Things", thing(Locations=[link(place)]))
    assert _history(client, top) == [[place]]
    (one,) = client.values(f"Things({top})/HistoricalLocations")
    came = datetime.fromisoformat(one["time"])
    assert abs(datetime.now(UTC) - came) < timedelta(minutes=1)


@AUTOMATIC
@requirement("request-data/built-in-filter-operations")
def test_the_time_that_the_service_gave_is_found_by_what_it_says(client: Client) -> None:
    top = client.create("Things", thing(Locations=[location()]))
    path = f"Things({top})/HistoricalLocations"
    (one,) = client.values(path)
    for name, count in (("eq", 1), ("ge", 1), ("le", 1), ("gt", 0), ("lt", 0)):
        assert len(client.values(path, filter=f"time {name} {one['time']}")) == count


@AUTOMATIC
def test_a_thing_without_a_location_has_none(client: Client) -> None:
    top = client.create("Things", thing())
    assert _history(client, top) == []


@AUTOMATIC
def test_a_new_location_writes_history(client: Client) -> None:
    first, second = _places(client, 2)
    top = client.create("Things", thing(Locations=[link(first)]))
    client.change("PATCH", f"Things({top})", {"Locations": [link(second)]})
    assert client.ids(f"Things({top})/Locations") == [second]
    assert _history(client, top) == [[second], [first]]


@AUTOMATIC
def test_a_location_posted_to_a_thing_moves_it(client: Client) -> None:
    (first,) = _places(client, 1)
    top = client.create("Things", thing(Locations=[link(first)]))
    second = client.create(f"Things({top})/Locations", location())
    assert second in client.ids(f"Things({top})/Locations")
    assert second in _history(client, top)[0]
    assert len(_history(client, top)) == 2


@AUTOMATIC
def test_a_location_with_a_link_to_a_thing_writes_history(client: Client) -> None:
    top = client.create("Things", thing())
    place = client.create("Locations", location(Things=[link(top)]))
    assert client.ids(f"Things({top})/Locations") == [place]
    assert _history(client, top) == [[place]]


@AUTOMATIC
def test_several_locations_are_one_entry(client: Client) -> None:
    places = [
        location(encodingType="application/geo+json"),
        location(encodingType="text/plain", location="x"),
    ]
    top = client.create("Things", thing(Locations=places))
    assert len(_history(client, top)) == 1
    assert len(_history(client, top)[0]) == 2


@AUTOMATIC
def test_a_change_of_anything_else_writes_none(client: Client) -> None:
    (place,) = _places(client, 1)
    top = client.create("Things", thing(Locations=[link(place)]))
    client.change("PATCH", f"Things({top})", {"description": "moved in words only"})
    client.change("PATCH", f"Locations({place})", {"description": "the place itself"})
    assert _history(client, top) == [[place]]


@MANUAL
def test_an_entry_by_hand(client: Client) -> None:
    (place,) = _places(client, 1)
    top = client.create("Things", thing())
    body = {"time": "2015-01-01T00:00:00Z", "Thing": link(top), "Locations": [link(place)]}
    key = client.create("HistoricalLocations", body)
    found = client.get(f"HistoricalLocations({key})", expand="Thing,Locations")
    assert found["time"].startswith("2015-01-01T00:00:00")
    assert found["Thing"]["@iot.id"] == top
    assert [one["@iot.id"] for one in found["Locations"]] == [place]
    assert client.ids(f"Locations({place})/HistoricalLocations") == [key]


@MANUAL
def test_the_latest_entry_moves_the_thing(client: Client) -> None:
    first, second, third = _places(client, 3)
    top = client.create("Things", thing(Locations=[link(first)]))
    (made,) = client.ids(f"Things({top})/HistoricalLocations")
    client.change("PATCH", f"HistoricalLocations({made})", {"time": "2016-01-01T06:00:00Z"})
    later = {"time": "2016-01-01T07:00:00Z", "Thing": link(top), "Locations": [link(second)]}
    client.create("HistoricalLocations", later)
    assert client.ids(f"Things({top})/Locations") == [second]
    earlier = {"time": "2016-01-01T05:00:00Z", "Thing": link(top), "Locations": [link(third)]}
    client.create("HistoricalLocations", earlier)
    assert client.ids(f"Things({top})/Locations") == [second]
    assert _history(client, top) == [[second], [first], [third]]


@MANUAL
def test_an_entry_below_a_thing(client: Client) -> None:
    (place,) = _places(client, 1)
    top = client.create("Things", thing())
    body = {"time": "2015-01-01T00:00:00Z", "Locations": [link(place)]}
    client.create(f"Things({top})/HistoricalLocations", body)
    assert _history(client, top) == [[place]]
    assert client.ids(f"Things({top})/Locations") == [place]


@MANUAL
def test_the_time_of_an_entry_can_be_changed(client: Client) -> None:
    top = client.create("Things", thing(Locations=[location()]))
    (key,) = client.ids(f"Things({top})/HistoricalLocations")
    for method, time in (("PATCH", "2015-07-01T00:00:00Z"), ("PUT", "2015-08-01T00:00:00Z")):
        client.change(method, f"HistoricalLocations({key})", {"time": time})
        assert client.get(f"HistoricalLocations({key})")["time"][:10] == time[:10]


@MANUAL
def test_an_entry_in_order_of_time(client: Client) -> None:
    places = _places(client, 3)
    top = client.create("Things", thing())
    for place, year in zip(places, (2003, 2001, 2002), strict=True):
        body = {"time": f"{year}-01-01T00:00:00Z", "Thing": link(top), "Locations": [link(place)]}
        client.create("HistoricalLocations", body)
    assert _history(client, top) == [[places[0]], [places[2]], [places[1]]]
