"""``$filter`` with the geospatial functions (18-088 section 9.3.3.5.2, tables 28 and 29)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conformance.client import Client, Json
from tests.conformance.requirement import requirement
from tests.conformance.sample import datastream, feature, grid, location, point, thing

GEO = requirement("request-data/built-in-query-functions")

SHAPES: dict[str, Json] = {
    "point": point(8, 51),
    "far": point(8, 54),
    "edge": point(7, 53),
    "line": {"type": "LineString", "coordinates": [[5, 52], [5, 53]]},
    "slope": {"type": "LineString", "coordinates": [[5, 52], [8, 56]]},
    "long": {"type": "LineString", "coordinates": [[4, 52], [8, 52]]},
    "triangle": {"type": "Polygon", "coordinates": [[[8, 53], [7, 52], [7, 53], [8, 53]]]},
    "holed": {
        "type": "Polygon",
        "coordinates": [
            [[20, 20], [30, 20], [30, 30], [20, 30], [20, 20]],
            [[24, 24], [26, 24], [26, 26], [24, 26], [24, 24]],
        ],
    },
    "points": {"type": "MultiPoint", "coordinates": [[40, 40], [41, 41]]},
    "lines": {"type": "MultiLineString", "coordinates": [[[50, 50], [51, 50]], [[52, 50], [53, 50]]]},
    "areas": {
        "type": "MultiPolygon",
        "coordinates": [
            [[[60, 60], [61, 60], [61, 61], [60, 60]]],
            [[[62, 60], [63, 60], [63, 61], [62, 60]]],
        ],
    },
    "mixed": {
        "type": "GeometryCollection",
        "geometries": [point(70, 70), {"type": "LineString", "coordinates": [[71, 70], [72, 70]]}],
    },
}


@pytest.fixture(scope="module")
def places(client: Client) -> str:
    """The Locations of one Thing, one of each shape."""
    made = [location(name=name, location=shape) for name, shape in SHAPES.items()]
    made.append(
        location(name="packed", location={"type": "Feature", "properties": {}, "geometry": point(80, 80)})
    )
    made.append(location(name="address", encodingType="text/plain", location="Main Street 1"))
    key = client.create("Things", thing(Locations=made))
    return f"Things({key})/Locations"


CASES: list[tuple[str, str]] = [
    ("geo.distance(location, geography'POINT(8 54.1)') lt 1", "far"),
    ("geo.distance(location, geography'POINT (8 51)') eq 0", "point"),
    ("geo.distance(geography'POINT(8 54.1)', location) lt 0.2", "far"),
    ("geo.distance(location, geography'POINT(8 51)') lt 1.5", "long point triangle"),
    ("geo.length(location) eq 1", "line mixed"),
    ("geo.length(location) eq 2", "lines"),
    ("geo.length(location) gt 3", "long slope"),
    ("geo.length(location) eq 5", "slope"),
    ("geo.length(location) ge 5", "slope"),
    ("geo.intersects(location, geography'LINESTRING(7.5 51, 7.5 54)')", "long triangle"),
    ("geo.intersects(location, geography'POLYGON((7.5 50, 8.5 50, 8.5 54.5, 7.5 54.5, 7.5 50))')",
     "far long point triangle"),
    ("geo.intersects(location, geography'POINT(25 25)')", ""),
    ("geo.intersects(location, geography'POINT(22 22)')", "holed"),
    ("geo.intersects(location, geography'POINT(40 40)')", "points"),
    ("geo.intersects(location, geography'LINESTRING(50 49, 50.5 51)')", "lines"),
    ("geo.intersects(location, geography'POINT(62.9 60.5)')", "areas"),
    ("geo.intersects(location, geography'POINT(71.5 70)')", "mixed"),
    ("geo.intersects(location, geography'MULTIPOINT((8 51),(8 54))')", "far point"),
    ("geo.intersects(location, geography'POINT(80 80)')", "packed"),
    ("st_equals(location, geography'POINT(8 51)')", "point"),
    ("st_equals(location, geography'LINESTRING(5 53, 5 52)')", "line"),
    ("st_equals(location, geography'POLYGON((7 52, 7 53, 8 53, 7 52))')", "triangle"),
    ("st_disjoint(location, geography'POLYGON((0 0, 90 0, 90 65, 0 65, 0 0))')", "mixed packed"),
    ("st_touches(location, geography'POLYGON((8 53, 9 53, 9 54, 8 53))')", "triangle"),
    ("st_touches(location, geography'LINESTRING(5 53, 5 54)')", "line"),
    ("st_within(location, geography'POLYGON((7.5 50, 8.5 50, 8.5 51.5, 7.5 51.5, 7.5 50))')", "point"),
    ("st_within(location, geography'POLYGON((4 51, 6 51, 6 54, 4 54, 4 51))')", "line"),
    ("st_within(geography'POINT(7.1 52.9)', location)", "triangle"),
    ("st_overlaps(location, geography'POLYGON((6 51, 7.5 51, 7.5 53.5, 6 53.5, 6 51))')", "triangle"),
    ("st_overlaps(location, geography'LINESTRING(6 52, 10 52)')", "long"),
    ("st_crosses(location, geography'LINESTRING(7.2 51, 7.2 54)')", "long triangle"),
    ("st_crosses(location, geography'LINESTRING(4 52.5, 6 52.5)')", "line slope"),
    ("st_intersects(location, geography'LINESTRING(7.5 51, 7.5 54)')", "long triangle"),
    ("st_contains(location, geography'POINT(7.1 52.9)')", "triangle"),
    ("st_contains(location, geography'POINT(5 52.5)')", "line"),
    ("st_contains(geography'POLYGON((4 51, 6 51, 6 54, 4 54, 4 51))', location)", "line"),
    ("st_relate(location, geography'POLYGON((7 50, 9 50, 9 51.5, 7 51.5, 7 50))', 'T********')", "point"),
    ("st_relate(location, geography'POINT(8 51)', '0FFFFFFF2')", "point"),
    ("geo.intersects(location, geography'POINT(8 51)') and name eq 'point'", "point"),
    ("geo.intersects(location, geography'POINT(8 51)') or name eq 'line'", "line point"),
    ("not geo.intersects(location, geography'POLYGON((0 0, 90 0, 90 65, 0 65, 0 0))') and name ne 'address'",
     "mixed packed"),
    ("geo.distance(location, geography'POINT(8 51)') lt 0.1 eq true", "point"),
]  # fmt: skip


@GEO
@pytest.mark.parametrize(("text", "expected"), CASES)
def test_a_function_on_locations(client: Client, places: str, text: str, expected: str) -> None:
    if text.endswith("eq true"):
        text = f"({text.removesuffix(' eq true')}) eq true"
    assert sorted(client.names(places, filter=text)) == expected.split()


@GEO
@pytest.mark.parametrize("name", SHAPES)
def test_every_geometry_comes_back_as_it_went(client: Client, places: str, name: str) -> None:
    assert client.values(places, filter=f"name eq '{name}'")[0]["location"] == SHAPES[name]


@GEO
def test_points_have_no_length(client: Client, places: str) -> None:
    found = client.names(places, filter="geo.length(location) le 4")
    assert {"point", "triangle", "line", "long"} <= set(found)
    assert "slope" not in found


@GEO
def test_features_of_interest(client: Client) -> None:
    path = grid(client, [])
    for at, (name, shape) in enumerate(list(SHAPES.items())[:7]):
        seen = feature(name=name, feature=shape)
        client.create(f"{path}/Observations", {"result": at, "FeatureOfInterest": seen})
    text = "geo.distance(FeatureOfInterest/feature, geography'POINT(8 54.1)') lt 1"
    assert client.results(f"{path}/Observations", filter=text) == [1]
    text = "st_within(FeatureOfInterest/feature, geography'POLYGON((7 50,9 50,9 52,7 52,7 50))')"
    assert client.results(f"{path}/Observations", filter=text) == [0]
    text = f"Observations/Datastream/id eq {path[12:-1]} and geo.length(feature) gt 4"
    assert client.names("FeaturesOfInterest", filter=text) == ["slope"]


@GEO
def test_things_by_their_locations(client: Client, places: str) -> None:
    thing_id = int(places.partition("(")[2].partition(")")[0])
    text = f"geo.intersects(Locations/location, geography'POINT(22 22)') and id eq {thing_id}"
    assert client.ids("Things", filter=text) == [thing_id]
    text = f"geo.distance(Locations/location, geography'POINT(-100 -45)') lt 1 and id eq {thing_id}"
    assert client.ids("Things", filter=text) == []


@GEO
def test_the_observed_area(client: Client) -> None:
    body = datastream(Thing=thing(Locations=[location(location=point(8, 53))]))
    key = client.create("Datastreams", body)
    client.create(f"Datastreams({key})/Observations", {"result": 1})
    area = "geography'POLYGON((7.5 51.5, 7.5 53.5, 8.5 53.5, 8.5 51.5, 7.5 51.5))'"
    assert client.ids("Datastreams", filter=f"geo.intersects(observedArea, {area}) and id eq {key}") == [key]
    other = area.replace("53.5", "52.5")
    assert client.ids("Datastreams", filter=f"st_within(observedArea, {other}) and id eq {key}") == []


@GEO
def test_by_distance_in_order(client: Client, places: str) -> None:
    answer = client.ask(
        places,
        orderby="geo.distance(location, geography'POINT(8 51)')",
        filter="name eq 'point' or name eq 'far' or name eq 'edge'",
    )
    assert answer.status_code in {200, 501}
    if answer.status_code == 200:
        assert [one["name"] for one in answer.json()["value"]] == ["point", "edge", "far"]


@GEO
@requirement("request-data/query-status-code")
@pytest.mark.parametrize(
    "text",
    [
        "geo.distance(location, geography'POINT(8)') lt 1",
        "geo.distance(location, geography'NOTHING(8 51)') lt 1",
        "geo.distance(location, geography'POINT(8 51') lt 1",
        "geo.distance(location, 'POINT(8 51)') lt 1",
        "geo.distance(location) lt 1",
        "geo.length(location, location) lt 1",
        "geo.intersects(location)",
        "st_equals(location)",
        "st_relate(location, geography'POINT(8 51)')",
        "st_relate(location, geography'POINT(8 51)', 'nonsense')",
        "st_nothing(location, geography'POINT(8 51)')",
        "geo.nothing(location)",
    ],
)
def test_a_malformed_geometry_is_400(client: Client, text: str) -> None:
    assert client.status("Locations", filter=text) == 400


@GEO
@pytest.mark.parametrize("crs", ["", "SRID=4326;"])
def test_the_reference_system_may_be_named(client: Client, places: str, crs: str) -> None:
    answer: Any = client.ask(places, filter=f"geo.intersects(location, geography'{crs}POINT(8 51)')")
    assert answer.status_code == (200 if not crs else answer.status_code)
    assert answer.status_code in {200, 400, 501}
