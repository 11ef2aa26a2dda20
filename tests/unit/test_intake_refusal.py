"""What the intake refuses, and how the good beside it comes through."""

from __future__ import annotations

import math

import cbor2
import msgspec
import numpy as np
import pytest

from nervure.core.entity import Datastream
from nervure.core.instant import DAY_NS, HOUR_NS, SECOND_NS, iso
from nervure.core.observation import Batch, Quality, observation_id
from nervure.core.settings import Limits
from nervure.sense import reason
from nervure.sense.gateway import Refusal, refusal_subject
from nervure.sense.intake import SHARED, Intake
from tests.arrival import NOW, STREAMS, arrive, only_reject, part_of, take


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
    intake.learn([*STREAMS, msgspec.structs.replace(fresh, high=0.5)])
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


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b'{"result":1,"Datastream":{"properties":' + b'{"a":' * 28 + b"1" + b"}" * 30, "unresolved"),
        (b'{"result":1,"Datastream":{"properties":' + b'{"a":' * 40 + b"1" + b"}" * 42, "malformed"),
        (b'{"result":1,"Datastream":{"properties":' + b'{"a":' * 990 + b"1" + b"}" * 992, "malformed"),
        (b'{"result":1,"Datastream":{"name":"' + b"x" * (1 << 18) + b'"}}', "too-large"),
        (b"{", "malformed"),
    ],
    ids=["plain", "deep", "very deep", "large", "cut"],
)
def test_what_comes_for_a_feature_alone_keeps_to_the_limits(payload: bytes, reason: str) -> None:
    """What it describes is made in the catalogue, where everybody reads it."""
    _, rejects = Intake([], Limits()).check("v1//1.FeaturesOfInterest(7).Observations", payload, 10**18)
    assert [one.reason for one in rejects] == [reason]
