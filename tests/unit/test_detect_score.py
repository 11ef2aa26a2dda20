"""What detection is judged by, held against cases computed by hand."""

from __future__ import annotations

import numpy as np
import pytest

from nervure.core.error import DataError
from nervure.core.instant import DAY_NS, HOUR_NS
from nervure.learn.detect import score
from nervure.learn.detect.score import Counts


def _flags(text: str) -> np.ndarray:
    return np.array([one == "x" for one in text])


def _labels(text: str) -> np.ndarray:
    return np.array([{"x": 1, ".": 0, "?": -1}[one] for one in text], np.int8)


def test_points_are_counted_each_for_itself() -> None:
    found = score.counts(_labels("xxx...??"), _flags("x..xx.x."))
    assert found == Counts(tp=1, fp=2, fn=2, tn=1)
    assert found.f1 == pytest.approx(2 / (2 + 2 + 2))
    assert found.far == pytest.approx(2 / 3)
    assert found.mar == pytest.approx(2 / 3)
    assert found.precision == pytest.approx(1 / 3)
    assert found.sensitivity == pytest.approx(1 / 3)
    assert found.specificity == pytest.approx(1 / 3)


def test_pooling_adds_rows_up_and_is_no_mean_of_rates() -> None:
    one, other = Counts(tp=9, fp=1, fn=0, tn=90), Counts(tp=0, fp=0, fn=1, tn=9)
    both = score.pooled([one, other])
    assert both == Counts(tp=9, fp=1, fn=1, tn=99)
    assert both.f1 == pytest.approx(0.9)
    assert (one.f1 + other.f1) / 2 == pytest.approx(0.4737, abs=1e-4)
    assert np.isnan(score.pooled([]).f1)


def test_an_event_found_at_one_row_is_one_event_and_no_more() -> None:
    label, alarm = _labels(".xxxx.xx..x"), _flags("....x......")
    assert score.event_recall(label, alarm) == pytest.approx(1 / 3)
    assert score.counts(label, alarm).tp == 1, "no point adjustment"
    assert np.isnan(score.event_recall(_labels("..."), _flags("...")))


def test_alarms_are_counted_as_a_person_gets_them() -> None:
    alarm = _flags("x.x......xx.")
    assert score.alarms_per_day(alarm, 2 * HOUR_NS) == 3
    assert score.alarms_per_day(alarm, 2 * HOUR_NS, merge=1) == 2
    assert score.alarms_per_day(alarm, HOUR_NS, merge=6) == 2


def test_false_alarms_are_over_normal_days_and_touch_no_event() -> None:
    label, alarm = _labels("....xx......????"), _flags("x..xx....x...x..")
    assert score.false_alarms_per_day(label, alarm, DAY_NS // 10) == 2, "two alarms, ten normal rows"
    assert score.false_alarms_per_day(label, alarm, DAY_NS // 10, merge=3) == 1, "the first joins the event's"
    assert np.isnan(score.false_alarms_per_day(_labels("xx"), _flags("xx"), HOUR_NS))


def test_a_promise_is_kept_at_one() -> None:
    assert score.kept_promise(0.5, 1.0) == 0.5
    with pytest.raises(DataError, match="promise of 0"):
        score.kept_promise(1.0, 0.0)


def test_batadal_by_hand() -> None:
    label = _labels("..xxxx....xx........")
    attacks = np.array([[2, 6], [10, 12]])
    late = score.attack_score(label, _flags("...xxx.............x"), attacks)
    assert late.time_to_detection == pytest.approx((0.75 + 0) / 2), "an hour of four late, and one missed"
    assert late.classification == pytest.approx((3 / 6 + 13 / 14) / 2)
    assert late.total == pytest.approx((late.time_to_detection + late.classification) / 2)
    assert late.found == 1
    perfect = score.attack_score(label, label == 1, attacks)
    assert (perfect.total, perfect.found) == (1.0, 2)
    assert score.attack_score(label, np.zeros(20, bool), attacks).total == pytest.approx(0.25)
    assert score.attack_score(label, np.ones(20, bool), attacks).total == pytest.approx(0.75)


def test_auroc_is_the_share_of_pairs_in_order() -> None:
    random = np.random.default_rng(0)
    label, value = random.integers(0, 2, 60).astype(np.int8), random.integers(0, 8, 60).astype(np.float64)
    odd, normal = value[label == 1], value[label == 0]
    pairs = (odd[:, None] > normal).mean() + (odd[:, None] == normal).mean() / 2
    assert score.auroc(label, value) == pytest.approx(pairs)
    assert score.auroc(np.r_[label, -1], np.r_[value, 99.0]) == pytest.approx(pairs), (
        "unknown rows do not count"
    )
    with pytest.raises(DataError, match="no number"):
        score.auroc(label, np.full(60, np.nan))
    with pytest.raises(DataError, match="59 rows"):
        score.auroc(label[:59], value)


def test_macro_auroc_weighs_classes_alike() -> None:
    truth = ["a", "a", "a", "b", "c"]
    value = np.array([[0.9, 0, 0], [0.8, 0, 0], [0.1, 1, 0], [0.2, 0.5, 0], [0, 0, 1.0]])
    each = [(6 - 1) / 6, 3 / 4, 1.0]
    assert score.auroc_macro(truth, value, ("a", "b", "c")) == pytest.approx(np.mean(each))
    with pytest.raises(DataError, match="a class has no case"):
        score.auroc_macro(truth, value, ("a", "b", "d"))


def test_remaining_life_with_both_conventions() -> None:
    truth, found = np.array([150.0, 20.0]), np.array([125.0, 26.0])
    assert score.rmse(truth, found) == pytest.approx(np.sqrt((25**2 + 6**2) / 2))
    assert score.rmse(truth, found, clip=125) == pytest.approx(np.sqrt(36 / 2))
    assert score.phm08(truth, found) == pytest.approx(np.exp(25 / 13) - 1 + np.exp(0.6) - 1)
    assert score.phm08(truth, found, clip=125) == pytest.approx(np.exp(0.6) - 1)


def test_the_challenge_of_2012_forgives_early_more_than_late() -> None:
    truth = np.array([100.0])
    wanted = {100: 1.0, 80: 0.5, 60: 0.25, 105: 0.5, 110: 0.25}
    for found, value in wanted.items():
        assert score.phm2012(truth, np.array([float(found)])) == pytest.approx(value)


def test_beats_by_class_spare_what_the_standard_spares() -> None:
    truth = np.array(list("NNSSVVVFQ"))
    found = np.array(list("NVSNVVNVV"))
    spared = score.beat_scores(truth, found)["V"]
    assert (spared.tp, spared.fp, spared.fn) == (2, 1, 1), (
        "a fusion and an unknown beat called V are no false V"
    )
    strict = score.beat_scores(truth, found, strict=True)["V"]
    assert (strict.tp, strict.fp, strict.fn) == (2, 3, 1)
    s = score.beat_scores(truth, found)["S"]
    assert (s.sensitivity, s.precision) == (0.5, 1.0)


def test_blame_that_is_spread_evenly_hits_nothing() -> None:
    blame = np.array([[0.1, 0.7, 0.2], [0.5, 0.3, 0.2], [1.0, 1.0, 1.0]])
    guilty = np.array([1, 1, 0])
    assert score.hit_at(blame, guilty) == pytest.approx(1 / 3)
    assert score.hit_at(blame, guilty, first=2) == pytest.approx(2 / 3)
    assert score.hit_at(blame, guilty, first=3) == 1.0
    assert np.isnan(score.hit_at(np.empty((0, 3)), np.empty(0, np.int64)))
