"""Small files of made-up recordings, in the form of the published sets that solutions learn from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from nervure.core.declaration import Solution

__all__ = ["WEAR", "engine", "write"]

ENGINES, CUT_OFF = 10, 4
SENSORS = 21
WEAR = 40  # rows before the end in which wear shows


def engine(random: np.random.Generator, life: int) -> np.ndarray:
    """Return an engine's rows from new to failure, ``[row, setting + sensor]``: two sensors show wear."""
    left = np.arange(life - 1, -1, -1)
    value = np.zeros((life, 3 + SENSORS))
    value[:, :3] = random.normal(scale=0.001, size=(life, 3))
    value[:, 2] += 100
    value[:, 3:] = 500 + random.normal(scale=0.1, size=(life, SENSORS))
    value[:, 6] += np.maximum(WEAR - left, 0) / 4
    value[:, 9] += np.maximum(WEAR - left, 0) / 2
    return value


def write(solution: Solution, folder: Path) -> None:
    """Write the declared files below ``folder``."""
    assert solution.data is not None
    target = folder / solution.data.folder
    target.mkdir(parents=True)
    _WRITERS[solution.name](target)


def _turbofans(target: Path) -> None:
    random = np.random.default_rng(3)
    for subset in ("FD001", "FD002", "FD003", "FD004"):
        parts = []
        rul = list[int]()
        for side, count in (("train", ENGINES), ("test", CUT_OFF)):
            for unit in range(1, count + 1):
                life = int(random.integers(70, 100))
                value = engine(random, life)
                if side == "test":
                    rest = int(random.integers(2, 50))
                    value, rul = value[: life - rest], [*rul, rest]
                names = [f"setting_{turn}" for turn in range(1, 4)] + [f"s{turn}" for turn in range(1, 22)]
                columns = {name: value[:, at] for at, name in enumerate(names)}
                rows = len(value)
                parts.append(
                    pa.table(
                        {"split": [side] * rows, "unit": [unit] * rows, "cycle": np.arange(1, rows + 1)}
                        | columns
                    )
                )
        pa.parquet.write_table(pa.concat_tables(parts), target / f"{subset}.parquet")
        told = pa.table({"unit": np.arange(1, len(rul) + 1), "rul": rul})
        pa.csv.write_csv(told, target / f"RUL_{subset}.csv")


def _falls(target: Path) -> None:
    """Ten persons of two ages; in a fall the device goes through free fall, is hit, and lies."""
    random = np.random.default_rng(3)
    parts, rows = [], []
    start = 0
    for person in (*(f"SA{turn:02}" for turn in range(1, 6)), *(f"SE{turn:02}" for turn in range(1, 6))):
        for trial in range(1, 9):
            falls = trial % 2 == 0
            value = random.normal(scale=8, size=(250, 6))
            value[:, 1] -= 256
            at = int(random.integers(80, 160))
            if falls:
                value[at - 12 : at, :3] *= 0.1
                value[at - 1 : at + 2, :3] = (300.0, -900.0, 300.0)
                value[at + 8 :, :3] = value[at + 8 :, [1, 0, 2]]
            else:  # a jump: as strong, and up again
                value[at - 1 : at + 2, 1] = -900.0
            parts.append(value.round().astype(np.int16))
            rows.append((person, "F01" if falls else "D01", trial, start, len(value)))
            start += len(value)
    value = np.concatenate(parts)
    names = ("ax", "ay", "az", "gx", "gy", "gz")
    table = pa.table({name: value[:, at] for at, name in enumerate(names)})
    pa.parquet.write_table(table, target / "sisfall_25hz.parquet")
    titles = ("subject", "activity", "trial", "start", "n")
    pa.csv.write_csv(
        pa.table({name: [row[at] for row in rows] for at, name in enumerate(titles)}), target / "index.csv"
    )


def _frames(target: Path) -> None:
    """Twelve ground motions; each damaged storey answers the ground at a lower frequency."""
    random = np.random.default_rng(3)
    states = ["Undamage", *(f"{storey}_{left}%" for storey in (1, 2, 3) for left in (80, 90))]
    arrays: dict[str, np.ndarray] = {}
    row = np.arange(900)
    for motion in range(1, 13):
        ground = random.normal(size=900) * np.exp(-(((row - 400) / 120.0) ** 2))
        ground[400] += 6.0
        for state in states:
            value = np.stack([ground, *(_answer(ground, state, storey) for storey in (1, 2, 3))], axis=1)
            scale = float(np.abs(value).max()) * 1000 / 32000
            arrays[f"{state}|{motion}"] = np.round(value * 1000 / scale).astype(np.int16)
            arrays[f"{state}|{motion}|scale"] = np.array(scale)
    np.savez(target / "rc_frame_dec4.npz", **arrays)  # type: ignore[arg-type]  # names hold no "allow_pickle"


def _answer(ground: np.ndarray, state: str, storey: int) -> np.ndarray:
    """Return what a storey makes of the ground: it rings at a frequency that damage lowers."""
    which, _, left = state.partition("_")
    loss = 0.06 if left == "80%" else 0.03
    rate = 0.06 + 0.05 * storey - (loss if which == str(storey) else 0.0)
    time = np.arange(80)
    ring = np.exp(-time / 15.0) * np.cos(2 * np.pi * rate * time)
    return np.convolve(ground, ring)[: len(ground)]


_WRITERS = {"machine": _turbofans, "health": _falls, "structure": _frames}
