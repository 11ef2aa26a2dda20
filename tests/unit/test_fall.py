"""Falls by a tiny net: it learns, in eight bits too, and stays small and quick."""

from __future__ import annotations

import time

import numpy as np
import pytest
from numpy.typing import NDArray

from nervure.learn.detect.casenet import Cases
from nervure.learn.detect.models.fall_cnn import FALL, FallCnn, in_eight_bits
from nervure.learn.detect.train import Effort

QUICK = Effort(cpu_s=1e6, epochs=6, batch=32)


def windows(count: int = 200, *, seed: int = 0) -> tuple[Cases, NDArray[np.str_]]:
    """Make up windows: a fall turns upright to lying at its peak, a jump has the same peak and stays."""
    random = np.random.default_rng(seed)
    fell = random.random(count) < 0.5
    x = random.normal(0, 0.1, (count, 75, 6)).astype(np.float32)
    x[:, :, 1] -= 1
    x[:, 35:40, :3] += random.normal(2, 0.3, (count, 5, 3))
    x[fell, 40:, 1] += 1
    x[fell, 40:, 2] += 1
    x[:, :, 3:] *= 50
    return Cases(x), np.where(fell, FALL, "daily")


def test_it_learns_and_eight_bits_say_the_same() -> None:
    from onnxruntime import InferenceSession

    (known, truth), (fresh, real) = windows(), windows(seed=1)
    net = FallCnn(effort=QUICK).fit(known, truth)
    share = net.score(fresh)[:, net.classes.index(FALL)]
    assert np.mean((share > 0.5) == (real == FALL)) > 0.95
    graph = net.to_onnx(known)
    plain = InferenceSession(graph).run(None, {"x": fresh.x})[0]
    assert np.allclose(plain, net.score(fresh), atol=1e-4)
    small = in_eight_bits(graph, known)
    assert b"QuantizeLinear" in small
    assert len(small) <= 64_000
    session = InferenceSession(small)
    found = session.run(None, {"x": fresh.x})[0]
    assert np.mean(found.argmax(axis=1) == plain.argmax(axis=1)) > 0.95
    spent = []
    for _ in range(30):
        started = time.perf_counter()
        session.run(None, {"x": fresh.x[:1]})
        spent.append(time.perf_counter() - started)
    assert min(spent) < 0.001, "a window takes a millisecond at most"


def test_how_a_device_is_turned_about_its_axis_is_augmented_and_no_length_changes_by_it() -> None:
    import torch

    x = torch.from_numpy(windows(20)[0].x)
    shown = FallCnn().augment(x, torch.Generator().manual_seed(0))
    assert shown.shape == x.shape
    lengths = [one[:, :, :3].norm(dim=2).sum(dim=1) for one in (x, shown)]
    assert torch.allclose(lengths[0], lengths[1], rtol=0.25)
    assert not torch.allclose(x, shown)


@pytest.mark.real
def test_persons_never_seen() -> None:
    from nervure.bench.detect.body import contests
    from nervure.bench.detect.job import Job

    contest = contests()[1]
    found = contest.perform(Job(set="sisfall", model="fall_cnn", kind="deep", quick=True))
    assert found.value["int8 sensitivity"] > 0.95
    assert found.value["int8 specificity"] > 0.95
    assert found.value["int8 kB"] <= 64
