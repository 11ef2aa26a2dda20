"""A solution with two forecast problems: both models score, each reading has one finding."""

from __future__ import annotations

import msgspec
import numpy as np

from nervure.act.engine import Engine
from nervure.core.card import Channel
from nervure.core.declaration import Solution, validate
from nervure.core.entity import Datastream
from nervure.core.problem import Forecast
from nervure.node.live import Live
from nervure.node.piece import Pieces
from nervure.score.scorer import Scored, Scorer
from tests.tiny import START, batch_of, card, datastreams, limit, runner, solution, things

RAIN = Forecast(of="rain", horizon="24h", window="48h")
STREAMS = [
    *datastreams(),
    Datastream(
        id=32, name="rain forecast", unit="mm", thing=4, solution="water", signal="rain",
        kind="forecast", source=31,
    ),
]  # fmt: skip


def _declared() -> Solution:
    made = solution()
    return validate(msgspec.structs.replace(made, problems=(RAIN, *made.problems)))


def _scorers() -> dict[str, Scorer]:
    inflow = card(limits=limit())
    rain = msgspec.structs.replace(
        card(rain=False),
        name="water-forecast-rain", version="rain-1", problem=RAIN, streams=("rain",),
        channels=(Channel(signal="rain", shared=True),), unit="mm",
    )  # fmt: skip
    return {
        one.problem.name: Scorer(runner(one), STREAMS, solution=_declared())
        for one in (rain, inflow)
        if isinstance(one.problem, Forecast)
    }


def _live() -> Live:
    declared = _declared()
    live = Live(declared, Engine(declared, things(), STREAMS), Scorer(None, STREAMS, solution=declared))
    for problem, scorer in _scorers().items():
        live.put(problem, scorer, f"{problem}-1")
    return live


def _take(live: Live, slots: range) -> list[Scored]:
    return [
        live.take(batch_of([(11, START + slot, 20.0 + slot % 5), (31, START + slot, slot % 3 / 10)]))
        for slot in slots
    ]


def test_both_forecast_and_the_one_that_is_judged_comes_first() -> None:
    live = _live()
    assert live.problems == ["forecast-inflow", "forecast-rain"]
    last = _take(live, range(96))[-1]
    assert [(one.datastream, one.once.split(".")[0]) for one in last.packs] == [
        (21, "tiny-1"),
        (32, "rain-1"),
    ]
    findings = {one.datastream: one for one in last.findings}
    assert len(last.findings) == 2
    assert np.isfinite([findings[11].score, findings[11].expected]).all()
    assert last.findings.model == "water-forecast-inflow tiny-1"
    alone = _scorers()["forecast-inflow"]
    for slot in range(96):
        said = alone.take(batch_of([(11, START + slot, 20.0 + slot % 5), (31, START + slot, slot % 3 / 10)]))
    assert said.findings[0] == findings[11]


def test_a_restart_goes_on_as_if_there_had_been_none() -> None:
    whole, first = _live(), _live()
    _take(whole, range(70))
    _take(first, range(70))
    pieces = Pieces({})
    states = first.states()
    pieces.written(pieces.changed(states))
    again = _live()
    again.restore(first.saved(states), pieces.joined)
    for one, other in zip(_take(whole, range(70, 90)), _take(again, range(70, 90)), strict=True):
        assert [pack.encode() for pack in one.packs] == [pack.encode() for pack in other.packs]
        assert [str(row) for row in one.findings] == [str(row) for row in other.findings]


def test_without_a_model_the_rules_hold_and_a_model_takes_over() -> None:
    declared = _declared()
    live = Live(declared, Engine(declared, things(), STREAMS), Scorer(None, STREAMS, solution=declared))
    assert len(_take(live, range(1))[0].findings) == 1  # rain has no rule
    live.put("forecast-rain", _scorers()["forecast-rain"], "1")
    live.put("forecast-rain", _scorers()["forecast-rain"], "2")
    assert (len(live.scorers), live.versions) == (1, {"forecast-rain": "2"})
    scored = _take(live, range(50))[-1]
    assert ([pack.datastream for pack in scored.packs], len(scored.findings)) == ([32], 2)
