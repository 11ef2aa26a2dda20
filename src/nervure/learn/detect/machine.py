"""Sets of machines that fail: C-MAPSS turbofans, CWRU and PRONOSTIA bearings.

Each is divided by what it was taken from, an engine or a bearing, which a split never cuts.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from nervure.core.error import DataError
from nervure.core.instant import SECOND_NS
from nervure.learn.detect.block import Block
from nervure.learn.detect.fold import folds
from nervure.learn.detect.place import arrays, matrix, place, texts
from nervure.learn.reader.rows import read_arrow
from nervure.learn.split import Split

__all__ = [
    "CLIP", "SUBSETS", "Bearing", "Fleet", "Vibration", "bearing_folds", "challenge", "cmapss", "cwru",
    "pronostia", "remaining",
]  # fmt: skip

Floats = NDArray[np.float64]
Longs = NDArray[np.int64]
Subset = Literal["FD001", "FD002", "FD003", "FD004"]

SUBSETS: tuple[Subset, ...] = ("FD001", "FD002", "FD003", "FD004")
CLIP = 125.0  # cycles; a healthy engine has no more to tell (Heimes, PHM, 2008, who took 130)
_CMAPSS = (*(f"setting_{turn}" for turn in range(1, 4)), *(f"s{turn}" for turn in range(1, 22)))
_CWRU_HZ = 12_000
_SNAPSHOT_NS = 10 * SECOND_NS
_LEARN = ("1_1", "1_2", "2_1", "2_2")
_TRUNCATED = {
    "1_3": 1802, "1_4": 1139, "1_5": 2302, "1_6": 2302, "1_7": 1502,
    "2_3": 1202, "2_4": 612, "2_5": 2002, "2_6": 572, "2_7": 172,
}  # fmt: skip
_FEATURES = tuple(f"{axis}_{name}" for axis in "hv" for name in ("rms", "peak", "kurtosis", "crest", "skew"))
_BANDS = 64


class Fleet(msgspec.Struct, frozen=True, kw_only=True):
    """A subset of C-MAPSS: engines, each a block of cycles (a cycle counts as a second).

    ``train`` engines run to failure, ``test`` engines are cut off; ``rul [unit]`` is how many cycles
    each test engine had left after its last row, not clipped. A test engine is judged by its last
    row alone, with the truth clipped at ``CLIP`` and not clipped, and both are reported.
    """

    name: str
    train: tuple[Block, ...]
    test: tuple[Block, ...]
    rul: Floats

    def validation(self, share: float = 0.2, *, seed: int = 0) -> tuple[Longs, Longs]:
        """Split the training engines by unit: places of those to fit on, and of those to choose by."""
        if not 0 < share < 1:
            raise DataError(f"a share of {share} leaves no engines on one side", hint="take 0.2")
        order = np.random.default_rng(seed).permutation(len(self.train))
        count = max(1, round(share * len(order)))
        return np.sort(order[count:]), np.sort(order[:count])


def remaining(block: Block, *, clip: float | None = CLIP) -> Floats:
    """Return the cycles each row of an engine that ran to failure has left, ``[row]``.

    The last row has none left. Training targets are usually clipped, as the truth then is.
    """
    left = np.arange(len(block) - 1, -1, -1, dtype=np.float64)
    return left if clip is None else np.minimum(left, clip)


def cmapss(subset: Subset, folder: Path | None = None) -> Fleet:
    """Open FD001 to FD004 of C-MAPSS: 3 settings and 21 sensors (Saxena et al., PHM, 2008).

    FD002 and FD004 have six operating conditions, FD003 and FD004 two fault modes.
    """
    base = place("predictive_maintenance/cmapss", f"{subset}.parquet", f"RUL_{subset}.csv", folder=folder)
    path = base / f"{subset}.parquet"
    found = read_arrow(path)
    split, value = texts(found, "split", where=path), matrix(found, ["unit", "cycle", *_CMAPSS], where=path)
    sides = {}
    for side in ("train", "test"):
        own = value[split == side]
        sides[side] = tuple(
            Block(
                name=f"{subset} {side} {unit:.0f}",
                channels=_CMAPSS,
                value=own[own[:, 0] == unit, 2:],
                time=own[own[:, 0] == unit, 1].astype(np.int64) * SECOND_NS,
                every_ns=SECOND_NS,
                group=f"{side} {unit:.0f}",
            )
            for unit in np.unique(own[:, 0])
        )
    told = matrix(read_arrow(base / f"RUL_{subset}.csv"), ["unit", "rul"], where=base)
    rul = told[np.argsort(told[:, 0], kind="stable"), 1]
    if len(rul) != len(sides["test"]):
        raise DataError(
            f"{subset}: {len(rul)} remaining lives for {len(sides['test'])} engines", where=str(base)
        )
    return Fleet(name=subset, **sides, rul=rul)


class Vibration(msgspec.Struct, frozen=True, kw_only=True):
    """One recording of a CWRU bearing: acceleration in g, 12 kHz; ``block.group`` is the bearing.

    ``fault`` is ``B`` (ball), ``IR`` or ``OR`` (inner or outer race); ``position`` is where on the
    outer race (3, 6 or 12 o'clock), else empty; ``diameter_mil`` is the size of the seeded fault.
    """

    block: Block
    fault: Literal["B", "IR", "OR"]
    position: str
    diameter_mil: int
    rpm: int
    end: str


def cwru(folder: Path | None = None) -> tuple[Vibration, ...]:
    """Open the 105 recordings of 20 faulty bearings of CWRU's 12 kHz data; split with :func:`bearing_folds`.

    The one normal recording is left out: its sampling rate is not known, so that a detector of the
    rate would pass for a detector of faults. Windows of one bearing never stand on both sides: such
    splits print 100 % (Vieira et al., arXiv 2509.22267).
    """
    base = place("predictive_maintenance/cwru_12k", "cwru_12k.npz", "index.csv", folder=folder)
    path = base / "index.csv"
    index, signals = read_arrow(path), arrays(base / "cwru_12k.npz")
    number = matrix(index, ["rpm", "diam_mil", "scale_g"], where=path)
    named = {one: texts(index, one, where=path) for one in ("key", "fault", "end", "channel", "bearing")}
    recordings = []
    for row, key in enumerate(named["key"].tolist()):
        fault, _, position = str(named["fault"][row]).partition("@")
        if fault == "N":
            continue
        if key not in signals:
            raise DataError(f"CWRU's recording {key!r} is in the index and not in the file", where=str(base))
        signal = signals[key].astype(np.float64) * number[row, 2]
        block = Block(
            name=key,
            channels=(f"{named['channel'][row]} g",),
            value=signal[:, None],
            time=np.round(np.arange(len(signal)) * (SECOND_NS / _CWRU_HZ)).astype(np.int64),
            every_ns=round(SECOND_NS / _CWRU_HZ),
            group=str(named["bearing"][row]),
        )
        recordings.append(
            msgspec.convert(
                {
                    "block": block, "fault": fault, "position": position, "rpm": int(number[row, 0]),
                    "diameter_mil": int(number[row, 1]), "end": str(named["end"][row]),
                },
                Vibration,
            )
        )  # fmt: skip
    return tuple(recordings)


def bearing_folds(recordings: tuple[Vibration, ...], count: int = 4, *, seed: int = 0) -> tuple[Split, ...]:
    """Split places in ``recordings`` bearing by bearing, the kinds of fault dealt evenly."""
    groups = [one.block.group for one in recordings]
    return folds(groups, count, stratum=[one.fault for one in recordings], seed=seed)


class Bearing(msgspec.Struct, frozen=True, kw_only=True):
    """A bearing of PRONOSTIA from new to broken, a row every 10 s; ``block.group`` is the bearing.

    Channels are ten statistics (g) and the log10 power in 64 bands of 200 Hz, horizontal and
    vertical. ``left_s [row]`` is its remaining life in seconds. ``truncated`` is how many rows the
    challenge showed of a test bearing, and ``None`` for one that it learned on.
    """

    block: Block
    condition: Literal[1, 2]
    left_s: Floats
    truncated: int | None = None


def pronostia(folder: Path | None = None) -> tuple[Bearing, ...]:
    """Open PRONOSTIA, conditions 1 and 2, 14 bearings (Nectoux et al., IEEE PHM, 2012).

    Split them with ``fold.leave_one_out`` over their groups, or as the challenge did with
    :func:`challenge`.
    """
    base = place(
        "predictive_maintenance/phm2012_pronostia", "features.parquet", "bandspectra.npz", folder=folder
    )
    path = base / "features.parquet"
    found, bands = read_arrow(path), arrays(base / "bandspectra.npz")
    name, value = texts(found, "bearing", where=path), matrix(found, ["snapshot", *_FEATURES], where=path)
    channels = (*_FEATURES, *(f"{axis}_band_{band}" for axis in "hv" for band in range(_BANDS)))
    bearings = []
    for one in sorted(set(name.tolist())):
        rows, power = value[name == one], bands.get(f"B{one}")
        if power is None or power.shape != (len(rows), 2 * _BANDS):
            raise DataError(
                f"PRONOSTIA's bearing {one} has no spectra of its {len(rows)} snapshots", where=str(base)
            )
        block = Block(
            name=one,
            channels=channels,
            value=np.concatenate([rows[:, 1:], power.astype(np.float64)], axis=1),
            time=rows[:, 0].astype(np.int64) * _SNAPSHOT_NS,
            every_ns=_SNAPSHOT_NS,
            group=one,
        )
        bearings.append(
            Bearing(
                block=block,
                condition=1 if one[0] == "1" else 2,
                left_s=np.arange(len(rows) - 1, -1, -1, dtype=np.float64) * 10,
                truncated=_TRUNCATED.get(one),
            )
        )
    return tuple(bearings)


def challenge(bearings: tuple[Bearing, ...]) -> tuple[tuple[Bearing, ...], tuple[Bearing, ...]]:
    """Return what the challenge learned on, whole, and its test bearings cut off where it cut them.

    What a cut bearing has left counts to the end of the whole record, as in the challenge: 5,730 s
    for bearing 1_3. One predicts it at the last row that is shown.
    """
    learn = tuple(one for one in bearings if one.block.name in _LEARN)
    test = []
    for one in bearings:
        if one.truncated is None:
            continue
        cut = slice(0, one.truncated)
        test.append(
            msgspec.structs.replace(one, block=one.block.part(0, one.truncated), left_s=one.left_s[cut])
        )
    return learn, tuple(test)
