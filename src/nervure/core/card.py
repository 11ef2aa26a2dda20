"""The Card: what a model is, was shown, can do and must be fed. It travels inside the ONNX file."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from nervure.core.problem import Control, Problem

__all__ = ["CARD_KEY", "Card", "Channel", "Metric"]

CARD_KEY = "nervure.card"


class Metric(msgspec.Struct, frozen=True, kw_only=True):
    """One measured number: which subject (the model or a baseline), which horizon, on which part."""

    subject: str
    kind: Literal["baseline", "deep", "peer"]
    metric: str
    value: float
    horizon: str = ""
    part: Literal["validation", "test"] = "test"


class Channel(msgspec.Struct, frozen=True, kw_only=True):
    """One input channel of the window: which signal, and whether each stream has its own.

    ``back`` is by how many slots the channel lies earlier than the window (the same hours of last
    week); ``neighbour`` is 1 for the reading of the stream's nearest neighbour, 2 for the next.
    """

    signal: str
    shared: bool = False
    back: int = 0
    neighbour: int = 0


class Card(msgspec.Struct, frozen=True, kw_only=True):
    """A model's card.

    ``streams`` are the names of the Datastreams in the order of the model's ``node`` index. The
    graph eats ``x [batch, time, channel]`` (NaN where missing), ``node [batch]``, ``calendar
    [batch, time + horizon, 5]`` (slot of day, day of week, holiday, slot of week, day of year) and
    yields ``y [batch, horizon, quantile]`` in the unit of the signal; scalers and masks are inside
    it. Where drivers are known ahead (``future``), it also eats ``future [batch, horizon, driver]``.
    ``neighbours [node, neighbour]`` are the nodes whose readings the neighbour channels hold. A
    ``joint`` graph sees all nodes at once: its batch is whole rounds of all nodes, in their order.
    ``spread [horizon, 2]`` is by how much calibration moved the outer quantiles outwards, below and
    above, on average; it is inside the graph already.
    ``limits`` holds the alarm thresholds and calibration scores of anomaly problems, of controllers what they
    were taught on (:mod:`nervure.core.strange`).

    Of problems about whole Things there are no ``streams``, as the model knows none by name, and no
    ``horizon``: the graph eats ``x [batch, time, channel]`` as :mod:`nervure.core.case` cuts it and
    yields ``y [batch, answer]``, which are the remaining rows at ``quantiles``, or probabilities in
    the order of the problem's ``classes``.
    """

    name: str
    version: str
    solution: str
    problem: Problem | Control
    model: str
    created: str
    streams: tuple[str, ...] = ()
    channels: tuple[Channel, ...]
    neighbours: tuple[tuple[int, ...], ...] = ()
    joint: bool = False
    future: tuple[Channel, ...] = ()
    every_ns: int
    window: int
    horizon: int = 0
    quantiles: tuple[float, ...] = ()
    zone: str = "UTC"
    unit: str = ""
    span: tuple[str, str] = ("", "")
    parameters: int = 0
    train_cpu_s: float = 0.0
    infer_ms: float = 0.0
    metrics: tuple[Metric, ...] = ()
    spread: tuple[tuple[float, float], ...] = ()
    limits: dict[str, Any] = {}
    notes: str = ""
