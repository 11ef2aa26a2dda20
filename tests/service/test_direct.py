"""The direct way through the HTTP door: what it takes, what it leaves alone, and that nobody can tell."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import msgspec
import pytest

from nervure.core.error import ConflictError, NervureError, QueryError
from nervure.core.observation import Reject, Sound, observation_id, sequence_of
from nervure.core.settings import Access, Limits, Settings
from nervure.node.compose import Node
from nervure.node.post import Posts
from nervure.node.readings import IN_FLIGHT, Readings
from nervure.sense.intake import Intake
from nervure.store.duplicate import CONFLICT
from nervure.stream.publish import Item
from nervure.trust.office import MACHINE
from tests.patience import eventually
from tests.service.test_access import PASSWORD, running
from tests.service.test_readings import made

pytestmark = pytest.mark.service

Reply = tuple[int, dict[str, str], bytes]


class Line:
    """A kept connection, on which bytes are sent as they are."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def read(self) -> Reply:
        first, *rest = (await self.reader.readuntil(b"\r\n\r\n")).decode().strip().split("\r\n")
        headers = dict(one.split(": ", 1) for one in rest)
        return int(first.split()[1]), headers, await self.reader.readexactly(int(headers["content-length"]))

    async def say(self, *requests: bytes) -> Reply:
        for one in requests:
            self.writer.write(one)
        return await self.read()


@contextlib.asynccontextmanager
async def line(settings: Settings) -> AsyncIterator[Line]:
    dial = partial(asyncio.open_connection, "127.0.0.1", settings.http.port)
    reader, writer = await eventually(dial, forgive=(ConnectionRefusedError,))  # it listens in a moment
    try:
        yield Line(reader, writer)
    finally:
        writer.close()


def post(stream: int, body: bytes, more: str = "") -> bytes:
    head = f"POST /v1.1/Datastreams({stream})/Observations HTTP/1.1\r\nHost: 127.0.0.1\r\n{more}"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


def newest(stream: int, more: str = "") -> bytes:
    path = f"/v1.1/Datastreams({stream})/Observations?$orderby=phenomenonTime%20desc&$top=1"
    return f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{more}\r\n".encode()


@pytest.fixture
def opened(settings: Settings) -> Settings:
    return msgspec.structs.replace(settings, access=Access(open=True))


@contextlib.asynccontextmanager
async def node_of(settings: Settings) -> AsyncIterator[Node]:
    node = Node(settings)
    await node.start()
    task = asyncio.create_task(node.run())
    try:
        yield node
    finally:
        node.stop()
        await task


def watched(node: Node, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return a list that grows with every reading that is posted the direct way."""
    seen: list[int] = []
    post_of = node.readings.post

    def noted(datastream: int, payload: bytes, sound: Sound, tell: Any) -> None:
        seen.append(datastream)
        post_of(datastream, payload, sound, tell)

    monkeypatch.setattr(node.readings, "post", noted)
    return seen


def test_nobody_can_tell_which_way_a_request_went(opened: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        async with node_of(opened) as node, line(opened) as one:
            (hot,) = made(node, "hot")
            await node._learn()
            seen = watched(node, monkeypatch)
            body = b'{"result": 3, "phenomenonTime": "2024-01-01T00:00:00Z"}'
            for _ in range(3):  # the head is learnt, and what the Datastream observes
                await one.say(post(hot, body))
            seen.clear()
            replies = [await one.say(post(hot, body, more)) for more in ("X-Mine: 1\r\n", "", "")]
            assert seen == [hot] * 2  # the first has a header that nobody knows
            status, headers, said = replies[0]
            for other in replies[1:]:
                number = msgspec.json.decode(other[2])["@iot.id"]
                before = msgspec.json.decode(said)["@iot.id"]
                assert other[0] == status == 201
                assert other[2] == said.replace(str(before).encode(), str(number).encode())
                assert other[1].keys() == headers.keys()
                for name in headers.keys() - {"date", "location", "content-length"}:
                    assert other[1][name] == headers[name]
                assert other[1]["location"].endswith(f"/v1.1/Observations({number})")
                assert node.observations.by_id(number)
            asked = [await one.say(newest(hot)) for _ in range(2)]
            odd = await one.say(newest(hot, "X-Mine: 1\r\n"))
            for other in asked:
                assert other[0] == odd[0] == 200
                assert (other[2], other[1].keys()) == (odd[2], odd[1].keys())

    asyncio.run(scenario())


def test_what_is_wrong_is_said_as_ever(opened: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        async with node_of(opened) as node, line(opened) as one:
            (hot,) = made(node, "hot")
            good, bad = b'{"result":1}', b'{"result":1,'
            assert [(await one.say(post(hot, body)))[0] for body in (good, good, bad, good)] == [
                201, 201, 400, 201,
            ]  # fmt: skip
            assert (await one.say(post(hot + 99, good)))[0] == 404
            # Two at once, one in pieces, and one that comes while another is under way.
            one.writer.write(post(hot, good) + post(hot, good))
            assert [(await one.read())[0] for _ in range(2)] == [201, 201]
            one.writer.write(post(hot, good)[:-3])
            await asyncio.sleep(0.05)
            assert (await one.say(post(hot, good)[-3:]))[0] == 201
            seen = watched(node, monkeypatch)
            one.writer.write(post(hot, good))
            await eventually(lambda: seen, every_s=0)
            one.writer.write(newest(hot) + post(hot, good))
            assert [(await one.read())[0] for _ in range(3)] == [201, 200, 201]
            node.front.writer.delete("Datastream", hot)
            await node.readings.drop(datastreams=[hot])
            assert (await one.say(post(hot, good)))[0] == 404
            assert (await one.say(post(hot, good, "Connection: close\r\n")))[0] == 404
            assert await one.reader.read() == b""

    asyncio.run(scenario())


def test_rights_are_looked_up_for_every_request(settings: Settings) -> None:
    async def scenario() -> None:
        rules = Access(requests_s=0.001, burst=6)
        closed = msgspec.structs.replace(settings, access=rules)
        async with running(closed) as node, line(closed) as one:
            hot, cold = made(node, "hot", "cold")
            office = node.entry.office
            assert office is not None
            office.add_user(MACHINE, "op", "operator", password=PASSWORD)
            mine = office.add_token(MACHINE, "test", None, 1.0, owner="op")
            bearer = f"Authorization: Bearer {mine[1]}\r\n"
            body = b'{"result":1}'
            assert (await one.say(post(hot, body)))[0] == 401
            found = [(await one.say(post(hot, body, bearer)))[0] for _ in range(3)]
            found += [(await one.say(newest(hot, bearer)))[0] for _ in range(4)]
            assert found == [201, 201, 201, 200, 200, 200, 429]
            office.add_user(MACHINE, "view", "viewer", password=PASSWORD)
            view = office.add_token(MACHINE, "test", None, 1.0, owner="view")
            shown = f"Authorization: Bearer {view[1]}\r\n"
            assert [(await one.say(post(cold, body, shown)))[0] for _ in range(2)] == [403, 403]
            office.add_user(MACHINE, "other", "operator", password=PASSWORD)
            short = office.add_token(MACHINE, "test", None, 1.0, owner="other")
            said = f"Authorization: Bearer {short[1]}\r\n"
            assert [(await one.say(post(cold, body, said)))[0] for _ in range(2)] == [201, 201]
            office.revoke_token(MACHINE, short[0].id)
            office.register.known(fresh=True)
            assert (await one.say(post(cold, body, said)))[0] == 401

    asyncio.run(scenario())


def test_readings_that_come_together_are_one_message_each_with_its_own_answer(opened: Settings) -> None:
    async def first() -> list[int]:
        async with node_of(opened) as node:
            hot, cold = made(node, "hot", "cold")
            await node._learn()
            while not all(map(node.features.quick, (hot, cold))):  # else each looks it up first, in a thread
                await asyncio.gather(*map(node.features.default, (hot, cold)))
            readings, store = node.readings, node.observations
            body = b'{"result":%d,"phenomenonTime":"2024-01-01T00:00:00Z"}'
            first, *rest = await asyncio.gather(
                *(readings.fast((hot, cold)[one % 2], body % one) for one in range(40))
            )
            ids = [one for one in (first, *rest) if one is not None]
            assert len(set(ids)) == 40
            assert len({sequence_of(one) for one in ids}) < 5
            found = [store.by_id(one) for one in ids]
            assert [(one.datastream, one.result) for one in found if one] == [
                ((hot, cold)[one % 2], one) for one in range(40)
            ]
            return ids

    async def second(ids: list[int]) -> None:
        async with node_of(opened) as node:
            assert node.observations.count() == 40
            assert all(node.observations.by_id(one) for one in ids)

    asyncio.run(second(asyncio.run(first())))


def test_one_that_is_refused_does_not_take_the_others_along() -> None:
    """What the store says of one reading of a message is told to who posted it, and to nobody else."""

    async def scenario() -> None:
        async def publish(items: Any) -> list[int]:
            sent.extend(items)
            return [7]

        async def first(ids: list[int]) -> list[int]:
            return [one - 1000 for one in ids]

        sent: list[Item] = []
        posts = Posts(publish, 1 << 20, {observation_id(7, 3)}, first)
        told: dict[int, int | NervureError] = {}
        for one in range(4):
            posts.add(5, b'{"result":%d}' % one, partial(told.__setitem__, one))
        await eventually(lambda: sent, every_s=0)
        await asyncio.sleep(0)
        assert not told
        posts.taken(7, [Reject(sequence=7, index=1, subject="nv.change", reason=CONFLICT, detail="taken")])
        await asyncio.sleep(0)
        assert isinstance(told.pop(1), ConflictError)
        assert told == {0: observation_id(7, 0), 2: observation_id(7, 2), 3: observation_id(7, 3) - 1000}
        assert not posts.busy

    asyncio.run(scenario())


def test_refusals_that_concern_nobody_who_waits_are_not_held_for_ever() -> None:
    """A device may send nonsense for as long as people post: somebody always waits then."""

    async def scenario() -> None:
        async def first(ids: list[int]) -> list[int]:
            return ids

        answers: dict[str, asyncio.Queue[int]] = {"post": asyncio.Queue(), "drop": asyncio.Queue()}

        async def publish(items: Any) -> list[int]:
            return [await answers["post" if items[0][1] == b"{}" else "drop"].get()]

        told: dict[int, int | NervureError] = {}
        posts = Posts(publish, 1 << 20, set(), first)
        readings = Readings(publish, Intake((), Limits()), 1 << 20)
        posts.add(5, b"{}", partial(told.__setitem__, -1))
        dropped = [asyncio.create_task(readings.drop(ids=[1]))]
        await asyncio.sleep(0.02)  # it goes alone
        for turn in range(20):  # one is answered, and another one waits already
            posts.add(5, b"{}", partial(told.__setitem__, turn))
            dropped.append(asyncio.create_task(readings.drop(ids=[1])))
            await asyncio.sleep(0.02)
            many = range(1000 * turn + 1, 1000 * turn + 1001)
            noise = [Reject(sequence=one, subject="a", reason="malformed", detail="no JSON") for one in many]
            for one in answers.values():
                one.put_nowait(many[0])
            await asyncio.sleep(0.002)
            for waiting in (posts, readings):
                waiting.taken(many[-1], noise)
            await asyncio.sleep(0)
            assert len(posts._refused) <= 2_000
            assert len(readings._refused) <= IN_FLIGHT + 1_000
        assert [isinstance(told[one], QueryError) for one in range(-1, 19)] == [True] * 20
        for waiting in (posts, readings):
            waiting.close()
        found = await asyncio.gather(*dropped, return_exceptions=True)
        assert [isinstance(one, QueryError) for one in found] == [True] * 20 + [False]

    asyncio.run(scenario())
