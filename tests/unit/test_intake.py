from __future__ import annotations

import json
import math

import numpy as np
import pytest

from nervure.core.entity import Datastream
from nervure.core.instant import HOUR_NS, SECOND_NS, iso
from nervure.core.observation import Quality, observation_id
from nervure.core.settings import Limits
from nervure.sense import reason
from nervure.sense.intake import Intake
from tests.arrival import NOW, arrive, only_reject, take


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
        id=1, name="a", unit="", thing=1, solution="x", properties={"observationType": "x/OM_Measurement"}
    )
    intake = Intake([truth], Limits())
    _, rejects = intake.take(arrive((1, {"result": "x"})))
    assert rejects[0].reason == reason.OUT_OF_TYPE
