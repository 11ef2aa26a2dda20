"""Sets of structures: the PEER concrete frame, the Munich test bridge, the LANL three-storey frame."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal

import msgspec
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from nervure.core.error import DataError
from nervure.core.instant import DAY_NS, SECOND_NS, duration_ns
from nervure.learn.detect.block import NORMAL, ODD, UNKNOWN, Block
from nervure.learn.detect.fold import folds, stretches
from nervure.learn.detect.place import arrays, clock, columns, matrix, place
from nervure.learn.reader.rows import as_numpy, read_arrow
from nervure.learn.split import Split, check

__all__ = [
    "Frame", "Recordings", "Segment", "lanl", "lanl_folds", "motion_folds", "munich", "peer",
    "unseen_severity",
]  # fmt: skip

Floats = NDArray[np.float64]
Longs = NDArray[np.int64]

_STRAIN = "DMS_CN"
_SWAPPED = (np.datetime64("2022-11-04") - np.datetime64("2022-04-11")).astype(int) * DAY_NS
_NOVEMBER = np.datetime64("2022-11-01", "ns").astype(np.int64)
_LANL_STATE = 10  # recordings of each state of the experiment


class Frame(msgspec.Struct, frozen=True, kw_only=True):
    """One run of the simulated frame: ground and storeys 1 to 3, mm/s^2.

    ``block.group`` is the ground motion. ``storey`` is the damaged one, 0 for none; ``left`` is the
    stiffness that is left in its columns. The time step is not stated: a step counts as a second.
    """

    block: Block
    state: str
    storey: Literal[0, 1, 2, 3]
    left: float


def peer(folder: Path | None = None, *, noise_db: float | None = None, seed: int = 0) -> tuple[Frame, ...]:
    """Open the PEER frame: 7 states under the same 100 ground motions, 700 runs.

    With ``noise_db`` white noise is added to every channel, that many decibels below the channel's
    own power over the run; ``seed`` makes it. Without noise transfer functions solve the set.
    """
    base = place("shm/peer_rc_frame", "rc_frame_dec4.npz", folder=folder)
    found = arrays(base / "rc_frame_dec4.npz")
    frames = []
    for turn, key in enumerate(one for one in found if not one.endswith("|scale")):
        state, _, motion = key.partition("|")
        named = re.fullmatch(r"([123])_(\d+)%", state)
        if (named is None and state != "Undamage") or f"{key}|scale" not in found:
            raise DataError(f"the run {key!r} is of no known state, or has no scale", where=str(base))
        value = found[key].astype(np.float64) * float(found[f"{key}|scale"])
        if noise_db is not None:
            power = np.sqrt((value**2).mean(axis=0)) * 10 ** (-noise_db / 20)
            value = value + np.random.default_rng([seed, turn]).normal(size=value.shape) * power
        block = Block(
            name=key,
            channels=("ground", "storey 1", "storey 2", "storey 3"),
            value=value,
            time=np.arange(len(value), dtype=np.int64) * SECOND_NS,
            every_ns=SECOND_NS,
            label=np.full(len(value), NORMAL if named is None else ODD, np.int8),
            group=motion,
        )
        what = {"storey": int(named[1]) if named else 0, "left": int(named[2]) / 100 if named else 1.0}
        frames.append(msgspec.convert({"block": block, "state": state, **what}, Frame))
    return tuple(frames)


def motion_folds(frames: tuple[Frame, ...], count: int = 5, *, seed: int = 0) -> tuple[Split, ...]:
    """Split runs by ground motion; rows are places in ``frames``."""
    return folds([one.block.group for one in frames], count, seed=seed)


def unseen_severity(frames: tuple[Frame, ...], *, seen: float, seed: int = 0) -> Split:
    """Split by ground motion, and train on one severity while the test part holds only the other.

    ``seen`` is the stiffness left in the damaged runs of train and validation, 0.8 or 0.9.
    Undamaged runs are in every part. Runs that fit nowhere are left out.
    """
    severities = {one.left for one in frames if one.storey}
    if seen not in severities or len(severities) < 2:
        raise DataError(f"no run has {seen} of its stiffness left, or all have", hint="take 0.8 or 0.9")
    base = motion_folds(frames, seed=seed)[0]
    known = np.array([one.storey == 0 or one.left == seen for one in frames])
    other = np.array([one.storey == 0 or one.left != seen for one in frames])
    return check(
        Split(
            train=base.train[known[base.train]],
            validation=base.validation[known[base.validation]],
            test=base.test[other[base.test]],
            how=f"by ground motion; {seen:.0%} of the stiffness left in train, the rest in test",
        )
    )


class Segment(msgspec.Struct, frozen=True, kw_only=True):
    """A stretch of the bridge's measurements: before any lowering, during one, or after it.

    ``lowering`` is how many of the three supports' lowerings have begun. In a segment ``during``
    the moment is not labelled: rows are unknown.
    """

    block: Block
    role: Literal["reference", "during", "after"]
    lowering: Literal[0, 1, 2, 3]


def munich(folder: Path | None = None, *, every: str = "1s") -> tuple[Segment, ...]:
    """Open the Munich test bridge: a segment a block, on a grid of means over ``every``, in order of time.

    Channels not measured in a segment are NaN; the air temperature and the sensors of a second
    logger are put beside the strain by their stamps. The April stamps have day and month the wrong
    way round in the source, and are put right. No zone is stated: they are read as UTC. Units: um/m,
    kN, deg, g, degrees C. (Jaelani et al., Steel Construction 16, 2023.)
    """
    path = place("shm/munich_test_bridge", "munich.parquet", folder=folder) / "munich.parquet"
    found = read_arrow(path)
    names, segment = _codes(found, "segment", path)
    raw, code = _codes(found, "channel", path)
    clean = [re.sub(r"\s*[(\[].*", "", one) for one in raw]
    channels = tuple(sorted(set(clean)))
    if _STRAIN not in channels:
        raise DataError(f"the bridge's strain {_STRAIN} is not there", where=str(path))
    column = np.array([channels.index(one) for one in clean])[code]
    time, step = clock(found, "time", where=path), duration_ns(every)
    slot = np.where(time >= _NOVEMBER, time - _SWAPPED, time) // step
    value = matrix(found, ["value"], where=path)[:, 0]
    out = []
    for turn, name in enumerate(names):
        strain = slot[(segment == turn) & (column == channels.index(_STRAIN))]
        if len(strain):
            near = (slot >= strain.min()) & (slot <= strain.max()) & ~np.isnan(value)
            grid = _means(slot[near] - strain.min(), column[near], value[near], len(channels))
            out.append(_segment(name, channels, grid, int(strain.min()) * step, step))
    return tuple(sorted(out, key=lambda one: int(one.block.time[0])))


def _codes(found: pa.Table, name: str, path: Path) -> tuple[list[str], Longs]:
    """Return the distinct texts of a column, and the place of each row's among them."""
    columns(found, [name], where=path)
    column = found.column(name).cast(pa.string()).combine_chunks().dictionary_encode()
    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    return array.dictionary.to_pylist(), as_numpy(array.indices).astype(np.int64)


def _means(slot: Longs, column: Longs, value: Floats, width: int) -> Floats:
    """Average values by slot and column: ``[slot, column]``, NaN where there is none."""
    height = int(slot.max()) + 1
    cell = slot * width + column
    total = np.bincount(cell, weights=value, minlength=height * width)
    count = np.bincount(cell, minlength=height * width)
    mean: Floats = np.divide(total, count, out=np.full(len(total), np.nan), where=count > 0)
    return mean.reshape(height, width)


def _segment(name: str, channels: tuple[str, ...], value: Floats, start: int, step: int) -> Segment:
    during = re.match(r"support_0(\d)_lowering", name)
    after = re.match(r"support_load_0(\d)", name)
    hit = during or after
    role = "during" if during else "after" if after else "reference"
    label = {"reference": NORMAL, "during": UNKNOWN, "after": ODD}[role]
    block = Block(
        name=name,
        channels=channels,
        value=value,
        time=start + np.arange(len(value), dtype=np.int64) * step,
        every_ns=step,
        label=np.full(len(value), label, np.int8),
        group=name,
    )
    what = {"block": block, "role": role, "lowering": int(hit[1]) if hit else 0}
    return msgspec.convert(what, Segment)


class Recordings(msgspec.Struct, frozen=True, kw_only=True):
    """LANL's recordings as rows of features, and the stretch of like recordings each is in, ``[row]``."""

    block: Block
    stretch: tuple[str, ...]


def lanl(folder: Path | None = None) -> Recordings:
    """Open the features of LANL's three-storey structure: 169 recordings, 86 features, damaged or not.

    Recordings of one state follow each other and are alike, so they are split in stretches of ten
    consecutive ones, never shuffled: :func:`lanl_folds`. (Figueiredo et al., LA-14393, 2009.)
    """
    path = (
        place("shm/lanl_3story_features", "lanl_3ss_features.csv.gz", folder=folder)
        / "lanl_3ss_features.csv.gz"
    )
    found = read_arrow(path)
    channels = tuple(name for name in found.column_names if name != "damage_label")
    label = matrix(found, ["damage_label"], where=path)[:, 0].astype(np.int8)
    block = Block(
        name="lanl",
        channels=channels,
        value=matrix(found, channels, where=path),
        time=np.arange(found.num_rows, dtype=np.int64) * SECOND_NS,
        every_ns=SECOND_NS,
        label=label,
        group="lanl",
    )
    return Recordings(block=block, stretch=stretches(label.astype(np.int64), _LANL_STATE))


def lanl_folds(found: Recordings, count: int = 5, *, seed: int = 0) -> tuple[Split, ...]:
    """Split recordings by stretch, damaged and undamaged ones dealt evenly."""
    assert found.block.label is not None  # noqa: S101  every recording is labelled
    return folds(found.stretch, count, stratum=[str(one) for one in found.block.label.tolist()], seed=seed)
