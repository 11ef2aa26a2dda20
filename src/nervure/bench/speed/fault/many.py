"""Many devices at once, and one that sends far more than all others."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import msgspec

from nervure.bench.speed.fault.beside import APART_S, OTHERS, beside, delays
from nervure.bench.speed.fault.case import Outcome, Play, Scale, play
from nervure.store.observations import Observations

__all__ = ["flood", "thousand"]

FLOOD_RATE = 50_000.0


async def thousand(folder: Path, scale: Scale) -> Outcome:
    """All devices sign in at the same moment and begin to send; some have been there before.

    What the same does to others at a bare broker is measured beside it.
    """
    async with play(folder, scale, extra=OTHERS, signing=True) as played:
        stage = played.stage
        others = stage.send(
            "others", stage.streams[scale.devices :], 5.0, most=1 << 14, live=True, spread_s=APART_S
        )
        await others.sending(50)
        await asyncio.sleep(scale.seconds)
        mark = others.ledger.acknowledged.copy()
        let_in = "s until each device was let in and acknowledged"

        async def come() -> None:
            played.more[let_in] = await played.crowd().all_in()

        begun = time.monotonic()
        await played.fault(come)
        await asyncio.sleep(max(0.0, scale.seconds - (time.monotonic() - begun)))
        played.more |= delays(others, mark)
    return msgspec.structs.replace(played.judged, beside=await beside(folder, scale))


async def flood(folder: Path, scale: Scale) -> Outcome:
    """One device sends 50,000 messages a second, while others send one a second each."""
    async with play(folder, scale, extra=1, signing=True) as played:
        stage = played.stage
        others = stage.send(
            "others", stage.streams[: scale.devices], 1.0, most=1 << 14, live=True, spread_s=1.0
        )
        await others.sending(scale.devices)
        await asyncio.sleep(scale.seconds)
        mark = others.ledger.acknowledged.copy()
        one = stage.send("flood", stage.streams[scale.devices :], FLOOD_RATE, window=5_000)
        await one.sending()
        begun = time.monotonic()
        await asyncio.sleep(scale.seconds)
        rate = one.acknowledged / (time.monotonic() - begun)
        played.more |= delays(others, mark)
        played.more["flood messages/s acknowledged"] = rate

        async def end() -> None:
            one.kill()  # what was not acknowledged it would send for ever

        await played.fault(end)
        await asyncio.sleep(1.5)  # a commit, and a look of the watcher
        left_out = stage.watcher.last["quarantine"].get("flood", 0)
        times = stage.watcher.last["door"]["floods"]
        played.more["times it was sent out"] = times
        played.seen = times > 0 and stage.watcher.highest.get("nervure_door_floods", 0) > 0
        played.left_out = ("flood",)
    outcome = played.judged
    outcome.more["flood messages neither stored nor counted"] = one.acknowledged - left_out - _stored(played)
    return outcome


def _stored(played: Play) -> int:
    store = Observations.open(played.stage.home / "observations", write=False)
    try:
        return len(store.series([played.stage.streams[-1]]))
    finally:
        store.close()
