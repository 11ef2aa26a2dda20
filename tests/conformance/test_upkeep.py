"""What the service keeps true of a Datastream: phenomenonTime, resultTime, observedArea (18-088 8.2.4)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from tests.conformance.client import Client, link
from tests.conformance.requirement import requirement
from tests.conformance.sample import datastream, feature, location, multi_datastream, point, thing

KEPT = requirement("datamodel/datastream/properties")


def _stream(client: Client, **more: Any) -> str:
    body = datastream(Thing=thing(Locations=[location(location=point(8, 51))])) | more
    return f"Datastreams({client.create('Datastreams', body)})"


def _post(client: Client, path: str, **body: Any) -> int:
    key: int = client.create(f"{path}/Observations", {"result": 1} | body)
    return key


def _span(client: Client, path: str, name: str) -> list[str] | None:
    value = client.get(path).get(name)
    if value is None:
        return None
    return [datetime.fromisoformat(part).strftime("%Y-%m-%d") for part in value.split("/")]


@KEPT
def test_a_new_stream_was_at_no_time_and_nowhere(client: Client) -> None:
    path = _stream(client)
    for name in ("phenomenonTime", "resultTime", "observedArea"):
        assert client.get(path).get(name) is None
        assert client.ask(f"{path}/{name}").status_code == 204


@KEPT
def test_the_time_grows_with_observations(client: Client) -> None:
    path = _stream(client)
    _post(client, path, phenomenonTime="2020-05-05T00:00:00Z")
    assert _span(client, path, "phenomenonTime") == ["2020-05-05", "2020-05-05"]
    _post(client, path, phenomenonTime="2020-05-01T00:00:00Z")
    assert _span(client, path, "phenomenonTime") == ["2020-05-01", "2020-05-05"]
    _post(client, path, phenomenonTime="2020-05-03T00:00:00Z/2020-05-09T00:00:00Z")
    assert _span(client, path, "phenomenonTime") == ["2020-05-01", "2020-05-09"]


@KEPT
def test_the_time_of_results_is_kept_apart(client: Client) -> None:
    path = _stream(client)
    _post(client, path, phenomenonTime="2020-05-05T00:00:00Z")
    assert _span(client, path, "resultTime") is None
    _post(client, path, phenomenonTime="2020-05-05T00:00:00Z", resultTime="2020-05-07T00:00:00Z")
    _post(client, path, phenomenonTime="2020-05-05T00:00:00Z", resultTime="2020-05-06T00:00:00Z")
    assert _span(client, path, "resultTime") == ["2020-05-06", "2020-05-07"]
    assert _span(client, path, "phenomenonTime") == ["2020-05-05", "2020-05-05"]


@KEPT
def test_the_time_follows_a_change(client: Client) -> None:
    path = _stream(client)
    first = _post(client, path, phenomenonTime="2020-05-01T00:00:00Z")
    _post(client, path, phenomenonTime="2020-05-05T00:00:00Z")
    client.change("PATCH", f"Observations({first})", {"phenomenonTime": "2020-05-08T00:00:00Z"})
    assert _span(client, path, "phenomenonTime") == ["2020-05-05", "2020-05-08"]


@KEPT
def test_the_time_shrinks_with_deletion(client: Client) -> None:
    path = _stream(client)
    keys = [_post(client, path, phenomenonTime=f"2020-05-0{day}T00:00:00Z") for day in (1, 4, 7)]
    client.delete(f"Observations({keys[2]})")
    assert _span(client, path, "phenomenonTime") == ["2020-05-01", "2020-05-04"]
    client.delete(f"Observations({keys[0]})")
    assert _span(client, path, "phenomenonTime") == ["2020-05-04", "2020-05-04"]
    client.delete(f"Observations({keys[1]})")
    assert _span(client, path, "phenomenonTime") is None


@KEPT
def test_the_time_grows_with_a_data_array(client: Client) -> None:
    path = _stream(client)
    rows = [[f"2021-0{month}-01T00:00:00Z", month] for month in (3, 1, 2)]
    whole = {
        "Datastream": link(int(path[12:-1])),
        "components": ["phenomenonTime", "result"],
        "dataArray": rows,
    }
    assert client.send("POST", "CreateObservations", [whole]).status_code == 201
    assert _span(client, path, "phenomenonTime") == ["2021-01-01", "2021-03-01"]


@KEPT
def test_a_client_does_not_write_it(client: Client) -> None:
    span = "1999-01-01T00:00:00Z/1999-02-01T00:00:00Z"
    path = _stream(client, phenomenonTime=span, resultTime=span)
    assert client.get(path).get("phenomenonTime") in {None, span}  # kept until an Observation says better
    _post(client, path, phenomenonTime="2020-05-05T00:00:00Z")
    assert (_span(client, path, "phenomenonTime") or [""])[-1] == "2020-05-05"


def _corners(area: Any) -> set[tuple[float, ...]]:
    found: set[tuple[float, ...]] = set()

    def collect(part: Any) -> None:
        if part and isinstance(part[0], int | float):
            found.add(tuple(part))
        else:
            for one in part:
                collect(one)

    if area["type"] == "GeometryCollection":
        for one in area["geometries"]:
            collect(one["coordinates"])
    else:
        collect(area["coordinates"])
    return found


@KEPT
def test_the_area_is_where_the_features_are(client: Client) -> None:
    path = _stream(client)
    _post(client, path)
    assert (8, 51) in _corners(client.get(path)["observedArea"])
    for place in (point(9, 52), point(7, 53)):
        _post(client, path, FeatureOfInterest=feature(feature=place))
    longitudes, latitudes = zip(*_corners(client.get(path)["observedArea"]), strict=True)
    assert (min(longitudes), max(longitudes)) == (7, 9)
    assert (min(latitudes), max(latitudes)) == (51, 53)


@KEPT
def test_the_area_holds_features_of_any_shape(client: Client) -> None:
    path = _stream(client)
    shape = {"type": "Polygon", "coordinates": [[[0, 0], [2, 0], [2, 2], [0, 2], [0, 0]]]}
    _post(client, path, FeatureOfInterest=feature(feature=shape))
    assert {(0, 0), (2, 2)} <= _corners(client.get(path)["observedArea"])


@KEPT
def test_a_feature_without_a_geometry_changes_nothing(client: Client) -> None:
    path = _stream(client)
    _post(client, path, FeatureOfInterest=feature(encodingType="text/plain", feature="over there"))
    assert client.get(path).get("observedArea") is None
    _post(client, path)
    assert (8, 51) in _corners(client.get(path)["observedArea"])


@requirement("multi-datastream/properties")
def test_a_multi_datastream_keeps_the_same(client: Client) -> None:
    body = multi_datastream(Thing=thing(Locations=[location(location=point(8, 51))]))
    path = f"MultiDatastreams({client.create('MultiDatastreams', body)})"
    assert _span(client, path, "phenomenonTime") is None
    _post(client, path, result=[1, 2], phenomenonTime="2020-05-05T00:00:00Z")
    _post(client, path, result=[1, 2], phenomenonTime="2020-05-02T00:00:00Z")
    assert _span(client, path, "phenomenonTime") == ["2020-05-02", "2020-05-05"]
    assert (8, 51) in _corners(client.get(path)["observedArea"])


@KEPT
@requirement("request-data/select")
@pytest.mark.parametrize("name", ["phenomenonTime", "resultTime"])
def test_a_time_that_is_asked_for_alone_is_as_new(client: Client, name: str) -> None:
    path = _stream(client)
    for day in ("2020-05-05", "2020-05-07"):
        _post(client, path, **dict.fromkeys(("phenomenonTime", "resultTime"), f"{day}T00:00:00Z"))
        found = client.get(path, select=name)
        assert found == {name: client.get(path)[name]}
        assert day in found[name]
