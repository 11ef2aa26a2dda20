"""A node with many streams of one solution, as a bench needs it: provisioned, started, fed, drained."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from nervure.bench.process import NodeProcess, free_ports, free_settings
from nervure.bench.speed.machine import cpu_s
from nervure.core.error import EnvironmentMissing
from nervure.core.instant import HOUR_NS, iso
from nervure.core.scale import Scale
from nervure.core.settings import Broker, Limits, Project, Score
from nervure.solutions import find
from nervure.store.catalogue import Catalogue
from nervure.store.provision import Place, provision
from nervure.stream.child import tied
from nervure.stream.log import Log
from nervure.stream.server import find_program

__all__ = ["BEGIN_NS", "Field", "bare_nats", "field", "mosquitto", "pack", "reading", "topic"]

BEGIN_NS = 1_672_531_200_000_000_000
SOLUTION, SIGNAL = "water", "inflow"


class Field(msgspec.Struct, frozen=True, kw_only=True):
    """A running node and the Datastreams that readings go to; ``names`` are theirs, in order."""

    node: NodeProcess
    ids: list[int]
    names: tuple[str, ...]
    port: int

    @property
    def pids(self) -> tuple[int, ...]:
        """The node's process, without its log server."""
        return (self.node.pid,)

    def broker_s(self) -> float:
        """Return the processor seconds that the log server has spent."""
        pid = self.node.broker_pid()
        return 0.0 if pid is None else cpu_s((pid,))

    async def drained(self) -> dict[str, Any]:
        """Wait until all of the log is stored in a commit and scored; return the node's status."""
        log = await Log.connect(self.node.settings)
        try:
            while True:
                _, last = await log.first_last()
                status = await self.node.status()
                if min(status["sealed_position"], status["score_position"]) >= last:
                    return status
                await asyncio.sleep(0.3)
        finally:
            await log.close()


@contextlib.asynccontextmanager
async def field(
    folder: Path,
    streams: int,
    *,
    model: bool = False,
    every_ns: int = HOUR_NS,
    told: bool = False,
    brokers: tuple[Broker, ...] = (),
    score: Score | None = None,
    limits: Limits | None = None,
    scale: Scale | None = None,
    channels: int | None = None,
    places: Sequence[Place] = (),
) -> AsyncIterator[Field]:
    """Run a node with so many streams; with a ``model`` a small CNN of so many ``channels`` scores each.

    ``every_ns`` is how far readings of a stream are apart for the model. ``told``: what the model
    foresees is published and stored too. ``places`` are the Things, where they are not D0, D1, ...
    """
    settings = free_settings(
        folder,
        project=Project(name="bench", solutions=(SOLUTION,)),
        broker=brokers,
        score=score or Score(),
        scale=scale or Scale(),
        limits=limits or Limits(per_device_s=1e6),
    )
    catalogue = Catalogue.open(folder / "catalogue.db")
    solution = msgspec.structs.replace(find(SOLUTION), loops=(), **({} if told else {"problems": ()}))
    known = provision(catalogue, solution, places or [Place(name=f"D{one}") for one in range(streams)])
    names, node = tuple(one for one in known if one.endswith(f"/{SIGNAL}")), NodeProcess(settings)
    await node.start()
    try:
        if model:
            await _promote(node, catalogue, names, every_ns, channels)
        catalogue.close()
        port = settings.nats.mqtt_port
        yield Field(node=node, ids=[known[name].id for name in names], names=names, port=port)
    finally:
        await node.stop()


async def _promote(
    node: NodeProcess, catalogue: Catalogue, names: tuple[str, ...], every_ns: int, channels: int | None
) -> None:
    """Hand the node its model, and wait until it scores."""
    from hashlib import sha256

    from nervure.bench.speed.cnn import CHANNELS, package
    from nervure.trust.signature import SigningKey

    key = SigningKey.load_or_create(node.settings.folder)
    data, card = package(names, key, every_ns, channels=channels or CHANNELS)
    log = await Log.connect(node.settings)
    await log.put_package(card.name, data)
    await log.close()
    catalogue.add_model(card, card.name, sha256(data).hexdigest(), promoted=True)
    while (await node.status())["models"].get(SOLUTION) != card.version:
        await asyncio.sleep(0.1)


def topic(id: int) -> str:
    """Return where the readings of a Datastream are published."""
    return f"v1.1/Datastreams({id})/Observations"


def reading(ids: list[int], number: int) -> tuple[str, bytes]:
    """Return the message of that number: streams take turns, an hour passes with every turn."""
    turn, place = divmod(number, len(ids))
    moment = iso(BEGIN_NS + turn * HOUR_NS)
    value = 20.0 + (turn * 7 + place) % 11
    return topic(ids[place]), f'{{"result":{value},"phenomenonTime":"{moment}"}}'.encode()


def pack(ids: list[int], number: int, size: int) -> tuple[str, bytes]:
    """Return the pack of that number: streams take turns, a pack holds so many seconds of one."""
    turn, place = divmod(number, len(ids))
    moment = iso(BEGIN_NS + turn * size * 1_000_000_000)
    values = ",".join(f"{20.0 + (turn * 7 + place + one * 3) % 11:.2f}" for one in range(size))
    return topic(ids[place]), f'{{"t0":"{moment}","dt":1,"v":[{values}]}}'.encode()


@contextlib.asynccontextmanager
async def mosquitto(folder: Path, *, prompt: bool = False) -> AsyncIterator[tuple[int, int]]:
    """Run a Mosquitto of our own on loopback; yields its port and its process id.

    By its defaults it may hold back a small packet for 40 ms, until one before is acknowledged by TCP: that
    spares packets. Where delays are measured it is to be ``prompt``.
    """
    program = shutil.which("mosquitto") or "/usr/sbin/mosquitto"
    if not Path(program).exists():
        raise EnvironmentMissing("there is no mosquitto here", hint="apt-get install mosquitto")
    (port,) = free_ports(1)
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "mosquitto.conf"
    file.write_text(
        f"user root\nlistener {port} 127.0.0.1\nallow_anonymous true\nmax_queued_messages 0\n"
        f"set_tcp_nodelay {'true' if prompt else 'false'}\n",
        "utf-8",
    )
    process = await asyncio.create_subprocess_exec(
        *tied(program, "-c", str(file)), stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL
    )
    async with _stopped(process):
        await _listening(port)
        yield port, process.pid


@contextlib.asynccontextmanager
async def bare_nats(folder: Path) -> AsyncIterator[tuple[int, int]]:
    """Run a nats-server with an MQTT door and nothing behind it; yields the door's port, its process id."""
    port, mqtt_port = free_ports(2)
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "nats.conf"
    file.write_text(
        f'server_name: bare\nlisten: 127.0.0.1:{port}\njetstream {{ store_dir: "{folder}" }}\n'
        f"mqtt {{ listen: 127.0.0.1:{mqtt_port} }}\n",
        "utf-8",
    )
    process = await asyncio.create_subprocess_exec(
        *tied(str(find_program()), "-c", str(file)),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    async with _stopped(process):
        await _listening(mqtt_port)
        yield mqtt_port, process.pid


@contextlib.asynccontextmanager
async def _stopped(process: asyncio.subprocess.Process) -> AsyncIterator[None]:
    """End a process with what needs it."""
    try:
        yield
    finally:
        process.terminate()
        await process.wait()


async def _listening(port: int) -> None:
    for _ in range(200):
        with contextlib.suppress(OSError):
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.close()
            return
        await asyncio.sleep(0.02)
    raise EnvironmentMissing(f"nothing listens on port {port}")
