"""The same devices at a broker with nothing behind it: what a crowd costs others wherever it comes."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nervure.bench.speed.fault.case import Scale, p99_ms
from nervure.bench.speed.fault.ledger import Plan
from nervure.bench.speed.fault.stage import Devices
from nervure.bench.speed.field import bare_nats, mosquitto
from nervure.core.error import EnvironmentMissing

__all__ = ["APART_S", "OTHERS", "beside", "delays"]

OTHERS, APART_S = 10, 0.2
"""So many others send five times a second, spread over the time between two of their messages."""

Broker = Callable[[Path], AbstractAsyncContextManager[tuple[int, int]]]

_PROMPT = partial(mosquitto, prompt=True)
_BROKERS: dict[str, Broker] = {"bare nats-server": bare_nats, "bare Mosquitto": _PROMPT}


async def beside(folder: Path, scale: Scale) -> dict[str, dict[str, float]]:
    """Let the devices come at each broker that is installed; return how long others waited, by broker.

    Nobody signs in there, nothing is stored or decided: a decision is that a listener was told.
    """
    found = {}
    for name, broker in _BROKERS.items():
        home = folder / name.replace(" ", "-")
        with contextlib.suppress(EnvironmentMissing):
            async with broker(home) as (port, _):
                found[name] = await _crowded(home, port, scale)
    return found


async def _crowded(home: Path, port: int, scale: Scale) -> dict[str, float]:
    streams, rate = range(1, scale.devices + OTHERS + 1), scale.rate / scale.devices
    few, many = tuple(streams[-OTHERS:]), tuple(streams[:-OTHERS])
    plan = Plan(port=port, streams=few, rate=5.0, most=1 << 14, live=True, spread_s=APART_S, name="others")
    others = Devices(plan, home)
    crowd = Devices(Plan(port=port, streams=many, rate=rate, most=1 << 40, name="crowd"), home)
    try:
        others.start()
        await others.sending(50)
        await asyncio.sleep(scale.seconds)
        mark, begun = others.ledger.acknowledged.copy(), time.monotonic()
        crowd.start()
        let_in = await crowd.all_in()
        await asyncio.sleep(max(0.0, scale.seconds - (time.monotonic() - begun)))
        return {"s until each device was let in and acknowledged": let_in} | delays(others, mark)
    finally:
        others.kill()
        crowd.kill()


def delays(others: Devices, mark: NDArray[np.int64]) -> dict[str, float]:
    """Return how long others waited for acknowledgement and decision before a mark, and since."""
    ledger, found = others.ledger, dict[str, float]()
    until = ledger.acknowledged.copy()
    for name, noted in (("acknowledgement", ledger.took), ("decision", ledger.decided)):
        before = np.concatenate([row[1:at] for row, at in zip(noted, mark.tolist(), strict=True)])
        since = np.concatenate(
            [row[at:to] for row, at, to in zip(noted, mark.tolist(), until.tolist(), strict=True)]
        )
        first, second = p99_ms(before), p99_ms(since)
        found[f"others' p99 to {name} before, ms"] = first
        found[f"others' p99 to {name} meanwhile, ms"] = second
        found[f"others' p99 to {name}, times before"] = second / first
    return found
