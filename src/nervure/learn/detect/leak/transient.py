"""Fast pressure signals of a pipeline, simulated: a burst, a valve, a pump, or only consumers.

Water hammer by the method of characteristics (Wylie & Streeter, Fluid Transients in Systems, 1993):
one pipe from a reservoir or pump to a valve, with friction, consumers along it that never rest, and
a pressure sensor somewhere. A burst is a hole that opens within a fifth of a second. Simulated, and
so no proof of what real networks do: theirs branch, and their air and joints damp.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["KINDS", "RATE_HZ", "Signals", "signals"]

Floats = NDArray[np.float64]
KINDS = ("burst", "consumers", "pump", "valve")
RATE_HZ = 25.0
_STEP_S, _REACHES, _STEPS, _FIRST = 0.02, 50, 1024, 128
_GRAVITY = 9.81


class Signals(NamedTuple):
    """Signals ``x [case, time, 1]`` in m about their mean, what caused each, and the pipeline it is from."""

    x: NDArray[np.float32]
    kind: NDArray[np.str_]
    group: NDArray[np.str_]


class _Lines(NamedTuple):
    """Pipelines, a row for each case: impedance s/m2, friction, heads in m, and where the sensor is."""

    impedance: Floats
    friction: Floats
    head: Floats
    flow: Floats
    sensor: NDArray[np.int64]


def signals(lines: int = 60, per_line: int = 32, *, seed: int = 0) -> Signals:
    """Simulate ``per_line`` events, a quarter of each kind, on each of as many pipelines; 18 s at 25 Hz.

    The event comes 1 to 4 s after the start. Pipelines differ in wave speed, width, roughness,
    pressure, flow and sensor; no two events are alike in place, size and speed.
    """
    random = np.random.default_rng(seed)
    line = np.repeat(np.arange(lines), per_line)
    kind = np.tile(np.array(KINDS), lines * per_line // len(KINDS))
    own = _drawn(lines, random)
    cases = _Lines(own.impedance[line], own.friction[line], own.head[line], own.flow[line], own.sensor[line])
    head = _hammer(cases, kind, random)
    head += 0.02 * random.standard_normal(head.shape)
    x = head[:, _FIRST::2]
    x = x - x[:, :25].mean(axis=1, keepdims=True)
    return Signals(x[:, :, None].astype(np.float32), kind, np.array([f"line {one}" for one in line.tolist()]))


def _drawn(lines: int, random: np.random.Generator) -> _Lines:
    speed, wide = random.uniform(900, 1250, lines), random.uniform(0.15, 0.5, lines)
    area = np.pi / 4 * wide**2
    reach = speed * _STEP_S
    friction = random.uniform(0.015, 0.03, lines) * reach / (2 * _GRAVITY * wide * area**2)
    return _Lines(
        speed / (_GRAVITY * area), friction, random.uniform(30, 70, lines),
        random.uniform(0.2, 1.0, lines) * area, random.integers(3, _REACHES - 3, lines),
    )  # fmt: skip


def _hammer(line: _Lines, kind: NDArray[np.str_], random: np.random.Generator) -> Floats:
    """Return the head at each case's sensor, ``[case, step]``, by the method of characteristics."""
    count = len(kind)
    at = np.arange(count)
    begin = random.uniform(1, 4, count) / _STEP_S + _FIRST
    hole, opening = _holes(line, kind, begin, random)
    valve, pump = _ends(kind, begin, random)
    demand = _consumers(line, random)
    impedance, friction = line.impedance[:, None], line.friction[:, None]
    flow = np.repeat(line.flow[:, None], _REACHES + 1, axis=1)
    head = line.head[:, None] - friction * flow**2 * np.arange(_REACHES + 1)
    least = np.maximum(head[:, -1], 5.0)
    out = np.empty((count, _STEPS))
    for step in range(_STEPS):
        forth = head[:, :-1] + impedance * flow[:, :-1] - friction * flow[:, :-1] * np.abs(flow[:, :-1])
        back = head[:, 1:] - impedance * flow[:, 1:] + friction * flow[:, 1:] * np.abs(flow[:, 1:])
        taken = np.zeros_like(head)
        for node, series in demand:
            taken[at, node] += series[:, step]
        taken[at, hole] += opening[:, step] * np.sqrt(np.maximum(head[at, hole], 0.0))
        inner = (forth[:, :-1] + back[:, 1:] - impedance * taken[:, 1:-1]) / 2
        new = np.empty_like(head)
        new[:, 1:-1], new[:, 0] = inner, line.head + pump[:, step]
        flow[:, 1:-1] = (inner - back[:, 1:]) / impedance
        flow[:, 0] = (new[:, 0] - back[:, 0]) / line.impedance
        square = (valve[:, step] * line.flow) ** 2 / least
        root = np.sqrt((square * line.impedance) ** 2 + 4 * square * np.maximum(forth[:, -1], 0.0))
        flow[:, -1] = (root - square * line.impedance) / 2
        new[:, -1] = forth[:, -1] - line.impedance * flow[:, -1]
        head = new
        out[:, step] = head[at, line.sensor]
    return out


def _holes(
    line: _Lines, kind: NDArray[np.str_], begin: Floats, random: np.random.Generator
) -> tuple[NDArray[np.int64], Floats]:
    """Return where each burst is, and its coefficient over time ``[case, step]``: 3 to 30 % of the flow."""
    count = len(kind)
    size = random.uniform(0.03, 0.3, count) * line.flow / np.sqrt(line.head) * (kind == "burst")
    wait = random.uniform(0.02, 0.2, count) / _STEP_S
    ramp = np.clip((np.arange(_STEPS) - begin[:, None]) / wait[:, None], 0, 1)
    return random.integers(1, _REACHES, count), size[:, None] * ramp


def _ends(kind: NDArray[np.str_], begin: Floats, random: np.random.Generator) -> tuple[Floats, Floats]:
    """Return how far the valve is open and what the pump adds in m, ``[case, step]`` each."""
    count = len(kind)
    since = np.arange(_STEPS) - begin[:, None]
    share = np.clip(since * _STEP_S / random.uniform(0.1, 4, (count, 1)), 0, 1)
    turn = random.choice([-1.0, 1.0], count) * random.uniform(0.03, 0.4, count) * (kind == "valve")
    rise = random.uniform(0.5, 6, count) * random.choice([-1.0, 1.0, 1.0], count) * (kind == "pump")
    late = np.maximum(since, 0) * _STEP_S
    slow = random.uniform(0.3, 2.5, (count, 1))
    ringing = 1 - np.exp(-late / slow) * np.cos(2 * np.pi * late / random.uniform(2, 8, (count, 1)))
    return 1 + turn[:, None] * share, rise[:, None] * ringing


def _consumers(line: _Lines, random: np.random.Generator) -> list[tuple[NDArray[np.int64], Floats]]:
    """Return five consumers with taps: their node ``[case]``, and what each takes ``[case, step]``."""
    count = len(line.flow)
    out = []
    for _ in range(5):
        node = random.integers(1, _REACHES, count)
        taps = random.random((count, _STEPS)) < 0.006
        steps = np.cumsum(taps * random.standard_normal((count, _STEPS)), axis=1)
        out.append((node, 0.006 * line.flow[:, None] * steps))
    return out
