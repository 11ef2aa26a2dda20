"""One node for all tests of a worker, started as ``nervure up --open`` in its own process."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

from nervure.bench.process import free_ports
from tests.conformance.client import Client
from tests.conformance.sample import Station, station
from tests.patience import until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.postgres import Postgres

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.service)


@pytest.fixture(scope="session")
def client(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """A client of a node in a process of its own.

    With ``CONFORMANCE_CATALOGUE=postgresql`` its catalogue is in PostgreSQL, otherwise in SQLite.
    """
    folder = tmp_path_factory.mktemp("conformance")
    http, nats, mqtt = free_ports(3)
    changes = [f"nats.port={nats}", f"nats.mqtt_port={mqtt}"]
    if os.environ.get("CONFORMANCE_CATALOGUE") == "postgresql":
        postgres: Postgres = request.getfixturevalue("postgres")
        changes.append(f"catalogue.url={postgres.database()}")
    command = [sys.executable, "-m", "nervure.cli", "up", "--open", "--http", f"127.0.0.1:{http}"]
    command += ["--data", str(folder / "data"), *(part for one in changes for part in ("--set", one))]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("NERVURE_")}
    log = folder / "node.log"
    with log.open("wb") as out:
        node = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, cwd=folder, env=environment
        )
    one = Client(f"http://127.0.0.1:{http}/v1.1", mqtt)
    try:
        until(
            lambda: one.send("GET", one.root.replace("/v1.1", "/health")).status_code,
            equals=200, forgive=(httpx.TransportError,), running=node,
        )  # fmt: skip
        yield one
    finally:
        one.close()
        node.terminate()
        try:
            node.wait(30)
        except subprocess.TimeoutExpired:
            node.kill()
            node.wait()


@pytest.fixture(scope="session")
def home(client: Client) -> Station:
    """A station that tests only read."""
    return station(client)
