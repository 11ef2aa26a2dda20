"""The OpenAPI 3.1 description of the control API, made from its routes and their types."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import msgspec

import nervure
from nervure.serve.control.route import Route

__all__ = ["Problem", "document"]

_REFERENCE = "#/components/schemas/{name}"
_JSON = "application/json"
_PROBLEM = {
    "description": "What went wrong",
    "content": {_JSON: {"schema": {"$ref": "#/components/schemas/Problem"}}},
}


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """What went wrong, and what to do."""

    code: int
    type: str
    message: str
    hint: str | None = None


def document(routes: Sequence[Route]) -> dict[str, Any]:
    """Return the description."""
    types = [one for route in routes for one in (route.answer, route.body, route.query) if one is not None]
    schemas, components = msgspec.json.schema_components([*types, Problem], ref_template=_REFERENCE)
    shown = dict(zip([_id(one) for one in types], schemas, strict=False))
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, shown, components)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Nervure control API", "version": nervure.__version__},
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}},
        },
    }


def _id(one: Any) -> str:
    return repr(one)


def _operation(route: Route, shown: dict[str, Any], components: dict[str, Any]) -> dict[str, Any]:
    parameters = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
        for name in re.findall(r"\{(\w+)\}", route.path)
    ]
    if route.query is not None:
        parameters += _query(components[route.query.__name__])
    answers: dict[str, Any] = {
        str(route.status): {
            "description": route.about,
            "content": {route.kind: {"schema": shown[_id(route.answer)]}},
        },
        "default": _PROBLEM,
    }
    if route.status == 302:
        answers = {"302": {"description": route.about}, "default": _PROBLEM}
    found: dict[str, Any] = {
        "operationId": route.work.__name__,
        "summary": route.about,
        "responses": answers,
        "security": [] if route.right is None else [{"bearer": []}],
    }
    if parameters:
        found["parameters"] = parameters
    if route.right is not None:
        found["description"] = f"Takes the right to {route.right}."
    if route.body is not None:
        found["requestBody"] = {"required": True, "content": {_JSON: {"schema": shown[_id(route.body)]}}}
    return found


def _query(schema: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {"name": name, "in": "query", "required": False, "schema": one}
        for name, one in schema["properties"].items()
    ]
