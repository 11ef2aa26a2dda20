"""The job: a thousand sensors, a window of 64 readings each, a small CNN at every message.

Messages come from 1,000 sensors in turn, an hour later with every turn, as
``{"result":20.13,"phenomenonTime":"2023-01-01T00:00:00Z"}`` with the sensor as their key. Each must be
decoded, its time too; the last 64 values of its sensor are kept; and at every message from a sensor's
64th on, the CNN gives one score of those 64 values, this message's last. Every score is collected under
the number of its message (turn * sensors + sensor) and must equal that of :func:`reference` within
``TOLERANCE``. How an engine moves, keeps and batches its data is its own affair.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
import numpy as np
import onnx
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from nervure.bench.speed.engines.seat import BEGIN_S, EVERY_S, SENSORS, WARM_SENSORS, WARM_TURNS, WINDOW
from nervure.core.card import CARD_KEY, Card, Channel
from nervure.core.error import DataError
from nervure.core.instant import SECOND_NS, iso
from nervure.solutions import find
from nervure.trust.signature import SigningKey, sign

__all__ = ["TOLERANCE", "card", "check", "model", "packaged", "reference", "values", "write"]

Floats = NDArray[np.float64]

TOLERANCE = 1e-4
_MEAN, _SCALE = 20.0, 5.0
_FILTERS, _FIRST, _SECOND = 8, (8, 4), (5, 2)  # two convolutions, width and stride: they see all 64 values
_QUANTILES = (0.1, 0.5, 0.9)  # ours foresees a band; the score is its median, the ends lie one off


def values(turns: int, sensors: int = SENSORS) -> Floats:
    """Return the readings ``[turn, sensor]``: a day's wave and what looks like noise, two digits each."""
    turn, sensor = np.arange(turns)[:, None], np.arange(sensors)[None, :]
    wave = np.sin(2 * np.pi * (turn / 24 + sensor / 97))
    return np.round(_MEAN + _SCALE * wave + ((turn * 7_919 + sensor * 104_729) % 1_009) / 500 - 1.0, 2)


def _weights() -> tuple[Floats, Floats, Floats]:
    """Return the fixed weights: ``[filter, 1, time]``, ``[filter, filter, time]``, ``[filter]``."""
    shapes = ((_FILTERS, 1, _FIRST[0]), (_FILTERS, _FILTERS, _SECOND[0]), (_FILTERS,))
    first, second, last = (np.sin(1.0 + 0.7 * np.arange(np.prod(one))).reshape(one) for one in shapes)
    return first, second, last


def reference(read: Floats) -> Floats:
    """Return the score of every message, ``[turn * sensor]``, NaN before a window is full.

    ``read`` is ``[turn, sensor]``; plain numpy in double precision.
    """
    turns, sensors = read.shape
    found = np.full((turns, sensors), np.nan)
    for turn in range(WINDOW - 1, turns):
        x = (read[turn - WINDOW + 1 : turn + 1].T - _MEAN) / _SCALE
        found[turn] = _score(x)
    return found.ravel()


def _score(x: Floats) -> Floats:
    """Score windows ``[row, time]``."""
    first, second, last = _weights()
    hidden = x[:, None, :]
    for weight, (width, stride) in ((first, _FIRST), (second, _SECOND)):
        seen = sliding_window_view(hidden, width, axis=2)[:, :, ::stride]  # [row, channel, step, time]
        hidden = np.maximum(np.einsum("rcst,fct->rfs", seen, weight, optimize=True), 0.0)
    score: Floats = hidden.mean(axis=2) @ last
    return score


# --- the model ------------------------------------------------------------------------------------


def model() -> bytes:
    """Return the CNN as ONNX: ``x [batch, 64, 1]`` in float32 to ``y [batch, 1]``."""
    made = _onnx(_nodes("y"), [_tensor("x", "batch", WINDOW, 1)], _tensor("y", "batch", 1))
    onnx.checker.check_model(made)
    return bytes(made.SerializeToString())


def packaged(key: SigningKey, sensors: int = SENSORS) -> bytes:
    """Return the same CNN as a package of ours: it also takes ``node`` and ``calendar``, and ignores them."""
    whole = (
        ("node", ("batch",), TensorProto.INT64),
        ("calendar", ("batch", WINDOW + 1, 5), TensorProto.INT64),
    )
    inputs = [helper.make_tensor_value_info(name, kind, shape) for name, shape, kind in whole]
    nodes = [
        *_nodes("score"),
        helper.make_node("Unsqueeze", ["score", "axis"], ["flat"]),
        helper.make_node("Add", ["flat", "band"], ["y"]),
    ]
    made = _onnx(
        nodes, [_tensor("x", "batch", WINDOW, 1), *inputs], _tensor("y", "batch", 1, len(_QUANTILES))
    )
    made.graph.initializer.append(_constant("axis", np.array([2])))
    made.graph.initializer.append(_constant("band", np.array([[[-1.0, 0.0, 1.0]]], dtype=np.float32)))
    onnx.checker.check_model(made)
    helper.set_model_props(made, {CARD_KEY: msgspec.json.encode(card(sensors)).decode()})
    return sign(made.SerializeToString(), key)


def card(sensors: int = SENSORS) -> Card:
    """Return the card of the package: one step ahead of each sensor's ``inflow``."""
    return Card(
        name="water-forecast-inflow",
        version="bench-1",
        solution="water",
        problem=find("water").problem("forecast-inflow"),
        model="cnn",
        created=iso(BEGIN_S * SECOND_NS),
        streams=tuple(f"D{number}/inflow" for number in range(sensors)),
        channels=(Channel(signal="inflow"),),
        every_ns=EVERY_S * SECOND_NS,
        window=WINDOW,
        horizon=1,
        quantiles=_QUANTILES,
        unit="L/s",
    )


def _nodes(answer: str) -> list[onnx.NodeProto]:
    return [
        helper.make_node("Sub", ["x", "mean"], ["centred"]),
        helper.make_node("Div", ["centred", "scale"], ["scaled"]),
        helper.make_node("Transpose", ["scaled"], ["row"], perm=[0, 2, 1]),
        helper.make_node("Conv", ["row", "first"], ["a"], strides=[_FIRST[1]]),
        helper.make_node("Relu", ["a"], ["b"]),
        helper.make_node("Conv", ["b", "second"], ["c"], strides=[_SECOND[1]]),
        helper.make_node("Relu", ["c"], ["d"]),
        helper.make_node("GlobalAveragePool", ["d"], ["e"]),
        helper.make_node("Flatten", ["e"], ["f"]),
        helper.make_node("MatMul", ["f", "last"], [answer]),
    ]


def _onnx(
    nodes: Sequence[onnx.NodeProto], inputs: Sequence[onnx.ValueInfoProto], output: onnx.ValueInfoProto
) -> onnx.ModelProto:
    first, second, last = (weight.astype(np.float32) for weight in _weights())
    constants = {
        "mean": np.float32(_MEAN),
        "scale": np.float32(_SCALE),
        "first": first,
        "second": second,
        "last": last[:, None],
    }
    held = [_constant(name, np.asarray(value)) for name, value in constants.items()]
    graph = helper.make_graph(list(nodes), "cnn", list(inputs), [output], held)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def _tensor(name: str, *shape: str | int) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)


def _constant(name: str, value: NDArray[np.generic]) -> onnx.TensorProto:
    return numpy_helper.from_array(value, name)


# --- the folder that every program reads ----------------------------------------------------------


def write(folder: Path, messages: int) -> Floats:
    """Write the job into a folder and return the scores it asks for, by message.

    ``messages.tsv`` and, for programs that must run themselves warm, ``warm.tsv`` hold a key, a tab and
    the JSON a line; ``model.onnx`` the CNN, ``package.onnx`` and the public key ours.
    """
    if messages % SENSORS or messages < WINDOW * SENSORS:
        raise DataError(f"{messages:,} messages are no whole turns that fill a window of {WINDOW}")
    read = values(messages // SENSORS)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "job.json").write_bytes(msgspec.json.encode({"messages": messages}))
    (folder / "messages.tsv").write_text("".join(_lines("D", read)), "utf-8")
    (folder / "warm.tsv").write_text("".join(_lines("W", values(WARM_TURNS, WARM_SENSORS))), "utf-8")
    (folder / "model.onnx").write_bytes(model())
    key = SigningKey.load_or_create(folder / "keys")
    (folder / "package.onnx").write_bytes(packaged(key))
    return reference(read)


def _lines(kind: str, read: Floats) -> Iterator[str]:
    for turn, row in enumerate(read.tolist()):
        moment = iso((BEGIN_S + turn * EVERY_S) * SECOND_NS)
        for sensor, value in enumerate(row):
            yield f'{kind}{sensor}\t{{"result":{value},"phenomenonTime":"{moment}"}}\n'


def check(found: NDArray[np.floating], wanted: Floats, subject: str) -> float:
    """Hold an engine's scores against the reference; return the largest difference.

    ``DataError`` if a score is missing, is there where none should be, or differs by more than
    ``TOLERANCE``.
    """
    if found.shape != wanted.shape:
        raise DataError(f"{subject} gave {found.shape} scores, not {wanted.shape}")
    asked, given = ~np.isnan(wanted), ~np.isnan(found)
    if (asked != given).any():
        missing, odd = int((asked & ~given).sum()), int((given & ~asked).sum())
        raise DataError(
            f"{subject} left out {missing:,} of {int(asked.sum()):,} scores and made {odd:,} too many"
        )
    off = np.abs(found[asked].astype(np.float64) - wanted[asked])
    if float(off.max()) > TOLERANCE:
        worst = int(np.flatnonzero(asked)[off.argmax()])
        raise DataError(f"{subject}: score {worst:,} is {found[worst]:g}, not {wanted[worst]:g}")
    return float(off.max())
