"""Sets of people: heart beats of MIT-BIH, falls and daily activities of SisFall."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from nervure.core.error import DataError
from nervure.learn.detect.block import NORMAL, ODD, Block
from nervure.learn.detect.fold import folds
from nervure.learn.detect.place import arrays, matrix, place, texts
from nervure.learn.reader.rows import read_arrow
from nervure.learn.split import Split

__all__ = ["AAMI", "RR", "Beats", "Motion", "about_peak", "mitbih", "sisfall", "subject_folds"]

Floats = NDArray[np.float64]
Longs = NDArray[np.int64]

AAMI = ("N", "S", "V", "F", "Q")  # classes of ANSI/AAMI EC57
RR = ("before", "after", "before over the last ten", "before over all so far")
_PER_MV = 800  # a quarter of an ADC step, 200 steps to the millivolt
_SCALE = (*(32 / 8192,) * 3, *(4000 / 65536,) * 3)  # g, deg/s
_SISFALL = ("ax", "ay", "az", "gx", "gy", "gz")
_SISFALL_NS = 40_000_000


class Beats(msgspec.Struct, frozen=True, kw_only=True):
    """Every annotated beat of a set of records, in order.

    ``window [beat, sample]`` is the lead in mV about the beat, ``rr [beat, 4]`` its intervals as
    ``RR`` names them: two in seconds, and two as shares of the mean interval. The interval after a
    beat is known one beat late. ``aami [beat]`` is the class, ``record [beat]`` the group to split
    by, ``sample [beat]`` the place in the record at 125 Hz.
    """

    window: Floats
    rr: Floats
    aami: NDArray[np.str_]
    record: NDArray[np.str_]
    sample: Longs

    def __len__(self) -> int:
        return len(self.sample)


def mitbih(
    part: Literal["DS1", "DS2"], folder: Path | None = None, *, before: int = 48, after: int = 80
) -> Beats:
    """Open the beats of DS1, to train and choose on, or of DS2, to report on: 22 records each.

    The parts share no patient, and the four paced records are in neither (de Chazal et al., IEEE
    TBME 51(7), 2004). Inside DS1 leave records out with ``fold.leave_one_out(beats.record)``.
    ``before`` and ``after`` are samples at 125 Hz; the ends of a record are held.
    """
    base = place("health/mitbih_mlii_125hz", "signals.npz", "annotations.csv.gz", folder=folder)
    path = base / "annotations.csv.gz"
    signals, notes = arrays(base / "signals.npz"), read_arrow(path)
    aami, split = texts(notes, "aami", where=path), texts(notes, "split", where=path)
    record, at = texts(notes, "record", where=path), matrix(notes, ["sample125", "sample360"], where=path)
    wanted = (split == part) & (aami != "")
    if not wanted.any():
        raise DataError(f"MIT-BIH holds no beats of {part!r}", where=str(path), hint="DS1 or DS2")
    windows, intervals = [], []
    for name in dict.fromkeys(record[wanted].tolist()):
        if name not in signals:
            raise DataError(f"MIT-BIH's record {name} has no signal", where=str(base))
        own = wanted & (record == name)
        signal = np.pad(signals[name].astype(np.float64) / _PER_MV, (before, after), mode="edge")
        windows.append(signal[at[own, 0].astype(np.int64)[:, None] + np.arange(before + after)])
        intervals.append(_rr(at[own, 1] / 360))
    return Beats(
        window=np.concatenate(windows),
        rr=np.concatenate(intervals),
        aami=aami[wanted],
        record=record[wanted],
        sample=at[wanted, 0].astype(np.int64),
    )


def _rr(second: Floats) -> Floats:
    """Return the intervals about each beat of one record, ``[beat, 4]``; only ``after`` looks ahead.

    The first beat has none before it and takes the one after, the last the other way round.
    """
    if len(second) < 2:
        raise DataError("a record of a single beat has no intervals", hint="leave it out")
    gap = np.diff(second)
    before = np.r_[gap[:1], gap]
    after = np.r_[gap, gap[-1:]]
    total = np.r_[0.0, np.cumsum(before)]
    number = np.arange(1, len(before) + 1)
    first = np.maximum(number - 10, 0)
    ten = (total[number] - total[first]) / (number - first)
    return np.stack([before, after, before / ten, before / (total[number] / number)], axis=1)


class Motion(msgspec.Struct, frozen=True, kw_only=True):
    """One recording of SisFall: acceleration in g, turning in deg/s, 25 Hz; ``block.group`` is the person.

    ``activity`` is D01 to D19 (daily) or F01 to F15 (falls); ``elderly`` persons are 60 to 75 years
    old. The label of a fall stands on every row, as it is not told when in a recording one falls.
    """

    block: Block
    activity: str
    trial: int
    elderly: bool

    @property
    def fall(self) -> bool:
        """Whether somebody falls."""
        return self.activity.startswith("F")


def sisfall(folder: Path | None = None) -> tuple[Motion, ...]:
    """Open SisFall: 4,505 recordings of 38 persons (Sucerquia et al., Sensors 17, 2017).

    Split them with :func:`subject_folds`. Beside sensitivity and specificity, report false alarms on
    the elderly's daily activities. Starts are not told: every recording starts at 0. Falls were all
    recorded for 15 s and daily activities for other times, so what is shown the whole of a recording
    learns its length: cut it with :func:`about_peak`, or slide a window over it.
    """
    base = place("health/sisfall", "sisfall_25hz.parquet", "index.csv", folder=folder)
    path = base / "index.csv"
    index = read_arrow(path)
    value = matrix(read_arrow(base / "sisfall_25hz.parquet"), _SISFALL, where=base) * np.array(_SCALE)
    subject, activity = texts(index, "subject", where=path), texts(index, "activity", where=path)
    number = matrix(index, ["trial", "start", "n"], where=path).astype(np.int64)
    if int((number[:, 1] + number[:, 2]).max()) > len(value):
        raise DataError("SisFall's index names rows that are not in its file", where=str(base))
    out = []
    for person, what, (trial, start, rows) in zip(
        subject.tolist(), activity.tolist(), number.tolist(), strict=True
    ):
        block = Block(
            name=f"{person} {what} {trial}",
            channels=_SISFALL,
            value=value[start : start + rows],
            time=np.arange(rows, dtype=np.int64) * _SISFALL_NS,
            every_ns=_SISFALL_NS,
            label=np.full(rows, ODD if what.startswith("F") else NORMAL, np.int8),
            group=person,
        )
        out.append(Motion(block=block, activity=what, trial=trial, elderly=person.startswith("SE")))
    return tuple(out)


def about_peak(motion: Motion, rows: int = 75) -> Floats:
    """Return the ``rows`` about the strongest acceleration of a recording, ``[row, channel]``.

    This is what a device would look at: acceleration wakes it. Near an end the window lies at it.
    """
    value = motion.block.value
    if len(value) < rows:
        raise DataError(f"{motion.block.name} has {len(value)} rows, fewer than {rows}", hint="take fewer")
    peak = int((value[:, :3] ** 2).sum(axis=1).argmax())
    start = min(max(peak - rows // 2, 0), len(value) - rows)
    return value[start : start + rows]


def subject_folds(motions: tuple[Motion, ...], count: int = 5, *, seed: int = 0) -> tuple[Split, ...]:
    """Split recordings person by person, adults and elderly dealt evenly; rows are places in ``motions``."""
    groups = [one.block.group for one in motions]
    return folds(groups, count, stratum=["elderly" if one.elderly else "adult" for one in motions], seed=seed)
