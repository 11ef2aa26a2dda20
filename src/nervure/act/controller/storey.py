"""An office's rule with its fan, and a learned controller on top of it: a signed ONNX file behind a shield.

The shield is the rule: what the learned start heats or cools is heated and cooled, whatever the net wants; it
may heat or cool more, earlier, or while nobody is there (for the mass to keep), never past the band while
somebody is, and let an empty storey become colder until the rule starts. So a bad net costs electricity, and
comfort only as far as the rule starts too late from so cold; what is not a rating is the rule alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from nervure.act.controller.package import open_net
from nervure.act.controller.thermostat import LearnedStart
from nervure.core.comfort import OFFICE, Comfort
from nervure.core.storey import AHEAD_H, CHOICES, FEATURES, Storey

__all__ = ["EMPTY_C", "LearnedStorey", "raised", "start", "with_fan"]

Floats = NDArray[np.float64]
Foresee = Callable[[float, int], tuple[Floats, Floats]]
EMPTY_C = 13.5
"""A heating setpoint up to here asks for nothing: it only keeps an empty building from getting colder."""
_OFF_C = 39.0
_LEAST_K = 0.5  # between heating and cooling
_NEAR_K = 0.7  # above a heating setpoint, where the fan comes on


def start(zones: Sequence[str], comfort: Comfort = OFFICE, *, least_c: float = 12.8) -> LearnedStart:
    """Return the learned start as offices use it; ``least_c`` is how cold an empty zone may become in Cel."""
    return LearnedStart(zones, comfort, most_late_k=0.2, ready_h=0.1, least_c=least_c)


def with_fan(
    commands: Mapping[str, float], readings: Mapping[str, float], zones: Sequence[str], fan: str
) -> dict[str, float]:
    """Return the commands with the fan on where a zone is asked to be held, or nearly as cold as it may be.

    >>> idle = {"hall/heat_setpoint": 12.8, "hall/cool_setpoint": 40.0}
    >>> with_fan(idle, {"hall/temperature": 18.0}, ["hall"], "supply")["supply/fan"]
    0.0
    """
    needed = False
    for zone in zones:
        low, high = commands[f"{zone}/heat_setpoint"], commands[f"{zone}/cool_setpoint"]
        needed |= low > EMPTY_C or high < _OFF_C or readings[f"{zone}/temperature"] < low + _NEAR_K
    return {**commands, f"{fan}/fan": float(needed)}


def raised(commands: Mapping[str, float], zones: Sequence[str], choice: int) -> dict[str, float]:
    """Return a rule's setpoints, heated or cooled by as much more as a choice has it, or let go further.

    >>> raised({"hall/heat_setpoint": 21.0, "hall/cool_setpoint": 24.0}, ["hall"], 6)
    {'hall/heat_setpoint': 21.0, 'hall/cool_setpoint': 21.5}
    """
    heat, cold, least = CHOICES[choice]
    found: dict[str, float] = {}
    for zone in zones:
        low, high = commands[f"{zone}/heat_setpoint"], commands[f"{zone}/cool_setpoint"]
        if least is not None and low <= EMPTY_C:  # nobody is there, and nobody comes soon
            low = min(low, least)
        warm = low if heat is None else max(low, min(heat, high - _LEAST_K))
        cool = high if cold is None else min(high, max(cold, warm + _LEAST_K))
        found |= {f"{zone}/heat_setpoint": warm, f"{zone}/cool_setpoint": cool}
    return found


class LearnedStorey:
    """A net that was taught in a twin; decides every half hour, and holds in between.

    ``foresee(hour, count)`` returns outdoors in Cel and sun in W/m2, ``[hour]`` each. ``fan`` is its
    actuator's name, None where it is not ours to switch. ``verdicts`` counts what became of the choices:
    ``rule``, ``other``, ``invalid``. Raises ``ModelError`` for a file that nobody trusted has signed, or that
    is no controller of a storey.
    """

    def __init__(
        self,
        model: bytes,
        trusted: Iterable[bytes],
        zones: Sequence[str],
        comfort: Comfort,
        foresee: Foresee,
        *,
        fan: str | None = None,
    ) -> None:
        self._session, self.card, _ = open_net(model, trusted, FEATURES, of="a storey")
        self._zones, self._storey, self._fan = tuple(zones), Storey(zones, comfort), fan
        self._rule, self._foresee = start(zones, comfort), foresee
        self.verdicts: Counter[str] = Counter()
        self._choice = 0

    def decide(self, hour: float, readings: Mapping[str, float]) -> dict[str, float]:
        """Return setpoints in Cel, and the fan; hours since a Monday's midnight."""
        rule = self._rule.decide(hour, readings)
        if abs(hour * 2 - round(hour * 2)) < 1e-6:
            self._choice = self._chosen(hour, readings)
        commands = raised(rule, self._zones, self._choice)
        if self._fan is None:
            return commands
        return with_fan(commands, readings, self._zones, self._fan)

    def _chosen(self, hour: float, readings: Mapping[str, float]) -> int:
        """Return the choice of the storey; that of the rule where the net says nothing of use."""
        outdoor, sun = self._foresee(hour, AHEAD_H)
        told = self._storey.look(hour, readings, outdoor, sun)
        rated: NDArray[np.float32] = self._session.run(["y"], {"x": told})[0]
        if not (np.isfinite(told).all() and np.isfinite(rated).all() and rated.shape == (1, len(CHOICES))):
            self.verdicts["invalid"] += 1
            return 0
        choice = int(rated[0].argmax())
        self.verdicts["other" if choice else "rule"] += 1
        return choice
