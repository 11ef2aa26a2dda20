"""Where the sun stands and what a clear sky gives, by pvlib; and where a plant must lie, by its sunlight.

Clear-sky irradiance: Ineichen & Perez, Solar Energy 73(3), 2002, with the monthly turbidity that
pvlib carries. Declination and equation of time for the search of a place: Spencer, 1971.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from nervure.core.calendar import zone_offset_ns
from nervure.core.error import DataError
from nervure.core.instant import DAY_NS, HOUR_NS

__all__ = ["clear_sky", "clear_sky_table", "elevation", "extraterrestrial", "locate"]

Floats = NDArray[np.float64]
Longs = NDArray[np.int64]

_CONSTANT = 1361.0  # W/m2, the sun at its mean distance
_DUSK, _SENT_BACK = 5.0, 1.6  # W/m2 that count as light, and incoming over net light of a low sun
_SEASON = 90 * DAY_NS
_PARTS = 4  # moments a slot's mean is taken over


def clear_sky(
    longitude: float,
    latitude: float,
    time_ns: Longs,
    every_ns: int,
    *,
    label: Literal["start", "end"] = "start",
) -> Floats:
    """Return global horizontal irradiance under a clear sky in W/m2, ``[time]``: the mean of each slot.

    A slot starts at its time, or ends there where ``label`` says so. Degrees east and north.
    """
    moments = _moments(time_ns, every_ns, label)
    place = _library().location.Location(latitude, longitude)
    with _quiet():
        found = place.get_clearsky(_index(moments.reshape(-1)), model="ineichen")["ghi"].to_numpy()
    mean: Floats = found.reshape(moments.shape).mean(axis=1)
    return mean


def clear_sky_table(
    longitude: float, latitude: float, zone: str, every_ns: int, *, label: Literal["start", "end"] = "start"
) -> NDArray[np.float32]:
    """Return clear-sky irradiance in W/m2 by day of the year and slot of the day, ``[366, slot]``.

    Rows and columns are what ``core.calendar`` gives. They are of a leap year: in other years the
    days after February are one off, which is less than 1 %; where clocks change, the days
    between two years' dates of the change are an hour off.
    """
    start = np.datetime64("2024-01-01", "ns").astype(np.int64)
    slots = DAY_NS // every_ns
    local = start + np.arange(366 * slots, dtype=np.int64) * every_ns
    time = local - zone_offset_ns(zone, local - zone_offset_ns(zone, local))
    found = clear_sky(longitude, latitude, time, every_ns, label=label)
    return found.reshape(366, slots).astype(np.float32)


def elevation(
    longitude: float,
    latitude: float,
    time_ns: Longs,
    every_ns: int,
    *,
    label: Literal["start", "end"] = "start",
) -> Floats:
    """Return the sine of the sun's elevation, the mean of each slot, ``[time]``; negative at night."""
    moments = _moments(time_ns, every_ns, label)
    place = _library().location.Location(latitude, longitude)
    with _quiet():
        position = place.get_solarposition(_index(moments.reshape(-1)))
    sine = np.sin(np.deg2rad(position["apparent_elevation"].to_numpy()))
    mean: Floats = sine.reshape(moments.shape).mean(axis=1)
    return mean


def extraterrestrial(longitude: Any, latitude: Any, time_ns: Longs, every_ns: int) -> Floats:
    """Return sunlight on a level plane above the air in W/m2, the mean of the slot that ends at each time.

    ``longitude`` and ``latitude`` are numbers, or arrays ``[place]``: then the answer is ``[place, time]``.
    """
    solar = _library().solarposition
    moments = _moments(time_ns, every_ns, "end")
    day = _index(moments.reshape(-1)).day_of_year.to_numpy()
    declination = solar.declination_spencer71(day).reshape(moments.shape)
    minutes = solar.equation_of_time_spencer71(day).reshape(moments.shape)
    noon = (moments % DAY_NS / HOUR_NS - 12) * 15 + minutes / 4  # degrees from noon at longitude 0
    distance = (1 + 0.033 * np.cos(2 * np.pi * day / 365)).reshape(moments.shape)
    lon, lat = (np.asarray(one, dtype=np.float64)[..., None, None] for one in (longitude, latitude))
    angle, north = np.deg2rad(noon + lon), np.deg2rad(lat)
    height = np.sin(north) * np.sin(declination) + np.cos(north) * np.cos(declination) * np.cos(angle)
    light: Floats = (_CONSTANT * distance * np.maximum(height, 0.0)).mean(axis=-1)
    return light


def locate(time_ns: Longs, light: Floats, every_ns: int) -> tuple[float, float]:
    """Find the place, ``(longitude, latitude)``, whose day and night fit the light seen above the air.

    ``light [time]`` is solar radiation at the top of the atmosphere in W/m2 (net of what is sent
    back, as weather models give it), the mean of the slot that ends at each time, over a year or
    so. Clouds change how much of it there is, but hardly when it starts and ends, so only light
    and dark are compared: the times of sunrise over a year tell both numbers to about 0.3 degrees.
    Raises ``DataError`` where there is less than a season to go by, or nothing but night.
    """
    known = np.flatnonzero(~np.isnan(light))
    if len(known) * every_ns < _SEASON or not (light[known] > _DUSK).any():
        raise DataError("a place cannot be told from so little light", hint="give a year of radiation")
    time, bright = time_ns[known], light[known] > _DUSK
    turn = 2 * np.pi * (time - every_ns / 2) / DAY_NS
    noon = np.angle((np.exp(1j * turn) * light[known]).sum())
    east = np.array([180 - float(np.rad2deg(noon)) % 360])
    north = np.arange(-66.0, 67.0, 2.0)
    wide = 3.0
    for number in range(5):
        tried = np.stack(np.meshgrid(east, north), axis=-1).reshape(-1, 2)
        thin = slice(None, None, 5 if number < 2 else 1)  # five hours leave no hour of the day out
        wrong = np.array([_unlike(lon, lat, time[thin], bright[thin], every_ns) for lon, lat in tried])
        longitude, latitude = tried[wrong == wrong.min()].mean(axis=0).tolist()
        east, north = (
            longitude + np.linspace(-wide, wide, 13),
            latitude + np.linspace(-2 * wide, 2 * wide, 13),
        )
        wide = max(wide / 3, 0.1)
    return (longitude + 180) % 360 - 180, latitude


def _unlike(longitude: float, latitude: float, time: Longs, bright: NDArray[np.bool_], every_ns: int) -> int:
    """Count the slots that would be light where they were dark, or dark where they were light."""
    light = extraterrestrial(longitude, latitude, time, every_ns) > _DUSK * _SENT_BACK
    return int((light != bright).sum())


def _moments(time_ns: Longs, every_ns: int, label: str) -> Longs:
    """Return moments spread over each slot: ``[time, part]``."""
    parts = (2 * np.arange(_PARTS, dtype=np.int64) + 1) * every_ns // (2 * _PARTS)
    found: Longs = time_ns[:, None] + parts - (every_ns if label == "end" else 0)
    return found


def _index(time_ns: Longs) -> Any:
    import pandas as pd

    return pd.DatetimeIndex(time_ns, tz="UTC")


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep quiet what pandas says about names that pvlib still uses."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        yield


@cache
def _library() -> Any:
    try:
        import pvlib
    except ImportError as cause:
        raise DataError("the position of the sun needs pvlib", hint="pip install 'nervure[learn]'") from cause
    return pvlib
