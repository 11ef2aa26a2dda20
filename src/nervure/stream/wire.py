"""The NATS client protocol, as much of it as one ordered consumer needs, read with few Python steps.

Messages come as ``HMSG subject sid reply header-bytes total-bytes`` or ``MSG subject sid reply bytes``
(docs.nats.io, "Client protocol"). JetStream puts the position into the reply subject (ADR-15):
``$JS.ACK.stream.consumer.delivered.sequence.consumer-sequence.time.pending``, or, since domains,
``$JS.ACK.domain.account.stream.consumer.delivered.sequence.consumer-sequence.time.pending.token``.
"""

from __future__ import annotations

import asyncio
import secrets
from collections import deque
from collections.abc import Callable
from typing import Any, cast

import msgspec

from nervure.stream.subject import plain_subject

__all__ = ["Answers", "Asked", "Entries", "Feed", "Heard"]

Heard = Callable[[bytes, bytes, bytes], None]
"""Takes the subject, headers and payload of a message."""

Asked = Callable[[bytes, bytes], None]
"""Takes the subject to answer to, and the question."""

_DATA = b"1"
_OVERHEARD = b"3"
_ASKED = b"4"
_MSG, _HMSG = b"M"[0], b"H"[0]
_PLACES = {9: 5, 11: 7, 12: 7}  # where the sequence stands in a reply of so many parts
_H_FIELDS, _M_FIELDS = 6, 5
_TAKE = 4096


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
        self._arrived = _nothing()
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
        used = self._parse(data)
        self._rest = data[used:]
        if self._wake is not None and self._arrived.sequence and not self._wake.done():
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
        while not self._arrived.sequence:
            if self.ended is not None:
                return None
            self._wake = asyncio.get_running_loop().create_future()
            waiting, _ = await asyncio.wait((self._wake,), timeout=patience_s)
            if not waiting:
                self.end(f"nothing was heard for {patience_s:.0f} s")
            self._wake = None
        found = self._arrived
        if len(found.sequence) > _TAKE:
            self._arrived = _part(found, slice(_TAKE, None))
            found = _part(found, slice(0, _TAKE))
        else:
            self._arrived = _nothing()
        if self._owed and len(self._arrived.sequence) <= _TAKE:
            self.write(self._owed)
            self._owed = b""
        return found

    def _parse(self, data: bytes) -> int:
        """Take the whole messages in ``data`` and return how many bytes they were."""
        arrived, names = self._arrived, self._names
        add_sequence, add_subject = arrived.sequence.append, arrived.subject.append
        add_payload, add_time = arrived.payload.append, arrived.received_ns.append
        find, size, begin = data.find, len(data), 0
        while (line := find(b"\r\n", begin)) >= 0:
            field = data[begin:line].split(b" ")
            start = body = line + 2
            if len(field) == _H_FIELDS and data[begin] == _HMSG:
                end = start + int(field[5])
                body += int(field[4])
            elif len(field) == _M_FIELDS and data[begin] == _MSG:
                end = start + int(field[4])
            else:
                begin = self._rare(data, begin, field, start)
                if begin < 0:
                    return -begin - 1
                continue
            if end + 2 > size:
                break
            begin = end + 2
            reply = field[3].split(b".")
            place = _PLACES.get(len(reply), 0)
            if not place:
                self._aside(data, start, body, end, field)
                continue
            self._count += 1
            if int(reply[place + 1]) != self._count:
                self.end(f"message {self._count} of the consumer was lost on the way")
                return size
            add_sequence(int(reply[place]))
            add_subject(names.get(field[1]) or self._name(field[1]))
            add_payload(data[body:end])
            add_time(int(reply[place + 2]))
        return begin

    def _name(self, subject: bytes) -> str:
        """Return the plain subject, and remember it."""
        name = self._names[subject] = plain_subject(subject.decode("utf-8", "replace"))
        return name

    def _rare(self, data: bytes, begin: int, field: list[bytes], start: int) -> int:
        """Handle what is no entry; return where the next begins, or -1 - begin if it is not whole."""
        if field[0] in (b"MSG", b"HMSG"):
            end = start + int(field[-1])
            if end + 2 > len(data):
                return -1 - begin
            if field[2] == _DATA:
                self._status(data[start:end])
            elif (asked := self._answers.pop(field[1], None)) is not None:
                asked[0].put(asked[1], data[start:end])
            else:
                body = start + int(field[-2]) if field[0] == b"HMSG" else start
                self._aside(data, start, body, end, field)
            return end + 2
        if field[0] == b"PING":
            self.write(b"PONG\r\n")
        elif field[0] == b"PONG":
            if self._pongs and not (pong := self._pongs.popleft()).done():
                pong.set_result(None)
        elif field[0] == b"INFO":
            if not self.info.done():
                self.info.set_result(msgspec.json.decode(data[begin + 5 : start - 2]))
        elif field[0] == b"-ERR":
            self.end(data[begin + 5 : start - 2].decode("utf-8", "replace").strip("'"))
            return -1 - len(data)
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
        if len(self._arrived.sequence) <= _TAKE:
            self.write(reply)
        else:
            self._owed = reply


def _fail(waiting: asyncio.Future[Any], why: str) -> None:
    if not waiting.done():
        waiting.set_exception(ConnectionError(why))
        waiting.exception()  # whoever waited has it; nobody need be warned of it


def _part(entries: Entries, rows: slice) -> Entries:
    return Entries(
        sequence=entries.sequence[rows],
        subject=entries.subject[rows],
        payload=entries.payload[rows],
        received_ns=entries.received_ns[rows],
    )
