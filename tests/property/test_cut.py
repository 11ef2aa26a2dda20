"""Scoring cut into parts gives what the whole gives: forecasts, alerts, and states cut again on the way."""

from __future__ import annotations

from itertools import pairwise

import msgspec
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from nervure.act.engine import Engine
from nervure.act.portion import join, portion
from nervure.core.alert import Alert
from nervure.core.entity import Datastream
from nervure.core.observation import Batch
from nervure.core.scale import Scale, partition_of
from nervure.node.deal import Dealer, Hand, batch_of, read
from nervure.score.cut import Cut, is_severable, shared
from nervure.score.pack import Pack
from nervure.score.scorer import Scorer
from tests.property.test_scoring import _foretold, _model, _readings
from tests.tiny import card, datastreams, solution, things

Made = tuple[dict[str, Pack], dict[str, Alert]]


def _run(batch: Batch, parts: list[tuple[Scorer, Engine]], step: int) -> Made:
    packs: dict[str, Pack] = {}
    alerts: dict[str, Alert] = {}
    made: dict[str, Scorer] = {}
    for begin in range(0, len(batch), step):
        some = batch.take(np.arange(begin, min(begin + step, len(batch))))
        for scorer, engine in parts:
            scored = scorer.take(some)
            names = {one.once: one for one in scored.packs}
            assert all(made.setdefault(one, scorer) is scorer for one in names), "two parts foresee the same"
            packs |= names
            alerts |= {one.id: one for one in engine.take(scored.findings)}
    return packs, alerts


def _part(number: int, count: int, *, wide: bool) -> tuple[Scorer, Engine]:
    model, known = _model(wide=wide), datastreams()
    own = [one for one in known if one.thing % count == number]
    thing_of = {one.name: one.thing for one in known}
    guests = {name for thing, name in shared(model.card, thing_of) if thing % count == number}
    inputs = [one for one in known if one in own or one.name in guests]
    declared = solution(ahead="48h" if wide else None)
    scorer = Scorer(Cut(model, {one.name for one in own}), inputs, solution=declared)
    return scorer, Engine(declared, things(), own)


@settings(max_examples=6, deadline=None)
@given(seed=st.integers(0, 1000), wide=st.booleans(), step=st.sampled_from([1, 7, 64, 10_000]))
def test_parts_together_say_what_the_whole_says(seed: int, step: int, *, wide: bool) -> None:
    batch = _foretold(_readings(seed), seed) if wide else _readings(seed)
    declared = solution(ahead="48h" if wide else None)
    whole = [
        (
            Scorer(_model(wide=wide), datastreams(), solution=declared),
            Engine(declared, things(), datastreams()),
        )
    ]
    packs, alerts = _run(batch, whole, 64)
    assert len(packs) > 100
    assert _run(batch, [_part(one, 2, wide=wide) for one in range(2)], step) == (packs, alerts)


def test_rules_go_on_when_their_state_is_cut_and_put_together() -> None:
    batch = _readings(3)
    known, half = datastreams(), len(batch) * 3 // 4
    scorer = Scorer(_model(), known, solution=solution())
    whole = Engine(solution(), things(), known)
    whole.take(scorer.take(batch.take(np.arange(half))).findings)
    assert whole.open
    findings = scorer.take(batch.take(np.arange(half, len(batch)))).findings
    ways = (11,), (12, 13, 31)
    pieces = [portion(whole.state(), way) for way in ways]
    parts = []
    for way, piece in zip(ways, pieces, strict=True):
        engine = Engine(solution(), things(), [one for one in known if one.id in way])
        engine.restore(piece)
        parts.append(engine)
    joined = Engine(solution(), things(), known)
    joined.restore(join(pieces))
    wanted = {one.id: one for one in whole.take(findings)}
    assert wanted
    assert {one.id: one for one in joined.take(findings)} == wanted
    assert {one.id: one for engine in parts for one in engine.take(findings)} == wanted


def test_a_joint_model_stays_whole_and_things_lie_evenly() -> None:
    assert is_severable(card())
    assert not is_severable(msgspec.structs.replace(card(), joint=True))
    counts = np.bincount([partition_of(thing, 8) for thing in range(1, 1001)], minlength=8)
    assert 120 <= counts.min() <= counts.max() <= 130
    assert Scale().partitions == 0


@settings(max_examples=25, deadline=None)
@given(cuts=st.lists(st.integers(1, 300), max_size=5, unique=True), again=st.integers(0, 299))
def test_what_is_dealt_is_what_came_once_to_each_that_needs_it(cuts: list[int], again: int) -> None:
    rows = 300
    stream = np.arange(rows) % 9 + 1  # the ninth is nobody's
    known = [Datastream(id=one, name=f"s{one}", unit="1", thing=one, solution="x") for one in range(1, 9)]
    numbers = np.arange(rows)
    batch = Batch.of(id=numbers + 1 << 16, datastream=stream, time=numbers, value=numbers)
    heard: dict[int, list[Hand]] = {0: [], 1: [], 2: []}
    for start in (0, again):
        dealer = Dealer(_nowhere)
        dealer.begin(3, ["x"], {"x": {"s4": [0, 1, 2]}}, start)
        dealer.learn(known)
        for first, last in pairwise([start, *sorted(one for one in cuts if start < one < rows), rows]):
            dealer.take(batch.take(np.arange(first, last)), last)
            for number, payload in dealer.turn().messages:
                heard[number].append(read(payload))
    for number, hands in heard.items():
        mine = [one == 4 or (one < 9 and partition_of(one, 3) == number) for one in stream.tolist()]
        assert _taken(hands) == (np.flatnonzero(mine) + 1).tolist()


def _taken(hands: list[Hand]) -> list[int]:
    """Return the log positions of what a worker would take."""
    taken, found = 0, list[int]()
    for hand in hands:
        if hand.upto > taken:
            assert hand.after <= taken
            found += [one for one in (batch_of(hand).id >> 16).tolist() if one > taken]
            taken = hand.upto
    return found


async def _nowhere(_messages: object) -> None:
    raise AssertionError("nothing is put here")
