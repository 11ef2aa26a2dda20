"""Readings by HTTP as devices send them: a plain ASGI application.

    POST /ingest/Datastreams(7)   anything `decode` reads: readings, packs, SenML, in JSON or CBOR
    POST /ingest                  the same, for messages that name their Datastreams

201 means that the log has it. A message none of whose readings can be taken is refused and leaves
no trace; one that is good in part is taken, and the answer names what is wrong with the rest.
SensorThings' own ways of creating Observations are answered by its service.
"""

from __future__ import annotations

import re
import time
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from typing import Any

import msgspec
import numpy as np

from nervure.core.error import NervureError
from nervure.core.observation import Reject, observation_id
from nervure.sense.bucket import Bucket
from nervure.sense.gateway import Publish, Standing
from nervure.sense.intake import SHARED, Intake
from nervure.sense.reason import FLOOD, TOO_LARGE, UNKNOWN_STREAM
from nervure.stream.subject import reading_subject

__all__ = ["Allow", "Door", "ingest"]

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

IN_FLIGHT = 1024
IN_FLIGHT_BYTES = 64 << 20

Allow = Callable[[Scope, Sequence[int]], Awaitable[str]]
"""Returns who sent a request, if they may write to some Datastreams, else raises an error."""

_PATH = re.compile(r"(?P<root>.*?)/ingest(?:/Datastreams\((?P<one>\d{1,18})\))?/?")
_KEY = re.compile(r"[!-~]{1,128}")
_HUSHED = (
    "not all of this are readings of Datastreams of yours; POST /ingest/Datastreams(7) says what is wrong"
)
_STATUS = {UNKNOWN_STREAM: 404, TOO_LARGE: 413, FLOOD: 429}


class _Refused(Exception):
    """A request that is not taken: status, what to say, and after how many seconds to try again."""

    def __init__(self, status: int, message: str, *, reason: str = "", retry_s: int | None = None) -> None:
        super().__init__(message)
        self.status, self.message, self.reason, self.retry_s = status, message, reason, retry_s


class Door:
    """The ASGI application: at most so many requests and bytes under way, the others are asked to wait."""

    def __init__(self, publish: Publish, intake: Intake, allow: Allow | None = None) -> None:
        self._publish = publish
        self._intake = intake
        self._allow = allow
        self._bucket = Bucket(per_s=intake.limits.per_device_s, burst_s=1.0)
        self._waiting = self._bytes = 0
        self._received = self._published = self._refused = 0

    def standing(self) -> Standing:
        """Return how it does."""
        return Standing(
            name="http",
            connected=True,
            received=self._received,
            published=self._published,
            refused=self._refused,
            waiting=self._waiting,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        self._received += 1
        try:
            await self._answer(scope, receive, send)
        except _Refused as refused:
            self._refused += 1
            body: dict[str, Any] = {"code": refused.status, "type": "error", "message": refused.message}
            if refused.reason:
                body["reason"] = refused.reason
            headers = [(b"retry-after", b"%d" % refused.retry_s)] if refused.retry_s is not None else []
            if refused.status == 405:
                headers.append((b"allow", b"POST"))
            await _send(send, refused.status, body, headers)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        found = _PATH.fullmatch(scope["path"])
        if found is None:
            raise _Refused(404, f"readings are not taken at {scope['path']}")
        if scope["method"] != "POST":
            raise _Refused(405, "readings are sent by POST")
        headers = dict(scope["headers"])
        self._require_room(headers)
        identity = found["one"]
        subject = SHARED if identity is None else reading_subject(int(identity))
        # Before anything is said of a Datastream, it must be theirs.
        who = "" if identity is None else await self._require_allowed(scope, [int(identity)])
        payload = await self._body(receive)
        if identity is None:
            who, indices, rejects = await self._shared(scope, payload)
        else:
            indices, _, rejects = self._screen(subject, payload)
        once = _once(headers, f"{who} {subject}".lstrip())
        sequence = await self._append(subject, payload, once)
        self._published += 1
        root = f"{found['root']}/v1.1/Observations"
        first = observation_id(sequence, indices[0])
        location = f"{root}({first})"
        answer: dict[str, Any] = {"@iot.id": first, "@iot.selfLink": location, "sequence": sequence}
        if len(indices) > 1 or rejects:
            answer |= {"readings": len(indices), "rejected": [_told(reject) for reject in rejects]}
        await _send(send, 201, answer, [(b"location", location.encode())])

    async def _require_allowed(self, scope: Scope, streams: Sequence[int]) -> str:
        """Refuse to write to what the sender does not see, and return who it is."""
        if self._allow is None:
            return ""
        try:
            return await self._allow(scope, streams)
        except NervureError as cause:
            raise _Refused(404, cause.what, reason=UNKNOWN_STREAM) from cause

    async def _shared(self, scope: Scope, payload: bytes) -> tuple[str, Sequence[int], list[Reject]]:
        """Return who sent a message that names its Datastreams, the places of its readings, the rejects.

        Who does not see every Datastream gets all of it taken or nothing, and is not told what is wrong:
        that may be about another's.
        """
        told = True
        try:
            await self._require_allowed(scope, [0])  # no Datastream has that number
        except _Refused:
            told = False
        try:
            indices, streams, rejects = self._screen(SHARED, payload)
            who = await self._require_allowed(scope, streams)
        except _Refused as cause:
            if told:
                raise
            raise _Refused(404, _HUSHED, reason=UNKNOWN_STREAM) from cause
        if rejects and not told:
            raise _Refused(404, _HUSHED, reason=UNKNOWN_STREAM)
        return who, indices, rejects

    def _screen(self, subject: str, payload: bytes) -> tuple[Sequence[int], Sequence[int], list[Reject]]:
        """Return the places in the message of the readings that will be taken, whose they are, the rejects.

        Of one usual reading on its Datastream's own subject it is plain whose it is.
        """
        now_ns = time.time_ns()
        if self._intake.sound(subject, payload, now_ns) is not None:
            return (0,), (), []
        batch, rejects = self._intake.check(subject, payload, now_ns)
        if len(batch):
            return batch.id.tolist(), np.unique(batch.datastream).tolist(), rejects
        if not rejects:
            raise _Refused(400, "there is no reading in the message")
        first = rejects[0]
        raise _Refused(_STATUS.get(first.reason, 400), first.detail, reason=first.reason)

    def _require_room(self, headers: dict[bytes, bytes]) -> None:
        if headers.get(b"content-encoding", b"identity") != b"identity":
            raise _Refused(415, "send the message as it is, without content encoding")
        length = headers.get(b"content-length", b"0")
        if not length.isdigit():
            raise _Refused(400, "Content-Length is no number")
        self._require_size(int(length))
        if self._waiting >= IN_FLIGHT or self._bytes >= IN_FLIGHT_BYTES:
            raise _Refused(429, "too many readings are under way to the log", retry_s=1)

    def _require_size(self, size: int) -> None:
        most = self._intake.limits.message_bytes
        if size > most:
            raise _Refused(
                413, f"a message may have {most:,} bytes; send the readings in several", reason=TOO_LARGE
            )

    async def _body(self, receive: Receive) -> bytes:
        parts: list[bytes] = []
        size = 0
        while True:
            event = await receive()
            if event["type"] != "http.request":
                raise _Refused(400, "the request ended before its message")
            part: bytes = event.get("body", b"")
            size += len(part)
            self._require_size(size)
            parts.append(part)
            if not event.get("more_body", False):
                return parts[0] if len(parts) == 1 else b"".join(parts)

    async def _append(self, subject: str, payload: bytes, once: str | None) -> int:
        now_ns = time.time_ns()
        # The bucket is smaller than that of intake: what got 201 must not be left out later as a flood.
        if subject != SHARED and (
            self._intake.flooded(subject, now_ns) or not self._bucket.admit(subject, now_ns)
        ):
            rate = self._intake.limits.per_device_s
            raise _Refused(
                429, f"a Datastream may send {rate:g} messages a second for long", reason=FLOOD, retry_s=1
            )
        self._waiting += 1
        self._bytes += len(payload)
        try:
            return await self._publish(subject, payload, once=once)
        except NervureError as cause:
            raise _Refused(503, f"the log does not take readings: {cause.what}", retry_s=5) from cause
        finally:
            self._waiting -= 1
            self._bytes -= len(payload)


def ingest(publish: Publish, intake: Intake, allow: Allow | None = None) -> Door:
    """Return the ASGI application that takes readings by HTTP and appends them by ``publish``.

    ``allow`` says who may write where; without it everybody may.
    """
    return Door(publish, intake, allow)


def _once(headers: dict[bytes, bytes], what: str) -> str | None:
    """Return what names this request for good, if the client gave it an Idempotency-Key.

    ``what`` is who sent it, and where to.
    """
    key = headers.get(b"idempotency-key")
    if key is None:
        return None
    text = key.decode("latin-1")
    if not _KEY.fullmatch(text):
        raise _Refused(400, "an Idempotency-Key has 1 to 128 visible characters")
    return f"http {what} {text}".replace(" ", "|")


def _told(reject: Reject) -> dict[str, Any]:
    return {"index": reject.index, "count": reject.count, "reason": reject.reason, "detail": reject.detail}


async def _send(send: Send, status: int, body: object, headers: list[tuple[bytes, bytes]]) -> None:
    data = msgspec.json.encode(body)
    head = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(data)), *headers]
    await send({"type": "http.response.start", "status": status, "headers": head})
    await send({"type": "http.response.body", "body": data})
