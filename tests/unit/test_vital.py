"""Simulated vital signs, the early-warning score, and an autoencoder over hours of them."""

from __future__ import annotations

import numpy as np
import pytest

from nervure.core.error import DataError
from nervure.learn.detect.models.vital_autoencoder import VitalAutoencoder
from nervure.learn.detect.score import auroc
from nervure.learn.detect.train import Effort
from nervure.learn.detect.vital import KINDS, early_warning, person, ward

QUICK = Effort(cpu_s=1e6, epochs=4, batch=128)


def small() -> VitalAutoencoder:
    return VitalAutoencoder(window=120, bins=12, latent=3, effort=QUICK)


def test_people_are_reproducible_differ_and_live() -> None:
    one, again, other = person(1), person(1), person(2)
    assert np.array_equal(one.block.value, again.block.value, equal_nan=True)
    assert not np.array_equal(one.block.value, other.block.value, equal_nan=True)
    mean = np.nanmean(one.block.value, axis=0)
    assert 45 < mean[0] < 100
    assert 93 < mean[1] <= 100
    assert 36 < mean[2] < 38
    assert 0 < np.isnan(one.block.value).mean() < 0.2
    assert np.nanmax(one.block.value[:, 1]) <= 100
    assert one.block.label is not None
    assert not one.block.label.any()


@pytest.mark.parametrize(("kind", "channel", "sign"), [
    ("sepsis", 2, 1), ("desaturation", 1, -1), ("bradycardia", 0, -1), ("fever", 2, 1), ("loose", 2, -1),
])  # fmt: skip
def test_a_decline_shows_where_it_should(kind: str, channel: int, sign: int) -> None:
    assert kind in KINDS
    ill, well = person(5, days=2, kinds=(kind,)), person(5, days=2)
    decline = ill.declines[0]
    assert decline.start < decline.full < decline.stop
    full = slice(decline.full, decline.stop)
    moved = np.nanmedian(ill.block.value[full, channel]) - np.nanmedian(well.block.value[full, channel])
    assert sign * moved > 0.3
    assert ill.block.label is not None
    assert ill.block.label.sum() == decline.stop - decline.start


def test_a_ward_has_every_kind_and_days_bound_declines() -> None:
    found = {one.kind for who in ward(5, ill=True) for one in who.declines}
    assert found == set(KINDS)
    with pytest.raises(DataError, match="do not fit"):
        person(0, days=1, kinds=("fever",))


@pytest.mark.parametrize(("signs", "points"), [
    ((70, 98, 37.0), 0), ((40, 98, 37.0), 3), ((50, 98, 37.0), 1), ((91, 98, 37.0), 1), ((111, 98, 37.0), 2),
    ((131, 98, 37.0), 3), ((70, 95, 37.0), 1), ((70, 93, 37.0), 2), ((70, 91, 37.0), 3), ((70, 98, 35.0), 3),
    ((70, 98, 36.0), 1), ((70, 98, 38.1), 1), ((70, 98, 39.1), 2), ((131, 91, 39.1), 8),
])  # fmt: skip
def test_points_are_those_of_the_chart(signs: tuple[float, float, float], points: int) -> None:
    assert early_warning(np.array([signs] * 20, dtype=np.float64))[-1] == pytest.approx(points)


def test_a_missing_sign_keeps_its_points() -> None:
    value = np.array([[140.0, 98.0, 37.0], [np.nan, 98.0, 37.0]])
    assert early_warning(value, smooth=1).tolist() == [3.0, 3.0]


def test_an_autoencoder_finds_what_is_odd_names_it_and_is_one_graph() -> None:
    from onnxruntime import InferenceSession

    net = small().fit(*(one.block for one in ward(4, days=2)))
    ill = person(50, days=2, kinds=("fever",)).block
    judged = net.judge(ill.value)
    assert judged.part.shape == judged.expected.shape == ill.value.shape
    assert np.isfinite(judged.score).all()
    assert (judged.part >= 0).all()
    assert ill.label is not None
    assert auroc(ill.label, judged.score) > 0.7
    block = ill.value[1000:1120].astype(np.float32)[None]
    found = InferenceSession(net.to_onnx()).run(None, {"x": block})
    for one, other in zip(found, judged, strict=True):
        assert np.allclose(one[0], other[1119], rtol=1e-3, atol=1e-4)
    step = net.stepper()
    rows = [step.step(row).score for row in ill.value[:150]]
    assert np.allclose(rows, judged.score[:150], rtol=1e-4, atol=1e-5)


def test_it_is_causal_bears_nothing_read_and_refuses_odd_bins() -> None:
    net = small().fit(person(1, days=1).block)
    value = person(2, days=1).block.value.copy()
    before = net.score(value[:600])
    value[600:] = 0
    assert np.array_equal(net.score(value)[:600], before)
    assert np.isfinite(net.score(np.full((200, 3), np.nan))).all()
    with pytest.raises(DataError, match="equal bins"):
        VitalAutoencoder(window=100, bins=7)
