"""Devices, what they sign in with, and the certificate authority."""

from __future__ import annotations

from collections import defaultdict
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from nervure.core.instant import iso
from nervure.serve.answer import Answer
from nervure.serve.control.given import MS
from nervure.serve.control.route import Call, Desk, Done, Route
from nervure.trust.device import Credential, Device
from nervure.trust.office import Admission

__all__ = [
    "ROUTES",
    "Admitted",
    "CredentialView",
    "DeviceView",
    "NewDevice",
    "Rotation",
    "add_device",
    "admitted",
    "authority",
    "credentials",
    "crl",
    "devices",
    "revoke",
    "rotate",
]

Name = Annotated[str, Meta(min_length=1, max_length=100)]
Key = Annotated[int, Meta(ge=1, le=1 << 53)]
Days = Annotated[float, Meta(gt=0, le=3650)]
Pem = Annotated[str, Meta(max_length=16_384)]

PEM = "application/x-pem-file"


class NewDevice(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A device to add to a Thing; ``datastreams`` are the only ones it may write to, none: all.

    With ``certificate`` it gets a certificate instead of a token, with ``request`` (a signing
    request, PEM) one for a key of its own.
    """

    name: Name
    thing: Key
    datastreams: Annotated[list[Key], Meta(max_length=10_000)] = []
    days: Days | None = None
    certificate: bool = False
    request: Pem | None = None


class Rotation(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a device gets instead of what it has; the old is good for ``grace_s`` more seconds."""

    days: Days | None = None
    grace_s: Annotated[float, Meta(ge=0, le=86_400 * 30)] = 0.0
    certificate: bool | None = None
    request: Pem | None = None


class DeviceView(msgspec.Struct, frozen=True, kw_only=True):
    """A device; ``last_seen`` (ms) is when the newest reading of what it may write to was taken."""

    name: str
    thing: int
    project: int
    datastreams: tuple[int, ...]
    created: str
    revoked: str | None = None
    last_seen: int | None = None


class CredentialView(msgspec.Struct, frozen=True, kw_only=True):
    """What a device signs in with, without its secret."""

    kind: str
    serial: str | None
    created: str
    expires: str | None
    revoked: str | None


class Admitted(msgspec.Struct, frozen=True, kw_only=True):
    """A device's new token, or its certificate and key with those of the authority: shown this once."""

    device: DeviceView
    username: str
    expires: str | None
    token: str = ""
    certificate: str = ""
    key: str = ""
    authority: str = ""


def devices(desk: Desk, call: Call) -> list[DeviceView]:
    """List the devices in sight, with when each was last heard of."""
    newest = desk.observed.newest()
    last = dict(zip(newest.datastream.tolist(), newest.time.tolist(), strict=True))
    table = desk.site().streams
    of_thing: dict[int, list[int]] = defaultdict(list)
    for stream, thing in zip(table.id.tolist(), table.thing.tolist(), strict=True):
        of_thing[thing].append(stream)
    return [
        _device(one, max((last.get(key, 0) for key in one.datastreams or of_thing[one.thing_id]), default=0))
        for one in desk.office.devices(call.principal)
    ]


def add_device(desk: Desk, call: Call) -> Admitted:
    """Add a device, and give it something to sign in with."""
    wish: NewDevice = call.body
    made = desk.office.add_device(
        call.principal,
        wish.name,
        wish.thing,
        datastreams=wish.datastreams,
        days=wish.days,
        certificate=wish.certificate,
        request=wish.request.encode() if wish.request else None,
    )
    return admitted(made, desk.office.authority.pem)


def credentials(desk: Desk, call: Call) -> list[CredentialView]:
    """List what a device signs in with, and has signed in with."""
    return [_credential(one) for one in desk.office.credentials(call.principal, call.names["name"])]


def rotate(desk: Desk, call: Call) -> Admitted:
    """Give a device something new to sign in with."""
    wish: Rotation = call.body
    made = desk.office.rotate_device(
        call.principal,
        call.names["name"],
        days=wish.days,
        grace_s=wish.grace_s,
        certificate=wish.certificate,
        request=wish.request.encode() if wish.request else None,
    )
    return admitted(made, desk.office.authority.pem)


def revoke(desk: Desk, call: Call) -> Done:
    """Shut a device out, at once and for good."""
    desk.office.revoke_device(call.principal, call.names["name"])
    return Done()


def authority(desk: Desk, _: Call) -> Answer:
    """Return the authority's own certificate, which devices need to know us by."""
    return Answer(body=desk.office.authority.pem.encode(), kind=PEM)


def crl(desk: Desk, _: Call) -> Answer:
    """Return the list of revoked certificates."""
    return Answer(body=desk.office.crl().encode(), kind=PEM)


def admitted(made: Admission, authority_pem: str) -> Admitted:
    """Return what is shown of an admission, secrets and all."""
    issued = made.issued
    return Admitted(
        device=_device(made.device),
        username=made.device.name,
        expires=None if made.credential.expires_ns is None else iso(made.credential.expires_ns),
        token=made.token,
        certificate=issued.certificate if issued is not None else "",
        key=issued.key if issued is not None else "",
        authority=authority_pem if issued is not None else "",
    )


def _device(one: Device, last_ns: int = 0) -> DeviceView:
    return DeviceView(
        name=one.name,
        thing=one.thing_id,
        project=one.project_id,
        datastreams=one.datastreams,
        created=iso(one.created_ns),
        revoked=None if one.revoked_ns is None else iso(one.revoked_ns),
        last_seen=last_ns // MS or None,
    )


def _credential(one: Credential) -> CredentialView:
    return CredentialView(
        kind=one.kind,
        serial=one.serial,
        created=iso(one.created_ns),
        expires=None if one.expires_ns is None else iso(one.expires_ns),
        revoked=None if one.revoked_ns is None else iso(one.revoked_ns),
    )


_MANAGE: dict[str, Any] = {"right": "manage-devices"}

ROUTES: tuple[Route, ...] = (
    Route(method="GET", path="/api/devices", work=devices, answer=list[DeviceView], **_MANAGE),
    Route(
        method="POST",
        path="/api/devices",
        work=add_device,
        body=NewDevice,
        answer=Admitted,
        status=201,
        **_MANAGE,
    ),
    Route(method="GET", path="/api/devices/{name}", work=credentials, answer=list[CredentialView], **_MANAGE),
    Route(
        method="POST",
        path="/api/devices/{name}/rotate",
        work=rotate,
        body=Rotation,
        answer=Admitted,
        status=201,
        **_MANAGE,
    ),
    Route(method="DELETE", path="/api/devices/{name}", work=revoke, **_MANAGE),
    Route(method="GET", path="/api/authority", right=None, work=authority, answer=str, kind=PEM),
    Route(method="GET", path="/api/crl", right=None, work=crl, answer=str, kind=PEM),
)
