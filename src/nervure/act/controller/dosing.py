"""Chlorine enough for the last house and not too much for the first: a dose by PI, or planned.

What raw water uses up at once is not known and changes with rain; what is left decays on its way. PI holds
the first analyser in the net, with an aim that the farthest analysers move. The planner knows from the flow
which dose the analyser sees now, so it knows what raw water used up; it learns what part of what leaves the
works comes to each analyser by hour of the day; and solves a linear programme for the least dose that keeps
all of them within limits over the next hours. Control of chlorine so: Polycarpou et al., IEEE Control
Systems Magazine 22(5), 2002; Wang, Polycarpou, Uber & Shang, IEEE Trans. Control Systems Technology 14(3),
2006. Neither notices an analyser that lies: that is the interlocks' business. Solved by HiGHS through scipy;
not to be loaded beside ortools.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Mapping

import msgspec
import numpy as np
from numpy.typing import NDArray

__all__ = ["ConstantDose", "DosePI", "DosePlan", "Works", "plan"]

Floats = NDArray[np.float64]
STEP_H = 0.25
_DAY = round(24 / STEP_H)
_AHEAD = 24
_FEWEST = _DAY // 2
_SLOW = 0.85  # of an old mean by hour of the day, where a new day comes in


class Works(msgspec.Struct, frozen=True, kw_only=True):
    """Where chlorine is dosed, in mg/L, and where it is measured.

    A reading by the name of ``dose`` is what is in force: interlocks may have had another word than we.

    ``volume_m3`` is that of the pipes from the works to the analyser ``near``, ``pumps`` measure the flow;
    ``swing`` is by how much a dose may change in a step of a quarter of an hour.
    """

    dose: str
    near: str
    far: tuple[str, ...]
    pumps: tuple[str, ...]
    volume_m3: float
    low: float = 0.2
    high: float = 0.5
    most: float = 1.5
    swing: float = 0.2
    usual: float = 0.6
    """The dose without knowing anything."""


class ConstantDose:
    """The same dose, always."""

    def __init__(self, works: Works) -> None:
        self._works = works

    def decide(self, _hour: float, _readings: Mapping[str, float]) -> dict[str, float]:
        """Return the dose."""
        return {self._works.dose: self._works.usual}


def _read(works: Works, readings: Mapping[str, float]) -> tuple[float, Floats, float] | None:
    """Return the near analyser, the far ones and the flow in m3/h; None where one is silent."""
    near = readings.get(f"{works.near}/quality", np.nan)
    far = np.array([readings.get(f"{one}/quality", np.nan) for one in works.far])
    flow = sum(readings.get(f"{one}/flow", np.nan) for one in works.pumps)
    sound = np.isfinite(near) and np.isfinite(far).all() and np.isfinite(flow)
    return (near, far, flow) if sound else None


class DosePI:
    """Proportional and integral, on the near analyser; its aim moves until the far ones have enough."""

    def __init__(self, works: Works, *, gain: float = 0.3, integral: float = 0.12) -> None:
        self._works, self._gain, self._integral = works, gain, integral
        self._dose = self._sum = works.usual
        self._aim = (works.low + works.high) / 2 + 0.05
        self._lowest: deque[float] = deque(maxlen=_DAY)

    def decide(self, _hour: float, readings: Mapping[str, float]) -> dict[str, float]:
        """Return the dose, every quarter of an hour; nothing where an analyser is silent."""
        seen, works = _read(self._works, readings), self._works
        if seen is None:
            return {}
        near, far, flow = seen
        force = readings.get(works.dose, self._dose)
        self._sum, self._dose = self._sum + force - self._dose, force
        self._lowest.append(float(far.min()))
        if flow > 0:  # standing water says nothing of the dose
            self._trim()
            off = self._aim - near
            self._sum = min(max(self._sum + self._integral * off, 0.0), works.most)
            wanted = min(max(self._sum + self._gain * off, 0.0), works.most)
            self._dose = min(max(wanted, self._dose - works.swing), self._dose + works.swing)
        return {works.dose: self._dose}

    def _trim(self) -> None:
        works, least = self._works, min(self._lowest)
        step = 0.004 * (least < works.low + 0.04) - 0.002 * (least > works.low + 0.08)
        self._aim = min(max(self._aim + step, works.low + 0.1), works.high - 0.05)


class _Share:
    """What part of what leaves the works comes to an analyser, by hour of the day: mean and spread."""

    def __init__(self, first: float) -> None:
        self.mean, self.spread = np.full(24, first), np.full(24, 0.1)
        self._seen = np.zeros(24, dtype=np.int64)

    def learn(self, hour: int, share: float) -> None:
        """Take up what was seen at an hour of the day."""
        keep = _SLOW ** (1 / 4) if self._seen[hour] >= 4 else self._seen[hour] / (self._seen[hour] + 1.0)
        off = share - self.mean[hour]
        self.mean[hour] += (1 - keep) * off
        self.spread[hour] = np.sqrt(keep * self.spread[hour] ** 2 + (1 - keep) * off**2)
        self._seen[hour] += 1


def plan(
    works: Works, dose: float, used: Floats, least: Floats, most: Floats, *, slow: float = 0.05
) -> Floats:
    """Return the doses of the coming steps in mg/L, ``[step]``; the first is the next one.

    ``used [step]`` is what raw water will use up, ``least`` and ``most [step]`` what has to leave the
    works at least and at most. A plan always exists: limits can be missed at a price. Raises RuntimeError
    where HiGHS fails.
    """
    from scipy.optimize import linprog

    count = len(used)
    one, none = np.eye(count), np.zeros((count, count))
    move = one - np.eye(count, k=-1)
    was = np.concatenate([[dose], np.zeros(count - 1)])
    # doses, short, over, moves up and down
    cost = np.concatenate([np.full(count, 0.01), np.full(2 * count, 10.0), np.full(2 * count, slow)])
    upper = np.block([[-one, -one, none, none, none], [one, none, -one, none, none]])
    equal = np.hstack([move, none, none, -one, one])
    bounds = [(0.0, works.most)] * count + [(0.0, None)] * 2 * count + [(0.0, works.swing)] * 2 * count
    found = linprog(
        cost, A_ub=upper, b_ub=np.concatenate([-(least + used), most + used]), A_eq=equal, b_eq=was,
        bounds=bounds, method="highs-ds",
    )  # fmt: skip
    if found.x is None:
        raise RuntimeError(f"the dose was not planned: {found.message}")
    doses: Floats = found.x[:count]
    return doses


class DosePlan:
    """PI for the first half day, then the least dose that keeps every analyser within limits.

    ``spent_s`` keeps the processor's time of every solve.
    """

    def __init__(self, works: Works) -> None:
        self._works, self._first = works, DosePI(works)
        self._dose, self._used, self._slope = works.usual, 0.2, 0.0
        self._sent: deque[tuple[float, float]] = deque(maxlen=4 * _DAY)  # dose, and m3 that left with it
        self._left: deque[float] = deque(maxlen=_DAY)
        self._shares = {one: _Share(0.8) for one in works.far}
        self._steps = 0
        self.spent_s: list[float] = []

    def decide(self, hour: float, readings: Mapping[str, float]) -> dict[str, float]:
        """Return the dose, every quarter of an hour; nothing where an analyser is silent."""
        seen, works = _read(self._works, readings), self._works
        if seen is None:
            return {}
        near, far, flow = seen
        self._steps += 1
        self._dose = readings.get(works.dose, self._dose)
        self._sent.append((self._dose, flow * STEP_H))
        if flow > 0:
            self._watch(near)
        self._learn(hour, far)
        first = self._first.decide(hour, readings)[works.dose]
        if self._steps < _FEWEST:
            self._dose = first
        elif flow > 0:
            self._dose = self._planned(hour)
        return {works.dose: self._dose}

    def _watch(self, near: float) -> None:
        """See what raw water used up of the dose that the near analyser sees now."""
        volume = 0.0
        for steps, (dose, m3) in enumerate(reversed(self._sent)):
            volume += m3
            if volume >= self._works.volume_m3:
                ago, told = steps, dose
                break
        else:
            return
        then = self._used + self._slope * -ago
        off = (told - near) - then
        self._used += 0.5 * off
        self._slope = min(max(0.97 * self._slope + 0.04 * off, -0.01), 0.01)
        self._used = min(max(self._used + self._slope, 0.0), 2.0)
        self._left.append(near)

    def _learn(self, hour: float, far: Floats) -> None:
        """Learn what comes to the far analysers of what left, as it was on the mean of half a day."""
        if len(self._left) < _DAY // 4:
            return
        left = float(np.mean(list(self._left)[-_DAY // 2 :]))
        for one, quality in zip(self._works.far, far.tolist(), strict=True):
            self._shares[one].learn(int(hour) % 24, min(max(quality / max(left, 0.05), 0.1), 1.3))

    def _planned(self, hour: float) -> float:
        works = self._works
        ahead = np.arange(_AHEAD)
        used = np.maximum(self._used + self._slope * np.minimum(ahead, 6), 0.0)
        at = ((hour + ahead * STEP_H) % 24).astype(np.int64)
        worst = min(
            float((one.mean - 1.5 * one.spread).clip(0.2).min()) for one in self._shares.values()
        )  # whatever leaves now is drawn at any hour of the coming day
        best = max(float(one.mean[at].max()) for one in self._shares.values())
        least = np.full(_AHEAD, min((works.low + 0.03) / worst, works.high - 0.08))
        most = np.full(_AHEAD, min(works.high - 0.04, (works.high - 0.02) / max(best, 0.5)))
        begun = time.thread_time()
        found = plan(works, self._dose, used, least, np.maximum(most, least))
        self.spent_s.append(time.thread_time() - begun)
        return float(found[0])
