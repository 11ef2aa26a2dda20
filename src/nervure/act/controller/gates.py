"""A basin above a town: filled by the flood's top, not by its beginning, and emptied in time for the next.

The rule curve keeps back whatever is above the bank, now. The planner looks a day ahead: from several
forecasts of what is coming it finds, by one linear programme, what to keep back and give back so that the
town's peak and the water over its bank are least on the mean, the first half hour being the same for all
forecasts. Model predictive control of flood basins so: Breckpot, Agudelo & De Moor, J. Process Control 23,
2013; several forecasts at once: Raso et al., Advances in Water Resources 67, 2014. Solved by HiGHS through
scipy; not to be loaded beside ortools. Not for basins that take hours to answer: the reach to the town is
taken to be short.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix

__all__ = ["STEP_H", "Basin", "FixedGate", "Gates", "HoldLevel", "Plan", "RuleCurve", "plan"]

Floats = NDArray[np.float64]
Longs = NDArray[np.int64]
STEP_H = 0.5
"""Hours between two decisions, and a step of a forecast."""
_PEAK, _EMPTY, _MOVE = 8.0, 1e-3, 1e-4  # beside 1 for m3/s over the bank for an hour
_CLOSE = 0.02
_MARGIN = 0.97  # of the bank's flow: where what is done begins


class Basin(msgspec.Struct, frozen=True, kw_only=True):
    """The bank's flow, what gate and outlet pass at most, in m3/s, and what the basin holds in m3.

    ``base_m3_s`` always stays in the river; ``reach`` is which part of the town's flow half an hour ago is
    still there; ``swing`` is by how much a gate moves in a step.
    """

    bank_m3_s: float
    gate_m3_s: float
    outlet_m3_s: float
    holds_m3: float
    base_m3_s: float = 6.0
    reach: float = 0.32
    swing: float = 0.5
    inflow: tuple[str, ...] = ("north/flow", "south/flow")


class FixedGate:
    """The gate stands open by the same share, always; the outlet is shut."""

    def __init__(self, basin: Basin, share: float) -> None:
        self._share, self._moves = share, _Moves(basin)

    def decide(self, _hour: float, _readings: Mapping[str, float]) -> dict[str, float]:
        """Return the share, or how far the gate has come on its way there."""
        return self._moves.to(self._share, 0.0)


class RuleCurve:
    """Keep back what is above a share of the bank's flow, give back while there is room below another."""

    def __init__(self, basin: Basin, *, give: float = 0.8) -> None:
        self._basin, self._give, self._moves = basin, give, _Moves(basin)

    def decide(self, _hour: float, readings: Mapping[str, float]) -> dict[str, float]:
        """Return gate and outlet; nothing where a gauge is silent."""
        basin = self._basin
        coming = sum(readings.get(one, np.nan) for one in basin.inflow)
        if not np.isfinite(coming):
            return {}
        gate = (coming - _MARGIN * basin.bank_m3_s) / basin.gate_m3_s
        outlet = (self._give * basin.bank_m3_s - coming) / basin.outlet_m3_s
        outlet = outlet if readings.get("basin/filled", 0.0) > 0 else 0.0
        return self._moves.to(gate, outlet)


class _Moves:
    """Where gate and outlet stand, and how far they get in a step; one is shut while the other is open."""

    def __init__(self, basin: Basin) -> None:
        self._swing, self._gate, self._outlet = basin.swing, 0.0, 0.0

    def to(self, gate: float, outlet: float) -> dict[str, float]:
        """Go towards two shares, and return where they stand then."""
        gate, outlet = min(max(gate, 0.0), 1.0), min(max(outlet, 0.0), 1.0)
        self._gate = min(max(gate, self._gate - self._swing), self._gate + self._swing)
        self._outlet = min(max(outlet, self._outlet - self._swing), self._outlet + self._swing)
        if self._gate > _CLOSE:  # what comes in is not let out again
            self._outlet = 0.0
        return {"basin/gate": self._gate, "basin/outlet": self._outlet}


class HoldLevel:
    """Throttle a sewer's gate as the level below it rises: open below ``band_m``, shut above it.

    ``start`` is where the gate stands, ``swing`` how far it moves in a step.
    """

    def __init__(
        self, gate: str, of: str, band_m: tuple[float, float], *, start: float, swing: float = 0.2
    ) -> None:
        self._gate, self._of, (self._low, self._high) = gate, of, band_m
        self._swing, self._share = swing, start

    def decide(self, _hour: float, readings: Mapping[str, float]) -> dict[str, float]:
        """Return the gate's share; nothing where the level is not known."""
        level = readings.get(self._of, np.nan)
        if not np.isfinite(level):
            return {}
        share = min(max((self._high - level) / (self._high - self._low), 0.0), 1.0)
        self._share = min(max(share, self._share - self._swing), self._share + self._swing)
        return {self._gate: self._share}


class Plan(NamedTuple):
    """What is kept back and given back in the first half hour, in m3/s, and the town's mean peak."""

    keep: float
    back: float
    peak: float


def plan(basin: Basin, coming: Floats, stored_m3: float, town_m3_s: float) -> Plan:
    """Solve the programme for several forecasts ``coming [forecast, step]`` in m3/s, half an hour each.

    A plan always exists. Raises RuntimeError where HiGHS fails: then the last command's lease runs out, and
    the basin is on its local plan.
    """
    from scipy.optimize import linprog

    size, steps = coming.shape
    count = size * steps
    at = np.arange(count).reshape(size, steps)
    keep, back, town, over, held = (at + part * count for part in range(5))
    peak = 5 * count + np.arange(size)
    table = _Table(5 * count + size)
    volume, rest = STEP_H * 3600 / 1e3, 1 - basin.reach  # held is counted in 1,000 m3
    before = np.concatenate([np.full((size, 1), -1), at[:, :-1]], axis=1)
    first = before < 0
    table.equal(
        [(town, 1.0), (keep, rest), (back, -rest), (np.where(first, -1, before + 2 * count), -basin.reach)],
        rest * coming + np.where(first, basin.reach * town_m3_s, 0.0),
    )
    table.equal(
        [(held, 1.0), (keep, -volume), (back, volume), (np.where(first, -1, before + 4 * count), -1.0)],
        np.where(first, stored_m3 / 1e3, 0.0),
    )
    table.most([(town, 1.0), (over, -1.0)], np.full((size, steps), _MARGIN * basin.bank_m3_s))
    table.most([(over, 1.0), (np.repeat(peak[:, None], steps, axis=1), -1.0)], np.zeros((size, steps)))
    if size > 1:  # what is done first is done whatever comes
        for part in (keep, back):
            table.equal([(part[1:, :1], 1.0), (np.repeat(part[:1, :1], size - 1, axis=0), -1.0)],
                        np.zeros((size - 1, 1)))  # fmt: skip
    found = linprog(
        _cost(size, steps), A_ub=table.upper(), b_ub=table.most_, A_eq=table.even(), b_eq=table.equal_,
        bounds=_bounds(basin, coming), method="highs",
    )  # fmt: skip
    if found.x is None:
        raise RuntimeError(f"the gates' plan was not solved: {found.message}")
    return Plan(float(found.x[0]), float(found.x[count]), float(found.x[peak].mean()))


def _cost(size: int, steps: int) -> Floats:
    """Return what each variable costs: of water over the bank early and late alike, of the peak most."""
    cost = np.zeros((5, size, steps))
    cost[0] = cost[1] = _MOVE
    cost[3] = STEP_H / size
    cost[4] = _EMPTY / size / steps
    return np.concatenate([cost.reshape(-1), np.full(size, _PEAK / size)])


def _bounds(basin: Basin, coming: Floats) -> Floats:
    """Return the bounds of every variable, ``[variable, 2]``."""
    size, steps = coming.shape
    low, high = np.zeros((5, size, steps)), np.full((5, size, steps), np.inf)
    high[0] = np.clip(coming - basin.base_m3_s, 0.0, basin.gate_m3_s)
    high[1], low[2], high[4] = basin.outlet_m3_s, -np.inf, basin.holds_m3 / 1e3
    both = np.stack([low.reshape(-1), high.reshape(-1)], axis=1)
    return np.concatenate([both, np.tile([0.0, np.inf], (size, 1))])


class _Table:
    """Sparse constraints, written in blocks: variables by their numbers, -1 for none."""

    def __init__(self, wide: int) -> None:
        self._wide = wide
        self._parts: dict[bool, list[tuple[Longs, Longs, Floats]]] = {True: [], False: []}
        self._ends: dict[bool, list[Floats]] = {True: [], False: []}
        self._rows = {True: 0, False: 0}

    def equal(self, parts: list[tuple[Longs, float]], value: Floats) -> None:
        """Add rows whose parts sum to a value."""
        self._add(parts, value, even=True)

    def most(self, parts: list[tuple[Longs, float]], value: Floats) -> None:
        """Add rows whose parts sum to a value at most."""
        self._add(parts, value, even=False)

    def _add(self, parts: list[tuple[Longs, float]], value: Floats, *, even: bool) -> None:
        row = self._rows[even] + np.arange(value.size, dtype=np.int64)
        for column, factor in parts:
            flat = column.reshape(-1)
            there = flat >= 0
            self._parts[even].append((row[there], flat[there], np.full(int(there.sum()), factor)))
        self._ends[even].append(value.reshape(-1))
        self._rows[even] += value.size

    def upper(self) -> Any:
        """Return the rows of :meth:`most`."""
        return self._whole(even=False)

    def even(self) -> Any:
        """Return the rows of :meth:`equal`."""
        return self._whole(even=True)

    def _whole(self, *, even: bool) -> Any:
        row, column, value = (np.concatenate(one) for one in zip(*self._parts[even], strict=True))
        return coo_matrix((value, (row, column)), shape=(self._rows[even], self._wide))

    @property
    def most_(self) -> Floats:
        """What the rows of :meth:`most` are at most."""
        return np.concatenate(self._ends[False])

    @property
    def equal_(self) -> Floats:
        """What the rows of :meth:`equal` sum to."""
        return np.concatenate(self._ends[True])


class Gates:
    """Plan every half hour while a forecast goes over the bank or the basin holds water.

    ``foresee(hour, readings)`` returns what may be coming, ``[forecast, step]`` in m3/s, half an hour
    each, from now. ``spent_s`` keeps the processor's time of every solve.
    """

    def __init__(self, basin: Basin, foresee: Callable[[float, Mapping[str, float]], Floats]) -> None:
        self._basin, self._foresee = basin, foresee
        self._moves = _Moves(basin)
        self.spent_s: list[float] = []

    def decide(self, hour: float, readings: Mapping[str, float]) -> dict[str, float]:
        """Return gate and outlet as shares; nothing where a gauge is silent."""
        needed = (*self._basin.inflow, "town/flow", "basin/filled")
        if not all(np.isfinite(readings.get(one, np.nan)) for one in needed):
            return {}
        return self._moves.to(*self._wanted(hour, readings))

    def _wanted(self, hour: float, readings: Mapping[str, float]) -> tuple[float, float]:
        """Return gate and outlet as shares."""
        basin = self._basin
        stored = readings["basin/filled"] / 100 * basin.holds_m3
        coming = self._foresee(hour, readings)
        if coming.max() < _MARGIN * basin.bank_m3_s and stored < 1.0:
            return 0.0, 0.0
        begun = time.thread_time()
        found = plan(basin, coming, stored, readings["town/flow"])
        self.spent_s.append(time.thread_time() - begun)
        net = found.keep - found.back
        return net / basin.gate_m3_s, -net / basin.outlet_m3_s
