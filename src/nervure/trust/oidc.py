"""Signing in at an OpenID provider: code with PKCE for browsers, and bearer tokens that it signed.

Sources: OpenID Connect Core 1.0 (sections 3.1 and 5), RFC 7636 (PKCE), RFC 8725 (JWT best practice):
the algorithms are the two on our list whatever a token says, its key must be of that kind, and
issuer, audience and times must all be there and right.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections import OrderedDict
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import msgspec

from nervure.core.access import Oidc
from nervure.core.error import DeniedError, EnvironmentMissing, SettingError, SignInError
from nervure.core.settings import is_loopback
from nervure.trust.right import as_role
from nervure.trust.secret import digest, same

if TYPE_CHECKING:
    from nervure.trust.office import Office
    from nervure.trust.principal import Principal
    from nervure.trust.user import User

__all__ = ["Pending", "Provider"]

ALGORITHMS = ("RS256", "ES256")
_KINDS = {"RS256": "RSA", "ES256": "EC"}
_PATIENCE_S = 10.0
_PENDING_S = 600.0
_MOST_PENDING = 1_000
_KEEP_S = 3_600.0
_AGAIN_S = 30.0
_LEEWAY_S = 30
_SCOPE = "openid profile email"


class Pending(msgspec.Struct, frozen=True, kw_only=True):
    """A sign-in that has begun: what its end must fit to."""

    cookie: str
    verifier: str
    nonce: str
    back: str
    until_s: float


class Provider:
    """One OpenID provider, and the users who sign in there."""

    def __init__(self, settings: Oidc, office: Office) -> None:
        if settings.issuer is None:
            raise SettingError("there is no OpenID provider", where="$.oidc.issuer")
        parts = urlsplit(settings.issuer)
        if parts.scheme != "https" and not is_loopback(parts.hostname or ""):
            raise SettingError(
                f"the OpenID provider {settings.issuer!r} must be reached by https", where="$.oidc.issuer"
            )
        self._settings = settings
        self._issuer = settings.issuer
        self._office = office
        self._secret = _read(settings.client_secret_file)
        self._pending: OrderedDict[str, Pending] = OrderedDict()
        self._about: tuple[float, dict[str, Any]] | None = None
        self._keys: tuple[float, list[dict[str, Any]]] | None = None

    async def begin(self, back: str) -> tuple[str, str]:
        """Return where to send a browser, and the cookie that it must come back with."""
        from authlib.oauth2.rfc6749.parameters import prepare_grant_uri
        from authlib.oauth2.rfc7636 import create_s256_code_challenge

        about = await self._discover()
        cookie, verifier, nonce, state = (secrets.token_urlsafe(32) for _ in range(4))
        where = prepare_grant_uri(
            about["authorization_endpoint"],
            client_id=self._settings.client_id,
            response_type="code",
            redirect_uri=back,
            scope=_SCOPE,
            state=state,
            nonce=nonce,
            code_challenge=create_s256_code_challenge(verifier),
            code_challenge_method="S256",
        )
        self._pending[state] = Pending(
            cookie=digest(cookie), verifier=verifier, nonce=nonce, back=back, until_s=time.time() + _PENDING_S
        )
        while len(self._pending) > _MOST_PENDING:
            self._pending.popitem(last=False)
        return str(where), cookie

    async def end(self, cookie: str, state: str, code: str, back: str) -> User:
        """Return the user who came back from the provider; ``SignInError`` unless all of it fits."""
        begun = self._pending.pop(state, None)
        if begun is None or begun.until_s < time.time() or not same(begun.cookie, digest(cookie)):
            raise SignInError("this sign-in did not begin here, or too long ago", hint="sign in again")
        claims = await self._verified(
            await self._exchange(code, begun), self._settings.client_id, required=("nonce",)
        )
        if not same(str(claims["nonce"]), begun.nonce) or begun.back != back:
            raise SignInError("the provider's answer is to another question")
        return await asyncio.to_thread(self._user, claims, make=True)

    async def bearer(self, token: str) -> Principal:
        """Return whom a bearer token is of that the provider signed; ``SignInError`` unless it holds."""
        if self._settings.audience is None:
            raise SignInError("tokens of the OpenID provider are not taken here")
        claims = await self._verified(token, self._settings.audience, required=())
        found = await asyncio.to_thread(self._user, claims, make=False)
        return msgspec.structs.replace(found.principal("token"), until_ns=int(claims["exp"]) * 1_000_000_000)

    async def _exchange(self, code: str, begun: Pending) -> str:
        """Return the identity token that the provider gives for the code."""
        from authlib.oauth2.rfc6749.parameters import prepare_token_request

        about = await self._discover()
        name = self._settings.client_id
        more = {} if self._secret else {"client_id": name}  # a public client says its name in the body
        asked = prepare_token_request(
            "authorization_code", code=code, redirect_uri=begun.back, code_verifier=begun.verifier, **more
        )
        login = (name, self._secret) if self._secret else None
        status, found = await _post(about["token_endpoint"], asked, login)
        if status != 200:
            raise SignInError(f"the provider does not take the code: {str(found.get('error'))[:200]}")
        return str(found.get("id_token") or "")

    async def _verified(self, token: str, audience: str, *, required: tuple[str, ...]) -> dict[str, Any]:
        """Return the claims of a token in which everything holds."""
        import jwt

        try:
            head = jwt.get_unverified_header(token)
            algorithm = head.get("alg")
            if algorithm not in ALGORITHMS:
                raise SignInError(f"a token signed by {algorithm!r} is not taken")
            key = jwt.PyJWK(await self._key(str(head.get("kid") or ""), algorithm), algorithm)
            claims: dict[str, Any] = jwt.decode(
                token,
                key,
                algorithms=[algorithm],
                audience=audience,
                issuer=self._issuer,
                leeway=_LEEWAY_S,
                options={"require": ["exp", "iat", "iss", "aud", "sub", *required], "strict_aud": False},
            )
        except jwt.PyJWTError as cause:
            raise SignInError(f"the token does not hold: {cause}") from cause
        party = claims.get("azp")
        if isinstance(claims["aud"], list) and len(claims["aud"]) > 1 and party != self._settings.client_id:
            raise SignInError("the token is for several, and not made for us")
        return claims

    async def _key(self, name: str, algorithm: str) -> dict[str, Any]:
        """Return the provider's public key of that name and kind; a name that is new is asked for."""
        now = time.monotonic()
        for fresh in (False, True):
            if self._keys is None or now - self._keys[0] > (_AGAIN_S if fresh else _KEEP_S):
                about = await self._discover()
                self._keys = (now, (await _fetch(about["jwks_uri"])).get("keys") or [])
            for key in self._keys[1]:
                fits = key.get("kty") == _KINDS[algorithm] and key.get("use", "sig") == "sig"
                if fits and key.get("alg", algorithm) == algorithm and (not name or key.get("kid") == name):
                    return key
        raise SignInError("the token is signed with a key that the provider does not have")

    async def _discover(self) -> dict[str, Any]:
        """Return what the provider says of itself (OpenID Connect Discovery 1.0)."""
        now = time.monotonic()
        if self._about is None or now - self._about[0] > _KEEP_S:
            found = await _fetch(f"{self._issuer.rstrip('/')}/.well-known/openid-configuration")
            if found.get("issuer") != self._issuer:
                raise EnvironmentMissing(
                    f"the OpenID provider calls itself {found.get('issuer')!r}, not {self._issuer!r}",
                    where="$.oidc.issuer",
                )
            self._about = (now, found)
        return self._about[1]

    def _user(self, claims: dict[str, Any], *, make: bool) -> User:
        """Return the user whom the claims are of; one who is new here is made, if the settings say so."""
        subject = str(claims["sub"])
        office, settings = self._office, self._settings
        for one in office.register.known().users.values():
            if one.issuer == self._issuer and one.subject == subject:
                if not one.active:
                    raise SignInError("this user was shut out")
                return one
        name = str(claims.get(settings.name_claim) or "")
        verified = settings.name_claim != "email" or claims.get("email_verified") is True
        if not make or not name or not verified:
            raise DeniedError("nobody here is known by that sign-in", hint="an admin can add them")
        role = as_role(settings.new_users) if settings.new_users else None
        return office.adopt(name, role, self._issuer, subject)


async def _fetch(url: str) -> dict[str, Any]:
    import httpx

    try:
        async with httpx.AsyncClient(timeout=_PATIENCE_S) as client:
            answer = await client.get(url)
            answer.raise_for_status()
            found = answer.json()
    except (httpx.HTTPError, ValueError) as cause:
        raise EnvironmentMissing(f"the OpenID provider cannot be reached: {cause}", where=url) from cause
    if not isinstance(found, dict):
        raise EnvironmentMissing("the OpenID provider's answer is no JSON object", where=url)
    return found


async def _post(url: str, form: str, login: tuple[str, str] | None) -> tuple[int, dict[str, Any]]:
    import httpx

    headers = {"content-type": "application/x-www-form-urlencoded", "accept": "application/json"}
    try:
        async with httpx.AsyncClient(timeout=_PATIENCE_S) as client:
            sent = client.build_request("POST", url, content=form, headers=headers)
            answer = await client.send(sent, auth=login)
            found = answer.json()
    except (httpx.HTTPError, ValueError) as cause:
        raise EnvironmentMissing(f"the OpenID provider cannot be reached: {cause}", where=url) from cause
    return answer.status_code, found if isinstance(found, dict) else {}


def _read(path: str | None) -> str | None:
    if path is None:
        return None
    try:
        return Path(path).read_text("utf-8").strip()
    except OSError as cause:
        raise SettingError(
            f"the OpenID client's secret cannot be read: {cause.strerror}", where="$.oidc.client_secret_file"
        ) from cause
