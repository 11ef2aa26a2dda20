"""The scorer: which readings it believes, when it foresees, and what it says of each reading."""

from __future__ import annotations

import json
import math

import msgspec
import numpy as np
import pytest

from nervure.core.error import ModelError
from nervure.core.instant import HOUR_NS
from nervure.core.observation import Quality
from nervure.core.window import Table
from nervure.score.lane import limit_in
from nervure.score.scorer import Scored, Scorer
from tests.tiny import DAY, START, WINDOW, batch_of, card, datastreams, limit, runner, solution

Row = tuple[int, int, float]


@pytest.fixture(scope="module")
def model() -> object:
    return runner(card(limits=limit()))


@pytest.fixture
def scorer(model: object) -> Scorer:
    return Scorer(model, datastreams(), solution=solution())  # type: ignore[arg-type]


def _wave(slot: int, stream: int = 11) -> float:
    return 20.0 + 5.0 * math.sin(slot * math.tau / DAY) + 0.01 * ((slot * 7 + stream) % 13)


def _feed(scorer: Scorer, slots: range, stream: int = 11) -> list[Scored]:
    return [scorer.take(batch_of([(stream, START + one, _wave(one, stream))])) for one in slots]


def test_foresees_with_every_reading_that_opens_a_slot(scorer: Scorer) -> None:
    pack = _feed(scorer, range(WINDOW))[-1].packs[0]
    slot = START + WINDOW - 1
    assert (pack.datastream, pack.issued_ns) == (21, slot * HOUR_NS + HOUR_NS // 6)
    assert (pack.t0_ns, pack.dt_ns, len(pack.v)) == ((slot + 1) * HOUR_NS, HOUR_NS, DAY)
    assert pack.v == pytest.approx([_wave(one) for one in range(WINDOW - DAY, WINDOW)], abs=1e-4)
    assert np.allclose(np.array(pack.v) - pack.low, 1.0, atol=0.2)
    assert pack.once == f"tiny-1.21.{pack.issued_ns}"


def test_a_pack_is_what_the_intake_reads(scorer: Scorer) -> None:
    pack = _feed(scorer, range(1))[0].packs[0]
    told = json.loads(pack.encode())
    assert told["dt"] == 3600.0
    assert told["t0"] == "2023-03-01T01:00:00Z"
    assert told["resultTime"] == "2023-03-01T00:10:00Z"
    assert len(told["v"]) == len(told["low"]) == len(told["high"]) == DAY


def test_says_what_was_expected_once_forecasts_are_old_enough(scorer: Scorer) -> None:
    scored = _feed(scorer, range(WINDOW + DAY))
    first = next(number for number, one in enumerate(scored) if not math.isnan(one.findings[0].score))
    assert first == WINDOW // 2 - 1 + 12  # half a window, and then the lead
    last = scored[-1].findings[0]
    assert last.expected == pytest.approx(_wave(WINDOW + DAY - 1), abs=0.2)
    assert last.low < last.expected < last.high
    assert (last.limit, last.score < 1.0) == (6.0, True)
    assert scored[-1].findings.model == "water-forecast-inflow tiny-1"


def test_a_repeated_reading_is_ignored(scorer: Scorer) -> None:
    _feed(scorer, range(WINDOW + DAY))
    before = scorer.state()
    again = _feed(scorer, range(WINDOW + DAY - 1, WINDOW + DAY))[0]
    assert (len(again.packs), len(again.findings)) == (0, 0)
    assert scorer.state() == before


def test_a_late_reading_is_foreseen_from_once_and_raises_nothing(scorer: Scorer) -> None:
    _feed(scorer, range(WINDOW - 2))
    _feed(scorer, range(WINDOW - 1, WINDOW))
    reading = batch_of([(11, START + WINDOW - 2, 33.0)])
    late = scorer.take(reading)
    assert (len(late.packs), len(late.findings)) == (1, 0)
    assert late.packs[0].issued_ns == int(reading.time[0])
    assert late.packs[0].v[-1] == 33.0  # its window ends with it, not with what came since
    again = scorer.take(reading)
    assert (len(again.packs), len(again.findings)) == (0, 0)
    after = _feed(scorer, range(WINDOW, WINDOW + 1))[0]
    assert after.packs[0].v[-3] == 33.0


def test_a_second_reading_in_a_slot_is_kept_but_not_foreseen_from_twice(scorer: Scorer) -> None:
    _feed(scorer, range(WINDOW))
    batch = batch_of([(11, START + WINDOW - 1, 50.0)])
    batch = msgspec.structs.replace(batch, time=batch.time + HOUR_NS // 2)
    second = scorer.take(batch)
    assert (len(second.packs), len(second.findings)) == (0, 1)
    assert _feed(scorer, range(WINDOW, WINDOW + 1))[0].packs[0].v[-2] == 50.0


@pytest.mark.parametrize("quality", [Quality.OUT_OF_RANGE, Quality.STUCK])
def test_what_screening_doubts_is_hidden_from_the_model(scorer: Scorer, quality: Quality) -> None:
    _feed(scorer, range(WINDOW))
    doubted = batch_of([(11, START + WINDOW, 900.0)], quality=np.array([quality], dtype=np.int8))
    scored = scorer.take(doubted)
    assert scored.packs[0].v[-1] == 20.0  # what the tiny model takes a missing reading for
    assert scored.findings[0].value == 900.0
    assert math.isnan(scored.findings[0].score)


def test_what_is_late_by_a_day_is_left_to_the_store(scorer: Scorer) -> None:
    late = batch_of([(11, START, 5.0)], quality=np.array([Quality.LATE], dtype=np.int8))
    scored = scorer.take(late)
    assert (len(scored.packs), len(scored.findings)) == (0, 0)


def test_a_stuck_meter_is_believed_for_a_while_and_then_taken_back(scorer: Scorer) -> None:
    _feed(scorer, range(WINDOW))
    flat, packs = [], []
    for slot in range(WINDOW, WINDOW + 10):
        scored = scorer.take(batch_of([(11, START + slot, 30.0)]))
        flat.append(scored.findings[0].flat_s / 3600)
        packs.append(scored.packs[0].v)
    assert flat == list(range(10))
    assert packs[6][-7:] == [30.0] * 7
    assert packs[7][-8:] == [30.0] + [20.0] * 7


def test_a_stuck_meter_does_not_look_like_a_burst(scorer: Scorer) -> None:
    _feed(scorer, range(WINDOW + DAY))
    scores = [
        scorer.take(batch_of([(11, START + slot, 29.0)])).findings[0].score
        for slot in range(WINDOW + DAY, WINDOW + DAY + 12)
    ]
    assert np.nanmax(scores) == scores[0] < 6.0


def test_weather_reaches_the_window_of_every_district(scorer: Scorer) -> None:
    _feed(scorer, range(WINDOW))
    scorer.take(batch_of([(31, START + WINDOW, 7.0)]))
    for stream in (11, 12):
        scored = scorer.take(batch_of([(stream, START + WINDOW, 10.0)]))
        assert scored.packs[0].v[-1] == 17.0


def test_streams_of_nobody_are_skipped(scorer: Scorer) -> None:
    scored = scorer.take(batch_of([(41, START, 1.0), (21, START, 1.0), (99, START, 1.0)]))
    assert (len(scored.packs), len(scored.findings)) == (0, 0)
    assert scorer.inputs == [11, 12, 13, 31]


def test_without_a_model_it_still_knows_how_long_a_value_stays() -> None:
    scorer = Scorer(None, datastreams(), solution=solution())
    for slot in range(3):
        scored = scorer.take(batch_of([(11, START + slot, 5.0), (31, START + slot, 0.0)]))
    assert [one.datastream for one in scored.findings] == [11]
    assert scored.findings[0].flat_s == 7200.0
    assert scored.packs == []


def test_words_and_readings_of_others_are_left_out_of_packs() -> None:
    """Workers get rows without their texts: a result that is no number is NaN there, and of many rows one."""
    scorer = Scorer(None, datastreams(), solution=solution())
    rows = [(11, START + one, float(one)) for one in range(100)]
    rows += [(99, START, 1.0), (12, START, math.nan), (12, START + 1, 4.0)]
    found = scorer.take(batch_of(rows)).findings
    assert found.datastream.tolist() == [11] * 100 + [12]
    assert found.value.tolist() == [float(one) for one in range(100)] + [4.0]


def test_findings_come_in_the_order_of_the_log(scorer: Scorer) -> None:
    rows = [(12, START, 1.0), (11, START, 1.0), (12, START + 1, 2.0), (31, START, 0.0), (13, START, 1.0)]
    scored = scorer.take(batch_of(rows))
    assert scored.findings.datastream.tolist() == [12, 11, 12, 31, 13]


def test_more_streams_than_a_batch_of_the_model(model: object) -> None:
    rows: list[Row] = [(11, START, 1.0), (12, START, 2.0), (13, START, 3.0)]
    small = Scorer(model, datastreams(), solution=solution(), batch=2)  # type: ignore[arg-type]
    assert [pack.v[-1] for pack in small.take(batch_of(rows)).packs] == [1.0, 2.0, 3.0]


def test_warmed_by_a_table_it_can_score_the_next_reading(model: object) -> None:
    slots = WINDOW + DAY
    value = np.array([[_wave(one), np.nan] for one in range(slots)])
    table = Table(streams=("11", "31"), first=START, every_ns=HOUR_NS, value=value)
    warm = Scorer(model, datastreams(), solution=solution())  # type: ignore[arg-type]
    warm.warm(table)
    finding = _feed(warm, range(slots, slots + 1))[0].findings[0]
    assert finding.expected == pytest.approx(_wave(slots), abs=0.2)
    assert not math.isnan(finding.score)


def test_a_table_at_another_pace_is_refused(scorer: Scorer) -> None:
    with pytest.raises(ModelError, match="every 3600 s"):
        scorer.warm(Table(streams=("11",), first=0, every_ns=60, value=np.zeros((2, 1))))


def test_a_stream_added_later_joins_without_disturbing_the_others(model: object) -> None:
    few = [one for one in datastreams() if one.id != 12]
    scorer = Scorer(model, few, solution=solution())  # type: ignore[arg-type]
    _feed(scorer, range(WINDOW))
    assert len(_feed(scorer, range(1), 12)[0].findings) == 0
    scorer.learn(datastreams())
    assert len(_feed(scorer, range(1, 2), 12)[0].packs) == 1
    assert len(_feed(scorer, range(WINDOW - 1, WINDOW))[0].findings) == 0  # still known as seen


def test_bands_narrow_where_they_are_too_wide_and_widen_where_they_miss(scorer: Scorer) -> None:
    calm = _feed(scorer, range(150))[-1].packs[0]
    random = np.random.default_rng(0)
    rows = [(12, START + slot, _wave(slot) + random.normal(0.0, 4.0)) for slot in range(150)]
    wild = [scorer.take(batch_of([row])) for row in rows][-1].packs[0]
    assert calm.high[0] - calm.low[0] < 1.9
    assert wild.high[0] - wild.low[0] > 2.1


def test_a_state_of_another_model_is_not_taken(model: object) -> None:
    one = Scorer(model, datastreams(), solution=solution())  # type: ignore[arg-type]
    other = runner(msgspec.structs.replace(card(limits=limit()), version="tiny-2"))
    two = Scorer(other, datastreams(), solution=solution())
    _feed(one, range(WINDOW))
    assert two.restore(one.state()) is False
    assert Scorer(other, datastreams(), solution=solution()).restore(two.state()) is True


def test_the_state_does_not_grow_with_time(scorer: Scorer) -> None:
    _feed(scorer, range(1))
    short = len(scorer.state())
    _feed(scorer, range(1, 200))
    assert len(scorer.state()) == short


def test_a_limit_of_other_streams_is_refused() -> None:
    wrong = msgspec.structs.replace(limit(), streams=("elsewhere/inflow",))
    with pytest.raises(ModelError, match="other streams"):
        limit_in(card(limits=wrong), "anomaly-inflow")
    garbled = msgspec.structs.replace(card(), limits={"anomaly-inflow": {"limit": "high"}})
    with pytest.raises(ModelError, match="cannot be read"):
        limit_in(garbled, "anomaly-inflow")


def test_without_a_limit_nothing_is_accused() -> None:
    scorer = Scorer(runner(card()), datastreams(), solution=solution())
    scored = _feed(scorer, range(WINDOW + DAY))[-1]
    assert math.isnan(scored.findings[0].score)
    assert math.isinf(scored.findings[0].limit)
    assert len(scored.packs) == 1
