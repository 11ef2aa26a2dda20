"""Documents: what was read, written as the JSON that a path and its options ask for (18-088, 9.3)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from nervure.serve import following
from nervure.serve.line import columns, lines
from nervure.serve.shape import address, navigation, observation, properties, stream_of
from nervure.store.language.option import Options
from nervure.store.select.hand import Leaf
from nervure.store.select.row import Found, Page, wire_id

__all__ = ["array", "entity", "leaf", "page", "pick", "references", "text"]

_CONTROL = {"id": "@iot.id", "selfLink": "@iot.selfLink"}
_COMPONENTS = ("id", "phenomenonTime", "resultTime", "result")
"""What a row of a data array has in any case, when nothing is selected."""

Given = Mapping[str, str]
"""Options as the client wrote them, by their names."""


def entity(found: Found, base: str, options: Options, given: Given) -> dict[str, Any]:
    """Write an entity, with what is selected of it and expanded in it."""
    row, kind = found.row, found.kind
    start = address(kind, row, base)
    links = navigation(kind, row, start)
    full = {"@iot.id": wire_id(row), "@iot.selfLink": start, **properties(kind, row)}
    if options.select is not None:
        full = _selected(full, links, found, options.select)
    else:
        for name, link in links.items():
            if name not in found.expanded:
                full[f"{name}@iot.navigationLink"] = link
    for name, inner in found.expanded.items():
        expand = next(one.options for one in options.expand if one.relation == name)
        below = following.inside(given, name)
        if isinstance(inner, Found):
            full[name] = entity(inner, base, expand, below)
        else:
            framed = page(inner, links[name], base, expand, below)
            full |= {name if key == "value" else name + key: part for key, part in framed.items()}
    return full


def page(found: Page, start: str, base: str, options: Options, given: Given) -> dict[str, Any]:
    """Write a page; ``start`` is its address without options."""
    return _framed(found, start, given, [entity(one, base, options, given) for one in found.rows])


def text(found: Page, start: str, base: str, options: Options, given: Given) -> dict[str, Any]:
    """Write a page to be sent as it is: plain Observations in it are JSON text already."""
    if found.kind.table != "observation" or options.select is not None or options.expand:
        return page(found, start, base, options, given)
    value = lines(found.rows, base, lambda one: entity(one, base, options, given))
    return _framed(found, start, given, value)


def leaf(found: Leaf, multi: bool, start: str, base: str, given: Given) -> dict[str, Any] | None:
    """Write a page that is there as columns; None if some Observation in it is not plain."""
    value = columns(found.batch, base, multi=multi)
    return None if value is None else _framed(found, start, given, value)


def references(found: Page, start: str, base: str, given: Given) -> dict[str, Any]:
    """Write the addresses of a page's entities, and nothing else of them (18-088, 9.2.7)."""
    value = [{"@iot.selfLink": address(one.kind, one.row, base)} for one in found.rows]
    return _framed(found, start, given, value)


def array(found: Page, start: str, base: str, options: Options, given: Given) -> dict[str, Any]:
    """Write a page of Observations as arrays, one group for each Datastream (18-088, section 12.2)."""
    groups: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for one in found.rows:
        values = {"id": wire_id(one.row), **observation(one.row)}
        groups.setdefault(stream_of(one.row, base), []).append(values)
    value = []
    for (relation, link), rows in groups.items():
        components = _components(rows, options.select)
        value.append(
            {
                f"{relation}@iot.navigationLink": link,
                "components": components,
                "dataArray@iot.count": len(rows),
                "dataArray": [[row.get(name) for name in components] for row in rows],
            }
        )
    return _framed(found, start, given, value)


def pick(value: Any, way: Sequence[str]) -> tuple[bool, Any]:
    """Follow a way into JSON; say whether it leads anywhere, and return what is there.

    >>> pick({"a": {"b": [4, 5]}}, ("a", "b[1]")), pick({"a": 1}, ("c",))
    ((True, 5), (False, None))
    """
    for step in way:
        name, *places = step.replace("]", "").split("[")
        if name:
            if not isinstance(value, dict) or name not in value:
                return False, None
            value = value[name]
        for place in places:
            if not isinstance(value, list) or not place.isdecimal() or int(place) >= len(value):
                return False, None
            value = value[int(place)]
    return True, value


def _framed(found: Page | Leaf, start: str, given: Given, value: list[Any] | msgspec.Raw) -> dict[str, Any]:
    body: dict[str, Any] = {}
    if found.total is not None:
        body["@iot.count"] = found.total
    if found.following is not None:
        body["@iot.nextLink"] = following.address(start, given, found.following)
    body["value"] = value
    return body


def _selected(
    full: dict[str, Any], links: Mapping[str, str], found: Found, select: Sequence[str]
) -> dict[str, Any]:
    kept: dict[str, Any] = {}
    for name in select:
        key = _CONTROL.get(name, name)
        if "/" in key or "[" in key:
            there, value = pick(full, key.split("/"))
            if there:
                _put(kept, key.split("/"), value)
        elif key in full:
            kept[key] = full[key]
        elif key in links and key not in found.expanded:
            kept[f"{key}@iot.navigationLink"] = links[key]
    return kept


def _put(into: dict[str, Any], way: Sequence[str], value: Any) -> None:
    """Put a value at the end of a way, beside what is there already."""
    for step in way[:-1]:
        inner = into.get(step)
        into[step] = inner = dict(inner) if isinstance(inner, dict) else {}
        into = inner
    into[way[-1]] = value


def _components(rows: Sequence[Mapping[str, Any]], select: Sequence[str] | None) -> list[str]:
    if select is not None:
        return list(select)
    present = {name for row in rows for name in row}
    optional = [name for name in ("resultQuality", "validTime", "parameters") if name in present]
    return [*_COMPONENTS, *optional]
