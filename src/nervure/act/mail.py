"""E-mail: an alert as a message of plain text, handed to a mail server (SMTP, RFC 5321)."""

from __future__ import annotations

import smtplib
import ssl
from email.message import EmailMessage
from email.utils import formatdate
from pathlib import Path
from typing import get_args

from nervure.act.state import state_of
from nervure.core.alert import Alert, Severity
from nervure.core.error import SettingError
from nervure.core.instant import SECOND_NS, iso
from nervure.core.notice import Notify

__all__ = ["letter", "send", "wanted"]

_SEVERITIES: tuple[Severity, ...] = get_args(Severity)


def wanted(alert: Alert, settings: Notify) -> bool:
    """Tell whether an alert is mailed: somebody wants mail, and it is grave enough."""
    grave = _SEVERITIES.index(alert.severity) <= _SEVERITIES.index(settings.mail_severity)
    return bool(settings.mail_to) and grave


def letter(alert: Alert, key: str, settings: Notify, now_ns: int) -> EmailMessage:
    """Write the message; a repeat of the same state has the same Message-ID, by which readers merge them."""
    state = state_of(alert, now_ns)
    about = str(alert.properties.get("thing", f"Thing {alert.thing}"))
    mail = EmailMessage()
    mail["From"], mail["To"] = settings.mail_from, ", ".join(settings.mail_to)
    mail["Subject"] = _line(
        f"[{alert.severity}] {about}: {alert.rule}" + ("" if alert.active else " is over")
    )
    mail["Date"] = formatdate(alert.raised_ns / SECOND_NS)
    mail["Message-ID"] = f"<{alert.id}.{_line(key)}@{settings.mail_from.rpartition('@')[2]}>"
    mail["Auto-Submitted"] = "auto-generated"
    lines = [alert.text, "", f"since {iso(alert.start_ns)}, {state}"]
    lines += [] if alert.end_ns is None else [f"over since {iso(alert.end_ns)}"]
    lines += [] if alert.sure is None else [f"sure to {alert.sure:.1%}"]
    mail.set_content("\n".join([*lines, "", f"alert {alert.id}, rule {alert.rule}"]))
    return mail


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
