"""Weather for buildings: a typical year from an EnergyPlus file, or one that is made up and says so.

Typical years: Wilcox & Marion, Users Manual for TMY3 Data Sets, NREL/TP-581-43156, 2008; the format of
the files: EnergyPlus, Auxiliary Programs, "EnergyPlus Weather File (EPW) Data Dictionary". A made-up
year has a season, a day, and clouds and weather systems that last: no substitute for a real one.
"""

from __future__ import annotations

import csv
import warnings
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nervure.core.error import DataError, EnvironmentMissing

__all__ = ["Weather", "chicago", "made_up", "on_plane", "read_epw"]

Floats = NDArray[np.float64]
HOURS = 8760


class Weather(NamedTuple):
    """A year by hour in local standard time, all ``[hour]``: outdoor in Cel, radiation in W/m2.

    ``level`` falls on a level plane, ``beam`` straight from the sun, ``sky`` from the sky; each is the
    mean of the hour that begins there.
    """

    name: str
    latitude: float
    longitude: float
    zone_h: float
    outdoor: Floats
    level: Floats
    beam: Floats
    sky: Floats


def read_epw(path: Path) -> Weather:
    """Read an EnergyPlus weather file; raise DataError where it is none, or not a year by hour."""
    try:
        with path.open(encoding="latin-1", newline="") as file:
            rows = list(csv.reader(file))
        head = rows[0]
        table = np.array([[float(row[at]) for at in (6, 13, 14, 15)] for row in rows[8:] if len(row) > 15])
        place = float(head[6]), float(head[7]), float(head[8])
    except (OSError, ValueError, IndexError) as cause:
        raise DataError(
            f"not an EnergyPlus weather file: {cause}", where=str(path), hint="give an .epw file"
        ) from cause
    if len(table) != HOURS:
        raise DataError(f"{len(table)} hours, not {HOURS}", where=str(path), hint="give a year by hour")
    outdoor, level, beam, sky = table.T
    return Weather(f"{head[1]}, {head[4]}", *place, outdoor, level, beam, sky)


def chicago() -> Path:
    """Return where the package pyenergyplus keeps the typical year of Chicago O'Hare.

    Raises EnvironmentMissing where it is not installed.
    """
    found = find_spec("pyenergyplus")
    if found is None or found.origin is None:
        raise EnvironmentMissing(
            "EnergyPlus and its weather are not installed", hint="pip install 'nervure[twin]'"
        )
    folder = Path(found.origin).parent / "data" / "weather"
    return folder / "USA_IL_Chicago-OHare.Intl.AP.725300_TMY3.epw"


def made_up(seed: int = 0, latitude: float = 47.0) -> Weather:
    """Return a year of a mild continental climate, made up: 10 Cel in the mean, 11 K of season, 4 K of day.

    Clouds thin the clear sky of Haurwitz (1945) by a factor that lasts about a day; the split into
    beam and sky is that of Erbs et al., Solar Energy 28(4), 1982.
    """
    pvlib, index = _pvlib(), _hours(0.0)
    rng = np.random.default_rng(seed)
    hour = np.arange(HOURS)
    slow, cloud = _lasting(rng, 72.0), _lasting(rng, 20.0)
    season = -11.0 * np.cos(2 * np.pi * (hour / 24 - 20) / 365)
    outdoor = 10.0 + season + 4.0 * np.sin(2 * np.pi * (hour % 24 - 9) / 24) + 3.5 * slow
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        sun = _sun(latitude, 0.0, 0.0)
        clear = pvlib.clearsky.haurwitz(sun["apparent_zenith"])["ghi"].to_numpy()
        level = clear * np.clip(0.65 + 0.3 * cloud, 0.12, 1.0)
        parts = pvlib.irradiance.erbs(level, sun["zenith"], index)
    beam, sky = (np.nan_to_num(np.asarray(parts[one], dtype=np.float64)) for one in ("dni", "dhi"))
    return Weather(f"made up, seed {seed}", latitude, 0.0, 0.0, outdoor, level, beam, sky)


def on_plane(weather: Weather, tilt: float, azimuth: float) -> Floats:
    """Return what falls on a plane in W/m2, ``[hour]``: tilt from level and azimuth from north in degrees.

    Sun and sky by pvlib (isotropic sky, ground reflecting 0.2).
    """
    pvlib = _pvlib()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        sun = _sun(weather.latitude, weather.longitude, weather.zone_h)
        found = pvlib.irradiance.get_total_irradiance(
            tilt, azimuth, sun["apparent_zenith"], sun["azimuth"], weather.beam, weather.level, weather.sky
        )
    total: Floats = np.nan_to_num(np.asarray(found["poa_global"], dtype=np.float64))
    return np.maximum(total, 0.0)


def _lasting(rng: np.random.Generator, hours: float) -> Floats:
    """Return noise of unit variance that is remembered for some hours: ``[hour]``."""
    keep = float(np.exp(-1 / hours))
    draws, out, last = rng.standard_normal(HOURS), np.empty(HOURS), 0.0
    for at in range(HOURS):
        last = keep * last + float(np.sqrt(1 - keep**2)) * draws[at]
        out[at] = last
    return out


@lru_cache(maxsize=4)
def _sun(latitude: float, longitude: float, zone_h: float) -> Any:
    """Return where the sun stands in the middles of the hours of a year: the same whatever the weather."""
    return _pvlib().solarposition.get_solarposition(_hours(zone_h), latitude, longitude)


def _hours(zone_h: float) -> Any:
    """Return the middles of the hours of a year that has no leap day, in UTC."""
    import pandas as pd

    start = pd.Timestamp("2023-01-01T00:30", tz="UTC") - pd.Timedelta(hours=zone_h)
    return pd.date_range(start, periods=HOURS, freq="h")


def _pvlib() -> Any:
    try:
        import pvlib
    except ImportError as cause:
        raise EnvironmentMissing(
            "the sun over a building needs pvlib", hint="pip install 'nervure[twin]'"
        ) from cause
    return pvlib
