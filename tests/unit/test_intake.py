from __future__ import annotations

import json
import math
from typing import Any

import cbor2
import msgspec
import numpy as np
import pytest

from nervure.core.entity import Datastream
from nervure.core.instant import DAY_NS, HOUR_NS, SECOND_NS, iso
from nervure.core.observation import Batch, Quality, Reject, observation_id
from nervure.core.settings import Limits
from nervure.sense import reason
from nervure.sense.gateway import Refusal, refusal_subject
from nervure.sense.intake import SHARED, Intake
from nervure.stream.subject import reading_subject
from nervure.stream.wire import Entries

NOW = 1_677_657_600 * SECOND_NS  # 2023-03-01T08:00:00Z
STREAMS = (
    Datastream(id=7, name="mill inflow", unit="L/s", thing=1, low=0, high=500, every_ns=HOUR_NS),
    Datastream(id=8, name="mill inflow forecast", unit="L/s", thing=1, kind="forecast", source=7),
    Datastream(id=9, name="door", unit="", thing=2),
    Datastream(id=10, name="air", unit="Cel", thing=2),
)


def arrive(*messages: tuple[int | str, Any], first: int = 1, gap_ns: int = 0) -> Entries:
    """Put messages into the log: a Datastream's id or a subject, and what was sent (JSON if no bytes)."""
    return Entries(
        sequence=list(range(first, first + len(messages))),
        subject=[reading_subject(one) if isinstance(one, int) else one for one, _ in messages],
        payload=[one if isinstance(one, bytes) else json.dumps(one).encode() for _, one in messages],
        received_ns=[NOW + place * gap_ns for place in range(len(messages))],
    )


def part_of(entries: Entries, start: int, count: int) -> Entries:
    return Entries(
        **{name: getattr(entries, name)[start : start + count] for name in Entries.__struct_fields__}
    )


def take(*messages: tuple[int | str, Any], **limits: Any) -> tuple[Batch, list[Reject]]:
    return Intake(STREAMS, Limits(**limits)).take(arrive(*messages))


def only_reject(*messages: tuple[int | str, Any], **limits: Any) -> Reject:
    batch, rejects = take(*messages, **limits)
    assert len(batch) == 0
    assert len(rejects) == 1
    return rejects[0]


def test_a_single_reading_becomes_a_row() -> None:
    batch, rejects = take((7, {"result": 12.5, "phenomenonTime": "2023-03-01T07:00:00.25Z"}))
    assert rejects == []
    assert batch.id.tolist() == [observation_id(1)]
    assert batch.datastream.tolist() == [7]
    assert batch.time.tolist() == [NOW - HOUR_NS + SECOND_NS // 4]
    assert batch.result_time.tolist() == batch.time.tolist()
    assert batch.value.tolist() == [12.5]
    assert math.isnan(batch.low[0])
    assert math.isnan(batch.high[0])
    assert batch.quality.tolist() == [Quality.GOOD]
    assert batch.text is None


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("2023-03-01T08:00:00Z", NOW),
        ("2023-03-01T09:00:00+01:00", NOW),
        ("2023-03-01T09:00:00+0100", NOW),
        ("2023-03-01T08:00:00", NOW),
        ("2023-03-01 08:00:00", NOW),
        ("20230301T080000Z", NOW),
        ("2023-03-01", NOW - 8 * HOUR_NS),
        ("2023-03-01T08:00:00Z/2023-03-01T09:00:00Z", NOW),
        (1_677_657_600, NOW),
        (1_677_657_600.5, NOW + SECOND_NS // 2),
        (1_677_657_600_000, NOW),
        (1_677_657_600_000_000, NOW),
        (NOW, NOW),
        (None, NOW),
    ],
)
def test_times_as_devices_write_them(written: object, expected: int) -> None:
    batch, rejects = take((7, {"result": 1, "phenomenonTime": written}))
    assert rejects == []
    assert batch.time.tolist() == [expected]


def test_a_reading_without_a_time_is_of_its_arrival_also_among_others() -> None:
    batch, _ = take((7, {"result": 1}), (7, {"result": 2, "phenomenonTime": iso(NOW - HOUR_NS)}))
    assert batch.time.tolist() == [NOW, NOW - HOUR_NS]


def test_fields_that_are_not_known_do_not_matter() -> None:
    batch, rejects = take((7, {"result": 3, "parameters": {"a": [1]}, "FeatureOfInterest": {"@iot.id": 1}}))
    assert batch.value.tolist() == [3.0]
    assert rejects == []


def test_a_bare_number_is_a_reading_of_now() -> None:
    batch, _ = take((7, b"21.5"), (7, b" -3 "))
    assert batch.value.tolist() == [21.5, -3.0]
    assert batch.time.tolist() == [NOW, NOW]


def test_a_regular_pack_keeps_its_gaps_and_numbers_its_readings() -> None:
    batch, rejects = take((7, {"t0": "2023-03-01T07:00:00Z", "dt": 0.5, "v": [1, None, 3.5]}))
    assert rejects == []
    assert batch.value.tolist() == [1.0, 3.5]
    assert batch.time.tolist() == [NOW - HOUR_NS, NOW - HOUR_NS + SECOND_NS]
    assert batch.id.tolist() == [observation_id(1, 0), observation_id(1, 2)]


def test_a_pack_without_t0_ends_now_and_without_dt_goes_at_the_streams_pace() -> None:
    batch, _ = take((7, {"v": [1, 2, 3]}))
    assert batch.time.tolist() == [NOW - 2 * HOUR_NS, NOW - HOUR_NS, NOW]


def test_a_forecast_is_a_pack_with_an_interval_ahead_of_now() -> None:
    batch, rejects = take(
        (
            8,
            {
                "t0": iso(NOW),
                "dt": 3600,
                "v": [5, 6],
                "low": [4, None],
                "high": [6, 7],
                "resultTime": iso(NOW),
            },
        )
    )
    assert rejects == []
    assert batch.time.tolist() == [NOW, NOW + HOUR_NS]
    assert batch.result_time.tolist() == [NOW, NOW]
    assert batch.low[0] == 4.0
    assert math.isnan(batch.low[1])
    assert batch.high.tolist() == [6.0, 7.0]


def test_a_pack_with_times_of_its_own() -> None:
    batch, rejects = take((7, {"t": [iso(NOW - HOUR_NS), NOW // SECOND_NS], "v": [1, 2]}))
    assert rejects == []
    assert batch.time.tolist() == [NOW - HOUR_NS, NOW]


def test_single_readings_and_packs_stay_in_the_order_of_the_log() -> None:
    batch, _ = take(
        (7, {"v": [1, 2], "dt": 1}),
        (7, {"result": 3}),
        (7, b'[{"v": 4}, {"v": 5, "t": -1}]'),
        (9, {"result": "open"}),
        (7, {"v": [6], "dt": 1}),
    )
    assert (batch.id >> 16).tolist() == [1, 1, 2, 3, 3, 4, 5]
    assert (np.diff(batch.id) > 0).all()
    assert batch.value[[0, 1, 2, 3, 4, 6]].tolist() == [1, 2, 3, 4, 5, 6]
    assert batch.text is not None
    assert batch.text[5] == '"open"'


def test_units_are_converted_and_foreign_ones_refused() -> None:
    batch, rejects = take(
        (7, {"result": 36, "unit": "m3/h"}),
        (7, {"result": 36, "unit": "Cel"}),
        (7, {"result": 36, "unit": "furlong"}),
        (7, {"v": [36, 72], "dt": 1, "unit": "m3/h"}),
        (10, {"result": 300, "unit": "K"}),
        (7, {"result": 36}),
    )
    assert batch.value == pytest.approx([10, 10, 20, 26.85, 36])
    assert [(one.sequence, one.reason) for one in rejects] == [(2, "wrong-unit"), (3, "wrong-unit")]
    assert rejects[0].detail == "a value in 'Cel' cannot be written in 'L/s', the Datastream's unit"


def test_a_datastream_may_not_bring_ever_new_units() -> None:
    many = [(7, {"result": 1, "unit": f"x{number}"}) for number in range(20)]
    _, rejects = take(*many)
    assert len(rejects) == 20
    assert "8 others already" in rejects[-1].detail


@pytest.mark.parametrize("result", ["12,5", "12.5", True, False, [1, 2], {"a": 1}])
def test_what_is_no_number_is_out_of_type_where_numbers_are_measured(result: object) -> None:
    reject = only_reject((7, {"result": result}))
    assert reject.reason == reason.OUT_OF_TYPE
    assert "a number in 'L/s' is expected" in reject.detail


@pytest.mark.parametrize("result", ["open", True, [1.5, None, "x"], {"a": {"b": 1}}])
def test_what_is_no_number_is_kept_as_json_where_anything_is_welcome(result: object) -> None:
    batch, rejects = take((9, {"result": result}), (9, {"result": 4}))
    assert rejects == []
    assert batch.text is not None
    assert json.loads(batch.text[0] or "") == result
    assert batch.text[1] is None
    assert math.isnan(batch.value[0])
    assert batch.value[1] == 4.0


def test_an_observation_type_decides_over_the_unit() -> None:
    truth = Datastream(
        id=1, name="a", unit="", thing=1, properties={"observationType": "http://x/OM_Measurement"}
    )
    intake = Intake([truth], Limits())
    _, rejects = intake.take(arrive((1, {"result": "x"})))
    assert rejects[0].reason == reason.OUT_OF_TYPE


@pytest.mark.parametrize(
    "payload",
    [
        b'{"result": NaN}',
        b'{"result": Infinity}',
        b'{"result": -Infinity}',
        b'{"result": null}',
        b"NaN",
        b"null",
    ],
)
def test_no_finite_number(payload: bytes) -> None:
    assert only_reject((7, payload)).reason == reason.NOT_A_NUMBER


@pytest.mark.parametrize("payload", [b'{"result": 1e999}', b'{"result": ' + b"9" * 5000 + b"}"])
def test_a_number_too_large_for_a_float_is_refused(payload: bytes) -> None:
    assert only_reject((7, payload)).reason in {reason.NOT_A_NUMBER, reason.MALFORMED}


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b" ",
        b"hello",
        b"{",
        b'{"result":',
        b"[]",
        b"{}",
        b'{"v": 3}',
        b'{"v": [1, 2], "dt": 0}',
        b'{"v": [1, 2], "dt": "1s"}',
        b'{"v": [1, 2], "dt": 1e300}',
        b'{"v": [1, 2], "t": [1]}',
        b'{"v": [1, 2], "low": [1], "dt": 1}',
        b'{"result": 1, "phenomenonTime": "yesterday"}',
        b'{"result": 1, "phenomenonTime": [1]}',
        b'{"result": 1, "phenomenonTime": true}',
        b"[[[[[[[[[[",
        b"[" * 200_000,
        b'{"result":' + b"[" * 60 + b"]" * 60 + b"}",
        b"\x9f\x01",
        b"\x81" * 1000,
        b"\xff\xfe\x00",
        b"\xef\xbb\xbf",
    ],
)
def test_bytes_that_are_no_message(payload: bytes) -> None:
    reject = only_reject((9, payload))
    assert reject.reason == reason.MALFORMED
    assert reject.detail
    assert reject.payload == payload[:4096]


def test_a_byte_order_mark_does_no_harm() -> None:
    batch, _ = take((7, b'\xef\xbb\xbf{"result": 4}'))
    assert batch.value.tolist() == [4.0]


def test_bad_readings_of_a_pack_leave_the_good_ones() -> None:
    batch, rejects = take((7, b'{"dt": 1, "v": [1.0, NaN, null, 4.0, "x", true, Infinity]}'))
    assert batch.value.tolist() == [1.0, 4.0]
    assert batch.id.tolist() == [observation_id(1, 0), observation_id(1, 3)]
    assert [(one.index, one.count, one.reason) for one in rejects] == [
        (1, 2, "not-a-number"),
        (4, 2, "out-of-type"),
    ]
    assert rejects[0].detail.endswith("(and 1 more like it)")


def test_a_pack_of_mostly_bad_readings_keeps_every_good_one() -> None:
    values = ",".join(["NaN", '"x"', "7", "1" + "0" * 400] * 3000)
    batch, rejects = take((7, f'{{"dt": 1, "v": [{values}]}}'.encode()), message_bytes=1 << 24)
    assert len(batch) == 3000
    assert [(one.reason, one.index, one.count) for one in rejects] == [
        ("not-a-number", 0, 6000),
        ("out-of-type", 1, 3000),
    ]


def test_a_pack_that_runs_into_the_future_keeps_its_past() -> None:
    batch, rejects = take((7, {"t0": iso(NOW), "dt": 3600, "v": [1, 2, 3]}))
    assert batch.value.tolist() == [1.0]
    assert [(one.reason, one.index, one.count) for one in rejects] == [("future", 1, 2)]


@pytest.mark.parametrize("year", [1970, 1989])
def test_a_clock_that_was_never_set(year: int) -> None:
    reject = only_reject((7, {"result": 1, "phenomenonTime": f"{year}-01-01T00:00:00Z"}))
    assert reject.reason == reason.TOO_OLD
    assert f"{year}-01-01T00:00:00Z" in reject.detail


@pytest.mark.parametrize("when", ["2100-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "2023-03-01T08:10:01Z"])
def test_a_clock_that_is_ahead(when: str) -> None:
    reject = only_reject((7, {"result": 1, "phenomenonTime": when}))
    assert reject.reason == reason.FUTURE
    assert "10min" in reject.detail


def test_a_clock_may_be_a_little_ahead() -> None:
    batch, _ = take((7, {"result": 1, "phenomenonTime": "2023-03-01T08:09:59Z"}))
    assert len(batch) == 1


def test_a_forecast_may_not_be_issued_in_the_future_nor_look_ahead_for_years() -> None:
    _, rejects = take(
        (8, {"t0": iso(NOW), "dt": 3600, "v": [1], "resultTime": iso(NOW + HOUR_NS)}),
        (8, {"t0": iso(NOW + 500 * DAY_NS), "dt": 3600, "v": [1], "resultTime": iso(NOW)}),
    )
    assert [one.reason for one in rejects] == ["future", "future"]


def test_a_value_out_of_range_is_kept_and_marked() -> None:
    batch, rejects = take((7, {"result": -1}), (7, {"result": 500}), (7, {"v": [501, 20], "dt": 1}))
    assert rejects == []
    assert batch.quality.tolist() == [Quality.OUT_OF_RANGE, 0, Quality.OUT_OF_RANGE, 0]


def test_a_stream_that_is_not_known() -> None:
    reject = only_reject((99, {"result": 1}))
    assert (reject.reason, reject.detail) == (reason.UNKNOWN_STREAM, "there is no Datastream 99")
    assert only_reject(("v1//1.Datastreams(x).Observations", {"result": 1})).reason == reason.UNKNOWN_STREAM


def test_a_message_that_is_too_large_is_not_decoded() -> None:
    payload = b'{"result": 1, "pad": "' + b"x" * 10_000_000 + b'"}'
    reject = only_reject((7, payload))
    assert reject.reason == reason.TOO_LARGE
    assert reject.detail == "10,000,024 bytes; at most 262,144 are taken in a message"
    assert len(reject.payload) == 4096


@pytest.mark.parametrize(
    "payload",
    [
        {"v": [1] * 11, "dt": 1},
        [{"v": 1}] * 11,
        {"components": ["result"], "dataArray": [[1]] * 11},
    ],
)
def test_a_pack_of_too_many_readings(payload: object) -> None:
    assert only_reject((7, payload), pack=10).reason == reason.TOO_LARGE


def test_the_shared_subject_takes_what_names_its_datastream() -> None:
    batch, rejects = take(
        (SHARED, {"result": 1, "Datastream": {"@iot.id": 7}}),
        (SHARED, {"v": [2, 3], "dt": 1, "Datastream": {"@iot.id": 10}}),
        (SHARED, [{"n": "mill inflow", "v": 4}, {"n": "Datastreams(10)", "v": 5}, {"n": "nobody", "v": 6}]),
        (SHARED, {"result": 1}),
        (SHARED, {"result": 1, "Datastream": {"@iot.id": 99}}),
    )
    assert batch.datastream.tolist() == [7, 10, 10, 7, 10]
    assert [(one.sequence, one.index, one.reason) for one in rejects] == [
        (3, 2, "unknown-stream"),
        (4, 0, "unknown-stream"),
        (5, 0, "unknown-stream"),
    ]


def test_a_message_may_not_speak_for_another_datastream_than_its_subjects() -> None:
    table = {"Datastream": {"@iot.id": 10}, "components": ["result"], "dataArray": [[1], [2]]}
    reject = only_reject((7, table))
    assert (reject.reason, reject.count) == (reason.UNKNOWN_STREAM, 2)


def test_what_a_gateway_could_not_place_goes_to_quarantine() -> None:
    refusal = Refusal(reason=reason.TOO_LARGE, detail="10 MB", head=b"abc")
    _, rejects = take(
        (refusal_subject("hall", "a/b"), msgspec.json.encode(refusal)), ("nv.in.hall.c", b"21.5")
    )
    assert [(one.reason, one.detail, one.payload) for one in rejects] == [
        ("too-large", "10 MB", b"abc"),
        ("unknown-stream", "the gateway's topic maps to no Datastream", b"21.5"),
    ]


def test_a_flood_is_cut_by_its_rate_and_the_others_go_on() -> None:
    flood = [(7, {"result": number}) for number in range(100)]
    intake = Intake(STREAMS, Limits(per_device_s=10))
    batch, rejects = intake.take(arrive(*flood, (10, {"result": 1}), gap_ns=SECOND_NS // 1000))
    assert (batch.datastream == 7).sum() == 21  # two seconds' worth at once, and one for the tenth since
    assert (batch.datastream == 10).sum() == 1
    assert {one.reason for one in rejects} == {reason.FLOOD}
    assert len(rejects) == 79
    assert rejects[0].payload == b""


def test_a_flood_ends() -> None:
    intake = Intake(STREAMS, Limits(per_device_s=10))
    intake.take(arrive(*[(7, {"result": 1})] * 100))
    later = msgspec.structs.replace(arrive((7, {"result": 2})), received_ns=[NOW + 3 * SECOND_NS])
    assert len(intake.take(later)[0]) == 1


def test_a_device_at_its_rate_is_never_cut() -> None:
    intake = Intake(STREAMS, Limits(per_device_s=10))
    batch, rejects = intake.take(arrive(*[(7, {"result": 1})] * 500, gap_ns=SECOND_NS // 10))
    assert len(batch) == 500
    assert rejects == []


def test_the_same_messages_in_other_batches_give_the_same_readings_and_rejects() -> None:
    messages = arrive(
        *[(7, {"result": number}) for number in range(50)],
        (7, {"v": [1, None, 2], "dt": 1}),
        (99, {"result": 1}),
        gap_ns=SECOND_NS // 50,
    )
    whole = Intake(STREAMS, Limits(per_device_s=10)).take(messages)
    intake = Intake(STREAMS, Limits(per_device_s=10))
    parts = [intake.take(part_of(messages, cut, 7)) for cut in range(0, len(messages.sequence), 7)]
    again = Batch.concat([batch for batch, _ in parts])
    assert again.id.tolist() == whole[0].id.tolist()
    assert again.value.tolist() == whole[0].value.tolist()
    assert [one for _, rejects in parts for one in rejects] == whole[1]
    assert whole[1]


def test_new_datastreams_are_learned_and_changes_taken_over() -> None:
    intake = Intake(STREAMS, Limits())
    fresh = Datastream(id=99, name="new", unit="L/s", thing=3)
    intake.learn([*STREAMS, fresh])
    assert len(intake.take(arrive((99, {"result": 1})))[0]) == 1
    intake.learn([msgspec.structs.replace(fresh, high=0.5)])
    assert intake.take(arrive((99, {"result": 1})))[0].quality.tolist() == [Quality.OUT_OF_RANGE]
    assert intake.named("new") == 99
    assert intake.named("Datastreams(7)") == 7
    assert intake.named("7") == 7
    assert intake.named("nobody") is None


def test_a_name_that_two_bear_names_neither() -> None:
    intake = Intake(
        [Datastream(id=1, name="a", unit="1", thing=1), Datastream(id=2, name="a", unit="1", thing=2)],
        Limits(),
    )
    assert intake.named("a") is None


def test_nothing_arrived() -> None:
    batch, rejects = take()
    assert len(batch) == 0
    assert rejects == []


def test_cbor_carries_the_same_messages() -> None:
    fast = cbor2.CBORTag(86, np.array([1.0, 2.0, math.nan, 4.0], dtype="<f8").tobytes())
    batch, rejects = take(
        (7, cbor2.dumps({"result": 1.5, "phenomenonTime": NOW // SECOND_NS})),
        (7, cbor2.dumps({"t0": NOW - 4 * SECOND_NS, "dt": 1, "v": fast})),
        (7, cbor2.dumps(2.5)),
        (7, cbor2.dumps({"result": True})),
    )
    assert batch.value.tolist() == [1.5, 1.0, 2.0, 4.0, 2.5]
    assert [(one.sequence, one.index, one.reason) for one in rejects] == [
        (2, 2, "not-a-number"),
        (4, 0, "out-of-type"),
    ]


@pytest.mark.parametrize("cut", [1, 5, 12, 20])
def test_cbor_that_is_cut_short(cut: int) -> None:
    whole = cbor2.dumps([{-2: "mill", -3: 1.67e9, 2: 20.5}, {2: 21.5, 6: 60}])
    reject = only_reject((7, whole[:cut]))
    assert reject.reason == reason.MALFORMED
    assert "cut short" in reject.detail
