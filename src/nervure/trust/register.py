"""The register: who there is, by what they are known, and what each of them may do.

All of it is held in memory, so that a request or a device is answered without the database. What
this process changes counts at once; what another one does (``nervure user``, a second node) within
a quarter of a second, for a count in the database grows with every change. Nobody is turned away for
that quarter: who is not known is looked for once more.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import msgspec
import sqlalchemy as sa

from nervure.core.error import BusyError, SignInError, StoreError
from nervure.store import model, sql, tally
from nervure.store.database import Database
from nervure.trust import attempt, console, device, token, user
from nervure.trust.device import Credential, Device, Stream
from nervure.trust.principal import Principal
from nervure.trust.secret import check_password, digest, hash_password, needs_rehash, same
from nervure.trust.token import Session, Token
from nervure.trust.user import User

__all__ = ["Known", "Register"]

ACCESS = "access"
"""The name under which changes of who may do what are counted."""

_FRESH_S = 0.25
_LOOKS, _LOOKS_S = 20, 50.0
"""So many looks at the catalogue for somebody unknown may be in vain in a row, and so many a second."""
_ENTITIES_S = 1.0
_BELIEVED = "what you sign in with is not known, has ended or was taken back"
_HASHING = threading.Semaphore(2)  # each hash takes 64 MiB and a core for a tenth of a second
_MOST_WAITING = 16


class Known(msgspec.Struct, frozen=True, kw_only=True):
    """What is known at one moment: everybody, by key, by name and by what they show."""

    stamp: tuple[int, ...]
    users: dict[int, User]
    tokens: dict[str, Token]
    sessions: dict[str, Session]
    devices: dict[int, Device]
    credentials: dict[str, Credential]
    streams: dict[int, list[Stream]]

    def streams_of(self, one: Device) -> list[Stream]:
        """Return the Datastreams that a device may write to."""
        theirs = self.streams.get(one.thing_id, [])
        return [stream for stream in theirs if not one.datastreams or stream.id in one.datastreams]


class Register:
    """Users, tokens, sessions and devices; its methods may be called from any thread.

    ``console_secret`` is that of the commands on this machine.
    """

    def __init__(self, database: Database, console_secret: str | None = None) -> None:
        self._console = digest(console_secret) if console_secret is not None else None
        self._database = database
        self._lock = threading.Lock()
        self._known: Known | None = None
        self._looked = self._read_s = -math.inf  # a machine just started counts its seconds from zero
        self._spare, self._spared = float(_LOOKS), 0.0
        self._waiting = 0
        self._told: list[Callable[[], None]] = []

    def on_change(self, told: Callable[[], None]) -> None:
        """Tell somebody, from whichever thread it is, when this process changed who may do what."""
        self._told.append(told)

    def known(self, *, fresh: bool = False) -> Known:
        """Return what is known now; ``fresh``: whatever was committed before the call is in it."""
        found = self._known
        if found is not None and not fresh and time.monotonic() - self._looked < _FRESH_S:
            return found
        try:
            with self._lock, self._database.read() as connection:
                looked = time.monotonic()
                self._known = self._renewed(connection, looked)
                self._looked = looked
                return self._known
        except StoreError:
            if found is None or fresh:
                raise
            self._looked = time.monotonic()  # nobody can change there who may do what, while it is away
            return found

    def _knowing(self, holds: Callable[[Known], bool]) -> Known:
        """Return what is known, looked up once more if it does not hold who is asked for.

        Who comes wrongly without end must not cost more than who belongs here: then what was looked up a
        quarter of a second ago has to do.
        """
        known, now = self.known(), time.monotonic()
        if holds(known):
            return known
        self._spare = min(_LOOKS, self._spare + (now - self._spared) * _LOOKS_S)
        self._spared = now
        if self._spare < 1:
            return known
        known = self.known(fresh=True)
        self._spare -= not holds(known)
        return known

    def _renewed(self, connection: sa.Connection, now_s: float) -> Known:
        """Return what is known, read anew as far as it changed; entities, at most once a second."""
        before = self._known
        stamp = _stamp(connection)
        if before is None or before.stamp[0] != stamp[0]:
            self._read_s = now_s
            return _read(connection, stamp)
        if before.stamp != stamp and now_s - self._read_s > _ENTITIES_S:
            self._read_s = now_s
            devices = {one.id: one for one in device.devices(connection)}
            streams = device.streams(connection)
            return msgspec.structs.replace(before, stamp=stamp, devices=devices, streams=streams)
        return before

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """Lend a connection to read with."""
        with self._database.read() as connection:
            yield connection

    @contextmanager
    def changing(self, who: str, what: str, detail: Mapping[str, Any]) -> Iterator[sa.Connection]:
        """Lend a connection to change who may do what: all of it with its line in the audit, or nothing."""
        with self._database.write() as connection:
            yield connection
            tally.count(connection, ACCESS)
            model.audit(connection, who, what, detail)
        with self._lock:  # who looks now may have begun before: what they find is not the newest
            self._looked = -math.inf
        for told in self._told:
            told()

    def note(self, who: str, what: str, detail: Mapping[str, Any]) -> None:
        """Write down something that happened and changed nothing: a refusal, a sign-in."""
        with self._database.write() as connection:
            model.audit(connection, who, what, detail)

    # --- who asks ----------------------------------------------------------------------------------

    def by_token(self, secret: str) -> Principal:
        """Return who shows a bearer token: a user, or a device; ``SignInError`` if nobody does."""
        return self.by_hash(digest(secret))

    def by_hash(self, hashed: str) -> Principal:
        """Return whose the token with that SHA-256 is."""
        if self._console is not None and same(hashed, self._console):
            return console.PRINCIPAL
        known, now = (
            self._knowing(lambda one: hashed in one.tokens or hashed in one.credentials),
            time.time_ns(),
        )
        found = known.tokens.get(hashed)
        if found is not None and found.holds(now):
            owner = known.users.get(found.account_id)
            if owner is not None and owner.active:
                principal = owner.principal("token", rights=found.rights)
                return msgspec.structs.replace(principal, until_ns=found.expires_ns)
        carried = known.credentials.get(hashed)
        if carried is not None and carried.kind == "token":
            return _device(known, carried, now)
        raise SignInError(_BELIEVED)

    def by_session(self, secret: str) -> tuple[Principal, Session]:
        """Return who shows a session's cookie, and the session."""
        hashed = digest(secret)
        known = self._knowing(lambda one: hashed in one.sessions)
        found = known.sessions.get(hashed)
        owner = known.users.get(found.account_id) if found is not None else None
        if found is None or owner is None or not owner.active or found.expires_ns <= time.time_ns():
            raise SignInError("the session has ended", hint="sign in again")
        return msgspec.structs.replace(owner.principal(), session=found.hash), found

    def by_certificate(self, fingerprint: str) -> Principal:
        """Return the device that a certificate, checked already, was made for."""
        known = self._knowing(lambda one: fingerprint in one.credentials)
        found = known.credentials.get(fingerprint)
        if found is None or found.kind != "certificate":
            raise SignInError(_BELIEVED)
        return _device(known, found, time.time_ns())

    def by_name(self, name: str, hashed: str) -> Principal:
        """Return the device or user of that name, if the token with that SHA-256 is their own."""
        found = self.by_hash(hashed)
        if found.name != name.strip().casefold():
            raise SignInError(_BELIEVED)
        return found

    def by_password(self, name: str, password: str, address: str) -> User:
        """Return the user if the password is theirs; takes as long if there is no such user.

        ``BusyError`` while too many sign-ins of that name or from that address went wrong.
        """
        if self._waiting >= _MOST_WAITING:
            raise BusyError("too many sign in at once")
        small = name.strip().casefold()
        known = self._knowing(lambda one: small in {each.name for each in one.users.values()})
        found = next((one for one in known.users.values() if one.name == small), None)
        self._waiting += 1
        try:
            with _HASHING:
                with self._database.read() as connection:
                    attempt.require_patience(connection, name, address)
                right = check_password(password, found.secret if found is not None else None)
        finally:
            self._waiting -= 1
        if not right or found is None or not found.active:
            with self._database.write() as connection:
                attempt.fail(connection, name, address)
                model.audit(connection, name[:100], "session.refuse", {"address": address})
            raise SignInError("the name or the password is wrong")
        with self._database.write() as connection:
            attempt.succeed(connection, name, address)
            if found.secret is not None and needs_rehash(found.secret):
                user.change(connection, found.name, {"secret": hash_password(password)})
        return found


def _device(known: Known, carried: Credential, now_ns: int) -> Principal:
    found = known.devices.get(carried.device_id)
    if found is None or found.revoked_ns is not None or not carried.holds(now_ns):
        raise SignInError(_BELIEVED)
    return Principal(
        until_ns=carried.revoked_ns or carried.expires_ns,
        name=found.name,
        kind="device",
        role="device",
        rights=frozenset({"observe"}),
        project=found.project_id,
        id=found.id,
        streams=frozenset(stream.id for stream in known.streams_of(found)),
    )


def _stamp(connection: sa.Connection) -> tuple[int, ...]:
    query = sa.select(sql.tally.c.number).where(sql.tally.c.name == ACCESS)
    return (int(connection.execute(query).scalar_one_or_none() or 0), *model.stamp(connection))


def _read(connection: sa.Connection, stamp: tuple[int, ...]) -> Known:
    now = time.time_ns()
    return Known(
        stamp=stamp,
        users={one.id: one for one in user.users(connection)},
        tokens={one.hash: one for one in token.tokens(connection) if one.holds(now)},
        sessions={one.hash: one for one in token.sessions(connection)},
        devices={one.id: one for one in device.devices(connection)},
        credentials={one.hash: one for one in device.credentials(connection) if one.holds(now)},
        streams=device.streams(connection),
    )
