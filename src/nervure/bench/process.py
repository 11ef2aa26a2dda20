"""A node as its own process, as ``nervure up`` runs it, for the demo, benchmarks and crash tests."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections import deque
from pathlib import Path
from typing import Any

import httpx
import msgspec
import psutil

from nervure.core.error import EnvironmentMissing
from nervure.core.port import take
from nervure.core.settings import Access, Http, Nats, Settings
from nervure.stream.child import tied
from nervure.trust.console import console_secret

__all__ = ["NodeProcess", "free_ports", "free_settings"]

READY_S = 60.0
_CLAIMS = 64
_claimed: deque[socket.socket] = deque()
"""What holds claims; the oldest ones are let go, as their servers run or will not."""


def free_ports(count: int) -> list[int]:
    """Return ports on loopback that nobody listens on.

    They lie below those the system hands out to outgoing connections, so that a server that is
    started again does not find its port taken by somebody's client. Until whoever asked has started
    its servers, nobody else on this machine who asks is given the same ones.
    """
    found: list[int] = []
    while len(found) < count:
        port = random.randint(12_000, 31_000)
        if port in found:
            continue
        with contextlib.suppress(OSError):
            mark = take("127.0.0.1", port)
            if mark is not None:
                _claimed.append(mark)
            found.append(port)
    while len(_claimed) > _CLAIMS:
        _claimed.popleft().close()
    return found


def free_settings(folder: Path, **changes: Any) -> Settings:
    """Return settings of an open node with free ports on loopback and data in ``folder``."""
    port, mqtt_port, http_port = free_ports(3)
    settings = Settings(
        data=str(folder),
        nats=Nats(port=port, mqtt_port=mqtt_port),
        http=Http(port=http_port),
        access=Access(open=True),
    )
    return msgspec.structs.replace(settings, **changes)


def _toml(settings: Settings) -> str:
    """Write settings as TOML; what is ``None`` is left out, as TOML has no word for it."""
    return msgspec.toml.encode(_known(msgspec.to_builtins(settings))).decode()


def _known(tree: Any) -> Any:
    match tree:
        case dict():
            return {name: _known(value) for name, value in tree.items() if value is not None}
        case list() | tuple():
            return [_known(value) for value in tree]
        case _:
            return tree


class NodeProcess:
    """``nervure up`` on given settings; its output goes to ``node.log`` beside the data."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.log = settings.folder / "node.log"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The process id of the running node."""
        if self._process is None:
            raise EnvironmentMissing("the node was not started")
        return self._process.pid

    @property
    def url(self) -> str:
        """Where its HTTP door is."""
        return f"http://{self.settings.http.host}:{self.settings.http.port}"

    async def start(self) -> None:
        """Start the node and wait until it answers; its last words are in the error if it does not."""
        self.settings.folder.mkdir(parents=True, exist_ok=True)
        file = self.settings.folder / "nervure.toml"
        file.write_text(_toml(self.settings), "utf-8")
        environment = {name: value for name, value in os.environ.items() if not name.startswith("NERVURE_")}
        with self.log.open("ab") as out:
            self._process = subprocess.Popen(
                tied(sys.executable, "-m", "nervure.cli", "up", "--settings", str(file)),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                env=environment,
                start_new_session=True,
            )
        await self._ready()

    async def _ready(self) -> None:
        begun = time.monotonic()
        while time.monotonic() - begun < READY_S:
            if not self.alive:
                raise EnvironmentMissing(
                    f"the node ended while starting: {self.last_words()}", where=str(self.log)
                )
            if await self._answers():
                return
            await asyncio.sleep(0.05)
        raise EnvironmentMissing(f"the node did not answer within {READY_S:.0f} s", where=str(self.log))

    async def _answers(self) -> bool:
        try:
            async with httpx.AsyncClient(timeout=2.0) as client:
                return (await client.get(f"{self.url}/health")).status_code == 200
        except httpx.HTTPError:
            return False

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return self._process is not None and self._process.poll() is None

    @property
    def headers(self) -> dict[str, str]:
        """What lets a command on this machine in, where people sign in."""
        if self.settings.access.open:
            return {}
        return {"authorization": f"Bearer {console_secret(self.settings.folder)}"}

    async def status(self) -> dict[str, Any]:
        """Return what the node says of itself."""
        async with httpx.AsyncClient(timeout=30.0, headers=self.headers) as client:
            found: dict[str, Any] = (await client.get(f"{self.url}/status")).raise_for_status().json()
            return found

    def broker_pid(self) -> int | None:
        """Return the process id of its embedded log server."""
        for child in psutil.Process(self.pid).children(recursive=True):
            with contextlib.suppress(psutil.NoSuchProcess):  # it ended between the two questions
                if "nats-server" in child.name():
                    return child.pid
        return None

    def kill(self) -> None:
        """End it at once with SIGKILL, as a crash would."""
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()

    async def stop(self, timeout_s: float = 60.0) -> None:
        """Stop it with SIGTERM and wait; what does not end in time is killed."""
        process = self._process
        if process is None or process.poll() is not None:
            return
        process.terminate()
        try:
            await asyncio.to_thread(process.wait, timeout_s)
        except subprocess.TimeoutExpired:
            self.kill()

    def last_words(self) -> str:
        """Return the last lines it printed."""
        text = self.log.read_text("utf-8", "replace") if self.log.exists() else ""
        return " | ".join(text.splitlines()[-8:]) or "it said nothing"
