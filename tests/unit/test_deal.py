"""Dealing: messages that the server takes, and bounds that hold over dealings that broke off."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import numpy as np
from msgspec.structs import replace

from nervure.core.entity import Datastream
from nervure.core.instant import SECOND_NS
from nervure.core.observation import Batch, observation_id
from nervure.node.deal import TURN_ROWS, Dealer, Hand, batch_of, read

SOLUTION = "flood"


def _dealer(put: object = None) -> Dealer:
    dealer = Dealer(put or _nowhere)  # type: ignore[arg-type]
    dealer.begin(1, [SOLUTION], {}, 0)
    dealer.learn([_stream()])
    return dealer


def _stream() -> Datastream:
    return Datastream(id=7, name="a/level", thing=1, sensor=1, solution=SOLUTION, signal="level", unit="mm")


def _batch(entry: int, rows: int) -> Batch:
    row = np.arange(rows)
    return Batch.of(
        id=observation_id(entry) + row,
        datastream=[7] * rows,
        time=row * SECOND_NS,
        result_time=row * SECOND_NS + 1,
        value=[1.0] * rows,
        low=[0.0] * rows,
        high=[2.0] * rows,
        quality=[1] * rows,
    )


async def _nowhere(_: object) -> None:
    raise AssertionError("nothing is put")


def test_messages_are_as_small_as_the_server_wants_them() -> None:
    dealer = _dealer()
    dealer.most_bytes = 20_000
    dealer.take(_batch(1, 3_000), 1)
    messages = [payload for _, payload in dealer.turn().messages]
    assert max(map(len, messages)) <= 20_000
    assert min(map(len, messages[:-1])) > 19_000
    found = Batch.concat([batch_of(read(one)) for one in messages])
    assert found.id.tolist() == _batch(1, 3_000).id.tolist()


def test_what_waits_is_dealt_in_turns_that_a_worker_is_soon_done_with() -> None:
    heard: list[Hand] = []

    async def put(messages: Sequence[tuple[int, bytes]]) -> None:
        heard.extend(read(payload) for _, payload in messages)

    async def scenario() -> None:
        dealer = _dealer(put)
        for entry in range(1, 41):
            dealer.take(_batch(entry, 1_000), entry)
        dealer.take(_batch(41, 0), 41)  # nothing for anybody, but the log is at 41
        dealing = asyncio.create_task(dealer.run())
        await dealer.calm()
        dealing.cancel()

    asyncio.run(scenario())
    groups = sorted({(one.after, one.upto) for one in heard})
    assert groups == [(0, 16), (16, 32), (32, 41)]
    found = Batch.concat([batch_of(one) for one in heard])
    assert found.id.tolist() == [one for entry in range(1, 41) for one in _batch(entry, 1_000).id.tolist()]


def test_clocks_are_of_what_is_dealt_not_of_what_still_waits_or_is_foretold() -> None:
    dealer = _dealer()
    later = 5_000 * SECOND_NS
    for entry in (1, 2):
        batch = _batch(entry, TURN_ROWS)
        dealer.take(
            replace(batch, time=batch.time + entry * later, result_time=batch.time + entry * later), entry
        )
    foretold = _batch(3, 1)
    dealer.take(replace(foretold, time=foretold.time + 9 * later), 3)
    newest = (TURN_ROWS - 1) * SECOND_NS
    for entry in (1, 2):
        hands = [read(payload) for _, payload in dealer.turn().messages]
        assert {one.clocks[SOLUTION] for one in hands} == {newest + entry * later}
    assert dealer.turn(all_of_them=True).upto == 3


def test_what_was_begun_anew_while_a_message_was_on_its_way_is_counted_once() -> None:
    async def scenario() -> None:
        begun, go = asyncio.Event(), asyncio.Event()

        async def put(_: Sequence[tuple[int, bytes]]) -> None:
            begun.set()
            await go.wait()

        dealer = _dealer(put)
        dealer.take(_batch(1, 100), 1)
        dealing = asyncio.create_task(dealer._deal())
        await begun.wait()
        dealer.begin(1, [SOLUTION], {}, 0)
        dealer.learn([_stream()])
        dealer.take(_batch(1, 100), 1)
        go.set()
        await dealing
        assert dealer._waiting == 100

    asyncio.run(scenario())
