"""Files beside the log, such as signed models, in the object store of NATS (ADR-20).

They are few and rarely asked for, so each question has a connection of its own, by the NATS client, and a
task of its own: the client forgets that it was cancelled where that meets it while it writes, and whoever
waits for a cancelled task would wait for ever.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Coroutine
from typing import TYPE_CHECKING, Any, TypeVar

from nervure.core.error import NotFoundError, StreamError

if TYPE_CHECKING:
    from nats.js.object_store import ObjectStore

    from nervure.stream.api import Address

__all__ = ["get_package", "list_packages", "put_package"]

_BUCKET = "packages"
_ANSWER_S = 5

Answer = TypeVar("Answer")
_asked: set[asyncio.Task[Any]] = set()  # a loop keeps no task alive


async def put_package(address: Address, name: str, data: bytes) -> None:
    """Keep a file under a name; a second one replaces the first."""

    async def put() -> None:
        async with _store(address, f"keep the package {name!r}") as store:
            await store.put(name, data)

    await _apart(put())


async def get_package(address: Address, name: str) -> bytes:
    """Return a kept file, checked against its SHA-256; ``NotFoundError`` if there is none."""
    from nats.js.errors import NotFoundError as Missing

    async def get() -> bytes:
        async with _store(address, f"read the package {name!r}") as store:
            try:
                found = await store.get(name)
            except Missing as cause:
                raise NotFoundError(f"there is no package {name!r}") from cause
            return found.data or b""

    return await _apart(get())


async def list_packages(address: Address) -> list[str]:
    """Return the names of the kept files, sorted."""
    from nats.js.errors import NotFoundError as Missing

    async def listed() -> list[str]:
        async with _store(address, "list the packages") as store:
            try:
                return sorted(info.name for info in await store.list() if info.name and not info.deleted)
            except Missing:
                return []

    return await _apart(listed())


async def _apart(asked: Coroutine[Any, Any, Answer]) -> Answer:
    """Wait for a question in a task of its own; who is cancelled waits no longer, it ends by itself."""
    task = asyncio.create_task(asked)
    _asked.add(task)
    task.add_done_callback(_over)
    return await asyncio.shield(task)


def _over(task: asyncio.Task[Any]) -> None:
    _asked.discard(task)
    if not task.cancelled():
        task.exception()  # nobody may wait for it any more, which is no mistake


@contextlib.asynccontextmanager
async def _store(address: Address, wish: str) -> AsyncIterator[ObjectStore]:
    import nats  # half a second, which a start need not wait for
    import nats.errors
    import nats.js.errors
    from nats.js.api import StorageType

    try:
        client = await nats.connect(
            address.url,
            user=address.user,
            password=address.password,
            token=address.token,
            name="nervure packages",
            allow_reconnect=False,
            connect_timeout=_ANSWER_S,
        )
        try:
            stream = client.jetstream(timeout=_ANSWER_S)
            try:
                store = await stream.object_store(_BUCKET)
            except nats.js.errors.NotFoundError:
                store = await stream.create_object_store(_BUCKET, storage=StorageType.FILE)
            yield store
        finally:
            await client.close()
    except (nats.errors.Error, OSError, TimeoutError) as cause:
        raise StreamError(
            f"cannot {wish}: {str(cause) or type(cause).__name__}",
            where=address.url,
            hint="is the log running?",
        ) from cause
