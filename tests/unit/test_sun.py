"""The sun: what a clear sky gives by day and slot, and a place found from its light."""

from __future__ import annotations

import numpy as np
import pytest

from nervure.core.calendar import calendar
from nervure.core.error import DataError
from nervure.core.instant import DAY_NS, HOUR_NS
from nervure.learn.dataset import load
from nervure.learn.sun import clear_sky, clear_sky_table, elevation, extraterrestrial, locate
from nervure.solutions import find

YEAR = np.datetime64("2023-01-01", "ns").astype(np.int64) + np.arange(365 * 24, dtype=np.int64) * HOUR_NS


def test_the_table_agrees_with_the_sun_at_the_calendars_day_and_slot() -> None:
    place, zone = (12.5, 41.9), "Europe/Rome"
    table = clear_sky_table(*place, zone, HOUR_NS)
    assert table.shape == (366, 24)
    assert table.min() == 0
    assert 850 < table.max() < 1100
    days = calendar(zone, None, HOUR_NS, int(YEAR[0] // HOUR_NS), len(YEAR))
    found = table[days[:, 4], days[:, 0]]
    truth = clear_sky(*place, YEAR, HOUR_NS)
    assert np.median(np.abs(found - truth)[truth > 0]) < 5
    assert np.abs(found - truth).mean() < 0.01 * truth.mean(), (
        "but for a day or two around the clocks' change"
    )


def test_a_label_at_the_end_is_the_slot_before() -> None:
    start = clear_sky(149.2, -35.5, YEAR[:48], HOUR_NS)
    end = clear_sky(149.2, -35.5, YEAR[:48] + HOUR_NS, HOUR_NS, label="end")
    assert np.array_equal(start, end)
    assert 0 <= int(start[:24].argmax()) <= 3, "noon at Canberra is 02:00 UTC"


def test_sunlight_above_the_air_is_the_constant_times_the_height() -> None:
    light = extraterrestrial(10.0, 50.0, YEAR, HOUR_NS)
    height = elevation(10.0, 50.0, YEAR, HOUR_NS, label="end")
    day = height > 0.2
    assert np.allclose(light[day] / height[day], 1361, rtol=0.06), "the distance to the sun changes by 3.3 %"
    assert (light[height < -0.1] == 0).all()
    both = extraterrestrial(np.array([10.0, 20.0]), np.array([50.0, 0.0]), YEAR[:24], HOUR_NS)
    assert np.allclose(both[0], light[:24])


@pytest.mark.parametrize(
    ("longitude", "latitude"), [(149.2, -35.5), (-3.7, 40.4), (-74.0, 4.6), (24.9, 60.2)]
)
def test_a_place_is_found_through_clouds(longitude: float, latitude: float) -> None:
    random = np.random.default_rng(0)
    light = extraterrestrial(longitude, latitude, YEAR, HOUR_NS) * random.uniform(0.45, 0.85, len(YEAR))
    light[random.random(len(YEAR)) < 0.02] = np.nan
    east, north = locate(YEAR, light, HOUR_NS)
    assert abs(east - longitude) < 0.5
    assert abs(north - latitude) < 0.8


def test_a_place_needs_a_season_and_light() -> None:
    light = extraterrestrial(0.0, 45.0, YEAR, HOUR_NS)
    for given in (light[: 24 * 30], np.zeros(len(YEAR))):
        with pytest.raises(DataError, match="cannot be told from so little light"):
            locate(YEAR[: len(given)], given, HOUR_NS)


@pytest.mark.real
def test_the_plants_declared_places_are_where_their_light_says() -> None:
    solution = find("solar")
    table = load(solution).table
    assert solution.data is not None
    for name, (longitude, latitude) in solution.data.places.items():
        light = table.value[:, table.streams.index(f"{name}/toa_net")]
        east, north = locate(table.slots * table.every_ns, light, HOUR_NS)
        assert abs(east - longitude) < 0.1
        assert abs(north - latitude) < 0.1
    assert table.every_ns * 24 == DAY_NS
