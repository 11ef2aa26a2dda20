"""``nervure bench http``: requests per CPU-second of the server, beside FastAPI, pydantic and SQLite.

One run: the same requests, encoded beforehand, go over kept connections to the node (``nervure up``
with its log server) and to the peer, in turns. Each side is judged by the CPU seconds of its own
processes. What is posted is durable on both sides when it is answered: the death of a process loses
nothing; and a node answers with what was posted before it says so.
"""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Sequence
from functools import partial
from pathlib import Path

import httpx
import msgspec
import numpy as np

from nervure.bench.process import NodeProcess, free_ports, free_settings
from nervure.bench.speed.machine import cpu_s
from nervure.bench.speed.row import Row, Turns
from nervure.bench.speed.run import Tell, silent
from nervure.bench.speed.web_load import Answered, request, send
from nervure.core.error import EnvironmentMissing
from nervure.core.instant import SECOND_NS, iso
from nervure.core.observation import Batch, observation_id
from nervure.core.settings import Limits
from nervure.store.observations import Observations
from nervure.stream.child import tied

__all__ = ["fill", "measure"]

BEGIN_NS = 1_672_531_200_000_000_000
OURS, PEER = "node and log server", "FastAPI + pydantic + SQLite"
CONNECTIONS = 16
TURNS = 3
_PART = 1_000_000
_OLD = 9_000_000  # seconds before the beginning from which the rows in store are


class _Side(msgspec.Struct, frozen=True, kw_only=True):
    """A server: its port, its processes, and the Datastream that is written to."""

    name: str
    port: int
    pids: tuple[int, ...]
    stream: int


class _Case(msgspec.Struct, frozen=True, kw_only=True):
    """Requests of one kind, each worth ``worth`` of the ``unit``; ``make`` writes some from a number on."""

    name: str
    unit: str
    count: int
    worth: int
    expected: int
    make: Callable[[_Side, int, int], list[bytes]]


def measure(*, requests: int, rows: int = 0, progress: Tell = silent) -> list[Row]:
    """Send so many single requests (and fewer of the larger ones) and return the figures of both sides.

    With ``rows`` so many Observations lie in the node's store beforehand, and counting and paging
    through all of them is measured too.
    """
    with tempfile.TemporaryDirectory(prefix="nervure-bench-") as folder:
        return asyncio.run(_run(Path(folder), requests, rows, progress))


async def _run(folder: Path, requests: int, rows: int, progress: Tell) -> list[Row]:
    if rows:
        progress(0.0, f"writing {rows:,} Observations")
        await asyncio.to_thread(fill, folder / "observations", rows)
    most = Limits(per_device_s=1e6)  # one Datastream gets all that a few connections can send
    node = NodeProcess(free_settings(folder, limits=most))
    await node.start()
    try:
        async with _peer(folder / "peer.db") as peer:
            ours = await _made(node)
            found = await _turns(_cases(requests), (ours, peer), progress)
        return found + (await _large(ours, rows) if rows else [])
    finally:
        await node.stop()


def _cases(requests: int) -> list[_Case]:
    return [
        _Case(name="single POST", unit="POST", count=requests, worth=1, expected=201, make=_singles),
        *(
            _Case(
                name=f"dataArray of {size:,}",
                unit="observations",
                count=max(8, 20 * requests // size),
                worth=size,
                expected=201,
                make=partial(_arrays, size),
            )
            for size in (100, 1_000)
        ),
        _Case(
            name="GET last value", unit="GET", count=max(8, requests // 2), worth=1, expected=200, make=_last
        ),
        _Case(
            name="GET 1,000 observations",
            unit="GET",
            count=max(8, requests // 10),
            worth=1,
            expected=200,
            make=_thousand,
        ),
    ]


async def _turns(cases: Sequence[_Case], sides: Sequence[_Side], progress: Tell) -> list[Row]:
    """Measure every case on both sides in turns; medians count."""
    found = Turns("http")
    number = 0
    for place, case in enumerate(cases):
        progress(0.1 + 0.8 * place / len(cases), case.name)
        for _ in range(TURNS):
            for side in sides:
                count = max(1, case.count // TURNS)
                wanted = case.make(side, number, count)
                before = cpu_s(side.pids)
                answered = await send(side.port, wanted, connections=CONNECTIONS, expected=case.expected)
                spent = max(0.01, cpu_s(side.pids) - before)  # the kernel counts hundredths
                found.add(case.name, side.name, f"{case.unit} per server CPU-s", case.worth * count / spent)
                found.add(case.name, side.name, f"{case.unit}/s", case.worth * count / answered.wall_s)
                found.add(case.name, side.name, "ms a request", answered.median_ms)
                number += case.worth * count if side is sides[-1] else 0
    return found.rows({OURS: [PEER]})


async def _large(side: _Side, rows: int) -> list[Row]:
    """Count and page through all Observations, one request after the other."""
    found = Turns("http")
    for name, query in (("$count", "$count=true&$top=0"), ("$top=100", "$top=100")):
        wanted = [request("GET", f"/v1.1/Observations?{query}")] * 30
        answered: Answered = await send(side.port, wanted, connections=1, expected=200)
        case = f"{name} on {rows:,} observations"
        for one in answered.each_ms:
            found.add(case, side.name, "ms a request", one)
    return found.rows()


# --- requests -------------------------------------------------------------------------------------


def _moment(number: int) -> str:
    return iso(BEGIN_NS + number * SECOND_NS)


def _singles(side: _Side, start: int, count: int) -> list[bytes]:
    path = f"/v1.1/Datastreams({side.stream})/Observations"
    bodies = (
        b'{"result":%d.5,"phenomenonTime":"%b"}' % (one % 50, _moment(one).encode())
        for one in range(start, start + count)
    )
    return [request("POST", path, body) for body in bodies]


def _arrays(size: int, side: _Side, start: int, count: int) -> list[bytes]:
    found = []
    for first in range(start, start + count * size, size):
        group = {
            "Datastream": {"@iot.id": side.stream},
            "components": ["phenomenonTime", "result"],
            "dataArray@iot.count": size,
            "dataArray": [[_moment(one), one % 50 + 0.5] for one in range(first, first + size)],
        }
        found.append(request("POST", "/v1.1/CreateObservations", msgspec.json.encode([group])))
    return found


def _last(side: _Side, _start: int, count: int) -> list[bytes]:
    return [request("GET", _newest(side, 1))] * count


def _thousand(side: _Side, _start: int, count: int) -> list[bytes]:
    return [request("GET", _newest(side, 1_000))] * count


def _newest(side: _Side, rows: int) -> str:
    """Return the address of the newest rows: the peer knows no other order."""
    return f"/v1.1/Datastreams({side.stream})/Observations?$orderby=phenomenonTime%20desc&$top={rows}"


# --- servers --------------------------------------------------------------------------------------


async def _made(node: NodeProcess) -> _Side:
    """Make a Thing with one Datastream; return the node's side."""
    point = {"type": "Point", "coordinates": [8.0, 47.0]}
    place = {"name": "a", "description": "", "encodingType": "application/geo+json", "location": point}
    stream = {
        "name": "a",
        "description": "",
        "observationType": "http://www.opengis.net/def/observationType/OGC-OM/2.0/OM_Measurement",
        "unitOfMeasurement": {"name": "degree Celsius", "symbol": "Cel", "definition": "ucum:Cel"},
        "Sensor": {"name": "a", "description": "", "encodingType": "text/html", "metadata": "a"},
        "ObservedProperty": {"name": "a", "description": "", "definition": "a"},
    }
    thing = {"name": "a", "description": "", "Locations": [place], "Datastreams": [stream]}
    async with httpx.AsyncClient(base_url=node.url, timeout=30.0) as client:
        made = (await client.post("/v1.1/Things", json=thing)).raise_for_status()
        found = (await client.get(f"{made.headers['location']}/Datastreams")).raise_for_status().json()
    broker = node.broker_pid()
    pids = (node.pid,) if broker is None else (node.pid, broker)
    return _Side(name=OURS, port=node.settings.http.port, pids=pids, stream=int(found["value"][0]["@iot.id"]))


@contextlib.asynccontextmanager
async def _peer(file: Path) -> AsyncIterator[_Side]:
    """Start the peer as a process of its own."""
    (port,) = free_ports(1)
    command = tied(sys.executable, "-m", "nervure.bench.speed.web_peer", str(port), str(file))
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            await _answering(port, process)
            yield _Side(name=PEER, port=port, pids=(process.pid,), stream=1)
        finally:
            process.terminate()


async def _answering(port: int, process: subprocess.Popen[str]) -> None:
    begun = time.monotonic()
    while process.poll() is None and time.monotonic() - begun < 30:
        with contextlib.suppress(OSError):
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.close()
            return
        await asyncio.sleep(0.05)
    said = process.stderr.read() if process.stderr is not None and process.poll() is not None else ""
    raise EnvironmentMissing(
        f"the peer did not start: {said.strip().rpartition(chr(10))[2]}",
        hint="pip install 'nervure[bench]'",
    )


def fill(folder: Path, rows: int) -> None:
    """Write Observations of a thousand other Datastreams into the store of a node that does not run."""
    store = Observations.open(folder)
    for position, start in enumerate(range(0, rows, _PART), 1):
        number = np.arange(start, min(start + _PART, rows))
        turn = number // 1_000
        batch = Batch.of(
            id=observation_id(position * 100) + (number - start),
            datastream=1_000_000 + number % 1_000,
            time=BEGIN_NS - (_OLD - turn * 60) * SECOND_NS,
            value=np.sin(number) * 20,
        )
        store.append(batch, (position + 1) * 100 - 1)
        store.seal()
    store.compact()
    store.close()
