"""The office: users, tokens, sessions, projects and devices, added, changed and taken away by somebody.

Whoever asks must have the right, sees their own project only, and gives nobody more than they could
have themselves. Every change has its line in the audit, in the same transaction.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import msgspec

from nervure.core.error import DeniedError, NotFoundError
from nervure.trust import device, project, token, user
from nervure.trust.authority import Authority, Issued
from nervure.trust.device import Credential, Device
from nervure.trust.principal import Principal
from nervure.trust.project import Project
from nervure.trust.register import Register
from nervure.trust.right import RIGHTS, ROLES, Right, Role
from nervure.trust.secret import hash_password, make_password
from nervure.trust.token import Session, Token
from nervure.trust.user import User

__all__ = ["MACHINE", "Admission", "Office"]

MACHINE = Principal(name="console", kind="open", role="admin", rights=frozenset(RIGHTS))
"""Who works at the machine itself and may read its files: the command line."""

FIRST_ADMIN = "admin"


class Admission(msgspec.Struct, frozen=True, kw_only=True):
    """What a device was given to sign in with: a token, or a certificate; shown this once."""

    device: Device
    credential: Credential
    token: str = ""
    issued: Issued | None = None

    def __repr__(self) -> str:
        return f"Admission({self.device.name!r}, {self.credential.kind})"


class Office:
    """Changes who may do what, on somebody's behalf; its methods may be called from any thread.

    ``folder`` is where the certificate authority lies; it is made when it is first needed.
    """

    def __init__(self, register: Register, folder: Path) -> None:
        self.register = register
        self._folder = folder

    # --- users -------------------------------------------------------------------------------------

    def first_admin(self) -> str | None:
        """Make the first user if there is none, and return their password, which is shown this once."""
        if self.register.known().users:
            return None
        password = make_password()
        self.add_user(MACHINE, FIRST_ADMIN, "admin", password=password)
        return password

    def users(self, who: Principal) -> list[User]:
        """Return the users in sight, by key."""
        who.require("manage-users")
        with self.register.reading() as connection:
            return [one for one in user.users(connection) if _sees(who, one.project_id)]

    def add_user(
        self,
        who: Principal,
        name: str,
        role: Role,
        *,
        granted: Iterable[Right] = (),
        password: str | None = None,
        project_id: int | None = None,
    ) -> User:
        """Add a user; one without a password signs in at the OpenID provider only."""
        who.require("manage-users")
        made = User(
            id=0,
            name=name,
            role=role,
            granted=tuple(sorted(set(granted))),
            project_id=project_id if who.project is None else who.project,
            secret=hash_password(password) if password is not None else None,
        )
        detail = {"user": name, "role": role, "granted": made.granted, "project": made.project_id}
        with self.register.changing(who.name, "user.add", detail) as connection:
            added = user.add(connection, made)
            _no_stronger(who, added)
            return added

    def change_user(self, who: Principal, name: str, **values: Any) -> User:
        """Change role, granted, password, project_id or active; every session of theirs ends.

        Their tokens stay, with no more rights than they have themselves from then on.
        """
        who.require("manage-users")
        shown = {key: value for key, value in values.items() if key != "password"}
        if "password" in values:
            values["secret"] = hash_password(values.pop("password"))
            shown |= {"password": "changed"}
        if who.project is not None and values.get("project_id", who.project) != who.project:
            raise DeniedError(f"{who.name} gives nobody another project")
        with self.register.changing(who.name, "user.change", {"user": name, **shown}) as connection:
            before = user.by_name(connection, name)
            self._in_sight(who, before)
            changed = user.change(connection, name, values)
            _no_stronger(who, before, changed)
            token.end_session(connection, account=changed.id)
            return changed

    def change_password(self, who: Principal, old: str, new: str, address: str) -> None:
        """Change one's own password; every session ends."""
        found = self.register.by_password(who.name, old, address)
        with self.register.changing(who.name, "user.password", {"user": who.name}) as connection:
            user.change(connection, found.name, {"secret": hash_password(new)})
            token.end_session(connection, account=found.id)

    def remove_user(self, who: Principal, name: str) -> None:
        """Remove a user, their tokens and sessions."""
        who.require("manage-users")
        with self.register.changing(who.name, "user.remove", {"user": name}) as connection:
            self._in_sight(who, user.by_name(connection, name))
            user.remove(connection, name)

    def adopt(self, name: str, role: Role | None, issuer: str, subject: str) -> User:
        """Return the user of that name as one who signs in at an OpenID provider from now on.

        One without a password whom nobody has claimed yet is theirs; one who is new is made, if
        there is a role for such. ``DeniedError`` for a name that is somebody's already.
        """
        known = {one.name: one for one in self.register.known().users.values()}
        before = known.get(name.strip().casefold())
        if before is None and role is None:
            raise DeniedError("nobody here is known by that sign-in", hint="an admin can add them")
        if before is not None and (
            before.secret is not None or before.issuer is not None or not before.active
        ):
            raise DeniedError(f"the name {name!r} is somebody else's here")
        detail = {"user": name, "issuer": issuer, "subject": subject}
        with self.register.changing(name, "user.adopt", detail) as connection:
            if before is not None:
                return user.change(connection, name, {"issuer": issuer, "subject": subject})
            made = User(id=0, name=name, role=role or "viewer", issuer=issuer, subject=subject)
            return user.add(connection, made)

    # --- tokens and sessions -----------------------------------------------------------------------

    def tokens(self, who: Principal) -> list[Token]:
        """Return one's own tokens; an admin's are those of every user in sight."""
        with self.register.reading() as connection:
            if not who.may("manage-users"):
                return token.tokens(connection, who.id)
            seen = {one.id for one in user.users(connection) if _sees(who, one.project_id)}
            return [one for one in token.tokens(connection) if one.account_id in seen]

    def add_token(
        self, who: Principal, name: str, rights: Sequence[Right] | None, days: float, owner: str | None = None
    ) -> tuple[Token, str]:
        """Make a token for oneself, or (as an admin) for a user in sight, and return it with its secret.

        ``rights`` None means all that the asker has. A token makes none that can do more than itself,
        nor one that is good for longer.
        """
        detail = {"token": name, "owner": owner or who.name, "days": days, "rights": rights}
        with self.register.changing(who.name, "token.add", detail) as connection:
            holder = user.by_name(connection, owner or who.name)
            if holder.id != who.id or who.kind == "open":
                who.require("manage-users")
                self._in_sight(who, holder)
            may = holder.rights & who.rights if who.kind == "token" else holder.rights
            chosen = tuple(sorted(may)) if rights is None else tuple(sorted(set(rights)))
            if set(chosen) - may:
                who.require(min(set(chosen) - may))
            latest = who.until_ns if who.kind == "token" else None
            return token.add(connection, holder, name, chosen, days, latest_ns=latest)

    def revoke_token(self, who: Principal, id: int) -> Token:
        """Take back a token of one's own, or (as an admin) of a user in sight."""
        if all(one.id != id for one in self.tokens(who)):
            raise NotFoundError(f"there is no token {id}")
        with self.register.changing(who.name, "token.revoke", {"token": id}) as connection:
            return token.revoke(connection, id)

    def begin(self, owner: User, address: str, hours: float) -> tuple[Session, str]:
        """Begin a session of somebody who has just shown who they are."""
        detail = {"user": owner.name, "address": address}
        with self.register.changing(owner.name, "session.begin", detail) as connection:
            return token.add_session(connection, owner, address, hours)

    def end(self, who: Principal) -> None:
        """End the session that somebody came with."""
        with self.register.changing(who.name, "session.end", {"user": who.name}) as connection:
            token.end_session(connection, hash=who.session)

    # --- projects ----------------------------------------------------------------------------------

    def projects(self, who: Principal) -> list[Project]:
        """Return the projects in sight."""
        with self.register.reading() as connection:
            return [one for one in project.projects(connection) if _sees(who, one.id)]

    def add_project(self, who: Principal, name: str, description: str = "") -> Project:
        """Add a project."""
        who.require("manage-projects")
        with self.register.changing(who.name, "project.add", {"project": name}) as connection:
            return project.add(connection, name, description)

    def remove_project(self, who: Principal, name: str) -> None:
        """Remove an empty project, with its users and devices."""
        who.require("manage-projects")
        with self.register.changing(who.name, "project.remove", {"project": name}) as connection:
            project.remove(connection, name)

    # --- devices -----------------------------------------------------------------------------------

    def devices(self, who: Principal) -> list[Device]:
        """Return the devices in sight."""
        who.require("manage-devices")
        with self.register.reading() as connection:
            return device.devices(connection, who.project)

    def credentials(self, who: Principal, name: str) -> list[Credential]:
        """Return what a device signs in with: kinds, serials and times, no secrets."""
        who.require("manage-devices")
        with self.register.reading() as connection:
            return device.credentials(connection, device.by_name(connection, name, who.project).id)

    def add_device(
        self,
        who: Principal,
        name: str,
        thing: int,
        *,
        datastreams: Sequence[int] = (),
        days: float | None = None,
        certificate: bool = False,
        request: bytes | None = None,
    ) -> Admission:
        """Add a device of a Thing, with a token, or a certificate (``request``: for its own key)."""
        who.require("manage-devices")
        detail = {"device": name, "thing": thing, "datastreams": list(datastreams)}
        with self.register.changing(who.name, "device.add", detail) as connection:
            made = device.add(connection, name, thing, datastreams, who.project)
            return self._admit(connection, made, days, certificate=certificate, request=request)

    def rotate_device(
        self,
        who: Principal,
        name: str,
        *,
        days: float | None = None,
        grace_s: float = 0.0,
        certificate: bool | None = None,
        request: bytes | None = None,
    ) -> Admission:
        """Give a device something new to sign in with; what it had ends now, or after ``grace_s``.

        ``certificate`` None means the same kind as before.
        """
        who.require("manage-devices")
        with self.register.changing(who.name, "device.rotate", {"device": name}) as connection:
            found = device.by_name(connection, name, who.project)
            had = device.credentials(connection, found.id)
            device.revoke_credentials(connection, found, time.time_ns() + int(grace_s * 1e9))
            same = bool(had) and had[-1].kind == "certificate"
            wish = same if certificate is None else certificate
            return self._admit(connection, found, days, certificate=wish or bool(request), request=request)

    def revoke_device(self, who: Principal, name: str) -> None:
        """Shut a device out for good."""
        who.require("manage-devices")
        with self.register.changing(who.name, "device.revoke", {"device": name}) as connection:
            device.revoke(connection, device.by_name(connection, name, who.project))

    def crl(self) -> str:
        """Return the list of revoked certificates, as PEM."""
        with self.register.reading() as connection:
            gone = [
                (one.serial, one.revoked_ns)
                for one in device.credentials(connection)
                if one.serial is not None and one.revoked_ns is not None
            ]
        return self.authority.crl(gone)

    @cached_property
    def authority(self) -> Authority:
        """The certificate authority."""
        return Authority.load_or_create(self._folder)

    def _admit(
        self, connection: Any, made: Device, days: float | None, *, certificate: bool, request: bytes | None
    ) -> Admission:
        if certificate or request is not None:
            issued = self.authority.device(made.name, days or 365.0, request)
            return Admission(
                device=made, credential=device.add_certificate(connection, made, issued), issued=issued
            )
        credential, secret = device.add_token(connection, made, days)
        return Admission(device=made, credential=credential, token=secret)

    def _in_sight(self, who: Principal, found: User) -> None:
        if not _sees(who, found.project_id):
            raise NotFoundError(f"there is no user {found.name!r}")


def _no_stronger(who: Principal, *users: User) -> None:
    """Refuse a token that makes, or takes over, a user whose role can do more than it."""
    for one in users:
        more = ROLES[one.role] & one.rights - who.rights if who.kind == "token" else ()
        if more:
            who.require(min(more))


def _sees(who: Principal, project_id: int | None) -> bool:
    return who.project is None or who.project == project_id
