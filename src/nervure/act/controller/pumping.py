"""Water is lifted when electricity is cheap: pumps and tanks planned over a day and a half, anew every hour.

A mixed-integer programme: how many pumps run in each hour (whole numbers for the first hours, shares of an
hour later), what they cost at that hour's price, what a start costs, and levels that follow from a linear
model of the tanks. Scheduling pumps so: Ormsbee & Lansey, J. Water Resources Planning and Management 120(2),
1994; Bagirov et al., Mathematical and Computer Modelling 57, 2013. What pumps lift, what they draw and how
tanks share the water is learned from readings. Between plans the levels have the last word. Solved by HiGHS
through scipy; not to be loaded beside ortools. Not for pumps that press into a net without tanks: nothing
could be shifted.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

__all__ = ["Levels", "Now", "Pumping", "Pumps", "Station", "Tank", "Tanks", "plan"]

Floats = NDArray[np.float64]
_SHORT = 50.0  # money for an hour with a level one metre outside
_KEEP = 0.98  # of an old mean, where a new reading of five minutes comes in
_NEWEST_H = 24 * 14
_SPARE = (0.1, 0.02, 0.3)  # m kept from a level's limits: in the first hour, more every hour, at most
_STILL_H = 0.4  # a level that says the same for longer is not believed


class Tank(msgspec.Struct, frozen=True, kw_only=True):
    """A tank by its name: what its level has to keep to in m, and its surface."""

    name: str
    low_m: float
    high_m: float
    area_m2: float


class Station(msgspec.Struct, frozen=True, kw_only=True):
    """Alike pumps beside each other, and the tanks they fill.

    ``rated_m3h`` and ``rated_kw`` are those of one pump, believed until readings say otherwise;
    ``start`` is money for a start, ``least_h`` for how long a pump stays on, or off.
    """

    pumps: tuple[str, ...]
    tanks: tuple[Tank, ...]
    rated_m3h: float
    rated_kw: float
    price: Callable[[float], float]
    start: float = 0.5
    least_h: float = 0.5


class Tanks(NamedTuple):
    """An hour's change of levels in m: ``[tank, 3 + tank]`` times lifted and drawn in m3/h, levels and 1."""

    weight: Floats

    @staticmethod
    def filled(station: Station) -> Tanks:
        """Return what is believed before anything was read: all tanks rise alike."""
        whole = sum(one.area_m2 for one in station.tanks)
        count = len(station.tanks)
        weight = np.zeros((count, count + 3))
        weight[:, 0], weight[:, 1] = 1 / whole, -1 / whole
        return Tanks(weight)

    def learned(self, x: Floats, y: Floats) -> Tanks:
        """Return the model after hours ``x [hour, 3 + tank]`` with changes ``y [hour, tank]``.

        Ridge regression towards what was believed.
        """
        scale = np.concatenate([[300.0, 300.0], np.full(self.weight.shape[0], 3.0), [1.0]])
        u = x[:, [0, 1, *range(2, x.shape[1])]] / scale
        left = y - x @ self.weight.T
        found = np.linalg.solve(u.T @ u + 0.3 * np.eye(u.shape[1]), u.T @ left)
        return Tanks(self.weight + (found / scale[:, None]).T)


class Pumps(NamedTuple):
    """What so many pumps lift in m3/h and draw in kW, ``[1 + pump]``, from none."""

    lift: Floats
    power: Floats


class Now(NamedTuple):
    """Where a plan begins: hour since a midnight, levels in m ``[tank]``, how many pumps run."""

    hour: float
    levels: Floats
    running: int


class Levels:
    """Pumps by the level of one tank, as float switches do it: on below ``on[k]``, off above ``off[k]``.

    With a ``price``, the levels are ``shift_m`` higher while it is below its mean of the day, and so much
    lower while it is above.
    """

    def __init__(
        self,
        station: Station,
        on: Sequence[float],
        off: Sequence[float],
        *,
        price: Callable[[float], float] | None = None,
        shift_m: float = 0.0,
    ) -> None:
        self._station, self._on, self._off = station, tuple(on), tuple(off)
        self._price, self._shift = price, shift_m
        self._turns = _Turns(station)

    def decide(self, hour: float, readings: Mapping[str, float]) -> dict[str, float]:
        """Return 0 or 1 by pump, ``P1/pump``; nothing where the level is not known."""
        level = readings.get(f"{self._station.tanks[0].name}/level", np.nan)
        if not np.isfinite(level):
            return {}
        return self._turns.to(self.count(hour, level, self._turns.count), hour)

    def count(self, hour: float, level: float, now: int) -> int:
        """Return how many pumps ought to run where so many run now."""
        by = 0.0
        if self._price is not None:
            mean = float(np.mean([self._price(float(one)) for one in range(24)]))
            by = self._shift * float(np.sign(mean - self._price(hour)))
        while now < len(self._on) and level < self._on[now] + by:
            now += 1
        while now > 0 and level > self._off[now - 1] + by:
            now -= 1
        return now


class _Turns:
    """Which pumps run; that which rested longest comes first, that which ran longest goes first."""

    def __init__(self, station: Station) -> None:
        self._least = station.least_h
        self._on = dict.fromkeys(station.pumps, False)
        self._since = dict.fromkeys(station.pumps, -1e9)

    @property
    def count(self) -> int:
        """How many run."""
        return sum(self._on.values())

    def to(self, count: int, hour: float) -> dict[str, float]:
        """Go towards so many, as far as those that changed lately allow it; return all pumps."""
        while self.count != count:
            up = self.count < count
            ready = [
                (since, name) for name, since in self._since.items()
                if self._on[name] is not up and hour - since >= self._least - 1e-6
            ]  # fmt: skip
            if not ready:
                break
            name = min(ready)[1]
            self._on[name], self._since[name] = up, hour
        return {f"{name}/pump": float(on) for name, on in self._on.items()}


def plan(
    station: Station, tanks: Tanks, pumps: Pumps, now: Now, drawn: Floats, *, exact_h: int = 5
) -> Floats:
    """Return how many pumps run in each coming hour, ``[hour]``; whole numbers in the first ``exact_h``.

    ``drawn [hour]`` is in m3/h. A plan always exists: levels can be missed at a price. Raises RuntimeError
    where HiGHS finds none.
    """
    from scipy.optimize import Bounds, LinearConstraint, milp

    count, many, size = len(drawn), len(station.pumps), len(station.tanks)
    wide = 2 * many + 3 * size  # an hour: pumps on, starts, levels, short, over
    cost = _costs(station, pumps, now.hour, count, wide)
    cost[-1, 2 * many : 2 * many + size] -= _worth(station, pumps)
    rows = _Rows(count, wide)
    _order(rows, count, many, now.running)
    _levels(rows, station, tanks, pumps, now, drawn)
    least, most = np.zeros((count, wide)), np.full((count, wide), np.inf)
    most[:, : 2 * many] = 1.0
    least[:, 2 * many : 2 * many + size] = -np.inf
    whole = np.zeros((count, wide))
    whole[:exact_h, :many] = 1
    found = milp(
        cost.reshape(-1), integrality=whole.reshape(-1), bounds=Bounds(least.reshape(-1), most.reshape(-1)),
        constraints=LinearConstraint(*rows.told()), options={"time_limit": 5.0, "mip_rel_gap": 2e-3},
    )  # fmt: skip
    if found.x is None:
        raise RuntimeError(f"the pumps' plan was not solved: {found.message}")
    on: Floats = found.x.reshape(count, wide)[:, :many].sum(axis=1)
    return on


def _costs(station: Station, pumps: Pumps, hour: float, count: int, wide: int) -> Floats:
    """Return the cost of every variable, ``[hour, variable]``."""
    many = len(station.pumps)
    price = np.array([station.price(hour + at) for at in range(count)])
    cost = np.zeros((count, wide))
    cost[:, :many] = price[:, None] * np.diff(pumps.power)[None]
    cost[:, many : 2 * many] = station.start
    cost[:, 2 * many + len(station.tanks) :] = _SHORT
    return cost


def _worth(station: Station, pumps: Pumps) -> Floats:
    """Return what a metre in each tank is worth at the end: lifting it at the lowest price."""
    cheap = min(station.price(float(one)) for one in range(24))
    area = np.array([one.area_m2 for one in station.tanks])
    found: Floats = cheap * pumps.power[1] / max(pumps.lift[1], 1e-9) * area
    return found


class _Rows:
    """Constraints as they are written down, over all hours' variables."""

    def __init__(self, count: int, wide: int) -> None:
        self._shape = (count, wide)
        self._found: list[tuple[Floats, float, float]] = []

    def add(self, low: float, high: float, *parts: tuple[int, int, float]) -> None:
        """Add one: hour, variable and factor of each of its parts."""
        one = np.zeros(self._shape)
        for at, column, value in parts:
            one[at, column] += value
        self._found.append((one.reshape(-1), low, high))

    def told(self) -> tuple[Floats, Floats, Floats]:
        """Return factors ``[row, hour variable]`` and bounds ``[row]``."""
        rows, low, high = zip(*self._found, strict=True)
        return np.array(rows), np.array(low), np.array(high)


def _order(rows: _Rows, count: int, many: int, running: int) -> None:
    """The k-th pump runs only beside those before it; what was off and is on was started."""
    for at in range(count):
        for k in range(many):
            if k:
                rows.add(0.0, np.inf, (at, k - 1, 1.0), (at, k, -1.0))
            before = [(at - 1, k, 1.0)] if at else []
            was = 0.0 if at else float(k < running)
            rows.add(-was, np.inf, (at, many + k, 1.0), (at, k, -1.0), *before)


def _levels(rows: _Rows, station: Station, tanks: Tanks, pumps: Pumps, now: Now, drawn: Floats) -> None:
    """Levels follow from what is lifted and drawn, and lie within limits or are missed by so much."""
    size, level = len(station.tanks), 2 * len(station.pumps)
    for at, out in enumerate(drawn.tolist()):
        for k, tank in enumerate(station.tanks):
            weight = tanks.weight[k]
            steady = float(weight[1] * out + weight[-1])
            parts = [(at, j, float(weight[0] * one)) for j, one in enumerate(np.diff(pumps.lift))]
            if at:
                parts += [(at - 1, level + j, float(weight[2 + j]) + (j == k)) for j in range(size)]
            else:
                steady += float(weight[2 : 2 + size] @ now.levels + now.levels[k])
            here, spare = (
                (at, level + k, 1.0),
                min(_SPARE[0] + _SPARE[1] * at, _SPARE[2]),
            )  # farther ahead is less sure
            rows.add(-steady, -steady, (at, level + k, -1.0), *parts)
            rows.add(tank.low_m + spare, np.inf, here, (at, level + size + k, 1.0))
            rows.add(-np.inf, tank.high_m - spare, here, (at, level + 2 * size + k, -1.0))


class Pumping:
    """Float switches for a few hours, then a plan every hour, from what was learned until then.

    ``foresee(hour, count)`` returns what will be drawn in m3/h, ``[hour]``. ``spent_s`` keeps the
    processor's time of every solve.
    """

    def __init__(
        self,
        station: Station,
        foresee: Callable[[float, int], Floats],
        until_then: Levels,
        *,
        horizon_h: int = 36,
        learn_h: int = 6,
    ) -> None:
        self._station, self._foresee, self._first = station, foresee, until_then
        self._horizon, self._learn_h = horizon_h, learn_h
        self._turns = _Turns(station)
        count = len(station.pumps) + 1
        self._lift = station.rated_m3h * np.arange(count, dtype=np.float64)
        self._power = station.rated_kw * np.arange(count, dtype=np.float64)
        self._tanks = Tanks.filled(station)
        self._hours: list[tuple[Floats, float]] = []
        self._flows: list[float] = []
        self._wanted: int | None = None
        self._last = -1
        self._moved = [(np.nan, 0.0)] * len(station.tanks)
        self.spent_s: list[float] = []

    def decide(self, hour: float, readings: Mapping[str, float]) -> dict[str, float]:
        """Return 0 or 1 by pump, ``P1/pump``, every few minutes.

        Nothing where something was not read, or where a level stands still.
        """
        names = self._station.pumps
        level = np.array([readings.get(f"{one.name}/level", np.nan) for one in self._station.tanks])
        flow = sum(readings.get(f"{one}/flow", np.nan) for one in names)
        power = [readings.get(f"{one}/power", np.nan) for one in names]
        sound = np.isfinite(level).all() and np.isfinite(flow) and np.isfinite(power).all()
        if not sound or self._still(hour, level):
            return {}
        self._flows.append(flow)
        self._watch(sum(one > 0 for one in power), flow, sum(power))
        if int(hour + 1e-6) != self._last:
            self._last = int(hour + 1e-6)
            self._turn(hour, level)
        now = self._turns.count
        if self._wanted is None:
            return self._turns.to(self._first.count(hour, float(level[0]), now), hour)
        return self._turns.to(self._safe(self._wanted, now, level), hour)

    def _still(self, hour: float, level: Floats) -> bool:
        """Return whether a gauge has said the very same for too long."""
        self._moved = [
            was if was[0] == one else (one, hour)
            for was, one in zip(self._moved, level.tolist(), strict=True)
        ]
        return any(hour - since > _STILL_H for _, since in self._moved)

    def _watch(self, now: int, flow: float, power: float) -> None:
        """Learn what so many pumps lift and draw."""
        if now:
            self._lift[now] = _KEEP * self._lift[now] + (1 - _KEEP) * flow
            self._power[now] = _KEEP * self._power[now] + (1 - _KEEP) * power
            for other in range(now + 1, len(self._lift)):  # more lift no less
                self._lift[other] = max(self._lift[other], self._lift[other - 1] + 1.0)
                self._power[other] = max(self._power[other], self._power[other - 1] + 0.1)

    def _safe(self, wanted: int, now: int, level: Floats) -> int:
        """Return what is wanted, unless a tank is close to its limits."""
        low = np.array([one.low_m for one in self._station.tanks])
        high = np.array([one.high_m for one in self._station.tanks])
        if (level > high - 0.15).any():
            return min(wanted, max(now - 1, 0))
        if (level < low + 0.15).any():
            return max(wanted, min(now + 1, len(self._station.pumps)))
        return wanted

    def _turn(self, hour: float, level: Floats) -> None:
        """Close an hour, learn, and plan anew."""
        self._hours.append((level, float(np.mean(self._flows))))
        self._flows = []
        self._hours = self._hours[-_NEWEST_H:]
        if len(self._hours) <= self._learn_h:
            return
        x, y = self._told()
        tanks = self._tanks.learned(x, y)
        begun = time.thread_time()
        try:
            drawn = self._foresee(hour, self._horizon)
            now = Now(hour, level, self._turns.count)
            found = plan(self._station, tanks, Pumps(self._lift, self._power), now, drawn)
            self._wanted = round(float(found[0]))
        except RuntimeError:
            self._wanted = None  # the float switches have it until the next hour
        self.spent_s.append(time.thread_time() - begun)

    def _told(self) -> tuple[Floats, Floats]:
        """Return the hours that were: lifted, drawn, levels and 1, ``[hour, 3 + tank]``, and changes."""
        level = np.array([one for one, _ in self._hours])
        lifted = np.array([one for _, one in self._hours])[1:]
        area = np.array([one.area_m2 for one in self._station.tanks])
        change = np.diff(level, axis=0)
        drawn = lifted - change @ area
        sound = drawn > 0  # else a gauge was wrong
        x = np.column_stack([lifted, drawn, level[:-1], np.ones(len(change))])
        return x[sound], change[sound]
