"""A node, the devices that send to it, and somebody who watches: the stage that every fault is played on."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path

import httpx
import msgspec

from nervure.bench.process import NodeProcess, free_settings
from nervure.bench.speed.fault import gauge
from nervure.bench.speed.fault.ledger import Ledger, Plan
from nervure.bench.speed.fault.watcher import Watcher
from nervure.core.entity import Datastream
from nervure.core.error import EnvironmentMissing, NervureError
from nervure.core.settings import Access, Project, Settings, Store
from nervure.core.settings import Catalogue as Place
from nervure.store.catalogue import Catalogue
from nervure.store.provision import Place as Site
from nervure.store.provision import provision
from nervure.stream.child import tied
from nervure.stream.log import Log
from nervure.trust.console import CONSOLE, console_secret
from nervure.trust.office import MACHINE, Office
from nervure.trust.register import Register

__all__ = ["Devices", "Stage"]

FILE = Path(gauge.__file__)
_PAUSE_S = 0.1


class Devices:
    """A process of devices, and its ledger."""

    def __init__(self, plan: Plan, folder: Path) -> None:
        ledger = folder / f"{plan.name}.ledger"
        self.plan = msgspec.structs.replace(plan, ledger=str(ledger))
        self.ledger = Ledger.open(self.plan)
        self._file = folder / f"{plan.name}.json"
        self._file.write_bytes(msgspec.json.encode(self.plan))
        self._process: subprocess.Popen[bytes] | None = None
        self._said = folder / f"{plan.name}.log"

    def start(self) -> None:
        """Start to send, or go on where the ledger says."""
        command = tied(sys.executable, "-m", "nervure.bench.speed.fault.sender", str(self._file))
        with self._said.open("ab") as out:
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out)

    def kill(self) -> None:
        """End the process at once."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()

    async def finish(self, timeout_s: float = 120.0) -> None:
        """Let all that was sent be acknowledged, and end."""
        process = self._process
        if process is None:
            return
        process.terminate()
        try:
            await asyncio.to_thread(process.wait, timeout_s)
        except subprocess.TimeoutExpired:
            self.kill()
            raise EnvironmentMissing(f"{self.plan.name}: not everything was acknowledged") from None
        if process.returncode:
            raise EnvironmentMissing(f"{self.plan.name} ended: {self._said.read_text('utf-8')[-500:]}")

    async def sending(self, more: int = 1, timeout_s: float = 60.0) -> float:
        """Wait until so many more messages are acknowledged; return how long that took, in seconds."""
        begun, wanted = time.monotonic(), self.acknowledged + more
        while self.acknowledged < wanted:
            if time.monotonic() - begun > timeout_s:
                raise EnvironmentMissing(f"{self.plan.name}: nothing is acknowledged for {timeout_s:.0f} s")
            await asyncio.sleep(0.01)
        return time.monotonic() - begun

    async def all_in(self, timeout_s: float = 60.0) -> float:
        """Wait until a message of each device is acknowledged; return how long that took, in seconds."""
        begun = time.monotonic()
        while not (self.ledger.acknowledged > 0).all():
            if time.monotonic() - begun > timeout_s:
                out = int((self.ledger.acknowledged == 0).sum())
                raise EnvironmentMissing(f"{self.plan.name}: {out} were not let in for {timeout_s:.0f} s")
            await asyncio.sleep(0.02)
        return time.monotonic() - begun

    @property
    def acknowledged(self) -> int:
        """How many messages were acknowledged so far."""
        return int(self.ledger.acknowledged.sum())


class Stage:
    """A node with ``streams`` Datastreams of the solution ``gauge``, on a folder of its own.

    ``catalogue`` is the database to use instead of a file, ``solutions`` run besides; ``signing``: each
    device signs in with a token of its own.
    """

    def __init__(
        self,
        folder: Path,
        *,
        streams: int,
        catalogue: str | None = None,
        solutions: tuple[str, ...] = (),
        signing: bool = False,
    ) -> None:
        self.folder = folder
        self.home = folder / "data"
        self.home.mkdir(parents=True, exist_ok=True)
        self.settings: Settings = free_settings(
            self.home,
            project=Project(name="faults", solutions=(str(FILE), *solutions)),
            catalogue=Place(url=catalogue),
            store=Store(seal_s=1.0),
            access=Access(open=not signing),
        )
        made = Catalogue.open(self.settings.catalogue_place)
        sites = [Site(name=f"g{number}") for number in range(streams)]
        found = provision(made, gauge.solution, sites).values()
        self.streams = tuple(one.id for one in found)
        self._signs = _sign(made, self.home, found) if signing else {}
        made.close()
        self.node = NodeProcess(self.settings)
        self.watcher = Watcher(self.node)
        self.devices: list[Devices] = []

    async def begin(self) -> None:
        """Start the node, and somebody who watches it."""
        await self.node.start()
        self.watcher.start()

    def send(
        self, name: str, streams: tuple[int, ...], rate: float, *, most: int = 1 << 40, **more: float
    ) -> Devices:
        """Start devices, one a Datastream, each at ``rate`` messages a second."""
        plan = msgspec.convert(
            {
                "port": self.settings.nats.mqtt_port,
                "streams": streams,
                "rate": rate,
                "most": most,
                "name": name,
                "signs": [self._signs[one] for one in streams if one in self._signs],
                "ear": (CONSOLE, console_secret(self.home)) if self._signs else None,
            }
            | more,
            Plan,
        )
        found = Devices(plan, self.folder)
        found.start()
        self.devices.append(found)
        return found

    async def recovered(self, begun: float, timeout_s: float = 120.0) -> float:
        """Wait until the node answers and has stored and scored what the log held then; return seconds."""
        last = 0
        while True:
            with contextlib.suppress(httpx.HTTPError, OSError, NervureError):
                last = last or await self._end()
                status = await self.node.status()
                if last and status["log"]["taken"] >= last:
                    return time.monotonic() - begun
            if time.monotonic() - begun > timeout_s:
                raise EnvironmentMissing(f"the node did not recover: {self.node.last_words()}")
            await asyncio.sleep(0.02)

    async def _end(self) -> int:
        log = await Log.connect(self.settings)
        try:
            return (await log.first_last())[1]
        finally:
            await log.close()

    async def close(self) -> None:
        """Stop everything that still runs."""
        for one in self.devices:
            one.kill()
        self.watcher.stop()
        await self.node.stop()

    def signal_node(self, what: signal.Signals) -> None:
        """Send a signal to the node."""
        os.kill(self.node.pid, what)

    def signal_broker(self, what: signal.Signals) -> bool:
        """Send a signal to the log server; false if none runs at this moment."""
        pid = self.node.broker_pid()
        if pid is None:
            return False
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, what)
            return True
        return False


def _sign(catalogue: Catalogue, home: Path, streams: Iterable[Datastream]) -> dict[int, tuple[str, str]]:
    """Give each Datastream a device of its own; return the names and tokens by Datastream."""
    office = Office(Register(catalogue.database), home / "tls")
    found = {}
    for one in streams:
        name = f"gauge-{one.id}"
        token = office.add_device(MACHINE, name, one.thing, datastreams=[one.id]).token
        found[one.id] = (name, token or "")
    return found
