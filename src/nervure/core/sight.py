"""What a controller makes of a junction's detectors, some of which are silent, stuck or wrong."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from nervure.core.junction import Junction

__all__ = ["EVERY_S", "FEATURES", "Sight"]

Floats = NDArray[np.float64]
_STUCK = 12  # readings in a row that are the same to the last digit: nobody believes them
_ALIVE_S = 300.0  # a detector that has seen nobody for longer may be dead
_GAPS = 8.0  # times as long as a lane mostly sees nobody, and longer than the next: somebody is missed
_BUSY_S = 60.0  # who has seen somebody within this is among traffic
_LEARN_GAP = 0.1
_LEARN = 0.02
_WAIT_S = 240.0  # a lane whose first vehicle has waited this long presses twice, to who learns
_START_S = 1.0  # of a new green that passes before vehicles move
_SATURATION = 0.5  # vehicles that a green lane lets through in a second
_IDLE_WAIT_S = 10.0  # who has waited so long at an idle junction presses as one vehicle more
EVERY_S = 10.0
"""How often controllers of signals decide, unless told otherwise."""
FEATURES = ("count", "queue", "press", "arrivals", "wait", "red", "full", "on", "green")
"""What a learned controller is told of each phase."""

_BLIND = 0.5  # with fewer trusted lanes than this, nobody sees


class Sight:
    """The lanes of one junction, ``[lane]``, in its order; update it once a decision.

    A lane whose detectors are silent, or say the same for long, or see nobody for minutes where the lanes
    that go with it do, is taken to be as those are; if there are none, or if all that go together see nobody
    while others do, as it mostly is: the fuller the longer it has been red, the emptier the longer green.
    """

    def __init__(self, junction: Junction) -> None:
        self.junction = junction
        lanes = len(junction.lanes)
        self.served: Floats = np.array(junction.served)
        """``[phase, lane]``"""
        self.leads: Floats = np.array(junction.leads).reshape(lanes, len(junction.outs))
        """``[lane, out]``"""
        self.count: Floats = np.zeros(lanes)
        self.queue: Floats = np.zeros(lanes)
        self.wait: Floats = np.zeros(lanes)
        self.arrivals: Floats = np.zeros(lanes)
        self.full: Floats = np.zeros(len(junction.outs))
        self.red_s: Floats = np.zeros(lanes)
        """How long each lane has had no way."""
        self.starved_s: Floats = np.zeros(lanes)
        """How long the lane, or a turn of it, had no way and somebody was there, or may have been: of a
        dead detector nobody knows, and of who stands in a lane that others leave nobody knows the turn."""
        self.trusted: NDArray[np.bool_] = np.ones(lanes, np.bool_)
        self.phase = 0
        self.green_s = 0.0
        """How long the phase has been on."""
        self._names = tuple(
            junction.reading(lane, what)
            for what in ("count", "queue", "wait", "arrivals")
            for lane in junction.lanes
        )
        green = self.served > 0
        turns = [go for _, go in junction.turns]
        self._of = np.array([*range(lanes), *(lane for lane, _ in junction.turns)])  # [row] -> lane
        self._go = np.hstack([green, np.array(turns, np.bool_).reshape(len(turns), len(green)).T])
        self._held_s, self._shut_s = np.zeros((2, len(self._of)))  # as starved_s; whoever is there
        self._mates: Floats = (green[:, :, None] == green[:, None, :]).all(axis=0) - np.eye(lanes)
        """``[lane, lane]``: 1 where two have the way at the same times."""
        self._outs = tuple(junction.full(out) for out in junction.outs)
        self._usual: Floats = np.ones((2, lanes))  # of count and queue
        self._last: Floats = np.full(lanes, -1.0)
        self._same = np.zeros(lanes, np.int64)
        self._silent_s, self._gap_s = np.full(lanes, np.inf), np.full(lanes, _BUSY_S)  # now, and mostly
        self._awake_s = 0.0
        self._then_s: float | None = None

    @property
    def blind(self) -> bool:
        """Whether too few detectors can be believed to decide by them."""
        return bool(self.trusted.mean() < _BLIND)

    def look(self, seen: Mapping[str, float], now_s: float) -> None:
        """Take the newest readings; where the signal says which phase it shows, that one is on."""
        shown = seen.get(self.junction.shown, np.nan)
        if np.isfinite(shown) and 0 <= shown < len(self.served):
            self.show(int(shown))
        since = 0.0 if self._then_s is None else max(0.0, now_s - self._then_s)
        self._then_s = now_s
        self._awake_s += since
        self.green_s += since
        self.red_s = np.where(self.served[self.phase] > 0, 0.0, self.red_s + since)
        told = np.array([seen.get(name, np.nan) for name in self._names], np.float64).reshape(4, -1)
        sane = np.isfinite(told)
        said = np.where(sane, told, 0.0)
        self._believe(said, sane, since)
        usual = np.concatenate([self._usual, [self.red_s / 2, self._usual[0] / 2]])
        usual[:2] *= np.where(self.red_s > 0, 1 + self.red_s / 30.0, 1 / (1 + self.green_s / 10.0))
        beside = self._mates * self.trusted
        many = beside.sum(axis=1)
        guess = np.where(many > 0, said @ beside.T / np.maximum(many, 1), usual)
        self.count, self.queue, self.wait, self.arrivals = np.where(self.trusted & sane, said, guess)
        self.wait = np.maximum(self.wait, 0.0)
        new = self.trusted & (self._same == 0)
        self._usual = np.where(new, self._usual + _LEARN * (said[:2] - self._usual), self._usual)
        full = np.array([seen.get(name, np.nan) for name in self._outs], np.float64)
        self.full = np.where((full >= 0) & (full <= 1), full, 0.0)  # more than all of a lane is no reading

    def _believe(self, said: Floats, sane: NDArray[np.bool_], since: float) -> None:
        """Judge which lanes can be believed by what they say, ``[reading, lane]``, and who waits unseen."""
        count, queue, wait, _ = said
        told = np.where(sane[0], count + 1e-3 * wait, np.nan)
        self._same = np.where((told == self._last) & (count > 0), self._same + 1, 0)
        self._last = told
        good = sane[0] & sane[1] & (count >= 0) & (queue >= 0) & (self._same < _STUCK)
        came = good & (count > 0)
        gap_s = np.where(came & np.isfinite(self._silent_s), self._silent_s + since, self._gap_s)
        self._gap_s = self._gap_s + _LEARN_GAP * (gap_s - self._gap_s)
        self._silent_s = np.where(came, 0.0, self._silent_s + since)
        missed = self._silent_s > np.maximum(_GAPS * self._gap_s, _BUSY_S)
        quiet = missed | (self._silent_s > _ALIVE_S)
        self.trusted = good & ~(quiet & self._belied(quiet))
        there = quiet | np.where(self.red_s > 0, count > 0, queue > 0)
        self._starve(~self.trusted | missed, there, since)

    def _belied(self, quiet: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Tell of which lanes others say that somebody should be there, ``[lane]``.

        Lanes that go together and all see nobody are no proof of each other where traffic is all around.
        """
        busy = self._silent_s < _BUSY_S
        together = (self._mates.sum(axis=1) > 0) & (self._mates @ ~quiet == 0)
        return np.asarray(((self._mates @ busy > 0) | (together & busy.any())) & (self._awake_s > _ALIVE_S))

    def _starve(self, missed: NDArray[np.bool_], there: NDArray[np.bool_], since: float) -> None:
        """Count on for lanes and turns that are red; where somebody is missed, all the time of red counts."""
        go = self._go[self.phase]
        self._shut_s = np.where(go, 0.0, self._shut_s + since)
        held_s = np.where(missed[self._of], self._shut_s, self._held_s + since * there[self._of])
        self._held_s = np.where(go, 0.0, held_s)
        self.starved_s = np.zeros(len(there))
        np.maximum.at(self.starved_s, self._of, self._held_s)

    def show(self, phase: int) -> None:
        """Take it that this phase is on from now."""
        if phase != self.phase:
            self.phase, self.green_s = phase, 0.0

    def better(self, worth: Floats) -> int:
        """Return the phase that is worth most, ``[phase]``; of equals, the one that is on."""
        best = int(np.argmax(worth))
        return best if worth[best] > worth[self.phase] else self.phase

    def due(self, every_s: float) -> int | None:
        """Return the phase that has to be shown now so that nobody is kept waiting too long, or None.

        Every lane or turn that is red is put in a queue, who has waited longest first; who is served together
        goes together. If one of them would come too late by waiting for another decision, the first goes now.
        A slot is kept in reserve, as what comes until then may change who goes together.
        """
        one = self.junction
        first: int | None = None
        slots, covered = 1, self._go[self.phase] | (self._held_s <= 0)
        for row in np.argsort(-self._held_s, kind="stable"):
            if covered[row]:
                continue
            worth = np.where(self._go[:, row], self.served @ self.starved_s, -1.0)
            phase = int(np.argmax(worth))
            if worth[phase] < 0:  # no phase ever serves it
                continue
            slots += 1
            first = phase if first is None else first
            if self._held_s[row] + slots * max(every_s, one.min_green_s) + one.yellow_s > one.max_red_s:
                return first
            covered = covered | self._go[phase]
        return None

    def press(self, every_s: float = EVERY_S) -> Floats:
        """Return what presses for each phase, in vehicles, ``[phase]``; decided every ``every_s`` seconds.

        Who comes counts once, who stands twice, and both the more the longer the first has waited. A lane
        that is red now counts by the share of the time that is left of its green once others have cleared
        and its first vehicle moves: what a change costs is weighed against what it brings. Learned
        controllers are told this, so who changes it has to teach them anew.
        """
        return self._weighed((self.count + self.queue) * (1.0 + self.wait / _WAIT_S), every_s)

    def worth(self, every_s: float = EVERY_S) -> Floats:
        """Return what each phase is worth to max-pressure, in vehicles, ``[phase]``, weighed as ``press``.

        Who comes counts once, who stands twice, and each ten seconds that the first of those who stand has
        waited a vehicle more where the junction is idle: by the share that is free, in the fullest lane, of
        what the shortest green lets through. A change costs hardly anybody anything then, so who waits may
        go. Once a lane holds more than a green clears, vehicles alone count: waits that always press delay
        a full junction.
        """
        clears = _SATURATION * max(every_s, self.junction.min_green_s)
        idle = max(0.0, 1.0 - float(self.count.max(initial=0.0)) / clears)
        waits = np.where(self.queue > 0, self.wait / _IDLE_WAIT_S, 0.0)
        return self._weighed(self.count + self.queue + idle * waits, every_s)

    def _weighed(self, lanes: Floats, every_s: float) -> Floats:
        """Return what lanes bring to phases, ``[phase]``, by their room and what clearance leaves."""
        one = self.junction
        lost_s = one.yellow_s + _START_S
        left = 1.0 - lost_s / max(every_s, one.yellow_s + one.min_green_s, 2 * lost_s)
        share = np.where(self.served[self.phase] > 0, 1.0, left) * self.room()
        return np.asarray(self.served @ (lanes * share))

    def room(self) -> Floats:
        """Return how much room there is behind the junction for each lane, 1 to 0, ``[lane]``."""
        return 1.0 - self.leads @ self.full**2

    def features(self, every_s: float = EVERY_S) -> NDArray[np.float32]:
        """Return what is to be said of every phase, ``[phase, feature]``, about 0 to 1 each.

        Training and running both see a junction through this, so neither knows more than the other.
        """
        on = np.zeros(len(self.served))
        on[self.phase] = 1.0
        any_ = self.served > 0
        columns = (
            self.served @ self.count / 10.0,
            self.served @ self.queue / 10.0,
            self.press(every_s) / 20.0,
            self.served @ self.arrivals / 5.0,
            (any_ * self.wait).max(axis=1) / 60.0,
            (any_ * self.starved_s).max(axis=1) / self.junction.max_red_s,
            1.0 - (any_ @ self.room()) / np.maximum(any_.sum(axis=1), 1),
            on,
            on * min(self.green_s / 60.0, 1.0),
        )
        return np.stack(columns, axis=1).astype(np.float32)
