"""The judge of a replay: errors, alarms and traces against cases counted by hand."""

from __future__ import annotations

import numpy as np
import pytest

from nervure.bench.judge import alarms, errors, trace
from nervure.bench.scenario import Burst, Scenario, Stuck, plan
from nervure.core.alert import Alert
from nervure.core.error import UsageError
from nervure.core.instant import DAY_NS, HOUR_NS
from nervure.core.observation import Batch
from nervure.core.window import Table

START = 20_000 * DAY_NS
SCENARIO = Scenario(
    burst=Burst(thing="B", start_ns=START + DAY_NS, end_ns=START + 2 * DAY_NS, extra=5.0),
    stuck=Stuck(thing="C", start_ns=START + DAY_NS, end_ns=START + 2 * DAY_NS),
)


def _table(things: tuple[str, ...], hours: int) -> Table:
    value = np.tile(np.arange(hours, dtype=np.float64)[:, None], (1, len(things)))
    return Table(
        streams=tuple(f"{name}/inflow" for name in things),
        first=START // HOUR_NS,
        every_ns=HOUR_NS,
        value=value,
    )


def _forecast(stream: int, issued: int, off: list[float]) -> Batch:
    """Foresee the hours after ``issued`` with errors ``off``, in a band of one either side."""
    hours = issued + 1 + np.arange(len(off))
    value = hours + np.array(off)
    return Batch.of(
        id=np.arange(len(off)),
        datastream=np.full(len(off), stream),
        time=START + hours * HOUR_NS,
        result_time=np.full(len(off), START + issued * HOUR_NS),
        value=value,
        low=value - 1,
        high=value + 1,
    )


def _score(forecasts: Batch, things: dict[int, str], hours: int) -> tuple[list[float], float, int]:
    found = errors(
        forecasts,
        things,
        "inflow",
        _table(tuple(things.values()), hours),
        SCENARIO,
        start_ns=START,
        end_ns=START + hours * HOUR_NS,
        horizon=2,
    )
    return found.mae.tolist(), found.coverage, found.points


def test_errors_are_counted_by_hours_ahead() -> None:
    forecasts = Batch.concat([_forecast(1, 0, [0.5, 2.0]), _forecast(1, 3, [1.5, 0.0])])
    mae, coverage, points = _score(forecasts, {1: "A"}, 24)
    assert mae == [1.0, 1.0]
    assert (coverage, points) == (0.5, 4)


def test_what_an_injection_touched_is_left_out_until_a_week_later() -> None:
    before, during = _forecast(1, 20, [1.0, 1.0]), _forecast(1, 26, [9.0, 9.0])
    soon, after = _forecast(1, 60, [9.0, 9.0]), _forecast(1, 24 * 9, [3.0, 3.0])
    mae, _, points = _score(Batch.concat([before, during, soon, after]), {1: "B"}, 24 * 12)
    assert mae == [2.0, 2.0]
    assert points == 4


def test_forecasts_issued_before_the_replay_do_not_count() -> None:
    assert _score(_forecast(1, -1, [1.0, 1.0]), {1: "A"}, 24)[2] == 0


def test_a_trace_takes_the_forecast_of_one_lead_only() -> None:
    readings = Batch.of(
        id=range(4), datastream=[9] * 4, time=START + np.arange(4) * HOUR_NS, value=[1.0, 2.0, 3.0, 4.0]
    )
    found = trace(_forecast(1, 0, [0.0, 0.25]), readings, "A", "L/s", HOUR_NS, 2)
    assert found.sent.tolist() == [1.0, 2.0, 3.0, 4.0]
    assert np.isnan(found.median[[0, 1, 3]]).all()
    assert found.median[2] == 2.25


def _alert(rule: str, thing: int, hour: int) -> Alert:
    return Alert(
        id=f"{rule}{thing}{hour}",
        solution="water",
        rule=f"water.{rule}",
        severity="major",
        thing=thing,
        datastream=thing,
        text="",
        start_ns=START + hour * HOUR_NS,
        raised_ns=START + hour * HOUR_NS,
    )


def test_the_first_alert_in_time_finds_the_burst_and_all_others_are_false() -> None:
    names = {1: "A", 2: "B", 3: "C"}
    raised = [
        _alert("burst", 2, 27),
        _alert("burst", 2, 30),  # the burst, found after 3 h
        _alert("stuck", 3, 31),  # the meter, found after 7 h
        _alert("burst", 1, 30),
        _alert("burst", 2, 100),
        _alert("stuck", 2, 30),  # false
        _alert("silent", 1, 5),  # no claim about either
    ]
    found = alarms(raised, names, SCENARIO, days=10)
    assert (found.burst_after_h, found.stuck_after_h, found.false_per_day) == (3.0, 7.0, 0.3)


def test_nothing_raised_is_nothing_found() -> None:
    found = alarms([], {}, SCENARIO, days=10)
    assert (found.burst_after_h, found.stuck_after_h, found.false_per_day) == (None, None, 0.0)


def test_a_scenario_changes_its_own_things_and_hours_only() -> None:
    time = START + np.arange(72) * HOUR_NS
    value = np.arange(72, dtype=np.float64)
    assert np.array_equal(SCENARIO.apply("A", time, value), value)
    burst = SCENARIO.apply("B", time, value) - value
    assert burst.sum() == 5.0 * 24
    assert set(np.flatnonzero(burst)) == set(range(24, 48))
    assert set(SCENARIO.apply("C", time, value)[24:48]) == {23.0}


@pytest.mark.parametrize("seed", range(5))
def test_a_plan_takes_two_different_things(seed: int) -> None:
    drawn = plan(["A", "B", "C"], np.array([10.0, 20.0, 30.0]), START, seed=seed)
    assert drawn.burst.thing != drawn.stuck.thing
    assert drawn == plan(["A", "B", "C"], np.array([10.0, 20.0, 30.0]), START, seed=seed)


@pytest.mark.parametrize("days", [4, 7, 28])
def test_a_plan_fits_into_the_replay(days: int) -> None:
    drawn = plan(["A", "B"], np.array([10.0, 20.0]), START, days=days)
    for part in (drawn.burst, drawn.stuck):
        assert START <= part.start_ns < part.end_ns <= START + days * DAY_NS


def test_a_replay_that_is_too_short_is_refused() -> None:
    with pytest.raises(UsageError, match="3 days are too few"):
        plan(["A", "B"], np.array([10.0, 20.0]), START, days=3)
