"""A real Mosquitto for tests: a foreign broker, and the devices that publish to it."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

from tests.patience import eventually
from tests.support import free_ports

__all__ = ["Mosquitto", "mosquitto"]


class Mosquitto:
    """A Mosquitto of our own on a free port, which keeps its sessions in a file."""

    def __init__(self, folder: Path, port: int, extra: str = "") -> None:
        self.port = port
        self._config = folder / "mosquitto.conf"
        self._config.write_text(
            f"user root\nlistener {port} 127.0.0.1\npersistence true\npersistence_location {folder}/\n"
            f"autosave_interval 1\nmax_queued_messages 0\n{extra or 'allow_anonymous true'}\n"
        )
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        program = shutil.which("mosquitto") or "/usr/sbin/mosquitto"
        quiet = asyncio.subprocess.DEVNULL
        self._process = await asyncio.create_subprocess_exec(program, "-c", str(self._config), stderr=quiet)
        dial = functools.partial(asyncio.open_connection, "127.0.0.1", self.port)
        _, writer = await eventually(dial, forgive=(OSError,))
        writer.close()
        await writer.wait_closed()

    async def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            await self._process.wait()
            self._process = None

    async def send(self, topic: str, *lines: str, qos: int = 1, retain: bool = False) -> None:
        """Publish each line as a message by `mosquitto_pub`."""
        arguments = ["mosquitto_pub", "-h", "127.0.0.1", "-p", str(self.port), "-t", topic, "-q", str(qos)]
        arguments += ["-l"] if not retain else ["-r", "-s"]
        process = await asyncio.create_subprocess_exec(*arguments, stdin=asyncio.subprocess.PIPE)
        await process.communicate("\n".join(lines).encode())
        assert process.returncode == 0


@contextlib.asynccontextmanager
async def mosquitto(folder: Path, extra: str = "") -> AsyncIterator[Mosquitto]:
    broker = Mosquitto(folder, free_ports(1)[0], extra)
    await broker.start()
    try:
        yield broker
    finally:
        await broker.stop()
