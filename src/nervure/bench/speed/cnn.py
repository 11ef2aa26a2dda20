"""A small 1-D CNN that foresees the next reading of many streams: what is scored where speed is measured.

Its weights are drawn, not learnt: how fast a graph runs does not depend on what it knows.
"""

from __future__ import annotations

import msgspec
import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from nervure.core.card import CARD_KEY, Card, Channel
from nervure.core.instant import HOUR_NS
from nervure.core.problem import Forecast
from nervure.core.residual import Limit, Options
from nervure.trust.signature import SigningKey, sign

__all__ = ["CHANNELS", "WINDOW", "graph", "package"]

WINDOW = 64
CHANNELS = 16
_WIDTH = 5
_SIGNAL = "inflow"
_NAME, _VERSION = "speed-cnn", "1"


def package(
    names: tuple[str, ...], key: SigningKey, every_ns: int = HOUR_NS, *, channels: int = CHANNELS
) -> tuple[bytes, Card]:
    """Return a signed model of the streams of those names, with a reading ``every_ns``, and its card.

    It comes with an anomaly limit, so that every reading is judged by the forecast before it.
    """
    card = Card(
        name=_NAME,
        version=_VERSION,
        solution="water",
        problem=Forecast(of=_SIGNAL, horizon="1h", window=f"{WINDOW}h"),
        model="cnn",
        created="2026-01-01T00:00:00Z",
        streams=names,
        channels=(Channel(signal=_SIGNAL),),
        every_ns=every_ns,
        window=WINDOW,
        horizon=1,
        quantiles=(0.1, 0.5, 0.9),
        limits={f"anomaly-{_SIGNAL}": msgspec.to_builtins(_limit(names))},
    )
    model = graph(channels)
    onnx.helper.set_model_props(model, {CARD_KEY: msgspec.json.encode(card).decode()})
    return sign(model.SerializeToString(deterministic=True), key), card


def _limit(names: tuple[str, ...]) -> Limit:
    """Return a limit that no reading here comes to: alarms are not what is measured."""
    count = len(names)
    return Limit(
        problem=f"anomaly-{_SIGNAL}",
        streams=names,
        options=Options(leads=(1,), side="both"),
        limit=1e9,
        cap=2e9,
        floor=(1.0,) * count,
        centre=(0.0,) * count,
        spread=(1.0,) * count,
        grid=(0.0, 1.0),
        promised=1.0,
        counted=1.0,
        days=1.0,
    )


def graph(channels: int = CHANNELS) -> onnx.ModelProto:
    """Return the graph: ``x [batch, time, 1]`` to ``y [batch, 1, 3]``; a gap counts as 0."""
    nodes = [
        helper.make_node("IsNaN", ["x"], ["gap"]),
        helper.make_node("Where", ["gap", "zero", "x"], ["filled"]),
        helper.make_node("Transpose", ["filled"], ["c0"], perm=[0, 2, 1]),
        helper.make_node("Conv", ["c0", "w1", "b1"], ["c1"], kernel_shape=[_WIDTH], pads=[2, 2]),
        helper.make_node("Relu", ["c1"], ["r1"]),
        helper.make_node("Conv", ["r1", "w2", "b2"], ["c2"], kernel_shape=[_WIDTH], strides=[2], pads=[2, 2]),
        helper.make_node("Relu", ["c2"], ["r2"]),
        helper.make_node("GlobalAveragePool", ["r2"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["flat"]),
        helper.make_node("Gemm", ["flat", "w3", "b3"], ["median"]),
        helper.make_node("Add", ["median", "around"], ["band"]),
        helper.make_node("Reshape", ["band", "shape"], ["y"]),
    ]
    return helper.make_model(
        helper.make_graph(
            nodes,
            "speed",
            [
                helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", WINDOW, 1]),
                helper.make_tensor_value_info("node", TensorProto.INT64, ["batch"]),
                helper.make_tensor_value_info("calendar", TensorProto.INT64, ["batch", WINDOW + 1, 5]),
            ],
            [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 1, 3])],
            [numpy_helper.from_array(value, name) for name, value in _weights(channels).items()],
        ),
        opset_imports=[helper.make_opsetid("", 17)],
        ir_version=8,
    )


def _weights(channels: int) -> dict[str, NDArray[np.generic]]:
    random = np.random.default_rng(0)
    return {
        "zero": np.zeros((), np.float32),
        "w1": (random.normal(size=(channels, 1, _WIDTH)) / 3).astype(np.float32),
        "b1": np.zeros(channels, np.float32),
        "w2": (random.normal(size=(channels, channels, _WIDTH)) / 9).astype(np.float32),
        "b2": np.zeros(channels, np.float32),
        "w3": (random.normal(size=(channels, 1)) / 4).astype(np.float32),
        "b3": np.zeros(1, np.float32),
        "around": np.array([[-1.0, 0.0, 1.0]], np.float32),
        "shape": np.array([-1, 1, 3], np.int64),
    }
