"""``nervure device``: which devices may send readings, and what they sign in with."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter

from nervure.cli.office import office
from nervure.cli.option import Change, File, Json
from nervure.cli.output import say, table, write_json
from nervure.core.error import EnvironmentMissing

if TYPE_CHECKING:
    from nervure.trust.office import Admission

__all__ = ["add", "crl", "device", "devices", "revoke", "rotate"]

device = App(name="device", help="Manage devices, and what they sign in with.")

Name = Annotated[str, Parameter(help="The name the device signs in with.")]
Days = Annotated[float | None, Parameter(help="How long it is good; a token for ever, a certificate a year.")]
Certificate = Annotated[bool, Parameter(help="Give it a certificate of the built-in authority, not a token.")]
Request = Annotated[
    Path | None, Parameter(help="A signing request (PEM), for a key that stays on the device.")
]
Out = Annotated[
    Path | None,
    Parameter(help="Write NAME.pem, NAME.key and ca.pem into this folder instead of showing them."),
]


@device.command
def add(
    name: Name,
    thing: Annotated[int, Parameter(help="The id of the Thing that it is, or carries.")],
    /,
    *,
    datastream: Annotated[
        tuple[int, ...],
        Parameter(help="The only Datastream it may write to; all if left out. May be repeated."),
    ] = (),
    days: Days = None,
    certificate: Certificate = False,
    request: Request = None,
    out: Out = None,
    json: Json = False,
    settings: File = None,
    change: Change = (),
) -> int:
    """Add a device and give it a token, or a certificate: shown this once."""
    from nervure.trust.office import MACHINE

    with office(settings, change) as found:
        made = found.add_device(
            MACHINE,
            name,
            thing,
            datastreams=datastream,
            days=days,
            certificate=certificate,
            request=_read(request),
        )
        _show(made, found.authority.pem if made.issued else "", out, json=json)
    return 0


@device.command
def rotate(
    name: Name,
    /,
    *,
    days: Days = None,
    grace: Annotated[float, Parameter(help="Seconds for which what it has is still good.")] = 0.0,
    certificate: Annotated[
        bool | None, Parameter(help="A certificate, or else a token; as before if left out.")
    ] = None,
    request: Request = None,
    out: Out = None,
    json: Json = False,
    settings: File = None,
    change: Change = (),
) -> int:
    """Give a device something new to sign in with; what it had ends."""
    from nervure.trust.office import MACHINE

    with office(settings, change, make=False) as found:
        made = found.rotate_device(
            MACHINE, name, days=days, grace_s=grace, certificate=certificate, request=_read(request)
        )
        _show(made, found.authority.pem if made.issued else "", out, json=json)
    return 0


@device.command
def revoke(name: Name, /, *, settings: File = None, change: Change = ()) -> int:
    """Shut a device out, at once and for good."""
    from nervure.trust.office import MACHINE

    with office(settings, change, make=False) as found:
        found.revoke_device(MACHINE, name)
    say(f"{name} is shut out")
    return 0


@device.command(name="list")
def devices(*, json: Json = False, settings: File = None, change: Change = ()) -> int:
    """List the devices."""
    from nervure.trust.office import MACHINE

    with office(settings, change, make=False) as found:
        projects = {one.id: one.name for one in found.projects(MACHINE)}
        rows = [
            (
                one.name,
                one.thing_id,
                projects.get(one.project_id, ""),
                list(one.datastreams),
                one.revoked_ns is not None,
            )
            for one in found.devices(MACHINE)
        ]
    columns = ("name", "thing", "project", "datastreams", "revoked")
    if json:
        write_json([dict(zip(columns, row, strict=True)) for row in rows])
    else:
        table(columns, [(*row[:3], ", ".join(map(str, row[3])) or "all", row[4]) for row in rows])
    return 0


@device.command
def crl(*, settings: File = None, change: Change = ()) -> int:
    """Write the list of revoked certificates, as PEM."""
    with office(settings, change) as found:
        say(found.crl().rstrip())
    return 0


def _show(made: Admission, authority: str, out: Path | None, *, json: bool) -> None:
    """Show what a device signs in with, or write its files."""
    issued, name = made.issued, made.device.name
    about = {"name": name, "thing": made.device.thing_id, "token": made.token}
    if issued is not None:
        files = {f"{name}.pem": issued.certificate, f"{name}.key": issued.key, "ca.pem": authority}
        about |= {"certificate": issued.certificate, "key": issued.key, "authority": authority}
        if out is not None:
            _write(out, files)
            about = {"name": name, "folder": str(out)}
    if json:
        write_json(about)
    elif issued is None:
        say(f"{made.token}\nThe device signs in by MQTT as {name} with this token, which is shown this once.")
    elif out is not None:
        say(f"wrote {', '.join(one for one, text in files.items() if text)} to {out}")
    else:
        say("\n".join(text.rstrip() for text in files.values() if text))


def _write(out: Path, files: dict[str, str]) -> None:
    from nervure.stream.conf import write_private

    for name, text in files.items():
        if text:
            write_private(out / name, text)


def _read(path: Path | None) -> bytes | None:
    if path is None:
        return None
    try:
        return path.read_bytes()
    except OSError as cause:
        raise EnvironmentMissing(f"cannot read {path}: {cause.strerror}") from cause
