"""Preparation ``gefcom``: the solar track of GEFCom2014, with weather forecasts as hourly means.

Radiation and rain are sums since the run of 00:00 UTC: they fall back at the stamp of 01:00 and
grow until the 00:00 that ends the day, so the mean of the hour that ends at a stamp is the
difference to the stamp before. Weather is there to 2013-05-01 00:00 only; what lies later is cut.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from nervure.core.instant import DAY_NS, HOUR_NS
from nervure.learn.reader.rows import numbers, read_arrow
from nervure.learn.reader.stamp import stamps

__all__ = ["hourly", "prepare"]

_RADIATION, _RAIN = ("VAR169", "VAR175", "VAR178"), "VAR228"  # J/m2, and m
_SECONDS, _MILLIMETRES = 3600, 1000


def prepare(paths: list[Path]) -> pa.Table:
    """Return a long table: radiation in W/m2 and rain in mm/h, of the hour that ends at ``TIMESTAMP``."""
    where = str(paths[0])
    table = read_arrow(paths[0]).sort_by([("ZONEID", "ascending"), ("TIMESTAMP", "ascending")])
    table = table.filter(pa.array(~np.isnan(numbers(table, _RADIATION[0], where=where))))
    zone = table.column("ZONEID").to_numpy()
    time = stamps(table, "TIMESTAMP", "UTC", where=where)
    name = pc.binary_join_element_wise("zone", table.column("ZONEID").cast(pa.string()), " ")
    columns = {one: table.column(one) for one in table.column_names} | {"ZONEID": name}
    for one in _RADIATION:
        columns[one] = pa.array(hourly(numbers(table, one, where=where), zone, time) / _SECONDS)
    columns[_RAIN] = pa.array(hourly(numbers(table, _RAIN, where=where), zone, time) * _MILLIMETRES)
    return pa.table(columns)


def hourly(
    total: NDArray[np.float64], zone: NDArray[np.int64], time: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Turn sums since midnight UTC into what came in the hour that ends at each stamp, ``[row]``.

    Rows are in order of zone and time. An hour whose forerunner of the same run is missing is NaN;
    a sum that falls within a run by its packing counts as zero.

    >>> hours = np.array([1, 2, 4, 24, 25]) * HOUR_NS
    >>> hourly(np.array([5.0, 7.0, 9.0, 30.0, 2.0]), np.ones(5, np.int64), hours).tolist()
    [5.0, 2.0, nan, nan, 2.0]
    """
    fresh = time % DAY_NS == HOUR_NS
    follows = np.r_[False, (np.diff(zone) == 0) & (np.diff(time) == HOUR_NS)]
    step = np.maximum(np.diff(total, prepend=np.nan), 0.0)
    found: NDArray[np.float64] = np.where(fresh, total, np.where(follows, step, np.nan))
    return found
