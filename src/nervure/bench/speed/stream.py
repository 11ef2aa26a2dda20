"""``nervure bench stream``: messages per CPU-second through decode, store and score, beside paho.

One run: the same messages, over the same broker, at the same time, go to the node (which decodes,
stores durably, keeps windows and judges rules, with or without a model at every message) and to a
bare ``paho-mqtt`` subscriber (which decodes JSON and counts). Machines are shared and noisy, so
each side is judged by its own process's CPU seconds, and the ratio is what counts.
"""

from __future__ import annotations

import asyncio
import platform
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import psutil

from nervure.bench.process import NodeProcess, free_settings
from nervure.bench.speed.load import Burst, send
from nervure.core.error import EnvironmentMissing
from nervure.core.instant import HOUR_NS, iso
from nervure.core.settings import Project
from nervure.learn.course import Course
from nervure.solutions import find
from nervure.store.catalogue import Catalogue
from nervure.store.provision import Place, provision
from nervure.stream.log import Log

__all__ = ["BEGIN_NS", "Row", "machine", "measure"]

BEGIN_NS = 1_672_531_200_000_000_000

_SHOWN = {"stored": "stored", "forecasts": "forecasts", "memory MB": "memory_mb"}
"""What a row is called, and what the node's status calls it."""


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One figure: ``value`` in messages per CPU-second, and its ratio to another subject's."""

    bench: str
    case: str
    subject: str
    metric: str
    value: float
    ratio_to: dict[str, float] = {}


def measure(
    *,
    messages: int,
    streams: int = 1_000,
    model: Course | None = None,
    keys: Path | None = None,
    progress: Callable[[float, str], None] | None = None,
) -> list[Row]:
    """Send so many messages once and return the figures of both sides.

    With a ``model`` its own streams are used (``keys`` is the folder of the key that signed it) and
    every message is scored by it; without one there are ``streams`` of them, and only rules judge.
    """
    with tempfile.TemporaryDirectory(prefix="nervure-bench-") as folder:
        return asyncio.run(_run(Path(folder), messages, streams, model, keys, progress))


async def _run(
    folder: Path,
    messages: int,
    streams: int,
    model: Course | None,
    keys: Path | None,
    progress: Callable[[float, str], None] | None,
) -> list[Row]:
    settings = free_settings(folder, project=Project(name="bench", solutions=("water",)))
    names = (
        [one.partition("/")[0] for one in model.card.streams]
        if model
        else [f"D{one}" for one in range(streams)]
    )
    catalogue = Catalogue.open(folder / "catalogue.db")
    ids = [
        one.id
        for name, one in provision(catalogue, find("water"), [Place(name=name) for name in names]).items()
        if "/" in name
    ]
    if model is not None and keys is not None:
        for file in keys.iterdir():
            (folder / file.name).write_bytes(file.read_bytes())
            (folder / file.name).chmod(0o600)
    node = NodeProcess(settings)
    await node.start()
    try:
        if model is not None:
            await _promote(node, catalogue, model)
        catalogue.close()
        return await _measured(node, ids, messages, model, progress)
    finally:
        await node.stop()


async def _promote(node: NodeProcess, catalogue: Catalogue, model: Course) -> None:
    log = await Log.connect(node.settings)
    await log.put_package(model.name, model.package)
    await log.close()
    catalogue.add_model(model.card, model.name, model.sha256, promoted=True)
    while (await node.status())["models"].get("water") != model.card.version:
        await asyncio.sleep(0.1)


async def _measured(
    node: NodeProcess,
    ids: list[int],
    messages: int,
    model: Course | None,
    progress: Callable[[float, str], None] | None,
) -> list[Row]:
    port = node.settings.nats.mqtt_port
    burst = Burst([_message(ids, number) for number in range(messages)])
    peer = subprocess.Popen(
        [sys.executable, "-m", "nervure.bench.speed.paho_peer", str(port), str(messages)],
        stdout=subprocess.PIPE,
        text=True,
    )
    if peer.stdout is None or peer.stdout.readline().strip() != "ready":
        raise EnvironmentMissing("the paho subscriber did not start")
    before, broker = _cpu(node.pid), node.broker_pid()
    broker_before = _cpu(broker) if broker else 0.0
    if progress:
        progress(0.1, f"sending {messages:,} messages")
    acknowledged = await asyncio.to_thread(send, "127.0.0.1", port, burst)
    counted = msgspec.json.decode((await asyncio.to_thread(peer.communicate))[0])
    status = await _drained(node, acknowledged)
    spent = _cpu(node.pid) - before
    if progress:
        progress(1.0, f"{status['readings']:,} stored")
    rows = _rows(
        "model at every message" if model else "no model",
        acknowledged / spent,
        counted["count"] / counted["cpu_s"],
        {"acknowledged": acknowledged} | {name: status.get(key, 0) for name, key in _SHOWN.items()},
    )
    if broker:
        rows.append(
            _row(rows[0].case, "nats-server, both sides", "CPU-s", round(_cpu(broker) - broker_before, 3))
        )
    return rows


def _rows(case: str, ours: float, theirs: float, seen: dict[str, float]) -> list[Row]:
    metric = "messages per CPU-s"
    first = Row(
        bench="stream",
        case=case,
        subject="node: decode, store, score",
        metric=metric,
        value=round(ours),
        ratio_to={"bare paho": round(ours / theirs, 3)},
    )
    return [
        first,
        _row(case, "bare paho", metric, round(theirs)),
        *(_row(case, "node", name, value) for name, value in seen.items()),
    ]


def _row(case: str, subject: str, metric: str, value: float) -> Row:
    return Row(bench="stream", case=case, subject=subject, metric=metric, value=value)


def _message(ids: list[int], number: int) -> tuple[str, bytes]:
    """Return the message of that number: streams take turns, an hour passes with every turn."""
    turn, place = divmod(number, len(ids))
    moment = iso(BEGIN_NS + turn * HOUR_NS)
    value = 20.0 + (turn * 7 + place) % 11
    return (
        f"v1.1/Datastreams({ids[place]})/Observations",
        f'{{"result":{value},"phenomenonTime":"{moment}"}}'.encode(),
    )


async def _drained(node: NodeProcess, wanted: int) -> dict[str, Any]:
    """Wait until every message is stored in a commit and scored."""
    log = await Log.connect(node.settings)
    try:
        while True:
            _, last = await log.first_last()
            status = await node.status()
            if (
                status["entries"] >= wanted
                and min(status["sealed_position"], status["score_position"]) >= last
            ):
                return status
            await asyncio.sleep(0.2)
    finally:
        await log.close()


def _cpu(pid: int) -> float:
    times = psutil.Process(pid).cpu_times()
    return float(times.user + times.system)


def machine() -> dict[str, Any]:
    """Return what the figures were measured on, without naming it."""
    return {
        "python": platform.python_version(),
        "cores": psutil.cpu_count(),
        "load": [round(one, 2) for one in psutil.getloadavg()],
    }
