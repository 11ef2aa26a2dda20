"""Parts of the detectors of streams, and their contests on real sets."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from nervure.bench.detect.job import Job, Result
from nervure.bench.detect.limit import balanced, recalibrated, recent, short, without_minute
from nervure.bench.detect.stream import contests
from nervure.core.error import DataError, ModelError
from nervure.core.instant import DAY_NS
from nervure.learn.detect.block import Block
from nervure.learn.detect.models.frame import Frame, drawn, forward_filled, leveled
from nervure.learn.detect.models.streaming import Streaming
from nervure.learn.detect.models.sub_pca import SubPca


def block(value: np.ndarray, every_ns: int = DAY_NS // 48) -> Block:
    names = tuple(f"c{at}" for at in range(value.shape[1]))
    time = np.arange(len(value)) * every_ns
    return Block(name="toy", channels=names, value=value, time=time, every_ns=every_ns)


def test_a_wild_reading_does_not_set_the_scale() -> None:
    value = np.random.default_rng(0).normal(5, 2, size=(1000, 1))
    value[500] = 1e9
    frame = Frame(value)
    assert float(frame.deviation[0]) == pytest.approx(2, rel=0.1)
    z, known = frame(torch.tensor([[[7.0], [float("nan")], [1e9]]]))
    assert known[0, :, 0].tolist() == [1, 0, 1]
    assert z[0, 0, 0] == pytest.approx(1, abs=0.2)
    assert z[0, 1, 0] == 0
    assert 8 < float(z[0, 2, 0]) < 40


def test_channels_that_never_move_are_measured_by_their_size() -> None:
    frame = Frame(np.c_[np.full(50, 4.0), np.zeros(50), np.full(50, np.nan)])
    assert frame.deviation.tolist() == pytest.approx([0.2, 1.0, 1.0])


def test_a_switch_that_is_seldom_on_keeps_its_deviation() -> None:
    value = np.zeros((1000, 1))
    value[:3] = 1
    assert float(Frame(value).deviation[0]) == pytest.approx(value.std(), rel=1e-3)


def test_gaps_are_filled_from_before_and_at_the_start_from_after() -> None:
    z = torch.tensor([0.0, 1, 0, 3, 0]).reshape(1, 5, 1)
    known = torch.tensor([0.0, 1, 0, 1, 0]).reshape(1, 5, 1)
    assert forward_filled(z, known)[0, :, 0].tolist() == [1, 1, 1, 3, 3]


def test_a_stuck_window_is_far_less_rough() -> None:
    typical, known = torch.ones(1), torch.ones(2, 8, 1)
    moving = torch.arange(8.0).reshape(1, 8, 1)
    level = leveled(torch.cat([moving, torch.zeros(1, 8, 1)]), known, typical)
    assert level[:, 0].tolist() == pytest.approx([0.0, -4.6], abs=0.02)


def test_windows_do_not_cross_records_and_are_no_more_than_asked() -> None:
    blocks = (block(np.zeros((50, 1))), block(np.ones((50, 1))))
    shown, rows = drawn(blocks, 4, 20, seed=1)
    assert shown.shape == (20, 4, 1)
    assert {*np.unique(shown.mean(axis=1))} == {0.0, 1.0}
    assert (np.diff(rows) > 0).all()


def test_a_window_is_drawn_from_records_of_the_same_channels_only() -> None:
    with pytest.raises(DataError):
        drawn((block(np.zeros((9, 1))), block(np.zeros((9, 2)))), 4, 20)


def test_sub_pca_knows_what_one_channel_tells_of_another() -> None:
    own = np.cumsum(np.random.default_rng(0).normal(size=(800, 1)), axis=0) * 0.1
    value = np.c_[own, 2 * own + 1] + 0.01 * np.random.default_rng(1).normal(size=(800, 2))
    detector = SubPca().fit(block(value))
    odd = value.copy()
    odd[600:, 1] += 1
    judged = detector.judge(odd)
    assert judged.part[640:].argmax(axis=1).tolist() == [1] * 160 or judged.score[640] > judged.score[500]
    lost = value.copy()
    lost[600:, 1] = np.nan
    assert np.abs(detector.expected(lost)[640:700, 1] - value[640:700, 1]).mean() < 0.3 * value[:, 1].std()


def test_a_gap_is_no_anomaly() -> None:
    value = np.sin(np.arange(900.0) / 9)[:, None] * np.ones((1, 3))
    value += 0.05 * np.random.default_rng(0).normal(size=value.shape)
    detector = SubPca().fit(block(value))
    gap = value.copy()
    gap[700:760, 1] = np.nan
    assert detector.score(gap)[700:760].max() < 2 * detector.score(value).max()


def test_the_streaming_default_rings_once_for_an_event() -> None:
    random = np.random.default_rng(0)
    value = 10 + np.sin(np.arange(2000) / 48 * 2 * np.pi)[:, None] + 0.1 * random.normal(size=(2000, 1))
    value[1500:1530] += 3
    score = Streaming().fit(block(value)).score(value)
    assert 1500 <= score[300:].argmax() + 300 < 1503
    assert (score[1503:1530] > 0.9 * score[1500:1503].max()).sum() == 0
    assert (score >= 0).all()


def test_the_streaming_default_bears_what_never_moves_and_what_is_missing() -> None:
    value = np.full((400, 2), 3.0)
    value[:, 1] = np.nan
    assert Streaming().fit(block(value)).score(value).tolist() == [0.0] * 400
    with pytest.raises(ModelError):
        Streaming().score(value)


def test_a_restless_channel_weighs_less() -> None:
    calm = np.c_[np.ones(100), np.full(100, 10.0)]
    assert balanced(np.array([[2.0, 10.0], [1.0, 40.0]]), calm).tolist() == [2.0, 4.0]


def test_readings_are_told_from_their_own_past_only() -> None:
    value = np.r_[np.zeros(100), np.full(100, 5.0)][:, None]
    moved = recent(value, 30)
    assert moved[99, 0] == 0
    assert moved[100, 0] == 5
    assert moved[150, 0] == 0
    later = value.copy()
    later[160:] = 9
    np.testing.assert_array_equal(recent(later, 30)[:160], moved[:160])
    assert without_minute(value, (0,), 60)[100, 0] == pytest.approx(5 - 5 / 60)


def test_an_alarm_is_not_learnt_from() -> None:
    part = np.ones((6000, 1))
    part[3000:4800] = 3
    alarm, ratio = recalibrated(part, times=2, level=0.9, memory=2000)
    assert alarm[3000:4800].all()
    assert alarm.sum() == 1800
    assert ratio[3000] == 3


def test_a_short_curve_keeps_its_peak() -> None:
    value = np.zeros(5001)
    value[3333] = 7
    found = short(value)
    assert len(found) <= 400
    assert max(found) == 7


def of(name: str, model: str, *, quick: bool = True) -> Result:
    contest = next(one for one in contests() if one.set == name)
    return contest.perform(Job(set=name, model=model, kind="baseline", quick=quick))


def test_every_quick_model_is_an_entry_and_every_goal_a_metric() -> None:
    for one in contests():
        assert {*one.quick} <= {entry.model for entry in one.entries}
        assert {goal[0] for goal in one.goals} <= {*one.metrics}


@pytest.mark.real
def test_sub_pca_tells_valves_closing_and_attacks_on_water() -> None:
    skab = of("skab", "sub-PCA", quick=False)
    assert skab.value["F1"] >= 0.82
    assert skab.value["FAR"] <= 0.20
    assert of("batadal", "sub-PCA", quick=False).value["S"] >= 0.93
    assert of("batadal", "PCA T2+Q", quick=False).value["S"] < 0.8


@pytest.mark.real
def test_water_quality_is_guarded_with_less_than_a_false_alarm_a_day() -> None:
    found = of("gecco", "own last hour", quick=False)
    assert found.value["F1"] >= 0.45
    assert found.value["false alarms a day"] <= 1
    assert len(found.drawn["ROC"]["x"]) <= 400


@pytest.mark.real
def test_streams_never_seen_are_watched_better_than_by_sigma() -> None:
    assert of("nab", "streaming rarity").value["standard"] > of("nab", "sigma").value["standard"] + 10
