"""Fixed time: every phase for as long as the plan says, whatever the traffic."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from nervure.core.junction import Junction

__all__ = ["FixedPlan"]


class FixedPlan:
    """The plan of the junctions themselves, or other greens: ``green_s`` by junction, a number a phase.

    Greens do not know of each other's clearance: a phase's green is from its command to the next one.
    Decides every second, as plans are in seconds; one that is asked less often shows whole steps.
    """

    name = "fixed plan"

    def __init__(
        self, junctions: Sequence[Junction], green_s: Mapping[str, Sequence[float]] | None = None,
        *, every_s: float = 1.0,
    ) -> None:  # fmt: skip
        self.every_s = every_s
        self._green_s = {
            one.name: tuple(
                green_s[one.name] if green_s is not None else (span + one.yellow_s for span in one.plan_s)
            )
            for one in junctions
        }
        self._command = {one.name: one.command for one in junctions}
        self._begun_s: float | None = None

    def decide(self, seen: Mapping[str, float], now_s: float) -> Mapping[str, float]:
        """Return the phase of each junction by the clock alone."""
        if self._begun_s is None:
            self._begun_s = now_s
        return {
            self._command[name]: float(self._phase(name, now_s - self._begun_s)) for name in self._command
        }

    def _phase(self, name: str, elapsed_s: float) -> int:
        greens = self._green_s[name]
        left = elapsed_s % sum(greens)
        for phase, green in enumerate(greens):
            left -= green
            if left < 0:
                return phase
        return len(greens) - 1
