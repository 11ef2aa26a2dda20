"""``nervure bench stream``: messages per CPU-second through decode, window, store and score, beside peers.

Each turn sends the same burst to the node, and then to each bare subscriber, which decodes JSON and
counts, at a broker of the same kind with nothing behind it. The bounds beside them are what the node's
own two libraries take for the least of it: decoding the payloads, and running the graph.
"""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterable
from importlib.util import find_spec
from pathlib import Path
from typing import IO, Any

import msgspec
import numpy as np

from nervure.bench.speed.field import Field, bare_nats, field, mosquitto, pack, reading
from nervure.bench.speed.load import Burst, send
from nervure.bench.speed.machine import cpu_s
from nervure.bench.speed.row import Row, Turns
from nervure.bench.speed.run import Tell, silent
from nervure.bench.speed.subscriber import SUBSCRIBERS
from nervure.core.error import EnvironmentMissing, StreamError
from nervure.core.settings import Broker
from nervure.sense.decode import PACK, READING
from nervure.stream.child import tied

__all__ = ["CASES", "Case", "measure"]

NODE = "nervure"
RATE = "messages per CPU-s"
SCORED = "CNN at every message"
POINTS = "points per CPU-s"


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """What is sent and what the node does with it.

    ``share`` is how many messages there are of those that were asked for; ``size`` readings a message.
    Where all is ``followed``, the node tells an MQTT client of every Observation, as the standard has it.
    """

    name: str
    streams: int = 1_000
    share: float = 1.0
    size: int = 1
    model: bool = False
    told: bool = False
    foreign: bool = False
    followed: bool = False


CASES = (
    Case(name="no model"),
    Case(name=SCORED, model=True),
    Case(name="CNN at every message, forecasts published and stored", model=True, told=True, share=0.2),
    Case(name="packs of 100", size=100, share=0.3),  # fewer take less time than the wait for the last seal
    Case(name="no model, 10,000 sensors", streams=10_000),
    Case(name="CNN at every message, 10,000 sensors", streams=10_000, model=True),
    Case(name="no model, followed by an MQTT client", followed=True, share=0.3),
    Case(name="no model, over Mosquitto", foreign=True, share=0.5),
)


def measure(
    *,
    messages: int,
    turns: int = 3,
    cases: Iterable[Case] = CASES,
    peers: Iterable[str] = tuple(SUBSCRIBERS),
    progress: Tell = silent,
) -> list[Row]:
    """Send so many messages a turn in each case and return the figures of all sides."""
    found = Turns("stream")
    chosen, here = list(cases), [one for one in peers if find_spec(one)]
    for place, case in enumerate(chosen):
        tell = _part(progress, place / len(chosen), 1 / len(chosen), case.name)
        count = round(messages * case.share)
        plan = _Plan(case=case, messages=count, turns=turns, peers=here, found=found, tell=tell)
        with tempfile.TemporaryDirectory(prefix="nervure-bench-") as folder:
            asyncio.run(_case(Path(folder), plan))
        _bounds(case, found, turns)
    _additive(found)
    return found.rows({NODE: [*(_bare(one) for one in here), "decode alone", "ONNX Runtime alone"]})


class _Plan(msgspec.Struct, frozen=True, kw_only=True):
    """How a case is run: messages a burst, turns, which peers, where figures go, who is told."""

    case: Case
    messages: int
    turns: int
    peers: list[str]
    found: Turns
    tell: Callable[[float], None]


def _part(progress: Tell, begin: float, share: float, name: str) -> Callable[[float], None]:
    return lambda done: progress(begin + share * done, name)


def _bare(name: str) -> str:
    return f"bare {name}"


async def _case(folder: Path, plan: _Plan) -> None:
    """Run a node and a broker of its kind with nothing behind it, where the bare subscribers listen."""
    case = plan.case
    broker = mosquitto if case.foreign else bare_nats
    async with broker(folder / "bare") as (bare, _), contextlib.AsyncExitStack() as stack:
        port, pid = (await stack.enter_async_context(mosquitto(folder / "field"))) if case.foreign else (0, 0)
        brokers = (Broker(name="field", host="127.0.0.1", port=port),) if case.foreign else ()
        run = await stack.enter_async_context(
            field(folder, case.streams, model=case.model, told=case.told, brokers=brokers)
        )
        if not case.foreign:
            await _turns(run, plan, bare, run.broker_s)
            return
        await _turns(msgspec.structs.replace(run, port=port), plan, bare, lambda: cpu_s((pid,)))


async def _turns(run: Field, plan: _Plan, bare: int, broker_s: Callable[[], float]) -> None:
    """In each turn, a burst for the node and one for each peer; what comes before is not counted."""
    case, found, messages, turns = plan.case, plan.found, plan.messages, plan.turns
    start = max(messages // 4, case.streams * (66 if case.model else 1))
    await asyncio.to_thread(send, "127.0.0.1", run.port, _made(run, case, 0, start))
    await run.drained()
    async with _follower(run, case):
        for turn in range(turns):
            before, broker, began = cpu_s(run.pids), broker_s(), time.monotonic()
            sent = await asyncio.to_thread(send, "127.0.0.1", run.port, _made(run, case, start, messages))
            await run.drained()
            spent = cpu_s(run.pids) - before
            found.add(case.name, NODE, RATE, messages / spent)
            if case.size > 1:
                found.add(case.name, NODE, POINTS, messages * case.size / spent)
            found.add(
                case.name, NODE, "messages/s until all are sealed", messages / (time.monotonic() - began)
            )
            found.add(case.name, "broker", RATE, messages / (broker_s() - broker))
            found.add(case.name, "load generator", "share of the node's CPU", sent.cpu_s / spent)
            burst = _made(run, case, start, messages)
            for name in plan.peers:
                found.add(case.name, _bare(name), RATE, await _listened(bare, name, burst))
            start += messages
            plan.tell((turn + 1) / turns)
    status = await run.node.status()
    found.add(case.name, NODE, "memory MB", status["memory_mb"])
    _require(case, status, start)


@contextlib.asynccontextmanager
async def _follower(run: Field, case: Case) -> AsyncIterator[None]:
    """Where a case wants it, follow all Observations by MQTT meanwhile."""
    if not case.followed:
        yield
        return
    words = tied(sys.executable, "-m", "nervure.bench.speed.subscriber", "paho", str(run.port), str(1 << 40))
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        try:
            await asyncio.to_thread(_ready, process, "paho")
            yield
        finally:
            process.terminate()


def _require(case: Case, status: dict[str, Any], sent: int) -> None:
    """Every reading must be in: else the figures are those of something else."""
    wanted = sent * case.size
    forecasts = status["stored"] - wanted if case.told else 0
    if status["readings"] - forecasts != wanted or status["rejected"]:
        raise StreamError(
            f"{case.name}: {sent:,} messages were sent, {status['readings']:,} readings taken,"
            f" {status['stored']:,} stored, {status['rejected']} rejected"
        )


def _made(run: Field, case: Case, start: int, count: int) -> Burst:
    some = range(start, start + count)
    if case.size > 1:
        return Burst([pack(run.ids, one, case.size) for one in some])
    return Burst([reading(run.ids, one) for one in some])


async def _listened(port: int, peer: str, burst: Burst) -> float:
    """Return how many messages a CPU-second a bare subscriber takes."""
    words = tied(sys.executable, "-m", "nervure.bench.speed.subscriber", peer, str(port), str(burst.count))
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        out = await asyncio.to_thread(_ready, process, peer)
        await asyncio.to_thread(send, "127.0.0.1", port, burst)
        told = msgspec.json.decode(await asyncio.to_thread(out.readline))
    return float(told["count"] / told["cpu_s"])


def _ready(process: subprocess.Popen[str], peer: str) -> IO[str]:
    """Wait until a subscriber says that it listens, and return its output."""
    out = process.stdout
    if out is None or out.readline().strip() != "ready":
        raise EnvironmentMissing(f"the {peer} subscriber did not start")
    return out


def _bounds(case: Case, found: Turns, turns: int) -> None:
    """Measure what two libraries take for the least of it: reading JSON, and running the graph."""
    ids = list(range(case.streams))
    some = [(pack(ids, one, case.size) if case.size > 1 else reading(ids, one))[1] for one in range(20_000)]
    decode = (PACK if case.size > 1 else READING).decode
    for _ in range(turns):
        began = time.process_time()
        for payload in some:
            decode(payload)
        found.add(case.name, "decode alone", RATE, len(some) / (time.process_time() - began))
        if case.model:
            found.add(case.name, "ONNX Runtime alone", RATE, _graph_rate())


def _additive(found: Turns) -> None:
    """Say how near the scored stream comes to what storing alone and the graph alone take together."""
    plain, graph = found.median("no model", NODE, RATE), found.median(SCORED, "ONNX Runtime alone", RATE)
    scored = found.median(SCORED, NODE, RATE)
    if plain and graph and scored:
        found.add(SCORED, NODE, "share of the additive bound", scored * (1 / plain + 1 / graph))


def _graph_rate(batch: int = 64, runs: int = 300) -> float:
    """Return how many windows a CPU-second the graph takes by itself, in the node's batches."""
    import onnxruntime

    from nervure.bench.speed.cnn import WINDOW, graph

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(graph().SerializeToString(), options, ["CPUExecutionProvider"])
    x = np.random.default_rng(0).normal(size=(batch, WINDOW, 1)).astype(np.float32)
    feeds = {
        "x": x,
        "node": np.zeros(batch, np.int64),
        "calendar": np.zeros((batch, WINDOW + 1, 5), np.int64),
    }
    session.run(["y"], feeds)
    began = time.process_time()
    for _ in range(runs):
        session.run(["y"], feeds)
    return batch * runs / (time.process_time() - began)
