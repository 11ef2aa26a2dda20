"""Scoring depends on the order of the readings only: not on batches, restarts or replays."""

from __future__ import annotations

from functools import cache
from itertools import pairwise

import msgspec
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from nervure.act.engine import Engine
from nervure.core.alert import Alert
from nervure.core.instant import HOUR_NS
from nervure.core.observation import Batch
from nervure.score.pack import Pack
from nervure.score.runner import Runner
from nervure.score.scorer import Scorer
from tests.tiny import START, batch_of, card, datastreams, limit, runner, solution, things

SLOTS = 90
Outcome = tuple[list[Pack], list[Alert], bytes]


@cache
def _model(*, wide: bool = False) -> Runner:
    """Return the tiny model; a ``wide`` one looks at a neighbour, and at rain known ahead."""
    return runner(card(limits=limit(height=3.0), future=wide, near=wide))


def _readings(seed: int) -> Batch:
    """Return days of readings with a burst, a stuck meter, gaps, repeats, late ones and weather."""
    random = np.random.default_rng(seed)
    rows: list[tuple[int, int, float]] = []
    for slot in range(SLOTS):
        hour = [(31, START + slot, float(random.integers(0, 2)))]
        for stream in (11, 12, 13):
            value = 20.0 + 5.0 * np.sin(slot * np.pi / 12) + random.normal(0, 0.5)
            value += 6.0 if stream == 11 and slot > 70 else 0.0
            hour.append((stream, START + slot, 17.0 if stream == 12 and 45 < slot < 70 else float(value)))
        hour = [one for one in hour if random.random() > 0.05]
        random.shuffle(hour)
        rows += hour
        if random.random() < 0.2 and rows:
            rows.append(rows[int(random.integers(max(0, len(rows) - 12), len(rows)))])
    order = np.argsort(np.arange(len(rows)) + random.uniform(0, 6, len(rows)))
    return batch_of([rows[place] for place in order])


def _foretold(batch: Batch, seed: int) -> Batch:
    """Return the readings with forecasts of rain among them: packs, issued again, some of them late."""
    random = np.random.default_rng(seed)
    parts: list[Batch] = []
    for begin in range(0, len(batch), 12):
        now = int(batch.time[begin])
        ahead = np.arange(1, int(random.integers(2, 30)))
        parts += [
            batch.take(np.arange(begin, min(begin + 12, len(batch)))),
            Batch.of(
                id=np.zeros(len(ahead)), datastream=np.full(len(ahead), 31),
                time=(now // HOUR_NS + ahead) * HOUR_NS, value=random.integers(0, 3, len(ahead)),
                result_time=np.full(len(ahead), now - int(random.integers(0, 5)) * HOUR_NS),
            ),
        ]  # fmt: skip
    whole = Batch.concat(parts)
    return msgspec.structs.replace(whole, id=np.arange(len(whole)) << 16)


def _pair(*, wide: bool = False, plain: bool = False) -> tuple[Scorer, Engine]:
    declared = solution(ahead="48h" if wide else None)
    scorer = Scorer(None if plain else _model(wide=wide), datastreams(), solution=declared)
    return scorer, Engine(declared, things(), datastreams())


def _run(
    batch: Batch,
    cuts: list[int],
    restarts: frozenset[int] = frozenset(),
    *,
    wide: bool = False,
    plain: bool = False,
) -> Outcome:
    scorer, engine = _pair(wide=wide, plain=plain)
    packs: list[Pack] = []
    alerts: list[Alert] = []
    edges = [0, *sorted(cuts), len(batch)]
    for number, (start, stop) in enumerate(pairwise(edges)):
        if number in restarts:
            saved = scorer.state(), engine.state()
            scorer, engine = _pair(wide=wide, plain=plain)
            assert scorer.restore(saved[0])
            engine.restore(saved[1])
        scored = scorer.take(batch.take(np.arange(start, stop)))
        packs += scored.packs
        alerts += engine.take(scored.findings)
    return sorted(packs, key=lambda pack: pack.once), alerts, scorer.state() + engine.state()


def _told(alerts: list[Alert]) -> list[bytes]:
    return sorted(msgspec.msgpack.encode(alert) for alert in alerts)


@cache
def _one_by_one(seed: int, *, wide: bool = False) -> Outcome:
    batch = _foretold(_readings(seed), seed) if wide else _readings(seed)
    return _run(batch, list(range(1, len(batch))), wide=wide)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2), st.lists(st.integers(0, 300), max_size=20), st.frozensets(st.integers(0, 20)))
def test_neither_batches_nor_restarts_change_the_outcome(
    seed: int, cuts: list[int], restarts: frozenset[int]
) -> None:
    batch = _readings(seed)
    cuts = [min(cut, len(batch)) for cut in cuts]
    one_by_one = _one_by_one(seed)
    cut = _run(batch, cuts, restarts)
    assert cut[0] == one_by_one[0]
    assert _told(cut[1]) == _told(one_by_one[1])
    assert cut[2] == one_by_one[2]


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 2), st.lists(st.integers(0, 900), max_size=20), st.frozensets(st.integers(0, 20)))
def test_nor_with_neighbours_and_weather_known_ahead(
    seed: int, cuts: list[int], restarts: frozenset[int]
) -> None:
    batch = _foretold(_readings(seed), seed)
    cut = _run(batch, [min(one, len(batch)) for one in cuts], restarts, wide=True)
    one_by_one = _one_by_one(seed, wide=True)
    assert cut[0] == one_by_one[0]
    assert _told(cut[1]) == _told(one_by_one[1])
    assert cut[2] == one_by_one[2]


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 5), st.lists(st.integers(0, 300), max_size=6), st.frozensets(st.integers(0, 6)))
def test_nor_where_only_rules_judge(seed: int, cuts: list[int], restarts: frozenset[int]) -> None:
    batch = _readings(seed)
    if seed > 2:  # in the order of time there are no late ones, and many readings are taken at once
        batch = batch.take(np.lexsort((batch.datastream, batch.time)))
    cut = _run(batch, [min(one, len(batch)) for one in cuts], restarts, plain=True)
    one_by_one = _run(batch, list(range(1, len(batch))), plain=True)
    assert one_by_one[1]
    assert _told(cut[1]) == _told(one_by_one[1])
    assert cut[2] == one_by_one[2]


def test_the_readings_hold_what_they_are_meant_to_test() -> None:
    rules = {alert.rule for alert in _run(_readings(0), [])[1]}
    assert {"water.burst", "water.stuck"} <= rules


@settings(max_examples=6, deadline=None)
@given(st.integers(0, 2), st.integers(1, 300))
def test_a_replayed_batch_gives_the_same_ids(seed: int, cut: int) -> None:
    batch = _readings(seed)
    cut = min(cut, len(batch) - 1)
    scorer, engine = _pair()
    engine.take(scorer.take(batch.take(np.arange(cut))).findings)
    saved = scorer.state(), engine.state()
    outcomes = []
    for _ in range(2):
        scorer, engine = _pair()
        scorer.restore(saved[0])
        engine.restore(saved[1])
        scored = scorer.take(batch.take(np.arange(cut, len(batch))))
        outcomes.append((scored.packs, [alert.id for alert in engine.take(scored.findings)]))
    assert outcomes[0] == outcomes[1]
