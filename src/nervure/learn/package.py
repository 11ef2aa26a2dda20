"""Packaging: one signed ONNX file that holds the net, its scalers, its calibration and its Card.

What is packaged is what was trained: the graph's answers are held against torch's before signing.
"""

from __future__ import annotations

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
from nervure.learn.task import ForecastTask, samples, windows
from nervure.learn.train import Trained, predict
from nervure.trust.signature import SigningKey, sign

__all__ = ["package", "to_onnx"]

_OPSET = 17
_AGREE = 1e-4  # the graph and torch may differ by this share of the largest answer
_PROBE = 10  # windows a run is timed with


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
    answer as torch does, also where readings are missing.
    """
    graph = to_onnx(trained.module, task)
    probe = _probe(task)
    infer_ms = _check(graph, trained, probe)
    card = _card(
        trained, task, tuple(metrics), graph, now_ns if now_ns is not None else to_ns(datetime.now(UTC))
    )
    card = msgspec.structs.replace(card, infer_ms=infer_ms, limits=limits or {}, notes=notes)
    model = onnx.load_from_string(graph)
    onnx.helper.set_model_props(model, {CARD_KEY: msgspec.json.encode(card).decode()})
    return sign(model.SerializeToString(deterministic=True), key)


def to_onnx(module: torch.nn.Module, task: ForecastTask) -> bytes:
    """Write the module as an ONNX graph whose batch is free.

    The tracing exporter is used: its graph is as fast as the newer exporter's, and it takes 1 s
    where that takes 10 s or more.
    """
    window = windows(task, samples(task, "validation").take(slice(0, 2)))
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
    """Return windows to compare answers on: real ones, one with gaps, one without any reading."""
    chosen = samples(task, "validation")
    chosen = chosen.take(np.linspace(0, len(chosen) - 1, _PROBE).astype(np.int64))
    window = windows(task, chosen)
    x = window.x.copy()
    x[-1] = np.nan
    x[-2, ::3] = np.nan
    return msgspec.structs.replace(window, x=x)


def _check(graph: bytes, trained: Trained, probe: Window) -> float:
    """Hold the graph against torch; returns the milliseconds of a run over the probe on one thread."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    feeds = {"x": probe.x, "node": probe.node, "calendar": probe.calendar}
    if probe.ahead is not None:
        feeds["future"] = probe.ahead
    y = session.run(["y"], feeds)[0]
    expected = predict(trained.module, probe)
    apart = float(np.abs(y - expected).max() / (1e-9 + np.abs(expected).max()))
    if not np.isfinite(y).all() or apart > _AGREE:
        raise ModelError(
            f"the ONNX graph of {trained.model} answers {apart:.1e} away from torch",
            hint="a model's forward may use only operations that ONNX knows, and no shape that varies",
        )
    times = []
    for _ in range(200):
        begin = time.perf_counter()
        session.run(["y"], feeds)
        times.append(time.perf_counter() - begin)
    return round(float(np.median(times)) * 1e3, 4)


def _card(
    trained: Trained, task: ForecastTask, metrics: tuple[Metric, ...], graph: bytes, now_ns: int
) -> Card:
    created = iso(now_ns // 1_000_000_000 * 1_000_000_000)
    shown = np.concatenate([task.split.train, task.split.validation])
    inputs = {channel.signal: channel for channel in task.inputs}
    return Card(
        name=f"{task.solution}-{task.problem.name}",
        version=f"{created[:10].replace('-', '')}-{sha256(graph).hexdigest()[:12]}",
        solution=task.solution,
        problem=task.problem,
        model=trained.model,
        created=created,
        streams=task.names,
        channels=task.inputs,
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
        metrics=metrics,
        spread=tuple(trained.spread),
    )


def _span(task: ForecastTask, first: int, last: int) -> tuple[str, str]:
    """Return when the readings start and end that training and calibration were shown."""
    start = (task.table.first + first) * task.table.every_ns
    return iso(start), iso((task.table.first + last + 1) * task.table.every_ns)
