"""SIGKILL at random instants under load: the node, its log server, both, a sender, PostgreSQL, a training."""

from __future__ import annotations

import asyncio
import random
import signal
from collections.abc import Callable
from pathlib import Path

from nervure.bench.speed.fault.case import Outcome, Play, Scale, play
from nervure.bench.speed.fault.orders import Orders

__all__ = ["kill_both", "kill_broker", "kill_node", "kill_sender"]

_PATIENCE_S = 60.0


async def kill_node(folder: Path, scale: Scale) -> Outcome:
    """Kill the node, and start it again."""

    async def kill(played: Play) -> None:
        played.stage.node.kill()
        await played.stage.node.start()

    return await _killed(folder, scale, kill)


async def kill_broker(folder: Path, scale: Scale) -> Outcome:
    """Kill the log server, which the node starts again."""

    async def kill(played: Play) -> None:
        before = played.stage.node.broker_pid()
        async with asyncio.timeout(_PATIENCE_S):
            while not played.stage.signal_broker(signal.SIGKILL):
                await asyncio.sleep(0.01)
            while played.stage.node.broker_pid() in {before, None}:
                await asyncio.sleep(0.01)

    return await _killed(folder, scale, kill)


async def kill_both(folder: Path, scale: Scale) -> Outcome:
    """Kill the node and the log server at the same instant, as when a machine dies, and start again."""

    async def kill(played: Play) -> None:
        played.stage.signal_broker(signal.SIGKILL)
        played.stage.node.kill()
        await played.stage.node.start()

    return await _killed(folder, scale, kill)


async def _killed(folder: Path, scale: Scale, kill: Callable[[Play], object]) -> Outcome:
    chance = random.Random(scale.times)
    async with play(folder, scale) as played:
        devices = played.crowd()
        played.orders = Orders(played.stage.node)
        await played.orders.start()
        for _ in range(scale.times):
            await devices.sending()
            await asyncio.sleep(chance.uniform(0.1, 2.0 * scale.seconds / scale.times))
            await played.fault(lambda: kill(played))  # type: ignore[arg-type,return-value]  # it is awaited
        await devices.sending()
    return played.judged


async def kill_sender(folder: Path, scale: Scale) -> Outcome:
    """Kill the process of the devices, which goes on from what it knows to be acknowledged."""
    chance = random.Random(scale.times)
    async with play(folder, scale) as played:
        devices = played.crowd()
        for _ in range(scale.times):
            await devices.sending()
            await asyncio.sleep(chance.uniform(0.05, 2.0 * scale.seconds / scale.times))

            async def kill() -> None:
                devices.kill()
                devices.start()
                await devices.sending()

            await played.fault(kill)
    return played.judged
