"""Modes, novelty and transfer functions: what was put in is found again."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pytest
from numpy.typing import NDArray

from nervure.core.error import DataError, ModelError
from nervure.core.instant import SECOND_NS
from nervure.learn.detect.block import Block
from nervure.learn.detect.modal import Mode, decomposed, follow, mac, subspace
from nervure.learn.detect.novelty import LastingShift, Novelty
from nervure.learn.detect.shear import Building, frequencies, shake, shaken
from nervure.learn.detect.transfer import halfway, peak, transfer

_HZ = 40.0
_WEAK = Building(stiffness=(8e6, 1e7, 1e7))  # a fifth of the lowest storey's stiffness is gone

Floats = NDArray[np.float64]


@lru_cache(maxsize=4)
def swung(building: Building) -> Floats:
    random = np.random.default_rng(3)
    value = shake(building, 12_000, _HZ, random)
    noisy: Floats = value + 0.05 * value.std(axis=0) * random.normal(size=value.shape)
    return noisy


@pytest.mark.parametrize("find", [decomposed, subspace])
def test_known_frequencies_are_found_again(find: object) -> None:
    assert callable(find)
    modes = find(swung(Building()), _HZ)
    assert [one.hz for one in modes] == pytest.approx(frequencies(Building()).tolist(), rel=0.01)


@pytest.mark.parametrize("find", [decomposed, subspace])
def test_damage_lowers_them(find: object) -> None:
    assert callable(find)
    before, after = (find(swung(one), _HZ) for one in (Building(), _WEAK))
    wanted = frequencies(_WEAK) / frequencies(Building())
    now = follow(before, after)[:, 0] / [one.hz for one in before]
    assert now == pytest.approx(wanted, abs=0.01)
    assert now[0] < 0.98


def test_damping_and_shapes_are_those_of_the_building() -> None:
    modes = subspace(swung(Building()), _HZ)
    assert [one.damping for one in modes] == pytest.approx([0.01] * 3, abs=0.006)
    angle = np.pi * np.outer([1, 2, 3], [1, 3, 5]) / 7  # sines, for storeys that are all alike
    assert [mac(one.shape, np.sin(angle[:, at])) for at, one in enumerate(modes)] > [0.98] * 3
    assert all(np.abs(one.shape).max() == pytest.approx(1.0) for one in modes)


def test_modes_that_cross_keep_their_names() -> None:
    low, high = Mode(2.0, 0.01, np.array([1.0, 0.1])), Mode(2.2, 0.01, np.array([-0.1, 1.0]))
    crossed = [low._replace(hz=2.3), high._replace(hz=2.1)]
    assert follow([low, high], crossed)[:, 0].tolist() == [2.3, 2.1]
    gone = follow([low, high], crossed[:1])
    assert gone[0, 0] == 2.3
    assert np.isnan(gone[1]).all(), "what is not found again is not made up"


def test_records_too_short() -> None:
    with pytest.raises(DataError, match="no two segments of 1024"):
        decomposed(np.zeros((1000, 2)), _HZ)
    with pytest.raises(DataError, match="too few for 40 lags"):
        subspace(np.zeros((300, 2)), _HZ)
    with pytest.raises(DataError, match="stands still"):
        subspace(np.ones((500, 2)), _HZ)
    with pytest.raises(DataError, match="one stiffness above 0"):
        frequencies(Building(stiffness=(1e7, 1e7, 0.0)))


def test_simulated_buildings_lose_and_freeze() -> None:
    found = shaken(2, 6, rows=256, seed=1)
    assert found.value.shape == (12, 256, 3)
    assert sorted(set(found.group)) == ["building 0", "building 1"]
    assert ((found.left < 1) == (found.storey > 0)).all()
    assert found.storey.astype(bool).tolist() == [False, True] * 6
    np.testing.assert_array_equal(found.value, shaken(2, 6, rows=256, seed=1).value)
    assert not np.array_equal(found.value, shaken(2, 6, rows=256, seed=2).value)


def _warm(count: int, random: np.random.Generator) -> tuple[Floats, Floats]:
    celsius = random.uniform(-5, 35, size=count)
    hz = np.stack([2.0 - 0.02 * celsius, 5.0 - 0.05 * celsius], axis=1)
    return hz + 0.01 * random.normal(size=hz.shape), celsius


def test_what_the_temperature_does_is_no_damage() -> None:
    random = np.random.default_rng(0)
    reference, celsius = _warm(200, random)
    calm, then = _warm(100, random)
    broken = calm - [0.1, 0.0]
    told = Novelty().fit(reference, celsius)
    assert (told.score(calm, then) > told.limit).mean() < 0.15
    assert (told.score(broken, then) > told.limit).mean() > 0.95
    assert (told.contributions(broken, then).argmax(axis=1) == 0).mean() > 0.95
    untold = Novelty().fit(reference)
    assert untold.score(broken).mean() < 0.5 * told.score(broken, then).mean()


def test_a_mode_that_is_not_found_is_as_expected() -> None:
    random = np.random.default_rng(0)
    reference = random.normal(size=(50, 3))
    model = Novelty().fit(reference)
    assert model.score(np.full((1, 3), np.nan)).tolist() == [0.0]
    assert np.isfinite(model.score(np.array([[np.nan, 9.0, 0.0]]))).all()
    with pytest.raises(DataError, match="no reference"):
        Novelty().fit(reference[:3])
    with pytest.raises(ModelError, match="not been fitted"):
        Novelty().score(reference)


def _block(value: Floats) -> Block:
    time = np.arange(len(value), dtype=np.int64) * SECOND_NS
    return Block(name="bridge", channels=("strain",), value=value[:, None], time=time, every_ns=SECOND_NS)


def test_a_load_passes_and_a_settlement_stays() -> None:
    random = np.random.default_rng(0)
    load = np.zeros(1200)
    load[300:420] = 8.0
    noise = 0.3 * random.normal(size=(3, 1200))
    detector = LastingShift().fit(_block(load + noise[0]))
    assert (detector.score((load + noise[1])[:, None]) < 1).all()
    settled = load + noise[2] + 20.0 * np.clip((np.arange(1200) - 600) / 200, 0, 1)
    score = detector.score(settled[:, None])
    assert (score[:600] < 1).all()
    assert (score > 1).any()
    np.testing.assert_allclose(detector.score(settled[:700, None]), score[:700], err_msg="causal")
    gap = settled.copy()
    gap[100:200] = np.nan
    assert np.isfinite(detector.score(gap[:, None])).all()


def test_a_transfer_function_peaks_where_the_structure_swings() -> None:
    random = np.random.default_rng(0)
    ground = random.normal(size=4000)
    pole = 0.98 * np.exp(2j * np.pi * 0.1)
    answer = np.zeros(4000)
    for row in range(2, 4000):
        answer[row] = ground[row] + 2 * pole.real * answer[row - 1] - abs(pole) ** 2 * answer[row - 2]
    value = np.stack([ground, answer], axis=1)
    gain = transfer(value)
    assert gain.shape == (200, 1)
    assert peak(gain[:, 0]) == pytest.approx(0.1, abs=0.002)
    np.testing.assert_allclose(transfer(value * 7), gain, atol=1e-6)
    with pytest.raises(DataError, match="no transfer function"):
        transfer(value[:20])


def test_halfway_pairs_runs_of_one_excitation() -> None:
    group = np.array(["a", "b", "a", "c"])
    assert halfway(np.array([2, 3]), np.array([0, 1]), group).tolist() == [[2, 0]]
    assert halfway(np.array([3]), np.array([0]), group).shape == (0, 2)
