"""``nervure bench stream``: messages per CPU-second through decode, window, store and score, beside peers.

Each turn sends the same burst over one broker to the node and, at the same time, to one bare
subscriber, which decodes JSON and counts; subscribers take turns. The bounds beside them are what
the node's own two libraries take for the least of it: decoding the payloads, and running the graph.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from nervure.bench.speed.field import Field, field, mosquitto, pack, reading
from nervure.bench.speed.load import Burst, Sent, send
from nervure.bench.speed.machine import cpu_s
from nervure.bench.speed.row import Row, Turns
from nervure.bench.speed.run import Tell, silent
from nervure.bench.speed.subscriber import SUBSCRIBERS
from nervure.core.error import EnvironmentMissing, StreamError
from nervure.core.settings import Broker
from nervure.sense.decode import PACK, READING

__all__ = ["CASES", "Case", "measure"]

NODE = "nervure"
RATE = "messages per CPU-s"
SCORED = "CNN at every message"
POINTS = "points per CPU-s"


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """What is sent and what the node does with it.

    ``share`` is how many messages there are of those that were asked for; ``size`` readings a message.
    """

    name: str
    streams: int = 1_000
    share: float = 1.0
    size: int = 1
    model: bool = False
    told: bool = False
    foreign: bool = False


CASES = (
    Case(name="no model"),
    Case(name=SCORED, model=True),
    Case(name="CNN at every message, forecasts published and stored", model=True, told=True, share=0.2),
    Case(name="packs of 100", size=100, share=0.1),
    Case(name="no model, 10,000 sensors", streams=10_000),
    Case(name="CNN at every message, 10,000 sensors", streams=10_000, model=True),
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
    case = plan.case
    if not case.foreign:
        async with field(folder, case.streams, model=case.model, told=case.told) as run:
            await _turns(run, plan, run.broker_s)
        return
    async with mosquitto(folder / "mosquitto") as (port, pid):
        brokers = (Broker(name="field", host="127.0.0.1", port=port),)
        async with field(folder, case.streams, brokers=brokers) as run:
            foreign = msgspec.structs.replace(run, port=port)
            await _turns(foreign, plan, lambda: cpu_s((pid,)))


async def _turns(run: Field, plan: _Plan, broker_s: Callable[[], float]) -> None:
    """In each turn, send a burst for each peer; what comes before is not counted: windows fill."""
    case, found, messages, turns = plan.case, plan.found, plan.messages, plan.turns
    each, start = plan.peers or [""], max(messages // 4, case.streams * (66 if case.model else 1))
    await asyncio.to_thread(send, "127.0.0.1", run.port, _made(run, case, 0, start))
    await run.drained()
    for turn in range(turns):
        broker, spent, sent = broker_s(), 0.0, 0.0
        for place, name in enumerate(each):
            before = cpu_s(run.pids)
            sender, theirs = await _both(run, case, start, messages, name)
            await run.drained()
            spent += cpu_s(run.pids) - before
            sent += sender.cpu_s
            start += messages
            if theirs is not None:
                found.add(case.name, _bare(name), RATE, theirs)
            plan.tell((turn * len(each) + place + 1) / (turns * len(each)))
        count = messages * len(each)
        found.add(case.name, NODE, RATE, count / spent)
        if case.size > 1:
            found.add(case.name, NODE, POINTS, count * case.size / spent)
        found.add(case.name, "broker, all sides", "messages per CPU-s", count / (broker_s() - broker))
        found.add(case.name, "load generator", "share of the node's CPU", sent / spent)
    status = await run.node.status()
    found.add(case.name, NODE, "memory MB", status["memory_mb"])
    _require(case, status, start)


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


async def _both(run: Field, case: Case, start: int, count: int, peer: str) -> tuple[Sent, float | None]:
    """Send a burst to the node and to a bare subscriber; return the sender's and the subscriber's figures."""
    burst = _made(run, case, start, count)
    if not peer:
        return await asyncio.to_thread(send, "127.0.0.1", run.port, burst), None
    words = [sys.executable, "-m", "nervure.bench.speed.subscriber", peer, str(run.port), str(count)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        out = process.stdout
        if out is None or (await asyncio.to_thread(out.readline)).strip() != "ready":
            raise EnvironmentMissing(f"the {peer} subscriber did not start")
        sent = await asyncio.to_thread(send, "127.0.0.1", run.port, burst)
        told = msgspec.json.decode(await asyncio.to_thread(out.readline))
    return sent, told["count"] / told["cpu_s"]


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
