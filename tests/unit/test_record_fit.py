"""Twins fitted to records: a building by the hour, a river by the day."""

from __future__ import annotations

import numpy as np
import pytest

from nervure.twin.api import TwinError
from nervure.twin.dwelling import Dwelling, Record, fit_dwelling, foretold
from nervure.twin.gauge import Basin, Storm, constant_share, efficiency, fit_basin, storms
from nervure.twin.house import Zone

ZONE = Zone(
    name="all", air_j_k=2e7, mass_j_k=3e8, air_mass_k_w=1 / 9000, air_out_k_w=1 / 600, mass_out_k_w=1 / 400,
    glass_m2=0.0, power_w=0.0,
)  # fmt: skip


def _building(steps: int) -> Record:
    hour, rng = np.arange(steps), np.random.default_rng(0)
    on = (hour % 24 >= 6) & (hour % 24 < 16) & (hour // 24 % 7 < 6)
    heat = np.where(on, 30_000.0, 0.0)
    outdoor = 4.0 + 3.0 * np.sin(2 * np.pi * hour / 24) + 2.0 * np.sin(2 * np.pi * hour / 150)
    busy = ((hour % 24 >= 8) & (hour % 24 < 18)).astype(np.float64)
    own = Dwelling(ZONE, 0.8, 1500.0, 2000.0, -1.0, 3600.0)
    air = own.simulate((18.0, 17.0), heat, outdoor, busy)[:-1, 0]
    return Record(air + 0.05 * rng.standard_normal(steps), heat, outdoor, busy)


def test_a_building_is_found_back_and_foretold() -> None:
    seen, cut = _building(24 * 14), 24 * 10
    own = fit_dwelling(seen, step_s=3600.0, cut=cut)
    late = seen.air[cut:]
    error = float(np.sqrt(np.mean((foretold(own, seen, cut) - late) ** 2)))
    assert error < 0.15
    assert error < 0.2 * float(np.std(late))
    loss = (1 / own.zone.air_out_k_w + 1 / own.zone.mass_out_k_w) / own.share
    assert loss == pytest.approx(1000 / 0.8, rel=0.1)  # only the ratio shows in temperatures
    told = foretold(own, seen, cut, every=24)
    assert told.shape == late.shape
    assert float(np.sqrt(np.mean((told - late) ** 2))) < 0.15
    with pytest.raises(TwinError, match="50 steps"):
        fit_dwelling(seen, step_s=3600.0, cut=50)
    with pytest.raises(TwinError, match="nothing was heated"):
        fit_dwelling(seen._replace(heat=0 * seen.heat), step_s=3600.0, cut=cut)


def _river(days: int) -> tuple[np.ndarray[tuple[int], np.dtype[np.float64]], Basin]:
    rng = np.random.default_rng(3)
    rain = np.where(rng.random(days) < 0.12, rng.gamma(1.5, 18.0, days), 0.0)
    return rain, Basin(72.0, 88.0, 1.1, 40.0, 24.0)


def test_a_river_is_found_back_from_its_storms() -> None:
    rain, truth = _river(2500)
    base = np.repeat(np.random.default_rng(5).uniform(0.2, 2.0, 50), 50)
    cut = [one for one in storms(rain, base) if one.rain.sum() > 30]
    rng = np.random.default_rng(4)
    seen = []
    for one in cut:
        flow = truth.simulate(one)
        seen.append(one._replace(flow=flow + 0.03 * flow.max() * rng.standard_normal(len(flow))))
    taught, held = seen[: len(seen) * 2 // 3], seen[len(seen) * 2 // 3 :]
    own = fit_basin(taught, step_h=24.0)
    assert own.dry == pytest.approx(truth.dry, abs=3.0)  # some storms lie on the other side of what is wet
    assert own.wet == pytest.approx(truth.wet, abs=3.0)  # some storms lie on the other side of what is wet
    assert own.lag_h == pytest.approx(truth.lag_h, rel=0.1)
    plain = constant_share(taught, held, own.lag_h, 24.0)[1]
    own_score = efficiency([own.simulate(one) for one in held], held)
    assert own_score > 0.95
    assert own_score > efficiency(plain, held)
    with pytest.raises(TwinError, match="too few"):
        fit_basin(taught[:5], step_h=24.0)


def test_a_storm_begins_after_dry_days_and_is_left_out_where_nobody_measured() -> None:
    rain, flow = np.zeros(60), np.ones(60)
    rain[[10, 12, 30]] = 15.0, 10.0, 25.0
    found = storms(rain, flow)
    assert [one.begins for one in found] == [10, 30]
    assert found[0] == Storm(10, found[0].rain, found[0].flow, 1.0)
    assert len(found[0].rain) == 2 + 1 + 8
    flow[31] = np.nan
    assert [one.begins for one in storms(rain, flow)] == [10]
