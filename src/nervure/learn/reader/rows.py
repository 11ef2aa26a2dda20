"""What a reader hands over: readings as columns, with the names of their streams."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
from numpy.typing import NDArray

from nervure.core.error import DataError

__all__ = ["Rows", "as_numpy", "names_of", "numbers", "read_arrow"]


class Rows(msgspec.Struct, frozen=True, kw_only=True):
    """Readings ``[row]``: the stream's place in ``streams``, UTC nanoseconds, value (NaN: none).

    ``properties`` maps a Thing's name to what is known of it.
    """

    streams: tuple[str, ...]
    column: NDArray[np.int32] | NDArray[np.int64]
    time: NDArray[np.int64]
    value: NDArray[np.float64]
    properties: dict[str, dict[str, Any]] = {}

    @classmethod
    def of_grid(cls, streams: Sequence[str], time: NDArray[np.int64], value: NDArray[np.float64]) -> Rows:
        """Flatten a grid ``[time, stream]``."""
        height, width = value.shape
        return cls(
            streams=tuple(streams),
            column=np.tile(np.arange(width, dtype=np.int32), height),
            time=np.repeat(time, width),
            value=value.reshape(-1),
        )


def read_arrow(path: Path) -> pa.Table:
    """Read a CSV (also gzipped) or Parquet file."""
    try:
        if path.suffix == ".parquet":
            with pa.parquet.ParquetFile(path) as file:  # read_table imports pandas, 40 MB
                return file.read()
        return pa.csv.read_csv(path)
    except (OSError, pa.ArrowInvalid) as cause:
        raise DataError(f"cannot read {path.name}: {cause}", where=str(path)) from cause


def names_of(columns: Mapping[str, str], found: Sequence[str], *, where: str) -> dict[str, str]:
    r"""Map the columns of a file to streams or signals by the declared patterns.

    >>> names_of({r"dma_(\d+)": r"DMA \1/inflow", "rain": "rain"}, ["time", "dma_7", "rain"], where="x.csv")
    {'dma_7': 'DMA 7/inflow', 'rain': 'rain'}
    """
    named: dict[str, str] = {}
    for pattern, target in columns.items():
        hits = [(name, hit) for name in found if (hit := re.fullmatch(pattern, name))]
        if not hits:
            raise DataError(
                f"no column matches {pattern!r}", where=where, hint=f"there are: {', '.join(found[:20])}"
            )
        named |= {name: hit.expand(target) for name, hit in hits}
    return named


def numbers(table: pa.Table, name: str, *, where: str) -> NDArray[np.float64]:
    """Return a column as floats, NaN where it is empty."""
    try:
        column = table.column(name).cast(pa.float64())
    except pa.ArrowInvalid as cause:
        raise DataError(f"column {name!r} holds no numbers: {cause}", where=where) from cause
    values = np.array(as_numpy(column.combine_chunks()))  # its own, to be written to
    if column.null_count:
        values[as_numpy(column.is_null().cast(pa.uint8()).combine_chunks()) == 1] = np.nan
    return values


def as_numpy(column: pa.Array) -> NDArray[Any]:
    """Return the numbers of a column, whatever stands where there are none.

    Arrow's own ``to_numpy`` imports pandas, which takes 40 MB.
    """
    kind = column.type.to_pandas_dtype()
    if not len(column):
        return np.empty(0, kind)
    return np.frombuffer(column.buffers()[1], kind)[column.offset : column.offset + len(column)]
