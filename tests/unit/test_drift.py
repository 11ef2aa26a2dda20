"""A loop that rests on a model that drifts loses a step, once, with the reason in its log and an alert."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from msgspec.structs import replace

from nervure.act.standing import promoted
from nervure.core.card import Card, Channel
from nervure.core.command import Proposal
from nervure.core.entity import Datastream, ObservedProperty, Sensor, Thing
from nervure.core.error import ConflictError
from nervure.core.instant import SECOND_NS
from nervure.core.interlock import Promotion
from nervure.core.observation import Batch, observation_id
from nervure.core.problem import Forecast
from nervure.node.drift import LEAST_ROWS, Drifts, Told, drifting
from nervure.node.loops import Loops
from nervure.node.patrol import Patrol
from nervure.solutions import find
from nervure.store import loop as rows
from nervure.store.catalogue import Catalogue
from nervure.store.observations import Observations
from nervure.store.write.writer import Writer
from tests.acting import PUMP, SPEED, loop_of
from tests.unit.test_bell import made, rung

S, HOUR = SECOND_NS, 3_600 * SECOND_NS
START, HOURS = 1_700_000_000 * SECOND_NS // HOUR * HOUR, 168
NAME = "water-forecast-inflow"
CARD = Card(
    name=NAME, version="3", solution="water", problem=Forecast(of="inflow", horizon="1h", window="1d"),
    model="mixer", created="2023-01-01T00:00:00Z", streams=("A/inflow",),
    channels=(Channel(signal="inflow"),), every_ns=HOUR, window=24, horizon=1, quantiles=(0.1, 0.5, 0.9),
)  # fmt: skip


@pytest.fixture
def observed(tmp_path: Path) -> Iterator[Observations]:
    found = Observations.open(tmp_path / "observations")
    yield found
    found.close()


def told(catalogue: Catalogue, observed: Observations, error: np.ndarray, width: float = 1.0) -> Drifts:
    """Write a week of readings and of forecasts that are wrong by ``error [hour]``, and a model of them."""
    thing = catalogue.ensure_thing(Thing(name="DMA A")).id
    sensor = catalogue.ensure_sensor(Sensor(name="meter", metadata="-")).id
    seen = catalogue.ensure_property(ObservedProperty(name="Inflow", definition="urn:inflow")).id
    plain = Datastream(
        name="A/inflow", unit="L/s", thing=thing, sensor=sensor, observed_property=seen, solution="water",
        signal="inflow", every_ns=HOUR,
    )  # fmt: skip
    read = catalogue.ensure_datastream(plain).id
    foretold = catalogue.ensure_datastream(
        replace(plain, name="A/inflow forecast", kind="forecast", source=read)
    ).id
    moments = START + np.arange(HOURS) * HOUR
    flow = 10 + 3 * np.sin(np.arange(HOURS) / 24 * 2 * np.pi)
    batch = Batch.of(
        id=[observation_id(one + 1) for one in range(2 * HOURS)],
        datastream=np.repeat([read, foretold], HOURS),
        time=np.tile(moments, 2),
        result_time=np.concatenate([moments, moments - HOUR]),
        value=np.concatenate([flow, flow + error]),
        low=np.concatenate([np.full(HOURS, np.nan), flow + error - width]),
        high=np.concatenate([np.full(HOURS, np.nan), flow + error + width]),
    )
    observed.append(batch, 2 * HOURS)
    catalogue.add_model(CARD, "package", "sha", promoted=True)
    return Drifts(catalogue, observed)


def errors(later: float) -> np.ndarray:
    """Return errors of one in the first half of the week, of ``later`` in the second, up and down."""
    sign = np.where(np.arange(HOURS) % 2, 1.0, -1.0)
    return sign * np.where(np.arange(HOURS) < HOURS // 2, 0.5, later)


def test_what_was_foretold_is_held_against_what_was_read(
    catalogue: Catalogue, observed: Observations
) -> None:
    found = told(catalogue, observed, errors(0.8)).look({NAME, "other"})
    mine = found[NAME]
    assert isinstance(mine, Told)
    seen = mine.found
    assert list(found) == [NAME]
    assert [seen.earlier, seen.later] == pytest.approx([0.5, 0.8], abs=0.01)
    assert (seen.coverage, mine.promised) == (1.0, 0.8)
    assert "1.6 times that of half a week before (1.5 are allowed)" in drifting(mine, Promotion())
    assert drifting(mine, Promotion(drift=2.0)) == ""
    few = replace(mine, found=replace(seen, rows=LEAST_ROWS - 1))
    assert drifting(few, Promotion()) == ""


def test_one_clock_that_is_far_ahead_hides_no_drift(catalogue: Catalogue, observed: Observations) -> None:
    """A week was looked at before the newest reading of all, and one said that it is the year 2100."""
    drifts = told(catalogue, observed, errors(1.5))
    (plain,) = [one for one in catalogue.datastreams() if one.kind == "reading"]
    other = catalogue.ensure_datastream(replace(plain, id=0, name="B/inflow")).id
    foretold = replace(plain, id=0, name="B/inflow forecast", kind="forecast", source=other)
    catalogue.ensure_datastream(foretold)
    ahead = Batch.of(
        id=[observation_id(10**6)], datastream=np.array([other]), time=np.array([4_102_444_800 * S]),
        result_time=np.array([4_102_444_800 * S]), value=np.array([1.0]),
    )  # fmt: skip
    observed.append(ahead, 10**6)
    assert "3.0 times that of half a week before" in drifting(drifts.look({NAME})[NAME], Promotion())


def test_of_too_many_rows_only_some_streams_are_read(
    catalogue: Catalogue, observed: Observations, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A day of a whole city was read into memory, however much that was."""
    monkeypatch.setattr("nervure.node.drift._MOST_ROWS", 20)
    told(catalogue, observed, errors(1.5))
    asked = list[int]()
    (plain,) = [one for one in catalogue.datastreams() if one.kind == "reading"]
    for name in "BCDEF":
        other = catalogue.ensure_datastream(replace(plain, id=0, name=f"{name}/inflow")).id
        foretold = replace(plain, id=0, name=f"{name}/inflow forecast", kind="forecast", source=other)
        catalogue.ensure_datastream(foretold)

    class Counted(Drifts):
        def _curves(self, groups: Any, span: Any) -> Any:
            some, curves = super()._curves(groups, span)
            asked.extend((len(groups), len(some)))
            return some, curves

    found = Counted(catalogue, observed).look({NAME})[NAME]
    assert asked == [6, 2]
    assert isinstance(found, Told)


def test_an_interval_that_holds_too_little_is_drift_too(catalogue: Catalogue, observed: Observations) -> None:
    found = told(catalogue, observed, errors(0.55), width=0.52).look({NAME})[NAME]
    assert drifting(found, Promotion()).startswith(
        "the interval of water-forecast-inflow 3 held 0% of what was read, 80% were promised"
    )
    assert drifting(found, Promotion(short=0.9)) == ""


@pytest.mark.parametrize("by", ["declared", "task"])
def test_a_loop_that_rests_on_it_loses_a_step_once(
    catalogue: Catalogue, writer: Writer, observed: Observations, by: str
) -> None:
    drifts = told(catalogue, observed, errors(1.5))
    _, loop = loop_of(writer, "pump", PUMP | ({"rests": [NAME]} if by == "declared" else {}), SPEED)
    _, other = loop_of(writer, "another", PUMP, SPEED)
    loops = made(catalogue, writer)
    patrol = Patrol(catalogue, loops, drifts)
    with loops.turn():
        for one in (loop, other):
            loops._keep(one, replace(loops.standing(one), mode="auto"))
        if by == "task":
            said(loops, loop, "mpc", (NAME,))
    for number in range(1, 4):
        patrol.look(number * 10 * S)
        patrol.judge(number * 700 * S)
    assert (loops.standing(loop).mode, loops.standing(other).mode) == ("supervised", "auto")
    (alert,) = rung(catalogue, "drift")
    assert (
        "pump rests on a model that drifts: the error of water-forecast-inflow 3 is 3.0 times" in alert.text
    )
    with catalogue.database.read() as connection:
        lines = rows.lines(connection, loop, 10)
    (line,) = [one for one in lines if one.what == "demoted"]
    detail = msgspec.json.decode(line.detail)
    assert (detail["from"], detail["to"]) == ("auto", "supervised")
    assert "3.0 times that of half a week before" in detail["why"]
    evidence = replace(loops.standing(loop), judged=500)
    with pytest.raises(ConflictError, match="water-forecast-inflow 3 drifts"):
        promoted(evidence, loops.declaration(loops.row(loop)), "auto", "ann", S)
    _better(catalogue, loops, patrol, loop)


def _better(catalogue: Catalogue, loops: Loops, patrol: Patrol, loop: int) -> None:
    """It scores no more: that is over, and the mode is for people to raise."""
    with catalogue.database.write() as connection:
        connection.exec_driver_sql("UPDATE model SET promoted = false WHERE version = '3'")
    patrol.judge(9_000 * S)
    assert not rung(catalogue, "drift")
    assert (loops.standing(loop).drifting, loops.standing(loop).mode) == ((), "supervised")


def said(loops: Loops, loop: int, model: str, rests: tuple[str, ...]) -> None:
    """Let a model that says what it rests on command once."""
    from nervure.act.standing import rule

    wish = Proposal(id="1", values={"speed": 30.0}, model=model, rests=rests, issued_ns=S, until_ns=2 * S)
    read = loops.declaration(loops.row(loop))
    after, _ = rule(wish, read, loops.standing(loop), S)
    loops._keep(loop, after)


def test_a_name_that_nothing_has_is_rung_for_until_something_has_it(
    catalogue: Catalogue, writer: Writer, observed: Observations
) -> None:
    """A misspelt name in a declaration: the model drifted, and the loop kept its mode without a word."""
    told(catalogue, observed, errors(1.5))
    drifts = Drifts(catalogue, observed, [find("flood")])
    rests = [NAME.replace("ca", "ac"), "flood-forecast-level", "DQN", "x"]
    _, loop = loop_of(writer, "pump", PUMP | {"rests": rests}, SPEED)
    loops = made(catalogue, writer)
    patrol = Patrol(catalogue, loops, drifts)
    with loops.turn():
        said(loops, loop, "DQN", ())
    for number in range(1, 3):
        patrol.look(number * 10 * S)
        patrol.judge(number * 700 * S)
    misspelt, other = sorted(rung(catalogue, "rests"), key=lambda one: len(one.text))
    assert f"pump rests on {rests[0]!r}, and nothing here is called so" in misspelt.text
    assert misspelt.text.endswith(f"Is {NAME!r} meant?")
    assert other.text.endswith(f"There are: flood-anomaly-level, flood-forecast-level, {NAME}.")
    with catalogue.database.write() as connection:
        connection.exec_driver_sql("UPDATE model SET name = 'x'")
    patrol.judge(9_000 * S)
    assert len(rung(catalogue, "rests")) == 1


def test_who_drifted_has_not_become_better_by_nothing_being_known(
    catalogue: Catalogue, writer: Writer, observed: Observations, tmp_path: Path
) -> None:
    """Old readings are taken out after a while: that nothing can be said any more was taken for better."""
    drifts = told(catalogue, observed, errors(1.5))
    _, loop = loop_of(writer, "pump", PUMP | {"rests": [NAME]}, SPEED)
    loops = made(catalogue, writer)
    patrol = Patrol(catalogue, loops, drifts)
    with loops.turn():
        loops._keep(loop, replace(loops.standing(loop), mode="auto"))
    patrol.look(10 * S)
    patrol.judge(700 * S)
    assert loops.standing(loop).drifting == (f"{NAME} 3",)
    empty = Observations.open(tmp_path / "empty")
    again = Patrol(catalogue, loops, Drifts(catalogue, empty))
    again.look(1_300 * S)
    again.judge(1_400 * S)
    empty.close()
    assert (loops.standing(loop).drifting, loops.standing(loop).mode) == ((f"{NAME} 3",), "supervised")
    assert rung(catalogue, "drift")
