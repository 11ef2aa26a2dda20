"""Changing entities: PATCH, PUT and JSON Patch (18-088, section 10.3)."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import sqlalchemy as sa

from nervure.core.error import ConflictError, QueryError, UnsupportedQuery
from nervure.core.instant import iso
from nervure.core.sensorthings import BY_NAME, Kind, Relation
from nervure.core.unit import code_of
from nervure.store import sql
from nervure.store.write import area, content, insert, multi, task
from nervure.store.write.form import Touched
from nervure.store.write.possible import bounds
from nervure.store.write.work import Work, related

__all__ = ["change", "document", "patched"]

_SEEN_BY_STREAMS = frozenset({"Thing", "Location", "HistoricalLocation", "Datastream", "MultiDatastream"})
_OPERATIONS = 1_000
_COPIES = 100
_LARGEST = 1 << 20
"""Bytes: what is copied into itself doubles each time."""


def change(work: Work, kind: Kind, id: int, body: object, *, replace: bool) -> None:
    """Change what a body names; with ``replace``, what it does not name becomes empty."""
    row = work.find(kind, id)
    said = content.read(kind, body, partial=not replace)
    values = dict(said.values)
    lists: dict[str, list[int]] = {}
    for relation in kind.relations:
        if relation.name not in said.relations:
            continue
        where = f"$.{relation.name}"
        if relation.column:
            values[relation.column] = _link(work, relation, said.relations[relation.name], where)
        else:
            lists[relation.name] = _links(work, relation, said.relations[relation.name], where)
    _before(work, kind, row, values, lists)
    if values:
        work.update(kind, id, values)
    for name, ids in lists.items():
        _relate(work, kind, id, name, ids)
    _after(work, kind, row, values)
    names = {one.name for one in kind.properties if set(one.columns) & values.keys()}
    work.changed.append(Touched(kind=kind.name, id=id, properties=frozenset(names)))


def document(kind: Kind, row: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a client may change of an entity, as JSON."""
    found: dict[str, Any] = {}
    for one in kind.properties:
        if one.given:
            continue
        value = row[one.columns[0]]
        found[one.name] = iso(value) if one.form == "instant" else copy.deepcopy(value)
    return found


def patched(before: Mapping[str, Any], operations: object) -> dict[str, Any]:
    """Apply JSON Patch (RFC 6902) to a document and return what comes out; the first stays as it is.

    A test that fails raises ``ConflictError``, a patch that is none or does not fit ``QueryError``.

    >>> patched({"name": "a"}, [{"op": "replace", "path": "/name", "value": "b"}])
    {'name': 'b'}
    """
    import jsonpatch

    if not isinstance(operations, list) or len(operations) > _OPERATIONS:
        raise QueryError(f"a JSON Patch is an array of at most {_OPERATIONS} operations", where="$")
    after: Any = copy.deepcopy(dict(before))
    copies = 0
    try:
        for operation in operations:
            after = jsonpatch.JsonPatch([operation]).apply(after, in_place=True)
            copies += operation["op"] == "copy"
            if operation["op"] == "copy" and (copies > _COPIES or len(msgspec.json.encode(after)) > _LARGEST):
                raise QueryError(f"the patch copies more than {_COPIES} times, or too much")
    except jsonpatch.JsonPatchTestFailed as cause:
        raise ConflictError(f"a test of the patch failed: {cause}") from cause
    except (jsonpatch.JsonPatchException, jsonpatch.JsonPointerException) as cause:
        raise QueryError(f"the patch cannot be applied: {cause}") from cause
    except (AttributeError, KeyError, IndexError, TypeError, ValueError, RecursionError) as cause:
        raise QueryError("the patch cannot be applied", hint="see RFC 6902") from cause
    if not isinstance(after, dict):
        raise QueryError("the patch leaves no JSON object")
    return after


def _link(work: Work, relation: Relation, value: object, where: str) -> int | None:
    if value is None:
        if relation.required:
            raise QueryError(f"{relation.name} may not be taken away", where=where, hint="it is mandatory")
        return None
    return work.referred(BY_NAME[relation.target], _name(value, where), where)


def _links(work: Work, relation: Relation, value: object, where: str) -> list[int]:
    found: list[int] = []
    for index, item in enumerate(content.items(value or [], where)):
        place = f"{where}[{index}]"
        name = _name(item, place)
        if relation.target == "Observation":
            raise UnsupportedQuery("an Observation keeps its Datastream", where=place)
        found.append(work.referred(BY_NAME[relation.target], name, place))
    return found


def _name(value: object, where: str) -> int | str:
    """Return whom a body links; a change may not bring new entities along (18-088, section 10.3.1)."""
    name = content.name_of(value) if isinstance(value, Mapping) else None
    if name is None:
        raise QueryError("a change links entities that are there", where=where, hint='write {"@iot.id": 1}')
    return name


def _before(
    work: Work, kind: Kind, row: Mapping[str, Any], values: dict[str, Any], lists: dict[str, list[int]]
) -> None:
    """Check what belongs together, and add what follows from the change."""
    if kind.name == "MultiDatastream":
        multi.changed(work, row, values, lists.pop("ObservedProperties", []))
    elif kind.name == "Datastream" and not row["solution"]:  # what is declared is what readings come in
        if "unit_of_measurement" in values:
            values["unit"] = code_of(values["unit_of_measurement"])
        if "properties" in values:
            values |= bounds(values["properties"], "$")
    elif kind.name == "Task" and values.keys() & {"tasking_parameters", "tasking_capability_id"}:
        after = {**row, **values}
        task.check(work, after["tasking_capability_id"], after["tasking_parameters"], "$")
    elif kind.name == "TaskingCapability":
        task.keeps(work, row, {**row, **values}, "$")
    elif kind.name == "Location" and any(
        row[name] != values.get(name, row[name]) for name in ("location", "encoding_type")
    ):
        values["feature_id"] = None  # Observations that were made keep theirs, new ones get a new one


def _relate(work: Work, kind: Kind, id: int, name: str, ids: Sequence[int]) -> None:
    if (kind.name, name) == ("Thing", "Locations"):
        insert.pair(work, kind, id, name, ids)
        return
    for one in ids:
        insert.adopt(work, kind, id, related(kind, name), one, f"$.{name}")


def _after(work: Work, kind: Kind, row: Mapping[str, Any], values: Mapping[str, Any]) -> None:
    if kind.name in _SEEN_BY_STREAMS:
        work.touched = True
    moved = values.get("feature", row.get("feature")) != row.get("feature")
    if kind.name == "FeatureOfInterest" and (moved or "encoding_type" in values):
        table = sql.datastream_feature
        held = sa.select(table.c.datastream_id).where(table.c.feature_id == row["id"])
        area.recompute(work.connection, work.connection.execute(held).scalars().all())
