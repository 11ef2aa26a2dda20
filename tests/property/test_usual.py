"""What is usual takes a shorter way: it says what the long way says, and what plain Python says."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import msgspec
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from nervure.act.engine import Engine
from nervure.core.calendar import calendar
from nervure.core.event import Hold
from nervure.core.finding import Finding
from nervure.core.instant import HOUR_NS
from nervure.core.residual import CLIP, Accumulator, Issued, Options, enough
from nervure.core.window import Rings
from nervure.node.task import is_task, some_tasks
from nervure.score.band import Bands
from nervure.score.lane import Lane
from nervure.score.pack import forecasts
from tests.tiny import START, card, datastreams, runner, solution, things

STREAMS = 4
chances = st.integers(0, 1 << 32).map(np.random.default_rng)


@settings(max_examples=40, deadline=None)
@given(chances, st.sampled_from([(1,), (2, 5), (1, 3, 4)]))
def test_what_was_foreseen_is_what_a_dictionary_holds(
    chance: np.random.Generator, leads: tuple[int, ...]
) -> None:
    """Streams jump ahead now and then, so that some slots were never foreseen, or too long ago."""
    issued, plain, length = Issued(STREAMS, leads), dict[tuple[int, int, int], tuple[int, list[float]]](), 6
    slots = np.zeros(STREAMS, dtype=np.int64)
    for _ in range(12):
        rows = np.sort(chance.choice(STREAMS, int(chance.integers(1, STREAMS + 1)), replace=False))
        slots[rows] += chance.choice([1, 1, 1, 2, 9], len(rows))
        found = issued.about(rows, slots[rows])
        for row, (stream, slot) in enumerate(zip(rows.tolist(), slots[rows].tolist(), strict=True)):
            for place, lead in enumerate(leads):
                about, told = plain.get((stream, slot % issued.length, lead), (-1, []))
                wanted = told if about == slot else [np.nan] * 3
                np.testing.assert_array_equal(found[row, place], wanted)
        forecast = chance.normal(size=(len(rows), length, 3))
        issued.issue(rows, slots[rows], forecast)
        for row, (stream, slot) in enumerate(zip(rows.tolist(), slots[rows].tolist(), strict=True)):
            for lead in leads:
                about = slot + lead
                plain[stream, about % issued.length, lead] = about, forecast[row, lead - 1].tolist()


@settings(max_examples=40, deadline=None)
@given(chances, st.sampled_from([0.0, 0.02]))
def test_scores_add_up_as_they_do_one_by_one(chance: np.random.Generator, memory: float) -> None:
    sums, centre, spread = Accumulator(STREAMS, Options(leads=(1,), memory=memory), cap=9.0), 0.0, 0.526
    held = {stream: [centre, spread, 0.0, 0.0] for stream in range(STREAMS)}
    for time in range(30):
        rows = np.sort(chance.choice(STREAMS, int(chance.integers(1, STREAMS + 1)), replace=False))
        value = np.where(chance.random(len(rows)) < 0.2, np.nan, chance.normal(0.0, 3.0, len(rows)))
        fresh = chance.random(len(rows)) < 0.8
        score, _ = sums.step(rows, np.full(len(rows), time), value, fresh)
        for row, stream in enumerate(rows.tolist()):
            one = held[stream]
            if fresh[row] and not np.isnan(value[row]):
                away = value[row] - one[0]
                unit = min(max(away / one[1], -CLIP), CLIP)
                one[2:] = [min(max(one[2 + side] + ((unit, -unit)[side] - 1.0), 0.0), 9.0) for side in (0, 1)]
                one[0] += memory * one[1] * min(max(unit, -1.0), 1.0)
                one[1] = max(one[1] * (1 + (memory if abs(away) > one[1] else -memory)), 0.25)
            np.testing.assert_equal(score[row], np.nan if np.isnan(value[row]) else max(one[2:]))


@settings(max_examples=40, deadline=None)
@given(chances, st.integers(1, 9))
def test_bands_widen_by_the_share_of_leads_that_missed(chance: np.random.Generator, horizon: int) -> None:
    bands, rows, calm = Bands(STREAMS, horizon, 0.2), np.arange(STREAMS), np.ones(STREAMS, dtype=bool)
    for slot in range(15):
        value = np.where(chance.random(STREAMS) < 0.2, np.nan, chance.normal(0.0, 2.0, STREAMS))
        about, before = bands._issued.about(rows, np.full(STREAMS, slot)), bands.widening.copy()
        bands.learn(rows, np.full(STREAMS, slot), value, calm)
        for stream in range(STREAMS):
            told, factor = about[stream], np.exp(before[stream])
            low = told[:, 0] - (told[:, 0] - told[:, 1]) * factor
            high = told[:, 0] + (told[:, 2] - told[:, 0]) * factor
            known = [lead for lead in range(len(told)) if not np.isnan(value[stream] - low[lead])]
            missed = sum(not low[lead] <= value[stream] <= high[lead] for lead in known)
            wanted = before[stream] + 0.02 * (missed / max(1, len(known)) - 0.2) if known else before[stream]
            assert bands.widening[stream] == wanted
        middle = chance.normal(size=(STREAMS, horizon, 1))
        bands.issue(rows, np.full(STREAMS, slot), middle + np.array([0.0, -1.0, 1.0]))


@settings(max_examples=30, deadline=None)
@given(st.lists(st.lists(st.integers(-3, 3), min_size=1, max_size=8), min_size=1, max_size=8))
def test_calendars_are_of_each_rows_own_slot_whatever_was_asked_before(asked: list[list[int]]) -> None:
    lane = Lane(runner(card()), None, batch=8)
    long = lane.card.window + lane.card.horizon
    for firsts in asked:
        found = lane._calendar(START + np.array(firsts))
        for row, first in enumerate(firsts):
            wanted = calendar(lane.card.zone, lane._country, lane.card.every_ns, START + first, long)
            np.testing.assert_array_equal(found[row], wanted)


@settings(max_examples=30, deadline=None)
@given(chances)
def test_windows_of_a_state_in_float64_are_those_of_one_in_float32(chance: np.random.Generator) -> None:
    rings = Rings(streams=STREAMS, length=7, every_ns=10)
    values = np.full((7, STREAMS), np.nan)
    for slot in range(int(chance.integers(1, 20))):
        values[slot % 7] = chance.normal(size=STREAMS)
        rings.push(np.arange(STREAMS), np.full(STREAMS, slot * 10), values[slot % 7])
    old, new = (Rings(streams=STREAMS, length=7, every_ns=10) for _ in range(2))
    old.restore({**rings.state(), "value": values.tobytes()})
    new.restore(rings.state())
    assert old.state() == new.state() == rings.state()
    asked = np.arange(STREAMS)[None], rings.head[:1], 7
    np.testing.assert_array_equal(old.window(*asked), rings.window(*asked))


@contextmanager
def _never_quiet() -> Iterator[None]:
    """Let no rule be passed over."""
    before = Hold.quiet
    Hold.quiet = property(lambda _: False)  # type: ignore[method-assign,assignment]
    try:
        yield
    finally:
        Hold.quiet = before  # type: ignore[method-assign]


def _findings(chance: np.random.Generator, hour: int) -> list[Finding]:
    """Return findings of an hour, some of which one rule or another says something of."""
    found = []
    for stream in chance.permutation([11, 12, 13])[: int(chance.integers(1, 4))].tolist():
        time = (START + hour) * HOUR_NS
        wrong = hour % 20 > 10
        found.append(
            Finding(
                datastream=stream, time_ns=time, value=999.0 if wrong and chance.random() < 0.1 else 20.0,
                score=float(chance.choice([0.0, 9.0] if wrong else [0.0, np.nan])), limit=6.0, onset_ns=time,
                flat_s=3600.0 * float(chance.choice([0, 7] if wrong else [0])),
            )
        )  # fmt: skip
    return found


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 1 << 32), st.integers(1, 5))
def test_rules_passed_over_would_have_said_nothing(seed: int, together: int) -> None:
    def told() -> tuple[list[bytes], bytes]:
        chance, engine = np.random.default_rng(seed), Engine(solution(), things(), datastreams())
        alerts = []
        for hour in range(0, 60, together):
            batch = [one for late in range(together) for one in _findings(chance, hour + late)]
            alerts += [msgspec.msgpack.encode(one) for one in [*engine.take(batch), *engine.tick()]]
        return alerts, engine.state()

    usual = told()
    with _never_quiet():
        assert told() == usual


@given(
    st.lists(st.sampled_from(["v1//1.Tasks", "v1.Tasks.x", "nervure.tasks.3.17.status", "a.statu", "s.b"]))
)
def test_no_task_is_missed_among_other_subjects(subjects: list[str]) -> None:
    assert some_tasks(subjects) == any(map(is_task, subjects))


@given(chances, st.integers(0, 6))
def test_forecasts_are_those_of_rows_that_somebody_stores(chance: np.random.Generator, count: int) -> None:
    outlet, time = chance.integers(0, 3, count), np.arange(count) * HOUR_NS
    band: NDArray[np.float64] = chance.normal(size=(count, 4, 3))
    alone = [
        pack
        for row in range(count)
        for pack in forecasts(outlet[[row]], time[[row]], band[[row]], HOUR_NS, "1")
    ]
    assert forecasts(outlet, time, band, HOUR_NS, "1") == alone
    assert [one.datastream for one in alone] == outlet[outlet > 0].tolist()


@given(chances, st.integers(1, 5))
def test_windows_with_gaps_are_told_from_those_without(chance: np.random.Generator, rows: int) -> None:
    x = np.where(chance.random((rows, 6, 2)) < 0.1, np.nan, chance.normal(size=(rows, 6, 2)))
    gaps = [[bool(np.isnan(one)) for one in row[:, 0]] for row in x]
    wanted = [not row[-1] and sum(row) * 2 <= len(row) for row in gaps]
    assert enough(x.astype(np.float32)).tolist() == wanted
