"""What a controller is: readings in, commands out, by the names of sensors and actuators."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

__all__ = ["Controller"]


class Controller(Protocol):
    """Decides every ``every_s`` seconds. It holds what it remembers; one is for one run."""

    name: str
    every_s: float

    def decide(self, seen: Mapping[str, float], now_s: float) -> Mapping[str, float]:
        """Return commands by actuator; what is not named is left to the local plan.

        ``seen`` are the newest readings by sensor, NaN or missing where there is none that is fresh;
        ``now_s`` is a clock that only goes forward.
        """
        ...
