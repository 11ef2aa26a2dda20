"""What every detector of streams keeps to: causal, the same live and in ONNX, names the faulty sensor."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
import onnxruntime as ort
import pytest
from numpy.typing import NDArray

from nervure.learn.detect.baseline import Detector, IsolationForest, Pca, Sigma
from nervure.learn.detect.block import Block
from nervure.learn.detect.models.autoencoder import Autoencoder
from nervure.learn.detect.models.conv_autoencoder import ConvAutoencoder
from nervure.learn.detect.models.lstm_autoencoder import LstmAutoencoder
from nervure.learn.detect.models.patch_memory import PatchMemory
from nervure.learn.detect.models.streaming import Streaming
from nervure.learn.detect.models.sub_pca import SubPca
from nervure.learn.detect.score import hit_at
from nervure.learn.detect.train import Effort
from nervure.learn.detect.windowed import Judged, Windowed, ending

Floats = NDArray[np.float64]

EFFORT, STEPS = Effort(cpu_s=1e6, epochs=2.0, batch=64, rate=4e-3), 120
WINDOWED: dict[str, Callable[[], Windowed]] = {
    "sub_pca": SubPca,
    "patch_memory": lambda: PatchMemory(moments=96, effort=EFFORT),
    "autoencoder": lambda: Autoencoder(steps=STEPS, effort=EFFORT),
    "conv_autoencoder": lambda: ConvAutoencoder(steps=STEPS, effort=EFFORT),
    "lstm_autoencoder": lambda: LstmAutoencoder(steps=STEPS, effort=EFFORT),
}
PLAIN: dict[str, Callable[[], Detector]] = {
    "sigma": Sigma,
    "pca": Pca,
    "forest": lambda: IsolationForest(trees=20),
    "streaming": lambda: Streaming(events=False),
}
KINDS = ("spike", "step", "drift", "stuck", "noise", "zero", "scale")


def block(value: Floats) -> Block:
    rows, channels = value.shape
    names = tuple(f"c{at}" for at in range(channels))
    return Block(name="toy", channels=names, value=value, time=np.arange(rows) * 10**9, every_ns=864 * 10**9)


def together(rows: int, channels: int, seed: int) -> Floats:
    """Channels that share slow movements, each with a bit of its own, about 3."""
    random = np.random.default_rng(seed)
    mixed = np.random.default_rng(7).normal(size=(2, channels))
    shock = random.normal(size=(rows, 2))
    shared = np.zeros((rows, 2))
    for row in range(1, rows):
        shared[row] = 0.95 * shared[row - 1] + 0.3 * shock[row]
    shared += np.sin(np.arange(rows) / 40)[:, None]
    return np.asarray(3 + shared @ mixed + 0.15 * random.normal(size=(rows, channels)))


def spoilt(value: Floats, kind: str, channel: int, start: int, seed: int) -> Floats:
    random, rows = np.random.default_rng(seed), slice(start, start + 30)
    out, own = value.copy(), value[rows, channel]
    size = 3 * float(value[:, channel].std())
    changed = {
        "step": own + size, "drift": own + np.linspace(0, 1.5 * size, 30), "stuck": np.full(30, own[0]),
        "noise": own + random.normal(size=30) * size / 2, "zero": np.zeros(30), "scale": 3 + (own - 3) * 3,
        "spike": np.r_[own[0] + 2 * size, own[1:]],
    }  # fmt: skip
    out[rows, channel] = changed[kind]
    return out


def gappy(rows: int, channels: int) -> Floats:
    value = together(rows, channels, 1)
    value[np.random.default_rng(2).random(value.shape) < 0.1] = np.nan
    value[100:110] = np.nan
    if channels > 2:
        value[:, 2] = 7.0
    return value


def models(*names: str) -> dict[str, Callable[[], Detector]]:
    return {name: made for name, made in {**WINDOWED, **PLAIN}.items() if not names or name in names}


@cache
def fitted(name: str, channels: int) -> Detector:
    return models()[name]().fit(block(gappy(500, channels)))


@cache
def faultless(name: str) -> Windowed:
    return WINDOWED[name]().fit(block(together(1200, 6, 3)))


@pytest.mark.parametrize("channels", [1, 8])
@pytest.mark.parametrize("name", models())
def test_it_scores_every_row_of_what_has_gaps(name: str, channels: int) -> None:
    value = gappy(200, channels)
    value[-1, 0] = 1e12
    detector = fitted(name, channels)
    score, part = detector.score(value), detector.contributions(value)
    assert score.shape == (200,)
    assert part.shape == value.shape
    assert np.isfinite(score).all()
    assert np.isfinite(part).all()
    assert (part >= 0).all()
    assert score[-1] > np.median(score)


@pytest.mark.parametrize("name", models())
def test_what_comes_later_changes_no_score(name: str) -> None:
    value = gappy(300, 8)
    other = value.copy()
    other[200:] = 100.0
    first, second = (fitted(name, 8).score(one)[:200] for one in (value, other))
    np.testing.assert_allclose(first, second, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", WINDOWED)
def test_a_step_at_a_time_says_the_same(name: str) -> None:
    detector, value = fitted(name, 8), gappy(60, 8)
    assert isinstance(detector, Windowed)
    whole, stepper = detector.judge(value), detector.stepper()
    steps = [stepper.step(row) for row in value]
    for at in range(3):
        np.testing.assert_allclose(np.stack([one[at] for one in steps]), whole[at], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("channels", [1, 8])
@pytest.mark.parametrize("name", WINDOWED)
def test_onnx_says_the_same(name: str, channels: int) -> None:
    detector, value = fitted(name, channels), gappy(80, channels)
    assert isinstance(detector, Windowed)
    session = ort.InferenceSession(detector.to_onnx(), providers=["CPUExecutionProvider"])
    shown = np.ascontiguousarray(ending(value.astype(np.float32), detector.window))
    for found, wanted in zip(session.run(None, {"x": shown}), detector.judge(value), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", WINDOWED)
def test_the_same_seed_fits_the_same(name: str) -> None:
    value = gappy(300, 3)
    first, second = (WINDOWED[name]().fit(block(value)).judge(value) for _ in range(2))
    for one, other in zip(first, second, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("name", WINDOWED)
def test_a_channel_that_never_moved_rings_when_it_does(name: str) -> None:
    detector = fitted(name, 8)
    value = gappy(120, 8)
    value[100:, 2] = 0.0
    assert detector.contributions(value)[105].argmax() == 2


@pytest.mark.parametrize("name", WINDOWED)
def test_it_names_the_faulty_sensor(name: str) -> None:
    detector, calm = faultless(name), together(400, 6, 4)
    parts, guilty = [], []
    for turn, kind in enumerate(KINDS * 3):
        channel, start = turn % 6, 60 + 11 * turn
        judged: Judged = detector.judge(spoilt(calm, kind, channel, start, turn)[start - 40 : start + 30])
        parts.append(judged.part[40 + judged.score[40:].argmax()])
        guilty.append(channel)
    assert hit_at(np.stack(parts), np.array(guilty)) >= 0.7


@pytest.mark.parametrize("name", WINDOWED)
def test_what_was_expected_is_near_what_a_sound_sensor_reads(name: str) -> None:
    detector, calm = faultless(name), together(400, 6, 4)
    judged = detector.judge(spoilt(calm, "step", 1, 100, 0))
    truth, read = calm[104:128, 1], spoilt(calm, "step", 1, 100, 0)[104:128, 1]
    assert np.abs(judged.expected[104:128, 1] - truth).mean() < 0.7 * np.abs(read - truth).mean()
