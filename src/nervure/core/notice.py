"""Settings of who gets word of alerts, and how."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from nervure.core.alert import Severity

__all__ = ["Notify"]

Address = Annotated[str, Meta(pattern=r"^[^@\s,;<>]+@[^@\s,;<>]+$")]


class Notify(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where alerts go besides MQTT: to a webhook, by e-mail, or both."""

    webhook: Annotated[
        Annotated[str, Meta(pattern=r"^https?://")] | None,
        Meta(description="An URL that each new or changed alert is posted to."),
    ] = None
    timeout_s: Annotated[
        float, Meta(gt=0, description="How long the webhook or the mail server may take to answer.")
    ] = 5.0
    mail_to: Annotated[
        tuple[Address, ...], Meta(max_length=50, description="Who gets alerts by e-mail; empty: nobody.")
    ] = ()
    mail_from: Annotated[Address, Meta(description="The sender of these mails.")] = (
        "nervure@localhost.invalid"
    )
    mail_severity: Annotated[Severity, Meta(description="The least severity that is mailed.")] = "major"
    smtp_host: Annotated[str, Meta(min_length=1, description="The mail server (SMTP).")] = "127.0.0.1"
    smtp_port: Annotated[int, Meta(ge=1, le=65535, description="Its TCP port.")] = 25
    smtp_security: Annotated[
        Literal["none", "starttls", "tls"], Meta(description="How the way to the mail server is encrypted.")
    ] = "none"
    smtp_user: Annotated[str | None, Meta(description="The name to log in with; none: no log-in.")] = None
    smtp_password_file: Annotated[str | None, Meta(description="The file of the password there.")] = None
