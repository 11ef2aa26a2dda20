"""What every net over whole cases promises, whichever cases they are."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
import onnxruntime
import pytest
from numpy.typing import NDArray

from nervure.core.error import DataError, ModelError
from nervure.learn.detect.casenet import CaseNet, Cases
from nervure.learn.detect.models.envelope_cnn import EnvelopeCnn
from nervure.learn.detect.models.vibration_cnn import Bank, VibrationCnn
from nervure.learn.detect.train import Effort

_SHORT = Effort(cpu_s=1e6, epochs=30, batch=32, rate=5e-3)
_COMMON, _RARE = "N", "V"  # beats are classes of AAMI


def _vibration(*, seed: int = 0) -> CaseNet:
    return VibrationCnn(bank=Bank(count=16, width=32, hop=8), width=8, seed=seed, effort=_SHORT)


def _envelope(*, seed: int = 0) -> CaseNet:
    return EnvelopeCnn(groups=2, harmonics=1, width=8, seed=seed, effort=_SHORT)


def _other(module: str, name: str) -> list[Any]:
    """Return a net that may not be there yet, made with its own defaults and little effort."""
    try:
        kind = getattr(importlib.import_module(f"nervure.learn.detect.models.{module}"), name)
    except ModuleNotFoundError:
        return []
    return [pytest.param(lambda *, seed=0: kind(seed=seed, effort=_SHORT), id=module)]


MAKERS = [
    pytest.param(_vibration, id="vibration_cnn"),
    pytest.param(_envelope, id="envelope_cnn"),
    *_other("beat_cnn", "BeatCnn"),
    *_other("fall_cnn", "FallCnn"),
]
Maker = Callable[..., CaseNet]
Truth = NDArray[np.str_]
every = pytest.mark.parametrize("make", MAKERS)


@lru_cache(maxsize=8)
def toy(rows: int = 128, extra: int = 4, seed: int = 0) -> tuple[Cases, Truth]:
    """Return 96 cases, 12 of which swing at another rate; three channels, of which the first tells."""
    random = np.random.default_rng(seed)
    truth = np.array([_RARE if turn % 8 == 0 else _COMMON for turn in range(96)])
    rate = np.where(truth == _RARE, 0.30, 0.12)[:, None]
    swing = np.sin(2 * np.pi * (rate * np.arange(rows) + random.random((96, 1))))
    x = np.stack([2 * swing, 0 * swing, 0 * swing], axis=2) + random.normal(size=(96, rows, 3)) * 0.5
    return Cases(x.astype(np.float32), random.normal(size=(96, extra)).astype(np.float32)), truth


def shown(model: CaseNet, *, seed: int = 0) -> tuple[Cases, Truth]:
    """Return the toy as a model takes it: some have further features beside the window."""
    cases, truth = toy(seed=seed)
    return (cases if model.name == "beat_cnn" else Cases(cases.x)), truth


@lru_cache(maxsize=16)
def fitted(make: Maker, seed: int = 0) -> CaseNet:
    model = make(seed=seed)
    cases, truth = shown(model)
    return model.fit(cases, truth)


@every
def test_a_rare_class_is_learnt(make: Maker) -> None:
    model = fitted(make)
    cases, truth = shown(model, seed=1)
    found = np.array(model.classes)[model.score(cases).argmax(axis=1)]
    right = [(found[truth == one] == one).mean() for one in (_COMMON, _RARE)]
    assert min(right) >= 0.7, "one case in eight is odd, and saying N to all would be right in seven"


@every
def test_shares_add_up_and_an_unknown_class_has_none(make: Maker) -> None:
    model = fitted(make)
    cases, _ = shown(model, seed=1)
    share = model.score(cases, (_RARE, "never seen", _COMMON))
    assert share.sum(axis=1) == pytest.approx(1.0)
    assert (share[:, 1] == 0).all()
    assert share[:, 0] == pytest.approx(model.score(cases)[:, model.classes.index(_RARE)])


@every
def test_a_graph_answers_as_the_net(make: Maker) -> None:
    model = fitted(make)
    cases, _ = shown(model, seed=1)
    session = onnxruntime.InferenceSession(model.to_onnx(cases), providers=["CPUExecutionProvider"])
    fed = {"x": cases.x, "extra": cases.extra}
    found = session.run(["share"], {one.name: fed[one.name] for one in session.get_inputs()})[0]
    assert found == pytest.approx(model.score(cases), abs=1e-4)


@every
def test_contributions_add_up(make: Maker) -> None:
    model = fitted(make)
    cases, _ = shown(model, seed=1)
    some = cases.take(slice(0, 16))
    did = model.contributions(some, _RARE)
    assert did.shape[0] == 16
    apart = model.difference(some, _RARE)
    gap = np.abs(did.reshape(16, -1).sum(axis=1) - apart)
    assert np.median(gap / np.maximum(np.abs(apart), 0.5)) < 0.05
    assert np.abs(apart).max() > 0.5, "nothing to explain"


@every
def test_the_seed_makes_the_net(make: Maker) -> None:
    model = fitted(make)
    cases, truth = shown(model)
    again = make(seed=0).fit(cases, truth)
    other = make(seed=1).fit(cases, truth)
    np.testing.assert_array_equal(again.score(cases), model.score(cases))
    assert np.abs(other.score(cases) - model.score(cases)).max() > 1e-4


@every
def test_held_cases_tell_when_to_stop(make: Maker) -> None:
    model = make(seed=0)
    cases, truth = shown(model)
    wrong = np.where(truth == _RARE, _COMMON, _RARE)
    model.fit(cases, truth, held=(cases, wrong))
    assert model.run is not None
    assert model.run.best == min(model.run.judged)
    assert model.run.judged[-1] > model.run.best, "what is learnt is wrong there, so it stops early"


@every
def test_refusals(make: Maker) -> None:
    model = make(seed=0)
    cases, truth = shown(model)
    with pytest.raises(DataError, match="one class"):
        model.fit(cases, np.full(len(truth), _COMMON))
    with pytest.raises(ModelError, match="has not been fitted"):
        model.score(cases)


def test_windows_and_pictures_that_do_not_fit() -> None:
    cases, truth = toy()
    with pytest.raises(DataError, match="shorter than filters of 256"):
        VibrationCnn().fit(Cases(cases.x), truth)
    with pytest.raises(DataError, match="are no 9 zones"):
        EnvelopeCnn().fit(Cases(cases.x), truth)


def test_a_gain_tells_a_vibration_net_nothing() -> None:
    model = fitted(_vibration)
    cases, _ = shown(model, seed=1)
    louder = Cases(cases.x * np.float32(50.0))
    assert model.score(louder) == pytest.approx(model.score(cases), abs=1e-3)


def test_the_telling_channel_and_rate_are_blamed() -> None:
    model = fitted(_vibration)
    assert isinstance(model, VibrationCnn)
    cases, truth = shown(model, seed=1)
    did = np.abs(model.contributions(cases.take(truth == _RARE), _RARE)).mean(axis=(0, 2))
    names = model.maps(("loud", "noise", "other"))
    assert did.shape == (len(names),)
    quiet = did[names.index("burst noise")]
    assert did[names.index("level loud")] > 2 * quiet
