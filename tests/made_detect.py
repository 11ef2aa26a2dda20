"""Small files of made-up detection sets, each in the layout of its real one."""

from __future__ import annotations

import csv
import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet

__all__ = ["WRITERS", "write"]

_SKAB = (
    "Accelerometer1RMS", "Accelerometer2RMS", "Current", "Pressure", "Temperature", "Thermocouple", "Voltage",
    "Volume Flow RateRMS",
)  # fmt: skip
_GECCO = ("Tp", "Cl", "pH", "Redox", "Leit", "Trueb", "Cl_2", "Fm", "Fm_2")


def _stamps(start: str, count: int, step_s: int) -> pa.Array:
    first = np.datetime64(start, "us").astype(np.int64)
    return pa.array(first + np.arange(count) * step_s * 1_000_000, pa.timestamp("us"))


def _lines(path: Path, rows: list[list[Any]]) -> None:
    kind = gzip.open if path.suffix == ".gz" else open
    with kind(path, "wt", newline="") as file:
        csv.writer(file).writerows(rows)


def skab(folder: Path, random: np.random.Generator) -> None:
    """Three runs of 500 rows, of which rows 450 to 479 of the labelled ones are odd."""
    tables = []
    for name in ("anomaly-free/anomaly-free", "valve1/0", "other/1"):
        value = random.normal(size=(500, 8))
        odd = np.zeros(500, np.int8)
        odd[450:480] = 1
        value[450:480, 3] += 20
        free = name.startswith("anomaly")
        columns = {one: value[:, place] for place, one in enumerate(_SKAB)}
        label = pa.array([None] * 500 if free else odd.tolist(), pa.int8())
        time = _stamps("2020-02-08T13:30:47", 500, 1)
        known = {"file": [name] * 500, "datetime": time}
        tables.append(pa.table(known | columns | {"anomaly": label, "changepoint": label}))
    pa.parquet.write_table(pa.concat_tables(tables), folder / "skab.parquet")


def nab(folder: Path, random: np.random.Generator) -> None:
    """Two series of 200 rows; the first has windows at rows 60 to 79 and 150 to 159."""
    names, time = ("real/a.csv", "real/b.csv"), _stamps("2014-04-01T00:00:00", 200, 300)
    tables = [
        pa.table(
            {
                "series": pa.array([name] * 200).dictionary_encode(),
                "timestamp": time,
                "value": random.normal(size=200),
                "anomaly_window": [False] * 200,
            }
        )
        for name in names
    ]
    pa.parquet.write_table(pa.concat_tables(tables).unify_dictionaries(), folder / "nab.parquet")
    text = [
        str(one).replace("T", " ") + ".000000" for one in np.array(time.cast(pa.int64())).astype("M8[us]")
    ]
    text = [one.replace(".000000.000000", ".000000") for one in text]
    windows = {names[0]: [[text[60], text[79]], [text[150], text[159]]], names[1]: []}
    (folder / "combined_windows.json").write_text(json.dumps(windows))


def gecco(folder: Path, random: np.random.Generator) -> None:
    """Six hours by the minute over the end of summer time, with an event at rows 130 to 149."""
    local = np.datetime64("2016-10-30T01:00", "us") + np.arange(300).astype("m8[m]")
    local[120:] -= np.timedelta64(60, "m")  # 03:00 is told as 02:00
    columns = {one: random.normal(size=300).astype(np.float32) for one in _GECCO}
    event = (np.arange(300) >= 110) & (np.arange(300) < 130)
    table = pa.table({"Time": pa.array(local, pa.timestamp("us"))} | columns | {"EVENT": event})
    pa.parquet.write_table(table, folder / "gecco2018.parquet")


def batadal(folder: Path, random: np.random.Generator) -> None:
    """Hours of each part: 100, 60 with 10 marked, 80 with the attacks 8 (10 to 19) and 9 (40 to 49)."""
    flags = [["0"] * 100, ["-999"] * 20 + ["1"] * 10 + ["-999"] * 30]
    flags.append(["benign"] * 10 + ["attack8"] * 10 + ["benign"] * 20 + ["attack9"] * 10 + ["benign"] * 30)
    tables = []
    for part, flag in zip(("train1", "train2", "test"), flags, strict=True):
        rows = len(flag)
        columns = {name: random.normal(size=rows) for name in ("L_T1", "F_PU1", "S_PU1", "P_J280")}
        known = {"part": [part] * rows, "DATETIME": _stamps("2014-01-06T00:00:00", rows, 3600)}
        tables.append(pa.table(known | columns | {"ATT_FLAG": flag}))
    pa.parquet.write_table(pa.concat_tables(tables), folder / "batadal.parquet")


def canary(folder: Path, random: np.random.Generator) -> None:
    """Forty rows of two channels, with an empty cell."""
    rows: list[list[Any]] = [["Time_Step", "B_CL2_VAL", "B_PH_VAL"]]
    rows += [
        [
            f"02/21/2006 {turn // 3:02}:{turn % 3 * 20:02}:00",
            "" if turn == 5 else 3 + turn / 100,
            random.random(),
        ]
        for turn in range(40)
    ]
    _lines(folder / "station_b.csv.gz", rows)


def cmapss(folder: Path, random: np.random.Generator) -> None:
    """Six engines of 60 cycles that fail, and two test engines of 30 that have 40 and 150 left."""
    wear = {"train": [60] * 6, "test": [30, 30]}
    columns: dict[str, list[Any]] = {"split": [], "unit": [], "cycle": []}
    height = sum(map(sum, wear.values()))
    for split, lives in wear.items():
        for unit, life in enumerate(lives, start=1):
            columns["split"] += [split] * life
            columns["unit"] += [unit] * life
            columns["cycle"] += list(range(1, life + 1))
    numbers = {f"setting_{turn}": np.zeros(height, np.float32) for turn in (1, 2, 3)}
    numbers |= {f"s{turn}": random.normal(size=height).astype(np.float32) for turn in range(1, 22)}
    numbers["s4"] = (np.array(columns["cycle"]) / 10).astype(np.float32)
    for name in ("FD001", "FD002", "FD003", "FD004"):
        pa.parquet.write_table(pa.table({**columns, **numbers}), folder / f"{name}.parquet")
        _lines(folder / f"RUL_{name}.csv", [["unit", "rul"], [1, 40], [2, 150]])


def cwru(folder: Path, random: np.random.Generator) -> None:
    """Nine faulty bearings, two speeds each, and the normal recording that is not to be used."""
    rows: list[list[Any]] = [["key", "rpm", "fault", "diam_mil", "end", "channel", "bearing", "n", "scale_g"]]
    signals: dict[str, Any] = {}
    for fault in ("IR", "B", "OR@6"):
        for size in (7, 14, 21):
            for rpm in (1797, 1730):
                key = f"{rpm}_{fault}_{size}_DE12|DE"
                bearing = f"DE-{fault.split('@')[0]}-{size}"
                rows.append([key, rpm, fault, size, "DE", "DE", bearing, 256, 0.001])
                signals[key] = random.integers(-1000, 1000, 256).astype(np.int16)
    rows.append(["1797_Normal|DE", 1797, "N", 0, "-", "DE", "DE-normal", 256, 0.001])
    signals["1797_Normal|DE"] = np.zeros(256, np.int16)
    _lines(folder / "index.csv", rows)
    np.savez(folder / "cwru_12k.npz", **signals)


def pronostia(folder: Path, random: np.random.Generator) -> None:
    """Three bearings, of which the challenge cut 2_7 after 172 of 200 rows."""
    lives, tables = {"1_1": 50, "2_1": 60, "2_7": 200}, []
    bands: dict[str, Any] = {}
    names = [f"{axis}_{name}" for axis in "hv" for name in ("rms", "peak", "kurtosis", "crest", "skew")]
    for bearing, life in lives.items():
        known: dict[str, Any] = {"bearing": [bearing] * life, "snapshot": np.arange(1, life + 1)}
        tables.append(pa.table(known | {name: random.random(life).astype(np.float32) for name in names}))
        bands[f"B{bearing}"] = random.normal(size=(life, 128)).astype(np.float16)
    pa.parquet.write_table(pa.concat_tables(tables), folder / "features.parquet")
    np.savez(folder / "bandspectra.npz", **bands)


def peer(folder: Path, random: np.random.Generator) -> None:
    """Seven states under the same ten ground motions, 64 steps each."""
    found: dict[str, Any] = {}
    states = ["Undamage", *(f"{storey}_{left}%" for storey in (1, 2, 3) for left in (80, 90))]
    for state in states:
        for motion in range(1, 11):
            found[f"{state}|{motion}"] = random.integers(-9999, 9999, (64, 4)).astype(np.int16)
            found[f"{state}|{motion}|scale"] = np.float64(0.5)
    np.savez(folder / "rc_frame_dec4.npz", **found)


def munich(folder: Path, random: np.random.Generator) -> None:
    """A reference and one lowering; the dates of April have day and month swapped."""
    parts = [
        ("ReferenceState", "2022-03-07T16:35:00", r"DMS_CN (um\m)", -143.0),
        ("ref_load_01", "2022-11-04T08:36:00", "Air Temperature (°C)", 2.0),
        ("ref_support_load_01", "2022-11-04T08:36:00", "DMS_CN (um/m)", 1.0),
        ("support_01_lowering_01", "2022-11-04T08:49:00", "DMS_CN (um/m)", 12.0),
        ("support_load_01", "2022-11-04T09:20:00", "DMS_CN (um/m)", 35.0),
        ("support_load_01", "2022-11-04T09:20:00", "FRC-01 [kN]", 215.0),
    ]
    columns: dict[str, list[Any]] = {"segment": [], "channel": [], "value": []}
    time = []
    for segment, start, channel, value in parts:
        columns["segment"] += [segment] * 100
        columns["channel"] += [channel] * 100
        columns["value"] += (value + random.normal(size=100) / 100).tolist()
        time.append(np.datetime64(start, "us") + np.arange(100).astype("m8[us]") * 100_000)
    stamps = pa.array(np.concatenate(time), pa.timestamp("us"))
    table = pa.table({"time": stamps, **columns})
    pa.parquet.write_table(table, folder / "munich.parquet")


def lanl(folder: Path, random: np.random.Generator) -> None:
    """Thirty undamaged recordings and thirty damaged ones, three features."""
    label = [0] * 30 + [1] * 30
    rows: list[list[Any]] = [["force_mean", "accel1_std", "corr_accel1_accel2", "damage_label"]]
    rows += [[*random.normal(size=3).tolist(), one] for one in label]
    _lines(folder / "lanl_3ss_features.csv.gz", rows)


def mitbih(folder: Path, random: np.random.Generator) -> None:
    """Two records of each part and a paced one; of ten beats one is V, and a rhythm note is none."""
    rows: list[list[Any]] = [["record", "sample360", "sample125", "symbol", "lead", "aami", "split"]]
    signals: dict[str, Any] = {}
    for record, split in (("101", "DS1"), ("106", "DS1"), ("100", "DS2"), ("103", "DS2"), ("102", "paced")):
        signals[record] = random.integers(-800, 800, 1250).astype(np.int16)
        rows.append([record, 18, 6, "+", "MLII", "", split])
        for beat in range(10):
            at = 100 + 360 * beat
            kind = "V" if beat == 4 else "N"
            rows.append([record, at, round(at / 360 * 125), kind, "MLII", kind, split])
    _lines(folder / "annotations.csv.gz", rows)
    np.savez(folder / "signals.npz", **signals)


def sisfall(folder: Path, random: np.random.Generator) -> None:
    """Four adults and three elderly, a walk each, and a fall of each adult."""
    rows: list[list[Any]] = [["subject", "activity", "trial", "start", "n"]]
    start = 0
    for subject in ("SA01", "SA02", "SA03", "SA04", "SE01", "SE02", "SE03"):
        for activity in ("D01", "F01") if subject.startswith("SA") else ("D01",):
            rows.append([subject, activity, 1, start, 50])
            start += 50
    value = random.integers(-300, 300, (start, 6)).astype(np.int16)
    columns = {name: value[:, place] for place, name in enumerate(("ax", "ay", "az", "gx", "gy", "gz"))}
    pa.parquet.write_table(pa.table(columns), folder / "sisfall_25hz.parquet")
    _lines(folder / "index.csv", rows)


WRITERS: dict[str, Callable[[Path, np.random.Generator], None]] = {
    "industrial/skab": skab,
    "industrial/nab": nab,
    "water/gecco2018": gecco,
    "water/batadal": batadal,
    "water/canary_station_b": canary,
    "predictive_maintenance/cmapss": cmapss,
    "predictive_maintenance/cwru_12k": cwru,
    "predictive_maintenance/phm2012_pronostia": pronostia,
    "shm/peer_rc_frame": peer,
    "shm/munich_test_bridge": munich,
    "shm/lanl_3story_features": lanl,
    "health/mitbih_mlii_125hz": mitbih,
    "health/sisfall": sisfall,
}


def write(folder: Path) -> Path:
    """Write every set below ``folder``, and return it."""
    for name, writer in WRITERS.items():
        (folder / name).mkdir(parents=True)
        writer(folder / name, np.random.default_rng(0))
    return folder
