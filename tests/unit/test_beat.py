"""Beats as a net is shown them: causal, free of labels; and the net between records."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from nervure.core.error import DataError, ModelError
from nervure.learn.detect.beat import RHYTHM, beat_cases
from nervure.learn.detect.body import Beats
from nervure.learn.detect.casenet import Cases
from nervure.learn.detect.models.beat_cnn import BeatCnn
from nervure.learn.detect.train import Effort

QUICK = Effort(cpu_s=1e6, epochs=15, batch=64, rate=5e-3)


def beats(records: int = 4, each: int = 150, *, seed: int = 0) -> Beats:
    """Make up records: a V is wide, an S early and with no P wave; each patient has a gain of their own."""
    random = np.random.default_rng(seed)
    at = np.arange(128) - 48
    qrs, wave = np.exp(-((at / 3) ** 2)), 0.2 * np.exp(-(((at + 20) / 4) ** 2))
    wide = np.exp(-((at / 9) ** 2)) * np.sign(at + 2)
    aami = random.choice(["N", "S", "V"], p=[0.7, 0.15, 0.15], size=records * each)
    record = np.repeat([f"r{one}" for one in range(records)], each)
    gain = np.repeat(random.uniform(0.5, 2, records), each)[:, None]
    shape = np.where((aami == "V")[:, None], wide, qrs) + np.where((aami == "N")[:, None], wave, 0)
    before = np.where(aami == "N", 0.8, 0.5) + random.normal(0, 0.02, len(aami))
    rr = np.stack([before, np.r_[before[1:], 0.8], before / 0.8, before / 0.8], axis=1)
    window = gain * (shape + random.normal(0, 0.02, shape.shape))
    return Beats(window=window, rr=rr, aami=aami, record=record, sample=np.arange(len(aami)))


def changed(one: Beats, **more: object) -> Beats:
    return msgspec.structs.replace(one, **more)


def test_a_beat_is_shown_with_nothing_of_later_ones() -> None:
    whole = beats()
    window, rr = whole.window.copy(), whole.rr.copy()
    window[101:150] *= -1
    rr[101:150] *= 2
    one, other = beat_cases(whole), beat_cases(changed(whole, window=window, rr=rr))
    assert one.extra is not None
    assert other.extra is not None
    assert np.array_equal(one.x[:101], other.x[:101])
    assert np.array_equal(one.extra[:101], other.extra[:101])
    assert not np.array_equal(one.x[120], other.x[120])


def test_patients_are_on_one_scale_and_apart() -> None:
    whole = beats()
    one = beat_cases(whole)
    louder = beat_cases(changed(whole, window=whole.window * 3))
    assert np.allclose(one.x, louder.x, atol=1e-5)
    alone = beat_cases(
        changed(whole, **{name: getattr(whole, name)[150:300] for name in whole.__struct_fields__})
    )
    assert np.array_equal(one.x[150:300], alone.x)


def test_an_early_beat_looks_early_and_a_wide_one_unlike() -> None:
    whole = beats()
    extra = beat_cases(whole).extra
    assert extra is not None
    assert np.median(extra[whole.aami == "S", RHYTHM.index("before over recent")]) < -0.3
    alike = extra[:, RHYTHM.index("likeness of QRS")]
    assert np.median(alike[whole.aami == "V"]) < 0.5 < np.median(alike[whole.aami == "N"])
    assert beat_cases(whole).x.shape == (600, 128, 2)


def test_a_peak_at_the_edge_is_refused() -> None:
    with pytest.raises(DataError, match="no room"):
        beat_cases(beats(), peak=5)


def test_a_net_learns_across_records_and_says_so_in_onnx() -> None:
    from onnxruntime import InferenceSession

    known, fresh = beats(), beats(2, seed=1)
    cases, test = beat_cases(known), beat_cases(fresh)
    net = BeatCnn(effort=QUICK).fit_by_record(cases, known.aami, known.record, count=2)
    assert np.mean(net.decide(test) == fresh.aami) > 0.9
    found = InferenceSession(net.to_onnx(test)).run(None, {"x": test.x, "extra": test.extra})[0]
    assert np.allclose(found, net.score(test), atol=1e-4)
    spoke = net.contributions(test.take(slice(0, 3)), "V")
    assert spoke.shape == (3, 128, 2)
    again = BeatCnn(effort=QUICK).fit_by_record(cases, known.aami, known.record, count=2)
    assert np.array_equal(again.score(test), net.score(test))


def test_what_convolutions_see_does_not_speak_of_early_beats() -> None:
    known = beats()
    cases = beat_cases(known)
    net = BeatCnn(effort=QUICK).fit(cases, known.aami)
    other = Cases(cases.x[::-1].copy(), cases.extra)
    one, two = np.log(net.score(cases)), np.log(net.score(other))
    s, n = net.classes.index("S"), net.classes.index("N")
    assert np.allclose(one[:, s] - one[:, n], two[:, s] - two[:, n], atol=1e-4)


def test_what_cannot_be_dealt_or_decided_is_refused() -> None:
    known = beats(2)
    cases = beat_cases(known)
    with pytest.raises(DataError, match="2 records"):
        BeatCnn(effort=QUICK).fit_by_record(cases, known.aami, known.record)
    with pytest.raises(ModelError, match="fit_by_record"):
        BeatCnn().decide(cases)
    with pytest.raises(DataError, match="rhythm"):
        BeatCnn(effort=QUICK).fit(Cases(cases.x), known.aami)
