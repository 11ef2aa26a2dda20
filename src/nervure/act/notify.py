"""Notification: alerts leave the outbox over MQTT and, if they are set, to a webhook and by e-mail.

An alert is in the outbox from the same transaction that stored it, and leaves it when it was
delivered, so a crash can delay or repeat a message but never lose one. Receivers tell repeats by
the ``Idempotency-Key`` header, which stays the same for one state of one alert.
"""

from __future__ import annotations

import asyncio
import smtplib
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

import httpx
import msgspec

from nervure.act.mail import Where, letter, send, wanted
from nervure.act.state import is_shelved, state_of
from nervure.core.alert import Alert
from nervure.core.error import SettingError, StreamError
from nervure.core.instant import iso
from nervure.core.notice import Notify
from nervure.stream.subject import alert_subject

__all__ = ["Notifier", "Outbox", "message"]

Send = Callable[[str, bytes], Awaitable[None]]

TRIES = 20
_FIRST_WAIT_S = 1.0
_LONGEST_WAIT_S = 300.0
_LATER = frozenset({408, 425, 429})


class Outbox(Protocol):
    """Where alerts wait to be delivered."""

    def outbox(self) -> Sequence[tuple[str, Alert]]:
        """Return what waits, oldest first, with the key that each is delivered by."""
        ...

    def delivered(self, key: str) -> None:
        """Take an entry out."""
        ...


class _Attempt(msgspec.Struct):
    """How often an entry was tried, when it may be tried again, and who has it already."""

    tries: int = 0
    next_s: float = 0.0
    sent: bool = False
    posted: bool = False


def message(alert: Alert, now_ns: int) -> bytes:
    """Return the alert as JSON, with its state in words and its times as people write them."""
    plain = msgspec.to_builtins(alert)
    plain["state"] = state_of(alert, now_ns)
    for name in ("start", "raised", "end"):
        moment = plain[f"{name}_ns"]
        plain[name] = iso(moment) if moment is not None else None
    return msgspec.json.encode(plain)


class Notifier:
    """Delivers the outbox; what fails is tried again, later each time.

    ``where`` knows how that is called which a mail is about.
    """

    def __init__(
        self,
        outbox: Outbox,
        send: Send,
        settings: Notify,
        *,
        where: Where | None = None,
        clock: Callable[[], float] = time.time,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._outbox = outbox
        self._send = send
        self._settings, self._where = settings, where
        self._clock = clock
        self._transport = transport
        self._client: httpx.AsyncClient | None = None
        self._attempts: dict[str, _Attempt] = {}
        self.dropped = 0

    async def deliver(self) -> int:
        """Send what waits and is due; returns how many entries were delivered.

        A shelved alert is announced to nobody. After ``TRIES`` refusals by the webhook an entry is
        given up and counted in ``dropped``; the alert itself stays in the catalogue.
        """
        waiting = self._outbox.outbox()
        keys = {key for key, _ in waiting}
        self._attempts = {key: one for key, one in self._attempts.items() if key in keys}
        done = 0
        for key, alert in waiting:
            attempt = self._attempts.setdefault(key, _Attempt())
            if self._clock() < attempt.next_s:
                continue
            if await self._one(key, alert, attempt):
                self._outbox.delivered(key)
                del self._attempts[key]
                done += 1
        return done

    async def _one(self, key: str, alert: Alert, attempt: _Attempt) -> bool:
        now_ns = round(self._clock() * 1e9)
        if is_shelved(alert, now_ns):
            return True
        body = message(alert, now_ns)
        attempt.tries += 1
        try:
            if not attempt.sent:
                await self._send(alert_subject(alert.thing), body)
                attempt.sent = True
            if not attempt.posted:
                await self._post(f"{alert.id}-{key}", body)
                attempt.posted = True
            await self._mail(alert, key, now_ns)
        except (StreamError, httpx.HTTPError, smtplib.SMTPException, OSError, SettingError):
            wait_s = min(_FIRST_WAIT_S * 2.0 ** (attempt.tries - 1), _LONGEST_WAIT_S)
            attempt.next_s = self._clock() + wait_s
            if attempt.sent and attempt.tries >= TRIES:
                self.dropped += 1
                return True
            return False
        return True

    async def _post(self, key: str, body: bytes) -> None:
        """Post to the webhook; an answer that will never change counts as an answer."""
        if self._settings.webhook is None:
            return
        if self._client is None:
            self._client = httpx.AsyncClient(timeout=self._settings.timeout_s, transport=self._transport)
        headers = {"content-type": "application/json", "idempotency-key": key}
        answer = await self._client.post(self._settings.webhook, content=body, headers=headers)
        if answer.status_code in _LATER or answer.is_server_error:
            answer.raise_for_status()
        if not answer.is_success:
            self.dropped += 1

    async def _mail(self, alert: Alert, key: str, now_ns: int) -> None:
        """Hand it to the mail server; a refusal that will never change counts as an answer."""
        if not wanted(alert, self._settings):
            return
        mail = letter(alert, key, self._settings, now_ns, self._where)
        try:
            await asyncio.to_thread(send, mail, self._settings)
        except smtplib.SMTPRecipientsRefused as cause:
            if any(code < 500 for code, _ in cause.recipients.values()):
                raise
            self.dropped += 1
        except smtplib.SMTPResponseException as cause:
            if cause.smtp_code < 500:
                raise
            self.dropped += 1

    async def close(self) -> None:
        """Close the connection to the webhook."""
        if self._client is not None:
            await self._client.aclose()
            self._client = None
