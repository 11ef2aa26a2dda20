"""Which right every route takes: one table, from which the doors check and the tests draw.

What stands in no line takes ``read`` to look at and ``write`` to change, so a route that somebody
forgets here is never open to all.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import msgspec

from nervure.core.sensorthings import BY_NAME, BY_SET, KINDS
from nervure.serve.control.table import ROUTES, find
from nervure.trust.right import Right

__all__ = ["PLAIN", "Permit", "permits", "right_for", "rights_inside", "shows_all"]

STA = "/v1.1"
_LOOKS = frozenset({"GET", "HEAD"})
_KEY = re.compile(r"'(?:[^']|'')*'")
_SHOWS_ALL = frozenset({"/status", "/metrics"})

PLAIN: dict[tuple[str, str], Right | None] = {
    ("GET", "/health"): None,  # a watchdog and a load balancer have no account; it says ok or failing
    ("GET", "/status"): "read",
    ("GET", "/metrics"): "read",
    ("GET", "/alerts"): "read",
    ("GET", "/"): None,  # says what there is; a browser goes on to the console, which signs people in
    ("GET", "/console"): None,
    ("GET", "/console/*"): None,  # the console's files, the same for everybody
    ("POST", "/ingest/*"): "observe",
    ("GET", STA): "read",
    ("POST", f"{STA}/CreateObservations"): "observe",
    ("POST", f"{STA}/$batch"): "read",  # each of its parts is checked by itself
}
"""Method and path of the routes that stand alone, and the right they take; None: no sign-in."""

_WRITING: dict[tuple[str, str], Right] = {
    ("POST", "Observation"): "observe",
    ("POST", "Task"): "act",
    ("PATCH", "Task"): "act",
    ("PUT", "Task"): "act",
    ("DELETE", "Task"): "act",
}
"""What changing an entity of a kind takes, where that is not ``write``."""

_INLINE: dict[str, Right] = {"Observations": "observe", "Tasks": "act"}
_FREE = frozenset({"properties", "parameters", "taskingParameters", "metadata", "location", "feature"})
"""Properties that hold any JSON: what is called Tasks in there is none."""


class Permit(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the table: a method, a path in which ``{id}`` stands for a key, and a right."""

    method: str
    path: str
    right: Right | None


def right_for(method: str, path: str) -> Right | None:
    """Return the right that a request takes; None if it needs no sign-in.

    >>> right_for("POST", "/v1.1/Datastreams(1)/Observations"), right_for("DELETE", "/v1.1/Things(1)")
    ('observe', 'write')
    """
    verb = "GET" if method == "HEAD" else method
    plain = path.rstrip("/") or "/"
    if (verb, plain) in PLAIN:
        return PLAIN[verb, plain]
    if plain.startswith("/ingest/"):
        return PLAIN["POST", "/ingest/*"]
    if plain.startswith("/console/") and verb == "GET":
        return PLAIN["GET", "/console/*"]
    if plain.startswith("/api/"):
        found = find(verb, plain)
        return "read" if found is None else found[0].right
    if verb in _LOOKS:
        return "read"
    return _WRITING.get((verb, _kind_of(plain)), "write") if plain.startswith(f"{STA}/") else "write"


def shows_all(path: str) -> bool:
    """Tell whether a route counts over every project, which who sees one only must not see."""
    return (path.rstrip("/") or "/") in _SHOWS_ALL


def rights_inside(body: Any, *, deep: int = 32) -> frozenset[Right]:
    """Return the rights that entities inside an entity take: a Task in a TaskingCapability is asked for too.

    >>> sorted(rights_inside({"name": "valve", "Tasks": [{"taskingParameters": {}}]}))
    ['act']
    """
    found: set[Right] = set()
    if deep > 0 and isinstance(body, dict):
        for name, value in body.items():
            if name in _FREE:
                continue
            if name in _INLINE and value:
                found.add(_INLINE[name])
            found |= rights_inside(value, deep=deep - 1)
    elif deep > 0 and isinstance(body, list):
        for one in body:
            found |= rights_inside(one, deep=deep - 1)
    return frozenset(found)


def permits() -> Iterator[Permit]:
    """Yield the whole table: the routes that stand alone, the control API, every entity set."""
    for (method, path), right in PLAIN.items():
        yield Permit(method=method, path=path, right=right)
    for route in ROUTES:
        yield Permit(method=route.method, path=route.path, right=route.right)
    for kind in KINDS:
        paths: list[tuple[str, tuple[str, ...]]] = [
            (kind.entities, ("GET", "POST")),
            (f"{kind.entities}({{id}})", ("GET", "PATCH", "PUT", "DELETE")),
        ]
        paths += [
            (f"{kind.entities}({{id}})/{one.name}", ("GET", "POST") if one.many else ("GET",))
            for one in kind.relations
        ]
        for path, methods in paths:
            for method in methods:
                whole = f"{STA}/{path}"
                yield Permit(method=method, path=whole, right=right_for(method, whole))


def _kind_of(path: str) -> str:
    """Return the kind of entity that a SensorThings path ends at; a property or ``$ref`` is of its entity."""
    kind = ""
    for part in _KEY.sub("", path.removeprefix(f"{STA}/")).split("/"):
        name = part.partition("(")[0]
        if name in BY_SET:
            kind = BY_SET[name].name
        elif name in BY_NAME:
            kind = name
    return kind
