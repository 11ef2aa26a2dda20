"""Devices: what they sign in with, and the literal subjects that each may publish and hear."""

from __future__ import annotations

import time
from collections.abc import Sequence

import msgspec
import sqlalchemy as sa

from nervure.core.error import ConflictError, NotFoundError, UsageError
from nervure.store import access, sql
from nervure.trust import row
from nervure.trust.authority import Issued
from nervure.trust.project import checked_name
from nervure.trust.secret import DEVICE, digest, make_token

__all__ = [
    "Credential",
    "Device",
    "Stream",
    "add",
    "add_certificate",
    "add_token",
    "by_name",
    "credentials",
    "devices",
    "revoke",
    "revoke_credentials",
    "streams",
]

DAY_NS = 86_400_000_000_000
_MOST_STREAMS = 10_000


class Device(msgspec.Struct, frozen=True, kw_only=True):
    """A device: the name it signs in with, its Thing, and the only Datastreams it may write to.

    No ``datastreams`` means every one of its Thing that carries readings.
    """

    id: int
    project_id: int
    thing_id: int
    name: str
    datastreams: tuple[int, ...] = ()
    created_ns: int = 0
    revoked_ns: int | None = None


class Stream(msgspec.Struct, frozen=True, kw_only=True):
    """A Datastream as a device addresses it: by its number, or by the key that a client chose."""

    id: int
    key: str | None = None
    multi: bool = False

    def topics(self) -> list[str]:
        """Return the MQTT topics of its readings."""
        names = [str(self.id)]
        if self.key is not None:
            names.append("'" + self.key.replace("'", "''") + "'")
        kinds = ["Datastreams", "MultiDatastreams"] if self.multi else ["Datastreams"]
        return [f"v1.1/{kind}({name})/Observations" for kind in kinds for name in names]


class Credential(msgspec.Struct, frozen=True, kw_only=True):
    """What a device signs in with: a token or a certificate, by its hash."""

    id: int
    device_id: int
    kind: str
    hash: str
    serial: str | None = None
    created_ns: int = 0
    expires_ns: int | None = None
    revoked_ns: int | None = None

    def holds(self, now_ns: int) -> bool:
        """Tell whether it is good at that instant."""
        late = self.revoked_ns is not None and self.revoked_ns <= now_ns
        return not late and (self.expires_ns is None or now_ns < self.expires_ns)


def devices(connection: sa.Connection, project: int | None = None) -> list[Device]:
    """Return the devices by their key, all or those of one project."""
    query = sa.select(access.device).order_by(access.device.c.id)
    if project is not None:
        query = query.where(access.device.c.project_id == project)
    return row.rows(connection, Device, query)


def by_name(connection: sa.Connection, name: str, project: int | None = None) -> Device:
    """Return the device of that name."""
    query = sa.select(access.device).where(access.device.c.name == name.strip().casefold())
    if project is not None:
        query = query.where(access.device.c.project_id == project)
    return row.one(connection, Device, query, f"device {name!r}")


def credentials(connection: sa.Connection, device: int | None = None) -> list[Credential]:
    """Return the credentials by their key, all or those of one device."""
    query = sa.select(access.credential).order_by(access.credential.c.id)
    if device is not None:
        query = query.where(access.credential.c.device_id == device)
    return row.rows(connection, Credential, query)


def add(
    connection: sa.Connection, name: str, thing: int, datastreams: Sequence[int], project: int | None
) -> Device:
    """Add a device to a Thing, in the Thing's own project; ``project`` is the only one in sight."""
    name = checked_name(name, "device")
    home = sa.select(sql.thing.c.project_id).where(sql.thing.c.id == thing)
    found = connection.execute(home).scalar_one_or_none()
    if found is None or (project is not None and found != project):
        raise NotFoundError(f"there is no Thing {thing}")
    chosen = sorted(set(datastreams))
    foreign = set(chosen) - {one.id for one in streams(connection, [thing]).get(thing, ())}
    if foreign:
        raise UsageError(f"Datastream {min(foreign)} is none of Thing {thing}")
    values = {"project_id": found, "thing_id": thing, "name": name}
    values |= {"datastreams": chosen, "created_ns": time.time_ns()}
    row.add(connection, access.device, values, f"device {name!r}")
    return by_name(connection, name)


def add_token(connection: sa.Connection, device: Device, days: float | None) -> tuple[Credential, str]:
    """Give a device a token and return it with its secret, which is shown this once."""
    secret, now = make_token(DEVICE), time.time_ns()
    until = None if days is None else now + int(days * DAY_NS)
    return _add(connection, device, "token", digest(secret), None, until), secret


def add_certificate(connection: sa.Connection, device: Device, issued: Issued) -> Credential:
    """Note a certificate that was made for a device."""
    return _add(connection, device, "certificate", issued.fingerprint, issued.serial, issued.expires_ns)


def revoke(connection: sa.Connection, device: Device) -> None:
    """Shut a device out, with all that it signs in with."""
    now = time.time_ns()
    table = access.device
    connection.execute(sa.update(table).where(table.c.id == device.id).values(revoked_ns=now))
    revoke_credentials(connection, device, now)


def revoke_credentials(connection: sa.Connection, device: Device, when_ns: int) -> int:
    """Take back, from that instant on, what a device signs in with now, and return how many they were."""
    table = access.credential
    mine = (
        table.c.device_id == device.id,
        sa.or_(table.c.revoked_ns.is_(None), table.c.revoked_ns > when_ns),
    )
    return int(connection.execute(sa.update(table).where(*mine).values(revoked_ns=when_ns)).rowcount)


def streams(connection: sa.Connection, things: Sequence[int] | None = None) -> dict[int, list[Stream]]:
    """Return the Datastreams with readings of each Thing, of some Things or of all that have devices."""
    table = sql.datastream
    query = sa.select(table.c.thing_id, table.c.id, table.c.key, table.c.multi).order_by(table.c.id)
    query = query.where(table.c.kind.not_in(("forecast", "score", "answer")))
    if things is None:
        query = query.where(table.c.thing_id.in_(sa.select(access.device.c.thing_id)))
    else:
        query = query.where(table.c.thing_id.in_(list(things)))
    found: dict[int, list[Stream]] = {}
    for thing, id, key, multi in connection.execute(query):  # noqa: A001 - as the column is called
        mine = found.setdefault(thing, [])
        if len(mine) < _MOST_STREAMS:
            mine.append(Stream(id=id, key=key, multi=bool(multi)))
    return found


def _add(
    connection: sa.Connection,
    device: Device,
    kind: str,
    hash: str,
    serial: str | None,
    expires_ns: int | None,
) -> Credential:
    if device.revoked_ns is not None:
        raise ConflictError(f"the device {device.name!r} was shut out", hint="add one of another name")
    values = {"device_id": device.id, "kind": kind, "hash": hash, "serial": serial}
    values |= {"created_ns": time.time_ns(), "expires_ns": expires_ns}
    key = row.add(connection, access.credential, values, "credential")
    query = sa.select(access.credential).where(access.credential.c.id == key)
    return row.one(connection, Credential, query, f"credential {key}")
