"""The HTTP application of a node, as one plain ASGI callable.

    GET /health   is it well (503 if not)      GET /status   everything it counts, as JSON
    GET /metrics  the same for Prometheus      GET /alerts   alerts, newest first
    /v1.1/…       SensorThings                 POST /ingest/…  handed to the gateway
    /api/…        handed to the control API    /console/…  the web console; a browser at / goes there

The guard stands before every one of them: it finds out who asks, and whether they may.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Protocol

from nervure.core.alert import Alert
from nervure.core.error import NervureError, NotFoundError, QueryError
from nervure.serve.answer import ASGI, Answer, NotAllowed, Receive, Scope, Send, failure, json, problem, send
from nervure.serve.console import PLACE, Console
from nervure.serve.guard import Guard
from nervure.serve.metric import exposition
from nervure.serve.request import Request, base_of
from nervure.serve.service import Service
from nervure.serve.shape import alert
from nervure.trust.principal import Principal

__all__ = ["PRINCIPAL", "STILL", "Catalogue", "application"]

log = logging.getLogger(__name__)

PRINCIPAL = "nervure.principal"
"""Where a request's scope holds who asks, for the applications that are handed requests."""

STILL = "nervure.still"
"""Where it holds what tells again who asks: for answers that outlast a session."""

MOST_BYTES = 16 << 20
LARGEST_PAGE = 10_000
_STA = "/v1.1"
_PLACES = ("/health", "/status", "/metrics", "/alerts", PLACE, _STA)


class Catalogue(Protocol):
    """What the application asks of the catalogue."""

    def alerts(
        self,
        *,
        active: bool | None = None,
        solution: str | None = None,
        limit: int = 100,
        project: int | None = None,
    ) -> Sequence[Alert]:
        """Return alerts, newest first; of the Things of one project, if ``project`` names it."""
        ...


Status = Callable[[], Mapping[str, Any]]


class _Cut(Exception):
    """A body that ended too soon."""


class _Large(Exception):
    """A body of more bytes than are taken."""


def application(
    service: Service,
    guard: Guard,
    catalogue: Catalogue,
    status: Status,
    *,
    ingest: ASGI | None = None,
    control: ASGI | None = None,
) -> ASGI:
    """Compose the application.

    ``status`` returns a tree of numbers; a non-empty list ``problems`` in it makes ``/health``
    answer 503. ``ingest`` is the gateway that takes what is posted, ``control`` the control API.
    """
    plain = _Plain(catalogue, status)

    async def app(scope: Scope, receive: Receive, out: Send) -> None:
        if scope["type"] == "lifespan":
            await _lifespan(receive, out)
            return
        if scope["type"] != "http":
            return
        scope["path"] = place = _one_slash(scope["path"])
        try:
            principal = scope[PRINCIPAL] = await guard.admit(scope)
        except NervureError as cause:
            await send(failure(cause), scope, out)
            return
        scope[STILL] = partial(guard.principal, scope)
        if control is not None and place.startswith("/api"):
            await control(scope, receive, out)
        elif ingest is not None and place.startswith("/ingest"):
            await ingest(scope, receive, out)
        elif place.startswith(f"{_STA}/") or place == _STA:
            await send(await _things(service, scope, receive, principal), scope, out)
        else:
            await send(await plain.answer(scope), scope, out)

    return app


async def _things(service: Service, scope: Scope, receive: Receive, principal: Principal) -> Answer:
    """Answer one request to the SensorThings service."""
    try:
        return await service.answer(await _request(scope, receive), principal)
    except _Cut:
        return problem(400, "the request ended before its body")
    except _Large:
        return problem(413, f"a body may have {MOST_BYTES:,} bytes at most", hint="send it in parts")


class _Plain:
    """Answers what is no SensorThings: how the node does, its alerts, and the console's files."""

    def __init__(self, catalogue: Catalogue, status: Status) -> None:
        self._catalogue = catalogue
        self._status = status
        self._console = Console()

    async def answer(self, scope: Scope) -> Answer:
        """Answer one request; what goes wrong becomes an answer too."""
        if scope["method"] not in {"GET", "HEAD"}:
            return failure(NotAllowed(scope["method"], ("GET", "HEAD")))
        try:
            return await asyncio.to_thread(self._answer, scope)
        except NervureError as cause:
            return failure(cause)
        except Exception:
            log.exception("%s %s failed", scope["method"], scope["path"])
            return problem(500, "this should not have happened; the node's log says more")

    def _answer(self, scope: Scope) -> Answer:
        path: str = scope["path"].rstrip("/") or "/"
        if path == PLACE or path.startswith(f"{PLACE}/"):
            return self._console.answer(scope)
        match path:
            case "/" if self._console.there and _is_browser(scope):
                return Answer(status=303, headers=(("location", f"{PLACE}/"),))
            case "/":
                base = base_of(scope)
                return json({"nervure": [f"{base}{place}" for place in _PLACES]})
            case "/health":
                return _health(self._status(), known=scope[PRINCIPAL].known)
            case "/status":
                return json(self._status())
            case "/metrics":
                return Answer(
                    body=exposition(self._status()), kind="text/plain; version=0.0.4; charset=utf-8"
                )
            case "/alerts":
                return self._alerts(scope["query_string"], scope[PRINCIPAL].project)
        raise NotFoundError(f"there is nothing at {path}", hint=f"there are {', '.join(_PLACES)}")

    def _alerts(self, query: bytes, project: int | None) -> Answer:
        given = _filter(query)
        found = self._catalogue.alerts(
            active=given.get("active"),
            solution=given.get("solution"),
            limit=given.get("limit", 100),
            project=project,
        )
        return json([alert(one) for one in found])


async def _request(scope: Scope, receive: Receive) -> Request:
    """Read a request to the SensorThings service; `_Large` if its body is, `_Cut` if not all of it came."""
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
    method = scope["method"]
    body = b"" if method in {"GET", "HEAD"} else await _body(headers, receive)
    return Request(
        method=method,
        path=scope["path"].removeprefix(_STA).strip("/"),
        base=f"{base_of(scope)}{_STA}",
        query=scope["query_string"].decode("latin-1"),
        headers=headers,
        body=body,
    )


async def _body(headers: Mapping[str, str], receive: Receive) -> bytes:
    length = headers.get("content-length", "0")
    if not length.isdigit() or int(length) > MOST_BYTES:
        raise _Large
    parts: list[bytes] = []
    size = 0
    while True:
        event = await receive()
        if event["type"] != "http.request":
            raise _Cut
        part: bytes = event.get("body", b"")
        size += len(part)
        if size > MOST_BYTES:
            raise _Large
        parts.append(part)
        if not event.get("more_body", False):
            return parts[0] if len(parts) == 1 else b"".join(parts)


def _is_browser(scope: Scope) -> bool:
    """Tell a browser that somebody points here from a program that asks what there is."""
    return any(name == b"accept" and b"text/html" in value for name, value in scope["headers"])


def _one_slash(path: str) -> str:
    """Write one slash where there are several, but in a key.

    >>> _one_slash("//v1.1//Things"), _one_slash("/v1.1/Things('a//b')")
    ('/v1.1/Things', "/v1.1/Things('a//b')")
    """
    return re.sub(r"/{2,}", "/", path) if "//" in path and "'" not in path else path


def _filter(query: bytes) -> dict[str, Any]:
    """Read ``active=true&solution=water&limit=20``."""
    found: dict[str, Any] = {}
    for part in query.decode("latin-1").split("&") if query else []:
        name, _, value = part.partition("=")
        if name == "active" and value in {"true", "false"}:
            found[name] = value == "true"
        elif name == "solution" and re.fullmatch(r"[\w.-]{1,100}", value):
            found[name] = value
        elif name == "limit" and re.fullmatch(r"[0-9]{1,6}", value):
            found[name] = min(int(value), LARGEST_PAGE)
        else:
            raise QueryError(
                f"/alerts cannot read {part!r}", hint="write active=true&solution=water&limit=20"
            )
    return found


def _health(status: Mapping[str, Any], *, known: bool) -> Answer:
    """Say whether all is well, and what is not to those who signed in."""
    wrong = list(status.get("problems", ()))
    body = {"status": "failing" if wrong else "ok", "problems": wrong if known else []}
    return json(body, status=503 if wrong else 200)


async def _lifespan(receive: Receive, out: Send) -> None:
    while True:
        event = (await receive())["type"]
        await out({"type": f"{event}.complete"})
        if event == "lifespan.shutdown":
            return
