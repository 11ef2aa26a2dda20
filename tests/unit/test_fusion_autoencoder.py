"""A net that sends less: bounds hold whatever it learnt, a latent is kept where it pays."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from nervure.core.error import DataError, ModelError
from nervure.core.fusion import Receiver, Sender
from nervure.learn.detect.block import Block
from nervure.learn.detect.models.fusion_autoencoder import FusionAutoencoder
from nervure.learn.detect.train import Effort

QUICK = Effort(cpu_s=1e6, epochs=15, batch=128, rate=1e-2)
CHANNELS = tuple(f"c{one}" for one in range(8))


def block(rows: int = 1500, *, seed: int = 0, joint: bool = True) -> Block:
    """Make up rows: all channels follow one fast signal, or each its own."""
    random = np.random.default_rng(seed)
    one = random.normal(size=(rows, 1 if joint else len(CHANNELS)))
    value = one * np.arange(1, 9) + 0.01 * random.normal(size=(rows, len(CHANNELS)))
    value[random.random(value.shape) < 0.01] = np.nan
    return Block(name="b", channels=CHANNELS, value=value, time=np.arange(rows), every_ns=1)


@pytest.fixture(scope="module")
def net() -> FusionAutoencoder:
    return FusionAutoencoder(latent=1, effort=QUICK).fit(block())


def through(net: FusionAutoencoder, value: NDArray[np.float64]) -> tuple[NDArray[np.float64], int]:
    sender, receiver = net.sender(), net.receiver()
    frames = [sender.frame(value[at : at + 50]) for at in range(0, len(value), 50)]
    return np.concatenate([receiver.take(one) for one in frames]), sum(map(len, frames))


def test_channels_that_move_together_are_sent_as_one(net: FusionAutoencoder) -> None:
    assert net.fused
    assert net.bits["fused"] < 0.6 * net.bits["plain"]
    fresh = block(400, seed=1).value
    found, size = through(net, fresh)
    assert size * 8 < fresh.size * 4, "eight times fewer bytes than float32"
    deviation = np.nanstd(block().value, axis=0)
    assert (np.isnan(found) == np.isnan(fresh)).all()
    assert np.nanmax(np.abs(found - fresh) / deviation) <= 0.05 * (1 + 1e-3)


def test_a_stranger_breaks_no_bound(net: FusionAutoencoder) -> None:
    value = block(60, seed=2, joint=False).value * 50 + 1000
    found, _ = through(net, value)
    assert np.nanmax(np.abs(found - value) / np.array(net.sender().code.bound)) <= 1 + 1e-3


def test_channels_of_their_own_are_sent_without_a_latent() -> None:
    net = FusionAutoencoder(latent=1, effort=QUICK).fit(block(joint=False))
    assert not net.fused
    assert all(row.latent is None for row in net.sender().rows(block(20, joint=False).value))
    forced = FusionAutoencoder(latent=1, effort=QUICK).fit(block(joint=False), choose=True)
    assert forced.fused


def test_two_fifths_of_what_moves_within_a_record_bounds_too() -> None:
    low, high = block(), block(seed=3)
    high.value[:] += 500
    net = FusionAutoencoder(latent=1, effort=QUICK).fit(low, high, choose=False)
    deviation = np.nanstd(low.value, axis=0)
    assert np.allclose(np.array(net.sender().code.bound) / deviation, 0.4, rtol=0.05)


def test_both_ends_run_from_onnx(net: FusionAutoencoder) -> None:
    from onnxruntime import InferenceSession

    ends = [InferenceSession(one) for one in (net.encoder_onnx(), net.decoder_onnx())]
    code, value = net.sender().code, block(80, seed=4).value
    encode, decode = (
        lambda x, end=end, name=name: end.run(None, {name: x})[0]
        for end, name in zip(ends, ("x", "latent"), strict=True)
    )
    sender, receiver = Sender(code, encode, decode), Receiver(code, decode)
    found = receiver.take(sender.frame(value))
    assert np.nanmax(np.abs(found - value) / np.array(code.bound)) <= 1 + 1e-3


def test_as_a_detector_it_names_what_left_the_others(net: FusionAutoencoder) -> None:
    value = block(50, seed=5).value
    value[25] = np.arange(1, 9)
    value[25, 6] = 40
    judged = net.judge(value)
    assert judged.score.argmax() == 25
    assert judged.part[25].argmax() == 6
    step = net.stepper()
    rows = np.array([step.step(row).score for row in value])
    assert np.allclose(rows, judged.score, atol=1e-5)
    session_score = judged.score[25]
    assert session_score > 2 * np.median(judged.score)


def test_what_cannot_be_learnt_or_sent_is_refused() -> None:
    with pytest.raises(DataError, match="10 rows"):
        FusionAutoencoder().fit(block(5))
    with pytest.raises(ModelError, match="not been fitted"):
        FusionAutoencoder().sender()
