"""Live events stay within bounds: nothing is held for nobody, and who is too slow is told of a gap."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import msgspec
import numpy as np
import pytest

from nervure.core.alert import Alert
from nervure.core.error import BusyError, StoreError
from nervure.core.observation import Batch
from nervure.serve import live
from nervure.serve.live import Live, Wish, rows_event


def rows(number: int, streams: int, first: int = 1) -> Batch:
    place = np.arange(number)
    return Batch.of(
        id=first + place, datastream=1 + place % streams, time=place * 10**6, value=place.astype(np.float64)
    )


def nothing(_: Sequence[int], __: int, ___: int) -> Batch:
    return Batch.concat([])


def made() -> Live:
    return Live(strip=dict, brief=lambda one: one.id, since=nothing)


def wish(streams: int) -> Wish:
    return Wish(streams=np.arange(1, streams + 1), alerts=False, strip=False, sees=lambda _: True)


def test_of_too_many_rows_the_newest_of_each_stream_are_told() -> None:
    told = rows_event(rows(live.MOST_ROWS + 7, 7), np.array([2, 3]), 1)
    body = msgspec.json.decode(told.partition(b"data: ")[2])
    assert body["kept"]
    told = rows_event(rows(live.MOST_ROWS + 7, 7), np.arange(1, 8), 1)
    body = msgspec.json.decode(told.partition(b"data: ")[2])
    assert (body["kept"], len(body["stream"])) == (False, 7)
    assert sorted(body["value"]) == [float(one) for one in range(live.MOST_ROWS, live.MOST_ROWS + 7)]
    assert rows_event(rows(10, 2), np.array([9]), 1) == b""


def test_nothing_is_held_while_nobody_listens_and_who_is_slow_hears_of_a_gap() -> None:
    async def run() -> None:
        here = made()
        here.took(rows(100, 5))
        running = asyncio.create_task(here.run())
        quick, slow = here.listen(wish(5), "", None), here.listen(wish(5), "", None)
        assert await anext(quick) == await anext(slow) == b"retry: 2000\n\n"
        assert here.listeners == 2
        for second in range(20):  # some 300 kB of events a second
            here.took(rows(live.MOST_ROWS, 5, first=1 + second * live.MOST_ROWS))
            assert b"event: rows" in await anext(quick)
        late = await anext(slow)
        assert late.startswith(b"event: gap")
        assert len(late) <= live.MOST_BYTES + 1000
        await quick.aclose()
        await slow.aclose()
        assert here.listeners == 0
        here.took(rows(100, 5))
        fresh = here.listen(wish(5), "", None)
        await anext(fresh)
        here.close()
        assert await anext(fresh) == b'event: end\ndata: {"why":"stop"}\n\n'
        with pytest.raises(BusyError):
            here.listen(wish(1), "", None)
        running.cancel()

    with pytest.MonkeyPatch.context() as quicker:
        quicker.setattr(live, "EVERY_S", 0.02)
        asyncio.run(run())


def test_who_cannot_be_told_of_an_alert_hears_of_a_gap_and_everybody_else_goes_on() -> None:
    def away(_: int) -> bool:
        raise StoreError("cannot read the catalogue")

    async def run() -> None:
        here = made()
        running = asyncio.create_task(here.run())
        hears = msgspec.structs.replace(wish(0), alerts=True)
        mine = here.listen(msgspec.structs.replace(hears, sees=away), "", None)
        theirs = here.listen(hears, "", None)
        assert await anext(mine) == await anext(theirs)
        await asyncio.sleep(0.02)
        here.alerts([one_alert()])
        async with asyncio.timeout(60):
            assert (await anext(mine)).startswith(b"event: gap")
            assert b"event: alert" in await anext(theirs)
        assert not running.done()
        running.cancel()
        await mine.aclose()
        await theirs.aclose()

    with pytest.MonkeyPatch.context() as quicker:
        quicker.setattr(live, "EVERY_S", 0.02)
        asyncio.run(run())


def test_who_reads_nothing_for_long_loses_the_place_and_who_reads_keeps_it() -> None:
    async def run() -> None:
        here = made()
        running = asyncio.create_task(here.run())
        reads, sleeps = here.listen(wish(5), "", None), here.listen(wish(5), "", None)
        assert await anext(reads) == await anext(sleeps)
        first = 1
        async with asyncio.timeout(60):
            while here.listeners == 2:
                here.took(rows(5, 5, first=first))
                first += 5
                assert b"event: rows" in await anext(reads)
        assert await anext(sleeps) == b'event: end\ndata: {"why":"slow"}\n\n'
        here.took(rows(5, 5, first=first))
        assert b"event: rows" in await anext(reads)
        running.cancel()
        await reads.aclose()

    with pytest.MonkeyPatch.context() as quicker:
        quicker.setattr(live, "EVERY_S", 0.02)
        quicker.setattr(live, "PATIENCE_S", 0.3)
        asyncio.run(run())


def test_one_person_does_not_take_every_place() -> None:
    async def run() -> None:
        here = made()
        mine = msgspec.structs.replace(wish(1), who="user 1")
        listening = [here.listen(mine, "", None) for _ in range(live.MOST_EACH)]
        for one in listening:
            await anext(one)
        with pytest.raises(BusyError):
            here.listen(mine, "", None)
        await anext(here.listen(msgspec.structs.replace(mine, who="user 2"), "", None))
        for one in listening:
            await one.aclose()

    asyncio.run(run())


def one_alert() -> Alert:
    return Alert(
        id="a", solution="water", rule="burst", severity="major", thing=1, datastream=1, text="burst",
        start_ns=1, raised_ns=1,
    )  # fmt: skip
