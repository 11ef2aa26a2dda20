"""Labels of spans in the catalogue: in the properties of their Datastreams, with a line of the audit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import sqlalchemy as sa

from nervure.core.error import ConflictError, NotFoundError
from nervure.core.instant import iso
from nervure.core.label import LABELS, Label, labels_of
from nervure.store import model, sql, tally

__all__ = ["MOST", "add", "read", "remove"]

MOST = 500
"""So many labels a Datastream has at most."""


def read(connection: sa.Connection, datastreams: Sequence[int]) -> dict[int, list[Label]]:
    """Return the labels of those Datastreams that have any."""
    table = sql.datastream
    query = sa.select(table.c.id, table.c.properties).where(table.c.id.in_(list(datastreams)))
    found = {int(row.id): labels_of(row.properties or {}) for row in connection.execute(query)}
    return {key: labels for key, labels in found.items() if labels}


def add(connection: sa.Connection, datastreams: Sequence[int], label: Label) -> None:
    """Put a label on a span of some Datastreams."""
    for one in datastreams:
        properties = _properties(connection, one)
        given = [*labels_of(properties), label]
        if len(given) > MOST:
            raise ConflictError(
                f"Datastream {one} has {MOST} labels already", hint="take some back that say the same"
            )
        _write(connection, one, properties, given)
    model.audit(connection, label.by, "label.add", _told(list(datastreams), label))
    tally.count(connection)


def remove(connection: sa.Connection, datastream: int, identity: str, who: str) -> None:
    """Take a label back."""
    properties = _properties(connection, datastream)
    given = labels_of(properties)
    gone = [one for one in given if one.id == identity]
    if not gone:
        raise NotFoundError(f"Datastream {datastream} has no label {identity!r}")
    _write(connection, datastream, properties, [one for one in given if one.id != identity])
    model.audit(connection, who, "label.remove", _told([datastream], gone[0]))
    tally.count(connection)


def _properties(connection: sa.Connection, datastream: int) -> dict[str, Any]:
    table = sql.datastream
    row = connection.execute(sa.select(table.c.properties).where(table.c.id == datastream)).one_or_none()
    if row is None:
        raise NotFoundError(f"there is no Datastream {datastream}")
    return dict(row.properties or {})


def _write(
    connection: sa.Connection, datastream: int, properties: dict[str, Any], given: Sequence[Label]
) -> None:
    table = sql.datastream
    kept = {name: value for name, value in properties.items() if name != LABELS}
    said = kept | ({LABELS: [msgspec.to_builtins(one) for one in given]} if given else {})
    connection.execute(sa.update(table).where(table.c.id == datastream).values(properties=said))


def _told(datastreams: list[int], label: Label) -> dict[str, Any]:
    span = {"from": iso(label.since_ns), "to": iso(label.until_ns)}
    return {"datastreams": datastreams, "label": label.label, "note": label.note} | span
