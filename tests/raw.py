"""Made-up files in the odd layouts that preparations read, with readings that a given function makes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pyarrow as pa

from nervure.core.declaration import Solution
from nervure.core.instant import HOUR_NS, SECOND_NS
from nervure.core.unit import linear

__all__ = ["files", "gefcom", "haute_borne", "metro"]

Course = Callable[[str, int], np.ndarray]
THINGS = 3


def files(solution: Solution, course: Course) -> dict[str, pa.Table]:
    """Return the declared files of a solution whose data are prepared, by name."""
    assert solution.data is not None
    makers: dict[str, Callable[[Solution, Course], dict[str, pa.Table]]] = {
        "metro": metro,
        "gefcom": gefcom,
        "haute_borne": haute_borne,
    }
    return makers[str(solution.data.prepare)](solution, course)


def metro(_: Solution, course: Course) -> dict[str, pa.Table]:
    stations = [f"st00{turn}" for turn in range(THINGS)]
    found = {
        f"{kind}_10min.parquet": pa.table({name: course(kind, 25 * 108) for name in stations})
        for kind in ("inflow", "outflow")
    }
    square = pa.table({name: np.eye(THINGS)[place] for place, name in enumerate(stations)})
    return found | {"adjacency.parquet": square}


def gefcom(solution: Solution, course: Course, *, days: int = 90) -> dict[str, pa.Table]:
    source = solution.data
    assert source is not None
    time = np.datetime64("2012-04-01", "ns").astype(np.int64) + HOUR_NS * (1 + np.arange(days * 24))
    zones = []
    for zone in range(1, THINGS + 1):
        columns: dict[str, object] = {
            "ZONEID": np.full(len(time), zone),
            "TIMESTAMP": pa.array(time, pa.timestamp("ns")),
        }
        for name, signal in source.columns.items():
            factor, offset = (
                linear(source.units.get(signal, "1"), solution.signal(signal).unit)
                if (signal in source.units)
                else (1.0, 0.0)
            )
            value = (course(signal, len(time)) - offset) / factor
            scale = {"VAR169": 3600, "VAR178": 3600, "VAR175": 3600, "VAR228": 0.001}.get(name)
            if scale is not None:  # sums since midnight, nothing missing
                value = np.cumsum(np.nan_to_num(value).reshape(days, 24) * scale, axis=1).ravel()
            columns[name] = value
        zones.append(pa.table(columns))
    return {"power_nwp.parquet": pa.concat_tables(zones)}


def haute_borne(_: Solution, course: Course, *, count: int = 864) -> dict[str, pa.Table]:
    """Return turbines with stamps as they are published: the wall clock of Paris at one gives UTC."""
    label = np.datetime64("2014-01-01", "ns").astype(np.int64) + 600 * SECOND_NS * np.arange(count)
    turbines = [
        pa.table(
            {
                "timestamp": pa.array(label, pa.timestamp("ns", "UTC")),
                "turbine": [f"R{turn}"] * count,
                "P_avg": course("power", count),
                "Ws_avg": course("wind", count),
                "Wa_avg": np.linspace(0, 360, count),
                "Ot_avg": course("temperature", count),
            }
        )
        for turn in range(THINGS)
    ]
    hours = count // 6 + 3
    time = np.datetime64("2014-01-01", "ns").astype(np.int64) + HOUR_NS * np.arange(hours)
    columns = {"u_100": "era5_u", "v_100": "era5_v", "ws_100m": "era5_wind", "dens_100m": "era5_density"}
    era5 = {name: course(signal, hours) for name, signal in columns.items()}
    clock = {"datetime": pa.array(time, pa.timestamp("ns", "UTC"))}
    return {
        "scada_10min.parquet": pa.concat_tables(turbines),
        "era5_hourly.parquet": pa.table(clock | era5),
    }
