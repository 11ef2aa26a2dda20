"""Letting devices and users in by MQTT: who they are, and the subjects they may publish and hear.

The server asks about each connection (NATS ADR-26) and holds what it is told against every publish
and subscribe after it. Rights are literal: a device's readings of its own Datastreams, the Tasks of
its own Thing and what became of them. ``$MQTT.sub.>`` is how the server itself hands out QoS 1; no
client can subscribe to it.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from typing import Any

import msgspec
import sqlalchemy as sa

from nervure.core.error import DataError, SignInError
from nervure.store import sql
from nervure.stream.subject import ALERT_SUBJECTS, DEVICE_PREFIX, topic_to_subject
from nervure.trust.authority import fingerprint
from nervure.trust.device import Stream
from nervure.trust.principal import Principal
from nervure.trust.register import Register
from nervure.trust.secret import digest

__all__ = ["Rights", "Visitor", "identify", "rights_of", "visitor"]

_QOS_1 = "$MQTT.sub.>"
_MOST_SUBJECTS = 20_000
_TASKS = "nervure.tasks"


class Visitor(msgspec.Struct, frozen=True, kw_only=True):
    """Who knocks: what they call themselves, the hash of what they show, and where they come from."""

    connection: int
    name: str
    shown: str
    address: str
    client: str
    certificate: str | None = None
    by_mqtt: bool = True

    def __repr__(self) -> str:
        return f"Visitor({self.name!r}, {self.address}, {self.client!r})"


class Rights(msgspec.Struct, frozen=True, kw_only=True):
    """The subjects that somebody may publish and hear, and when they must sign in anew."""

    publish: tuple[str, ...]
    hear: tuple[str, ...]


def visitor(question: dict[str, Any]) -> Visitor:
    """Read the server's question; ``SignInError`` if it is not as it should be."""
    try:
        client, shown = question["client_info"], question["connect_opts"]
        secret = str(shown.get("pass") or shown.get("auth_token") or "")
        tls = question.get("client_tls") or {}
        # Only what the server itself has verified against the authority counts.
        chains = tls.get("verified_chains") or ()
        return Visitor(
            connection=int(client["id"]),
            name=str(shown.get("user") or ""),
            shown=digest(secret) if secret else "",
            address=str(client.get("host") or ""),
            client=str(client.get("mqtt_id") or ""),
            certificate=fingerprint(str(chains[0][0]).encode()) if chains else None,
            by_mqtt=client.get("type") == "mqtt",
        )
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as cause:
        raise SignInError(f"the server's question cannot be read: {cause!r}") from cause


def identify(register: Register, who: Visitor) -> Principal:
    """Return who that is; ``SignInError`` if nobody who may come in by MQTT.

    A device shows its certificate, or its name and token; with both they must be of the same device.
    A user shows their name and a bearer token; passwords are not taken here.
    """
    if not who.by_mqtt:
        raise SignInError("only MQTT comes in here")
    if who.certificate is not None:
        found = register.by_certificate(who.certificate)
        if who.name and who.name.strip().casefold() != found.name:
            raise SignInError("the certificate is of another device")
        if not who.shown or register.by_hash(who.shown).id == found.id:
            return found
    return register.by_name(who.name, who.shown)


def rights_of(register: Register, principal: Principal) -> Rights:
    """Return what somebody may publish and hear by MQTT."""
    if principal.kind == "device":
        known = register.known()
        device = known.devices[principal.id]
        return _device(known.streams_of(device), device.thing_id)
    if principal.project is None:
        return _everywhere(principal)
    return _in_project(register, principal, principal.project)


def _device(streams: Iterable[Stream], thing: int) -> Rights:
    publish = [*_readings(streams), f"{_TASKS}.{thing}.*.status"]
    return _rights(publish, [f"{_TASKS}.{thing}", f"{_TASKS}.{thing}.>"])


def _everywhere(principal: Principal) -> Rights:
    """Return what a user may who sees every project: all that the standard knows, by their rights."""
    publish: list[str] = []
    if principal.may("observe"):
        publish += [f"{DEVICE_PREFIX}v1//1.Observations", f"{DEVICE_PREFIX}v1//1.*.Observations"]
    if principal.may("act"):
        publish += [f"{DEVICE_PREFIX}v1//1.Tasks", f"{DEVICE_PREFIX}v1//1.*.Tasks"]
    trees = ("v1//1", ALERT_SUBJECTS.removesuffix(".>"))
    hear = [*trees, *(f"{tree}.>" for tree in trees)] if principal.may("read") else []
    return _rights(publish, hear)


def _in_project(register: Register, principal: Principal, project: int) -> Rights:
    """Return what a user may who sees one project: its entities one by one, for sets hold everybody's."""
    with register.reading() as connection:
        rows = {
            name: [
                int(one)
                for (one,) in connection.execute(sa.select(table.c.id).where(table.c.project_id == project))
            ]
            for name, table in (
                ("Datastreams", sql.datastream),
                ("Things", sql.thing),
                ("TaskingCapabilities", sql.tasking_capability),
            )
        }
    publish: list[str] = []
    if principal.may("observe"):
        publish += _readings(Stream(id=one, multi=True) for one in rows["Datastreams"])
    if principal.may("act"):
        publish += [
            f"{DEVICE_PREFIX}v1//1.TaskingCapabilities({one}).Tasks" for one in rows["TaskingCapabilities"]
        ]
    hear: list[str] = []
    if principal.may("read"):
        trees = [f"v1//1.{name}({one})" for name in rows for one in rows[name]]
        trees += [f"v1//1.MultiDatastreams({one})" for one in rows["Datastreams"]]
        trees += [f"nervure.alerts.{one}" for one in rows["Things"]]
        hear = [*trees, *(f"{tree}.>" for tree in trees)]
    return _rights(publish, hear)


def _readings(streams: Iterable[Stream]) -> list[str]:
    found = []
    for stream in streams:
        for topic in stream.topics():
            with suppress(DataError):  # a key with blanks has no subject
                found.append(f"{DEVICE_PREFIX}{topic_to_subject(topic)}")
    return found


def _rights(publish: list[str], hear: list[str]) -> Rights:
    # With no list at all the server would allow everything; a subject that nobody uses allows nothing.
    return Rights(
        publish=tuple(publish[:_MOST_SUBJECTS]) or ("nervure.nothing",),
        hear=(*hear[:_MOST_SUBJECTS], _QOS_1),
    )
