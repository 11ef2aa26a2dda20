"""What a node needs is away for a while, and the node itself: it stalls, the log server, PostgreSQL."""

from __future__ import annotations

import asyncio
import random
import signal
from pathlib import Path

from nervure.bench.speed.fault.case import Outcome, Play, Scale, play
from nervure.bench.speed.fault.database import postgres

__all__ = ["broker_away", "kill_postgres", "postgres_away", "stalled"]


async def stalled(folder: Path, scale: Scale) -> Outcome:
    """The node stands still (SIGSTOP) while devices go on sending."""
    async with play(folder, scale) as played:
        devices, stage = played.crowd(), played.stage
        await devices.sending()
        await asyncio.sleep(1.0)
        before = devices.acknowledged
        stage.signal_node(signal.SIGSTOP)
        await asyncio.sleep(scale.seconds)
        meanwhile = devices.acknowledged - before

        async def go_on() -> None:
            stage.signal_node(signal.SIGCONT)

        await played.fault(go_on)
        played.more = {"messages acknowledged meanwhile": meanwhile}

        def late_s() -> float:
            return stage.watcher.highest.get('nervure_latency_ms{quantile="max"}', 0.0) / 1e3

        played.seen = await stage.watcher.tells(lambda: late_s() > scale.seconds / 2)
        played.more["s late at most, by metrics"] = late_s()
    return played.judged


async def broker_away(folder: Path, scale: Scale) -> Outcome:
    """The log server stands still (SIGSTOP): it has its connections, and says nothing."""
    async with play(folder, scale) as played:
        devices, stage = played.crowd(), played.stage
        await devices.sending()
        stage.signal_broker(signal.SIGSTOP)
        await asyncio.sleep(scale.seconds)
        played.seen = await _told(played, "log:")

        async def go_on() -> None:
            stage.signal_broker(signal.SIGCONT)
            await devices.sending()

        await played.fault(go_on)
    return played.judged


async def postgres_away(folder: Path, scale: Scale) -> Outcome:
    """PostgreSQL, where the catalogue is, is shut down and comes back."""
    with postgres() as server:
        async with play(folder, scale, catalogue=server.url) as played:
            devices = played.crowd()
            await devices.sending()
            await asyncio.sleep(1.0)
            await asyncio.to_thread(server.kill)
            await asyncio.sleep(scale.seconds)
            await devices.sending()  # readings are taken all the while
            played.seen = await _told(played, "catalogue:")

            async def go_on() -> None:
                await asyncio.to_thread(server.start)

            await played.fault(go_on)
        return played.judged


async def kill_postgres(folder: Path, scale: Scale) -> Outcome:
    """PostgreSQL crashes at random instants, and is started again."""
    chance = random.Random(scale.times)
    with postgres() as server:
        async with play(folder, scale, catalogue=server.url) as played:
            devices = played.crowd()
            for _ in range(scale.times):
                await devices.sending()
                await asyncio.sleep(chance.uniform(0.1, 2.0 * scale.seconds / scale.times))

                async def crash() -> None:
                    await asyncio.to_thread(server.kill)
                    await asyncio.to_thread(server.start)

                await played.fault(crash)
        return played.judged


async def _told(played: Play, word: str) -> bool:
    """Whether status names the trouble while it lasts, and metrics count it; somebody asks now and then."""
    watcher = played.stage.watcher
    return await watcher.tells(lambda: watcher.named(word) and watcher.highest.get("nervure_troubles", 0) > 0)
