"""From scores to a promised number of alarms a day, also where normal drifts.

A score is turned into how rare it would be (:mod:`nervure.core.tail`), and rings when it is rarer than
a limit for long enough (:class:`~nervure.core.event.Hold`). Four ways to keep the limit:

- ``split``: it stays as calibrated (split-conformal; Vovk et al., Algorithmic Learning in a Random
  World, 2005);
- ``spot``: the tail is fitted anew as excesses come in (Siffer et al., KDD 2017);
- ``rolling``: the whole distribution is that of the last readings;
- ``adaptive``: as ``rolling``, and the limit itself is moved: each alarm raises it by ``pace`` decades,
  each step without one lowers it by ``pace`` times the promised alarms a step. So alarms come at the
  promised rate in the long run whatever the scores do (Gibbs and Candès, NeurIPS 2021, here with
  events, after merging, in the place of single errors).

While an alarm is open nothing is learned from its stream and the limit stands still: a fault must not
become normal.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from nervure.core.event import Event, Hold, Persistence
from nervure.core.tail import Tail, tail_of

__all__ = ["Guard", "Kind", "Plan", "Ring", "watch"]

Floats = NDArray[np.float64]
Longs = NDArray[np.int64]
Flags = NDArray[np.bool_]
Kind = Literal["split", "spot", "rolling", "adaptive"]

LOWEST, HIGHEST = 0.5, 15.0  # decades between which the limit stays
_REFITS = 20  # times the distribution is fitted anew while the memory is filled once


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """A calibrated guard: ``limit`` in decades of rarity, ``rate`` promised alarms a step over all streams.

    ``pace`` is by how many decades an alarm raises the limit; ``memory`` counts scores that the rolling
    distribution holds, all streams together.
    """

    kind: Kind
    tail: Tail
    limit: float
    rate: float
    pace: float = 0.25
    memory: int = 20_000


class Ring(msgspec.Struct, frozen=True, kw_only=True):
    """What one step brought, ``[row]``: rarity of the scores, and which streams raise or clear."""

    rarity: Floats
    raised: Flags
    cleared: Flags


class _Memory:
    """The last scores of normal running, and when they were last fitted."""

    def __init__(self, size: int) -> None:
        self.scores: Floats = np.full(size, np.nan)
        self.place = self.fresh = 0

    def add(self, score: Floats) -> bool:
        """Keep scores; tell whether enough of them are new for another fit."""
        some = score[-len(self.scores) :]
        at = (self.place + np.arange(len(some))) % len(self.scores)
        self.scores[at] = some
        self.place = int((self.place + len(some)) % len(self.scores))
        self.fresh += len(some)
        if self.fresh * _REFITS < len(self.scores):
            return False
        self.fresh = 0
        return True


class Guard:
    """The limit of one problem and the alarms of its streams, one step at a time."""

    def __init__(self, plan: Plan, streams: int, span: Persistence) -> None:
        self.plan, self.streams = plan, streams
        self.hold = Hold(streams, span)
        self.limit = plan.limit
        self._fitted(plan.tail)
        self._memory = _Memory(plan.memory)
        if plan.kind in ("rolling", "adaptive"):  # calibration fills it, newest readings push that out
            share = np.linspace(0.0, 1.0, plan.memory)
            self._memory.scores[:] = _quantiles(plan.tail, share)
        self._excess: list[float] = []
        self._seen = 0

    def step(self, streams: Longs, time: Longs, score: Floats) -> Ring:
        """Take one score a stream, ``[row]`` each, no stream twice, none NaN; times in nanoseconds."""
        rarity = self.tail.rarity(score)
        raised, cleared = self.hold.step(streams, time, rarity > self.limit)
        open_ = self.hold.active[streams]
        # an alarm's first score counts as one at the limit: were it left out, the tail would be cut off
        # there, the next fit find it shorter, and the limit sink
        calm = np.minimum(score, self._top)[~open_ | raised]
        if self.plan.kind == "adaptive":
            self._adapt(int(raised.sum()), len(streams))
        if self.plan.kind in ("rolling", "adaptive"):
            if self._memory.add(calm):
                self._fitted(tail_of(self._memory.scores))
        elif self.plan.kind == "spot":
            self._exceed(calm)
        return Ring(rarity=rarity, raised=raised, cleared=cleared)

    def _adapt(self, alarms: int, rows: int) -> None:
        fall = self.plan.rate * rows / self.streams
        if self.hold.active.any() and not alarms:
            fall = 0.0
        self.limit = float(np.clip(self.limit + self.plan.pace * (alarms - fall), LOWEST, HIGHEST))

    def _exceed(self, calm: Floats) -> None:
        """Add to the tail what lies in it, and fit it anew now and then."""
        self._seen += len(calm)
        above = calm[calm > self.plan.tail.start] - self.plan.tail.start
        self._excess.extend(above.tolist())
        if len(self._excess) >= 50 and len(self._excess) % 10 < len(above):
            self._fitted(self.plan.tail.joined(np.array(self._excess), self._seen))

    def _fitted(self, tail: Tail) -> None:
        self.tail, self._top = tail, tail.score_at(self.limit)

    def state(self) -> dict[str, Any]:
        """Return what :meth:`restore` needs to go on after a restart."""
        return {
            "limit": self.limit,
            "tail": msgspec.to_builtins(self.tail),
            "scores": self._memory.scores.tobytes(),
            "place": [self._memory.place, self._memory.fresh, self._seen],
            "excess": self._excess,
            "hold": self.hold.state(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Take up where :meth:`state` left off."""
        self.limit = float(state["limit"])
        self._fitted(msgspec.convert(state["tail"], Tail))
        self._memory.scores = np.frombuffer(state["scores"], dtype=np.float64).copy()
        self._memory.place, self._memory.fresh, self._seen = state["place"]
        self._excess = list(state["excess"])
        self.hold.restore(state["hold"])


def _quantiles(tail: Tail, share: Floats) -> Floats:
    """Return scores of a distribution in an order that mixes high and low ones."""
    found = np.interp(share, np.linspace(0.0, 1.0, len(tail.grid)), tail.grid)
    return np.random.default_rng(0).permutation(found)


def watch(plan: Plan, time: Longs, score: Floats, span: Persistence) -> tuple[list[Event], Floats]:
    """Run a guard over a history: ``time [slot]`` in ns, ``score [slot, stream]`` with NaN gaps.

    Returns the alarms in the order in which they rang, and the limit at each slot, ``[slot]``.
    """
    guard = Guard(plan, score.shape[1], span)
    found: list[Event] = []
    live: dict[int, int] = {}
    limits = np.empty(len(score))
    for slot, row in enumerate(score):
        limits[slot] = guard.limit
        seen = np.flatnonzero(~np.isnan(row))
        ring = guard.step(seen, np.full(len(seen), time[slot]), row[seen])
        for at in np.flatnonzero(ring.raised).tolist():
            stream = int(seen[at])
            live[stream] = len(found)
            found.append(
                Event(
                    stream=stream,
                    start_ns=int(guard.hold.start[stream]),
                    raised_ns=int(time[slot]),
                    end_ns=int(time[slot]),
                    peak=float(ring.rarity[at]),
                )
            )
        above = (ring.rarity > limits[slot]) & guard.hold.active[seen] & ~ring.raised
        for at in np.flatnonzero(above).tolist():
            event = found[live[int(seen[at])]]
            found[live[int(seen[at])]] = msgspec.structs.replace(
                event, end_ns=int(time[slot]), peak=max(event.peak, float(ring.rarity[at]))
            )
    return found, limits
