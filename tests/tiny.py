"""A tiny signed model: tomorrow is like today, with a band of constant width; and readings to feed it."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from nervure.core.alert import Severity
from nervure.core.card import CARD_KEY, Card, Channel
from nervure.core.declaration import Rule, Signal, Solution, validate
from nervure.core.entity import Datastream, Thing
from nervure.core.instant import HOUR_NS
from nervure.core.observation import Batch
from nervure.core.problem import AlarmPolicy, Anomaly, Forecast
from nervure.core.residual import Limit, Options
from nervure.score.runner import Runner
from nervure.trust.signature import SigningKey, sign

__all__ = [
    "DAY", "KEY", "START", "WINDOW", "batch_of", "card", "datastreams", "limit", "runner", "signed",
    "solution", "things",
]  # fmt: skip

KEY = SigningKey(bytes(range(32)))
DAY = 24
WINDOW = 48
START = 1_677_628_800_000_000_000 // HOUR_NS  # 2023-03-01T00:00Z as a slot
NAMES = ("north", "south", "west")
HALF = 1.0


def _rule(name: str, when: str, severity: Severity, say: str) -> Rule:
    return Rule(name=name, when=when, severity=severity, of=("inflow",), say=say)


def solution(*, severity: Severity = "major", ahead: str | None = None) -> Solution:
    """Return a small water-like solution: three districts, weather, every kind of rule.

    With ``ahead`` the rain may be foretold, and the forecast problem knows it over its horizon.
    """
    return validate(
        Solution(
            name="water",
            title="Tiny",
            thing="district",
            signals=(
                Signal(name="inflow", unit="L/s", every="1h", phenomenon="Net inflow", stuck_after="6h"),
                Signal(name="rain", unit="mm", every="1h", site=True, ahead=ahead),
            ),
            problems=(
                Forecast(
                    of="inflow", horizon="24h", window="48h", calendar="IT",
                    past=() if ahead else ("rain",), future=("rain",) if ahead else (),
                ),
                Anomaly(
                    of=("inflow",), window="48h", residual="forecast-inflow", lead="12h", side="high",
                    policy=AlarmPolicy(alarms_per_day=0.5, min_duration="2h", merge_gap="12h"),
                ),
            ),
            rules=(
                Rule(
                    name="burst", when="score > limit for 2h", severity=severity, problem="anomaly-inflow",
                    say="Burst in {thing}: {value} {unit}, expected {expected}, since {since} ({hours} h).",
                ),
                _rule("stuck", "flat > 6h", "minor", "{thing} stuck at {value}"),
                _rule("silent", "silent > 6h", "warning", "{thing} silent"),
                _rule("flood", "value > 900 for 1h", "critical", "{excess}"),
            ),
        )
    )  # fmt: skip


def things() -> list[Thing]:
    """Return the districts and the site."""
    names = (*NAMES, "site")
    return [Thing(id=number, name=name) for number, name in enumerate(names, start=1)]


def datastreams() -> list[Datastream]:
    """Return inflow (11, 12, 13), its forecasts (21, 22, 23), rain (31), and one nobody asked for (41)."""
    made = []
    for number, name in enumerate(NAMES, start=1):
        made.append(
            Datastream(
                id=10 + number, name=f"{name}/inflow", unit="L/s", thing=number, solution="water",
                signal="inflow",
            )
        )  # fmt: skip
        made.append(
            Datastream(
                id=20 + number, name=f"{name}/inflow forecast", unit="L/s", thing=number, solution="water",
                signal="inflow", kind="forecast", source=10 + number,
            )
        )  # fmt: skip
    made.append(Datastream(id=31, name="rain", unit="mm", thing=4, solution="water", signal="rain"))
    made.append(Datastream(id=41, name="north/noise", unit="dB", thing=1, solution="noise", signal="noise"))
    return made


def limit(*, height: float = 6.0, leads: tuple[int, ...] = (12, 16, 20, 24)) -> Limit:
    """Return a limit as a calibration would."""
    return Limit(
        problem="anomaly-inflow",
        streams=tuple(f"{name}/inflow" for name in NAMES),
        options=Options(leads=leads, side="high", slack=1.0),
        limit=height,
        cap=1.5 * height,
        floor=(0.25,) * 3,
        centre=(0.0,) * 3,
        spread=(0.5,) * 3,
        grid=tuple(np.linspace(0.0, 8.0, 101).tolist()),
        promised=0.5,
        counted=0.5,
        days=56.0,
    )


def card(*, limits: Limit | None = None, rain: bool = True, future: bool = False, near: bool = False) -> Card:
    """Return the card of the tiny model: with rain (known ahead: ``future``) and a neighbour's inflow."""
    channels: tuple[Channel, ...] = (Channel(signal="inflow"), Channel(signal="rain", shared=True))
    channels = channels if rain else channels[:1]
    if near:
        channels += (Channel(signal="inflow", neighbour=1),)
    return Card(
        name="water-forecast-inflow",
        version="tiny-1",
        solution="water",
        problem=solution(ahead="48h" if future else None).problem("forecast-inflow"),
        model="tiny",
        created="2023-03-01T00:00:00Z",
        streams=tuple(f"{name}/inflow" for name in NAMES),
        channels=channels,
        neighbours=((1,), (2,), (0,)) if near else (),
        future=(Channel(signal="rain", shared=True),) if future else (),
        every_ns=HOUR_NS,
        window=WINDOW,
        horizon=DAY,
        quantiles=(0.1, 0.5, 0.9),
        zone="Europe/Rome",
        unit="L/s",
        limits={} if limits is None else {limits.problem: msgspec.to_builtins(limits)},
    )


def runner(described: Card) -> Runner:
    """Return the tiny model, signed and loaded as any other."""
    return Runner(signed(described), [KEY.public])


def signed(described: Card, key: SigningKey = KEY) -> bytes:
    """Return the tiny model's file."""
    return sign(_graph(described), key)


def _constant(name: str, value: Any, dtype: Any) -> TensorProto:
    return numpy_helper.from_array(np.array(value, dtype=dtype), name)


def _constants(channels: int) -> list[TensorProto]:
    return [
        _constant("zero", 0.0, np.float32),
        _constant("filler", [20.0, 0.0, 0.0][:channels], np.float32),
        _constant("from", [-DAY], np.int64),
        _constant("to", [1 << 30], np.int64),
        _constant("time", [1], np.int64),
        _constant("first", [0], np.int64),
        _constant("second", [1], np.int64),
        _constant("channel", [2], np.int64),
        _constant("steps", [[[-HALF, 0.0, HALF]]], np.float32),
    ]


def _inputs(described: Card) -> list[onnx.ValueInfoProto]:
    length, channels = described.window + described.horizon, len(described.channels)
    inputs = [
        helper.make_tensor_value_info("x", TensorProto.FLOAT, ["b", described.window, channels]),
        helper.make_tensor_value_info("node", TensorProto.INT64, ["b"]),
        helper.make_tensor_value_info("calendar", TensorProto.INT64, ["b", length, 5]),
    ]
    if described.future:
        inputs.append(helper.make_tensor_value_info("future", TensorProto.FLOAT, ["b", described.horizon, 1]))
    return inputs


def _graph(described: Card) -> bytes:
    """Write ``y = x[-24:, 0] + the other channels + future + (-1, 0, 1)``; a missing inflow counts as 20."""
    known = [
        helper.make_node("IsNaN", ["future"], ["unknown"]),
        helper.make_node("Where", ["unknown", "zero", "future"], ["coming"]),
        helper.make_node("Add", ["calm", "coming"], ["told"]),
    ]
    nodes = [
        helper.make_node("IsNaN", ["x"], ["gone"]),
        helper.make_node("Where", ["gone", "filler", "x"], ["full"]),
        helper.make_node("Slice", ["full", "from", "to", "time"], ["day"]),
        helper.make_node("Slice", ["day", "first", "second", "channel"], ["base"]),
        helper.make_node("ReduceSum", ["day", "channel"], ["total"], keepdims=1),
        helper.make_node("Identity", ["total" if len(described.channels) > 1 else "base"], ["level"]),
        helper.make_node("Add", ["level", "steps"], ["band"]),
        helper.make_node("Shape", ["node"], ["rows"]),
        helper.make_node("ConstantOfShape", ["rows"], ["none"]),
        helper.make_node("ReduceSum", ["none"], ["nothing"], keepdims=0),
        helper.make_node("Cast", ["calendar"], ["days"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMax", ["days"], ["some"], keepdims=0),
        helper.make_node("Mul", ["some", "zero"], ["naught"]),
        helper.make_node("Add", ["band", "naught"], ["calm"]),
        *(known if described.future else ()),
        helper.make_node("Add", ["told" if described.future else "calm", "nothing"], ["y"]),
    ]
    constants = _constants(len(described.channels))
    inputs = _inputs(described)
    output = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["b", described.horizon, 3])
    graph = helper.make_graph(nodes, "tiny", inputs, [output], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    helper.set_model_props(model, {CARD_KEY: msgspec.json.encode(described).decode()})
    onnx.checker.check_model(model)
    data: bytes = model.SerializeToString()
    return data


def batch_of(rows: list[tuple[int, int, float]], *, quality: NDArray[np.int8] | None = None) -> Batch:
    """Return a batch of ``(datastream, slot, value)``, ten minutes into each slot."""
    return Batch.of(
        id=np.arange(len(rows)) << 16,
        datastream=[row[0] for row in rows],
        time=[row[1] * HOUR_NS + HOUR_NS // 6 for row in rows],
        value=[row[2] for row in rows],
        quality=quality,
    )
