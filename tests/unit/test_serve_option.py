"""SensorThings, read: every query option, and what projects see, over a real catalogue and a real store."""

from __future__ import annotations

import pytest

from nervure.core.error import NotFoundError
from nervure.core.observation import observation_id
from nervure.serve.sensorthings import SensorThings
from nervure.store.scope import EVERYTHING
from tests.entities import BASE, TWO, answer, get, ids

FIRST = observation_id(1)
TEXT = observation_id(22)
OBJECT = observation_id(23)
MULTI = observation_id(24)
SPAN = observation_id(25)


def test_select_names_what_is_written(things: SensorThings) -> None:
    assert get(things, "Things?$select=id,name,Datastreams&$top=1")["value"] == [
        {"@iot.id": 1, "name": "Thing 1", "Datastreams@iot.navigationLink": f"{BASE}/Things(1)/Datastreams"}
    ]
    assert get(things, "Things(1)?$select=properties/a/b,properties/n") == {
        "properties": {"a": {"b": [4, 1]}, "n": 1}
    }
    assert get(things, f"Observations({TEXT})?$select=result,resultQuality") == {"result": "off"}


def test_top_skip_and_count(things: SensorThings) -> None:
    page = get(things, "Things?$top=2&$skip=1&$count=true")
    assert (ids(page), page["@iot.count"]) == ([2, 3], 6)
    assert get(things, "Things?$top=0&$count=true") == {"@iot.count": 6, "value": []}
    assert get(things, "Observations?$top=0&$count=true") == {"@iot.count": 28, "value": []}
    assert "@iot.nextLink" not in get(things, "Things?$top=6")


def test_filter_comes_before_count_and_page(things: SensorThings) -> None:
    page = get(
        things,
        "Datastreams(1)/Observations?$filter=result%20gt%205&$count=true&$top=3&$orderby=result%20desc",
    )
    assert page["@iot.count"] == 11
    assert [one["result"] for one in page["value"]] == [10.5, 10, 9.5]
    assert ids(get(things, "Things?$filter=Datastreams/Observations/result%20gt%2010")) == [1]
    assert ids(get(things, "Observations?$filter=Datastream/Thing/id%20eq%202&$select=id")) == [
        SPAN, observation_id(26)
    ]  # fmt: skip


def test_filter_and_order_see_the_newest_times_of_streams(things: SensorThings) -> None:
    url = "Datastreams?$filter=phenomenonTime%20ge%202023-11-14T22:00:00Z&$orderby=phenomenonTime%20desc,id"
    assert set(ids(get(things, url))) == {1, 2, "four", 5}


def test_data_arrays_are_grouped_by_stream(things: SensorThings) -> None:
    page = get(things, "Observations?$resultFormat=dataArray&$top=6&$count=true")
    assert page["@iot.count"] == 28
    groups = {
        one.get("Datastream@iot.navigationLink", one.get("MultiDatastream@iot.navigationLink")): one
        for one in page["value"]
    }
    assert set(groups) == {
        f"{BASE}/Datastreams(1)", f"{BASE}/Datastreams(2)", f"{BASE}/Datastreams('four')",
        f"{BASE}/MultiDatastreams(3)", f"{BASE}/Datastreams(5)",
    }  # fmt: skip
    first = groups[f"{BASE}/Datastreams(1)"]
    assert first["components"] == ["id", "phenomenonTime", "resultTime", "result"]
    assert first["dataArray@iot.count"] == len(first["dataArray"])
    assert first["dataArray"][0] == [FIRST, "2023-11-14T22:00:00.000Z", "2023-11-14T22:00:00.000Z", 0]
    chosen = get(things, "Datastreams(1)/Observations?$resultFormat=dataArray&$select=result,id&$top=1")
    assert chosen["value"][0]["dataArray"] == [[0, FIRST]]
    assert "resultFormat=dataArray" in chosen["@iot.nextLink"]
    assert get(things, chosen["@iot.nextLink"])["value"][0]["dataArray"] == [[0.5, FIRST + 1]]


def test_expansions_are_nested_with_options_of_their_own(things: SensorThings) -> None:
    newest = "Observations($top=1;$orderby=phenomenonTime%20desc;$count=true;$select=result)"
    page = get(
        things, f"Things?$expand=Datastreams($select=name;$expand={newest}),Locations($select=name)&$top=3"
    )
    first, second, third = page["value"]
    assert first["Locations"] == [{"name": "Home"}]
    assert third["Locations"] == []
    assert [one["name"] for one in first["Datastreams"]] == ["Stream 1", "Stream 2"]
    stream = first["Datastreams"][0]
    assert (stream["Observations"], stream["Observations@iot.count"]) == ([{"result": 10.5}], 22)
    assert second["Datastreams"][0]["Observations"] == [{"result": -1}]
    assert "Datastreams@iot.navigationLink" not in first
    link = stream["Observations@iot.nextLink"]
    follow = get(things, link)
    assert (follow["value"], follow["@iot.count"]) == ([{"result": 10}], 22)


def test_a_page_inside_of_another_goes_on(things: SensorThings) -> None:
    options = "$top=1;$select=id;$expand=Observations($top=1;$select=id)"
    page = get(things, f"Things(1)?$expand=Datastreams({options})")
    seen = [(one["@iot.id"], ids({"value": one["Observations"]})) for one in page["Datastreams"]]
    following = get(things, page["Datastreams@iot.nextLink"])
    seen += [(one["@iot.id"], ids({"value": one["Observations"]})) for one in following["value"]]
    assert seen == [(1, [FIRST]), (2, [TEXT])]
    assert "@iot.nextLink" not in following


def test_an_expansion_to_one_is_an_object_or_absent(things: SensorThings) -> None:
    found = get(things, f"Observations({OBJECT})?$expand=Datastream/Thing,FeatureOfInterest,MultiDatastream")
    assert found["Datastream"]["Thing"]["name"] == "Thing 1"
    assert "FeatureOfInterest" not in found
    assert "MultiDatastream" not in found
    multi = get(
        things, f"Observations({MULTI})?$expand=MultiDatastream($expand=ObservedProperties($select=id))"
    )
    assert ids({"value": multi["MultiDatastream"]["ObservedProperties"]}) == [2, 1, 2]


def test_observations_of_several_are_filtered_each_for_itself(things: SensorThings) -> None:
    sifted = "$filter=result%20ge%203;$orderby=result%20desc;$top=2;$skip=1;$select=result;$count=true"
    inner = f"Observations({sifted})"
    page = get(things, f"Datastreams?$expand={inner}&$select=id")
    found = {
        one["@iot.id"]: (one["Observations@iot.count"], [row["result"] for row in one["Observations"]])
        for one in page["value"]
    }
    assert found == {1: (16, [10, 9.5]), 2: (0, []), "four": (1, []), 5: (1, [])}
    features = get(things, "FeaturesOfInterest?$expand=Observations($top=2;$select=id;$count=true)")["value"]
    assert features[0]["Observations@iot.count"] == 24
    assert ids({"value": features[0]["Observations"]}) == [FIRST, TEXT]


def test_projects_do_not_see_each_other(things: SensorThings) -> None:
    assert ids(get(things, "Things", TWO)) == [7]
    assert ids(get(things, "Datastreams", TWO)) == [6]
    assert get(things, "Observations?$count=true&$top=0", TWO)["@iot.count"] == 20
    assert len(ids(get(things, "Observations", TWO))) == 20
    theirs = get(things, "Things?$expand=Datastreams($expand=Observations($top=1;$count=true))", TWO)
    assert theirs["value"][0]["Datastreams"][0]["Observations@iot.count"] == 20
    for path in (
        "Things(7)",
        "Datastreams(6)/Observations",
        f"Observations({observation_id(2)})",
        "Locations(3)",
    ):
        with pytest.raises(NotFoundError):
            answer(things, path)
        assert answer(things, path, TWO).status == 200
        assert answer(things, path, EVERYTHING).status == 200
    assert ids(get(things, "Things?$filter=Datastreams/Observations/result%20ge%209&$select=id")) == [1]
    assert ids(get(things, "Things?$filter=Datastreams/Observations/result%20ge%209&$select=id", TWO)) == [7]
