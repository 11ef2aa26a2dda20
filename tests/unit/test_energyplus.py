"""EnergyPlus for real, on the small office that its package brings: steps, commands, errors."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from nervure.core.error import DataError
from nervure.twin.api import TwinError
from nervure.twin.energyplus import EnergyPlus, five_zone, small_office
from nervure.twin.weather import chicago, made_up, on_plane, read_epw

pytest.importorskip("pyenergyplus")
ZONES = ("Core_ZN", "Perimeter_ZN_1", "Perimeter_ZN_2", "Perimeter_ZN_3", "Perimeter_ZN_4")


@pytest.fixture
def office() -> Iterator[EnergyPlus]:
    twin = EnergyPlus(small_office(), ZONES, steps_an_hour=6)
    yield twin
    twin.close()


def test_what_is_commanded_is_held_and_comes_again(office: EnergyPlus) -> None:
    first = office.reset()
    assert set(first) == {one.name for one in office.describe().sensors}
    assert office.week_hour % 24 == pytest.approx(0.0)
    office.apply({f"{zone}/heat_setpoint": 21.0 for zone in ZONES})
    for _ in range(36):
        warm = office.step()
    assert min(warm[f"{zone}/temperature"] for zone in ZONES) > 18.5
    state, used = office.snapshot(), office.kpis()["gas"]
    assert used > 1
    later = office.step()
    office.restore(state)
    assert office.hour == 6.0
    assert office.step() == later
    office.release()
    for _ in range(12):
        cold = office.step()
    falls = [warm[f"{zone}/temperature"] - cold[f"{zone}/temperature"] for zone in ZONES]
    assert min(falls) > 0
    assert max(falls) > 1
    with pytest.raises(TwinError, match="no actuator"):
        office.apply({"Attic/heat_setpoint": 20.0})


def test_a_zone_that_is_not_there_is_named(tmp_path: Path) -> None:
    twin = EnergyPlus(small_office(), ("Cellar",))
    with pytest.raises(TwinError, match="the model has no air Cellar"):
        twin.reset()
    twin.close()
    bad = tmp_path / "bad.idf"
    bad.write_text("Version, 25.2;\nZone, ;\nNothing, 1;\n")
    broken = EnergyPlus(bad, ZONES)
    with pytest.raises(TwinError, match="EnergyPlus stopped"):
        broken.reset()
    broken.close()


def test_the_five_zones_say_where_they_come_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nervure.twin.energyplus.find_spec", lambda _: None)
    with pytest.raises(DataError, match="sinergym"):
        five_zone(tmp_path)


def test_a_typical_year_is_read_and_a_made_up_one_is_like_it(tmp_path: Path) -> None:
    real, made = read_epw(chicago()), made_up(1, latitude=42.0)
    for weather in (real, made):
        assert len(weather.outdoor) == 8760
        assert weather.level.min() >= 0
        assert 700 < weather.level.max() < 1150
        south = on_plane(weather, 90.0, 180.0)
        assert south[:1000].sum() > weather.level[:1000].sum()
    assert real.outdoor.mean() == pytest.approx(10.0, abs=1.0)
    assert not np.allclose(made.outdoor, made_up(2, latitude=42.0).outdoor)
    none = tmp_path / "none.epw"
    none.write_text("LOCATION,,\n")
    with pytest.raises(DataError, match="not an EnergyPlus weather file"):
        read_epw(none)
