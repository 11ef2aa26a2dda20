"""The data array extension, in and out (18-088 section 15)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conformance.client import Client, Json, link
from tests.conformance.requirement import requirement
from tests.conformance.sample import datastream, feature, grid, location, multi_datastream, thing

ARRAY = requirement("data-array/data-array")


def _key(path: str) -> int:
    return int(path.partition("(")[2][:-1])


def _array(path: str, rows: list[Any], *components: str, **more: Any) -> Json:
    stream = {path.partition("s(")[0]: link(_key(path))}
    names = list(components) or ["phenomenonTime", "result"]
    return stream | {"components": names, "dataArray@iot.count": len(rows), "dataArray": rows} | more


def _post(client: Client, body: Any) -> list[str]:
    answer = client.send("POST", "CreateObservations", body)
    assert answer.status_code == 201, answer.text
    found: list[str] = answer.json()
    assert all(isinstance(one, str) for one in found)
    return found


@ARRAY
def test_many_at_once(client: Client) -> None:
    path = grid(client, [])
    links = _post(client, [_array(path, [[f"2010-12-23T10:2{at}:00-07:00", at] for at in range(5)])])
    assert len(links) == 5
    for at, one in enumerate(links):
        found = client.get(one)
        assert found["@iot.selfLink"] == one
        assert found["result"] == at
        assert found["phenomenonTime"].startswith(f"2010-12-23T17:2{at}:00")


@ARRAY
def test_for_several_streams_in_order(client: Client) -> None:
    first, second = grid(client, []), grid(client, [])
    body = [_array(first, [["2020-01-01T00:00:00Z", 1]]), _array(second, [["2020-01-01T00:00:00Z", 2]])]
    links = _post(client, [*body, _array(first, [["2020-01-02T00:00:00Z", 3]])])
    assert [client.get(one)["result"] for one in links] == [1, 2, 3]
    assert client.results(f"{first}/Observations", orderby="result") == [1, 3]


@ARRAY
def test_every_component(client: Client) -> None:
    path = grid(client, [])
    seen = client.create("FeaturesOfInterest", feature())
    names = ("phenomenonTime", "resultTime", "result", "resultQuality", "validTime", "parameters")
    span = "2020-01-01T00:00:00Z/2020-01-02T00:00:00Z"
    row = [span, "2020-01-03T00:00:00Z", {"x": 1}, "good", span, {"a": [1]}, seen]
    (made,) = _post(client, [_array(path, [row], *names, "FeatureOfInterest/id")])
    found = client.get(made, expand="FeatureOfInterest")
    assert (found["result"], found["resultQuality"], found["parameters"]) == ({"x": 1}, "good", {"a": [1]})
    assert found["resultTime"].startswith("2020-01-03T00:00:00")
    assert "/" in found["phenomenonTime"]
    assert "/" in found["validTime"]
    assert found["FeatureOfInterest"]["@iot.id"] == seen


@ARRAY
@pytest.mark.parametrize("component", ["FeatureOfInterest/id", "FeatureOfInterest/@iot.id"])
def test_one_bad_row_does_not_spoil_the_others(client: Client, component: str) -> None:
    path = grid(client, [])
    seen = client.create("FeaturesOfInterest", feature())
    rows = [["2020-01-01T00:00:00Z", 20, seen], ["2020-01-01T00:01:00Z", 30, "nobody"]]
    answer = client.send(
        "POST", "CreateObservations", [_array(path, rows, "phenomenonTime", "result", component)]
    )
    if component.endswith("@iot.id") and answer.status_code == 400:
        return  # the standard writes it without the sign
    found = answer.json()
    assert answer.status_code == 201
    assert found[0].startswith("http")
    assert found[1].lower().startswith("error")
    assert client.results(f"{path}/Observations") == [20]


@ARRAY
def test_bad_rows_of_every_kind(client: Client) -> None:
    path = grid(client, [])
    rows: list[Any] = [
        ["2020-01-01T00:00:00Z", 1],
        ["never", 2],
        ["2020-01-01T00:00:00Z"],
        ["2020-01-01T00:00:00Z", 4, 5],
        5,
        ["2020-01-01T00:00:00Z", 6],
    ]
    found = _post(client, [_array(path, rows)])
    assert [one.lower().startswith("error") for one in found] == [False, True, True, True, True, False]
    assert client.results(f"{path}/Observations", orderby="result") == [1, 6]


@ARRAY
def test_a_stream_that_is_not_there_spoils_its_rows_alone(client: Client) -> None:
    path = grid(client, [])
    lost = _array(path, [["2020-01-01T00:00:00Z", 1]] * 2) | {"Datastream": link(987_654_321)}
    answer = client.send("POST", "CreateObservations", [lost, _array(path, [["2020-01-01T00:00:00Z", 3]])])
    assert answer.status_code in {201, 400, 404}
    if answer.status_code == 201:
        assert [one.lower().startswith("error") for one in answer.json()] == [True, True, False]


@ARRAY
def test_the_feature_is_made_once(client: Client) -> None:
    path = grid(client, [])
    _post(client, [_array(path, [[f"2020-01-0{day}T00:00:00Z", day] for day in (1, 2, 3)])])
    found = client.values(f"{path}/Observations", expand="FeatureOfInterest($select=id)")
    assert len({one["FeatureOfInterest"]["@iot.id"] for one in found}) == 1


@ARRAY
def test_results_alone_are_of_now(client: Client) -> None:
    path = grid(client, [])
    found = [client.get(one) for one in _post(client, [_array(path, [[1], [2]], "result")])]
    assert [one["result"] for one in found] == [1, 2]
    assert all(one["phenomenonTime"].startswith("20") for one in found)


@ARRAY
def test_results_of_every_type(client: Client) -> None:
    path = grid(client, [])
    values: list[Any] = [1, 2.5, "text", True, None, [1, 2], {"a": 1}, ""]
    found = _post(client, [_array(path, [["2020-01-01T00:00:00Z", one] for one in values])])
    assert [client.get(one)["result"] for one in found] == values


@ARRAY
def test_a_multi_datastream_takes_arrays(client: Client) -> None:
    body = multi_datastream(Thing=thing(Locations=[location()]))
    path = f"MultiDatastreams({client.create('MultiDatastreams', body)})"
    rows: list[Any] = [["2020-01-01T00:00:00Z", [5, 20]], ["2020-01-01T00:01:00Z", 30]]
    found = _post(client, [_array(path, rows)])
    assert client.get(found[0])["result"] == [5, 20]
    assert found[1].lower().startswith("error")


@ARRAY
def test_a_thousand_rows(client: Client) -> None:
    path = grid(client, [])
    rows = [[f"2020-01-01T{at // 3600:02d}:{at // 60 % 60:02d}:{at % 60:02d}Z", at] for at in range(1000)]
    assert len(set(_post(client, [_array(path, rows)]))) == 1000
    assert client.get(f"{path}/Observations", count=True, top=0)["@iot.count"] == 1000


@ARRAY
@requirement("request-data/status-code")
@pytest.mark.parametrize(
    "body",
    [
        {},
        5,
        "x",
        [5],
        [{}],
        [{"components": ["result"], "dataArray": [[1]]}],
        [{"Datastream": {"@iot.id": 1}, "components": "result", "dataArray": [[1]]}],
        [{"Datastream": {"@iot.id": 1}, "components": ["nothing"], "dataArray": [[1]]}],
        [{"Datastream": {"@iot.id": 1}, "components": ["result"], "dataArray": 5}],
        [{"Datastream": {"@iot.id": 1}, "components": ["result"]}],
        [{"Datastream": {"@iot.id": 1}, "components": ["result", "result"], "dataArray": [[1, 2]]}],
        [
            {
                "Datastream": {"@iot.id": 1},
                "components": ["result", "FeatureOfInterest/id", "FeatureOfInterest"],
                "dataArray": [[1, None, 999_999_999]],
            }
        ],
        [{"Datastream": {"@iot.id": 1}, "dataArray": [[1]]}],
    ],
    ids=str,
)
def test_a_malformed_array_is_400(client: Client, body: Any) -> None:
    answer = client.send("POST", "CreateObservations", body)
    if answer.status_code == 201:
        assert all(one.lower().startswith("error") for one in answer.json())
        return
    assert answer.status_code == 400, answer.text


@ARRAY
def test_nothing_to_create(client: Client) -> None:
    answer = client.send("POST", "CreateObservations", [])
    assert answer.status_code in {201, 400}
    assert answer.status_code == 400 or answer.json() == []


@pytest.fixture(scope="module")
def series(client: Client) -> str:
    rows = [
        {
            "result": at,
            "phenomenonTime": f"2024-01-01T0{at}:00:00Z",
            "resultTime": f"2024-01-01T0{at}:30:00Z",
            "parameters": {"at": at},
        }
        for at in range(6)
    ]
    return f"{grid(client, [], Observations=rows)}/Observations"


@ARRAY
def test_arrays_come_out(client: Client, series: str) -> None:
    page = client.get(series, resultFormat="dataArray", count=True, top=4, orderby="result")
    assert page["@iot.count"] == 6
    assert page["@iot.nextLink"]
    (one,) = page["value"]
    assert "Datastream@iot.navigationLink" in one
    names = one["components"]
    assert len(names) == len(set(names))
    known = {
        "id",
        "@iot.id",
        "phenomenonTime",
        "result",
        "resultTime",
        "resultQuality",
        "validTime",
        "parameters",
    }
    assert {"phenomenonTime", "result", "resultTime"} <= set(names) <= known
    assert one["dataArray@iot.count"] == len(one["dataArray"]) == 4
    assert all(len(row) == len(names) for row in one["dataArray"])
    assert [row[names.index("result")] for row in one["dataArray"]] == [0, 1, 2, 3]
    assert one["dataArray"][2][names.index("parameters")] == {"at": 2}


@ARRAY
def test_the_navigation_link_leads_to_the_stream(client: Client, series: str) -> None:
    (one,) = client.values(series, resultFormat="dataArray")
    found = client.get(one["Datastream@iot.navigationLink"])
    assert found["@iot.id"] == _key(series.partition("/")[0])


@ARRAY
def test_selected_components(client: Client, series: str) -> None:
    (one,) = client.values(
        series, resultFormat="dataArray", select="result,phenomenonTime", orderby="phenomenonTime desc"
    )
    assert set(one["components"]) == {"result", "phenomenonTime"}
    assert [row[one["components"].index("result")] for row in one["dataArray"]] == [5, 4, 3, 2, 1, 0]


@ARRAY
def test_filtered_arrays(client: Client, series: str) -> None:
    (one,) = client.values(
        series, resultFormat="dataArray", select="result", filter="result gt 3", orderby="id"
    )
    assert one["dataArray"] == [[4], [5]]


@ARRAY
def test_pages_of_arrays(client: Client, series: str) -> None:
    found = client.walk(series, resultFormat="dataArray", select="result", orderby="result", top=2)
    assert [row for one in found for row in one["dataArray"]] == [[at] for at in range(6)]


@ARRAY
def test_arrays_of_several_streams(client: Client) -> None:
    seen = client.create("FeaturesOfInterest", feature())
    for _ in range(2):
        rows = [{"result": at, "FeatureOfInterest": link(seen)} for at in range(3)]
        client.create("Datastreams", datastream(Thing=thing(), Observations=rows))
    multi = client.create("MultiDatastreams", multi_datastream(Thing=thing()))
    both = {"result": [1, 2], "FeatureOfInterest": link(seen)}
    client.create(f"MultiDatastreams({multi})/Observations", both)
    found = client.values(f"FeaturesOfInterest({seen})/Observations", resultFormat="dataArray")
    links = [one.get("Datastream@iot.navigationLink") for one in found]
    assert len(found) == 3
    assert links.count(None) == 1
    assert sum(one["dataArray@iot.count"] for one in found) == 7
    assert [one for one in found if "MultiDatastream@iot.navigationLink" in one]


@ARRAY
def test_an_empty_set_of_arrays(client: Client, series: str) -> None:
    assert client.values(series, resultFormat="dataArray", filter="result gt 100") == []


@ARRAY
def test_other_formats(client: Client, series: str) -> None:
    assert client.status(series, resultFormat="nothing") in {400, 501}
    assert client.status("Things", resultFormat="dataArray") in {200, 400, 501}
