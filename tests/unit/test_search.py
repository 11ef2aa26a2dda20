"""The search for valves in a network with a pump and a tank: both switch and drift, and are no burst."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest

from nervure.act.controller.joined import Isolation
from nervure.bench.twin.water import Yard, own
from nervure.twin.find import network
from nervure.twin.pipes import Pipes

pytest.importorskip("epanet")


@pytest.fixture(scope="module")
def yard() -> Yard:
    return own(network("district"), (10.0, 14.0))


def lived(yard: Yard, minutes: int, **scenario: float) -> tuple[Isolation, Pipes, int]:
    """Let the controller live in the network; return it, the twin, and how often the pump was switched."""
    twin = Pipes(yard.path)
    control = Isolation(yard.control(twin, 10.0), yard.ways, yard.owes)
    readings, power = twin.reset(seed=1, scenario={"hour": 10.0, **scenario}), []
    for minute in range(minutes):
        if wish := control.decide(readings, 36_000.0 + 60 * minute):
            twin.apply(wish)
        readings = twin.step()
        power.append(readings["PU/power"] > 0)
    return control, twin, sum(one != other for one, other in pairwise(power))


def test_what_feeds_a_network_and_what_it_owes_to_its_tank_come_from_its_model(yard: Yard) -> None:
    assert (yard.inflow, yard.outflow) == (("PU",), ("M2",))  # the pipe to the tank is drawn towards it
    assert all(0.8 < owed["T/level"] < 1.0 for owed in yard.owes.values())
    assert (
        yard.owes["J44/pressure"]["T/level"] > yard.owes["J11/pressure"]["T/level"]
    )  # which is nearer to the pump


def test_a_pump_that_stops_and_an_evening_s_demand_are_no_burst(yard: Yard) -> None:
    control, twin, switched = lived(yard, 400)
    twin.close()
    assert switched
    assert control.events == []


@pytest.mark.parametrize("pipe", ["H22", "V14"])
def test_a_burst_is_shut_in_within_minutes(yard: Yard, pipe: str) -> None:
    link = Pipes(yard.path).links.index(pipe)
    control, twin, _ = lived(yard, 60, burst_pipe=float(link), burst_after_min=40.0)
    lost = twin.kpis()["lost"]
    twin.close()
    assert control.events[0].what == "seen"
    assert control.events[-1].what == "held"
    assert lost < 5.0  # of some 14 in twenty minutes


def test_a_network_that_is_not_there_is_told(tmp_path: Path) -> None:
    from nervure.twin.api import TwinError

    with pytest.raises(TwinError, match="there is no network"):
        network(str(tmp_path / "none.inp"))
