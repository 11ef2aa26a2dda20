"""What is refused of others is not kept for ever by those who wait for the log."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from nervure.core.observation import Reject, Sound
from nervure.core.settings import Limits
from nervure.node import event
from nervure.node.post import Posts
from nervure.node.readings import IN_FLIGHT, Readings
from nervure.sense.intake import Intake
from nervure.stream.publish import Item
from tests.patience import eventually

ROUNDS, EACH = 30, 200


class Log:
    """Takes a message when the next one is under way, after what devices sent meanwhile."""

    def __init__(self) -> None:
        self.last = 0
        self._waiting: list[asyncio.Future[list[int]]] = []

    async def publish(self, _: Sequence[Item]) -> list[int]:
        self._waiting.append(asyncio.get_running_loop().create_future())
        return await self._waiting[-1]

    async def take(self) -> list[Reject]:
        """Take the first message that waits; return what came before it and cannot be taken."""
        first = self.last + 1
        self.last += EACH + 1
        self._waiting.pop(0).set_result([self.last])
        for _ in range(4):
            await asyncio.sleep(0)
        return [
            Reject(sequence=first + one, index=0, subject="x", reason="malformed", detail="no JSON")
            for one in range(EACH)
        ]

    @property
    def waiting(self) -> int:
        return len(self._waiting)


async def _first(ids: list[int]) -> list[int]:
    return ids


def test_single_readings_that_never_pause() -> None:
    async def scenario() -> None:
        log, told = Log(), list[object]()
        posts = Posts(log.publish, 1 << 20, frozenset(), _first)
        for number in range(ROUNDS):
            posts.add(5, b"{}", told.append)
            await eventually(lambda: log.waiting, equals=min(2, number + 1), every_s=0.001)
            if number:
                refused = await log.take()
                posts.taken(log.last, refused)
                assert posts.busy
                assert len(told) == number
                assert len(posts._refused) <= 2 * EACH
        assert all(isinstance(one, int) for one in told)
        posts.close()

    asyncio.run(scenario())


def test_a_message_waits_once_more_where_some_came_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nervure.node.post.LULL_S", 0.3)
    monkeypatch.setattr("nervure.node.post.PATIENCE_S", 60.0)

    async def scenario() -> None:
        sent, told = list[bytes](), list[object]()

        async def publish(items: Sequence[Item]) -> list[int]:
            sent.extend(payload for _, payload, _ in items)
            return [len(sent)]

        posts = Posts(publish, 1 << 20, frozenset(), _first)
        for _ in range(3):
            posts.add(5, b"{}", told.append)
        await eventually(lambda: len(sent), equals=1, every_s=0.001)
        posts.taken(1, [])
        await eventually(lambda: len(told), equals=3, every_s=0.001)
        first = posts._lull
        posts.add(5, b"{}", told.append)
        await eventually(lambda: posts._lull is not first, equals=True, every_s=0.01)
        assert len(sent) == 1
        for _ in range(2):
            posts.add(5, b"{}", told.append)
        await eventually(lambda: len(sent), equals=2, every_s=0.001)
        assert sent[1].count(b"datastream") == 3
        posts.close()

    asyncio.run(scenario())


def test_what_a_message_was_read_as_is_known_once_and_not_for_ever() -> None:
    async def scenario() -> None:
        log, told = Log(), list[object]()
        posts = Posts(log.publish, 1 << 20, frozenset(), _first)

        async def sent(*sounds: Sound | None) -> bytes:
            for one in sounds:
                posts.add(5, b'{"result":1}', told.append, one)
            await eventually(lambda: log.waiting, equals=1, every_s=0.001)
            return event.gathered([(5, b'{"result":1}')] * len(sounds))

        async def answered() -> None:
            refused = await log.take()
            posts.taken(log.last, refused)

        one = Sound(1.0, None, True)
        message = await sent(one, one)
        assert posts.known(b"another") is None
        assert posts.known(message) == [(5, one), (5, one)]
        assert posts.known(message) is None
        await answered()
        for sounds in ((one, None), (one,)):
            assert posts.known(await sent(*sounds)) is None
            await answered()
        message = await sent(one, one)
        await answered()
        await eventually(lambda: posts.busy, equals=False, every_s=0.001)
        assert posts.known(message) is None  # it was answered: what comes yet is decoded
        assert len(told) == 7
        posts.close()

    asyncio.run(scenario())


def test_changes_that_never_pause() -> None:
    async def scenario() -> None:
        log, changes = Log(), list[asyncio.Task[None]]()
        readings = Readings(log.publish, Intake([], Limits(), []), 1 << 20)
        for number in range(ROUNDS):
            changes.append(asyncio.create_task(readings.drop(ids=[1])))
            await eventually(lambda: log.waiting, equals=min(2, number + 1), every_s=0)
            if number:
                refused = await log.take()
                readings.taken(log.last, refused)
                await changes[number - 1]
                assert len(readings._refused) <= IN_FLIGHT + EACH
        readings.taken(log.last, await log.take())
        readings.taken(log.last)
        await changes[-1]
        assert not readings._refused

    asyncio.run(scenario())
