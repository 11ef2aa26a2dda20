"""Every route of the control API, and how a request finds its own."""

from __future__ import annotations

import re
from typing import Any

from nervure.serve.answer import Answer, json
from nervure.serve.control import (
    alarms,
    basemap,
    data,
    history,
    incident,
    installed,
    label,
    listening,
    loops,
    machine,
    models,
    overview,
    people,
    session,
    training,
    tuning,
    twins,
    watching,
    work,
)  # fmt: skip
from nervure.serve.control.openapi import document
from nervure.serve.control.route import Call, Desk, Route

__all__ = ["ROUTES", "find", "methods", "openapi"]


def openapi(_desk: Desk, _call: Call) -> Answer:
    """Return the description of this API (OpenAPI 3.1)."""
    return json(document(ROUTES))


ROUTES: tuple[Route, ...] = (
    *session.ROUTES,
    *people.ROUTES,
    *machine.ROUTES,
    *alarms.ROUTES,
    *tuning.ROUTES,
    *work.ROUTES,
    *incident.ROUTES,
    *watching.ROUTES,
    *loops.ROUTES,
    *twins.ROUTES,
    *overview.ROUTES,
    *history.ROUTES,
    *label.ROUTES,
    *basemap.ROUTES,
    *listening.ROUTES,
    *models.ROUTES,
    *training.ROUTES,
    *data.ROUTES,
    *installed.ROUTES,
    Route(method="GET", path="/api/openapi.json", right=None, work=openapi, answer=dict[str, Any]),
)

_NAME = re.compile(r"\{(\w+)\}")
_PATTERNS = tuple(
    (re.compile(_NAME.sub(r"(?P<\1>[^/]+)", route.path.replace(".", r"\."))), route) for route in ROUTES
)


def find(method: str, path: str) -> tuple[Route, dict[str, str]] | None:
    """Return the route of a request and what stands in place of its names, or None.

    >>> route, names = find("DELETE", "/api/users/ann")
    >>> route.path, names
    ('/api/users/{name}', {'name': 'ann'})
    """
    for pattern, route in _PATTERNS:
        if route.method == method and (found := pattern.fullmatch(path)):
            return route, found.groupdict()
    return None


def methods(path: str) -> tuple[str, ...]:
    """Return the methods that a path takes, none if there is nothing there."""
    return tuple(route.method for pattern, route in _PATTERNS if pattern.fullmatch(path))
