"""Orders of envelopes: a fault of a known bearing at a known speed is where it is looked for."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from nervure.bench.detect import bearing, structure
from nervure.bench.detect.job import Job
from nervure.core.error import DataError
from nervure.learn.detect.models.vibration_cnn import Bank
from nervure.learn.detect.order import (
    BANDS,
    DRIVE_END,
    HARMONICS,
    OFFSETS,
    order_names,
    order_picture,
    whitened,
)

_HZ, _ROWS = 12_000, 20_000
Floats = NDArray[np.float64]


def hit(rate: float, rpm: float, carrier: float) -> Floats:
    """Return a bearing that is hit ``rate`` times a turn and rings at ``carrier`` cycles a row."""
    random = np.random.default_rng(0)
    gap = _HZ / (rate * rpm / 60)
    hits = np.zeros(_ROWS)
    hits[np.arange(0, _ROWS, gap).astype(int)] = 1 + 0.1 * random.normal(size=len(np.arange(0, _ROWS, gap)))
    ring = np.exp(-np.arange(200) / 30) * np.sin(2 * np.pi * carrier * np.arange(200))
    return np.convolve(hits, ring)[:_ROWS] + 0.2 * random.normal(size=_ROWS)


@pytest.mark.parametrize("rpm", [1730.0, 1797.0])
@pytest.mark.parametrize("part", DRIVE_END._fields)
def test_a_fault_stands_in_the_middle_of_its_own_zone(part: str, rpm: float) -> None:
    signal = hit(getattr(DRIVE_END, part), rpm, 0.31)
    picture = order_picture(signal, rpm / 60 / _HZ, DRIVE_END)
    assert picture.shape == (3 * HARMONICS * len(OFFSETS), len(BANDS)) == (len(order_names()), len(BANDS))
    middle = {one: picture[order_names().index(f"{one} x1 +0.00")].max() for one in DRIVE_END._fields}
    assert max(middle, key=lambda one: middle[one]) == part
    ringing = picture[order_names().index(f"{part} x1 +0.00")]
    assert ringing[3] > ringing[1] + 0.5, "in the band it rings in, not in another"


def test_speed_does_not_move_the_picture() -> None:
    slow, fast = (
        order_picture(hit(DRIVE_END.outer, rpm, 0.31), rpm / 60 / _HZ, DRIVE_END) for rpm in (1730.0, 1797.0)
    )
    wrong = order_picture(hit(DRIVE_END.outer, 1797.0, 0.31), 1730.0 / 60 / _HZ, DRIVE_END)
    at = [order_names().index(f"outer x{turn} +0.00") for turn in (1, 2, 3)]
    lower = np.minimum(slow, fast)[at, 3]
    assert (lower - wrong[at, 3]).mean() > 1, "only the right speed puts it there"


def test_whitening_takes_resonances_out() -> None:
    random = np.random.default_rng(0)
    ring = np.exp(-np.arange(400) / 80) * np.sin(0.8 * np.arange(400))
    flat = whitened(np.convolve(random.normal(size=8000), ring)[:8000])
    level = [float((np.abs(one) ** 2).mean()) for one in np.array_split(np.fft.rfft(flat), 20)]
    assert max(level) < 2 * min(level)


def test_a_window_of_few_turns_is_refused() -> None:
    with pytest.raises(DataError, match=r"6\.0 turns do not tell orders apart"):
        order_picture(np.ones(2_400), 30 / _HZ, DRIVE_END)


def test_filters_go_where_the_energy_is() -> None:
    swing = np.sin(0.2 * np.pi * np.arange(512))[None, :, None].astype(np.float32)
    even, drawn = (Bank(count=20, width=64, spread=one).centres(swing) for one in (0.0, 1.0))
    assert np.diff(even) == pytest.approx(np.full(19, np.diff(even)[0]), rel=0.05)
    assert np.abs(drawn - 0.1).mean() < 0.5 * np.abs(even - 0.1).mean()
    assert (np.diff(drawn) >= 0).all()


@pytest.mark.real
def test_quick_contests_give_every_goal_a_figure() -> None:
    for one in (*bearing.contests(), *structure.contests()):
        kind = {entry.model: entry.kind for entry in one.entries}
        assert set(one.quick) <= set(kind)
        results = [
            one.perform(Job(set=one.set, model=model, kind=kind[model], quick=True)) for model in one.quick
        ]
        for found in results:
            assert found.value
            assert set(found.value) <= set(one.metrics)
        assert one.text is not None
        assert one.text(results)
