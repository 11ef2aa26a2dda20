"""Recordings of a solution: what models about whole Things learn from and are judged on.

A recording is one run of a Thing: an engine's flights from new to failure, somebody's fall, a frame
under one ground motion. Recordings of one group (an engine, a person, a ground motion) never stand on
both sides of a split.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

import msgspec
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from nervure.core.declaration import Solution, Source
from nervure.core.error import DataError, DeclarationError
from nervure.core.unit import linear
from nervure.learn.dataset import cache_folder
from nervure.learn.detect.block import Block
from nervure.learn.detect.fold import folds
from nervure.learn.reader.rows import names_of, numbers, read_arrow
from nervure.learn.split import Split, by_group, check

__all__ = ["Opener", "Record", "divide", "records"]

Floats = NDArray[np.float64]
Longs = NDArray[np.int64]

_FOLDS = 5


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """One recording, its channels named as the solution's signals and in their units.

    ``truth`` is its class; where not ``whole``, it holds of its strongest moment alone. ``left`` is how
    many rows the machine had left after the last one. ``stratum`` is dealt evenly over folds; a set that
    says what tests it says so in ``part``.
    """

    block: Block
    truth: str = ""
    whole: bool = True
    left: float = 0.0
    stratum: str = ""
    part: Literal["", "test"] = ""

    @property
    def hours(self) -> float:
        """How long the recording lasts."""
        return self.block.days * 24


Opener = Callable[[Solution, Path], Sequence[Record]]


def records(solution: Solution, folder: Path | None = None) -> tuple[Record, ...]:
    """Open a solution's recordings; ``folder`` comes before ``NERVURE_DATA``.

    ``Source.prepare`` is a function of :mod:`nervure.learn.detect.recorded`, or of one's own as
    ``package.module:function``. Without it there is one file, CSV or Parquet, a row a reading, in order:
    the column ``run`` tells recordings apart, that of ``Source.thing`` what a split keeps together;
    ``truth`` is the class of a recording, and ``left`` how many rows a machine had left after its last
    one (none where it is missing: it failed). ``Source.columns`` map the others to signals. Raises
    ``DataError`` where the files are not here, with what to do.
    """
    source = solution.data
    if source is None or source.layout != "runs":
        raise DataError(
            f"{solution.name}: the solution names no recordings", hint='add a Source of layout="runs"'
        )
    found = tuple(_opener(source)(solution, _base(solution, source, folder)))
    if not found:
        raise DataError(f"{solution.name}: there is no recording", where=source.folder)
    return tuple(_screened(solution, one) for one in found)


def _opener(source: Source) -> Opener:
    if source.prepare is None:
        return _long
    module, _, name = source.prepare.rpartition(":")
    try:
        found: Opener = getattr(importlib.import_module(module or "nervure.learn.detect.recorded"), name)
    except (ImportError, AttributeError) as cause:
        raise DeclarationError(
            f"nothing opens recordings by {source.prepare!r}: {cause}", where="$.data"
        ) from cause
    return found


def _base(solution: Solution, source: Source, folder: Path | None) -> Path:
    named = os.environ.get("NERVURE_DATA")
    bases = [*([folder] if folder else [Path(named)] if named else []), cache_folder()]
    for base in bases:
        if all((base / source.folder / name).exists() for name in source.files):
            return base / source.folder
    raise DataError(
        f"the data of {solution.name!r} are not here: {', '.join(source.files)}",
        where=f"looked in {', '.join(str(base / source.folder) for base in bases)}",
        hint=f"set NERVURE_DATA to a folder that holds {source.folder}/{source.files[0]} ({source.cite})",
    )


def _screened(solution: Solution, one: Record) -> Record:
    """Hide values out of the physical range, as live readings are."""
    value = one.block.value.copy()
    for column, name in enumerate(one.block.channels):
        signal = solution.signal(name)
        low = -np.inf if signal.low is None else signal.low
        high = np.inf if signal.high is None else signal.high
        with np.errstate(invalid="ignore"):
            value[(value[:, column] < low) | (value[:, column] > high), column] = np.nan
    return msgspec.structs.replace(one, block=msgspec.structs.replace(one.block, value=value))


def _long(solution: Solution, base: Path) -> list[Record]:
    """Read recordings from one file of a row a reading, as :func:`records` says."""
    source = solution.data
    if source is None or source.thing is None:
        raise DeclarationError("recordings need the column of Things", where="$.data.thing")
    path = base / source.files[0]
    table = read_arrow(path)
    named = names_of(source.columns, table.column_names, where=str(path))
    value = np.stack([numbers(table, name, where=str(path)) for name in named], axis=1)
    for column, signal in enumerate(named.values()):
        factor, offset = linear(
            source.units.get(signal, solution.signal(signal).unit), solution.signal(signal).unit
        )
        value[:, column] = value[:, column] * factor + offset
    every_ns = solution.signals[0].every_ns
    texts = {name: _texts(table, name) for name in (source.thing, "run", "truth")}
    left = numbers(table, "left", where=str(path)) if "left" in table.column_names else np.zeros(len(value))
    group = texts[source.thing]
    run = np.array([f"{one} {other}".strip() for one, other in zip(group, texts["run"], strict=True)])
    edges = np.flatnonzero(run[1:] != run[:-1]) + 1
    made = []
    for rows in np.split(np.arange(len(run)), edges):
        block = Block(
            name=str(run[rows[0]]),
            channels=tuple(named.values()),
            value=value[rows],
            time=np.arange(len(rows), dtype=np.int64) * every_ns,
            every_ns=every_ns,
            group=group[rows[0]],
        )
        made.append(
            Record(block=block, truth=texts["truth"][rows[0]], left=float(np.nan_to_num(left[rows[-1]])))
        )
    return made


def _texts(table: pa.Table, name: str) -> list[str]:
    if name not in table.column_names:
        return [""] * table.num_rows
    return [one or "" for one in table.column(name).cast(pa.string()).to_pylist()]


def divide(found: Sequence[Record]) -> Split:
    """Split recordings by group into train, validation and test: always the same way.

    Where the set says what tests it, a fifth of the other groups validates; else of five folds the
    first tests and the next validates.
    """
    groups = [one.block.group for one in found]
    if not any(one.part == "test" for one in found):
        return folds(groups, _FOLDS, stratum=[one.stratum for one in found])[0]
    own = sorted({one.block.group for one in found if one.part != "test"})
    order = np.random.default_rng(0).permutation(len(own))
    held = [own[place] for place in order[: max(1, len(own) // _FOLDS)]]
    test = sorted({one.block.group for one in found if one.part == "test"})
    return check(by_group(groups, validation=held, test=test))
