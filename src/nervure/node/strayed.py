"""How learned controllers do: whether what they decide about is still what they were taught on.

Nothing comes true that a controller's command could be held against. So it says with its Tasks which share
of what it sees lies outside what it was taught on, beside which did then (:mod:`nervure.core.strange`), and
that is looked at here, loop by loop: what a Task says is of its own loop, and of no other that rests on the
same controller. Who lies about it there is believed, as about its inputs.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

import msgspec

from nervure.core.strange import Strange
from nervure.store.catalogue import Catalogue
from nervure.store.said import said

__all__ = ["LEAST", "Strayed", "strayed"]

LEAST = 10
"""With fewer Tasks that say so nobody is accused."""

_LOOKED_AT = 200
_NEWEST = 50


class Strayed(msgspec.Struct, frozen=True, kw_only=True):
    """Which share of what a controller saw was strange to it, by its newest Tasks, and which usually is."""

    name: str
    version: str
    rows: int
    share: float
    usual: float


def strayed(catalogue: Catalogue, loop: int, names: Collection[str]) -> Iterator[Strayed]:
    """Yield how the controllers of these names do at a loop that say so with its Tasks."""
    with catalogue.database.read() as connection:
        found = said(connection, loop, names, _LOOKED_AT)
    for name, acts in found.items():
        told: list[Strange] = []
        for act in acts[:_NEWEST]:
            try:
                told.append(msgspec.convert(act["strange"], Strange))
            except (KeyError, msgspec.ValidationError):  # it says nothing that can be read
                continue
        told = [one for one in told if one.version == told[0].version]  # of another it says nothing
        if told:
            share = sum(one.share for one in told) / len(told)
            yield Strayed(
                name=name, version=told[0].version, rows=len(told), share=share, usual=told[0].usual
            )
