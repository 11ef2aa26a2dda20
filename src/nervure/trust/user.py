"""Users: a name, a role, the rights given by name, and the hash of a password."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any

import msgspec
import sqlalchemy as sa

from nervure.core.error import ConflictError, UsageError
from nervure.store import access
from nervure.trust import row
from nervure.trust.principal import Kind, Principal
from nervure.trust.project import checked_name
from nervure.trust.right import Right, Role, grantable, rights_of

__all__ = ["User", "add", "by_name", "change", "remove", "users"]


class User(msgspec.Struct, frozen=True, kw_only=True):
    """A user. ``project`` is None for who sees every project; ``secret`` is a hash, never shown."""

    id: int
    name: str
    role: Role
    granted: tuple[Right, ...] = ()
    project_id: int | None = None
    secret: str | None = None
    issuer: str | None = None
    subject: str | None = None
    active: bool = True
    created_ns: int = 0

    def __repr__(self) -> str:
        return f"User({self.name!r}, {self.role!r})"

    @property
    def rights(self) -> frozenset[Right]:
        """What they may do; who sees one project only manages no others and reads nobody else's audit."""
        mine = rights_of(self.role, self.granted)
        return mine if self.project_id is None else mine - {"manage-projects", "read-audit"}

    def principal(self, kind: Kind = "user", *, rights: Iterable[Right] | None = None) -> Principal:
        """Return them as who asks; ``rights`` narrows what they may do."""
        mine = self.rights if rights is None else self.rights & frozenset(rights)
        return Principal(
            name=self.name, kind=kind, role=self.role, rights=mine, project=self.project_id, id=self.id
        )


def users(connection: sa.Connection) -> list[User]:
    """Return every user by their key."""
    return row.rows(connection, User, sa.select(access.account).order_by(access.account.c.id))


def by_name(connection: sa.Connection, name: str) -> User:
    """Return the user of that name."""
    query = sa.select(access.account).where(access.account.c.name == name.strip().casefold())
    return row.one(connection, User, query, f"user {name!r}")


def add(connection: sa.Connection, user: User) -> User:
    """Add a user; their key is given here."""
    name = checked_name(user.name, "user")
    _check_grants(user.granted, user.role)
    values = msgspec.structs.asdict(user) | {"name": name, "created_ns": time.time_ns()}
    del values["id"]
    row.add(connection, access.account, values, f"user {name!r}")
    return by_name(connection, name)


def change(connection: sa.Connection, name: str, values: dict[str, Any]) -> User:
    """Change a user; the last admin who can sign in stays one."""
    before = by_name(connection, name)
    after = msgspec.structs.replace(before, **values)
    _check_grants(after.granted, after.role)
    if _rules(before) and not _rules(after):
        _require_other_admin(connection, before)
    connection.execute(sa.update(access.account).where(access.account.c.id == before.id).values(values))
    return by_name(connection, name)


def remove(connection: sa.Connection, name: str) -> User:
    """Remove a user with their tokens and sessions; the last admin stays."""
    gone = by_name(connection, name)
    if _rules(gone):
        _require_other_admin(connection, gone)
    connection.execute(sa.delete(access.account).where(access.account.c.id == gone.id))
    return gone


def _check_grants(granted: Iterable[Right], role: Role) -> None:
    for right in granted:
        if not grantable(right, role):
            raise UsageError(
                f"{right!r} cannot be given to a {role}",
                hint="act goes to operators and above; configure-interlock and train to engineers and above",
            )


def _rules(user: User) -> bool:
    """Tell whether a user can manage every other one."""
    return user.active and user.role == "admin" and user.project_id is None


def _require_other_admin(connection: sa.Connection, user: User) -> None:
    if not any(_rules(other) for other in users(connection) if other.id != user.id):
        raise ConflictError(f"{user.name} is the last admin", hint="make another one first")
