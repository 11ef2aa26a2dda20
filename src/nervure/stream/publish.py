"""Appending to the log: many messages in flight, each sent again until the log has it."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence
from itertools import count
from typing import TYPE_CHECKING
from uuid import uuid4

import msgspec

from nervure.core.error import AwayError, StreamError
from nervure.stream.api import log_in
from nervure.stream.subject import LOG_PREFIX, is_kept

if TYPE_CHECKING:
    from nervure.stream.api import Address
    from nervure.stream.wire import Feed

__all__ = ["Item", "Publisher"]

Item = tuple[str, bytes, str | None]
"""Subject, payload, and the name under which the message is kept once."""

_ACK_S = 5.0
_GIVE_UP_S = 30.0
_PART = 1024
_PART_BYTES = 8 << 20
_HEADER_ROOM = 1024
_FULL = frozenset({10023, 10047, 10077})  # resources, storage, the stream's own bounds

_log = logging.getLogger("nervure.stream")


class _Fault(msgspec.Struct):
    err_code: int = 0
    description: str = ""


class _Ack(msgspec.Struct):
    seq: int = 0
    error: _Fault | None = None


_decode = msgspec.json.Decoder(_Ack).decode


class Publisher:
    """A connection that appends to the log and is opened again when it breaks.

    Every message carries a name (``Nats-Msg-Id``), so that one sent twice is kept once. ``prefix``
    stands before every subject; without one the subjects are those of another stream than the log.
    """

    def __init__(self, address: Address, max_payload: int, *, prefix: str = LOG_PREFIX) -> None:
        self._address = address
        self._prefix = prefix
        self._max_payload = max_payload
        self._feed: Feed | None = None
        self._opening = asyncio.Lock()
        self._closed = False
        self._stem = uuid4().hex
        self._number = count()

    @property
    def room(self) -> int:
        """The most bytes that a message may have."""
        return self._max_payload - _HEADER_ROOM

    def close(self) -> None:
        """Close the connection; what was acknowledged is safe."""
        self._closed = True
        if self._feed is not None:
            self._feed.end("closed")

    async def append(self, items: Sequence[Item]) -> list[int]:
        """Append messages and return their sequences, once the log has them all."""
        found: list[int] = []
        for part in _parts([self._message(*item) for item in items]):
            found += await self._append_part(part)
        return found

    def _message(self, subject: str, payload: bytes, once: str | None) -> tuple[bytes, bytes, bytes]:
        if self._prefix and not is_kept(subject):
            raise StreamError(
                f"the log does not keep the subject {subject!r}",
                hint="readings go to the subject that reading_subject() gives",
            )
        room = self.room
        if len(payload) > room:
            raise StreamError(
                f"a message of {len(payload):,} bytes for {subject} is too large",
                hint=f"send packs of at most {room:,} bytes, or raise nats.max_payload_bytes",
            )
        name = once if once is not None else f"{self._stem}{next(self._number)}"
        if not name.isascii() or not name.isprintable() or not 0 < len(name) <= _HEADER_ROOM // 2:
            raise StreamError(f"once={name!r} cannot name a message", hint="use up to 512 ASCII letters")
        headers = b"NATS/1.0\r\nNats-Msg-Id: %b\r\n\r\n" % name.encode()
        return f"{self._prefix}{subject}".encode(), headers, payload

    async def _append_part(self, messages: list[tuple[bytes, bytes, bytes]]) -> list[int]:
        sequences = [0] * len(messages)
        waiting = list(range(len(messages)))
        begun = time.monotonic()
        pause = 0.02
        why = "no answer came"
        while True:
            try:
                answers = await self._send([messages[index] for index in waiting])
                for index, answer in zip(waiting, answers, strict=True):
                    sequences[index], why = _judge(answer, why)
            except (OSError, TimeoutError) as cause:
                why = str(cause) or type(cause).__name__
            waiting = [index for index in waiting if not sequences[index]]
            if not waiting:
                return sequences
            if time.monotonic() - begun > _GIVE_UP_S:
                raise AwayError(
                    f"the log did not take {len(waiting)} messages in {_GIVE_UP_S:.0f} s: {why}",
                    where=self._address.url,
                    hint="is nats-server running? its log file tells of a full disk or a broken store",
                )
            _log.debug("%d messages are sent again: %s", len(waiting), why)
            await asyncio.sleep(pause)
            pause = min(1.0, 2 * pause)

    async def _send(self, messages: list[tuple[bytes, bytes, bytes]]) -> list[bytes | None]:
        feed = await self.connection()
        answers = feed.request(messages)
        late = asyncio.get_running_loop().call_later(_ACK_S, feed.end, f"no answer came in {_ACK_S:.0f} s")
        try:
            await answers.done
        finally:
            late.cancel()
        return answers.found

    async def connection(self) -> Feed:
        """Return the connection, made again if it broke; ``OSError`` or ``TimeoutError`` if it cannot be."""
        if self._closed:
            raise StreamError("this connection to the log was closed", hint="connect again")
        if self._feed is not None and self._feed.ended is None:
            return self._feed
        async with self._opening:
            if self._feed is None or self._feed.ended is not None:
                self._feed = await log_in(self._address, "nervure publisher")
            return self._feed


def _judge(answer: bytes | None, why: str) -> tuple[int, str]:
    """Return the sequence in an answer, or 0 and why there is none; raise what waiting cannot mend."""
    if answer is None:
        return 0, why
    if answer.startswith(b"NATS/1.0"):
        return 0, "the stream is not there"
    ack = _decode(answer)
    if ack.error is None:
        return ack.seq, why
    if ack.error.err_code in _FULL:
        raise AwayError(
            f"the log is full: {ack.error.description}",
            where="$.nats.max_store_gb",
            hint="free disk space or raise nats.max_store_gb; nothing that was acknowledged is lost",
        )
    return 0, ack.error.description


def _parts(messages: list[tuple[bytes, bytes, bytes]]) -> list[list[tuple[bytes, bytes, bytes]]]:
    """Cut into parts that may be in flight at once."""
    parts: list[list[tuple[bytes, bytes, bytes]]] = []
    room = 0
    for message in messages:
        if room < len(message[2]) or len(parts[-1]) == _PART:
            parts.append([])
            room = _PART_BYTES
        parts[-1].append(message)
        room -= len(message[2])
    return parts
