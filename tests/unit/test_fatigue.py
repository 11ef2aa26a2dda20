"""Rainflow, Miner, and cracks that are made up."""

from __future__ import annotations

import math

import numpy as np
import pytest

from nervure.core.error import DataError
from nervure.core.instant import HOUR_NS
from nervure.learn.detect.block import Block
from nervure.learn.detect.fatigue import CRACK, Curve, Miner, cracks, cycles, damage

CURVE = Curve(range_mpa=100, life_at=1e4)


def test_cycles_of_the_standard() -> None:
    history = np.array([-2, 1, -3, 5, -1, 3, -4, 4, -2], dtype=float)  # the example of ASTM E1049
    found = cycles(history)
    count = {span: float(found[found[:, 0] == span, 2].sum()) for span in np.unique(found[:, 0])}
    assert count == {3: 0.5, 4: 1.5, 6: 0.5, 8: 1.0, 9: 0.5}


def test_curves() -> None:
    assert CURVE.cycles(200.0) == pytest.approx(1250)
    assert Curve(range_mpa=100, life_at=1e4, limit_mpa=50).cycles(40) == math.inf
    pulled = Curve(range_mpa=100, life_at=1e4, ultimate_mpa=400)
    assert pulled.cycles(100, 200) == pytest.approx(1250)
    assert pulled.cycles(100, 500) == 1.0
    assert pulled.cycles(100, -200) == pytest.approx(1e4)


def test_constant_loads_use_up_their_share() -> None:
    load = np.tile([0.0, 200.0], 1250)
    assert damage(load, CURVE) == pytest.approx(1.0, abs=1e-3)
    with pytest.raises(DataError, match="gaps"):
        damage(np.array([0.0, np.nan]), CURVE)


def history(rows: int, used: float) -> Block:
    value = np.full((rows, 1), used)
    return Block(
        name="a", channels=("damage",), value=value, time=np.arange(rows) * HOUR_NS, every_ns=HOUR_NS
    )


def test_miner_counts_down() -> None:
    own = Miner(window=5).judge(history(40, 0.01).value)
    assert own.expected[[0, 9, 39]] == pytest.approx([99, 90, 60])
    assert (np.diff(own.quantile, axis=1) >= 0).all()
    assert Miner(clip=50).last([history(40, 0.01)]) == pytest.approx([50])
    assert Miner().judge(np.zeros((3, 1))).expected[-1] == 1e4  # what does no damage lasts


def test_miner_learns_the_sum_at_failure() -> None:
    fitted = Miner().fit([history(50, 0.01), history(60, 0.01), history(70, 0.01)])
    assert fitted.total == pytest.approx(0.6)
    assert fitted.judge(history(30, 0.01).value).expected[-1] == pytest.approx(30)


def test_cracks_grow_until_they_break() -> None:
    some = cracks(6, seed=3)
    assert [one.name for one in some] == [one.name for one in cracks(6, seed=3)]
    for one, again in zip(some, cracks(6, seed=3), strict=True):
        assert one.channels == CRACK
        np.testing.assert_array_equal(one.value, again.value)
        assert one.value[0, 3] < 1.2
        assert one.value[-1, 3] > 2.5
        assert 0.3 < one.value[:, 0].sum() < 4  # Miner is of the right size, and off
    assert len({len(one) for one in some}) > 3
