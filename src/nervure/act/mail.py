"""E-mail: an alert as a message of plain text, handed to a mail server (SMTP, RFC 5321)."""

from __future__ import annotations

import smtplib
import ssl
from collections.abc import Mapping, Sequence
from email.message import EmailMessage
from email.utils import formatdate
from pathlib import Path
from typing import Protocol, get_args

from nervure.act.phrase import unit_text
from nervure.act.state import state_of
from nervure.core.alert import Alert, Severity
from nervure.core.entity import Datastream, Location, Thing
from nervure.core.error import NotFoundError, SettingError
from nervure.core.instant import SECOND_NS, iso
from nervure.core.notice import Notify

__all__ = ["Where", "letter", "send", "wanted"]

_EAST, _NORTH = 180, 90
_SEVERITIES: tuple[Severity, ...] = get_args(Severity)


class Where(Protocol):
    """What is asked of the catalogue: how that is called, and where it is, which an alert is about."""

    def thing(self, id: int, /) -> Thing:
        """Return a Thing, or raise ``NotFoundError``."""
        ...

    def locations(self, thing_id: int, /) -> Sequence[Location]:
        """Return where a Thing is."""
        ...

    def datastream(self, id: int, /) -> Datastream:
        """Return a Datastream, or raise ``NotFoundError``."""
        ...


def wanted(alert: Alert, settings: Notify) -> bool:
    """Tell whether an alert is mailed: somebody wants mail, and it is grave enough."""
    grave = _SEVERITIES.index(alert.severity) <= _SEVERITIES.index(settings.mail_severity)
    return bool(settings.mail_to) and grave


def letter(
    alert: Alert, key: str, settings: Notify, now_ns: int, where: Where | None = None
) -> EmailMessage:  # fmt: skip
    """Write the message; a repeat of the same state has the same Message-ID, by which readers merge them.

    ``where`` knows the names of what it is about; what is not there any more goes by what the alert says.
    """
    state = state_of(alert, now_ns)
    about, more = _about(alert, where)
    mail = EmailMessage()
    mail["From"], mail["To"] = settings.mail_from, ", ".join(settings.mail_to)
    mail["Subject"] = _line(
        f"[{alert.severity}] {about}: {alert.rule}" + ("" if alert.active else " is over")
    )
    mail["Date"] = formatdate(alert.raised_ns / SECOND_NS)
    mail["Message-ID"] = f"<{alert.id}.{_line(key)}@{settings.mail_from.rpartition('@')[2]}>"
    mail["Auto-Submitted"] = "auto-generated"
    lines = [alert.text, "", *more, f"since {iso(alert.start_ns)}, {state}"]
    lines += [] if alert.end_ns is None else [f"over since {iso(alert.end_ns)}"]
    lines += [] if alert.sure is None else [f"sure to {alert.sure:.1%}"]
    mail.set_content("\n".join([*lines, "", f"alert {alert.id}, rule {alert.rule}"]))
    return mail


def _about(alert: Alert, where: Where | None) -> tuple[str, list[str]]:
    """Return the name of an alert's Thing, and lines on it: its place, the Datastream and its unit."""
    lines: list[str] = []
    name = str(alert.properties.get("thing", f"Thing {alert.thing}"))
    if where is None:
        return name, lines
    try:
        name = where.thing(alert.thing).name
        lines.append(f"Thing: {_line(name)} ({alert.thing})")
        lines += [f"place: {_line(_place(one))}" for one in where.locations(alert.thing)]
        if alert.datastream:
            stream = where.datastream(alert.datastream)
            unit = unit_text(stream.unit)
            lines.append(f"Datastream: {_line(stream.name)} ({alert.datastream})" + (unit and f", in {unit}"))
    except NotFoundError:  # deleted since
        pass
    return name, lines


def _place(one: Location) -> str:
    """Write a place with its latitude and longitude, where it is a point.

    >>> _place(Location(name="quay 3", location={"type": "Point", "coordinates": [11.34, 44.49]}))
    'quay 3, 44.49 N 11.34 E'
    """
    spot: object = one.location
    if isinstance(spot, Mapping):  # a client may say it in words
        spot = spot.get("geometry", spot)
    match spot:
        case {"type": "Point", "coordinates": [int() | float() as east, int() | float() as north, *_]} if (
            abs(east) <= _EAST and abs(north) <= _NORTH
        ):
            at = f"{abs(north):.7g} {'N' if north >= 0 else 'S'} {abs(east):.7g} {'E' if east >= 0 else 'W'}"
            return f"{one.name}, {at}"
    return one.name


def send(mail: EmailMessage, settings: Notify) -> None:
    """Hand a message to the mail server; waits for it, so call it in a thread.

    Raises ``smtplib.SMTPException`` or ``OSError`` for what may be better later, ``SettingError`` for a
    password that cannot be read.
    """
    password = _password(settings)
    context = ssl.create_default_context()
    place = (settings.smtp_host, settings.smtp_port)
    if settings.smtp_security == "tls":
        server: smtplib.SMTP = smtplib.SMTP_SSL(*place, timeout=settings.timeout_s, context=context)
    else:
        server = smtplib.SMTP(*place, timeout=settings.timeout_s)
    with server:
        if settings.smtp_security == "starttls":
            server.starttls(context=context)
        if settings.smtp_user is not None:
            server.login(settings.smtp_user, password)
        server.send_message(mail)


def _password(settings: Notify) -> str:
    if settings.smtp_password_file is None:
        return ""
    try:
        return Path(settings.smtp_password_file).read_text("utf-8").strip()
    except OSError as cause:
        raise SettingError(
            f"cannot read {settings.smtp_password_file}: {cause.strerror}",
            where="$.notify.smtp_password_file",
        ) from cause


def _line(text: str) -> str:
    """Keep what others wrote on one line: a header ends with it."""
    return " ".join(text.split())[:200]
