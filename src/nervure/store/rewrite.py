"""Rewriting: files without the rows that are gone, and what came meanwhile, for one commit.

A deleted Observation leaves the table as Delta knows it: the file that holds it is replaced by one
without it. That costs as much as the file is large, so changes are gathered for a while.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from nervure.core.instant import DAY_NS
from nervure.core.observation import Batch
from nervure.store.column import to_arrow
from nervure.store.delta import Fresh
from nervure.store.engine import Engine
from nervure.store.gone import Gone
from nervure.store.merge import SORTED, statistics
from nervure.store.shelf import Files, Shelf

__all__ = ["rewritten"]

Place = Callable[[int], Path]
"""Returns a fresh file for a day."""


def rewritten(
    engine: Engine, shelf: Shelf, gone: Gone, rows: Batch, place: Place
) -> tuple[list[int], list[Fresh]]:
    """Write what a commit needs; return the files to take out and those to put in."""
    old: list[int] = []
    new: list[Fresh] = []
    for number, left in _concerned(engine, shelf, gone):
        old.append(number)
        if left:
            day = int(shelf.day[number])
            target = place(day)
            engine.copy(SORTED, shelf.files([number]), target, gone=gone)
            new.append(Fresh(path=target, day=day, statistics=statistics(engine, target, left)))
    days = rows.time // DAY_NS
    for day in np.unique(days).tolist():
        some = rows.take(days == day)
        target = place(day)
        target.parent.mkdir(exist_ok=True)
        engine.copy(SORTED, Files(), target, memory=[to_arrow(some)])
        new.append(Fresh(path=target, day=day, statistics=statistics(engine, target, len(some))))
    return old, new


def _concerned(engine: Engine, shelf: Shelf, gone: Gone) -> Iterator[tuple[int, int]]:
    """Yield the files that hold something that is gone, each with how many rows stay."""
    maybe: set[str] = set()
    for files in (shelf.choose(identity=list(gone.ids)), shelf.choose(ids=list(gone.datastreams))):
        maybe.update(files.wide, files.narrow)
    if gone.features:
        maybe.update(shelf.path[shelf.wide].tolist())
    for number in np.flatnonzero(np.isin(shelf.path.astype(str), list(maybe))).tolist():
        found = engine.rows(
            "SELECT count(*) AS rows FROM {observation}", shelf.files([number]), (), gone=gone
        )
        left = int(found["rows"][0].as_py())
        if left < int(shelf.rows[number]):
            yield number, left
