"""What an HTTP request is answered with, and how that goes out over ASGI."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable, MutableMapping
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
    StoreError,
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
    "Stream",
    "Unreadable",
    "Unsupported",
    "failure",
    "flow",
    "headers_of",
    "json",
    "made",
    "problem",
    "send",
]

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
ASGI = Callable[[Scope, Receive, Send], Awaitable[None]]

JSON = "application/json; charset=utf-8"
_NOT_KEPT = (b"cache-control", b"no-store")
_NOT_GUESSED = (b"x-content-type-options", b"nosniff")


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


class Stream(msgspec.Struct, frozen=True, kw_only=True):
    """An answer that goes on: its parts as they come, until they end or nobody reads them any more."""

    parts: AsyncGenerator[bytes, None]
    kind: str = "text/event-stream; charset=utf-8"


def json(value: Any, *, status: int = 200, headers: tuple[tuple[str, str], ...] = ()) -> Answer:
    """Answer with JSON; NaN, which JSON does not know, is written as ``null``.

    >>> json({"value": [float("nan")]}).body
    b'{"value":[null]}'
    """
    return Answer(status=status, body=msgspec.json.encode(value), headers=headers)


def made(address: str, name: int | str) -> Answer:
    """Answer that an entity was made, and where it is."""
    body = {"@iot.id": name, "@iot.selfLink": address}
    return json(body, status=201, headers=(("location", address),))


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
    if isinstance(cause, StoreError):  # what a driver says after that names hosts, users and files
        what = what.partition(": ")[0]
    return problem(status, what, hint=cause.hint, headers=headers)


def problem(
    status: int, message: str, *, hint: str | None = None, headers: tuple[tuple[str, str], ...] = ()
) -> Answer:
    """Answer with an error a person can read."""
    body: dict[str, Any] = {"code": status, "type": "error", "message": message}
    if hint:
        body["hint"] = hint
    return json(body, status=status, headers=headers)


def headers_of(answer: Answer) -> list[tuple[bytes, bytes]]:
    """Return the headers of an answer as they are sent: nobody keeps what does not say for how long."""
    found = [(b"content-length", b"%d" % len(answer.body)), _NOT_GUESSED]
    if answer.body:
        found.append((b"content-type", answer.kind.encode("latin-1")))
    if not any(name == "cache-control" for name, _ in answer.headers):
        found.append(_NOT_KEPT)
    if answer.headers:
        found += [(name.encode(), value.encode("latin-1")) for name, value in answer.headers]
    return found


async def send(answer: Answer, scope: Scope, out: Send) -> None:
    """Send an answer; a HEAD request gets its headers alone."""
    await out({"type": "http.response.start", "status": answer.status, "headers": headers_of(answer)})
    body = b"" if scope["method"] == "HEAD" else answer.body
    await out({"type": "http.response.body", "body": body})


async def flow(stream: Stream, scope: Scope, receive: Receive, out: Send) -> None:
    """Send an answer that goes on; it ends at once when the client hangs up."""
    headers = [
        (b"content-type", stream.kind.encode()),
        _NOT_KEPT,
        (b"x-accel-buffering", b"no"),
        _NOT_GUESSED,
    ]
    await out({"type": "http.response.start", "status": 200, "headers": headers})
    sending = asyncio.ensure_future(_parts(stream, out, head=scope["method"] == "HEAD"))
    leaving = asyncio.ensure_future(_left(receive))
    try:
        await asyncio.wait({sending, leaving}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for one in (sending, leaving):
            one.cancel()
        await asyncio.gather(sending, leaving, return_exceptions=True)
    with contextlib.suppress(asyncio.CancelledError):
        sending.result()
        await out({"type": "http.response.body", "body": b"", "more_body": False})


async def _parts(stream: Stream, out: Send, *, head: bool) -> None:
    async with contextlib.aclosing(stream.parts) as parts:
        async for part in parts:
            if head:
                return
            await out({"type": "http.response.body", "body": part, "more_body": True})


async def _left(receive: Receive) -> None:
    """Return when the client has hung up."""
    while (await receive())["type"] != "http.disconnect":
        pass
