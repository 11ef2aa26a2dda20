"""Rewriting: files without the rows that are gone, and what came meanwhile, for one commit.

A deleted Observation leaves the table as Delta knows it: the file that holds it is replaced by one
without it. That costs as much as the file is large, so changes are gathered for a while.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from nervure.store.delta import Fresh
from nervure.store.engine import Engine
from nervure.store.gone import Gone
from nervure.store.lay import lay
from nervure.store.merge import statistics
from nervure.store.seal import Place
from nervure.store.shelf import Shelf

__all__ = ["rewritten"]


def rewritten(engine: Engine, shelf: Shelf, gone: Gone, place: Place) -> tuple[list[int], list[Fresh]]:
    """Write anew what stays of files; return those to take out and those to put in."""
    old: list[int] = []
    new: list[Fresh] = []
    for number, left in _concerned(engine, shelf, gone):
        old.append(number)
        if left:
            day = int(shelf.day[number])
            target = place(day)
            lay(shelf.files([number]), target, gone=gone)
            new.append(Fresh(path=target, day=day, statistics=statistics(engine, target, left)))
    return old, new


def _concerned(engine: Engine, shelf: Shelf, gone: Gone) -> Iterator[tuple[int, int]]:
    """Yield the files that hold something that is gone, each with how many rows stay."""
    maybe: set[str] = set()
    for files in (shelf.choose(identity=list(gone.ids)), shelf.choose(ids=list(gone.datastreams))):
        maybe.update(files.paths)
    if gone.features:
        maybe.update(shelf.path[~shelf.without("feature")].tolist())
    for number in np.flatnonzero(np.isin(shelf.path.astype(str), list(maybe))).tolist():
        found = engine.rows(
            "SELECT count(*) AS rows FROM {observation}", shelf.files([number]), (), gone=gone
        )
        left = int(found["rows"][0].as_py())
        if left < int(shelf.rows[number]):
            yield number, left
