"""Logging in at a NATS server, and asking JetStream's API, over one lean connection."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec

from nervure.core.error import StreamError
from nervure.stream.subject import CHANGE, LOG_PREFIX, LOG_SUBJECTS, STREAM
from nervure.stream.wire import Feed

__all__ = ["Address", "ask", "ends", "ensure_stream", "followed", "log_in", "pad", "purge", "reach"]

_ANSWER_S = 5.0
_PAD = 1024
_NAME_IN_USE = 10058
_SAME_S = 120.0
_CONNECTIONS = "$SYS.REQ.ACCOUNT.PING.CONNZ"
_MOST_CONNECTIONS = 1 << 20


class Address(msgspec.Struct, frozen=True, kw_only=True):
    """Where a NATS server is and how it knows us."""

    host: str
    port: int
    user: str | None = None
    password: str | None = None
    token: str | None = None

    @property
    def url(self) -> str:
        """The address without its secrets."""
        return f"nats://{self.host}:{self.port}"


async def log_in(address: Address, name: str, feed_of: Callable[[], Feed] = Feed) -> Feed:
    """Open a connection and log in; ``feed_of`` makes what reads it.

    ``OSError`` or ``TimeoutError`` if the server cannot be reached now, ``StreamError`` if it does
    not let us in.
    """
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(_ANSWER_S):
        _, feed = await loop.create_connection(feed_of, address.host, address.port)
    try:
        async with asyncio.timeout(_ANSWER_S):
            await _greet(feed, address, name)
    except BaseException:
        feed.end("logging in failed")
        raise
    return feed


async def _greet(feed: Feed, address: Address, name: str) -> None:
    await feed.info
    greeting = {
        "verbose": False,
        "pedantic": False,
        "headers": True,
        "no_responders": True,
        "protocol": 1,
        "lang": "python",
        "version": "1",
        "name": name,
        "user": address.user,
        "pass": address.password,
        "auth_token": address.token,
    }
    said = msgspec.json.encode({key: value for key, value in greeting.items() if value is not None})
    feed.write(b"CONNECT %b\r\nSUB %b.* 2\r\n" % (said, feed.inbox))
    try:
        await feed.ping()
    except ConnectionError as cause:
        if "authorization" in str(cause).lower():
            raise StreamError(
                f"the log at {address.url} does not know us: {cause}",
                where="$.nats.url",
                hint="the data folder belongs to another server, or the password in nats.url is wrong",
            ) from cause
        raise


async def ask(feed: Feed, request: str, question: dict[str, Any] | None = None) -> dict[str, Any]:
    """Ask JetStream's API (``STREAM.INFO.…``); a refusal is a ``ConnectionError`` with its reason.

    It may pass: a server that has just started answers before its streams are there.
    """
    body = msgspec.json.encode(question) if question else b""
    async with asyncio.timeout(_ANSWER_S):
        answer = await feed.ask(f"$JS.API.{request}".encode(), body)
    if answer.startswith(b"NATS/1.0 503"):
        raise ConnectionError("JetStream is not up")
    found: dict[str, Any] = msgspec.json.decode(answer)
    if "error" in found:
        fault = found["error"]
        raise ConnectionError(f"{fault.get('description')} ({fault.get('err_code')})")
    return found


async def ensure_stream(feed: Feed) -> None:
    """Make the stream that is the log, or correct it where the server made one of its own.

    It keeps everything until it is trimmed; when full it refuses, and never forgets what it
    acknowledged.
    """
    wish = {
        "name": STREAM,
        "description": "Nervure: the log of all readings",
        "subjects": LOG_SUBJECTS,
        "retention": "limits",
        "storage": "file",
        "discard": "new",
        "max_msgs": -1,
        "max_bytes": -1,
        "max_age": 0,
        "max_consumers": -1,
        "num_replicas": 1,
        "duplicate_window": int(_SAME_S * 1e9),
        "allow_direct": True,
        "allow_batched": True,
    }
    try:
        await ask(feed, f"STREAM.CREATE.{STREAM}", wish)
    except ConnectionError as cause:
        if f"({_NAME_IN_USE})" not in str(cause):
            raise
        there = (await ask(feed, f"STREAM.INFO.{STREAM}"))["config"]
        await ask(feed, f"STREAM.UPDATE.{STREAM}", {**wish, "num_replicas": there["num_replicas"]})


async def ends(feed: Feed, stream: str = STREAM) -> tuple[int, int]:
    """Return the first and the last sequence of the log or another stream; (n + 1, n) when it is empty."""
    state = (await ask(feed, f"STREAM.INFO.{stream}"))["state"]
    return max(1, state["first_seq"]), state["last_seq"]


async def reach(feed: Feed, sequence: int) -> None:
    """Number what comes next above ``sequence``, if it would not be already."""
    _, last = await ends(feed)
    if sequence > last:
        await purge(feed, sequence)


async def pad(feed: Feed, sequence: int) -> None:
    """Number what comes next above ``sequence`` and keep what is there: events that say nothing go between.

    Nobody else may write meanwhile.
    """
    _, last = await ends(feed)
    while last < sequence:
        subject = f"{LOG_PREFIX}{CHANGE}".encode()
        answers = feed.request([(subject, b"", b"{}")] * min(_PAD, sequence - last))
        async with asyncio.timeout(_ANSWER_S):
            await answers.done
        last = (await ends(feed))[1]


async def purge(feed: Feed, upto: int) -> None:
    """Forget the messages up to and with that sequence."""
    await ask(feed, f"STREAM.PURGE.{STREAM}", {"seq": upto + 1})


async def followed(feed: Feed, tree: str) -> set[str]:
    """Return the subjects below ``tree`` (``v1//1.>``) to which somebody in our account subscribes now.

    The server tells an account about its own connections (``$SYS.REQ.ACCOUNT.PING.CONNZ``); only those
    that follow something in the tree are listed, so the cost grows with listeners and not with devices.
    """
    wish = {"subscriptions": True, "limit": _MOST_CONNECTIONS, "filter_subject": tree}
    async with asyncio.timeout(_ANSWER_S):
        answer = await feed.ask(_CONNECTIONS.encode(), msgspec.json.encode(wish))
    if answer.startswith(b"NATS/1.0"):
        raise StreamError("the server does not tell who listens")
    found = msgspec.json.decode(answer).get("data", {})
    begin = tree.removesuffix(">")
    return {
        subject
        for connection in found.get("connections", ())
        for subject in connection.get("subscriptions_list", ())
        if subject.startswith(begin)
    }
