"""What a node bears, what it says of it, and a clock that somebody sets."""

from __future__ import annotations

import asyncio

import pytest

from nervure.core.error import AwayError, ModelError, StoreError
from nervure.node.trouble import Clock, Troubles, patiently


def test_a_trouble_is_told_until_the_same_work_is_done(caplog: pytest.LogCaptureFixture) -> None:
    fails = [StoreError("away"), AwayError("gone", hint="wait"), None]

    async def work() -> None:
        cause = fails.pop(0)
        if cause is not None:
            raise cause

    async def run() -> None:
        troubles = Troubles()
        troubles.note("disk", "full")
        assert not await troubles.bear("catalogue", work)
        assert troubles.words() == ["disk: full", "catalogue: away"]
        assert not await troubles.bear("catalogue", work)
        assert troubles.words() == ["disk: full", "catalogue: gone\nhint: wait"]
        assert await troubles.bear("catalogue", work)
        assert troubles.words() == ["disk: full"]

    asyncio.run(run())
    assert [one.levelname for one in caplog.records] == ["ERROR", "ERROR", "WARNING"]


def test_what_waiting_cannot_mend_is_raised() -> None:
    async def work() -> None:
        raise ModelError("broken")

    with pytest.raises(ModelError):
        asyncio.run(Troubles().bear("model", work))


def test_what_comes_from_the_log_waits_for_the_catalogue() -> None:
    fails = [StoreError("away")]

    def work(number: int) -> int:
        if fails:
            raise fails.pop()
        return number + 1

    assert asyncio.run(patiently(work, 3)) == 4
    assert not fails


def test_a_clock_that_is_set_is_told_for_a_while() -> None:
    wall, steady = [1_000.0], [5.0]
    clock = Clock(lambda: wall[0], lambda: steady[0])
    assert clock.look() is None
    for jump, words in ((3_600.0, "+3,600 s"), (-7_200.0, "-7,200 s")):
        wall[0] += jump + 1.0
        steady[0] += 1.0
        assert words in (clock.look() or "")
        wall[0] += 30.0
        steady[0] += 30.0
        assert "30 s ago" in (clock.look() or "")
    assert (clock.jumps, clock.jumped_s) == (2, -3_600.0)
    wall[0] += 700.2  # and a little, as clocks are led to the right time
    steady[0] += 700.0
    assert clock.look() is None
    assert clock.jumps == 2
