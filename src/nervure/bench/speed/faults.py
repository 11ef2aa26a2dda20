"""``nervure bench faults``: what may break is broken, under load, and every message is looked for afterwards.

Each case is one function on the same stage: a real node (``nervure up``), devices in processes of their
own that send by MQTT with QoS 1 and count what is acknowledged, the fault, and a comparison of their
count with the store, message by message, with the alerts that were due, and with the Tasks asked for.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

import msgspec

from nervure.bench.speed.fault import away, damage, kill, many, room, training
from nervure.bench.speed.fault.case import Case, Outcome, Scale
from nervure.bench.speed.fault.title import TITLES
from nervure.bench.speed.row import Row
from nervure.bench.speed.run import Tell, silent
from nervure.core.error import UsageError

__all__ = ["CASES", "NOTES", "Protocol", "measure"]

MILLIONS = 10_000_000

NOTES = tuple(
    """Lost: acknowledged and not stored. Doubled: stored more than once. Altered: stored with another \
value, or never sent. Who was not acknowledged sends again, so devices send doubles and the store must not.
Recovery is from the fault (of what was away: from its return) until the node has stored and scored all that \
the log held.
What is gone from the damage on was in no sealed file, and lay behind the damaged place of the log.
Where 1,000 come at once or one floods, each device signs in; who floods knocks again at once when sent out.
Others send spread over each fifth of a second. At a bare broker the same devices come, of whom nobody signs
in, and nothing is kept or decided: there the decision is that a listener was told.
The clock is that of the node alone (libfaketime); the log server keeps the true one.""".splitlines()
)


class Protocol(msgspec.Struct, frozen=True, kw_only=True):
    """A case, and how large it is played."""

    run: Case
    scale: Scale


CASES: dict[str, Protocol] = {
    "node": Protocol(
        run=kill.kill_node,
        scale=Scale(times=30, seconds=60, rate=1_000, rows=MILLIONS),
    ),
    "broker": Protocol(run=kill.kill_broker, scale=Scale(times=30, seconds=30, rate=1_000)),
    "both": Protocol(
        run=kill.kill_both,
        scale=Scale(times=10, seconds=15, rate=1_000, rows=MILLIONS),
    ),
    "sender": Protocol(run=kill.kill_sender, scale=Scale(times=15, seconds=15, rate=1_000)),
    "postgres": Protocol(run=away.kill_postgres, scale=Scale(times=10, seconds=20, rate=1_000)),
    "training": Protocol(
        run=training.kill_training,
        scale=Scale(times=8, rate=500),
    ),
    "log": Protocol(run=damage.damaged_log, scale=Scale(times=12, seconds=5, rate=1_000)),
    "table": Protocol(
        run=damage.damaged_table,
        scale=Scale(times=20, seconds=40, rate=1_000),
    ),
    "stall": Protocol(
        run=away.stalled,
        scale=Scale(seconds=60, rate=10_000),
    ),
    "broker-away": Protocol(run=away.broker_away, scale=Scale(seconds=60, rate=1_000)),
    "postgres-away": Protocol(run=away.postgres_away, scale=Scale(seconds=60, rate=1_000)),
    "disk": Protocol(run=room.disk_full, scale=Scale(seconds=30, rate=1_000)),
    "clock": Protocol(run=room.clock, scale=Scale(seconds=15, rate=1_000)),
    "thousand": Protocol(run=many.thousand, scale=Scale(devices=1_000, seconds=20, rate=1_000)),
    "flood": Protocol(
        run=many.flood,
        scale=Scale(devices=50, seconds=60),
    ),
}


def measure(*, only: Iterable[str] = (), progress: Tell = silent) -> list[Row]:
    """Play the cases of these names, or all, and return what came of them."""
    chosen = list(only) or list(CASES)
    for name in chosen:
        if name not in CASES:
            raise UsageError(f"there is no case {name!r}", hint=f"there are {', '.join(CASES)}")
    rows: list[Row] = []
    for place, name in enumerate(chosen):
        one = CASES[name]
        progress(place / len(chosen), TITLES[name])
        begun = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="nervure-faults-", ignore_cleanup_errors=True) as folder:
            outcome = asyncio.run(_played(one, Path(folder)))
        rows += outcome.rows(TITLES[name])
        rows.append(
            Row(
                bench="faults", case=TITLES[name], subject="nervure", metric="s the case took",
                value=round(time.monotonic() - begun, 1),
            )
        )  # fmt: skip
    return rows


async def _played(one: Protocol, folder: Path) -> Outcome:
    return await one.run(folder, one.scale)
