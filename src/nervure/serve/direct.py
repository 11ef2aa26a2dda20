"""The direct way of the most frequent requests: one plain reading posted, a few newest ones asked for.

    POST /v1.1/Datastreams(7)/Observations   {"result": 20.5, "phenomenonTime": "2026-01-01T00:00:00Z"}
    GET  /v1.1/Datastreams(7)/Observations?$orderby=phenomenonTime%20desc&$top=1

A client on a kept connection sends the same head again and again. What a head means is read once, by
the parser, and remembered; when the same bytes come again, a body goes straight to the log, and a
question is answered out of memory. Whatever is not as usual, whatever takes longer than a moment, and
whatever anything could be wrong with takes the general way, which says what. Who asks, and whether
they may, is looked up for every request.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import msgspec
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from nervure.core.error import NervureError
from nervure.core.observation import Sound
from nervure.serve.answer import Answer, Scope, failure, headers_of
from nervure.serve.guard import Guard
from nervure.serve.header import always
from nervure.serve.request import base_of, link
from nervure.store.scope import Scope as Sight

__all__ = ["Connection", "Readings", "Shortcut", "Things"]

_PATH = re.compile(r"/v1\.1/Datastreams\((\d{1,18})\)/Observations")
_BEGINS = (b"POST /v1.1/Datastreams(", b"GET /v1.1/Datastreams(")
_END = b"\r\n\r\n"
_LONGEST = 2048
_MOST_HEADS = 8192
HEAD_S = 30.0
"""So long somebody has for the head of a request: no more connections than files are open at once."""

BODY_S = 300.0
"""So long for the body, a part of which is kept as long."""

LINGER_S = 2.0
"""So long somebody may go on sending a body that was answered already."""

_USUAL = frozenset((
    b"host", b"content-type", b"content-length", b"user-agent", b"accept", b"accept-encoding",
    b"authorization", b"connection",
))  # fmt: skip
_JSON = re.compile(rb"(?:application/json(?: *; *charset=utf-8)?)?", re.IGNORECASE)
_STAYS = {b"keep-alive", b"Keep-Alive"}

Tell = Callable[[int | NervureError], None]
Lines = list[tuple[bytes, bytes]]


class Readings(Protocol):
    """Appends readings to the log."""

    def plain(self, datastream: int, payload: bytes, /) -> Sound | None:
        """Read at once one usual reading which will be taken; None: it has to be looked at."""
        ...

    def post(self, datastream: int, payload: bytes, sound: Sound, tell: Tell, /) -> None:
        """Append a plain reading; tell its id when answers have it, or what went wrong."""
        ...


class Things(Protocol):
    """What is asked of the reading side."""

    def at_once(self, path: str, query: str, base: str, scope: Sight, /) -> Answer | None:
        """Answer a GET out of memory, or return None where that takes longer than a moment."""
        ...


class _Head(msgspec.Struct, frozen=True, kw_only=True):
    """What a head means: its Datastream, how long the body is, its scope, how links begin, the question.

    ``more`` are the headers that its answers have in any case; ``address`` is how that of an Observation
    begins, ``quoted`` the same as JSON.
    """

    datastream: int
    length: int
    scope: Scope
    base: str
    query: str
    more: bytes
    address: bytes
    quoted: bytes

    @property
    def path(self) -> str:
        """The path after ``/v1.1/``."""
        return f"Datastreams({self.datastream})/Observations"


class Shortcut:
    """Knows heads, and takes the requests that have one of them."""

    def __init__(self, guard: Guard, things: Things, readings: Readings) -> None:
        self._guard = guard
        self._things = things
        self._readings = readings
        self._heads: dict[bytes, _Head] = {}

    def find(self, data: bytes) -> tuple[_Head, bytes] | None:
        """Return the head of one whole request, if it is known, and its body."""
        end = data.find(_END, 0, _LONGEST)
        head = self._heads.get(data[:end])
        body = end + len(_END)
        return None if head is None or len(data) != body + head.length else (head, data[body:])

    def learn(self, data: bytes, scope: Mapping[str, Any]) -> None:
        """Remember what the head of a request was read as, if it is as usual."""
        end = data.find(_END, 0, _LONGEST)
        place = _PATH.fullmatch(scope["path"])
        length = _usual(scope)
        if end < 0 or place is None or length is None:
            return
        if len(self._heads) >= _MOST_HEADS:
            del self._heads[next(iter(self._heads))]
        base = f"{base_of(scope)}/v1.1"
        address = link(base, "Observations", 0).removesuffix("0)")
        own = {name: scope[name] for name in ("type", "method", "path", "scheme", "headers")}
        fixed = headers_of(Answer(status=201, body=b"{}"))[1:]  # the length of the body comes first
        self._heads[data[:end]] = _Head(
            datastream=int(place[1]),
            length=length,
            scope=own,
            base=base,
            query=scope["query_string"].decode("latin-1"),
            more=_lines([*fixed, *always(scope["scheme"], fixed)]),
            address=address.encode(),
            quoted=msgspec.json.encode(address).removesuffix(b'"'),
        )

    def take(self, head: _Head, body: bytes, own: Mapping[str, Any], tell: Tell) -> bool:
        """Append a reading on behalf of who sends it; false: nothing was done."""
        try:
            sound = self._readings.plain(head.datastream, body)
            if sound is None:
                return False
            principal = self._guard.at_once({**head.scope, **own})
            if principal is None or principal.project is not None:
                return False
            principal.require_streams((head.datastream,))
            self._guard.count(principal)
            self._readings.post(head.datastream, body, sound, tell)
        except NervureError:  # the general way says what is wrong
            return False
        return True

    def look(self, head: _Head, own: Mapping[str, Any]) -> bytes | None:
        """Return the body that answers a question out of memory, None if that takes longer."""
        try:
            principal = self._guard.at_once({**head.scope, **own})
            if principal is None:
                return None
            found = self._things.at_once(head.path, head.query, head.base, principal.scope())
            if found is None:
                return None
            self._guard.count(principal)
        except NervureError:  # the general way says what is wrong
            return None
        return found.body


def _usual(scope: Mapping[str, Any]) -> int | None:
    """Return how long the body of a usual request is, None for one that is not."""
    headers = dict(scope["headers"])
    if len(headers) < len(scope["headers"]) or b"host" not in headers or not headers.keys() <= _USUAL:
        return None
    if scope["http_version"] != "1.1" or headers.get(b"connection", b"keep-alive") not in _STAYS:
        return None
    length = headers.get(b"content-length", b"")
    if scope["method"] == "GET":
        return None if length else 0
    plain = length.isdigit() and int(length) > 0 and not scope["query_string"]
    return int(length) if plain and _JSON.fullmatch(headers.get(b"content-type", b"")) else None


class Connection(HttpToolsProtocol):
    """uvicorn's connection, on which requests that go the direct way pass by the parser."""

    def __init__(self, shortcut: Shortcut | None, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self.own: dict[str, Any] = {}
        """What scopes of this connection have that others have not."""
        self._shortcut = shortcut
        self._fresh = True  # the next byte begins a request
        self._begun = 0
        self._awaited = self._owed = 0
        self._held: list[bytes] | None = None  # what came while a reading is under way; None: none is
        self._ends = False
        self._lasts = 0.0
        self._default: Lines = []
        self._date = b""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take hold of the connection."""
        super().connection_made(transport)
        self.own["client"] = self.client
        self.loop.call_later(HEAD_S, self._let_go, 0)

    def on_message_begin(self) -> None:
        """Note that a request has begun."""
        self._fresh = False
        self._begun += 1
        super().on_message_begin()

    def on_response_complete(self) -> None:
        """Let go of who goes on sending what was refused: each byte of it would keep the connection."""
        super().on_response_complete()
        if self.cycle.response_complete and not self._fresh:
            self.loop.call_later(LINGER_S, self._let_go, self._begun)

    def on_message_complete(self) -> None:
        """Note that a request has ended."""
        self._fresh = True
        super().on_message_complete()

    def data_received(self, data: bytes) -> None:
        """Take a reading the direct way, or have the parser read what came."""
        if self._held is not None:
            self._held.append(data)
            self.flow.pause_reading()
            return
        if self._shortcut is None or not self._fresh or not data.startswith(_BEGINS):
            self._parse(data)
            return
        idle = (self.cycle is None or self.cycle.response_complete) and not self.flow.write_paused
        found = self._shortcut.find(data) if idle else None
        if found is not None and self._took(self._shortcut, *found):
            return
        before = self._begun
        self._parse(data)
        if self._fresh and self._begun == before + 1:  # it was one request, and all of it
            self._shortcut.learn(data, self.scope)

    def _parse(self, data: bytes) -> None:
        """Have the parser read what came; a head that is not all there has to come soon."""
        super().data_received(data)
        if not self._fresh and not self._headed and self._awaited != self._begun:
            self._awaited = self._begun
            self.loop.call_later(HEAD_S, self._let_go, self._begun)
        elif not self._fresh and self._headed and self._owed != self._begun:
            self._owed = self._begun
            self.loop.call_later(BODY_S, self._cut_off, self._begun)

    def _cut_off(self, begun: int) -> None:
        """Close a connection on which the body of the request of that number is not all there yet."""
        if begun == self._begun and not self._fresh:
            self.transport.close()

    def _let_go(self, begun: int) -> None:
        """Close a connection whose request of that number is not all there yet; 0: that has had none."""
        if begun != self._begun or self._held is not None:
            return
        answered = self.cycle is not None and self.cycle.response_complete
        late = not self._fresh and (answered or not self._headed) if begun else not self._lasts
        if late:
            self.transport.close()

    @property
    def _headed(self) -> bool:
        """Whether the head of the newest request is all there: only then its method is known."""
        return bool(self.scope.get("method", ""))

    def _took(self, shortcut: Shortcut, head: _Head, body: bytes) -> bool:
        """Have a request taken, if that can be."""
        if not head.length:
            found = shortcut.look(head, self.own)
            if found is not None:
                self._sent(self._begin(200) + _framed(head, b"", found))
            return found is not None
        self._held = []
        if shortcut.take(head, body, self.own, lambda told: self._answer(head, told)):
            return True
        self._held = None
        return False

    def _answer(self, head: _Head, told: int | NervureError) -> None:
        """Answer, and go on with what came meanwhile."""
        held, self._held = self._held or [], None
        if self.transport.is_closing():
            return
        self._sent(self._made(head, told) if isinstance(told, int) else self._failed(head, told))
        if held and not self.transport.is_closing():
            self.flow.resume_reading()
            self.data_received(b"".join(held))

    def _sent(self, answer: bytes) -> None:
        """Send an answer, and wait for the next request as long as uvicorn does."""
        self.transport.write(answer)
        self.server_state.total_requests += 1
        if self._ends:
            self.transport.close()
            return
        self._lasts = self.loop.time() + self.timeout_keep_alive
        if self.timeout_keep_alive_task is None:
            self.timeout_keep_alive_task = self.loop.call_at(self._lasts, self.timeout_keep_alive_handler)

    def _made(self, head: _Head, identity: int) -> bytes:
        body = b'{"@iot.id":%d,"@iot.selfLink":%b%d)"}' % (identity, head.quoted, identity)
        return self._begin(201) + _framed(head, b"location: %b%d)\r\n" % (head.address, identity), body)

    def _failed(self, head: _Head, cause: NervureError) -> bytes:
        answer = failure(cause)
        headers = headers_of(answer)
        more = _lines([*headers, *always(head.scope["scheme"], headers)])
        return b"%b%b\r\n%b" % (self._begin(answer.status), more, answer.body)

    def _begin(self, status: int) -> bytes:
        """Return the first lines of an answer; uvicorn makes those of all answers anew every second."""
        if self._default is not self.server_state.default_headers:
            self._default = self.server_state.default_headers
            self._date = _lines(self._default)
        return STATUS_LINE[status] + self._date + (b"connection: close\r\n" if self._ends else b"")

    def timeout_keep_alive_handler(self) -> None:
        """Close a connection on which nothing came for a while: one timer lasts over many requests."""
        now = self.loop.time()
        if self._held is not None or now < self._lasts:
            later = max(self._lasts, now + 1.0)
            self.timeout_keep_alive_task = self.loop.call_at(later, self.timeout_keep_alive_handler)
            return
        super().timeout_keep_alive_handler()

    def shutdown(self) -> None:
        """Close the connection when what is under way is answered."""
        self._ends = True
        if self._held is None:
            super().shutdown()


def _framed(head: _Head, more: bytes, body: bytes) -> bytes:
    return b"%b%bcontent-length: %d\r\n\r\n%b" % (head.more, more, len(body), body)


def _lines(headers: Lines) -> bytes:
    return b"".join(b"%b: %b\r\n" % one for one in headers)
