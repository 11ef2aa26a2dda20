"""Many devices at once, and one that sends far more than all others."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nervure.bench.speed.fault.case import Outcome, Play, Scale, p99_ms, play
from nervure.bench.speed.fault.stage import Devices
from nervure.store.observations import Observations

__all__ = ["flood", "thousand"]

FLOOD_RATE = 50_000.0


async def thousand(folder: Path, scale: Scale) -> Outcome:
    """All devices connect at the same moment and begin to send; some have been there before."""
    async with play(folder, scale, extra=10) as played:
        stage = played.stage
        others = stage.send("others", stage.streams[scale.devices :], 5.0, most=1 << 14, live=True)
        await others.sending(50)
        await asyncio.sleep(scale.seconds)
        mark = others.ledger.acknowledged.copy()

        async def come() -> None:
            devices = played.crowd()
            while not (devices.ledger.acknowledged > 0).all():
                await asyncio.sleep(0.02)

        begun = time.monotonic()
        await played.fault(come)
        played.more = {"s until each device was let in and acknowledged": played.recovery_s[-1]}
        await asyncio.sleep(max(0.0, scale.seconds - (time.monotonic() - begun)))
        _compare(played, others, mark)
    return played.judged


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
        _compare(played, others, mark)
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


def _compare(played: Play, others: Devices, mark: NDArray[np.int64]) -> None:
    """Note how long others waited for acknowledgement and decision before a mark, and since."""
    ledger = others.ledger
    until = ledger.acknowledged.copy()
    for name, noted in (("acknowledgement", ledger.took), ("decision", ledger.decided)):
        before = np.concatenate([row[1:at] for row, at in zip(noted, mark.tolist(), strict=True)])
        since = np.concatenate(
            [row[at:to] for row, at, to in zip(noted, mark.tolist(), until.tolist(), strict=True)]
        )
        first, second = p99_ms(before), p99_ms(since)
        played.more[f"others' p99 to {name} before, ms"] = first
        played.more[f"others' p99 to {name} meanwhile, ms"] = second
        played.more[f"others' p99 to {name}, times before"] = second / first
