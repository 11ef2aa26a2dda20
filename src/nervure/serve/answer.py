"""What an HTTP request is answered with, and how that goes out over ASGI."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import msgspec

from nervure.core.error import NervureError, NotFoundError, QueryError

__all__ = [
    "ASGI",
    "Answer",
    "Message",
    "Receive",
    "Scope",
    "Send",
    "Unsupported",
    "failure",
    "json",
    "problem",
    "send",
]

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
ASGI = Callable[[Scope, Receive, Send], Awaitable[None]]

JSON = "application/json; charset=utf-8"


class Unsupported(QueryError):
    """A question that SensorThings allows and that is not answered here yet (501)."""


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """A status, a body and its kind; ``headers`` are added to those every answer has."""

    status: int = 200
    body: bytes = b""
    kind: str = JSON
    headers: tuple[tuple[str, str], ...] = ()


def json(value: Any, *, status: int = 200, headers: tuple[tuple[str, str], ...] = ()) -> Answer:
    """Answer with JSON; NaN, which JSON does not know, is written as ``null``.

    >>> json({"value": [float("nan")]}).body
    b'{"value":[null]}'
    """
    return Answer(status=status, body=msgspec.json.encode(value), headers=headers)


def failure(cause: NervureError) -> Answer:
    """Answer with what went wrong: 400 malformed, 404 absent, 501 not supported, 503 anything of ours.

    >>> failure(NotFoundError("there is no Thing 9")).status
    404
    """
    match cause:
        case Unsupported():
            status = 501
        case QueryError():
            status = 400
        case NotFoundError():
            status = 404
        case _:
            status = 503
    return problem(status, cause.what, hint=cause.hint)


def problem(
    status: int, message: str, *, hint: str | None = None, headers: tuple[tuple[str, str], ...] = ()
) -> Answer:
    """Answer with an error a person can read."""
    body: dict[str, Any] = {"code": status, "type": "error", "message": message}
    if hint:
        body["hint"] = hint
    return json(body, status=status, headers=headers)


async def send(answer: Answer, scope: Scope, out: Send) -> None:
    """Send an answer; a HEAD request gets its headers alone."""
    fixed = (
        ("content-type", answer.kind),
        ("content-length", str(len(answer.body))),
        ("cache-control", "no-store"),
        ("x-content-type-options", "nosniff"),
    )
    headers = [(name.encode(), value.encode("latin-1")) for name, value in (*fixed, *answer.headers)]
    await out({"type": "http.response.start", "status": answer.status, "headers": headers})
    body = b"" if scope["method"] == "HEAD" else answer.body
    await out({"type": "http.response.body", "body": body})
