"""Users, their tokens, and projects."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType

from nervure.core.instant import iso
from nervure.serve.control.route import Call, Desk, Done, Route, number
from nervure.trust.project import Project
from nervure.trust.right import Right, Role
from nervure.trust.token import Token
from nervure.trust.user import User

__all__ = [
    "ROUTES",
    "NewProject",
    "NewToken",
    "NewUser",
    "TokenView",
    "UserChange",
    "UserView",
    "add_project",
    "add_token",
    "add_user",
    "change_user",
    "projects",
    "remove_project",
    "remove_user",
    "revoke_token",
    "tokens",
    "users",
]

Name = Annotated[str, Meta(min_length=1, max_length=100)]
Password = Annotated[str, Meta(min_length=12, max_length=1024)]
Days = Annotated[float, Meta(gt=0, le=3650)]
Key = Annotated[int, Meta(ge=1, le=1 << 53)]


class NewUser(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A user to add; without a password they sign in at the OpenID provider only."""

    name: Name
    role: Role
    granted: Annotated[list[Right], Meta(max_length=20)] = []
    password: Password | None = None
    project: Key | None = None


class UserChange(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What of a user is to be otherwise."""

    role: Role | UnsetType = UNSET
    granted: list[Right] | UnsetType = UNSET
    password: Password | UnsetType = UNSET
    active: bool | UnsetType = UNSET


class UserView(msgspec.Struct, frozen=True, kw_only=True):
    """A user, without any secret."""

    name: str
    role: str
    granted: tuple[str, ...]
    rights: tuple[str, ...]
    project: int | None
    active: bool
    created: str


class NewToken(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A token to make; ``rights`` left out means all of its owner's, ``owner`` oneself."""

    name: Name
    rights: list[Right] | None = None
    days: Days | None = None
    owner: Name | None = None


class TokenView(msgspec.Struct, frozen=True, kw_only=True):
    """A token, by its number; ``token`` is the secret itself, shown when it is made and never again."""

    id: int
    owner: str
    name: str
    rights: tuple[str, ...]
    created: str
    expires: str
    revoked: str | None = None
    token: str | None = None


class NewProject(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A project to add."""

    name: Name
    description: Annotated[str, Meta(max_length=10_000)] = ""


def users(desk: Desk, call: Call) -> list[UserView]:
    """List the users in sight."""
    return [_user(one) for one in desk.office.users(call.principal)]


def add_user(desk: Desk, call: Call) -> UserView:
    """Add a user."""
    wish: NewUser = call.body
    made = desk.office.add_user(
        call.principal,
        wish.name,
        wish.role,
        granted=wish.granted,
        password=wish.password,
        project_id=wish.project,
    )
    return _user(made)


def change_user(desk: Desk, call: Call) -> UserView:
    """Change a user's role, rights or password, or shut them out; their sessions end."""
    wish = {name: value for name, value in msgspec.structs.asdict(call.body).items() if value is not UNSET}
    return _user(desk.office.change_user(call.principal, call.names["name"], **wish))


def remove_user(desk: Desk, call: Call) -> Done:
    """Remove a user with their tokens and sessions."""
    desk.office.remove_user(call.principal, call.names["name"])
    return Done()


def tokens(desk: Desk, call: Call) -> list[TokenView]:
    """List one's own tokens; an admin's list is of all users in sight."""
    owners = {one.id: one.name for one in desk.office.register.known().users.values()}
    return [_token(one, owners.get(one.account_id, "")) for one in desk.office.tokens(call.principal)]


def add_token(desk: Desk, call: Call) -> TokenView:
    """Make a bearer token."""
    wish: NewToken = call.body
    made, secret = desk.office.add_token(
        call.principal, wish.name, wish.rights, wish.days or desk.access.token_days, wish.owner
    )
    shown = _token(made, wish.owner or call.principal.name)
    return msgspec.structs.replace(shown, token=secret)


def revoke_token(desk: Desk, call: Call) -> TokenView:
    """Take a token back, at once."""
    gone = desk.office.revoke_token(call.principal, number(call.names["id"]))
    return _token(gone, "")


def projects(desk: Desk, call: Call) -> list[Project]:
    """List the projects in sight."""
    return desk.office.projects(call.principal)


def add_project(desk: Desk, call: Call) -> Project:
    """Add a project."""
    return desk.office.add_project(call.principal, call.body.name, call.body.description)


def remove_project(desk: Desk, call: Call) -> Done:
    """Remove an empty project with its users and devices."""
    desk.office.remove_project(call.principal, call.names["name"])
    return Done()


def _user(one: User) -> UserView:
    return UserView(
        name=one.name,
        role=one.role,
        granted=one.granted,
        rights=tuple(sorted(one.rights)),
        project=one.project_id,
        active=one.active,
        created=iso(one.created_ns),
    )


def _token(one: Token, owner: str) -> TokenView:
    return TokenView(
        id=one.id,
        owner=owner,
        name=one.name,
        rights=one.rights,
        created=iso(one.created_ns),
        expires=iso(one.expires_ns),
        revoked=None if one.revoked_ns is None else iso(one.revoked_ns),
    )


_MANAGE: dict[str, Any] = {"right": "manage-users"}

ROUTES: tuple[Route, ...] = (
    Route(method="GET", path="/api/users", work=users, answer=list[UserView], **_MANAGE),
    Route(
        method="POST", path="/api/users", work=add_user, body=NewUser, answer=UserView, status=201, **_MANAGE
    ),
    Route(
        method="PATCH",
        path="/api/users/{name}",
        work=change_user,
        body=UserChange,
        answer=UserView,
        **_MANAGE,
    ),
    Route(method="DELETE", path="/api/users/{name}", work=remove_user, **_MANAGE),
    Route(method="GET", path="/api/tokens", right="read", work=tokens, answer=list[TokenView]),
    Route(
        method="POST",
        path="/api/tokens",
        right="read",
        work=add_token,
        body=NewToken,
        answer=TokenView,
        status=201,
    ),
    Route(method="DELETE", path="/api/tokens/{id}", right="read", work=revoke_token, answer=TokenView),
    Route(method="GET", path="/api/projects", right="read", work=projects, answer=list[Project]),
    Route(
        method="POST",
        path="/api/projects",
        right="manage-projects",
        work=add_project,
        body=NewProject,
        answer=Project,
        status=201,
    ),
    Route(method="DELETE", path="/api/projects/{name}", right="manage-projects", work=remove_project),
)
