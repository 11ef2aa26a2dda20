"""The HTTP application of a node, as one plain ASGI callable.

    GET /health   is it well (503 if not)      GET /status   everything it counts, as JSON
    GET /metrics  the same for Prometheus      GET /alerts   alerts, newest first
    GET /v1.1/…   SensorThings, reading        POST /v1.1/…, /ingest/…   handed to the gateway

It has no users yet, so it answers this machine only: a request whose ``Host`` or ``Origin`` names
another one is refused, which keeps web pages from reaching it through a visitor's browser.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol
from urllib.parse import urlsplit

from nervure.core.alert import Alert
from nervure.core.error import NervureError, NotFoundError, QueryError
from nervure.core.settings import is_loopback
from nervure.serve import sensorthings
from nervure.serve.answer import ASGI, Answer, Receive, Scope, Send, failure, json, problem, send
from nervure.serve.metric import exposition
from nervure.serve.option import LARGEST_PAGE
from nervure.serve.sensorthings import Observations, SensorThings
from nervure.serve.shape import alert

__all__ = ["Catalogue", "Observations", "application"]

log = logging.getLogger(__name__)

WORKERS = 2
MOST_WAITING = 64
_PLACES = ("/health", "/status", "/metrics", "/alerts", "/v1.1")


class Catalogue(sensorthings.Catalogue, Protocol):
    """What the application asks of the catalogue."""

    def alerts(
        self, *, active: bool | None = None, solution: str | None = None, limit: int = 100
    ) -> Sequence[Alert]:
        """Return alerts, newest first."""
        ...


Status = Callable[[], Mapping[str, Any]]


def application(
    catalogue: Catalogue, store: Observations, status: Status, ingest: ASGI | None = None
) -> ASGI:
    """Compose the application.

    ``status`` returns a tree of numbers; a non-empty list ``problems`` in it makes ``/health``
    answer 503. ``ingest`` is the gateway that takes what is posted.
    """
    service = _Service(catalogue, store, status, writes=ingest is not None)

    async def app(scope: Scope, receive: Receive, out: Send) -> None:
        if scope["type"] == "lifespan":
            await _lifespan(receive, out)
        elif scope["type"] == "http":
            path = scope["path"]
            refused = _foreign(scope)
            if refused is not None:
                await send(refused, scope, out)
            elif ingest is not None and scope["method"] == "POST" and path.startswith(("/v1.1/", "/ingest/")):
                await ingest(scope, receive, out)
            else:
                await send(await service.respond(scope), scope, out)

    return app


class _Service:
    """Answers what is read; questions to the stores run in a few threads of their own."""

    def __init__(self, catalogue: Catalogue, store: Observations, status: Status, *, writes: bool) -> None:
        self._catalogue = catalogue
        self._status = status
        self._things = SensorThings(catalogue, store, writes=writes)
        self._workers = ThreadPoolExecutor(WORKERS, thread_name_prefix="serve")
        self._waiting = 0

    async def respond(self, scope: Scope) -> Answer:
        """Answer one request; what goes wrong becomes an answer too."""
        if scope["method"] not in {"GET", "HEAD"}:
            return problem(405, f"{scope['method']} is not answered here", headers=(("allow", "GET, HEAD"),))
        if self._waiting >= MOST_WAITING:
            return problem(503, "too many questions at once", headers=(("retry-after", "1"),))
        self._waiting += 1
        try:
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._workers, self._answer, scope)
        except NervureError as cause:
            return failure(cause)
        except Exception:
            log.exception("%s %s failed", scope["method"], scope["path"])
            return problem(500, "this should not have happened; the node's log says more")
        finally:
            self._waiting -= 1

    def _answer(self, scope: Scope) -> Answer:
        path: str = scope["path"].rstrip("/") or "/"
        base = f"{scope.get('scheme', 'http')}://{_host(scope)}"
        match path:
            case "/":
                return json({"nervure": [f"{base}{place}" for place in _PLACES]})
            case "/health":
                return _health(self._status())
            case "/status":
                return json(self._status())
            case "/metrics":
                return Answer(
                    body=exposition(self._status()), kind="text/plain; version=0.0.4; charset=utf-8"
                )
            case "/alerts":
                return self._alerts(scope["query_string"])
            case "/v1.1":
                return self._things.root(f"{base}/v1.1")
        if path.startswith("/v1.1/"):
            return self._things.answer(path.removeprefix("/v1.1/"), scope["query_string"], f"{base}/v1.1")
        raise NotFoundError(f"there is nothing at {path}", hint=f"there are {', '.join(_PLACES)}")

    def _alerts(self, query: bytes) -> Answer:
        given = _filter(query)
        found = self._catalogue.alerts(
            active=given.get("active"), solution=given.get("solution"), limit=given.get("limit", 100)
        )
        return json([alert(one) for one in found])


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


def _health(status: Mapping[str, Any]) -> Answer:
    wrong = list(status.get("problems", ()))
    return json({"status": "failing" if wrong else "ok", "problems": wrong}, status=503 if wrong else 200)


def _header(scope: Scope, name: bytes) -> str | None:
    for key, value in scope["headers"]:
        if key == name:
            text: str = value.decode("latin-1")
            return text
    return None


def _host(scope: Scope) -> str:
    server = scope.get("server") or ("127.0.0.1", None)
    return _header(scope, b"host") or (f"{server[0]}:{server[1]}" if server[1] else str(server[0]))


def _foreign(scope: Scope) -> Answer | None:
    """Refuse what a web page of another site could have sent (DNS rebinding, cross-site posts)."""
    for name, url in (("Host", f"//{_host(scope)}"), ("Origin", _header(scope, b"origin"))):
        if url is not None and not _ours(url):
            return problem(403, f"this node answers this machine only, not {name} {url.removeprefix('//')!r}")
    return None


def _ours(url: str) -> bool:
    try:
        return is_loopback(urlsplit(url).hostname or "")
    except ValueError:
        return False


async def _lifespan(receive: Receive, out: Send) -> None:
    while True:
        event = (await receive())["type"]
        await out({"type": f"{event}.complete"})
        if event == "lifespan.shutdown":
            return
