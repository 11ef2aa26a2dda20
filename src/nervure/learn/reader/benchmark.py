"""Preparation ``benchmark``: the files that traffic benchmarks are passed around in.

``.h5`` is a pandas frame in HDF5 (METR-LA, PEMS-BAY), ``.npz`` holds ``data [time, node, feature]``
without times (PEMS03 to PEMS08), ``.csv`` and ``.parquet`` have a first column of time stamps and one for
each node. A zero there means that nothing was read.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from nervure.core.error import DataError
from nervure.core.instant import SECOND_NS
from nervure.learn.reader.rows import numbers, read_arrow
from nervure.learn.reader.stamp import stamps

__all__ = ["prepare"]

Floats = NDArray[np.float64]
Longs = NDArray[np.int64]

_EVERY = 300 * SECOND_NS
# Where files of steps alone begin, by their number of nodes: METR-LA, PEMS-BAY, PEMS04, PEMS07, PEMS08.
_FIRST = {207: "2012-03-01", 325: "2017-01-01", 307: "2018-01-01", 883: "2017-05-01", 170: "2016-07-01"}


def prepare(paths: list[Path]) -> pa.Table:
    """Return a wide table: ``timestamp``, and a column for each node; zeros are NaN.

    Raises ``DataError`` where the file is of another kind, or its beginning is not known.
    """
    path = paths[0]
    kinds = {".h5": _hdf, ".npz": _npz, ".csv": _plain, ".parquet": _plain}
    if path.suffix not in kinds:
        raise DataError(
            f"a benchmark is not read from {path.suffix or 'a file without an ending'}",
            where=str(path),
            hint=f"give one of {', '.join(kinds)}",
        )
    names, time, value = kinds[path.suffix](path)
    value = np.where(value == 0, np.nan, value)
    columns = {name: value[:, place] for place, name in enumerate(names)}
    return pa.table({"timestamp": pa.array(time, pa.timestamp("ns")), **columns})


def _hdf(path: Path) -> tuple[list[str], Longs, Floats]:
    """Read the frame that ``DataFrame.to_hdf`` wrote in its fixed format."""
    try:
        import h5py
    except ImportError as cause:
        raise DataError("an .h5 file needs h5py", where=str(path), hint="pip install h5py") from cause
    with h5py.File(path) as file:
        frames = [group for group in file.values() if "axis0" in group and "block0_values" in group]
        if not frames:
            raise DataError(
                "the .h5 file holds no pandas frame in fixed format",
                where=str(path),
                hint="write it anew as csv or parquet, with time stamps in the first column",
            )
        frame = frames[0]
        names = [one.decode() if isinstance(one, bytes) else str(one) for one in frame["axis0"][:]]
        return names, frame["axis1"][:].astype(np.int64), frame["block0_values"][:].astype(np.float64)


def _npz(path: Path) -> tuple[list[str], Longs, Floats]:
    with np.load(path) as file:
        if "data" not in file:
            raise DataError(
                "the .npz file holds no array 'data'", where=str(path), hint=f"it holds: {', '.join(file)}"
            )
        data = file["data"].astype(np.float64)
    value = data[:, :, 0] if data.ndim == 3 else data
    nodes = value.shape[1]
    if nodes not in _FIRST:
        raise DataError(
            f"when a file of {nodes} nodes begins is not known",
            where=str(path),
            hint="write it as csv or parquet, with time stamps in the first column",
        )
    first = np.datetime64(_FIRST[nodes], "ns").astype(np.int64)
    return [str(node) for node in range(nodes)], first + np.arange(len(value)) * _EVERY, value


def _plain(path: Path) -> tuple[list[str], Longs, Floats]:
    table = read_arrow(path)
    clock, *names = table.column_names
    value = np.stack([numbers(table, name, where=str(path)) for name in names], axis=1)
    return names, stamps(table, clock, "UTC", where=str(path)), value
