"""Observations as clients write them, and the messages they become."""

from __future__ import annotations

import threading
from typing import Any

import msgspec
import pytest

from nervure.core.entity import Datastream, Thing
from nervure.core.error import NotFoundError, QueryError, UnsupportedQuery
from nervure.core.observation import NO_RESULT_TIME, Draft, Observation
from nervure.store.catalogue import Catalogue
from nervure.store.scope import Scope
from nervure.store.write.writer import Parent, Writer
from tests.body import datastream, feature, location, multi, rows, thing

TIME = "2015-03-01T00:40:00Z"


@pytest.fixture
def stream(writer: Writer) -> int:
    return writer.create("Datastream", datastream(Thing=thing(Locations=[location()]))).id


def said(draft: Draft) -> Any:
    return msgspec.json.decode(draft.message)


def test_a_plain_observation_gets_the_time_and_the_feature_of_its_thing(writer: Writer, stream: int) -> None:
    body = {"result": 5, "Datastream": {"@iot.id": stream}}
    made = writer.create("Observation", body)
    assert (made.kind, made.id, len(made.drafts)) == ("Observation", 0, 1)
    message = said(made.drafts[0])
    assert message.pop("phenomenonTime").endswith("Z")
    assert message == {"result": 5, "FeatureOfInterest": {"@iot.id": 1}}
    assert writer.draft(body).datastream == stream


def test_everything_that_an_observation_may_say_arrives(writer: Writer, stream: int) -> None:
    body = {
        "result": {"a": [1, None]},
        "phenomenonTime": "2015-03-01T00:40:00+01:00/2015-03-01T01:40:00+01:00",
        "resultTime": "2015-03-01T02:00:00.5Z",
        "validTime": f"{TIME}/{TIME}",
        "resultQuality": [{"code": 1}],
        "parameters": {"who": "ann"},
        "FeatureOfInterest": feature(3.0),
        "@iot.id": 5,
        "Datastream@iot.navigationLink": "x",
    }
    message = said(writer.draft(body, parent=Parent(kind="Datastream", id=stream, relation="Observations")))
    assert message == {
        "result": {"a": [1, None]},
        "phenomenonTime": "2015-02-28T23:40:00Z/2015-03-01T00:40:00Z",
        "resultTime": "2015-03-01T02:00:00.500000Z",
        "validTime": f"{TIME}/{TIME}",
        "resultQuality": [{"code": 1}],
        "parameters": {"who": "ann"},
        "FeatureOfInterest": {"@iot.id": 1},
    }


@pytest.mark.parametrize(
    ("body", "where"),
    [
        ({}, "$.result"),
        ({"result": 1, "resultTime": "now"}, "$.resultTime"),
        ({"result": 1, "resultTime": f"{TIME}/{TIME}"}, "$.resultTime"),
        ({"result": 1, "phenomenonTime": 5}, "$.phenomenonTime"),
        ({"result": 1, "phenomenonTime": "2015-03-01"}, "$.phenomenonTime"),
        ({"result": 1, "phenomenonTime": f"{TIME}/2014-01-01T00:00:00Z"}, "$.phenomenonTime"),
        ({"result": 1, "phenomenonTime": "0001-01-01T00:00:00+05:00"}, "$.phenomenonTime"),
        ({"result": 1, "validTime": TIME}, "$.validTime"),
        ({"result": 1, "parameters": []}, "$.parameters"),
        ({"result": 1, "results": 2}, "$.results"),
        ({"result": 1, "FeatureOfInterest": {"@iot.id": 9}}, "$.FeatureOfInterest"),
        ({"result": 1, "FeatureOfInterest": {"name": "x"}}, "$.FeatureOfInterest.description"),
        ({"result": 1, "MultiDatastream": {"@iot.id": 1}}, "$"),
        ([], "$"),
    ],
)
@pytest.mark.parametrize("catalogue_place", ["sqlite"], indirect=True)
def test_what_is_no_observation_is_refused_with_its_place(
    writer: Writer, stream: int, body: Any, where: str
) -> None:
    with pytest.raises(QueryError) as caught:
        writer.draft(body, parent=Parent(kind="Datastream", id=stream, relation="Observations"))
    assert caught.value.where == where


def test_an_observation_needs_a_stream_and_a_feature(writer: Writer, stream: int) -> None:
    bare = writer.create("Datastream", datastream(Thing=thing())).id
    several = writer.create("MultiDatastream", multi("a", "b", Thing={"@iot.id": 1})).id
    for body, what in (
        ({"result": 1}, "needs a Datastream"),
        ({"result": 1, "Datastream": {"@iot.id": 99}}, "no Datastream 99"),
        ({"result": [1, 2], "Datastream": {"@iot.id": several}}, f"no Datastream {several}"),
        ({"result": 1, "Datastream": {"@iot.id": bare}}, "needs a FeatureOfInterest"),
        ({"result": 1, "MultiDatastream": {"@iot.id": several}}, "array of 2"),
        ({"result": [1], "MultiDatastream": {"@iot.id": several}}, "array of 2"),
        ({"result": 1, "Datastream": 5}, "needs a JSON object"),
    ):
        for _ in range(2):  # from the catalogue, then from memory
            with pytest.raises((QueryError, NotFoundError), match=what):
                writer.draft(body)
    with pytest.raises(UnsupportedQuery):
        writer.draft({"result": 1, "@iot.id": "mine", "Datastream": {"@iot.id": stream}})
    assert said(writer.draft({"result": [1, "x"], "MultiDatastream": {"@iot.id": several}}))["result"] == [
        1,
        "x",
    ]
    assert said(writer.draft({"result": None, "Datastream": {"@iot.id": stream}}))["result"] is None


def test_an_observation_may_bring_its_stream_along(writer: Writer, catalogue: Catalogue) -> None:
    inside = datastream(Thing=thing(Locations=[location()]))
    made = writer.draft({"result": 1, "Datastream": inside}, Scope(project=3, who="ann"))
    [row] = rows(catalogue, "datastream")
    assert (made.datastream, row["project_id"]) == (row["id"], 3)
    assert said(made)["FeatureOfInterest"]["@iot.id"] == rows(catalogue, "feature_of_interest")[0]["id"]
    with pytest.raises(QueryError):
        writer.draft({"result": 1, "Datastream": {"@iot.id": row["id"]}}, Scope(project=1))
    parent = Parent(kind="Datastream", id=row["id"], relation="Observations")
    with pytest.raises(NotFoundError):
        writer.draft({"result": 1}, Scope(project=1), parent)
    about = Parent(kind="FeatureOfInterest", id=1, relation="Observations")
    assert said(writer.draft({"result": 1, "Datastream": {"@iot.id": row["id"]}}, parent=about))


def test_a_thing_that_moves_gives_new_observations_a_new_feature(writer: Writer, stream: int) -> None:
    body = {"result": 1, "Datastream": {"@iot.id": stream}}
    first = said(writer.draft(body))["FeatureOfInterest"]["@iot.id"]
    writer.create("Location", location(3.0), parent=Parent(kind="Thing", id=1, relation="Locations"))
    second = said(writer.draft(body))["FeatureOfInterest"]["@iot.id"]
    writer.change("Thing", 1, {"Locations": [{"@iot.id": 1}]})
    assert (first != second, said(writer.draft(body))["FeatureOfInterest"]["@iot.id"]) == (True, first)
    writer.delete("Datastream", stream)
    with pytest.raises(QueryError):
        writer.draft(body)


def test_streams_of_a_solution_take_numbers_and_need_no_feature(writer: Writer, catalogue: Catalogue) -> None:
    pump = catalogue.ensure_thing(Thing(name="pump"))
    declared = Datastream(name="a", unit="L/s", thing=pump.id, solution="water", signal="inflow")
    stream = catalogue.ensure_datastream(declared).id
    link = {"Datastream": {"@iot.id": stream}}
    assert "FeatureOfInterest" not in said(writer.draft({"result": 1.5, **link}))
    for result in ("1.5", None, True, [1]):
        with pytest.raises(QueryError, match="a number in L/s"):
            writer.draft({"result": result, **link})


def test_a_change_keeps_what_it_does_not_name(writer: Writer, stream: int) -> None:
    several = writer.create("MultiDatastream", multi("a", Thing={"@iot.id": 1})).id
    before = Observation(
        id=7,
        datastream=stream,
        time_ns=1_425_170_400_000_000_000,
        end_time_ns=1_425_174_000_000_000_000,
        result_time_ns=1_425_174_000_000_000_000,
        result='"high"',
        feature=1,
        extra='{"parameters":{"a":1},"validTime":{"start":0,"end":1000000000}}',
    )
    writer.default_features([stream])
    message = said(writer.draft({"resultQuality": "good"}, changing=before))
    assert message == {
        "result": "high",
        "phenomenonTime": "2015-03-01T00:40:00Z/2015-03-01T01:40:00Z",
        "resultTime": "2015-03-01T01:40:00Z",
        "validTime": "1970-01-01T00:00:00Z/1970-01-01T00:00:01Z",
        "resultQuality": "good",
        "parameters": {"a": 1},
        "FeatureOfInterest": {"@iot.id": 1},
    }
    unsaid = msgspec.structs.replace(before, marks=NO_RESULT_TIME, end_time_ns=None, result=2.5)
    emptied = said(writer.draft({"result": 3, "parameters": None}, changing=unsaid))
    assert emptied["phenomenonTime"] == "2015-03-01T00:40:00Z"
    assert emptied.keys() == {"result", "phenomenonTime", "validTime", "FeatureOfInterest"}
    put = said(writer.draft({"result": 4}, changing=before, replace=True))
    assert put.keys() == {"result", "phenomenonTime", "FeatureOfInterest"}
    with pytest.raises(QueryError, match="result is missing"):
        writer.draft({}, changing=before, replace=True)
    to_multi = {"MultiDatastream": {"@iot.id": several}, "result": [1]}
    with pytest.raises(QueryError, match="not both"):
        writer.draft(to_multi, changing=before)
    assert writer.draft({**to_multi, "Datastream": None}, changing=before).datastream == several
    with pytest.raises(QueryError, match="needs a Datastream"):
        writer.draft({"Datastream": None}, changing=before)


def test_many_at_once_agree_on_the_feature(writer: Writer, catalogue: Catalogue, stream: int) -> None:
    found: list[Any] = []

    def work() -> None:
        drafts = [writer.draft({"result": n, "Datastream": {"@iot.id": stream}}) for n in range(20)]
        found.extend(said(one)["FeatureOfInterest"]["@iot.id"] for one in drafts)
        writer.observed([(stream, 1)])

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [1] * 80
    assert len(rows(catalogue, "feature_of_interest")) == len(rows(catalogue, "datastream_feature")) == 1


def test_what_another_process_changed_is_seen_within_a_second(
    writer: Writer, catalogue: Catalogue, stream: int
) -> None:
    body = {"result": 1, "Datastream": {"@iot.id": stream}}
    writer.draft(body)
    Writer(catalogue).delete("Datastream", stream)
    writer._known._next = 0.0
    with pytest.raises(QueryError, match="no Datastream"):
        writer.draft(body)


def test_a_message_of_the_log_makes_its_entities_once(
    writer: Writer, catalogue: Catalogue, stream: int
) -> None:
    body = {"result": 1, "FeatureOfInterest": feature(name="here"), "Datastream": {"@iot.id": stream}}
    first, other = writer.draft(body, sequence=5), writer.draft(body, sequence=6)
    assert said(first)["FeatureOfInterest"] != said(other)["FeatureOfInterest"]
    assert writer.draft(body, sequence=5) == first
    assert len(rows(catalogue, "feature_of_interest")) == 2
    catalogue.forget_drafted(5)
    assert [row["sequence"] for row in rows(catalogue, "drafted")] == [6]
