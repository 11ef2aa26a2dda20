"""Figures of an earlier report that today's code has not measured anew: kept, and named as such."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from pathlib import Path
from typing import TypeVar

from msgspec.structs import replace

from nervure.bench.forecast.document import save
from nervure.bench.signal.document import Document, read
from nervure.bench.signal.job import LEARNED
from nervure.bench.signal.page import publish

__all__ = ["filled", "put"]

One = TypeVar("One")


def put(document: Document, out: Path, *, fill: bool) -> Document:
    """Write a report into a folder, with ``fill`` along with what only the report there has; return it."""
    path = out / "signals.json"
    if fill and path.is_file():
        document = filled(document, read(path))
    save(document, path)
    publish(document, out)
    return document


def filled(new: Document, old: Document) -> Document:
    """Return a report with what only the earlier one has; ``older`` names that, with its day.

    A learned controller that is kept keeps its comparison only with a rule that was not measured anew:
    whether it would be promoted over another is not known, and ``missing`` says so.
    """
    rows = _more(new.rows, old.rows, lambda one: (one.net, one.controller))
    robust = _more(new.robust, old.robust, lambda one: (one.net, one.demand, one.faults))
    starved = _more(new.starved, old.starved, lambda one: (one.net, one.policy))
    kept = {(one.net, one.controller) for one in rows if one.controller in LEARNED}
    now = {(one.net, one.controller, one.mean["delay"]) for one in (*new.rows, *rows)}
    valid = [one for one in old.promotions if (one.net, one.rule, one.rule_delay_s) in now]
    compared = {(one.net, one.controller) for one in (*new.promotions, *valid)}
    day = old.made[:10]
    lines = [f"{one.net}, {one.controller}" for one in rows]
    lines += [
        f"{one.net}, max-pressure at demand {one.demand:g} with {one.faults:.0%} faulty" for one in robust
    ]
    lines += [f"{one.net}, {one.policy}" for one in starved]
    return replace(
        new,
        rows=(*new.rows, *rows),
        robust=(*new.robust, *robust),
        starved=(*new.starved, *starved),
        promotions=(*new.promotions, *(one for one in valid if (one.net, one.controller) in kept)),
        trainings=(*new.trainings, *(one for one in old.trainings if (one.net, one.controller) in kept)),
        missing=(
            *(one for one in new.missing if not _is_there(one, lines)),
            *(f"{net}, {one} against the rules of today" for net, one in sorted(kept - compared)),
        ),
        older=(*(one for one in old.older if one.partition(" (")[0] in lines), *_dated(lines, old, day)),
    )


def _more(new: Sequence[One], old: Sequence[One], key: Callable[[One], Hashable]) -> list[One]:
    there = {key(one) for one in new}
    return [one for one in old if key(one) not in there]


def _is_there(missing: str, lines: Sequence[str]) -> bool:
    return any(missing == f"{one} at demand 1" for one in lines)


def _dated(lines: Sequence[str], old: Document, day: str) -> list[str]:
    known = {one.partition(" (")[0] for one in old.older}
    return [f"{one} ({day})" for one in lines if one not in known]
