"""A node as `nervure up --open` runs it, in a process of its own, for tests that come from outside."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import httpx

from tests.patience import until
from tests.support import free_ports

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["Opened", "opened"]


class Opened:
    """Where an open node answers."""

    def __init__(self, said: dict[str, Any], process: subprocess.Popen[str]) -> None:
        self.http: str = said["http"]
        self.root = f"{self.http}/v1.1"
        self.mqtt_port = int(said["mqtt"].rpartition(":")[2])
        self.process = process

    def wait(self) -> None:
        """Wait until it answers."""
        look = functools.partial(httpx.get, f"{self.http}/health")
        until(
            look, lambda answer: answer.status_code == 200,
            forgive=(httpx.TransportError,), running=self.process,
        )  # fmt: skip


@contextlib.contextmanager
def opened(folder: Path, *options: str, http: int | None = None) -> Iterator[Opened]:
    """Run an open node with its data in ``folder`` as long as the block lasts."""
    port = free_ports(1)[0] if http is None else http
    command = [sys.executable, "-m", "nervure.cli", "up", "--open", "--http", f"127.0.0.1:{port}", "--json"]
    command += ["--data", str(folder / "data"), *options]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("NERVURE_")}
    with (folder / "node.log").open("a") as log:
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=log, cwd=folder, env=environment, text=True
        )
    with process:
        try:
            line = process.stdout.readline() if process.stdout else ""
            assert line, (folder / "node.log").read_text()[-2000:]
            node = Opened(json.loads(line), process)
            node.wait()
            yield node
        finally:
            process.terminate()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
