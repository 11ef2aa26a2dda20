"""Packaging: one signed ONNX file that holds the net, its scalers, its calibration and its Card.

What is packaged is what was trained: the graph's answers are held against torch's before signing.
"""

from __future__ import annotations

import math
import tempfile
import time
import warnings
from collections.abc import Sequence
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import onnx
import onnxruntime
import torch

from nervure.core.card import CARD_KEY, Card, Metric
from nervure.core.error import ModelError
from nervure.core.instant import iso, to_ns
from nervure.core.window import Window
from nervure.learn.task import ForecastTask, Samples, samples, windows
from nervure.learn.train import Trained, predict
from nervure.trust.signature import SigningKey, sign

__all__ = ["package", "to_onnx"]

_OPSET = 17
_AGREE = 1e-4  # the graph and torch may differ by this share of the largest answer
_RUNS, _LEAST_RUNS, _TIMED_S = 200, 5, 1.0
_PROBE = 10  # windows, or whole rounds, that answers are compared on


def package(
    trained: Trained,
    task: ForecastTask,
    metrics: Sequence[Metric] = (),
    *,
    key: SigningKey,
    limits: dict[str, Any] | None = None,
    notes: str = "",
    now_ns: int | None = None,
) -> bytes:
    """Return the model file: ONNX, with the Card in its metadata and a signature as its tail.

    ``limits`` are the alarm limits by anomaly problem. Raises ``ModelError`` if the graph does not
    answer as torch does, also where readings are missing. ``infer_ms`` of the card is one forecast
    of all nodes.
    """
    task = trained.task
    if task.blind:
        raise ModelError(
            f"{trained.model} was trained without the past of what it foresees, which a live stream has",
            hint="pose the task with its past, and train again",
        )
    graph = to_onnx(trained.module, task)
    session = _session(graph)
    _check(session, trained, _probe(task))
    infer_ms = _timed(session, _round(task))
    card = _card(
        trained, task, tuple(metrics), graph, now_ns if now_ns is not None else to_ns(datetime.now(UTC))
    )
    card = msgspec.structs.replace(card, infer_ms=infer_ms, limits=limits or {}, notes=notes)
    model = onnx.load_from_string(graph)
    onnx.helper.set_model_props(model, {CARD_KEY: msgspec.json.encode(card).decode()})
    return sign(model.SerializeToString(deterministic=True), key)


def to_onnx(module: torch.nn.Module, task: ForecastTask) -> bytes:
    """Write the module as an ONNX graph whose batch is free (a joint one's are whole rounds).

    The tracing exporter is used: its graph is as fast as the newer exporter's, and it takes 1 s
    where that takes 10 s or more.
    """
    each = task.nodes if task.joint else 1
    window = windows(task, samples(task, "validation").take(slice(0, 2 * each)))
    inputs = {"x": window.x, "node": window.node, "calendar": window.calendar}
    if window.ahead is not None:
        inputs["future"] = window.ahead
    plain = module.to("cpu").eval()
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # shapes that are fixed by the card are traced as constants
        file = Path(folder) / "model.onnx"
        torch.onnx.export(
            plain,
            tuple(torch.tensor(one) for one in inputs.values()),
            file,
            dynamo=False,
            input_names=list(inputs),
            output_names=["y"],
            dynamic_axes={name: {0: "batch"} for name in [*inputs, "y"]},
            opset_version=_OPSET,
        )
        return file.read_bytes()


def _probe(task: ForecastTask) -> Window:
    """Return windows to compare answers on: real ones, one with gaps, one without any reading.

    Of a joint task they are rounds, in each of which some nodes are so.
    """
    chosen = samples(task, "validation")
    each = task.nodes if task.joint else 1
    some = np.unique(np.linspace(0, len(chosen) // each - 1, _PROBE).astype(np.int64))
    window = windows(task, chosen.take((some[:, None] * each + np.arange(each)).ravel()))
    x = window.x.copy()
    x[-1] = np.nan
    x[-2 * each :: each, ::3] = np.nan
    ahead = None if window.ahead is None else window.ahead.copy()
    if ahead is not None:
        ahead[0] = np.nan
        ahead[-1, ::2] = np.nan
    return msgspec.structs.replace(window, x=x, ahead=ahead)


def _round(task: ForecastTask) -> Window:
    """Return a real window of every node, all of one time."""
    last = samples(task, "validation").last[-1:]
    node = np.arange(task.nodes, dtype=np.int64)
    return windows(task, Samples(last=np.repeat(last, task.nodes), node=node))


def _session(graph: bytes) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])


def _feeds(window: Window) -> dict[str, Any]:
    feeds: dict[str, Any] = {"x": window.x, "node": window.node, "calendar": window.calendar}
    if window.ahead is not None:
        feeds["future"] = window.ahead
    return feeds


def _check(session: onnxruntime.InferenceSession, trained: Trained, probe: Window) -> None:
    """Hold the graph against torch."""
    y = session.run(["y"], _feeds(probe))[0]
    expected = predict(trained.module, probe)
    apart = float(np.abs(y - expected).max() / (1e-9 + np.abs(expected).max()))
    if not np.isfinite(y).all() or apart > _AGREE:
        raise ModelError(
            f"the ONNX graph of {trained.model} answers {apart:.1e} away from torch",
            hint="a model's forward may use only operations that ONNX knows, and no shape that varies",
        )


def _timed(session: onnxruntime.InferenceSession, window: Window) -> float:
    """Return the milliseconds of a run on one thread: the median of as many as fit into a second."""
    feeds = _feeds(window)
    session.run(["y"], feeds)
    times: list[float] = []
    until = time.perf_counter() + _TIMED_S
    while len(times) < _RUNS and (len(times) < _LEAST_RUNS or time.perf_counter() < until):
        begin = time.perf_counter()
        session.run(["y"], feeds)
        times.append(time.perf_counter() - begin)
    return round(float(np.median(times)) * 1e3, 4)


def _card(
    trained: Trained, task: ForecastTask, metrics: tuple[Metric, ...], graph: bytes, now_ns: int
) -> Card:
    created = iso(now_ns // 1_000_000_000 * 1_000_000_000)
    made = sha256(graph + created.encode()).hexdigest()  # trained again to the bit, it is another package
    shown = np.concatenate([task.split.train, task.split.validation])
    inputs = {one.signal: one for one in reversed(task.inputs) if not one.back and not one.neighbour}
    return Card(
        name=f"{task.solution}-{task.problem.name}",
        version=f"{created[:10].replace('-', '')}-{made[:12]}",
        solution=task.solution,
        problem=task.problem,
        model=trained.model,
        created=created,
        streams=task.names,
        channels=task.inputs,
        neighbours=tuple(tuple(row) for row in task.neighbours.tolist()) if task.neighbours.size else (),
        joint=task.joint,
        future=tuple(inputs[name] for name in task.problem.future),
        every_ns=task.table.every_ns,
        window=task.window,
        horizon=task.horizon,
        quantiles=task.quantiles,
        zone=task.zone,
        unit=task.unit,
        span=_span(task, int(shown.min()), int(shown.max())),
        parameters=trained.parameters,
        train_cpu_s=round(trained.cpu_s, 1),
        metrics=tuple(one for one in metrics if math.isfinite(one.value)),  # JSON has no word for NaN
        spread=tuple(trained.spread),
    )


def _span(task: ForecastTask, first: int, last: int) -> tuple[str, str]:
    """Return when the readings start and end that training and calibration were shown."""
    start = (task.table.first + first) * task.table.every_ns
    return iso(start), iso((task.table.first + last + 1) * task.table.every_ns)
