"""The NATS client protocol, as much of it as one ordered consumer needs, read with few Python steps.

Messages come as ``HMSG subject sid reply header-bytes total-bytes`` or ``MSG subject sid reply bytes``
(docs.nats.io, "Client protocol"). JetStream puts the position into the reply subject (ADR-15):
``$JS.ACK.stream.consumer.delivered.sequence.consumer-sequence.time.pending``, or, since domains,
``$JS.ACK.domain.account.stream.consumer.delivered.sequence.consumer-sequence.time.pending.token``.
"""

from __future__ import annotations

import asyncio
import re
import secrets
from collections import deque
from collections.abc import Callable
from typing import Any, cast

import msgspec
import numpy as np

from nervure.stream.subject import plain_subject

__all__ = ["Answers", "Asked", "Entries", "Feed", "Heard"]

Heard = Callable[[bytes, bytes, bytes], None]
"""Takes the subject, headers and payload of a message."""

Asked = Callable[[bytes, bytes], None]
"""Takes the subject to answer to, and the question."""

_DATA = b"1"
_OVERHEARD = b"3"
_ASKED = b"4"
_ENTRY = rb"H?MSG ([^ \r]+) [^ \r]+ %b([0-9]+\.[0-9]+\.[0-9]+)\.[^ \r]+ (?:([0-9]+) )?([0-9]+)\r\n"
_NOTHING = re.compile(rb"(?!)")
_PLACES = {9: 5, 11: 7, 12: 7}  # where the sequence stands in a reply of so many parts
_H_FIELDS, _M_FIELDS = 6, 5
_TAKE, _TAKE_BYTES = 4096, 1 << 19
_FEW = 8  # so many replies are read sooner one by one


class Entries(msgspec.Struct, kw_only=True):
    """Messages of the log as columns of one length, in log order.

    ``received_ns`` is when the log took the message.
    """

    sequence: list[int]
    subject: list[str]
    payload: list[bytes]
    received_ns: list[int]

    def __len__(self) -> int:
        return len(self.sequence)


def _nothing() -> Entries:
    return Entries(sequence=[], subject=[], payload=[], received_ns=[])


class Answers:
    """The answers to some requests; ``done`` when all are there or no more will come (``None``)."""

    __slots__ = ("done", "found", "missing")

    def __init__(self, count: int) -> None:
        self.found: list[bytes | None] = [None] * count
        self.missing = count
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def put(self, index: int, answer: bytes) -> None:
        """Take in one answer."""
        self.found[index] = answer
        self.missing -= 1
        if not self.missing:
            self.close()

    def close(self) -> None:
        """Wait no longer."""
        if not self.done.done():
            self.done.set_result(None)


class Feed(asyncio.Protocol):
    """One connection to NATS: requests and their answers, and what one ordered consumer sends.

    The consumer numbers what it sends; a number left out means a message lost on the way, and ends
    the feed. What was received until then can still be taken. What comes on subscriptions whose
    number begins with 3 is handed to ``heard`` as subject, headers and payload; what comes on number
    4, and wants an answer, to ``asked``.
    """

    def __init__(self, heard: Heard | None = None) -> None:
        self.info: asyncio.Future[dict[str, object]] = asyncio.get_running_loop().create_future()
        self.lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.ended: str | None = None
        self.inbox = f"_INBOX.{secrets.token_hex(11)}".encode()
        self.heard = heard
        self.asked: Asked | None = None
        self._transport: asyncio.Transport | None = None
        self._rest = b""
        self._entry = _NOTHING
        self._arrived = deque([_nothing()])
        self._weight = 0  # bytes of what has arrived last
        self._count = 0  # the consumer's own number of the last message
        self._owed = b""
        self._names: dict[bytes, str] = {}
        self._asked = 0
        self._answers: dict[bytes, tuple[Answers, int]] = {}
        self._pongs: deque[asyncio.Future[None]] = deque()
        self._wake: asyncio.Future[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take hold of the connection."""
        self._transport = cast("asyncio.Transport", transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """Let everyone who waits know."""
        self.end(f"the connection was lost{f': {exc}' if exc else ''}")

    def data_received(self, data: bytes) -> None:
        """Read the whole messages in what came, and keep the rest for later."""
        if self.ended is not None:
            return
        if self._rest:
            data = self._rest + data
        if self._weight > _TAKE_BYTES:
            self._arrived.append(_nothing())
            self._weight = 0
        used = self._parse(data)
        self._weight += used
        self._rest = data[used:] if used < len(data) else b""
        while len(self._arrived[-1]) > _TAKE:
            self._arrived.append(_cut(self._arrived[-1]))
        if self._wake is not None and self._arrived[0].sequence and not self._wake.done():
            self._wake.set_result(None)

    def end(self, why: str) -> None:
        """Close the connection and let everyone who waits know why."""
        if self.ended is None:
            self.ended = why
        if self._transport is not None:
            self._transport.close()
        _fail(self.info, self.ended)
        for pong in self._pongs:
            _fail(pong, self.ended)
        if not self.lost.done():
            self.lost.set_result(None)
        for answers, _ in self._answers.values():
            answers.close()
        self._answers.clear()
        if self._wake is not None and not self._wake.done():
            self._wake.set_result(None)

    def close(self) -> None:
        """Close the connection, as whoever opened it."""
        self.end("it was closed here")

    def write(self, data: bytes) -> None:
        """Send bytes of the protocol."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    async def ping(self) -> None:
        """Wait until the server has read everything sent before; ``ConnectionError`` if it refused."""
        if self.ended is not None:
            raise ConnectionError(self.ended)
        pong: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._pongs.append(pong)
        self.write(b"PING\r\n")
        await pong

    def request(self, messages: list[tuple[bytes, bytes, bytes]]) -> Answers:
        """Send messages ``(subject, headers, payload)``, each asking for an answer."""
        answers = Answers(len(messages))
        said: list[bytes] = []
        for index, (subject, headers, payload) in enumerate(messages):
            self._asked += 1
            reply = b"%b.%d" % (self.inbox, self._asked)
            self._answers[reply] = (answers, index)
            if headers:
                sizes = (len(headers), len(headers) + len(payload))
                said += (b"HPUB %b %b %d %d\r\n" % (subject, reply, *sizes), headers, payload, b"\r\n")
            else:
                said += (b"PUB %b %b %d\r\n" % (subject, reply, len(payload)), payload, b"\r\n")
        if self.ended is None:
            self.write(b"".join(said))
        else:
            answers.close()
        return answers

    async def ask(self, subject: bytes, question: bytes) -> bytes:
        """Send one request and return its answer; ``ConnectionError`` if the connection ends before."""
        answers = self.request([(subject, b"", question)])
        await answers.done
        found = answers.found[0]
        if found is None:
            raise ConnectionError(self.ended or "no answer came")
        return found

    async def take(self, patience_s: float) -> Entries | None:
        """Return what has arrived, or None when the feed has ended or was silent for too long."""
        while not self._arrived[0].sequence:
            if self.ended is not None:
                return None
            loop = asyncio.get_running_loop()
            self._wake = loop.create_future()
            alarm = loop.call_later(patience_s, self.end, f"nothing was heard for {patience_s:.0f} s")
            try:
                await self._wake
            finally:
                alarm.cancel()
                self._wake = None
        found = self._arrived.popleft()
        if not self._arrived:
            self._arrived.append(_nothing())
            self._weight = 0
        if self._owed and self._is_near:
            self.write(self._owed)
            self._owed = b""
        return found

    @property
    def _is_near(self) -> bool:
        """Whether whoever takes what arrives has nearly caught up."""
        return len(self._arrived) == 1 and len(self._arrived[0]) <= _TAKE

    def _parse(self, data: bytes) -> int:
        """Take the whole messages in ``data`` and return how many bytes they were.

        A node spends more of its time here than anywhere else. So one pattern takes the head of an entry
        apart, and what replies say is read at once for all entries that stand together.
        """
        arrived, names = self._arrived[-1], self._names
        add_subject, add_payload = arrived.subject.append, arrived.payload.append
        replies: list[bytes] = []
        add_reply, match, size, begin = replies.append, self._entry.match, len(data), 0
        while begin < size:
            entry = match(data, begin)
            if entry is None:
                self._number(replies)
                after = self._other(data, begin)
                if after < 0:
                    break
                begin, match = after, self._entry.match
                continue
            subject, reply, head, total = entry.groups()
            start = entry.end()
            end = start + int(total)
            if end + 2 > size:
                break
            begin = end + 2
            add_reply(reply)
            add_subject(names.get(subject) or self._name(subject))
            add_payload(data[start + int(head or 0) : end])
        self._number(replies)
        return begin

    def _other(self, data: bytes, begin: int) -> int:
        """Handle what the pattern does not know; return where the next begins, -1 if it is not whole.

        The first entry of a consumer makes the pattern, and is to be looked at again.
        """
        line = data.find(b"\r\n", begin)
        if line < 0:
            return -1
        field, start = data[begin:line].split(b" "), line + 2
        if field[0] not in {b"MSG", b"HMSG"}:
            return self._word(data, begin, field[0], start)
        end = start + int(field[-1])
        if end + 2 > len(data):
            return -1
        headed = field[0] == b"HMSG"
        if len(field) == (_H_FIELDS if headed else _M_FIELDS):
            if self._begins(field[3], data, begin):
                return begin
            self._aside(data, start, start + int(field[4]) if headed else start, end, field)
        elif field[2] == _DATA:
            self._status(data[start:end])
        elif (asked := self._answers.pop(field[1], None)) is not None:
            asked[0].put(asked[1], data[start:end])
        else:
            self._aside(data, start, start + int(field[-2]) if headed else start, end, field)
        return end + 2

    def _begins(self, reply: bytes, data: bytes, begin: int) -> bool:
        """Tell whether a reply is that of an entry; the pattern is that of its consumer from then on."""
        parts = reply.split(b".")
        place = _PLACES.get(len(parts), 0)
        if not place:
            return False
        prefix = re.escape(b".".join(parts[:place]) + b".")
        pattern = re.compile(_ENTRY % prefix)
        if pattern.match(data, begin) is None:
            return False
        self._entry = pattern
        return True

    def _number(self, replies: list[bytes]) -> None:
        """Read what replies say: ``sequence.number.time``, where the consumer's numbers have no gaps."""
        if not replies or (len(replies) <= _FEW and self._number_few(replies)):
            return
        said = np.fromstring(b".".join(replies), dtype=np.int64, sep=".").reshape(-1, 3)
        replies.clear()
        lost = np.flatnonzero(said[:, 1] != self._count + 1 + np.arange(len(said)))
        if len(lost):
            said = said[: lost[0]]
            self.end(f"message {self._count + len(said) + 1} of the consumer was lost on the way")
        self._count += len(said)
        arrived = self._arrived[-1]
        arrived.sequence += said[:, 0].tolist()
        arrived.received_ns += said[:, 2].tolist()
        del arrived.subject[len(arrived.sequence) :], arrived.payload[len(arrived.sequence) :]

    def _number_few(self, replies: list[bytes]) -> bool:
        """Read what a few replies say, without numpy; false if there is a gap, and nothing was read."""
        said = [one.split(b".") for one in replies]
        first = self._count + 1
        if [int(number) for _, number, _ in said] != list(range(first, first + len(said))):
            return False
        replies.clear()
        self._count += len(said)
        self._arrived[-1].sequence += [int(sequence) for sequence, _, _ in said]
        self._arrived[-1].received_ns += [int(time) for _, _, time in said]
        return True

    def _name(self, subject: bytes) -> str:
        """Return the plain subject, and remember it."""
        name = self._names[subject] = plain_subject(subject.decode("utf-8", "replace"))
        return name

    def _word(self, data: bytes, begin: int, word: bytes, start: int) -> int:
        """Handle a line that brings no message; return where the next begins."""
        if word == b"PING":
            self.write(b"PONG\r\n")
        elif word == b"PONG":
            if self._pongs and not (pong := self._pongs.popleft()).done():
                pong.set_result(None)
        elif word == b"INFO":
            if not self.info.done():
                self.info.set_result(msgspec.json.decode(data[begin + 5 : start - 2]))
        elif word == b"-ERR":
            self.end(data[begin + 5 : start - 2].decode("utf-8", "replace").strip("'"))
            return len(data)
        return start

    def _aside(self, data: bytes, start: int, body: int, end: int, field: list[bytes]) -> None:
        """Handle a message that is no entry: the server's wish to be answered, or something overheard."""
        if field[2] == _DATA:
            self._flow(field[3])
        elif field[2].startswith(_OVERHEARD) and self.heard is not None:
            self.heard(field[1], data[start:body], data[body:end])
        elif field[2] == _ASKED and self.asked is not None:
            self.asked(field[3], data[body:end])
        elif (waiting := self._answers.pop(field[1], None)) is not None:  # the server's own leave a gap there
            waiting[0].put(waiting[1], data[body:end])

    def _status(self, text: bytes) -> None:
        """Read a heartbeat: whether messages are missing, and whether the server waits for us."""
        for line in text.split(b"\r\n")[1:]:
            key, _, value = line.partition(b":")
            name = key.strip().lower()
            if name == b"nats-last-consumer" and int(value) > self._count:
                self.end(f"messages {self._count + 1} to {int(value)} of the consumer were lost on the way")
            elif name == b"nats-consumer-stalled":
                self._flow(value.strip())

    def _flow(self, subject: bytes) -> None:
        """Let the server send more: at once, or when what has arrived was taken."""
        reply = b"PUB %b 0\r\n\r\n" % subject
        if self._is_near:
            self.write(reply)
        else:
            self._owed = reply


def _fail(waiting: asyncio.Future[Any], why: str) -> None:
    if not waiting.done():
        waiting.set_exception(ConnectionError(why))
        waiting.exception()  # whoever waited has it; nobody need be warned of it


def _cut(entries: Entries) -> Entries:
    """Take what is too much for one turn away from entries, and return it."""
    rest = Entries(
        sequence=entries.sequence[_TAKE:],
        subject=entries.subject[_TAKE:],
        payload=entries.payload[_TAKE:],
        received_ns=entries.received_ns[_TAKE:],
    )
    for column in (entries.sequence, entries.subject, entries.payload, entries.received_ns):
        del column[_TAKE:]
    return rest
