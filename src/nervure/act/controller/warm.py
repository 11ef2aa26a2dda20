"""A learned controller of heat: a signed ONNX file that rates setpoints, behind a shield of its own.

The shield: no setpoint outside the band of the hour; every band is prepared as a schedule would, whatever the
net wants; what is not a rating is the schedule. So a bad net costs money, not comfort.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from nervure.act.controller.package import open_net
from nervure.act.controller.thermostat import Schedule, setpoints
from nervure.core.comfort import Comfort
from nervure.core.hearth import CHOICES, FEATURES, Hearth

__all__ = ["LEAD_H", "LearnedHeat", "shielded"]

Floats = NDArray[np.float64]
Foresee = Callable[[float, int], tuple[Floats, Floats]]
LEAD_H = 2.0
"""How long before a band begins the shield prepares it."""


def shielded(
    hour: float, wanted: Mapping[str, tuple[float, float]], schedule: Schedule, readings: Mapping[str, float]
) -> dict[str, float]:
    """Return setpoints as wanted by zone, heat and cold in Cel, but never less than a schedule has them."""
    least = schedule.decide(hour, readings)
    found: dict[str, float] = {}
    for zone, (heat, cold) in wanted.items():
        low, high = least[f"{zone}/heat_setpoint"], least[f"{zone}/cool_setpoint"]
        warm = min(max(heat, low), high - 0.5)
        found |= setpoints(zone, warm, max(min(cold, high), warm + 0.5))
    return found


class LearnedHeat:
    """A net that was taught in a twin; decides every half hour, and holds in between.

    ``foresee(hour, count)`` returns outdoors in Cel and sun in W/m2, ``[hour]`` each. ``verdicts`` counts
    what became of its choices: ``passed``, ``raised`` (the schedule wanted more), ``invalid``. Nothing of
    the file is read before its signature holds; raises ``ModelError`` for a file that nobody trusted has
    signed, or that is no controller of heat.
    """

    def __init__(
        self,
        model: bytes,
        trusted: Iterable[bytes],
        zones: Sequence[str],
        comfort: Comfort,
        price: Callable[[float], float],
        foresee: Foresee,
    ) -> None:
        self._session, self.card, _ = open_net(model, trusted, FEATURES, of="heat")
        self._zones, self._hearth = tuple(zones), Hearth(zones, comfort, price)
        self._schedule, self._foresee = Schedule(zones, comfort, LEAD_H), foresee
        self.verdicts: Counter[str] = Counter()
        self._held: dict[str, int] | None = {}

    def decide(self, hour: float, readings: Mapping[str, float]) -> dict[str, float]:
        """Return setpoints in Cel; hours since a Monday's midnight."""
        if abs(hour * 2 - round(hour * 2)) < 1e-6:
            self._held = self._chosen(hour, readings)
        if not self._held:
            return self._schedule.decide(hour, readings)
        wanted = {zone: self._hearth.setpoints(hour, one) for zone, one in self._held.items()}
        return shielded(hour, wanted, self._schedule, readings)

    def _chosen(self, hour: float, readings: Mapping[str, float]) -> dict[str, int] | None:
        """Return the choice of every zone; None where the net says nothing of use."""
        outdoor, sun = self._foresee(hour, 12)
        views = self._hearth.look(hour, readings, outdoor, sun)
        rated: NDArray[np.float32] = self._session.run(["y"], {"x": views})[0]
        if not (np.isfinite(views).all() and np.isfinite(rated).all() and rated.shape[1] == len(CHOICES)):
            self.verdicts["invalid"] += 1
            return None
        self.verdicts["passed"] += 1
        return dict(zip(self._zones, rated.argmax(axis=1).tolist(), strict=True))
