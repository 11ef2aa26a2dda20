"""Adding and taking away relations by ``$ref`` (18-088, section 10.2.2)."""

from __future__ import annotations

import sqlalchemy as sa

from nervure.core.error import NotFoundError, QueryError, UnsupportedQuery
from nervure.core.sensorthings import BY_NAME, Kind, Relation
from nervure.store import sql
from nervure.store.write import insert, multi, place
from nervure.store.write.form import Parent
from nervure.store.write.work import Work

__all__ = ["link", "relation_of", "unlink"]


def relation_of(parent: Parent) -> tuple[Kind, Relation]:
    """Return the kind of a parent and the relation that a request goes through."""
    kind = BY_NAME[parent.kind]
    relation = kind.relation(parent.relation)
    if relation is None:
        names = ", ".join(one.name for one in kind.relations)
        raise QueryError(f"{kind.name} has no relation {parent.relation!r}", hint=f"it has {names}")
    return kind, relation


def link(work: Work, parent: Parent, target: int) -> None:
    """Relate two entities that are there."""
    kind, relation = relation_of(parent)
    _no_observation(kind, relation)
    work.find(kind, parent.id)
    work.find(BY_NAME[relation.target], target)
    if relation.column:
        work.update(kind, parent.id, {relation.column: target})
        work.touched = True
    elif (kind.name, relation.name) == ("Thing", "Locations"):
        place.move(work, parent.id, [*place.present(work, parent.id), target])
    elif relation.name == "ObservedProperties":
        raise QueryError(
            "a MultiDatastream takes an ObservedProperty together with its unit and data type",
            hint="PATCH the MultiDatastream with all three",
        )
    else:
        insert.adopt(work, kind, parent.id, relation, target, "$")


def unlink(work: Work, parent: Parent, target: int | None) -> None:
    """Take a relation away; one that an entity cannot be without stays."""
    kind, relation = relation_of(parent)
    _no_observation(kind, relation)
    row = work.find(kind, parent.id)
    if relation.column:
        held = row[relation.column]
        if held is None or (target is not None and held != target):
            raise NotFoundError(f"{kind.name} {parent.id} is not linked to that {relation.target}")
        _refuse(relation, kind)
        work.update(kind, parent.id, {relation.column: None})
    elif target is None:
        raise QueryError(f"which of the {relation.name}?", hint="name it: /$ref?$id=Locations(1)")
    elif relation.foreign:
        _refuse_inverse(work, parent, relation, target)
    elif not _take_pair(work, kind, relation, parent.id, target):
        raise NotFoundError(f"{kind.name} {parent.id} is not linked to {relation.target} {target}")
    work.touched = True


def _no_observation(kind: Kind, relation: Relation) -> None:
    if "Observation" in (kind.name, relation.target):
        raise UnsupportedQuery("an Observation keeps its Datastream and its FeatureOfInterest")


def _refuse(relation: Relation, kind: Kind) -> None:
    if relation.required:
        raise QueryError(f"{kind.name} cannot be without {relation.name}", hint="link another one instead")


def _refuse_inverse(work: Work, parent: Parent, relation: Relation, target: int) -> None:
    """The other side holds the key; every kind that holds one cannot be without it."""
    child = BY_NAME[relation.target]
    back = child.relation(relation.inverse)
    row = work.find(child, target)
    if row[relation.foreign] != parent.id:
        raise NotFoundError(f"{parent.kind} {parent.id} is not linked to {child.name} {target}")
    if back is not None:
        _refuse(back, child)
    work.update(child, target, {relation.foreign: None})


def _take_pair(work: Work, kind: Kind, relation: Relation, id: int, target: int) -> bool:
    names = {kind.name, relation.target}
    if names == {"Thing", "Location"}:
        thing, location = (id, target) if kind.name == "Thing" else (target, id)
        return place.leave(work, thing, location)
    if names == {"MultiDatastream", "ObservedProperty"}:
        stream, gone = (id, target) if kind.name == "MultiDatastream" else (target, id)
        return multi.take_out(work, work.find(BY_NAME["MultiDatastream"], stream), gone)
    stay, location = (id, target) if kind.name == "HistoricalLocation" else (target, id)
    table = sql.historical_place
    query = sa.select(table.c.location_id).where(table.c.historical_location_id == stay)
    present = set(work.connection.execute(query).scalars())
    if location not in present:
        return False
    if len(present) == 1:
        raise QueryError("a HistoricalLocation needs a Location; this is its last")
    here = sa.and_(table.c.historical_location_id == stay, table.c.location_id == location)
    work.connection.execute(sa.delete(table).where(here))
    return True
