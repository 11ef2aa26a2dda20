"""Signing in and out, and who one is."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from nervure.core.error import NotFoundError, SignInError
from nervure.serve.answer import Answer
from nervure.serve.control.given import MS
from nervure.serve.control.route import Call, Desk, Done, Route
from nervure.serve.cookie import forget, remember
from nervure.trust.right import Right

__all__ = [
    "ROUTES",
    "Begun",
    "Me",
    "NewPassword",
    "SignIn",
    "begin_elsewhere",
    "change_password",
    "end_elsewhere",
    "me",
    "sign_in",
    "sign_out",
]

Password = Annotated[str, Meta(min_length=1, max_length=1024)]
Name = Annotated[str, Meta(min_length=1, max_length=100)]


class SignIn(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A name and a password."""

    name: Name
    password: Password


class NewPassword(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The password that one has, and the one to have from now on."""

    old: Password
    new: Password


class Me(msgspec.Struct, frozen=True, kw_only=True):
    """Who asks: ``csrf`` must come as ``X-CSRF-Token`` with every change that a session makes.

    ``expires`` (ms) is when the session or the token ends.
    """

    name: str
    kind: str
    role: str
    rights: tuple[Right, ...]
    project: int | None
    csrf: str = ""
    expires: int | None = None


class Begun(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the OpenID provider sent a browser back with."""

    code: Annotated[str, Meta(max_length=4096)] = ""
    state: Annotated[str, Meta(max_length=4096)] = ""
    error: Annotated[str, Meta(max_length=1024)] = ""
    error_description: Annotated[str, Meta(max_length=4096)] = ""
    iss: Annotated[str, Meta(max_length=1024)] = ""
    session_state: Annotated[str, Meta(max_length=1024)] = ""
    scope: Annotated[str, Meta(max_length=4096)] = ""


def sign_in(desk: Desk, call: Call) -> Answer:
    """Sign in with a name and a password: a cookie for a browser, and its word against forgery."""
    owner = desk.office.register.by_password(call.body.name, call.body.password, call.address)
    session, secret = desk.office.begin(owner, call.address, desk.access.session_hours)
    who = owner.principal()
    me = Me(
        name=who.name,
        kind=who.kind,
        role=who.role,
        rights=tuple(sorted(who.rights)),
        project=who.project,
        csrf=session.csrf,
        expires=_ms(session.expires_ns),
    )
    cookie = remember(secret, desk.access.session_hours, secure=call.secure)
    return Answer(body=msgspec.json.encode(me), headers=(cookie,))


def sign_out(desk: Desk, call: Call) -> Answer:
    """End the session that one came with."""
    if call.principal.session:
        desk.office.end(call.principal)
    return Answer(body=msgspec.json.encode(Done()), headers=(forget(secure=call.secure),))


def me(desk: Desk, call: Call) -> Me:
    """Return who one is and what one may do."""
    who = call.principal
    if not who.known:
        raise SignInError("sign in first", hint="POST /api/login")
    session = desk.office.register.known().sessions.get(who.session)
    return Me(
        name=who.name,
        kind=who.kind,
        role=who.role,
        rights=tuple(sorted(who.rights)),
        project=who.project,
        csrf=session.csrf if session is not None else "",
        expires=_ms(who.until_ns if session is None else session.expires_ns),
    )


def change_password(desk: Desk, call: Call) -> Answer:
    """Change one's own password; every session of one's own ends."""
    if call.principal.kind != "user":
        raise SignInError("only a user who signed in changes a password")
    desk.office.change_password(call.principal, call.body.old, call.body.new, call.address)
    return Answer(body=msgspec.json.encode(Done()), headers=(forget(secure=call.secure),))


async def begin_elsewhere(desk: Desk, call: Call) -> Answer:
    """Send a browser to sign in at the OpenID provider."""
    if desk.provider is None:
        raise NotFoundError("there is no OpenID provider here", hint="set oidc.issuer")
    where, cookie = await desk.provider.begin(f"{call.base}/api/oidc/back")
    lock = "; Secure" if call.secure else ""
    kept = f"nervure-oidc={cookie}; Path=/api/oidc; HttpOnly; SameSite=Lax; Max-Age=600{lock}"
    return Answer(status=302, headers=(("location", where), ("set-cookie", kept)))


async def end_elsewhere(desk: Desk, call: Call) -> Answer:
    """Take a browser back from the OpenID provider, signed in."""
    if desk.provider is None:
        raise NotFoundError("there is no OpenID provider here", hint="set oidc.issuer")
    if call.query.error:
        raise SignInError(f"the provider says {call.query.error}: {call.query.error_description}")
    kept = call.cookies.get("nervure-oidc", "")
    owner = await desk.provider.end(kept, call.query.state, call.query.code, f"{call.base}/api/oidc/back")
    _, secret = desk.office.begin(owner, call.address, desk.access.session_hours)
    cookie = remember(secret, desk.access.session_hours, secure=call.secure)
    spent = "nervure-oidc=; Path=/api/oidc; HttpOnly; SameSite=Lax; Max-Age=0"
    return Answer(status=302, headers=(("location", "/console/"), cookie, ("set-cookie", spent)))


def _ms(moment_ns: int | None) -> int | None:
    return None if moment_ns is None else moment_ns // MS


ROUTES: tuple[Route, ...] = (
    Route(method="POST", path="/api/login", right=None, work=sign_in, body=SignIn, answer=Me),
    Route(method="POST", path="/api/logout", right=None, work=sign_out),
    Route(method="GET", path="/api/me", right=None, work=me, answer=Me),
    Route(method="POST", path="/api/password", right="read", work=change_password, body=NewPassword),
    Route(method="GET", path="/api/oidc/login", right=None, work=begin_elsewhere, answer=Any, status=302),
    Route(
        method="GET",
        path="/api/oidc/back",
        right=None,
        work=end_elsewhere,
        query=Begun,
        answer=Any,
        status=302,
    ),
)
