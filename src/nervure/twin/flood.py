"""The twin of a river in flood: rain to runoff by unit hydrograph, down reaches by Muskingum, through gates.

Excess rain by the curve number (USDA, National Engineering Handbook, part 630, chapter 10, 2004), the
dimensionless unit hydrograph of the same handbook's chapter 16 (a gamma curve), routing by McCarthy's
Muskingum as in Chow, Maidment & Mays, Applied Hydrology, 1988, section 8.4. Two tributaries meet above a
basin with a gate, which keeps water back from the town below, and an outlet, which gives it back. Levels
follow from a rating curve. Backwater and water beside the river are not in it, nor sewers.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from nervure.twin.api import Actuator, Description, Sensor, TwinError
from nervure.twin.ask import checked, given, pack, unpack, within
from nervure.twin.chance import rest_otherwise

__all__ = [
    "BANK_M",
    "BANK_M3_S",
    "BASIN_M3",
    "GATE_M3_S",
    "OUTLET_M3_S",
    "STEP_S",
    "Flood",
    "muskingum",
    "runoff",
    "tributaries",
    "unit_hydrograph",
]

Floats = NDArray[np.float64]
STEP_S = 900.0
_KNOWN = {
    "rain_mm": 80.0, "rain_h": 12.0, "rain_after_h": 6.0, "curve_number": 75.0, "area_km2": 120.0,
    "lag_h": 4.0, "base_m3_s": 6.0, "k_h": 2.0, "x": 0.2,
    "again_mm": 0.0, "again_h": 8.0, "again_after_h": 30.0,
}  # fmt: skip
_CAN = {
    **dict.fromkeys(("rain_mm", "again_mm", "base_m3_s"), (0.0, 1e6)),
    **dict.fromkeys(("rain_h", "rain_after_h", "again_h", "again_after_h"), (0.0, 1e4)),
    "curve_number": (1.0, 99.9), "area_km2": (0.0, 1e6), "lag_h": (0.01, 1e4), "k_h": (0.01, 1e4),
    "x": (0.0, 0.5),
}  # fmt: skip
_HOURS = 96
_STATE = ("at", "given", "seed", "gate", "outlet", "stored", "routed", "sums", "rain", "last")
GATE_M3_S, OUTLET_M3_S, BASIN_M3 = 40.0, 20.0, 1.5e6
"""What the open gate takes at most, what the open outlet gives back, and what the basin holds."""
BANK_M = 3.2
"""The level at the town that reaches its bank."""
BANK_M3_S = 25 * 0.001**0.5 / 0.035 * BANK_M ** (1 / 0.6)
"""The flow that does, by the rating curve."""


def unit_hydrograph(lag_h: float, step_h: float) -> Floats:
    """Return how a step's excess rain runs off, ``[step]``, which sums to one.

    >>> one = unit_hydrograph(4.0, 0.25)
    >>> round(float(one.sum()), 6), float(one.argmax() * 0.25)
    (1.0, 4.0)
    """
    peak = lag_h + step_h / 2
    time = (np.arange(round(6 * peak / step_h)) + 0.5) * step_h / peak
    shape = (time * np.exp(1 - time)) ** 3.7
    found: Floats = shape / shape.sum()
    return found


def runoff(rain_mm: Floats, curve_number: float) -> Floats:
    """Return the excess of rain in mm, ``[step]``, of rain ``[step]`` that falls on ground as dry as usual.

    >>> float(runoff(np.array([50.0, 50.0]), 80.0).sum().round(1))
    50.5
    """
    storage = 25_400 / curve_number - 254
    fallen = np.cumsum(rain_mm)
    over = np.maximum(fallen - 0.2 * storage, 0.0)
    total = over**2 / (over + storage)
    return np.diff(total, prepend=0.0)


def muskingum(inflow: Floats, k_h: float, x: float, step_h: float, reaches: int = 1) -> Floats:
    """Return what leaves a river, ``[step]``, of what enters it; flows in any unit.

    Raises TwinError where the step fits the reach so badly that flows would turn negative.
    """
    low, high = 2 * k_h * x, 2 * k_h * (1 - x)
    if not low <= step_h <= high:
        raise TwinError(
            f"a step of {step_h:g} h does not fit a reach of {k_h:g} h with x = {x:g}",
            hint=f"take steps of {low:g} to {high:g} h, or cut the reach",
        )
    down = step_h + high
    c0, c1, c2 = (step_h - low) / down, (step_h + low) / down, (high - step_h) / down
    flow = inflow
    for _ in range(reaches):
        out = np.empty_like(flow)
        out[0] = flow[0]
        for at in range(1, len(flow)):
            out[at] = c0 * flow[at] + c1 * flow[at - 1] + c2 * out[at - 1]
        flow = out
    return flow


def tributaries(rain_mm: Floats, scenario: Mapping[str, float]) -> Floats:
    """Return what both tributaries bring to the gate, ``[2, step]`` in m3/s, of rain ``[2, step]`` in mm.

    A step is 15 minutes; the scenario tells the curve number, area, lag, base flow, and the reach.
    """
    hours = STEP_S / 3600
    out = np.empty_like(rain_mm)
    for branch, share in enumerate((0.6, 0.4)):
        excess = runoff(rain_mm[branch], scenario["curve_number"])
        volume = excess / 1000 * scenario["area_km2"] * share * 1e6 / STEP_S
        flow = np.convolve(volume, unit_hydrograph(scenario["lag_h"] * (1 + 0.3 * branch), hours))
        flow = flow[: rain_mm.shape[1]] + scenario["base_m3_s"] * share
        pieces = max(1, round(scenario["k_h"] / hours / 2))
        out[branch] = muskingum(flow, scenario["k_h"] / pieces, scenario["x"], hours, pieces)
    return out


def _efficiency(own: Floats, seen: Floats) -> float:
    """Return that of Nash and Sutcliffe, ``[time]`` each, of what was measured."""
    spread = max(float(np.nansum((seen - np.nanmean(seen)) ** 2)), 1e-9)
    return 1 - float(np.nansum((own - seen) ** 2)) / spread


_LEAST = 16
"""So often flow has to be measured in the last third, and before it."""


class Flood:
    """A storm over two tributaries, and a gate that fills a basin above the town; a step is 15 minutes.

    Its local plan leaves both shut: a gate of 0 keeps nothing back, of 1 takes up to 40 m3/s into the basin;
    an outlet of 1 gives up to 20 m3/s back. ``again_mm`` is a second storm, ``again_after_h`` after the
    first began.
    """

    def __init__(self) -> None:
        gate = Actuator(name="basin/gate", thing="basin", signal="gate", unit="1", low=0, high=1, rest=0)
        outlet = Actuator(name="basin/outlet", thing="basin", signal="gate", unit="1", low=0, high=1, rest=0)
        self._actuators = {gate.name: gate, outlet.name: outlet}
        self.reset()

    def describe(self) -> Description:
        """Say what there is."""
        named = (
            ("hills/rain", "rain", "mm/h"), ("north/flow", "flow", "m3/s"), ("south/flow", "flow", "m3/s"),
            ("town/flow", "flow", "m3/s"), ("town/level", "level", "m"), ("basin/filled", "filled", "%"),
        )  # fmt: skip
        return Description(
            name="flood",
            engine="curve number, unit hydrograph and Muskingum, numpy",
            step_s=STEP_S,
            sensors=tuple(Sensor(name=a, thing=a.split("/")[0], signal=b, unit=c) for a, b, c in named),
            actuators=tuple(self._actuators.values()),
            kpis={
                "peak_flow": "m3/s",
                "peak_level": "m",
                "over_bank": "h",
                "over_volume": "m3",
                "stored": "m3",
            },
        )

    def reset(self, *, seed: int = 0, scenario: Mapping[str, float] | None = None) -> Mapping[str, float]:
        """Start anew; the seed sets how the storm's rain falls in time and over the two tributaries."""
        self._given = within(given(scenario, _KNOWN), _CAN)
        self._seed, self._at, self._gate, self._outlet = seed, 0, 0.0, 0.0
        self._stored, self._sums = 0.0, np.zeros(4)
        self._rain, self._last = self._storm(seed), 2 * self._given["base_m3_s"]
        self._routed = tributaries(self._rain, self._given)
        return self._read()

    def step(self) -> Mapping[str, float]:
        """Let a quarter of an hour pass; past its storms it is dry, and rivers fall to their base flow."""
        self._at += 1
        self._reach()
        coming = float(self._routed[:, self._at].sum())
        back = min(OUTLET_M3_S * self._outlet, self._stored / STEP_S)
        kept = min(GATE_M3_S * self._gate, max(coming - self._given["base_m3_s"], 0.0))
        kept = min(kept, (BASIN_M3 - self._stored) / STEP_S + back) - back
        self._stored += kept * STEP_S
        low, high = 2 * 0.5 * 0.1, 2 * 0.5 * 0.9  # the last reach to the town: half an hour
        step = STEP_S / 3600
        c2 = (high - step) / (step + high)
        self._last = (1 - c2) * (coming - kept) + c2 * self._last if low <= step else coming - kept
        level = _level(self._last)
        self._sums = np.array(
            [
                max(self._sums[0], self._last),
                max(self._sums[1], level),
                self._sums[2] + (level > BANK_M) * step,
                self._sums[3] + max(self._last - BANK_M3_S, 0.0) * STEP_S,
            ]
        )
        return self._read()

    @property
    def rain_mm(self) -> Floats:
        """The storm's rain in mm a step, ``[step]``, mean of both tributaries: what a forecast aims at."""
        found: Floats = self._rain.mean(axis=0)
        return found

    @property
    def scenario(self) -> Mapping[str, float]:
        """All quantities of the scenario that runs."""
        return dict(self._given)

    def apply(self, commands: Mapping[str, float]) -> None:
        """Set the gates."""
        wanted = checked(commands, self._actuators)
        self._gate = wanted.get("basin/gate", self._gate)
        self._outlet = wanted.get("basin/outlet", self._outlet)

    def release(self, names: tuple[str, ...] | None = None) -> None:
        """Shut the gates."""
        back = names if names is not None else tuple(self._actuators)
        for name in back:
            if name not in self._actuators:
                raise TwinError(f"there is no actuator {name!r}")
        self._gate = 0.0 if "basin/gate" in back else self._gate
        self._outlet = 0.0 if "basin/outlet" in back else self._outlet

    def snapshot(self) -> bytes:
        """Return the whole state."""
        return pack(
            {
                "at": self._at, "given": self._given, "seed": self._seed, "gate": self._gate,
                "outlet": self._outlet, "stored": self._stored, "routed": self._routed,
                "sums": self._sums, "rain": self._rain, "last": self._last,
            }
        )  # fmt: skip

    def restore(self, state: bytes) -> None:
        """Go back to a state."""
        found = unpack(state, _STATE)
        self.reset(seed=found["seed"], scenario=found["given"])
        self._at, self._gate, self._outlet = found["at"], found["gate"], found["outlet"]
        self._stored, self._rain, self._routed = found["stored"], found["rain"], found["routed"]
        self._sums, self._last = found["sums"], found["last"]

    def reseed(self, seed: int) -> None:
        """Let the rest of the rain fall otherwise in time, as much of it as was to come."""
        self._rain = rest_otherwise(self._rain, self._storm(seed), self._at + 1)
        self._seed, self._routed = seed, tributaries(self._rain, self._given)

    def calibrate(self, observed: Mapping[str, tuple[float, ...]]) -> Mapping[str, float]:
        """Fit lag and curve number to ``town/flow``, given ``hills/rain``; the last third is held out.

        Returns both and the held-out efficiency of Nash and Sutcliffe (J. Hydrology 10(3), 1970), 1 at best,
        ``uncalibrated`` too. Flows that were not measured (NaN) count for nothing; rain has to be known.
        """
        from scipy.optimize import minimize

        from nervure.twin.record import known

        if not {"town/flow", "hills/rain"} <= set(observed) or len(observed["town/flow"]) < 48:
            raise TwinError("calibrating needs 12 h of town/flow and hills/rain")
        flow, rain = np.array(observed["town/flow"]), np.array(observed["hills/rain"])
        cut, there = len(flow) * 2 // 3, np.isfinite(flow)
        known("hills/rain", rain)
        if there[:cut].sum() < _LEAST or there[cut:].sum() < _LEAST:
            raise TwinError(
                f"town/flow was measured less than {_LEAST} times in the last third, or before it"
            )

        def made(x: Floats) -> Floats:
            twin = Flood()
            twin.reset(scenario={**self._given, "lag_h": float(np.exp(x[0])), "curve_number": float(x[1])})
            told = np.concatenate([[0.0], rain]) * STEP_S / 3600  # what a step reads fell in it
            twin._rain = np.tile(told, (2, 1))
            twin._routed = tributaries(twin._rain, twin._given)
            return np.array([twin.step()["town/flow"] for _ in range(len(flow))])

        fit = minimize(
            lambda x: float(np.nanmean((made(x) - flow)[:cut] ** 2)), [np.log(4.0), 75.0],
            method="Nelder-Mead", bounds=[(np.log(0.5), np.log(24.0)), (40.0, 98.0)], options={"maxfev": 80},
        )  # fmt: skip
        before = np.array([np.log(self._given["lag_h"]), self._given["curve_number"]])
        return {
            "lag_h": float(np.exp(fit.x[0])),
            "curve_number": float(fit.x[1]),
            "held_out_efficiency": _efficiency(made(fit.x)[cut:], flow[cut:]),
            "uncalibrated_held_out_efficiency": _efficiency(made(before)[cut:], flow[cut:]),
        }

    def kpis(self) -> Mapping[str, float]:
        """Return the town's highest flow and level, hours and m3 over the bank, and what the basin holds."""
        flow, level, over, volume = self._sums.tolist()
        return {
            "peak_flow": flow, "peak_level": level, "over_bank": over, "over_volume": volume,
            "stored": self._stored,
        }  # fmt: skip

    def close(self) -> None:
        """Nothing is to be ended."""

    def _reach(self) -> None:
        """Go on without rain for as long again, where the run is past what was worked out of it."""
        while self._at >= self._routed.shape[1]:
            self._rain = np.hstack([self._rain, np.zeros_like(self._rain)])
            self._routed = tributaries(self._rain, self._given)

    def _storm(self, seed: int) -> Floats:
        """Return rain in mm a step on each tributary, ``[2, step]``: four days, or until it ends."""
        first, again = self._given["rain_after_h"], self._given["again_after_h"]
        ends = max(first + self._given["rain_h"], first + again + self._given["again_h"])
        rng = np.random.default_rng(seed)
        rain = np.zeros((2, max(_HOURS, math.ceil(ends) + 1) * round(3600 / STEP_S)))
        self._burst(rng, rain, self._given["rain_mm"], first, self._given["rain_h"])
        if self._given["again_mm"] > 0:
            self._burst(rng, rain, self._given["again_mm"], first + again, self._given["again_h"])
        return rain

    def _burst(
        self, rng: np.random.Generator, rain: Floats, total_mm: float, after_h: float, h: float
    ) -> None:
        """Let so much rain fall on both tributaries, heaviest in the middle."""
        begin, count = round(after_h * 3600 / STEP_S), round(h * 3600 / STEP_S)
        for branch in range(2):
            burst = rng.gamma(0.8, 1.0, count) * np.bartlett(count + 2)[1:-1]
            rain[branch, begin : begin + count] += total_mm * burst / max(burst.sum(), 1e-9)

    def _read(self) -> Mapping[str, float]:
        at = self._at
        return {
            "hills/rain": float(self._rain[:, at].mean()) * 3600 / STEP_S,
            "north/flow": float(self._routed[0, at]), "south/flow": float(self._routed[1, at]),
            "town/flow": self._last, "town/level": _level(self._last),
            "basin/filled": 100 * self._stored / BASIN_M3,
        }  # fmt: skip


def _level(flow_m3_s: float) -> float:
    """Return the level in m of a flow: Manning's formula for a wide channel of 25 m."""
    return float((flow_m3_s * 0.035 / (25 * 0.001**0.5)) ** 0.6)
