"""What an HTTP request is answered with, and how that goes out over ASGI."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from math import ceil
from typing import Any

import msgspec

from nervure.core.error import (
    BusyError,
    ConflictError,
    DeniedError,
    NervureError,
    NotFoundError,
    QueryError,
    SignInError,
    TooLargeError,
    UnsupportedQuery,
)

__all__ = [
    "ASGI",
    "Answer",
    "Message",
    "NotAllowed",
    "Receive",
    "Scope",
    "Send",
    "Unreadable",
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


Unsupported = UnsupportedQuery


class Unreadable(QueryError):
    """A body of a kind that is not read here (HTTP 415)."""


class NotAllowed(NervureError):
    """A method that a path does not take (HTTP 405), and those that it takes."""

    def __init__(self, method: str, allowed: tuple[str, ...]) -> None:
        super().__init__(f"{method} is not answered here", hint=f"this takes {', '.join(allowed)}")
        self.allowed = allowed


_STATUS: tuple[tuple[type[NervureError], int], ...] = (
    (UnsupportedQuery, 501),
    (Unreadable, 415),
    (TooLargeError, 413),
    (QueryError, 400),
    (NotFoundError, 404),
    (ConflictError, 409),
    (SignInError, 401),
    (DeniedError, 403),
    (BusyError, 429),
    (NotAllowed, 405),
)
"""The status that says an error in HTTP; whatever else is ours to mend (503)."""


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
    """Answer with what went wrong: 400 malformed, 404 absent, 409 taken, 501 not supported, 503 ours.

    >>> failure(NotFoundError("there is no Thing 9")).status
    404
    """
    status = next((number for kind, number in _STATUS if isinstance(cause, kind)), 503)
    headers: tuple[tuple[str, str], ...] = ()
    if isinstance(cause, BusyError):
        headers = (("retry-after", str(max(1, ceil(cause.retry_s)))),)
    elif isinstance(cause, SignInError):
        headers = (("www-authenticate", 'Bearer realm="nervure"'),)
    elif isinstance(cause, NotAllowed):
        headers = (("allow", ", ".join(cause.allowed)),)
    what = f"{cause.what} (at {cause.where})" if cause.where and isinstance(cause, QueryError) else cause.what
    return problem(status, what, hint=cause.hint, headers=headers)


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
    fixed = [
        ("content-length", str(len(answer.body))),
        ("cache-control", "no-store"),
        ("x-content-type-options", "nosniff"),
    ]
    if answer.body:
        fixed.append(("content-type", answer.kind))
    headers = [(name.encode(), value.encode("latin-1")) for name, value in (*fixed, *answer.headers)]
    await out({"type": "http.response.start", "status": answer.status, "headers": headers})
    body = b"" if scope["method"] == "HEAD" else answer.body
    await out({"type": "http.response.body", "body": body})
