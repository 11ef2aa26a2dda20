"""The control API as an ASGI application: finds the route, reads what came, does the work in a thread.

The guard has let the request in and left who asks in its scope; here nothing is asked about rights
that the table of routes does not say, but for what a route's own work must know.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import re
from collections.abc import Mapping
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qsl

import msgspec

from nervure.core.error import EnvironmentMissing, NervureError, NotFoundError, QueryError, UsageError
from nervure.serve.answer import (
    ASGI,
    Answer,
    NotAllowed,
    Receive,
    Scope,
    Send,
    Stream,
    Unreadable,
    failure,
    flow,
    json,
    problem,
    send,
)
from nervure.serve.app import PRINCIPAL, STILL
from nervure.serve.control.route import Call, Desk, Route
from nervure.serve.control.table import find, methods
from nervure.serve.cookie import require_same_site
from nervure.serve.guard import address_of
from nervure.trust.principal import Principal

__all__ = ["control"]

MOST_BYTES = 1 << 18
MOST_FIELDS = 50
_HOST = re.compile(r"[\w.:\[\]-]{1,255}", re.ASCII)

log = logging.getLogger(__name__)


def control(desk: Desk) -> ASGI:
    """Return the application."""

    async def app(scope: Scope, receive: Receive, out: Send) -> None:
        found = await _answer(desk, scope, receive)
        if isinstance(found, Stream):
            await flow(found, scope, receive, out)
        else:
            await send(found, scope, out)

    return app


async def _answer(desk: Desk, scope: Scope, receive: Receive) -> Answer | Stream:
    try:
        route, call = await _call(scope, receive)
        if inspect.iscoroutinefunction(route.work):
            done = await route.work(desk, call)
        else:
            done = await asyncio.to_thread(route.work, desk, call)
    except EnvironmentMissing as cause:
        return problem(502, cause.what, hint=cause.hint)
    except UsageError as cause:
        return problem(400, cause.what, hint=cause.hint)
    except NervureError as cause:
        return failure(cause)
    except Exception:
        log.exception("%s %s failed", scope["method"], scope["path"])
        return problem(500, "this should not have happened; the node's log says more")
    return done if isinstance(done, (Answer, Stream)) else json(done, status=route.status)


async def _call(scope: Scope, receive: Receive) -> tuple[Route, Call]:
    method = "GET" if scope["method"] == "HEAD" else scope["method"]
    path = scope["path"].rstrip("/")
    found = find(method, path)
    if found is None or "\0" in path:  # nothing is called so, and PostgreSQL cannot be asked
        taken = methods(path)
        if taken and found is None:
            raise NotAllowed(method, taken)
        raise NotFoundError(f"there is nothing at {path}", hint="GET /api/openapi.json says what there is")
    route, names = found
    headers: Mapping[bytes, bytes] = dict(scope["headers"])
    if method != "GET":
        require_same_site(headers)
    principal: Principal = scope[PRINCIPAL]
    call = Call(
        principal=principal,
        address=address_of(scope),
        secure=scope.get("scheme") == "https",
        base=_base(scope, headers),
        names=names,
        query=_query(route, scope["query_string"]),
        body=None if route.body is None else _body(route, headers, await _bytes(receive)),
        cookies=_cookies(headers),
        headers=headers,
        still=scope.get(STILL),
    )
    return route, call


def _query(route: Route, text: bytes) -> Any:
    if route.query is None:
        return None
    try:
        given = dict(parse_qsl(text.decode("latin-1"), keep_blank_values=True, max_num_fields=MOST_FIELDS))
    except ValueError as cause:
        raise QueryError(f"a query may have {MOST_FIELDS} fields at most") from cause
    if any("\0" in value for value in given.values()):
        raise QueryError("the query holds the character 0, which no table has")
    try:
        return msgspec.convert(given, route.query, strict=False)
    except msgspec.ValidationError as cause:
        raise QueryError(f"the query is not as it should be: {cause}") from cause


def _body(route: Route, headers: Mapping[bytes, bytes], data: bytes) -> Any:
    kind = headers.get(b"content-type", b"").partition(b";")[0].strip().lower()
    if kind != b"application/json":  # a form of another site cannot send this kind
        raise Unreadable("a body must be application/json")
    if rb"\u0000" in data:
        raise QueryError("a text holds the character 0, which no table can keep")
    try:
        return msgspec.json.decode(data, type=route.body)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as cause:
        raise QueryError(f"the body is not as it should be: {cause}") from cause


async def _bytes(receive: Receive) -> bytes:
    parts: list[bytes] = []
    size = 0
    while True:
        event = await receive()
        if event["type"] != "http.request":
            raise QueryError("the request ended before its body")
        part: bytes = event.get("body", b"")
        parts.append(part)
        size += len(part)
        if size > MOST_BYTES:
            raise QueryError(f"a body may have {MOST_BYTES:,} bytes at most")
        if not event.get("more_body", False):
            return b"".join(parts)


def _cookies(headers: Mapping[bytes, bytes]) -> dict[str, str]:
    try:
        found = SimpleCookie(headers.get(b"cookie", b"").decode("latin-1"))
    except CookieError:
        return {}
    return {name: one.value for name, one in found.items()}


def _base(scope: Scope, headers: Mapping[bytes, bytes]) -> str:
    host = headers.get(b"host", b"").decode("latin-1")
    server = scope.get("server") or ("127.0.0.1", None)
    own = f"{server[0]}:{server[1]}" if server[1] else str(server[0])
    return f"{scope.get('scheme', 'http')}://{host if _HOST.fullmatch(host) else own}"
