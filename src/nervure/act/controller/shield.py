"""A shield around any controller of signals: whatever it says, nobody waits for ever and nothing flickers.

Least green, most red, and who decides when the controller cannot be believed: max-pressure while detectors
can be, the local plan when they cannot. Shielding: Alshiekh et al., Safe Reinforcement Learning via
Shielding, AAAI 2018; clearance times are the twin's or the field controller's own.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence

from nervure.act.controller.api import Controller
from nervure.core.junction import Junction
from nervure.core.sight import Sight

__all__ = ["Shield"]

_PATIENCE_S = 60.0  # a vehicle that has waited longer where a controller let nobody through was forgotten
_TWICE_S = 300.0  # who is overruled again within this while somebody stands forgets too, if they creep
_BENCH_S = 600.0  # for which a controller that forgot somebody is not asked, the first time


class _Watch:
    """One junction under the shield."""

    def __init__(self, junction: Junction) -> None:
        self.sight = Sight(junction)
        self.benched = 0
        self.benched_until_s = self.overruled_s = -math.inf


class Shield:
    """Not a substitute for the interlocks of the field controller, which stay.

    ``verdicts`` counts what became of the proposals: ``passed``, ``green`` (the green was too young to
    end), ``red`` (a lane was red too long), ``invalid`` (not a phase, NaN, silent or broken), ``benched``
    (it had let vehicles wait before a red too long: max-pressure decides for ten minutes, then twenty, ...),
    ``blind`` (fewer than half of the detectors can be believed: the local plan).
    """

    def __init__(self, inner: Controller, junctions: Sequence[Junction]) -> None:
        self.name = inner.name
        self.every_s = inner.every_s
        self.verdicts: Counter[str] = Counter()
        self._inner = inner
        self._watches = [_Watch(one) for one in junctions]

    def decide(self, seen: Mapping[str, float], now_s: float) -> Mapping[str, float]:
        """Return the commands that are let through; a junction that nobody sees is left to its plan."""
        try:
            proposed = self._inner.decide(seen, now_s)
        except Exception:  # noqa: BLE001  # whatever a controller does, the street goes on
            proposed = {}
        found = {}
        for watch in self._watches:
            phase = self._judge(watch, proposed, seen, now_s)
            if phase is not None:
                watch.sight.show(phase)
                found[watch.sight.junction.command] = float(phase)
        return found

    def _judge(
        self, watch: _Watch, proposed: Mapping[str, float], seen: Mapping[str, float], now_s: float
    ) -> int | None:
        sight = watch.sight
        sight.look(seen, now_s)
        if sight.blind:
            self.verdicts["blind"] += 1
            return None
        wish = self._wish(watch, proposed.get(sight.junction.command, math.nan), now_s)
        due = sight.due(self.every_s)
        if due is not None and wish != due:
            self._overrule(watch, now_s)
            wish = due
        if wish != sight.phase and sight.green_s < sight.junction.min_green_s:
            self.verdicts["green"] += 1
            return sight.phase
        return wish

    def _wish(self, watch: _Watch, value: float, now_s: float) -> int:
        """Return the phase the controller wants, or max-pressure's where it is not to be believed."""
        phases = len(watch.sight.served)
        if now_s < watch.benched_until_s:
            self.verdicts["benched"] += 1
        elif not (math.isfinite(value) and value == int(value) and 0 <= value < phases):
            self.verdicts["invalid"] += 1
        else:
            self.verdicts["passed"] += 1
            return int(value)
        return watch.sight.better(watch.sight.worth(self.every_s))

    def _overrule(self, watch: _Watch, now_s: float) -> None:
        """Note that somebody had seen red too long; who lets them stand so long is benched, ever longer.

        A vehicle that creeps up has its wait begin anew, so waits alone would not show that it was forgotten.
        """
        self.verdicts["red"] += 1
        sight = watch.sight
        stands = sight.trusted & (sight.starved_s > 0) & (sight.queue > 0)
        if now_s < watch.benched_until_s or not stands.any():
            return
        again = now_s - watch.overruled_s <= _TWICE_S
        watch.overruled_s = now_s
        if again or sight.wait[stands].max() > _PATIENCE_S:
            watch.benched_until_s = now_s + _BENCH_S * 2**watch.benched
            watch.benched += 1
