"""Appending very many messages at little cost: the log says now and then how far it is, not of each.

nats-server calls it fast-ingest batch publishing (ADR-50, since 2.14): what a message of a batch is goes
into the subject to answer to, ``inbox.batch.flow.gap.number.operation.$FI``, and the server answers
``{"type":"ack","seq":n,"msgs":m}`` once it has stored all up to ``n``, at least every ``flow`` messages.
Every message is stored as it comes, as by `Publisher`, and survives as much.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from nervure.core.error import AwayError, StreamError
from nervure.stream.api import log_in
from nervure.stream.subject import LOG_PREFIX, is_kept
from nervure.stream.wire import Feed

if TYPE_CHECKING:
    from nervure.stream.api import Address

__all__ = ["pour"]

_FLOW = 1_000
_AHEAD = 2 * _FLOW
"""How many messages may be under way."""

_START, _ADD, _COMMIT = 0, 1, 2
_ACK_S = 5.0
_GIVE_UP_S = 30.0
_PAUSE_S = 0.1


class _Fault(msgspec.Struct):
    description: str = ""


class _Said(msgspec.Struct):
    """What the server says of a batch; ``batch`` is only in its last word."""

    type: str = ""
    seq: int = 0
    batch: str = ""
    count: int = 0
    error: _Fault | None = None


_decode = msgspec.json.Decoder(_Said).decode


async def pour(address: Address, items: Sequence[tuple[str, bytes]], most_bytes: int) -> None:
    """Append messages ``(subject, payload)`` and return once the log has them all.

    After an interruption, what the log has not said to have is sent again, so a few may be there twice:
    it is for those whose readings the store keeps once. ``AwayError`` after 30 s in which the log takes
    nothing, ``StreamError`` at once where it never would.
    """
    for subject, payload in items:
        if not is_kept(subject):
            raise StreamError(f"the log does not keep the subject {subject!r}")
        if len(payload) > most_bytes:
            raise StreamError(f"a message of {len(payload):,} bytes for {subject} is too large")
    done, begun = 0, time.monotonic()
    while done < len(items):
        batch = _Batch(items[done:])
        why = "no answer came"
        try:
            await batch.run(address)
        except (OSError, TimeoutError) as cause:
            why = str(cause) or type(cause).__name__
        if batch.stored:
            done, begun = done + batch.stored, time.monotonic()
        elif time.monotonic() - begun > _GIVE_UP_S:
            raise AwayError(
                f"the log took nothing for {_GIVE_UP_S:.0f} s: {why}",
                where=address.url,
                hint="is nats-server running? its log file tells of a full disk or a broken store",
            )
        if done < len(items):
            await asyncio.sleep(_PAUSE_S)


class _Batch:
    """One batch on a connection of its own; ``stored`` is how many of its messages the log has."""

    def __init__(self, items: Sequence[tuple[str, bytes]]) -> None:
        self.stored = 0
        self._items = items
        self._fault: str | None = None
        self._wake = asyncio.Event()

    async def run(self, address: Address) -> None:
        """Send the batch; ``OSError`` or ``TimeoutError`` if that breaks off."""
        feed = await log_in(address, "nervure pour", lambda: Feed(self._hear))
        try:
            inbox = f"_INBOX.{secrets.token_hex(11)}".encode()
            feed.write(b"SUB %b.> 31\r\n" % inbox)
            head = b"%b.%b.%d.fail." % (inbox, secrets.token_hex(11).encode(), _FLOW)
            sent, whole = 0, len(self._items)
            while self.stored < whole:
                if sent < whole and sent - self.stored <= _AHEAD - _FLOW:
                    end = min(whole, sent + _FLOW)
                    feed.write(self._part(head, sent, end))
                    sent = end
                    continue
                await self._answered(feed)
        finally:
            feed.end("all is poured")

    def _part(self, head: bytes, begin: int, end: int) -> bytes:
        """Write messages; the last of the batch ends it."""
        said: list[bytes] = []
        whole, prefix = len(self._items), LOG_PREFIX
        for number, (subject, payload) in enumerate(self._items[begin:end], begin + 1):
            what = _COMMIT if number == whole else _ADD if number > 1 else _START
            line = b"PUB %b %b%d.%d.$FI %d\r\n"
            said += (
                line % (f"{prefix}{subject}".encode(), head, number, what, len(payload)),
                payload,
                b"\r\n",
            )
        return b"".join(said)

    async def _answered(self, feed: Feed) -> None:
        async with asyncio.timeout(_ACK_S):
            heard = asyncio.ensure_future(self._wake.wait())
            await asyncio.wait((heard, feed.lost), return_when=asyncio.FIRST_COMPLETED)
            heard.cancel()
        if self._fault is not None:
            raise ConnectionError(self._fault)
        if feed.ended is not None:
            raise ConnectionError(feed.ended)
        self._wake.clear()

    def _hear(self, _subject: bytes, headers: bytes, payload: bytes) -> None:
        self._wake.set()
        if headers:
            self._fault = "the stream is not there"
            return
        said = _decode(payload)
        if said.error is not None or said.type in {"gap", "err"}:
            self._fault = said.error.description if said.error is not None else "a message was lost"
        elif said.type == "ack":
            self.stored = max(self.stored, said.seq)
        elif said.batch and said.count == len(self._items):
            self.stored = said.count
        else:
            self._fault = "the server takes no batches: it must be nats-server 2.14 or newer"
