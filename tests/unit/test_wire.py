from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import cast

from nervure.stream.wire import Answers, Feed


class Wire(asyncio.Transport):
    """A transport that remembers what was written."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.closed = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += bytes(data)

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True


def with_feed(test: Callable[[Feed, Wire], Awaitable[None]]) -> None:
    async def run() -> None:
        feed, wire = Feed(), Wire()
        feed.connection_made(wire)
        await test(feed, wire)

    asyncio.run(run())


def message(number: int, payload: bytes = b"x") -> bytes:
    return b"MSG a.b 1 $JS.ACK.S.c.1.%d.%d.99.0 %d\r\n%b\r\n" % (number, number, len(payload), payload)


def status(text: bytes, reply: bytes = b"") -> bytes:
    head = b"NATS/1.0 " + text + b"\r\n\r\n"
    return b"HMSG inbox 1 %b%d %d\r\n%b\r\n" % (reply and reply + b" ", len(head), len(head), head)


def test_a_message_left_out_ends_the_feed_and_what_came_before_is_still_there() -> None:
    async def test(feed: Feed, wire: Wire) -> None:
        feed.data_received(message(1) + message(2) + message(4))
        entries = await feed.take(1.0)
        assert entries is not None
        assert entries.sequence == [1, 2]
        assert await feed.take(1.0) is None
        assert wire.closed
        assert "message 3" in cast("str", feed.ended)

    with_feed(test)


def test_a_heartbeat_that_knows_more_than_we_got_ends_the_feed() -> None:
    async def test(feed: Feed, _: Wire) -> None:
        feed.data_received(message(1) + status(b"100 Idle Heartbeat\r\nNats-Last-Consumer: 1"))
        assert feed.ended is None
        feed.data_received(status(b"100 Idle Heartbeat\r\nNats-Last-Consumer: 3\r\nNats-Last-Stream: 9"))
        assert "2 to 3" in cast("str", feed.ended)

    with_feed(test)


def test_the_server_may_send_on_only_when_a_slow_reader_has_caught_up() -> None:
    async def test(feed: Feed, wire: Wire) -> None:
        wish = status(b"100 FlowControl Request", b"$JS.FC.S.c.1")
        feed.data_received(message(1) + wish)
        assert wire.written == b"PUB $JS.FC.S.c.1 0\r\n\r\n"
        wire.written = b""
        feed.data_received(b"".join(message(number) for number in range(2, 10_000)) + wish)
        assert wire.written == b""
        taken = []
        while not wire.written:
            entries = await feed.take(1.0)
            assert entries is not None
            taken.append(len(entries))
        assert wire.written == b"PUB $JS.FC.S.c.1 0\r\n\r\n"
        assert taken == [4096, 4096]

    with_feed(test)


def test_a_server_that_waits_for_a_lost_answer_gets_it_with_the_heartbeat() -> None:
    async def test(feed: Feed, wire: Wire) -> None:
        feed.data_received(status(b"100 Idle Heartbeat\r\nNats-Consumer-Stalled: $JS.FC.S.c.7"))
        assert wire.written == b"PUB $JS.FC.S.c.7 0\r\n\r\n"

    with_feed(test)


def test_silence_ends_the_feed() -> None:
    async def test(feed: Feed, wire: Wire) -> None:
        assert await feed.take(0.02) is None
        assert wire.closed

    with_feed(test)


def test_answers_find_their_questions() -> None:
    async def test(feed: Feed, wire: Wire) -> None:
        answers = feed.request([(b"a", b"", b"one"), (b"b", b"NATS/1.0\r\nk: v\r\n\r\n", b"two")])
        inbox = feed.inbox
        assert b"PUB a %b.1 3\r\none\r\nHPUB b %b.2 18 21\r\n" % (inbox, inbox) in wire.written
        feed.data_received(b"MSG %b.2 2 3\r\nyes\r\nMSG %b.1 2 2\r\nno\r\n" % (inbox, inbox))
        await asyncio.wait_for(answers.done, 60)
        assert answers.found == [b"no", b"yes"]

    with_feed(test)


def test_who_waits_for_an_answer_learns_that_none_will_come() -> None:
    async def test(feed: Feed, _: Wire) -> None:
        answers = feed.request([(b"a", b"", b"one")])
        feed.connection_lost(None)
        await asyncio.wait_for(answers.done, 60)
        assert answers.found == [None]
        late: Answers = feed.request([(b"a", b"", b"one")])
        await asyncio.wait_for(late.done, 60)

    with_feed(test)


def test_an_error_of_the_server_ends_the_feed_with_its_words() -> None:
    async def test(feed: Feed, wire: Wire) -> None:
        feed.data_received(b"PING\r\n-ERR 'Authorization Violation'\r\nPING\r\n")
        assert wire.written == b"PONG\r\n"
        assert feed.ended == "Authorization Violation"

    with_feed(test)
