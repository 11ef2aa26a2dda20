"""Sets that are streams with a clock: SKAB, NAB, GECCO, BATADAL, and a water station without labels.

Each opener returns what its protocol grants, divided as the protocol divides it. All raise
``DataError`` where the files are not here.
"""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from nervure.core.error import DataError
from nervure.core.instant import HOUR_NS, SECOND_NS
from nervure.learn.detect.block import NORMAL, ODD, UNKNOWN, Block, Parts, runs
from nervure.learn.detect.place import clock, matrix, place, texts
from nervure.learn.reader.rows import read_arrow
from nervure.learn.reader.stamp import stamps

__all__ = ["Batadal", "Series", "batadal", "canary", "gecco", "nab", "skab", "skab_normal"]

Floats = NDArray[np.float64]
Longs = NDArray[np.int64]

MINUTE_NS = 60 * SECOND_NS
TRAIN_ROWS = 400  # of each SKAB file
_SKAB = (
    "Accelerometer1RMS", "Accelerometer2RMS", "Current", "Pressure", "Temperature", "Thermocouple", "Voltage",
    "Volume Flow RateRMS",
)  # fmt: skip
_FREE = "anomaly-free/anomaly-free"
_GECCO = ("Tp", "Cl", "pH", "Redox", "Leit", "Trueb", "Cl_2", "Fm", "Fm_2")
_UNKNOWN_ATTACK = "-999"


def _skab(folder: Path | None) -> dict[str, Block]:
    path = place("industrial/skab", "skab.parquet", folder=folder) / "skab.parquet"
    found = read_arrow(path)
    file = texts(found, "file", where=path)
    time, value = clock(found, "datetime", where=path), matrix(found, _SKAB, where=path)
    odd = matrix(found, ["anomaly"], where=path)[:, 0]
    blocks = {}
    for name in dict.fromkeys(file.tolist()):
        own = file == name
        label = None if np.isnan(odd[own]).any() else odd[own].astype(np.int8)
        blocks[name] = Block(
            name=name, channels=_SKAB, value=value[own], time=time[own], every_ns=SECOND_NS, label=label,
            group=name,
        )  # fmt: skip
    return blocks


def skab(folder: Path | None = None) -> tuple[Parts, ...]:
    """Open the 34 labelled runs of SKAB, 1 Hz: of each, the first 400 rows train and the rest tests.

    A detector is fitted to each run anew; true and false positives are pooled over all runs (Katser
    and Kozitsin, SKAB, 2020, "Proposed Leaderboard"). Units: g, A, bar, degrees C, V, l/min.
    """
    blocks = [one for name, one in _skab(folder).items() if name != _FREE]
    return tuple(Parts(train=(one.part(0, TRAIN_ROWS),), test=(one.part(TRAIN_ROWS),)) for one in blocks)


def skab_normal(folder: Path | None = None) -> Block:
    """Open SKAB's run without anomalies; the protocol does not train on it, promises are checked on it."""
    blocks = _skab(folder)
    if _FREE not in blocks:
        raise DataError(f"SKAB holds no file {_FREE!r}", hint="fetch the whole set")
    return blocks[_FREE]


class Series(msgspec.Struct, frozen=True, kw_only=True):
    """A series of NAB: its rows, and the labelled ``windows [window, 2]``, both ends included.

    The labels are for the scorer alone: a detector runs online over the rows, which are all it may
    learn from. The first ``probation`` rows are not scored.
    """

    block: Block
    windows: Longs
    probation: int


def nab(folder: Path | None = None) -> tuple[Series, ...]:
    """Open the 58 series of NAB v1.1 in the order of its label file (Ahmad et al., Neurocomputing, 2017).

    Rows keep the order of the file: in eight series the clock steps back, where local clocks did.
    Stamps are read as if they were UTC.
    """
    base = place("industrial/nab", "nab.parquet", "combined_windows.json", folder=folder)
    path, labels = base / "nab.parquet", base / "combined_windows.json"
    found = read_arrow(path)
    series, time = texts(found, "series", where=path), clock(found, "timestamp", where=path)
    value = matrix(found, ["value"], where=path)
    try:
        windows = msgspec.json.decode(labels.read_bytes(), type=dict[str, list[tuple[str, str]]])
    except msgspec.DecodeError as cause:
        raise DataError(f"the windows of NAB cannot be read: {cause}", where=str(labels)) from cause
    lost = set(windows) ^ set(series.tolist())
    if lost:
        raise DataError(f"NAB's series {min(lost)!r} has no rows, or no labels", where=str(labels))
    return tuple(
        _series(name, time[series == name], value[series == name], limits) for name, limits in windows.items()
    )


def _series(name: str, time: Longs, value: Floats, limits: list[tuple[str, str]]) -> Series:
    every = int(np.median(np.diff(time)))
    windows = np.empty((len(limits), 2), np.int64)
    label = np.zeros(len(time), np.int8)
    for turn, ends in enumerate(limits):
        for end, text in enumerate(ends):
            rows = np.flatnonzero(time == np.datetime64(text, "ns").astype(np.int64))
            if not len(rows):
                raise DataError(f"NAB's window of {name} ends at {text}, where no row is")
            windows[turn, end] = rows[0]
        label[windows[turn, 0] : windows[turn, 1] + 1] = ODD
    block = Block(
        name=name, channels=("value",), value=value, time=time, every_ns=every, label=label, group=name
    )
    return Series(block=block, windows=windows, probation=int(min(0.15 * len(time), 0.15 * 5000)))


def gecco(folder: Path | None = None, *, fit: float = 0.4, calibrate: float = 0.2) -> Parts:
    """Open GECCO 2018, drinking-water quality by the minute, cut in time: fit, calibrate, test.

    The cuts are at shares of the rows; a labelled event that a cut falls into goes to the earlier
    part whole. Events are labelled in every part: what is fitted without labels has to bear them.
    Stamps are local to Germany; the hour that autumn repeats is told apart. (Rehbach et al., GECCO
    Industrial Challenge, 2018.) Units: degrees C, mg/l, mV, uS/cm, NTU, m3/h.
    """
    path = place("water/gecco2018", "gecco2018.parquet", folder=folder) / "gecco2018.parquet"
    found = read_arrow(path)
    odd = np.array(found.column("EVENT").to_pylist()) if "EVENT" in found.column_names else None
    if odd is None:
        raise DataError("there is no column 'EVENT'", where=str(path))
    whole = Block(
        name="gecco2018",
        channels=_GECCO,
        value=matrix(found, _GECCO, where=path),
        time=stamps(found, "Time", "Europe/Berlin", where=str(path)),
        every_ns=MINUTE_NS,
        label=odd.astype(np.int8),
        group="gecco2018",
    )
    cuts = [_outside(whole, round(len(whole) * share)) for share in (fit, fit + calibrate)]
    if not 0 < cuts[0] < cuts[1] < len(whole):
        raise DataError(f"the shares {fit} and {calibrate} leave a part of GECCO empty", hint="0.4 and 0.2")
    first, second, third = whole.part(0, cuts[0]), whole.part(*cuts), whole.part(cuts[1])
    return Parts(train=(first,), calibrate=(second,), test=(third,))


def _outside(block: Block, row: int) -> int:
    """Move a cut to the end of the event that it falls into."""
    for start, stop in block.events:
        if start < row < stop:
            return int(stop)
    return row


class Batadal(msgspec.Struct, frozen=True, kw_only=True):
    """BATADAL: ``train1`` has no attack, ``train2`` some that are marked, ``test`` attacks 8 to 14.

    In ``train2`` every hour that is not marked is unknown, not normal. ``attacks [attack, 2]`` are
    the rows of the test part, the end excluded. ``statuses`` are the channels that say on or off.
    """

    train1: Block
    train2: Block
    test: Block
    attacks: Longs
    statuses: tuple[str, ...]


def batadal(folder: Path | None = None) -> Batadal:
    """Open BATADAL, hourly, 43 channels of the C-Town network: levels m, flows l/s, pressures m.

    A threshold comes from ``train1`` alone where that is the goal (Taormina et al., J. Water Resour.
    Plann. Manage., 2018).
    """
    path = place("water/batadal", "batadal.parquet", folder=folder) / "batadal.parquet"
    found = read_arrow(path)
    channels = tuple(name for name in found.column_names if name not in ("part", "DATETIME", "ATT_FLAG"))
    part, flag = texts(found, "part", where=path), texts(found, "ATT_FLAG", where=path)
    value, time = matrix(found, channels, where=path), clock(found, "DATETIME", where=path)
    label = np.where(np.isin(flag, ["0", "benign"]), NORMAL, ODD)
    label = np.where(flag == _UNKNOWN_ATTACK, UNKNOWN, label).astype(np.int8)
    blocks = {}
    for name in ("train1", "train2", "test"):
        own = part == name
        if not own.any():
            raise DataError(f"BATADAL holds no part {name!r}", where=str(path))
        blocks[name] = Block(
            name=name, channels=channels, value=value[own], time=time[own], every_ns=HOUR_NS,
            label=label[own], group=name,
        )  # fmt: skip
    names = flag[part == "test"]
    attacks = [runs(names == one)[0] for one in dict.fromkeys(names.tolist()) if one not in ("0", "benign")]
    return Batadal(
        **blocks,
        attacks=np.array(attacks, dtype=np.int64).reshape(-1, 2),
        statuses=tuple(name for name in channels if name.startswith("S_")),
    )


def canary(folder: Path | None = None, *, fit: float = 0.5, calibrate: float = 0.25) -> Parts:
    """Open water station B, 20 min, 12 channels, cut in time; nothing in it is labelled.

    It is for counting false alarms on real operation, and for injecting faults. Stamps are read as
    if they were UTC. (As shipped in the package EventDetectR on CRAN.)
    """
    path = place("water/canary_station_b", "station_b.csv.gz", folder=folder) / "station_b.csv.gz"
    found = read_arrow(path)
    channels = tuple(name for name in found.column_names if name != "Time_Step")
    whole = Block(
        name="station_b",
        channels=channels,
        value=matrix(found, channels, where=path),
        time=_american(texts(found, "Time_Step", where=path), path),
        every_ns=20 * MINUTE_NS,
        group="station_b",
    )
    one, two = round(len(whole) * fit), round(len(whole) * (fit + calibrate))
    return Parts(train=(whole.part(0, one),), calibrate=(whole.part(one, two),), test=(whole.part(two),))


def _american(text: NDArray[np.str_], path: Path) -> Longs:
    """Read stamps such as ``02/21/2006 00:20:00``."""
    try:
        moments = [f"{one[6:10]}-{one[:2]}-{one[3:5]}T{one[11:]}" for one in text.tolist()]
        return np.array(moments, dtype="datetime64[ns]").astype(np.int64)
    except ValueError as cause:
        raise DataError(f"column 'Time_Step' holds no time stamps: {cause}", where=str(path)) from cause
