"""What the body of a request says, checked against the data model and turned into columns."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from nervure.core.error import QueryError
from nervure.core.sensorthings import Kind, Property
from nervure.store.write.area import GEOJSON, geometry
from nervure.store.write.moment import nanoseconds

__all__ = ["Content", "items", "name_of", "read", "reference"]

_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")
_IDS = ("@iot.id", "id")
_UNIT_NAMES = ("name", "symbol", "definition")
_JSON = {"object": (dict, "a JSON object"), "list": (list, "a JSON array")}


class Content(msgspec.Struct, frozen=True, kw_only=True):
    """A body: its values by column, its relations as they were written, the key the client chose."""

    values: dict[str, Any]
    relations: dict[str, Any]
    key: str | None


def read(kind: Kind, body: object, where: str = "$", *, partial: bool = False) -> Content:
    """Check a body and return what it says.

    ``partial``: properties that are not named stay as they are; otherwise mandatory ones must be
    there, and optional ones become empty. What the service gives by itself, and annotations, are
    passed over. What is wrong raises ``QueryError`` with its place in the body.
    """
    entity = _object(kind, body, where)
    _check_names(kind, entity, where)
    values: dict[str, Any] = {}
    for one in kind.properties:
        if one.given or (partial and one.name not in entity):
            continue
        values[one.columns[0]] = _value(one, entity, f"{where}.{one.name}", kind)
    _check_geometry(kind, values, where)
    relations = {one.name: entity[one.name] for one in kind.relations if one.name in entity}
    key = name_of(entity)
    if isinstance(key, str):
        _text(key, f"{where}['@iot.id']")
        if not key:
            raise QueryError("a key may not be empty", where=where)
    return Content(values=values, relations=relations, key=key if isinstance(key, str) else None)


def name_of(entity: Mapping[str, Any]) -> int | str | None:
    """Return the id that a body carries, or None."""
    for name in _IDS:
        value = entity.get(name)
        if isinstance(value, str) or (isinstance(value, int) and not isinstance(value, bool)):
            return value
    return None


def reference(value: object) -> int | str | None:
    """Return whom a body refers to, or None if it describes an entity of its own.

    A number always refers to an entity that is there, whatever else stands beside it; a text does
    when nothing stands beside it, for otherwise it may be the key of a new one.
    """
    if not isinstance(value, Mapping):
        return None
    name = name_of(value)
    alone = all("@" in one or one in _IDS for one in value)
    return name if isinstance(name, int) or alone else None


def items(value: object, where: str) -> list[Any]:
    """Return the members of a to-many relation."""
    if isinstance(value, list):
        return value
    if isinstance(value, Mapping):
        return [value]
    raise QueryError("a relation to many needs an array", where=where)


def _object(kind: Kind, body: object, where: str) -> Mapping[str, Any]:
    if not isinstance(body, Mapping):
        raise QueryError(f"{kind.name} needs a JSON object", where=where)
    return body


def _check_names(kind: Kind, entity: Iterable[str], where: str) -> None:
    known = [*(one.name for one in kind.properties), *(one.name for one in kind.relations)]
    for name in entity:
        if name not in known and "@" not in name and name not in _IDS:
            raise QueryError(
                f"{kind.name} has no property {name!r}",
                where=f"{where}.{name}",
                hint=f"it has {', '.join(known)}",
            )


def _value(one: Property, entity: Mapping[str, Any], where: str, kind: Kind) -> Any:
    value = entity.get(one.name)
    if value is None:
        if one.required:
            lack = "may not be null" if one.name in entity else "is missing"
            raise QueryError(f"{kind.name}: {one.name} {lack}", where=where, hint="it is mandatory")
        return [] if one.form == "list" else None
    if one.form == "text":
        return _text(value, where)
    if one.form == "instant":
        return nanoseconds(value, where)
    if one.form in _JSON:
        form, name = _JSON[one.form]
        if not isinstance(value, form):
            raise QueryError(f"{one.name} must be {name}", where=where)
    _check_json(value, where)
    if one.name.startswith("unitOfMeasurement"):
        for unit in value if isinstance(value, list) else [value]:
            _check_unit(unit, where)
    if one.name == "multiObservationDataTypes":
        for text in value:
            _text(text, where)
    return value


def _text(value: object, where: str) -> str:
    if not isinstance(value, str):
        raise QueryError(f"{where.rpartition('.')[2]} must be a text", where=where)
    try:
        value.encode()
    except UnicodeEncodeError as cause:
        raise QueryError("this is no valid Unicode", where=where) from cause
    if "\0" in value:
        raise QueryError("a text may not hold the character U+0000", where=where)
    return value


def _check_json(value: object, where: str) -> None:
    try:
        text = msgspec.json.encode(value)
    except (OverflowError, RecursionError, TypeError, ValueError) as cause:
        raise QueryError("this has no form in JSON", where=where) from cause
    if _NUL.search(text):
        raise QueryError("a text may not hold the character U+0000", where=where)


def _check_unit(unit: object, where: str) -> None:
    if not isinstance(unit, dict):
        raise QueryError("a unit must be a JSON object with name, symbol and definition", where=where)
    for name in _UNIT_NAMES:
        if not isinstance(unit.get(name), str | None):
            raise QueryError(f"{name} of a unit must be a text", where=f"{where}.{name}")


def _check_geometry(kind: Kind, values: Mapping[str, Any], where: str) -> None:
    """What says that it is GeoJSON must be GeoJSON, for it is compared with other geometry."""
    name = "feature" if kind.name == "FeatureOfInterest" else "location"
    if name not in values or values.get("encoding_type") not in GEOJSON:
        return
    if not isinstance(values[name], dict) or geometry(values[name]) is None:
        raise QueryError(f"{name} is no GeoJSON", where=f"{where}.{name}", hint="see RFC 7946")
