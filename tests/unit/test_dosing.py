"""Chlorine by PI and by plan, and the water it is tried on."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from nervure.act.controller.dosing import DosePI, DosePlan, Works, plan
from nervure.act.loop import Loop
from nervure.bench.twin.dosing import KINDS, MOST, water
from nervure.bench.twin.station import ridge
from nervure.core.interlock_check import declared
from nervure.twin.fault import Fault
from nervure.twin.pipes import Pipes
from nervure.twin.raw import Raw

WORKS = Works(dose="W/dose", near="A", far=("B",), pumps=("P1",), volume_m3=100.0)
SEEN = {"A/quality": 0.4, "B/quality": 0.35, "P1/flow": 200.0}


def test_a_plan_doses_as_little_as_keeps_the_limits_and_no_faster_than_it_may() -> None:
    used = np.full(12, 0.2)
    doses = plan(WORKS, 0.2, used, np.full(12, 0.3), np.full(12, 0.45))
    assert doses[0] == pytest.approx(0.4)  # a swing of 0.2
    assert doses[1:] == pytest.approx(0.5)
    down = plan(WORKS, 1.0, used, np.full(12, 0.3), np.full(12, 0.45))
    assert down[0] == pytest.approx(0.8)
    assert down[-1] <= 0.65 + 1e-9


def test_a_plan_exists_where_limits_cannot_be_kept() -> None:
    doses = plan(WORKS, 1.4, np.full(8, 2.0), np.full(8, 0.3), np.full(8, 0.45))
    assert doses.max() <= WORKS.most + 1e-9


@pytest.mark.parametrize("make", [DosePI, DosePlan])
def test_more_is_dosed_when_raw_water_takes_more(make: type[DosePI | DosePlan]) -> None:
    control, rows = make(WORKS), []
    for used in (0.2, 0.5):
        dose = control.decide(0.0, SEEN)["W/dose"]
        for step in range(200):
            near = max(dose - used, 0.0)
            seen = SEEN | {"A/quality": near, "B/quality": 0.85 * near}
            dose = control.decide(step / 4, seen)["W/dose"]
        rows.append((dose, dose - used))
    assert rows[1][0] > rows[0][0] + 0.25
    assert all(WORKS.low / 0.85 - 0.01 < left < WORKS.high for _, left in rows)


@pytest.mark.parametrize("make", [DosePI, DosePlan])
def test_a_silent_analyser_decides_nothing(make: type[DosePI | DosePlan]) -> None:
    for lacking in SEEN:
        assert make(WORKS).decide(0.0, SEEN | {lacking: float("nan")}) == {}


def test_raw_water_uses_up_more_after_rain() -> None:
    calm, wet = Raw(3, 0.2, -1.0), Raw(3, 0.2, 10.0)
    used = np.array([[one.minute(minute / 60) for minute in range(24 * 60)] for one in (calm, wet)])
    assert used[0] == pytest.approx(used[1] / np.where(used[1] > 1.0001 * used[0], used[1] / used[0], 1.0))
    assert used[1, 12 * 60] == pytest.approx(2.2 * used[0, 12 * 60])
    assert used[1, 9 * 60] == used[0, 9 * 60]


def test_a_dose_goes_up_and_down_and_raw_water_takes_its_part() -> None:
    pytest.importorskip("epanet")
    twin = Pipes(ridge(), pressure=("S", "A"), flow=("P1",))
    left = []
    for raw in (0.0, 0.2):
        twin.reset(scenario={"hour": 7.0, "chlorine": 0.8, "raw_mg_l": raw})
        for dose in (0.8, 0.3, 0.6, 0.0):
            twin.apply({"W/dose": dose})
            for _ in range(20):
                readings = twin.step()
            left.append(readings["S/quality"])
    assert left[:4] == pytest.approx([0.8, 0.3, 0.6, 0.0], abs=0.01)
    assert all(with_raw <= without for with_raw, without in zip(left[4:], left[:4], strict=True))
    assert left[4] < 0.75
    twin.close()


def test_an_analyser_that_lies_overdoses_nobody_behind_interlocks() -> None:
    pytest.importorskip("epanet")
    lie = Fault(kind="spoof", of="A/quality", value=0.05, begin_s=48 * 3600)
    safe, bare = (water(KINDS[1], 3, days=1, fault=lie, guarded=guarded) for guarded in (True, False))
    assert safe.highest < MOST < bare.highest
    assert safe.refused > 0


@pytest.mark.parametrize("start", [0.9865410864655755, 1.0386155154762466, 0.9])
def test_a_dose_goes_all_the_way_back_to_the_plan_when_its_lease_ends(start: float) -> None:
    rate = {"kind": "rate", "of": "dose", "most": 0.3, "per": "14min"}
    act = {"every": "1min", "interlocks": [rate], "plan": [{"hold": "1h", "values": {"dose": 0.1}}]}
    rules = declared({"act": act}, {"type": "DataRecord", "field": [{"name": "dose", "type": "Quantity"}]})
    assert rules is not None
    loop = Loop(rules, {"dose": start}, model="none", now_ns=0)
    doses = [float(loop.step(minute * 60_000_000_000)["dose"]) for minute in range(60)]
    assert doses[-1] == 0.1  # a step of the whole rate is too long by its last digit
    assert max(before - after for before, after in pairwise(doses)) <= 0.3
