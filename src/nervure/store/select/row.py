"""Rows: what is read of entities, before it is written as JSON, and which columns that takes."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from nervure.core.sensorthings import Kind, Relation
from nervure.store.language.option import Options
from nervure.store.select.condition import table_of

__all__ = ["Found", "Page", "Within", "columns", "wire_id"]

_BESIDES: dict[tuple[str, str], tuple[str, ...]] = {
    ("datastream", "unitOfMeasurement"): ("unit",),
    ("datastream", "observationType"): ("multi",),
    ("datastream", "properties"): (
        "solution", "signal", "kind", "source_id", "every_ns", "low", "high",
    ),
}  # fmt: skip
"""Columns that a property is written from besides its own: what a solution declared."""


class Found(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """An entity: its columns by name, and what was expanded of it by relation.

    A relation to one that leads nowhere is not in ``expanded``.
    """

    kind: Kind
    row: Mapping[str, Any]
    expanded: Mapping[str, Found | Page] = {}


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """Some entities in order, how many there are in all if that was asked, and how it goes on.

    ``following`` is the option that asks for the next page, ``("$skiptoken", …)`` or ``("$skip", …)``.
    """

    kind: Kind
    rows: Sequence[Found] = ()
    total: int | None = None
    following: tuple[str, str] | None = None


class Within(msgspec.Struct, frozen=True, kw_only=True):
    """Entities that are meant: those that a relation leads to from some entities (row ids)."""

    relation: Relation
    ids: tuple[int, ...]


def wire_id(row: Mapping[str, Any]) -> int | str:
    """Return the id as a client sees it: the key it chose, or else the number.

    >>> wire_id({"id": 7, "key": None}), wire_id({"id": 7, "key": "abc"})
    (7, 'abc')
    """
    key = row.get("key")
    found: int | str = row["id"] if key is None else key
    return found


def columns(kind: Kind, options: Options) -> list[str]:
    """Return the columns that an answer needs, the id first."""
    selected = None if options.select is None else {re.split(r"[/[]", name)[0] for name in options.select}
    wanted = ["id", "key"]
    for one in kind.properties:
        if selected is None or one.name in selected:
            wanted += [*one.columns, *_BESIDES.get((kind.table, one.name), ())]
    expanded = {one.relation for one in options.expand}
    for relation in kind.relations:
        if relation.column and (selected is None or relation.name in selected or relation.name in expanded):
            wanted.append(relation.column)
    return [name for name in dict.fromkeys(wanted) if name in table_of(kind).c]
