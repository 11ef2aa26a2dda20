"""The guard of the HTTP door: who asks, whether they may, and whether they ask too often.

``principal`` finds out who asks, ``allow`` holds that against the table of `nervure.serve.permit`,
``admit`` does both and counts. Parts of a ``$batch`` go through ``allow`` one by one.
"""

from __future__ import annotations

import asyncio
import binascii
import hmac
import secrets
from base64 import b64decode
from collections import OrderedDict
from collections.abc import Mapping
from functools import lru_cache
from typing import Protocol
from urllib.parse import urlsplit

from nervure.core.access import Access
from nervure.core.error import BusyError, DeniedError, SignInError
from nervure.core.settings import is_loopback
from nervure.serve.answer import Scope
from nervure.serve.cookie import CSRF, require_same_site, shown
from nervure.serve.permit import right_for, shows_all
from nervure.trust.limit import Limit
from nervure.trust.principal import NOBODY, OPEN, Principal
from nervure.trust.register import Register
from nervure.trust.secret import DEVICE, TOKEN, digest, same
from nervure.trust.user import User

__all__ = ["CERTIFICATE", "Guard", "Signed", "address_of"]

CERTIFICATE = "nervure.certificate"
"""Where a request's scope holds the fingerprint of a certificate that the listener checked."""

_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_LEAVE = "/api/logout"
_WRONG_S, _WRONG_BURST = 5.0, 50
_MOST_REMEMBERED = 1_000


class Signed(Protocol):
    """Takes bearer tokens that the OpenID provider signed."""

    async def bearer(self, token: str) -> Principal:
        """Return whom a token is of; ``SignInError`` unless every claim of it holds."""
        ...


class Guard:
    """Stands before every route. Without a register nobody signs in, and only this machine is answered."""

    def __init__(
        self, register: Register | None = None, access: Access | None = None, signed: Signed | None = None
    ) -> None:
        rules = access or Access()
        self._register = register
        self._signed = signed
        self._limit = Limit(rate=rules.requests_s, burst=rules.burst)
        self._wrong = Limit(rate=_WRONG_S, burst=_WRONG_BURST)
        self._key = secrets.token_bytes(32)
        self._passed: OrderedDict[bytes, User] = OrderedDict()

    @property
    def is_open(self) -> bool:
        """Whether anybody on this machine may do anything."""
        return self._register is None

    async def principal(self, scope: Scope) -> Principal:
        """Return who asks: a bearer token, a name and a password, a session's cookie, a certificate.

        Who says nothing is `NOBODY`; who says what is not believed raises ``SignInError``. In the
        open node a request from another site raises ``DeniedError``.
        """
        if self._register is None:
            _require_here(scope)
            return OPEN
        headers = dict(scope["headers"])
        said = headers.get(b"authorization")
        if said is not None:
            if scope["method"] not in _SAFE and said[:5].lower() == b"basic":
                require_same_site(headers)  # a browser sends a password it knows along with any page's form
            return await self._authorized(self._register, said.decode("latin-1"), address_of(scope))
        cookie = shown(headers.get(b"cookie"), secure=scope.get("scheme") == "https")
        if cookie is not None:
            return _by_cookie(self._register, cookie, scope, headers)
        carried = scope.get(CERTIFICATE)
        return NOBODY if carried is None else self._register.by_certificate(carried)

    def allow(self, principal: Principal, method: str, path: str) -> None:
        """Return if they may ask this, else raise ``SignInError`` (401) or ``DeniedError`` (403)."""
        right = right_for(method, path)
        if right is None or principal.kind == "open":
            return
        if not principal.known:
            raise SignInError("sign in first", hint="send a bearer token, or POST /api/login")
        principal.require(right)
        if principal.project is not None and shows_all(path):
            raise DeniedError(f"{principal.name} sees one project, and this shows all of them")

    async def admit(self, scope: Scope) -> Principal:
        """Return who asks if they may; also ``BusyError`` (429) if they ask too often."""
        if self._register is None:
            return await self.principal(scope)
        address = address_of(scope)
        if self._wrong.wait_s(address):
            raise BusyError("too many requests with wrong secrets", retry_s=self._wrong.wait_s(address))
        try:
            principal = await self.principal(scope)
        except SignInError:
            self._wrong.take(address)
            raise
        self._limit.take((principal.kind, principal.id) if principal.known else address)
        self.allow(principal, scope["method"], scope["path"])
        return principal

    def at_once(self, scope: Scope) -> Principal | None:
        """Return who asks if they may, and it is known without waiting; `count` is left to be called."""
        if self._register is None:
            _require_here(scope)
            return OPEN
        address, headers = address_of(scope), dict(scope["headers"])
        said = headers.get(b"authorization", b"").decode("latin-1")
        kind, _, value = said.partition(" ")
        if self._wrong.wait_s(address) or b"cookie" in headers:
            return None
        if kind.lower() == "bearer" and value.count(".") != 2:
            principal = self._register.by_token(value.strip())
        elif not said and CERTIFICATE in scope:
            principal = self._register.by_certificate(scope[CERTIFICATE])
        else:
            return None
        self.allow(principal, scope["method"], scope["path"])
        return principal

    def count(self, principal: Principal) -> None:
        """Count a request of somebody who is known; ``BusyError`` (429) if they ask too often."""
        if self._register is not None:
            self._limit.take((principal.kind, principal.id))

    async def _authorized(self, register: Register, said: str, address: str) -> Principal:
        scheme, _, value = said.partition(" ")
        value = value.strip()
        if scheme.lower() == "bearer":
            if value.count(".") != 2:
                return register.by_token(value)
            if self._signed is not None and not value.startswith((TOKEN, DEVICE)):
                return await self._signed.bearer(value)
        elif scheme.lower() == "basic":
            name, secret = _pair(value)
            if secret.startswith(DEVICE):
                return register.by_name(name, digest(secret))
            return (await self._password(register, name, secret, address)).principal()
        raise SignInError("what you sign in with is not known, has ended or was taken back")

    async def _password(self, register: Register, name: str, secret: str, address: str) -> User:
        """Check a password once, and remember for as long as the user stays as they are that it was right."""
        key = hmac.digest(self._key, f"{name}\0{secret}".encode("utf-8", "surrogatepass"), "sha256")
        before = self._passed.get(key)
        if before is not None and register.known().users.get(before.id) == before:
            return before
        self._passed.pop(key, None)
        found = await asyncio.to_thread(register.by_password, name, secret, address)
        self._passed[key] = found
        if len(self._passed) > _MOST_REMEMBERED:
            self._passed.popitem(last=False)
        return found


def address_of(scope: Scope) -> str:
    """Return where a request comes from."""
    client = scope.get("client")
    return str(client[0]) if client else ""


def _by_cookie(register: Register, cookie: str, scope: Scope, headers: Mapping[bytes, bytes]) -> Principal:
    """Return whose session it is; where nobody need sign in, one that has ended is as none.

    Else a browser whose session has ended could never sign in again: it cannot drop the cookie. Who
    signs out of one that lasts needs its word, lest they think that it has ended.
    """
    try:
        return _with_session(register, cookie, scope["method"], headers)
    except DeniedError as cause:
        lasts = not isinstance(cause, SignInError)
        leaving = lasts and scope["path"].rstrip("/") == _LEAVE
        if right_for(scope["method"], scope["path"]) is None and not leaving:
            return NOBODY
        raise


def _with_session(register: Register, cookie: str, method: str, headers: Mapping[bytes, bytes]) -> Principal:
    """Return whose session it is; a change must show that the page itself asks for it."""
    principal, session = register.by_session(cookie)
    if method in _SAFE:
        return principal
    if not same(headers.get(CSRF, b"").decode("latin-1"), session.csrf):
        raise DeniedError(
            "a change by cookie needs the session's own word too",
            hint="send the csrf of GET /api/me as X-CSRF-Token",
        )
    require_same_site(headers)
    return principal


def _pair(value: str) -> tuple[str, str]:
    """Read the name and the password of HTTP Basic (RFC 7617)."""
    try:
        name, sign, secret = b64decode(value, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError) as cause:
        raise SignInError("the name and password cannot be read") from cause
    if not sign or "\0" in name:
        raise SignInError("the name and password cannot be read")
    return name, secret


def _require_here(scope: Scope) -> None:
    """Refuse what a web page of another site could have sent (DNS rebinding, cross-site posts)."""
    headers = dict(scope["headers"])
    host = headers.get(b"host")
    if host is None:
        host = str((scope.get("server") or ("127.0.0.1", None))[0]).encode()
    for name, url in (("Host", b"//" + host), ("Origin", headers.get(b"origin"))):
        if url and not _ours(url):
            said = url.decode("latin-1").removeprefix("//")
            raise DeniedError(f"this node answers this machine only, not {name} {said!r}")


@lru_cache(1024)
def _ours(url: bytes) -> bool:
    try:
        return is_loopback(urlsplit(url.decode("latin-1")).hostname or "")
    except ValueError:
        return False
