"""Preparation ``haute_borne``: turbines, the plant as a whole, and ERA5, side by side every 10 min.

The stamps of the turbines are labelled UTC but are UTC that had been taken for the local time of
Paris and converted once more. Three things show it: the hour of 01:00 is there twice on the last
Sunday of March, the hour of 00:00 is absent on the last Sunday of October (true UTC has neither),
and wind speed runs before that of ERA5 by one hour in winter and by two in summer. The wall clock
of Paris at such a stamp gives UTC back; the two hours that fall together in March are left out.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from nervure.core.calendar import zone_offset_ns
from nervure.core.error import DataError
from nervure.core.instant import HOUR_NS, SECOND_NS
from nervure.learn.reader.rows import numbers, read_arrow
from nervure.learn.reader.stamp import stamps

__all__ = ["prepare"]

Floats = NDArray[np.float64]
Longs = NDArray[np.int64]

_EVERY = 600 * SECOND_NS


def prepare(paths: list[Path]) -> pa.Table:
    """Return a wide table: ``time`` in UTC, ``R80711 power`` and so on, ``plant power`` and ``ERA5 u_100``.

    A plant's power is the sum over its turbines, known where each of them is; wind and temperature
    are means over those known. ERA5 holds its last full hour.
    """
    by_name = {path.stem.split("_")[0]: path for path in paths}
    if set(by_name) != {"scada", "era5"}:
        raise DataError("the wind data are one file scada_* and one era5_*", where=str(paths[0].parent))
    scada, era5 = read_arrow(by_name["scada"]), read_arrow(by_name["era5"])
    where = str(by_name["scada"])
    label = stamps(scada, "timestamp", "UTC", where=where)
    slot = (label + zone_offset_ns("Europe/Paris", label)) // _EVERY
    slots = np.arange(slot.min(), slot.max() + 1, dtype=np.int64)
    columns: dict[str, Floats] = {}
    for turbine in sorted(pc.unique(scada.column("turbine")).to_pylist()):
        own = pc.equal(scada.column("turbine"), turbine).to_numpy()
        part = scada.filter(pa.array(own))
        columns |= {f"{turbine} {name}": one for name, one in _turbine(part, slot[own], slots, where).items()}
    columns |= _plant(columns)
    columns |= _reanalysis(era5, slots, str(by_name["era5"]))
    time = pa.array(slots * _EVERY, pa.timestamp("ns", "UTC"))
    return pa.table({"time": time} | columns)


def _turbine(part: pa.Table, slot: Longs, slots: Longs, where: str) -> dict[str, Floats]:
    """Put one turbine's rows on the slots; slots told twice are NaN. Wind blows towards u and v."""
    once, count = np.unique(slot, return_counts=True)
    doubled = np.isin(slots, once[count > 1])

    def on(name: str) -> Floats:
        value = np.full(len(slots), np.nan)
        value[slot - slots[0]] = numbers(part, name, where=where)
        value[doubled] = np.nan
        return value

    speed, angle = on("Ws_avg"), np.deg2rad(on("Wa_avg"))
    return {
        "power": on("P_avg"),
        "wind": speed,
        "u": -speed * np.sin(angle),
        "v": -speed * np.cos(angle),
        "temperature": on("Ot_avg"),
    }


def _plant(columns: dict[str, Floats]) -> dict[str, Floats]:
    found: dict[str, Floats] = {}
    for kind in ("power", "wind", "u", "v", "temperature"):
        each = np.stack([value for name, value in columns.items() if name.endswith(f" {kind}")])
        known = (~np.isnan(each)).sum(axis=0)
        total = np.where(np.isnan(each), 0.0, each).sum(axis=0)
        if kind == "power":
            found["plant power"] = np.where(known == len(each), total, np.nan)
        else:
            found[f"plant {kind}"] = np.divide(total, known, out=np.full(len(total), np.nan), where=known > 0)
    return found


def _reanalysis(era5: pa.Table, slots: Longs, where: str) -> dict[str, Floats]:
    time = stamps(era5, "datetime", "UTC", where=where)
    hour = slots * _EVERY // HOUR_NS * HOUR_NS
    order = np.argsort(time, kind="stable")
    place = np.clip(np.searchsorted(time[order], hour), 0, len(time) - 1)
    there = time[order][place] == hour
    return {
        f"ERA5 {name}": np.where(there, numbers(era5, name, where=where)[order][place], np.nan)
        for name in era5.column_names
        if name != "datetime"
    }
