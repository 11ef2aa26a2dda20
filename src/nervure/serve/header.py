"""Headers that every answer has, so that a browser does nothing with it that nobody meant."""

from __future__ import annotations

from collections.abc import Iterable

from nervure.serve.answer import ASGI, Message, Receive, Scope, Send

__all__ = ["always", "secured"]

_ALWAYS = (
    (
        b"content-security-policy",
        b"default-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'",
    ),
    (b"referrer-policy", b"no-referrer"),
    (b"x-frame-options", b"DENY"),
    (b"x-content-type-options", b"nosniff"),
)
_BY_TLS = (*_ALWAYS, (b"strict-transport-security", b"max-age=31536000"))


def always(scheme: str, headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """Return those of them that an answer with some headers lacks."""
    there = {name for name, _ in headers}
    return [one for one in (_BY_TLS if scheme == "https" else _ALWAYS) if one[0] not in there]


def secured(app: ASGI) -> ASGI:
    """Return the application with those headers on every answer that has not set its own."""

    async def wrapped(scope: Scope, receive: Receive, out: Send) -> None:
        if scope["type"] != "http":
            await app(scope, receive, out)
            return
        scheme = scope.get("scheme", "http")

        async def send(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = list(message.get("headers", ()))
                message["headers"] = [*headers, *always(scheme, headers)]
            await out(message)

        await app(scope, receive, send)

    return wrapped
