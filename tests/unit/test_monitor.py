"""The label-free monitor finds what is put into a made stream, names it, and keeps its promise."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from nervure.core.error import DataError, ModelError
from nervure.core.instant import DAY_NS, HOUR_NS
from nervure.core.season import Usual, season_of, usual_of
from nervure.learn.detect.block import NORMAL, ODD, Block
from nervure.learn.detect.inject import FAULTS, inject, scale_of
from nervure.learn.detect.monitor import Monitor, fit_monitor
from nervure.learn.detect.trial import Stretches, choose
from nervure.learn.detect.vigil import promise_for, promised, watched
from nervure.learn.detect.windowed import Judged, Windowed

Floats = NDArray[np.float64]
MINUTE_NS = 60 * 10**9


def stream(rows: int = 4_000, *, seed: int = 0, every_ns: int = 5 * MINUTE_NS) -> Block:
    mixing = np.random.default_rng(0).normal(size=(2, 4))
    random = np.random.default_rng(seed)
    time = np.arange(rows, dtype=np.int64) * every_ns
    day = np.sin(2 * np.pi * time / DAY_NS)
    hidden = random.normal(size=(rows, 2))
    value = day[:, None] * [3.0, -2.0, 0.5, 1.0] + hidden @ mixing * 0.4
    value += random.normal(size=(rows, 4)) * 0.15 + [20, 5, 0, 100]
    return Block(name="site", channels=("a", "b", "c", "d"), value=value, time=time, every_ns=every_ns)


@pytest.fixture(scope="module", name="block")
def _block() -> Block:
    return stream()


@pytest.fixture(scope="module", name="monitor")
def _monitor(block: Block) -> Monitor:
    since = int(0.4 * len(block))
    return fit_monitor(block.part(0, since), promise_for(block, len(block) - since), quick=True)


def test_it_finds_and_names_a_fault_and_says_what_was_expected(block: Block, monitor: Monitor) -> None:
    value = block.value.copy()
    value[3_000:3_020, 1] += 4.0
    vigil = watched(monitor, msgspec.structs.replace(block, value=value), 1_600)
    first, last = int(block.time[3_000]), int(block.time[3_020])
    alarm = next(
        one for one, event in zip(vigil.alarms, vigil.events, strict=True) if first <= event.worst_ns <= last
    )
    assert alarm.streams[0].stream == "b"
    assert alarm.streams[0].share > 0.5
    assert alarm.streams[0].expected == pytest.approx(block.value[3_000, 1], abs=1.5)
    assert alarm.sign == "high"
    assert "b of site is odd since" in alarm.says
    assert "sensor" in alarm.do


def test_a_stuck_sensor_is_called_stuck(block: Block, monitor: Monitor) -> None:
    value = block.value.copy()
    value[2_500:2_600, 3] = value[2_500, 3]
    vigil = watched(monitor, msgspec.structs.replace(block, value=value), 1_600)
    first, last = int(block.time[2_500]), int(block.time[2_600])
    alarms = [
        one for one, event in zip(vigil.alarms, vigil.events, strict=True) if first <= event.worst_ns <= last
    ]
    assert [one.sign for one in alarms][:1] == ["stuck"]
    assert alarms[0].streams[0].stream == "d"


def test_it_keeps_its_promise_on_more_of_the_same(monitor: Monitor) -> None:
    later = stream(20_000, seed=9)
    vigil = watched(monitor, later, 100)
    wanted = vigil.promised * vigil.days
    assert wanted > 30
    assert 0.5 < len(vigil.alarms) / wanted < 1.5


def test_later_rows_change_nothing_of_what_was_said_before(block: Block, monitor: Monitor) -> None:
    whole, first = watched(monitor, block, 1_600), watched(monitor, block.part(0, 3_000), 1_600)
    count = len(first.score)
    assert np.allclose(whole.score[:count], first.score, equal_nan=True)
    assert np.array_equal(whole.limit[:count], first.limit)


class _Blind(Windowed):
    """A detector that says the same of everything, or whatever comes to its mind."""

    name, window = "blind", 1

    def __init__(self, noise: float) -> None:
        self.noise, self.channels = noise, ("a", "b", "c", "d")

    def judge(self, value: Floats) -> Judged:
        score = np.random.default_rng(len(value)).exponential(1.0, len(value)) * self.noise
        return Judged(score, np.ones_like(value), value)


@pytest.mark.parametrize("noise", [0.0, 1.0])
def test_a_score_that_is_constant_or_no_better_than_chance_is_refused(block: Block, noise: float) -> None:
    parts = Stretches(teach=((0, 2_000),), calibrate=((2_000, 4_000),))
    scale = scale_of(block.value)
    with pytest.raises(ModelError, match="injected faults, chance"):
        choose([_Blind(noise)], block, parts, (scale, 0), promise_for(block, 2_000))


def test_what_cannot_be_learnt_from_is_told() -> None:
    block = stream(50)
    with pytest.raises(DataError, match="too few"):
        fit_monitor(block, promise_for(block, 50), quick=True)


def test_where_nothing_ever_moved_any_movement_rings() -> None:
    value = np.full((500, 4), 7.0)
    value[400, 2] = 7.5
    still = msgspec.structs.replace(stream(500), value=value)
    monitor = fit_monitor(still.part(0, 200), promise_for(still, 300), quick=True)
    (alarm,) = watched(monitor, still, 200).alarms
    assert alarm.streams[0].stream == "c"
    assert alarm.raised == "1970-01-02T09:20:00Z"


def test_rows_labelled_odd_are_not_learnt_from(block: Block) -> None:
    since = 1_600
    value, label = block.value.copy(), np.full(len(block), NORMAL, dtype=np.int8)
    for start in range(200, 1_500, 200):
        value[start : start + 40, 0] += 12.0
        label[start : start + 40] = ODD
    spoilt = msgspec.structs.replace(block, value=value)
    promise = promise_for(block, len(block) - since, per_day=0.5)
    told = fit_monitor(msgspec.structs.replace(spoilt, label=label).part(0, since), promise, quick=True)
    untold = fit_monitor(spoilt.part(0, since), promise, quick=True)
    odd = value[1_400:1_440] - told.usual(block.time[1_400:1_440], value[1_400:1_440])
    assert np.isfinite(odd).all()
    fresh = block.value.copy()
    fresh[3_000:3_020, 0] += 12.0
    later = msgspec.structs.replace(block, value=fresh)

    def peak(monitor: Monitor) -> float:
        return float(watched(monitor, later, since).score[3_000 - since : 3_020 - since].max())

    assert peak(told) > peak(untold)


@pytest.mark.parametrize(
    ("every_ns", "rows", "per_day"),
    [(MINUTE_NS, 100_000, 1.0), (HOUR_NS, 10_000, 24 / 500), (10**9, 1_200, 72.0)],
)
def test_what_is_promised_where_nobody_says(every_ns: int, rows: int, per_day: float) -> None:
    block = Block(
        name="x", channels=("x",), value=np.zeros((2, 1)), time=np.arange(2) * every_ns, every_ns=every_ns
    )
    assert promised(block, rows) == pytest.approx(per_day)


def test_a_course_by_day_is_found_and_noise_has_none() -> None:
    random = np.random.default_rng(3)
    time = np.arange(24 * 30, dtype=np.int64) * HOUR_NS
    noise = random.normal(size=(len(time), 1))
    day = 4 * np.sin(2 * np.pi * time / DAY_NS)[:, None]
    assert season_of(time, noise, HOUR_NS) is None
    season = season_of(time, noise * 0.3 + day, HOUR_NS)
    assert season is not None
    assert season.period_ns == DAY_NS
    assert np.abs(season.at(time) - day).max() < 0.8


def test_a_running_level_goes_on_where_it_was() -> None:
    random = np.random.default_rng(4)
    value = np.cumsum(random.normal(size=(400, 2)), axis=0)
    value[50:60, 1] = np.nan
    time = np.arange(400, dtype=np.int64) * HOUR_NS
    course = Usual(season=None, drifts=(True, True))
    whole, after = course.at(time, value)
    first, level = course.at(time[:170], value[:170])
    rest, last = course.at(time[170:], value[170:], level)
    assert np.array_equal(whole, np.concatenate([first, rest]))
    assert np.array_equal(after, last)
    assert usual_of(time, value, HOUR_NS).drifts == (True, True)


def test_faults_are_where_they_are_said_to_be_and_nowhere_else() -> None:
    value = np.random.default_rng(5).normal(size=(5_000, 3))
    made = inject(value, length=10, apart=60, seed=1)
    changed = made.value != value
    assert {one.kind for one in made.faults} == set(FAULTS)
    expected = np.zeros_like(changed)
    for one in made.faults:
        expected[one.start : one.stop, one.channel] = True
        assert changed[one.start : one.stop, one.channel].any()
    assert not (changed & ~expected).any()
    starts = [one.start for one in made.faults]
    stops = [one.stop for one in made.faults]
    assert min(after - before for after, before in zip(starts[1:], stops, strict=False)) >= 60
    assert scale_of(value).round(1).tolist() == [1.0, 1.0, 1.0]
