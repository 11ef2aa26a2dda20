"""Where the files of a set lie, and how their columns are read."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
from numpy.typing import NDArray

from nervure.core.error import DataError
from nervure.learn.dataset import cache_folder
from nervure.learn.reader.rows import as_numpy, numbers

__all__ = ["arrays", "clock", "columns", "matrix", "place", "texts"]

Floats = NDArray[np.float64]
Longs = NDArray[np.int64]


def place(name: str, *files: str, folder: Path | None = None) -> Path:
    """Return the folder that holds every file of a set; ``folder`` comes before ``NERVURE_DATA``.

    ``name`` is the folder below those, such as ``water/batadal``. Raises ``DataError`` where a file
    is missing, with what to do.
    """
    named = os.environ.get("NERVURE_DATA")
    bases = [folder] if folder else [Path(named)] if named else []
    bases.append(cache_folder())
    for base in bases:
        if all((base / name / one).exists() for one in files):
            return base / name
    raise DataError(
        f"the set {name} is not here: {', '.join(files)}",
        where=f"looked in {', '.join(str(base / name) for base in bases)}",
        hint=f"set NERVURE_DATA to a folder that holds {name}/{files[0]}",
    )


def columns(found: pa.Table, wanted: Sequence[str], *, where: Path) -> None:
    """Raise ``DataError`` where a column is missing."""
    missing = [one for one in wanted if one not in found.column_names]
    if missing:
        raise DataError(
            f"there is no column {missing[0]!r}",
            where=str(where),
            hint=f"there are: {', '.join(found.column_names[:20])}",
        )


def matrix(found: pa.Table, wanted: Sequence[str], *, where: Path) -> Floats:
    """Return columns as ``[row, column]``, NaN where a cell is empty."""
    columns(found, wanted, where=where)
    return np.stack([numbers(found, one, where=str(where)) for one in wanted], axis=1)


def texts(found: pa.Table, name: str, *, where: Path) -> NDArray[np.str_]:
    """Return a column of texts ``[row]``; an empty cell is an empty text."""
    columns(found, [name], where=where)
    return np.array([one or "" for one in found.column(name).cast(pa.string()).to_pylist()], dtype=np.str_)


def clock(found: pa.Table, name: str, *, where: Path) -> Longs:
    """Return a column of stamps in nanoseconds, ``[row]``, as they are written: no zone is applied."""
    columns(found, [name], where=where)
    column = found.column(name)
    if column.null_count or not pa.types.is_timestamp(column.type):
        raise DataError(f"column {name!r} holds no time stamps, or not in every row", where=str(where))
    stamps: Longs = as_numpy(column.cast(pa.timestamp("ns")).cast(pa.int64()).combine_chunks())
    return stamps


def arrays(path: Path) -> dict[str, NDArray[np.generic]]:
    """Read every array of an ``.npz`` file; pickled objects are refused."""
    try:
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except (OSError, ValueError) as cause:
        raise DataError(f"cannot read {path.name}: {cause}", where=str(path)) from cause
