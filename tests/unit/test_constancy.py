"""Loops lose a step by models of every kind: monitors that cry wolf, classes in doubt, lives that stand."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from msgspec.structs import replace

from nervure.core.alert import MONITOR, Alert
from nervure.core.card import Card, Channel
from nervure.core.entity import Datastream
from nervure.core.instant import SECOND_NS
from nervure.core.interlock import Promotion
from nervure.core.observation import Batch, observation_id
from nervure.core.problem import Problem
from nervure.node.constancy import Alarmed
from nervure.node.drift import Drifts, drifting
from nervure.node.patrol import Patrol
from nervure.solutions import find
from nervure.store.catalogue import Catalogue
from nervure.store.monitor import Posted
from nervure.store.observations import Observations
from nervure.store.provision import Place, provision
from nervure.store.write.writer import Writer
from tests.acting import PUMP, SPEED, loop_of
from tests.unit.test_bell import made, rung
from tests.unit.test_drift import HOUR, HOURS, START

S = SECOND_NS
HALF = np.arange(HOURS) >= HOURS // 2
END = START + (HOURS - 1) * HOUR
Told = Callable[[Catalogue, Observations, bool], tuple[str, Drifts]]


@pytest.fixture
def observed(tmp_path: Path) -> Iterator[Observations]:
    found = Observations.open(tmp_path / "observations")
    yield found
    found.close()


def write(observed: Observations, streams: Sequence[Datastream], values: Sequence[np.ndarray]) -> None:
    """Write a week of hourly values of each Datastream, with intervals that tell nothing."""
    rows = len(streams) * HOURS
    moments = np.tile(START + np.arange(HOURS) * HOUR, len(streams))
    blank = np.full(rows, np.nan)
    batch = Batch.of(
        id=[observation_id(one + 1) for one in range(rows)],
        datastream=np.repeat([one.id for one in streams], HOURS), time=moments, result_time=moments,
        value=np.concatenate(list(values)), low=blank, high=blank,
    )  # fmt: skip
    observed.append(batch, rows)


def card(name: str, solution: str, problem: Problem) -> Card:
    return Card(
        name=name, version="3", solution=solution, problem=problem, model="any", created="2023-01-01",
        channels=(Channel(signal="any"),), every_ns=HOUR, window=24,
    )  # fmt: skip


def alarms(catalogue: Catalogue, count: int, *, key: str = "a", **more: object) -> None:
    """Raise alarms within the last days; one more each was long ago, and one of each people called right."""
    one = Alert(
        id="x", solution="water", rule="burst", severity="major", thing=1, datastream=1, text="burst",
        start_ns=0, raised_ns=0,
    )  # fmt: skip
    one = replace(one, **more)
    ages = [*(10 * number + 1 for number in range(count)), 24 * 6, 2]
    made_ = [replace(one, id=f"{key}{n}", start_ns=END - age * HOUR) for n, age in enumerate(ages)]
    catalogue.save_alerts(made_)
    catalogue.judge(made_[-1].id, "true", "ann")


def monitor_of_a_solution(catalogue: Catalogue, observed: Observations, bad: bool) -> tuple[str, Drifts]:
    water = find("water")
    streams = provision(catalogue, water, [Place(name="A")])
    write(observed, [streams["A/inflow"]], [np.ones(HOURS)])
    catalogue.add_model(
        card("water-forecast-inflow", "water", water.problem("forecast-inflow")), "p", "s", promoted=True
    )
    alarms(catalogue, 8 if bad else 3, model="water-forecast-inflow 3")
    return "water-anomaly-inflow", Drifts(catalogue, observed, [water])


def test_two_rules_of_one_score_tell_of_the_same(catalogue: Catalogue, observed: Observations) -> None:
    """A warning and an alarm at each event: with their sum whoever keeps a promise was said to break it."""
    name, drifts = monitor_of_a_solution(catalogue, observed, False)
    (found,) = drifts.look({name}).values()
    assert isinstance(found, Alarmed)
    alarms(catalogue, 4, model="water-forecast-inflow 3", rule="swell", key="b")
    (again,) = drifts.look({name}).values()
    assert isinstance(again, Alarmed)
    assert (found.raised, again.raised) == (3, 4)


def monitor_of_a_thing(catalogue: Catalogue, observed: Observations, bad: bool) -> tuple[str, Drifts]:
    streams = provision(catalogue, find("water"), [Place(name="A")])
    stream = streams["A/inflow"]
    write(observed, [stream], [np.ones(HOURS)])
    posted = Posted(
        thing=stream.thing, version="2", package="p", streams=(stream.id,), watched=(stream.id,), origin_ns=0,
        severity="minor", state=b"", about={"promised": 0.1},
    )  # fmt: skip
    catalogue.post_monitor(posted, "ann")
    alarms(catalogue, 6 if bad else 1, solution=MONITOR, thing=stream.thing, model="2")
    return "monitor:A", Drifts(catalogue, observed)


def a_class(catalogue: Catalogue, observed: Observations, bad: bool) -> tuple[str, Drifts]:
    health = find("health")
    provision(catalogue, health, [Place(name="A")])
    (fall,) = [one for one in catalogue.datastreams() if one.signal == "motion=fall"]
    (daily,) = [one for one in catalogue.datastreams() if one.signal == "motion=daily"]
    share = np.where(HALF & bad, 0.4, 0.02) * (1 + 0.2 * np.sin(np.arange(HOURS)))
    write(observed, [fall, daily], [share, 1 - share])
    catalogue.add_model(
        card("health-class-motion", "health", health.problem("class-motion")), "p", "s", promoted=True
    )
    return "health-class-motion", Drifts(catalogue, observed)


def a_life(catalogue: Catalogue, observed: Observations, bad: bool) -> tuple[str, Drifts]:
    machine = find("machine")
    streams = provision(catalogue, machine, [Place(name="A")])
    (life,) = [one for one in catalogue.datastreams() if one.signal == "life"]
    cycle = np.arange(HOURS) % 100.0  # it is replaced in between
    noise = np.where(np.arange(HOURS) % 14 < 7, 1.0, -1.0) * np.where(HALF & bad, 12.0, 2.0)
    write(observed, [life, streams["A/cycle"]], [100.0 - cycle + noise, cycle])
    catalogue.add_model(card("machine-life", "machine", machine.problem("life")), "p", "s", promoted=True)
    return "machine-life", Drifts(catalogue, observed)


KINDS: dict[str, tuple[Told, str]] = {
    "monitor of a solution": (monitor_of_a_solution, "has raised 8 alarms in 3.5 days, 1.8 were promised"),
    "monitor of a Thing": (monitor_of_a_thing, "monitor:A 2 has raised 6 alarms in 3.5 days, 0.35 were prom"),
    "class": (a_class, "is sure of its answers by 60%, by 98% half a week before"),
    "life": (a_life, "the error of machine-life 3 is 4.1 times that of half a week before"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_loop_that_rests_on_it_loses_a_step_when_it_drifts(
    kind: str, catalogue: Catalogue, writer: Writer, observed: Observations
) -> None:
    told, says = KINDS[kind]
    name, drifts = told(catalogue, observed, True)
    _, loop = loop_of(writer, "pump", PUMP | {"rests": [name]}, SPEED)
    _, other = loop_of(writer, "another", PUMP, SPEED)
    loops = made(catalogue, writer)
    patrol = Patrol(catalogue, loops, drifts)
    with loops.turn():
        for one in (loop, other):
            loops._keep(one, replace(loops.standing(one), mode="auto"))
    for number in range(1, 3):
        patrol.look(number * 10 * S)
        patrol.judge(number * 700 * S)
    assert (loops.standing(loop).mode, loops.standing(other).mode) == ("supervised", "auto")
    (text,) = [one.text for one in rung(catalogue, "drift") if one.text.startswith("pump ")]
    assert says in text


@pytest.mark.parametrize("kind", KINDS)
def test_nobody_is_accused_who_does_as_before(
    kind: str, catalogue: Catalogue, observed: Observations
) -> None:
    name, drifts = KINDS[kind][0](catalogue, observed, False)
    found = drifts.look({name})
    assert list(found) == [name]
    assert drifting(found[name], Promotion()) == ""
