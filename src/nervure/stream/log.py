"""The log: every reading in the order of its arrival, kept until all views have passed it."""

from __future__ import annotations

import contextlib
import logging
from typing import TYPE_CHECKING, Self
from urllib.parse import urlsplit

import nats
import nats.errors
import nats.js.errors
from nats.js.api import StorageType

from nervure.core.error import EnvironmentMissing, NotFoundError, SettingError, StreamError
from nervure.stream.api import Address, ensure_stream, log_in
from nervure.stream.conf import NODE_USER, read_secret
from nervure.stream.publish import Publisher
from nervure.stream.reader import read
from nervure.stream.server import nats_folder
from nervure.stream.subject import STREAM
from nervure.stream.wire import Entries

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from nats.aio.client import Client
    from nats.js import JetStreamContext
    from nats.js.object_store import ObjectStore

    from nervure.core.settings import Settings
    from nervure.stream.publish import Item

__all__ = ["Entries", "Log", "address_of"]

_PACKAGES = "packages"
_ANSWER_S = 5.0

_log = logging.getLogger("nervure.stream")


class Log:
    """A connection to the log, good for publishing, reading, and keeping model packages.

    It reconnects by itself. What `publish` has returned for is in the server's store, survives the
    death of any process, and stays until `trim`.
    """

    def __init__(self, client: Client, address: Address, max_payload: int) -> None:
        self._client = client
        self._stream: JetStreamContext = client.jetstream(timeout=_ANSWER_S)
        self._address = address
        self._publisher = Publisher(address, max_payload)
        self._packages: ObjectStore | None = None

    @classmethod
    async def connect(cls, settings: Settings, url: str | None = None) -> Self:
        """Connect, and make the stream if it is not there yet.

        ``url`` (or ``nats.url``) names a server of your own, with user and password or a token in
        it; without one it is the embedded server of this data folder.
        """
        address = address_of(settings, url)
        try:
            feed = await log_in(address, "nervure")
            await ensure_stream(feed)
            feed.end("done")
            client = await nats.connect(
                address.url,
                user=address.user,
                password=address.password,
                token=address.token,
                name="nervure log",
                allow_reconnect=True,
                max_reconnect_attempts=-1,
                reconnect_time_wait=0.1,
                ping_interval=10,
                connect_timeout=5,
                error_cb=_on_error,
            )
        except (OSError, nats.errors.Error, TimeoutError) as cause:
            raise EnvironmentMissing(
                f"cannot connect to the log at {address.url}: {_said(cause)}",
                where="$.nats",
                hint="start it with nervure up, or correct nats.url; it needs JetStream with file storage",
            ) from cause
        return cls(client, address, settings.nats.max_payload_bytes)

    async def close(self) -> None:
        """Close the connection; readings already published are safe."""
        self._publisher.close()
        with contextlib.suppress(nats.errors.Error, OSError, TimeoutError):
            await self._client.close()

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

    async def send(self, subject: str, payload: bytes) -> None:
        """Send a message to whoever listens now, by NATS or MQTT; it is not kept."""
        try:
            await self._client.publish(subject, payload)
            await self._client.flush(timeout=round(_ANSWER_S))
        except (nats.errors.Error, OSError, TimeoutError) as cause:
            raise StreamError(f"cannot send to {subject}: {_said(cause)}") from cause

    def read(self, after: int) -> AsyncGenerator[Entries, None]:
        """Yield everything after that sequence, as it comes, for ever; over restarts, without gap or double.

        Each turn gives what has arrived, at most 4,096 messages. What was trimmed is passed over.
        ``StreamError`` if the log ends before ``after``, which says that it is not the same log.
        """
        return read(self._address, after)

    async def first_last(self) -> tuple[int, int]:
        """Return the sequences of the first and the last message; (n + 1, n) when all are trimmed."""
        try:
            state = (await self._stream.stream_info(STREAM)).state
        except (nats.errors.Error, OSError, TimeoutError) as cause:
            raise StreamError(f"cannot ask the log for its state: {_said(cause)}") from cause
        return max(1, state.first_seq), state.last_seq

    async def trim(self, upto: int) -> None:
        """Forget the messages up to and with that sequence, which every view has passed."""
        first, last = await self.first_last()
        if upto > last:
            raise StreamError(f"cannot trim to {upto}: the log ends at {last}")
        if upto < first:
            return
        try:
            await self._stream.purge_stream(STREAM, seq=upto + 1)
        except (nats.errors.Error, OSError, TimeoutError) as cause:
            raise StreamError(f"cannot trim the log to {upto}: {_said(cause)}") from cause

    async def reach(self, sequence: int) -> None:
        """Make sure that new messages are numbered above ``sequence``.

        A view can be ahead of the log after a power cut or when an older copy was put back; without
        this, the numbers it has seen would be given out again and the new messages be passed over.
        Everything now in the log is at or before ``sequence`` then, and is forgotten.
        """
        _, last = await self.first_last()
        if sequence <= last:
            return
        try:
            await self._stream.purge_stream(STREAM, seq=sequence + 1)
        except (nats.errors.Error, OSError, TimeoutError) as cause:
            raise StreamError(f"cannot move the log to {sequence}: {_said(cause)}") from cause

    async def put_package(self, name: str, data: bytes) -> None:
        """Keep a file, such as a model, under a name; a second one replaces the first."""
        store = await self._package_store()
        try:
            await store.put(name, data)
        except (nats.errors.Error, OSError, TimeoutError) as cause:
            raise StreamError(f"cannot keep the package {name!r}: {_said(cause)}") from cause

    async def get_package(self, name: str) -> bytes:
        """Return a kept file, checked against its SHA-256; ``NotFoundError`` if there is none."""
        store = await self._package_store()
        try:
            found = await store.get(name)
        except nats.js.errors.NotFoundError as cause:
            raise NotFoundError(f"there is no package {name!r}") from cause
        except (nats.errors.Error, OSError, TimeoutError) as cause:
            raise StreamError(f"cannot read the package {name!r}: {_said(cause)}") from cause
        return found.data or b""

    async def packages(self) -> list[str]:
        """Return the names of the kept files, sorted."""
        store = await self._package_store()
        try:
            return sorted(info.name for info in await store.list() if info.name and not info.deleted)
        except nats.js.errors.NotFoundError:
            return []
        except (nats.errors.Error, OSError, TimeoutError) as cause:
            raise StreamError(f"cannot list the packages: {_said(cause)}") from cause

    async def _package_store(self) -> ObjectStore:
        if self._packages is None:
            make = self._stream.create_object_store
            try:
                try:
                    self._packages = await self._stream.object_store(_PACKAGES)
                except nats.js.errors.NotFoundError:
                    self._packages = await make(_PACKAGES, storage=StorageType.FILE)
            except (nats.errors.Error, OSError, TimeoutError) as cause:
                raise StreamError(f"cannot open the package store: {_said(cause)}") from cause
        return self._packages


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
    token = parts.username if parts.password is None else None
    return Address(
        host=parts.hostname or "127.0.0.1",
        port=parts.port or 4222,
        user=None if token else parts.username,
        password=parts.password,
        token=token,
    )


async def _on_error(cause: Exception) -> None:
    _log.debug("connection to the log: %s", _said(cause))


def _said(cause: Exception) -> str:
    """Return what an error says, or at least its name."""
    return str(cause) or type(cause).__name__
