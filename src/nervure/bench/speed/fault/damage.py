"""Files cut off or overwritten at random places, as a dying disk leaves them; then the node is started again.

A folder is made once by a node that was killed under load. Each trial damages a copy of it. Either the
node refuses to start with an error that says what to do, or it works, and then everything is there that
was acknowledged before the damage: in the log that means what lies before it in the file.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import re
import shutil
import signal
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
import numpy as np

from nervure.bench.process import NodeProcess
from nervure.bench.speed.fault.case import Outcome, Scale
from nervure.bench.speed.fault.check import Found
from nervure.bench.speed.fault.ledger import moments, values
from nervure.bench.speed.fault.stage import Stage
from nervure.core.error import EnvironmentMissing
from nervure.core.settings import Settings
from nervure.store.observations import Observations
from nervure.stream.log import Log
from nervure.stream.subject import reading_subject

__all__ = ["damaged_log", "damaged_table"]

_BLOCKS = "nats/js/jetstream/$G/streams/$MQTT_msgs/msgs/*.blk"
_TABLE = (
    "observations/_delta_log/*.json",
    "observations/day=*/*.parquet",
    "observations/_digest.parquet",
    "catalogue.db",
    "catalogue.db-wal",
)
_NOBODY = 1 << 40
_TRAILER = 40  # bytes of a record that follow its time: the value and the record's own sum
_TIME = re.compile(rb'"phenomenonTime":"([^"]{26})Z"')


class _Made(msgspec.Struct, frozen=True, kw_only=True):
    """A folder to be damaged, of a device whose messages ``sealed`` are in the table."""

    settings: Settings
    stream: int
    acknowledged: int
    sent: int
    sealed: set[int]


async def damaged_log(folder: Path, scale: Scale) -> Outcome:
    """The newest file of the log is damaged."""
    return await _trials(folder, scale, [_BLOCKS])


async def damaged_table(folder: Path, scale: Scale) -> Outcome:
    """The newest commit, file or digest of the table is damaged, or the catalogue."""
    return await _trials(folder, scale, _TABLE)


async def _trials(folder: Path, scale: Scale, patterns: Sequence[str]) -> Outcome:
    chance = random.Random(f"{patterns} {scale.times}")
    made = await _make(folder / "made", scale)
    tallies = {"refused with an error": 0, "mended": 0, "gone from the damage on": 0}
    lost = doubled = altered = 0
    recovery_s: list[float] = []
    for trial in range(scale.times):
        home = folder / f"trial-{trial}"
        shutil.copytree(made.settings.folder, home)
        pattern = patterns[trial % len(patterns)]
        kept = _hurt(home, pattern, chance, made)
        node = NodeProcess(msgspec.structs.replace(made.settings, data=str(home)))
        begun = time.monotonic()
        try:
            await node.start()
            await _caught_up(node)
        except EnvironmentMissing:
            _require_words(node)
            tallies["refused with an error"] += 1
        else:
            recovery_s.append(time.monotonic() - begun)
            await node.stop()
            missing, twice, other = _compare(home, made)
            lost += len(missing & kept)
            tallies["mended"] += 1
            tallies["gone from the damage on"] += len(missing - kept)
            doubled, altered = doubled + twice, altered + other
        finally:
            node.kill()
            shutil.rmtree(home)
    found = Found(acknowledged=made.acknowledged, lost=lost, doubled=doubled, altered=altered, alerts=0)
    return Outcome(
        found=found, faults=scale.times, recovery_s=recovery_s, most_mb=0.0,
        more={name: float(count) for name, count in tallies.items()},
    )  # fmt: skip


async def _make(folder: Path, scale: Scale) -> _Made:
    """Have a node take messages for a while, then kill it and its log server at the same instant."""
    folder.mkdir(parents=True)
    stage = Stage(folder, streams=1)
    try:
        await stage.begin()
        devices = stage.send("one", stage.streams, scale.rate)
        await devices.sending()
        await asyncio.sleep(scale.seconds)
        stage.signal_broker(signal.SIGKILL)
        stage.node.kill()
        devices.kill()
    finally:
        await stage.close()
    acknowledged, sent = devices.acknowledged, int(devices.ledger.sent[0])
    store = Observations.open(stage.home / "observations", write=False)
    sealed = set(np.searchsorted(moments(0, sent), store.series(list(stage.streams)).time).tolist())
    store.close()
    return _Made(
        settings=stage.settings, stream=stage.streams[0], acknowledged=acknowledged, sent=sent, sealed=sealed
    )


def _hurt(home: Path, pattern: str, chance: random.Random, made: _Made) -> set[int]:
    """Damage the newest file of a pattern; return the messages that must survive it."""
    everything = set(range(made.acknowledged))
    files = sorted(home.glob(pattern), key=lambda one: (one.stat().st_mtime_ns, one.name))
    if not files:
        return everything
    path = files[-1]
    data = path.read_bytes()
    place = chance.randrange(max(1, len(data)))
    ways: tuple[Callable[[], bytes], ...] = (
        lambda: data[:place],
        lambda: data[:place] + bytes([data[place] ^ (1 << chance.randrange(8))]) + data[place + 1 :],
        lambda: data[:place] + chance.randbytes(min(64, len(data) - place)) + data[place + 64 :],
    )
    path.write_bytes(chance.choice(ways)() if data else data)
    if pattern != _BLOCKS:
        return everything
    before = {one.group(1) for one in _TIME.finditer(data, 0, max(0, place - _TRAILER))}
    older = b"".join(one.read_bytes() for one in files[:-1])
    before |= {one.group(1) for one in _TIME.finditer(older)}
    texts = np.datetime_as_string(moments(0, made.sent).astype("datetime64[ns]"), unit="us").tolist()
    logged = {number for number, text in enumerate(texts) if text.encode() in before}
    return everything & (logged | made.sealed)


async def _caught_up(node: NodeProcess, timeout_s: float = 60.0) -> None:
    """Send one more message, for a Datastream that is not there, and wait until the node has taken it in."""
    begun = time.monotonic()
    log = await Log.connect(node.settings)
    end = await log.publish(reading_subject(_NOBODY), b'{"result": 0}')
    await log.close()
    while time.monotonic() - begun < timeout_s:
        if not node.alive:
            raise EnvironmentMissing(f"the node ended: {node.last_words()}")
        with contextlib.suppress(Exception):  # it is not ready to answer yet
            status = await node.status()
            if status["log"]["taken"] >= end:
                return
        await asyncio.sleep(0.05)
    raise EnvironmentMissing(f"the node hangs: {node.last_words()}")


def _require_words(node: NodeProcess) -> None:
    """A node that refuses must have ended, and have said why and what to do."""
    said = node.log.read_text("utf-8", "replace")
    if node.alive or "error: " not in said or "hint: " not in said:
        raise EnvironmentMissing(f"no clear error: {said[-2000:]}")


def _compare(home: Path, made: _Made) -> tuple[set[int], int, int]:
    """Return which acknowledged messages are missing, how many are there twice, and how many are altered."""
    store = Observations.open(home / "observations", write=False)
    found = store.series([made.stream])
    store.close()
    number = np.searchsorted(moments(0, made.sent), found.time)
    right = number.clip(0, made.sent - 1)
    altered = (moments(0, made.sent)[right] != found.time) | (
        values(made.stream, 0, made.sent)[right] != found.value
    )
    missing = set(range(made.acknowledged)) - set(number.tolist())
    return missing, len(number) - len(np.unique(number)), int(altered.sum())
