"""A basin's gates by rule and by plan."""

from __future__ import annotations

import numpy as np
import pytest

from nervure.act.controller.gates import Basin, Gates, HoldLevel, RuleCurve, plan
from nervure.bench.twin.drains import SEWERS, drained
from nervure.bench.twin.river import KINDS, one_storm
from nervure.twin.flood import BANK_M3_S, Flood

BASIN = Basin(bank_m3_s=100.0, gate_m3_s=40.0, outlet_m3_s=20.0, holds_m3=1.0e6)
CALM = {"north/flow": 30.0, "south/flow": 20.0, "town/flow": 50.0, "basin/filled": 0.0}


def _hill(top: float, steps: int = 48) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    rise = np.concatenate([np.linspace(50, top, 16), np.linspace(top, 50, 16), np.full(steps - 32, 50.0)])
    return rise[None]


def test_what_fits_is_kept_back_whole() -> None:
    found = plan(BASIN, _hill(125.0), 0.0, 50.0)
    assert found.peak == pytest.approx(0.0, abs=1e-6)
    assert found.keep == pytest.approx(0.0, abs=1e-6)  # not yet: the river is low


def test_what_does_not_fit_is_cut_at_the_top() -> None:
    small = Basin(bank_m3_s=100.0, gate_m3_s=40.0, outlet_m3_s=20.0, holds_m3=2.0e5)
    found = plan(small, _hill(160.0), 0.0, 50.0)
    empty = plan(small, _hill(160.0), 2.0e5 * 0.999, 50.0)
    assert found.peak < 60 - 15  # a full basin leaves it at about 60 over the bank
    assert found.peak < empty.peak


def test_a_full_basin_is_emptied_before_the_next_flood() -> None:
    coming = np.concatenate([np.full((1, 24), 50.0), _hill(140.0)], axis=1)
    assert plan(BASIN, coming, 9.0e5, 50.0).back > 1.0


def test_the_first_half_hour_is_the_same_for_all_forecasts() -> None:
    now = np.full((2, 8), 150.0)
    now[1, 1:] = 60.0
    found = plan(BASIN, now, 0.0, 120.0)
    assert found.keep == pytest.approx(40.0, rel=1e-3)


def test_gates_move_by_half_and_are_never_open_together() -> None:
    curve = RuleCurve(BASIN)
    high = CALM | {"north/flow": 200.0}
    assert curve.decide(0.0, high) == {"basin/gate": 0.5, "basin/outlet": 0.0}
    assert curve.decide(0.5, high) == {"basin/gate": 1.0, "basin/outlet": 0.0}
    low = CALM | {"basin/filled": 50.0}
    assert curve.decide(1.0, low) == {"basin/gate": 0.5, "basin/outlet": 0.0}
    assert curve.decide(1.5, low) == {"basin/gate": 0.0, "basin/outlet": 0.5}


def test_a_silent_gauge_decides_nothing() -> None:
    control = Gates(BASIN, lambda _hour, _seen: np.full((1, 48), 50.0))
    assert control.decide(0.0, CALM) == {"basin/gate": 0.0, "basin/outlet": 0.0}
    for lacking in CALM:
        assert control.decide(0.0, {**CALM, lacking: float("nan")}) == {}


def test_the_outlet_gives_back_what_the_gate_took() -> None:
    flood = Flood()
    flood.reset(seed=1)
    flood.apply({"basin/gate": 1.0})
    for _ in range(80):
        flood.step()
    held = flood.kpis()["stored"]
    flood.apply({"basin/gate": 0.0, "basin/outlet": 1.0})
    flood.step()
    assert flood.kpis()["stored"] == pytest.approx(held - 20.0 * 900)
    flood.release()
    flood.step()
    assert flood.kpis()["stored"] == pytest.approx(held - 20.0 * 900)


def test_a_second_storm_comes_when_it_is_said() -> None:
    flood, peaks = Flood(), []
    for again in (0.0, 120.0):
        flood.reset(seed=2, scenario={"again_mm": again})
        peaks.append(max(flood.step()["town/flow"] for _ in range(380)))
    assert peaks[1] > 1.2 * peaks[0]
    assert flood.kpis()["over_volume"] > 0
    assert peaks[1] > BANK_M3_S


@pytest.mark.parametrize("seed", [1])
def test_a_planned_gate_does_better_than_one_that_stands_open(seed: int) -> None:
    fixed, curve, planned = (one_storm(kind, seed) for kind in KINDS[1:4])
    assert planned.over_m3 < 0.7 * fixed.over_m3
    assert curve.over_m3 < fixed.over_m3
    assert planned.peak_m < fixed.peak_m
    assert planned.refused == 0


def test_a_sewers_gate_shuts_as_the_street_fills_and_keeps_it_dry() -> None:
    pytest.importorskip("pyswmm")
    hold = HoldLevel("Gate/gate", "J5/level", (3.0, 4.0), start=1.0)
    assert hold.decide(0.0, {"J5/level": 1.0}) == {"Gate/gate": 1.0}
    shares = [hold.decide(0.0, {"J5/level": 3.5})["Gate/gate"] for _ in range(4)]
    assert shares == pytest.approx([0.8, 0.6, 0.5, 0.5])
    assert hold.decide(0.0, {}) == {}
    opened, _, worked = (drained(kind, 4) for kind in SEWERS)
    assert worked.flooded_m3 < 0.1 * opened.flooded_m3
    assert worked.brook_m3 > opened.brook_m3
    assert worked.refused == 0
