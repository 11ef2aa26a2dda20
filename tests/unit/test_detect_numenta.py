"""The NAB scorer: closed cases, and a plain row-by-row telling of the same rules."""

from __future__ import annotations

import math

import numpy as np
import pytest

from nervure.core.error import DataError
from nervure.learn.detect import numenta
from nervure.learn.detect.block import Block
from nervure.learn.detect.numenta import LOW_FALSE_NEGATIVES, LOW_FALSE_POSITIVES, STANDARD
from nervure.learn.detect.stream import Series, nab

PROFILES = (STANDARD, LOW_FALSE_POSITIVES, LOW_FALSE_NEGATIVES)


def _series(rows: int, windows: list[tuple[int, int]], probation: int = 0) -> Series:
    block = Block(
        name="made", channels=("value",), value=np.zeros((rows, 1)), time=np.arange(rows), every_ns=1
    )
    return Series(block=block, windows=np.array(windows, np.int64).reshape(-1, 2), probation=probation)


def _corpus() -> list[Series]:
    return [
        _series(300, [(80, 99), (160, 199)], 45),
        _series(200, [], 30),
        _series(250, [(40, 60), (61, 70), (200, 249)], 37),
    ]


def _plain(corpus: list[Series], scores: list[np.ndarray], profile: numenta.Profile, at: float) -> float:
    """Tell the rules of the benchmark row by row, for one threshold."""

    def curve(place: float) -> float:
        return -1.0 if place >= 3 else 2 / (1 + math.exp(5 * place)) - 1

    total = 0.0
    for series, value in zip(corpus, scores, strict=True):
        best = dict.fromkeys(range(len(series.windows)), -profile.miss)
        for row in range(series.probation, len(series.block)):
            if value[row] < at:
                continue
            own = [turn for turn, (first, last) in enumerate(series.windows) if first <= row <= last]
            if own:
                first, last = series.windows[own[0]]
                worth = curve(-(last - row + 1) / (last - first + 1)) / curve(-1.0) * profile.hit
                best[own[0]] = max(best[own[0]], worth)
                continue
            past = [(first, last) for first, last in series.windows if last < row]
            place = (row - past[-1][1]) / (past[-1][1] - past[-1][0]) if past else 3.0
            total += curve(place) * profile.false_alarm
        total += sum(best.values())
    return total


@pytest.mark.parametrize("profile", PROFILES, ids=lambda one: one.name)
def test_nothing_is_worth_nothing_and_everything_a_hundred(profile: numenta.Profile) -> None:
    corpus = _corpus()
    still = numenta.score(corpus, [np.full(len(one.block), 0.5) for one in corpus], profile)
    assert still.score == 0.0
    assert still.threshold == math.inf
    perfect = []
    for one in corpus:
        value = np.zeros(len(one.block))
        value[one.windows[:, 0]] = 1.0
        perfect.append(value)
    found = numenta.score(corpus, perfect, profile)
    assert found.score == pytest.approx(100.0)
    assert (found.windows_found, found.false_rows, found.threshold) == (5, 0, 1.0)


@pytest.mark.parametrize("profile", PROFILES, ids=lambda one: one.name)
def test_the_best_threshold_is_what_a_plain_search_finds(profile: numenta.Profile) -> None:
    random, corpus = np.random.default_rng(3), _corpus()
    scores = []
    for one in corpus:
        value = random.integers(0, 40, len(one.block)) / 40
        for first, last in one.windows:
            value[first + (last - first) // 3] += 0.6
        scores.append(value)
    found = numenta.score(corpus, scores, profile)
    levels = np.unique(np.concatenate(scores))
    sums = [_plain(corpus, scores, profile, at) for at in levels]
    worst = -profile.miss * 5
    assert found.score == pytest.approx(100 * (max(sums) - worst) / (profile.hit * 5 - worst))
    assert found.threshold == levels[int(np.argmax(sums))]


def test_an_alarm_in_the_middle_of_a_window_is_worth_less_than_at_its_start() -> None:
    series = _series(100, [(50, 59)])
    worth, window = numenta.weights(series, STANDARD)
    assert worth[50] == pytest.approx(1.0)
    assert worth[55] == pytest.approx((2 / (1 + math.exp(-2.5)) - 1) / (2 / (1 + math.exp(-5)) - 1))
    assert worth[59] > 0
    assert worth[10] == pytest.approx(-0.11), "before any window an alarm is far away"
    assert worth[60] == pytest.approx(0.11 * (2 / (1 + math.exp(5 / 9)) - 1))
    assert worth[99] == pytest.approx(-0.11)
    assert window[49:61].tolist() == [-1, *[0] * 10, -1]


def test_probation_is_not_scored() -> None:
    series = _series(100, [(50, 59)], probation=40)
    value = np.zeros(100)
    value[:40] = 9.0
    value[50] = 1.0
    assert numenta.score([series], [value]).score == pytest.approx(100.0)


def test_what_cannot_be_scored() -> None:
    series = _series(10, [(5, 6)])
    with pytest.raises(DataError, match="not one number for each"):
        numenta.score([series], [np.zeros(9)])
    with pytest.raises(DataError, match="not one number for each"):
        numenta.score([series], [np.full(10, np.nan)])
    with pytest.raises(DataError, match="without labelled windows"):
        numenta.score([_series(10, [])], [np.zeros(10)])


@pytest.mark.real
def test_chance_scores_what_the_benchmark_prints_for_it() -> None:
    """NAB's own board has 11.0, 1.2 and 19.5 for a random detector; of ours each draw differs a little."""
    corpus = nab()
    scores = [np.random.default_rng(turn).random(len(one.block)) for turn, one in enumerate(corpus)]
    assert numenta.score(corpus, scores).score == pytest.approx(11.0, abs=2)
    assert numenta.score(corpus, scores, LOW_FALSE_POSITIVES).score == pytest.approx(1.2, abs=1.5)
    assert numenta.score(corpus, scores, LOW_FALSE_NEGATIVES).score == pytest.approx(19.5, abs=2.5)
    still = [np.full(len(one.block), 0.5) for one in corpus]
    perfect = []
    for one in corpus:
        value = np.zeros(len(one.block))
        value[one.windows[:, 0]] = 1.0
        perfect.append(value)
    for profile in PROFILES:
        assert numenta.score(corpus, still, profile).score == 0
        assert numenta.score(corpus, perfect, profile).score == pytest.approx(100)
