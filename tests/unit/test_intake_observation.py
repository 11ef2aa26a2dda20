"""Observations with all that SensorThings lets them carry, for Datastreams that clients made."""

from __future__ import annotations

import json
from typing import Any

import pytest

from nervure.core.entity import Datastream
from nervure.core.instant import SECOND_NS
from nervure.core.observation import NO_END, NO_RESULT_TIME, Batch, Reject
from nervure.core.settings import Limits
from nervure.sense import reason
from nervure.sense.intake import SHARED, Intake
from nervure.stream.subject import plain_subject
from tests.arrival import NOW, STREAMS, arrive

FREE = Datastream(id=20, name="free", unit="Cel", thing=1)
KEYED = Datastream(id=21, key="hall.1", name="keyed", unit="", thing=1)
SEVERAL = Datastream(id=22, name="wind", unit="", thing=1, multi=True, data_types=["a", "b"])
BEGIN = 1_577_836_800 * SECOND_NS  # 2020-01-01T00:00:00Z


def take(*messages: tuple[int | str, Any]) -> tuple[Batch, list[Reject]]:
    return Intake([*STREAMS, FREE, KEYED, SEVERAL], Limits()).take(arrive(*messages))


def test_everything_that_an_observation_can_carry() -> None:
    message = {
        "result": {"a": [1, "b", None]},
        "phenomenonTime": "2020-01-01T00:00:00Z/2020-01-01T01:00:00Z",
        "resultTime": "2020-01-02T00:00:00Z",
        "validTime": "2020-01-01T00:00:00Z/2020-01-01T00:00:01Z",
        "parameters": {"depth": 3},
        "resultQuality": "good",
        "FeatureOfInterest": {"@iot.id": 5},
    }
    batch, rejects = take((20, message))
    assert rejects == []
    assert batch.text == ['{"a":[1,"b",null]}']
    assert (batch.time.tolist(), batch.result_time.tolist()) == ([BEGIN], [BEGIN + 86_400 * SECOND_NS])
    assert batch.end_time is not None
    assert batch.end_time.tolist() == [BEGIN + 3600 * SECOND_NS]
    assert batch.feature is not None
    assert batch.feature.tolist() == [5]
    assert batch.marks is not None
    assert batch.marks.tolist() == [0]
    assert batch.extra is not None
    assert json.loads(batch.extra[0] or "") == {
        "parameters": {"depth": 3},
        "resultQuality": "good",
        "validTime": {"start": BEGIN, "end": BEGIN + SECOND_NS},
    }


def test_plain_readings_carry_nothing_more() -> None:
    batch, _ = take((7, {"result": 1}), (7, {"result": 2, "resultTime": "2023-03-01T07:00:00Z"}))
    assert [batch.end_time, batch.feature, batch.extra, batch.text, batch.keyed] == [None] * 5
    assert batch.marks is not None
    assert batch.marks.tolist() == [NO_RESULT_TIME, 0]


@pytest.mark.parametrize("result", [1, 1.5, "x", True, [1, "a"], {"a": 1}, None])
def test_a_datastream_of_a_client_takes_any_result_at_any_time(result: object) -> None:
    for when in ("1700-01-01T00:00:00Z", "2250-12-31T00:00:00Z"):
        batch, rejects = take((20, {"result": result, "phenomenonTime": when}))
        assert rejects == []
        assert batch.keyed is not None
        assert batch.keyed.tolist() == [False]
        text = None if batch.text is None else batch.text[0]
        assert (batch.value[0] if text is None else json.loads(text)) == result


@pytest.mark.parametrize("when", ["1600-01-01T00:00:00Z", "2300-01-01T00:00:00Z"])
def test_what_64_bits_cannot_hold_is_refused(when: str) -> None:
    batch, rejects = take((20, {"result": 1, "phenomenonTime": when}))
    assert len(batch) == 0
    assert "year" in rejects[0].detail


def test_a_multi_datastream_takes_arrays_of_its_width() -> None:
    subject = "v1//1.MultiDatastreams(22).Observations"
    batch, rejects = take(
        (subject, {"result": [1, "n"]}),
        (subject, {"result": [1]}),
        (subject, {"result": 1}),
        (SHARED, {"result": [3, 4], "MultiDatastream": {"@iot.id": 22}}),
        (22, {"v": [1, 2], "dt": 1}),
        (
            SHARED,
            {"MultiDatastream": {"@iot.id": 22}, "components": ["result"], "dataArray": [[[5, 6]], [7]]},
        ),
    )
    assert batch.text == ['[1,"n"]', "[3,4]", "[5,6]"]
    assert [one.reason for one in rejects] == [reason.OUT_OF_TYPE] * 4


def test_a_key_names_a_datastream() -> None:
    batch, rejects = take(
        ("v1//1.Datastreams('hall//1').Observations", {"result": 1}),
        (SHARED, {"result": 2, "Datastream": {"@iot.id": "hall.1"}}),
    )
    assert rejects == []
    assert batch.datastream.tolist() == [21, 21]


def test_what_only_the_catalogue_can_resolve_is_left_to_it() -> None:
    _, rejects = take(
        (20, {"result": 1, "FeatureOfInterest": {"name": "pond"}}),
        (20, {"result": 1, "FeatureOfInterest": {"@iot.id": "pond"}}),
        (SHARED, {"result": 1, "Datastream": {"name": "new"}}),
        (20, {"result": 1, "FeatureOfInterest": 5}),
    )
    assert [one.reason for one in rejects] == [reason.UNRESOLVED] * 3 + [reason.UNKNOWN_FEATURE]


@pytest.mark.parametrize(
    "wrong",
    [
        {"parameters": [1]},
        {"validTime": "never"},
        {"phenomenonTime": "2020-01-02T00:00:00Z/2020-01-01T00:00:00Z"},
    ],
)
def test_what_is_wrong_about_an_observation(wrong: dict[str, Any]) -> None:
    batch, rejects = take((20, {"result": 1} | wrong))
    assert len(batch) == 0
    assert rejects[0].reason == reason.MALFORMED


def test_data_arrays_with_every_component() -> None:
    names = [
        "id",
        "result",
        "phenomenonTime",
        "resultTime",
        "FeatureOfInterest/id",
        "validTime",
        "parameters",
    ]
    when = "2020-01-01T00:00:00Z"
    full = [1, 2.5, when, None, 9, f"{when}/{when}", {"a": 1}]
    batch, rejects = take(
        (20, {"components": names, "dataArray": [full, [2, "x", when, when, None, None, None]]}),
        (20, {"components": names[:5], "dataArray": [[3, 1, when, when, 8], [4, 2, when, when, 9]]}),
    )
    assert rejects == []
    assert batch.text == [None, '"x"', None, None]
    assert batch.feature is not None
    assert batch.feature.tolist() == [9, 0, 8, 9]
    assert batch.marks is not None
    assert batch.marks.tolist() == [NO_RESULT_TIME, 0, 0, 0]
    assert batch.extra is not None
    assert [one is None for one in batch.extra] == [False, True, True, True]


def test_an_interval_in_a_pack_of_rows_keeps_its_end() -> None:
    rows = [["2020-01-01T00:00:00Z/2020-01-01T00:00:01Z", 1], ["2020-01-01T00:00:00Z", 2]]
    batch, _ = take((20, {"components": ["phenomenonTime", "result"], "dataArray": rows}))
    assert batch.end_time is not None
    assert batch.end_time.tolist() == [BEGIN + SECOND_NS, NO_END]


def test_what_is_deleted_is_forgotten() -> None:
    intake = Intake([*STREAMS, FREE], Limits())
    intake.forget([20])
    _, rejects = intake.take(arrive((20, {"result": 1})))
    assert rejects[0].reason == reason.UNKNOWN_STREAM
    assert len(intake.take(arrive((7, {"result": 1})))[0]) == 1


def test_nobody_changes_observations_by_mqtt() -> None:
    assert plain_subject("nv.log.nv.change") == "nv.change"
    for forged in ("$MQTT.msgs.nv.change", "$MQTT.msgs.nv.log.nv.change", "$MQTT.msgs.nv.dev.nv.change"):
        assert plain_subject(forged) == forged


def test_moments_are_those_of_the_arrival_where_there_is_none() -> None:
    batch, _ = take((20, {"result": 1, "parameters": {"a": 1}}))
    assert batch.time.tolist() == [NOW]


def test_a_flood_of_arrays_is_cut_as_any_other() -> None:
    intake = Intake([SEVERAL], Limits(per_device_s=10))
    flood = [("v1//1.MultiDatastreams(22).Observations", {"result": [1, 2]})] * 60
    batch, rejects = intake.take(arrive(*flood))
    assert (len(batch), len(rejects)) == (21, 39)
    assert {one.reason for one in rejects} == {reason.FLOOD}
    assert rejects[0].detail.startswith("Datastream 22 sends more than 10 messages")
