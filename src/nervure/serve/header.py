"""Headers that every answer has, so that a browser does nothing with it that nobody meant."""

from __future__ import annotations

from nervure.serve.answer import ASGI, Message, Receive, Scope, Send

__all__ = ["secured"]

_ALWAYS = (
    (
        b"content-security-policy",
        b"default-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'",
    ),
    (b"referrer-policy", b"no-referrer"),
    (b"x-frame-options", b"DENY"),
    (b"x-content-type-options", b"nosniff"),
)
_TLS = ((b"strict-transport-security", b"max-age=31536000"),)


def secured(app: ASGI) -> ASGI:
    """Return the application with those headers on every answer that has not set its own."""

    async def wrapped(scope: Scope, receive: Receive, out: Send) -> None:
        if scope["type"] != "http":
            await app(scope, receive, out)
            return
        more = (*_ALWAYS, *_TLS) if scope.get("scheme") == "https" else _ALWAYS

        async def send(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = list(message.get("headers", ()))
                set_already = {name for name, _ in headers}
                message["headers"] = [*headers, *(one for one in more if one[0] not in set_already)]
            await out(message)

        await app(scope, receive, send)

    return wrapped
