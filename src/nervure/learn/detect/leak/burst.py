"""Which pipes will burst: a proportional-hazards model over age, beside histories whose truth is known.

Utilities' histories of breaks are not public with their pipes, so these are simulated, with a
hazard that is written down: what a model is worth can then be held against the truth.
"""

from __future__ import annotations

from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from nervure.core.error import DataError, EnvironmentMissing, ModelError

__all__ = ["FEATURES", "MATERIALS", "AgeOnly", "Histories", "PipeRisk", "concordance", "histories"]

Floats = NDArray[np.float64]
MATERIALS = ("cast iron", "asbestos cement", "ductile iron", "PVC")
FEATURES = ("log width", "pressure", *MATERIALS[1:])
_MATERIAL = (0.9, 0.5, 0.0, -0.6)  # log hazard
_SHAPE, _SCALE_Y = 2.2, 110.0  # Weibull of age


class Histories(NamedTuple):
    """Pipes seen for some years: ``x [pipe, feature]``, ages at the start and the end, and whether it broke.

    ``begin`` and ``end`` are ages in years; watching ends with the first break. ``relative [pipe]``
    is the log of the true hazard over that of age alone.
    """

    x: Floats
    begin: Floats
    end: Floats
    broke: NDArray[np.bool_]
    relative: Floats

    def chance(self, years: float) -> Floats:
        """Return the true chance ``[pipe]`` of a break within ``years`` of the beginning."""
        return _chance(_cumulative(self.begin + years) - _cumulative(self.begin), self.relative)


def _cumulative(age: Floats) -> Floats:
    found: Floats = (age / _SCALE_Y) ** _SHAPE
    return found


def _chance(hazard: Floats, relative: Floats) -> Floats:
    found: Floats = 1 - np.exp(-hazard * np.exp(relative))
    return found


def histories(pipes: int = 4000, years: float = 10.0, *, seed: int = 0) -> Histories:
    """Simulate pipes of four materials, 80 to 600 mm, 20 to 90 m of pressure, watched for ``years``.

    The hazard is a Weibull of age (shape 2.2), times material, width (thin ones break more),
    pressure, and a quarter of something that nobody has written down.
    """
    random = np.random.default_rng(seed)
    age = random.uniform(0, 90, pipes)
    lot = np.stack(
        [
            np.clip((age - 40) / 40, 0.05, 1),
            np.clip(1 - np.abs(age - 50) / 30, 0.05, 1),
            np.clip(1 - np.abs(age - 30) / 30, 0.05, 1),
            np.clip((45 - age) / 40, 0.02, 1),
        ]
    )
    share = lot / lot.sum(axis=0)
    material = (random.random(pipes) > np.cumsum(share, axis=0)).sum(axis=0).clip(0, 3)
    width = random.choice(
        [80, 100, 150, 200, 300, 400, 600], pipes, p=[0.1, 0.25, 0.25, 0.2, 0.1, 0.06, 0.04]
    )
    pressure = random.uniform(20, 90, pipes)
    relative = np.array(_MATERIAL)[material] - 0.6 * np.log(width / 150) + 0.015 * (pressure - 50)
    relative = relative + 0.25 * random.standard_normal(pipes)
    hazard = random.exponential(size=pipes) / np.exp(relative)
    broken = _SCALE_Y * (_cumulative(age) + hazard) ** (1 / _SHAPE)
    x = np.column_stack(
        [np.log(width / 150), (pressure - 50) / 20, *(material == one for one in range(1, len(MATERIALS)))]
    )
    return Histories(x, age, np.minimum(broken, age + years), broken <= age + years, relative)


class PipeRisk:
    """Cox's proportional hazards with age as time (Cox, J. R. Stat. Soc. B 34(2), 1972), by statsmodels.

    Pipes come under watch at the age they then have. Not for networks with fewer than some 50
    breaks, nor for ages that nobody has seen: the hazard there is that of the oldest seen.
    """

    name = "Cox proportional hazards"

    def __init__(self) -> None:
        self.weight: Floats | None = None

    def fit(self, seen: Histories) -> Self:
        """Estimate the weights, and the cumulative hazard of age by Breslow's sum."""
        if seen.broke.sum() < 5:
            raise DataError(f"{int(seen.broke.sum())} breaks are too few to learn from")
        self.weight = self._weights(seen)
        self._age, self._sum = _breslow(seen, np.exp(seen.x @ self.weight))
        return self

    def _weights(self, seen: Histories) -> Floats:
        model = _phreg()(seen.end, seen.x, status=seen.broke.astype(int), entry=seen.begin, ties="efron")
        return np.asarray(model.fit(disp=0).params, dtype=np.float64)

    def chance(self, seen: Histories, years: float) -> Floats:
        """Return the chance ``[pipe]`` of a break within ``years`` of the age at which watching begins."""
        if self.weight is None:
            raise ModelError("the risk has not been fitted")
        hazard = self._hazard(seen.begin + years) - self._hazard(seen.begin)
        return _chance(hazard, seen.x @ self.weight)

    def _hazard(self, age: Floats) -> Floats:
        """Return the cumulative hazard at ages; beyond the last one seen it goes on as in the last decade."""
        last = float(self._age[-1])
        known = np.interp(age, self._age, self._sum)
        ten = float(self._sum[-1] - np.interp(last - 10, self._age, self._sum)) / 10
        found: Floats = known + np.maximum(age - last, 0.0) * ten
        return found


class AgeOnly(PipeRisk):
    """The rule of most utilities: the older the riskier, with the hazard that pipes of that age had."""

    name = "age alone"

    def _weights(self, seen: Histories) -> Floats:
        return np.zeros(seen.x.shape[1])


def _phreg() -> Any:
    try:
        from statsmodels.duration.hazard_regression import PHReg
    except ImportError as cause:
        raise EnvironmentMissing(
            "statsmodels is not installed", hint="pip install 'nervure[maintain]'"
        ) from cause
    return PHReg


def _breslow(seen: Histories, risk: Floats) -> tuple[Floats, Floats]:
    """Return ages of breaks and the cumulative hazard there, from 0 on (Breslow, Biometrics 30(1), 1974)."""
    ages = np.sort(seen.end[seen.broke])
    entered, left = np.argsort(seen.begin), np.argsort(seen.end)
    came = np.r_[0.0, np.cumsum(risk[entered])][np.searchsorted(seen.begin[entered], ages, side="left")]
    went = np.r_[0.0, np.cumsum(risk[left])][np.searchsorted(seen.end[left], ages, side="left")]
    return np.r_[0.0, ages], np.r_[0.0, np.cumsum(1 / np.maximum(came - went, 1e-9))]


def concordance(risk: Floats, seen: Histories) -> float:
    """Return the share of pairs, one broken first, in which the riskier pipe did (Harrell et al., 1982).

    Time is counted from the beginning of watching; ties in risk count half.

    >>> two = histories(2)._replace(begin=np.zeros(2), end=np.array([1.0, 3.0]))
    >>> two = two._replace(broke=np.array([True, False]))
    >>> concordance(np.array([0.9, 0.1]), two)
    1.0
    """
    time = seen.end - seen.begin
    order = np.flatnonzero(seen.broke)
    later = time[None] > time[order, None]
    more = (risk[order, None] > risk[None]) + 0.5 * (risk[order, None] == risk[None])
    return float((more * later).sum() / max(later.sum(), 1))
