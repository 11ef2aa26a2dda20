"""The session's cookie, and what keeps pages of other sites from using it."""

from __future__ import annotations

from collections.abc import Mapping
from http.cookies import CookieError, SimpleCookie
from urllib.parse import urlsplit

from nervure.core.error import DeniedError

__all__ = ["COOKIE", "CSRF", "SECURE_COOKIE", "forget", "remember", "require_same_site", "shown"]

COOKIE = "nervure"
SECURE_COOKIE = "__Host-nervure"
"""The names of the session's cookie: without TLS, and with it (which no other site can set)."""

CSRF = b"x-csrf-token"
"""The header in which a page repeats the session's own word with every change."""


def remember(secret: str, hours: float, *, secure: bool) -> tuple[str, str]:
    """Return the header that gives a browser its session; no script and no other site gets at it."""
    name, lock = (SECURE_COOKIE, "; Secure") if secure else (COOKIE, "")
    return (
        "set-cookie",
        f"{name}={secret}; Path=/; HttpOnly; SameSite=Strict; Max-Age={int(hours * 3600)}{lock}",
    )


def forget(*, secure: bool) -> tuple[str, str]:
    """Return the header that takes the session away from a browser."""
    return remember("", 0, secure=secure)


def shown(header: bytes | None, *, secure: bool) -> str | None:
    """Return the session's secret that a browser shows, or None."""
    if header is None:
        return None
    try:
        found = SimpleCookie(header.decode("latin-1")).get(SECURE_COOKIE if secure else COOKIE)
    except CookieError:
        return None
    return None if found is None or not found.value else found.value


def require_same_site(headers: Mapping[bytes, bytes]) -> None:
    """Refuse a request that a page of another site made (Fetch standard: ``Origin``)."""
    origin = headers.get(b"origin")
    if origin is None:
        return
    host = headers.get(b"host", b"").decode("latin-1")
    try:
        ours = urlsplit(origin.decode("latin-1")).netloc == host
    except ValueError:  # as of http://[
        ours = False
    if not ours:
        raise DeniedError("this request comes from a page of another site")
