"""Plain detectors keep what every detector keeps, and find what is plain to see."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from nervure.core.error import DataError, ModelError
from nervure.learn.detect import score
from nervure.learn.detect.baseline import (
    Detector,
    IsolationForest,
    Pca,
    Scaler,
    Sigma,
    WindowTrees,
    detectors,
)
from nervure.learn.detect.block import Block
from nervure.learn.detect.case import CaseTrees, envelope, signature, signature_names
from nervure.learn.detect.life import Conditions, LifeTrees
from nervure.learn.detect.window import last_known, trailing

CHANNELS = tuple(f"sensor {turn}" for turn in range(5))


def _value(rows: int, seed: int) -> np.ndarray:
    """Five sensors that two hidden causes move together, and one that never moves."""
    random = np.random.default_rng(seed)
    cause = random.normal(size=(rows, 2))
    mix = np.array([[1.0, 0.5, -1.0, 0.8, 0.0], [0.3, -1.0, 0.6, 1.0, 0.0]])
    noise = random.normal(size=(rows, 5)) * np.array([0.1, 0.1, 0.1, 0.1, 0.0])
    made: np.ndarray = cause @ mix + noise + 10
    return made


def _block(rows: int = 600, seed: int = 0, label: np.ndarray | None = None) -> Block:
    value = _value(rows, seed)
    if label is not None:
        value[label == 1, 2] += 4
    return Block(
        name="made", channels=CHANNELS, value=value, time=np.arange(rows) * 10**9, every_ns=10**9, label=label
    )


def _labels(rows: int) -> np.ndarray:
    label = np.zeros(rows, np.int8)
    label[200:230] = label[400:420] = 1
    return label


def _all() -> list[Detector]:
    return [*detectors(), WindowTrees(window=5, rounds=20)]


@pytest.fixture(name="fitted", params=_all(), ids=lambda one: one.name, scope="module")
def _fitted(request: pytest.FixtureRequest) -> Detector:
    detector: Detector = request.param
    return detector.fit(_block(label=_labels(600)) if isinstance(detector, WindowTrees) else _block())


def test_a_score_depends_on_the_past_alone(fitted: Detector) -> None:
    value = _value(120, 5)
    whole = fitted.score(value)
    assert whole.shape == (120,)
    for cut in (1, 7, 60):
        assert np.allclose(fitted.score(value[:cut]), whole[:cut])


def test_missing_readings_are_borne(fitted: Detector) -> None:
    value = _value(80, 6)
    value[np.random.default_rng(0).random(value.shape) < 0.3] = np.nan
    value[:3] = np.nan
    assert np.isfinite(fitted.score(value)).all()
    assert np.isfinite(fitted.contributions(value)).all()


def test_a_sensor_that_jumps_is_found_and_named(fitted: Detector) -> None:
    value = _value(300, 7)
    odd = np.zeros(300, np.int8)
    odd[150:165] = 1
    value[150:165, 2] += 4
    assert score.auroc(odd, fitted.score(value)) > 0.85
    blame = fitted.contributions(value)
    assert blame.shape == (300, 5)
    assert (blame >= 0).all()
    assert blame[155:165].sum(axis=0).argmax() == 2


def test_a_sensor_that_never_moved_is_odd_when_it_does() -> None:
    value = _value(50, 8)
    value[30:, 4] += 30
    for detector in (Sigma().fit(_block()), Pca().fit(_block())):
        found = detector.score(value)
        assert found[30:].min() > found[:30].max()
        assert (detector.contributions(value)[30:].argmax(axis=1) == 4).all()


def test_the_same_seed_gives_the_same_scores() -> None:
    value = _value(50, 9)
    one, same, other = (IsolationForest(seed=seed).fit(_block()).score(value) for seed in (1, 1, 2))
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)


def test_pca_by_hand() -> None:
    """Two channels that are equal but for noise: T2 measures along them, Q across."""
    random = np.random.default_rng(0)
    common, across = random.normal(size=1000), random.normal(size=1000) * 0.1
    value = np.stack([common + across, common - across], axis=1)
    block = Block(name="two", channels=("a", "b"), value=value, time=np.arange(1000), every_ns=1)
    detector = Pca(0.9, level=1.0).fit(block)
    scaler = Scaler(value)
    z = scaler(np.array([[3.0, 3.0], [1.0, -1.0]]))
    inner, outer = detector._both(z)
    spread = np.linalg.eigvalsh(np.corrcoef(value.T))[-1]
    assert inner.sum(axis=1) == pytest.approx((z.sum(axis=1) / np.sqrt(2)) ** 2 / spread)
    assert outer.sum(axis=1) == pytest.approx((z[:, 0] - z[:, 1]) ** 2 / 2)
    assert detector.score(value).max() == pytest.approx(1.0), "the limit is the largest on the fitted rows"


def test_what_cannot_be_fitted() -> None:
    with pytest.raises(DataError, match="no block was given"):
        Sigma().fit()
    with pytest.raises(DataError, match="no rows to fit"):
        Sigma().fit(_block().part(0, 0))
    with pytest.raises(DataError, match="made has no labels"):
        WindowTrees().fit(_block())
    with pytest.raises(DataError, match="all odd or all normal"):
        WindowTrees().fit(_block(label=np.zeros(600, np.int8)))
    with pytest.raises(ModelError, match=r"\(4, 3\) do not fit 5 channels"):
        Sigma().fit(_block()).score(np.zeros((4, 3)))


def test_rows_nobody_knows_about_teach_nothing() -> None:
    label = _labels(600)
    known = WindowTrees(5, 20).fit(_block(label=label).part(0, 500)).score(_value(50, 1))
    unknown = label.copy()
    unknown[500:] = -1
    block = _block(label=label)
    again = msgspec.structs.replace(block, label=unknown)
    assert np.corrcoef(known, WindowTrees(5, 20).fit(again).score(_value(50, 1)))[0, 1] > 0.9


def test_trailing_statistics_against_plain_windows() -> None:
    value = np.random.default_rng(0).normal(size=(60, 3)) * 5 + 1e5
    found = trailing(value, 12).reshape(60, 4, 3)
    for row in range(60):
        window = value[max(0, row - 11) : row + 1]
        assert np.allclose(found[row, 0], value[row])
        assert np.allclose(found[row, 1], window.mean(axis=0))
        assert np.allclose(found[row, 2], window.std(axis=0), atol=1e-6)
        slope = np.polyfit(np.arange(len(window)), window, 1)[0] if len(window) > 1 else 0.0
        assert np.allclose(found[row, 3], slope, atol=1e-6)
    assert trailing(np.empty((0, 3)), 5).shape == (0, 12)


def test_gaps_take_the_last_reading() -> None:
    value = np.array([[np.nan, 1.0], [2.0, np.nan], [np.nan, np.nan]])
    assert last_known(value, np.array([7.0, 8.0])).tolist() == [[7.0, 1.0], [2.0, 1.0], [2.0, 1.0]]


def _engine(life: int, seed: int) -> Block:
    """An engine at two conditions in turn, whose first sensor wears from 60 cycles before the end on."""
    random = np.random.default_rng(seed)
    high = random.random(life) < 0.5
    settings = np.stack([np.where(high, 20.0, 0.0), np.where(high, 0.7, 0.0), np.full(life, 100.0)], axis=1)
    wear = np.maximum(60 - np.arange(life - 1, -1, -1), 0) / 10
    sensors = np.stack([wear + 50 * high + random.normal(size=life) * 0.2, np.full(life, 3.0)], axis=1)
    return Block(
        name=f"engine {seed}",
        channels=("setting_1", "setting_2", "setting_3", "s1", "s2"),
        value=np.concatenate([settings, sensors], axis=1),
        time=np.arange(life),
        every_ns=1,
        group=str(seed),
    )


def test_remaining_life_is_read_from_wear_whatever_the_condition() -> None:
    fleet = [_engine(100 + 7 * turn, turn) for turn in range(12)]
    trees = LifeTrees(window=10, rounds=60).fit(fleet)
    cut = [_engine(150, 20).part(0, 120), _engine(150, 21).part(0, 140), _engine(150, 22).part(0, 5)]
    found = trees.last(cut)
    assert found[0] == pytest.approx(30, abs=8)
    assert found[1] == pytest.approx(10, abs=5)
    assert found[2] > 80
    for one, last in zip(cut, found, strict=True):
        path = trees.predict(one.value)
        assert path[-1] == pytest.approx(last)
        assert np.allclose(trees.predict(one.value[:3]), path[:3]), "from the past alone"
    conditions = Conditions(np.concatenate([one.value for one in fleet]))
    assert len(conditions.centre) == 2
    assert np.isfinite(conditions(fleet[0].value)).all()


def test_an_envelope_beats_at_the_order_of_the_fault_whatever_the_speed() -> None:
    random, row = np.random.default_rng(0), np.arange(12_000)
    for turns in (30 / 12_000, 25 / 12_000):
        ringing = (1 + np.sin(2 * np.pi * 5.43 * turns * row)) * np.sin(2 * np.pi * 0.3 * row)
        hum = 20 * np.sin(2 * np.pi * 2 * turns * row)
        found = envelope(ringing + hum + random.normal(size=12_000) / 10, turns)
        assert found.shape == (100,)
        assert found.argmax() == int(5.43 / 20 * 100), "not at the hum of twice the speed"
    with pytest.raises(DataError, match="600 rows do not resolve 100 bins"):
        envelope(np.zeros(600), 30 / 12_000)


def test_cases_are_told_apart_by_their_spectrum() -> None:
    random, time = np.random.default_rng(0), np.arange(512)

    def case(frequency: float) -> np.ndarray:
        wave = np.sin(2 * np.pi * frequency * time + random.random() * 6) + random.normal(size=512)
        return signature(np.stack([wave, random.normal(size=512)], axis=1))

    truth = ["low", "high"] * 30
    shown = np.stack([case(0.05 if one == "low" else 0.3) for one in truth])
    assert shown.shape[1] == len(signature_names(("a", "b")))
    trees = CaseTrees(50).fit(shown[:40], truth[:40])
    found = trees.score(shown[40:], ("high", "low", "never seen"))
    assert found[:, 2].tolist() == [0.0] * 20
    assert score.auroc_macro(truth[40:], found, ("high", "low")) > 0.95
    digits = CaseTrees(50).fit(shown[:40], [1 if one == "low" else 0 for one in truth[:40]])
    assert np.array_equal(digits.score(shown[40:], ("1",))[:, 0], found[:, 1]), "classes may be numbers"
    with pytest.raises(DataError, match="of one class"):
        CaseTrees().fit(shown, ["low"] * 60)
    with pytest.raises(DataError, match="8 rows are too few for 16 bands"):
        signature(np.zeros((8, 1)))
    still = signature(np.full((64, 1), np.nan))
    assert np.isfinite(still).all()
