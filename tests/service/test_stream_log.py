"""The log against a real nats-server."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from pathlib import Path

import nats
import pytest

from nervure.core.error import EnvironmentMissing, NotFoundError, SettingError, StreamError
from nervure.core.settings import Settings
from nervure.stream.log import Log, address_of
from nervure.stream.subject import reading_subject
from tests.support import collect, kill, make_settings, running

pytestmark = pytest.mark.service


def test_what_is_published_is_read_in_order_from_any_position(settings: Settings) -> None:
    async def run() -> None:
        async with running(settings) as (_, log):
            assert await log.first_last() == (1, 0)
            items = [(reading_subject(i % 7), b"%d" % i, None) for i in range(5000)]
            assert await log.publish_many(items) == list(range(1, 5001))
            assert await log.first_last() == (1, 5000)
            found = await collect(log, 0, 5000)
            assert found.payload == [payload for _, payload, _ in items]
            assert found.subject == [subject for subject, _, _ in items]
            assert found.sequence == list(range(1, 5001))
            assert found.received_ns == sorted(found.received_ns)
            assert (await collect(log, 4998, 2)).sequence == [4999, 5000]

    asyncio.run(run())


def test_a_reader_gets_what_comes_after_it_began_and_two_readers_get_the_same(settings: Settings) -> None:
    async def run() -> None:
        async with running(settings) as (_, log):
            readers = [asyncio.create_task(collect(log, 0, 300)) for _ in range(2)]
            for number in range(300):
                await log.publish(reading_subject(1), b"%d" % number)
            one, two = await asyncio.gather(*readers)
            assert one.payload == two.payload == [b"%d" % number for number in range(300)]

    asyncio.run(run())


def test_one_turn_of_the_reader_gives_at_most_4096_messages(settings: Settings) -> None:
    async def run() -> None:
        async with running(settings) as (_, log):
            count = 30_000
            await log.publish_many([(reading_subject(1), b"x" * 100, None)] * count)
            sizes: list[int] = []
            async with contextlib.aclosing(log.read(0)) as reading:
                async for entries in reading:
                    sizes.append(len(entries))
                    await asyncio.sleep(0.05)  # a slow reader: the server has to wait for it
                    if sum(sizes) >= count:
                        break
            assert sum(sizes) == count
            assert max(sizes) <= 4096

    asyncio.run(run())


def test_a_message_named_once_is_kept_once_even_over_a_restart(settings: Settings) -> None:
    async def run() -> None:
        async with running(settings) as (server, log):
            first = await log.publish(reading_subject(1), b"a", once="forecast-1")
            assert await log.publish(reading_subject(1), b"a", once="forecast-1") == first
            os.kill(server.pid, signal.SIGKILL)
            assert await log.publish(reading_subject(1), b"a", once="forecast-1") == first
            assert await log.publish_many([(reading_subject(1), b"b", "x")] * 3) == [first + 1] * 3
            assert await log.first_last() == (first, first + 1)

    asyncio.run(run())


def test_publishing_goes_on_over_a_kill_of_the_server_without_loss_or_double(settings: Settings) -> None:
    async def run() -> None:
        async with running(settings) as (server, log):
            items = [(reading_subject(1), b"%d" % i, None) for i in range(20_000)]
            publishing = asyncio.create_task(log.publish_many(items))
            reading = asyncio.create_task(collect(log, 0, len(items), 60))
            for _ in range(3):
                await asyncio.sleep(0.15)
                await kill(server)
            sequences = await publishing
            found = await reading
            assert sorted(sequences) == list(range(1, len(items) + 1))
            assert found.sequence == sorted(sequences)
            assert sorted(map(int, found.payload)) == list(range(len(items)))
            by_sequence = dict(zip(found.sequence, found.payload, strict=True))
            assert [by_sequence[sequence] for sequence in sequences] == [payload for _, payload, _ in items]

    asyncio.run(run())


def test_trimmed_messages_are_gone_and_numbers_go_on(settings: Settings) -> None:
    async def run() -> None:
        async with running(settings) as (_, log):
            await log.publish_many([(reading_subject(1), b"%d" % i, None) for i in range(10)])
            await log.trim(4)
            assert await log.first_last() == (5, 10)
            assert (await collect(log, 0, 6)).sequence == [5, 6, 7, 8, 9, 10]
            await log.trim(2)
            await log.trim(10)
            assert await log.first_last() == (11, 10)
            with pytest.raises(StreamError, match="ends at 10"):
                await log.trim(11)
            assert await log.publish(reading_subject(1), b"next") == 11

    asyncio.run(run())


def test_a_log_that_ends_before_the_position_is_refused_and_can_be_moved_past_it(settings: Settings) -> None:
    async def run() -> None:
        async with running(settings) as (_, log):
            await log.publish(reading_subject(1), b"old")
            with pytest.raises(StreamError, match="before the position 500"):
                await collect(log, 500, 1)
            await log.reach(500)
            await log.reach(400)
            assert await log.publish(reading_subject(1), b"new") == 501
            assert (await collect(log, 500, 1)).payload == [b"new"]

    asyncio.run(run())


def test_packages_are_kept_by_name(settings: Settings) -> None:
    async def run() -> None:
        async with running(settings) as (server, log):
            assert await log.packages() == []
            with pytest.raises(NotFoundError, match=r"no package 'a\.onnx'"):
                await log.get_package("a.onnx")
            large = os.urandom(3_000_000)
            await log.put_package("a.onnx", b"first")
            await log.put_package("a.onnx", large)
            await log.put_package("empty", b"")
            await kill(server)
            assert await log.packages() == ["a.onnx", "empty"]
            assert await log.get_package("a.onnx") == large
            assert await log.get_package("empty") == b""
            assert await log.first_last() == (1, 0)

    asyncio.run(run())


def test_who_is_cancelled_while_a_package_comes_is_cancelled_at_any_moment(settings: Settings) -> None:
    async def goes_on(log: Log) -> None:
        await log.get_package("a.onnx")
        await asyncio.Event().wait()

    async def run() -> None:
        async with running(settings) as (_, log):
            await log.put_package("a.onnx", os.urandom(300_000))
            for moment in range(200):
                task = asyncio.create_task(goes_on(log))
                await asyncio.sleep(moment * 1e-4)
                task.cancel()
                _, waiting = await asyncio.wait([task], timeout=60)
                assert not waiting, f"it goes on though it was cancelled after {moment / 10} ms"
                assert task.cancelled()

    asyncio.run(run())


@pytest.mark.parametrize(
    ("subject", "size", "once", "match"),
    [
        ("foo", 1, None, "does not keep the subject"),
        ("v1//1.*.Observations", 1, None, "does not keep the subject"),
        (reading_subject(1), 1 << 20, None, "too large"),
        (reading_subject(1), 1, "a\r\nb", "cannot name"),
        (reading_subject(1), 1, "", "cannot name"),
    ],
)
def test_what_the_log_cannot_take_is_said_at_once(
    settings: Settings, subject: str, size: int, once: str | None, match: str
) -> None:
    async def run() -> None:
        async with running(settings) as (_, log):
            async with asyncio.timeout(60):
                with pytest.raises(StreamError, match=match):
                    await log.publish(subject, b"x" * size, once=once)
            assert await log.first_last() == (1, 0)

    asyncio.run(run())


def test_a_full_log_refuses_and_forgets_nothing(tmp_path: Path) -> None:
    settings = make_settings(tmp_path, max_store_gb=0.005)

    async def run() -> None:
        async with running(settings) as (_, log):
            taken: list[int] = []

            async def fill() -> None:
                while True:
                    taken.append(await log.publish(reading_subject(1), b"x" * 100_000))

            with pytest.raises(StreamError, match="full"):
                await fill()
            assert len(taken) > 10
            assert await log.first_last() == (1, taken[-1])
            assert len(await collect(log, 0, len(taken))) == len(taken)
            await log.trim(taken[-1])
            assert await log.publish(reading_subject(1), b"x") > taken[-1]

    asyncio.run(run())


def test_a_log_that_is_not_there_is_said_so(settings: Settings) -> None:
    with pytest.raises(EnvironmentMissing, match="cannot connect to the log"):
        asyncio.run(Log.connect(settings))


def test_an_outside_server_is_reached_by_url_with_its_password(settings: Settings, tmp_path: Path) -> None:
    async def run() -> None:
        async with running(settings) as (server, log):
            await log.publish(reading_subject(1), b"x")
            address = address_of(settings)
            url = f"nats://{address.user}:{address.password}@127.0.0.1:{address.port}"
            other = Settings(data=str(tmp_path / "other"))
            outside = await Log.connect(other, url)
            assert (await collect(outside, 0, 1)).payload == [b"x"]
            await outside.close()
            with pytest.raises(StreamError, match="does not know us"):
                await Log.connect(other, f"nats://nervure:wrong@127.0.0.1:{address.port}")
            with pytest.raises(StreamError, match="does not know us"):
                await Log.connect(other, server.url)

    asyncio.run(run())


def test_a_url_of_another_kind_is_refused(settings: Settings) -> None:
    with pytest.raises(SettingError, match="tls://"):
        address_of(settings, "tls://example.org:4222")


def test_what_is_sent_is_heard_and_not_kept(settings: Settings) -> None:
    async def run() -> None:
        async with running(settings) as (_, log):
            address = address_of(settings)
            client = await nats.connect(address.url, user=address.user, password=address.password)
            heard = await client.subscribe("nervure.alerts.>")
            await client.flush()
            await log.send("nervure.alerts.3", b"leak")
            assert (await heard.next_msg(2)).data == b"leak"
            await client.close()
            assert await log.first_last() == (1, 0)

    asyncio.run(run())
