"""Folds of records and weights of classes; discriminants on published features of beats."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from nervure.core.error import DataError, ModelError
from nervure.learn.detect.beatfold import decided, hands, weights
from nervure.learn.detect.beatline import BeatDiscriminants, published
from nervure.learn.detect.body import Beats


def beats(records: int = 4, each: int = 200, *, seed: int = 0) -> Beats:
    """Make up records: a V is wide, an S early; the heart of each record has a rate of its own."""
    random = np.random.default_rng(seed)
    at = np.arange(128) - 48
    narrow, wide = np.exp(-((at / 3) ** 2)), 2 * at / 9 * np.exp(-((at / 9) ** 2))
    wave = 0.2 * np.exp(-(((at + 20) / 4) ** 2))
    aami = random.choice(["N", "S", "V"], p=[0.7, 0.15, 0.15], size=records * each)
    record = np.repeat([f"r{one}" for one in range(records)], each)
    rate = np.repeat(random.uniform(0.7, 0.9, records), each)
    before = rate * np.where(aami == "N", 1, 0.6) + random.normal(0, 0.02, len(aami))
    shape = np.where((aami == "V")[:, None], wide, narrow) + np.where((aami == "N")[:, None], wave, 0)
    rr = np.stack([before, np.r_[before[1:], 0.8], before / rate, before / rate], axis=1)
    window = shape + random.normal(0, 0.01, shape.shape)
    return Beats(window=window, rr=rr, aami=aami, record=record, sample=np.arange(len(aami)))


def test_published_features_are_seconds_and_millivolts() -> None:
    whole = beats()
    shown = published(whole)
    assert shown.shape == (800, 26)
    assert np.allclose(shown[:, 0], whole.rr[:, 0])
    assert np.allclose(shown[:, 1], whole.rr[:, 1])
    assert np.allclose(shown[:, 2] * whole.rr[:, 3], whole.rr[:, 0])
    normal, wide = whole.aami == "N", whole.aami == "V"
    assert np.median(shown[wide, 4]) > 1.5 * np.median(shown[normal, 4]), "the duration of QRS"
    assert np.median(shown[normal, 6]) > 0.15 > np.median(shown[whole.aami == "S", 6]), "the P wave"
    louder = published(msgspec.structs.replace(whole, window=2 * whole.window))
    assert np.allclose(louder[:, 6:], 2 * shown[:, 6:])
    with pytest.raises(DataError, match="no room"):
        published(whole, peak=100)


def test_discriminants_tell_beats_of_other_records() -> None:
    known, fresh = beats(), beats(2, seed=1)
    line = BeatDiscriminants().fit_by_record(published(known), known.aami, known.record, count=2)
    assert line.classes == ("N", "S", "V")
    assert np.allclose(line.score(published(fresh)).sum(axis=1), 1)
    assert np.mean(line.decide(published(fresh)) == fresh.aami) > 0.95


def test_discriminants_refuse_what_cannot_be() -> None:
    with pytest.raises(ModelError, match="not been fitted"):
        BeatDiscriminants().score(np.zeros((1, 26)))
    known = beats(2)
    aami = np.where((known.record == "r0") & (known.aami == "S"), "N", known.aami)
    with pytest.raises(DataError, match="without one of the classes"):
        BeatDiscriminants().fit_by_record(published(known), aami, known.record, count=2)
    with pytest.raises(DataError, match="2 records"):
        hands(known.aami, known.record, 3)


def test_hands_hold_every_record_once_and_spread_the_rare() -> None:
    record = np.repeat(["a", "b", "c", "d"], 10)
    truth = np.where(np.isin(record, ("a", "b")) & (np.arange(40) % 2 == 0), "S", "N")
    dealt = hands(truth, record, 2)
    assert sorted(name for hand in dealt for name in hand) == ["a", "b", "c", "d"]
    assert all(len({"a", "b"} & set(one)) == 1 for one in dealt)


def test_weights_let_every_record_speak_once() -> None:
    """One record with nine tenths of the S wants no weight; two with few want a large one."""
    classes = ("N", "S", "V")
    record = np.repeat(["much", "few", "little"], [1000, 200, 200])
    truth = np.full(1400, "N")
    truth[:900], truth[1000:1012], truth[1200:1212] = "S", "S", "S"
    truth[950:970] = "V"
    share = np.tile([0.98, 0.01, 0.01], (1400, 1))
    share[:900] = [0.04, 0.95, 0.01]
    share[950:970] = [0.01, 0.01, 0.98]
    share[1000:1012] = share[1200:1212] = [0.80, 0.19, 0.01]
    chosen = weights(share, truth, record, classes)
    found = decided(share, classes, chosen)
    assert (found == truth).all(), "pooled, 900 of 924 were found without any weight"
    assert chosen["S"] > 4


def test_fusion_and_unknown_beats_are_no_false_v() -> None:
    classes = ("F", "N", "S", "V")
    record = np.repeat(["a", "b"], 100)
    truth = np.tile(np.repeat(["N", "S", "V", "F"], [40, 20, 20, 20]), 2)
    share = np.eye(4)[np.searchsorted(classes, truth)] * 0.9 + 0.025
    share[truth == "F"] = [0.2, 0.05, 0.05, 0.7]
    assert weights(share, truth, record, classes)["V"] >= 0.5**5
    spared = decided(share, classes, weights(share, truth, record, classes))
    assert (spared[truth == "V"] == "V").all()


def test_without_a_rare_class_every_beat_weighs_one() -> None:
    truth, record = np.full(10, "N"), np.repeat(["a", "b"], 5)
    assert weights(np.tile([0.9, 0.1], (10, 1)), truth, record, ("N", "S"))["V"] == pytest.approx(2.0**-5)
