"""The log: every reading in the order of its arrival, kept until all views have passed it."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Self, TypeVar
from urllib.parse import unquote, urlsplit

from nervure.core.error import AwayError, EnvironmentMissing, SettingError, StreamError
from nervure.stream.api import Address, ends, ensure_stream, followed, log_in, purge, reach
from nervure.stream.conf import NODE_USER, read_secret
from nervure.stream.package import get_package, list_packages, put_package
from nervure.stream.pour import pour
from nervure.stream.publish import Publisher
from nervure.stream.reader import read
from nervure.stream.server import nats_folder
from nervure.stream.wire import Entries

if TYPE_CHECKING:
    from nervure.core.settings import Settings
    from nervure.stream.publish import Item
    from nervure.stream.wire import Feed

__all__ = ["Entries", "Log", "address_of"]

_PATIENCE_S = 10.0
_PAUSE_S = 0.05

Answer = TypeVar("Answer")


class Log:
    """The log: appending to it, reading it, keeping model packages beside it.

    It connects again by itself. What `publish` has returned for is in the server's store, survives
    the death of any process, and stays until `trim`.
    """

    def __init__(self, address: Address, max_payload: int) -> None:
        self._address = address
        self._most = max_payload
        self._publisher = Publisher(address, max_payload)

    @classmethod
    async def connect(cls, settings: Settings, url: str | None = None) -> Self:
        """Connect, and make the stream if it is not there yet.

        ``url`` (or ``nats.url``) names a server of your own, with user and password or a token in
        it; without one it is the embedded server of this data folder.
        """
        address = address_of(settings, url)
        try:
            feed = await log_in(address, "nervure")
            with contextlib.closing(feed):
                await ensure_stream(feed)
        except (OSError, TimeoutError) as cause:
            raise EnvironmentMissing(
                f"cannot connect to the log at {address.url}: {_said(cause)}",
                where="$.nats",
                hint="start it with nervure up, or correct nats.url; it needs JetStream with file storage",
            ) from cause
        return cls(address, settings.nats.max_payload_bytes)

    async def close(self) -> None:
        """Close the connection; readings already published are safe."""
        self._publisher.close()

    async def publish(self, subject: str, payload: bytes, *, once: str | None = None) -> int:
        """Append a message and return its sequence once the log has it.

        A message with the same ``once`` within two minutes is kept once, and gets the sequence of
        the first. It is sent again until the log has it; ``StreamError`` after 30 s, or at once
        when the log is full, the message too large, or the subject none that is kept.
        """
        return (await self._publisher.append([(subject, payload, once)]))[0]

    async def publish_many(self, items: Sequence[Item]) -> list[int]:
        """Append messages ``(subject, payload, once)``, many in flight, and return their sequences."""
        return await self._publisher.append(items)

    async def pour(self, items: Sequence[tuple[str, bytes]]) -> None:
        """Append very many messages ``(subject, payload)`` at half the cost of `publish_many`.

        Who pours learns no sequences, and after an interruption a few messages may be there twice.
        """
        await pour(self._address, items, self._most)

    async def send(self, subject: str, payload: bytes) -> None:
        """Send a message to whoever listens now, by NATS or MQTT; it is not kept."""
        await self.send_many([(subject, payload)])

    async def send_many(self, items: Sequence[tuple[str, bytes]]) -> None:
        """Send messages ``(subject, payload)`` to whoever listens now; they are not kept."""
        for subject, _ in items:
            if not subject.isprintable() or " " in subject or not subject:
                raise StreamError(f"{subject!r} is no subject", hint="write words joined by dots")

        async def say(feed: Feed) -> None:
            for subject, payload in items:
                feed.write(b"PUB %b %d\r\n%b\r\n" % (subject.encode(), len(payload), payload))
            await feed.ping()

        if items:
            await self._with_feed(say, f"send to {items[0][0]}")

    async def followed(self, tree: str) -> set[str]:
        """Return the subjects below ``tree`` (``v1//1.>``) that somebody follows now, by NATS or MQTT."""
        return await self._with_feed(lambda feed: followed(feed, tree), f"ask who follows {tree}")

    def read(self, after: int) -> AsyncGenerator[Entries, None]:
        """Yield everything after that sequence, as it comes, for ever; over restarts, without gap or double.

        Each turn gives what has arrived, at most 4,096 messages. What was trimmed is passed over.
        ``StreamError`` if the log ends before ``after``, which says that it is not the same log.
        """
        return read(self._address, after)

    async def first_last(self) -> tuple[int, int]:
        """Return the sequences of the first and the last message; (n + 1, n) when all are trimmed."""
        return await self._with_feed(ends, "ask the log for its state")

    async def trim(self, upto: int) -> None:
        """Forget the messages up to and with that sequence, which every view has passed."""
        first, last = await self.first_last()
        if upto > last:
            raise StreamError(f"cannot trim to {upto}: the log ends at {last}")
        if upto >= first:
            await self._with_feed(lambda feed: purge(feed, upto), f"trim the log to {upto}")

    async def reach(self, sequence: int) -> None:
        """Make sure that new messages are numbered above ``sequence``.

        A view can be ahead of the log after a power cut or when an older copy was put back; without
        this, the numbers it has seen would be given out again and the new messages be passed over.
        If the log ends before ``sequence``, everything in it has been read, and is forgotten.
        """
        await self._with_feed(lambda feed: reach(feed, sequence), f"move the log to {sequence}")

    async def put_package(self, name: str, data: bytes) -> None:
        """Keep a file, such as a model, under a name; a second one replaces the first."""
        await put_package(self._address, name, data)

    async def get_package(self, name: str) -> bytes:
        """Return a kept file, checked against its SHA-256; ``NotFoundError`` if there is none."""
        return await get_package(self._address, name)

    async def packages(self) -> list[str]:
        """Return the names of the kept files, sorted."""
        return await list_packages(self._address)

    async def _with_feed(self, work: Callable[[Feed], Awaitable[Answer]], wish: str) -> Answer:
        """Ask the server something that may be asked twice, over interruptions."""
        begun = time.monotonic()
        while True:
            try:
                async with asyncio.timeout(_PATIENCE_S):
                    return await work(await self._publisher.connection())
            except (OSError, TimeoutError) as cause:
                if time.monotonic() - begun > _PATIENCE_S:
                    raise AwayError(
                        f"cannot {wish}: {_said(cause)}",
                        where=self._address.url,
                        hint="is nats-server running? its log file may tell why not",
                    ) from cause
            await asyncio.sleep(_PAUSE_S)


def address_of(settings: Settings, url: str | None = None) -> Address:
    """Return where the log is: ``url``, else ``nats.url``, else the embedded server."""
    outside = url or settings.nats.url
    if outside is None:
        where = settings.nats
        secret = read_secret(nats_folder(settings))
        return Address(host=where.host, port=where.port, user=NODE_USER, password=secret)
    parts = urlsplit(outside if "//" in outside else f"nats://{outside}")
    if parts.scheme != "nats":
        raise SettingError(
            f"a log at {parts.scheme}:// cannot be read",
            where="$.nats.url",
            hint="write nats://user:password@host:port",
        )
    user = None if parts.username is None else unquote(parts.username)
    password = None if parts.password is None else unquote(parts.password)
    host, port = parts.hostname or "127.0.0.1", parts.port or 4222
    if password is None:
        return Address(host=host, port=port, token=user)
    return Address(host=host, port=port, user=user, password=password)


def _said(cause: Exception) -> str:
    """Return what an error says, or at least its name."""
    return str(cause) or type(cause).__name__
