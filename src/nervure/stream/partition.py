"""The stream between a node and its workers: what they score, on a subject a partition.

It is made of the log and can be made again, so it is emptied where something is amiss. That a worker
reads one subject is cheap here, as messages hold thousands of readings; on the log itself a filter by
subject costs more than reading all of it (decision 0017).
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, Sequence
from typing import TYPE_CHECKING, Self

from nervure.core.error import AwayError
from nervure.stream.api import ask, log_in
from nervure.stream.log import address_of
from nervure.stream.publish import Publisher
from nervure.stream.reader import read
from nervure.stream.subject import PARTITION_SUBJECTS, PARTITIONS, partition_subject

if TYPE_CHECKING:
    from nervure.core.settings import Settings
    from nervure.stream.api import Address
    from nervure.stream.wire import Entries, Feed

__all__ = ["Partitions"]

_NAME_IN_USE = 10058


class Partitions:
    """Puts messages on the subjects of partitions, reads one of them, forgets what was scored."""

    def __init__(self, address: Address, max_payload: int) -> None:
        self._address = address
        self._publisher = Publisher(address, max_payload, prefix="")

    @classmethod
    async def connect(cls, settings: Settings) -> Self:
        """Connect, and make the stream if it is not there yet; ``AwayError`` if the server is away."""
        found = cls(address_of(settings), settings.nats.max_payload_bytes)
        try:
            await found._make()
        except (OSError, TimeoutError) as cause:
            raise found._away("make the stream of the partitions", cause) from cause
        return found

    @property
    def room(self) -> int:
        """The most bytes that a message may have."""
        return self._publisher.room

    def close(self) -> None:
        """Close the connection."""
        self._publisher.close()

    async def put(self, messages: Sequence[tuple[int, bytes]]) -> None:
        """Append messages ``(partition, payload)``, and return once the server has them.

        ``AwayError`` if it is away for long.
        """
        await self._publisher.append([(partition_subject(one), payload, None) for one, payload in messages])

    def read(self, partition: int) -> AsyncGenerator[Entries, None]:
        """Yield what lies on the subject of a partition, and what comes, for ever."""
        return read(self._address, 0, stream=PARTITIONS, subject=partition_subject(partition))

    async def forget(self, partition: int, upto: int) -> None:
        """Forget the messages of a partition up to that one of the stream."""
        wish = {"filter": partition_subject(partition), "seq": upto + 1}
        await self._ask(f"STREAM.PURGE.{PARTITIONS}", wish)

    async def clear(self) -> None:
        """Forget all messages."""
        await self._ask(f"STREAM.PURGE.{PARTITIONS}", {})

    async def _make(self) -> None:
        """Make the stream, which keeps what was not scored yet; when full it refuses."""
        wish = {
            "name": PARTITIONS,
            "description": "Nervure: what workers score",
            "subjects": [PARTITION_SUBJECTS],
            "retention": "limits",
            "storage": "file",
            "discard": "new",
            "max_consumers": -1,
            "num_replicas": 1,
        }
        with contextlib.closing(await self._feed()) as feed:
            try:
                await ask(feed, f"STREAM.CREATE.{PARTITIONS}", wish)
            except ConnectionError as cause:
                if f"({_NAME_IN_USE})" not in str(cause):
                    raise

    async def _ask(self, request: str, question: dict[str, object]) -> None:
        try:
            await ask(await self._publisher.connection(), request, question)
        except (OSError, TimeoutError) as cause:
            raise self._away("clear away what was scored", cause) from cause

    def _away(self, wish: str, cause: Exception) -> AwayError:
        return AwayError(
            f"cannot {wish}: {str(cause) or type(cause).__name__}",
            where=self._address.url,
            hint="is nats-server running, with JetStream? its log file may tell why not",
        )

    async def _feed(self) -> Feed:
        return await log_in(self._address, "nervure partitions")
