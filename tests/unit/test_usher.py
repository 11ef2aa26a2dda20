"""Who knocks is let in a few at a time, in order; who was asked about too long ago, not at all."""

from __future__ import annotations

import asyncio
import time
from operator import not_

import pytest

from nervure.node import usher
from nervure.node.usher import Usher
from tests.patience import eventually


def _knock(count: int) -> tuple[list[int], list[int]]:
    """Let so many knock at once; return who was answered, and how many at each turn of the loop."""
    order: list[int] = []
    turns: list[int] = []

    async def run() -> None:
        door = Usher(lambda _, payload: order.append(int(payload)))
        for number in range(count):
            door.asked(b"reply", b"%d" % number)
        turns.append(len(order))
        while len(order) < count:
            before = len(order)
            await asyncio.sleep(0)
            if len(order) > before:
                turns.append(len(order) - before)

    asyncio.run(run())
    return order, turns


def test_one_who_knocks_alone_is_answered_at_once() -> None:
    order, turns = _knock(1)
    assert (order, turns) == ([0], [1])


def test_a_crowd_is_answered_in_order_and_the_loop_goes_on_meanwhile() -> None:
    order, turns = _knock(60)
    assert order == list(range(60))
    assert max(turns) <= usher.AT_ONCE
    assert len(turns) >= 60 / usher.AT_ONCE


def test_very_many_are_answered_in_larger_turns_within_the_time() -> None:
    answered: list[bytes] = []

    async def run() -> None:
        door = Usher(lambda _, payload: answered.append(payload))
        for _ in range(4_000):
            door.asked(b"reply", b"")
        before = len(answered)
        await eventually(lambda: len(answered), before.__lt__, every_s=0)

    asyncio.run(run())
    turns = 4_000 / (len(answered) - 1)  # the first one came alone
    assert turns * usher.TURN_S <= 1.2 * usher.WITHIN_S, "4,000 in turns of four would take five seconds"


def test_whom_the_server_has_given_up_gets_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(usher, "LATE_S", 0.05)
    answered: list[bytes] = []

    def answer(_: bytes, payload: bytes) -> None:
        answered.append(payload)
        time.sleep(0.03)

    async def run() -> Usher:
        door = Usher(answer)
        for number in range(6):
            door.asked(b"reply", b"%d" % number)
        await eventually(lambda: door._turning, not_)  # nobody waits any more
        door.asked(b"reply", b"new")
        return door

    door = asyncio.run(run())
    assert door.late > 0
    assert len(answered) + door.late == 7
    assert (answered[0], answered[-1]) == (b"0", b"new")


def test_questions_of_a_server_that_has_gone_are_forgotten() -> None:
    answered: list[bytes] = []

    async def run() -> None:
        door = Usher(lambda _, payload: answered.append(payload))
        for number in range(50):
            door.asked(b"reply", b"%d" % number)
        assert door.waiting == 49
        door.clear()
        assert door.waiting == 0
        await asyncio.sleep(3 * usher.TURN_S)
        door.asked(b"reply", b"new")
        await asyncio.sleep(0)

    asyncio.run(run())
    assert answered == [b"0", b"new"]
