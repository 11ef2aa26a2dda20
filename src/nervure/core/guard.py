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
become normal. Only what has been so for ``accept_ns`` is taken for how things are now, where a plan says
so: the alarm ends and its scores become the distribution, for a monitor that nobody labels alarms for
would else be blind for ever after a change of regime.

What a person says of an alarm counts: a true one, or one of planned work, is no false alarm, so it does
not use up the promise; a false one raises the limit towards its peak.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from nervure.core.event import NEVER, Event, Hold, Persistence, events
from nervure.core.instant import DAY_NS
from nervure.core.tail import Tail, tail_of

__all__ = ["HIGHEST", "LOWEST", "Guard", "Kind", "Plan", "Ring", "Told", "Verdict", "plan_for", "watch"]

Floats = NDArray[np.float64]
Longs = NDArray[np.int64]
Flags = NDArray[np.bool_]
Kind = Literal["split", "spot", "rolling", "adaptive"]

_MOST = 15.0  # decades that a score counts for at most
LOWEST, HIGHEST = 0.5, _MOST + 1.0  # between which the limit stays: an alarm may raise it above all scores
_REFITS = 20  # times the distribution is fitted anew while the memory is filled once


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """A calibrated guard: ``limit`` in decades of rarity, ``rate`` promised alarms a step over all streams.

    ``pace`` is by how many decades an alarm raises the limit; ``memory`` counts scores that the rolling
    distribution holds, all streams together. After ``accept_ns`` an alarm that is still open is how
    things are now (0: never).
    """

    kind: Kind
    tail: Tail
    limit: float
    rate: float
    alarms_per_day: float = 0.0
    pace: float = 0.25
    memory: int = 20_000
    accept_ns: int = 0


Verdict = Literal["true", "false", "planned"]


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """What a person says of the alarms between two times, both included, in nanoseconds."""

    start_ns: int
    end_ns: int
    verdict: Verdict


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

    def left(self) -> int:
        """Return how many scores there are to come before the next fit."""
        return max(0, -(-len(self.scores) // _REFITS) - self.fresh)

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
        self._seen = self._rang = 0
        self._lasting: list[float] = []  # scores of alarms that are open
        # decades by which a score without an alarm lowers the limit; it stands still while one is open,
        # which is for the merging gap at least, and makes up for that in between
        idle = max(1.0 - plan.alarms_per_day * span.gap_ns / DAY_NS, 0.5)
        self._pace = plan.pace * plan.rate / streams / idle

    def step(self, streams: Longs, time: Longs, score: Floats) -> Ring:
        """Take one score a stream, ``[row]`` each, no stream twice, none NaN; times in nanoseconds."""
        rarity = self.tail.rarity(score)
        raised, cleared = self.hold.step(streams, time, _over(rarity, self.limit))
        accepted = self._accept(streams, time, score)
        if accepted.any():
            return Ring(rarity=rarity, raised=raised & ~accepted, cleared=cleared | accepted)
        open_ = self.hold.active[streams]
        # an alarm's first score counts as one at the limit: were it left out, the tail would be cut off
        # there, the next fit find it shorter, and the limit sink
        calm = np.minimum(score, self._top)[~open_ | raised]
        if self.plan.kind == "adaptive":
            self._adapt(int(raised.sum()), len(streams), frozen=bool(self.hold.active.any()))
        if self.plan.kind in ("rolling", "adaptive"):
            if self._memory.add(calm):
                self._fitted(tail_of(self._memory.scores))
        elif self.plan.kind == "spot":
            self._exceed(calm)
        return Ring(rarity=rarity, raised=raised, cleared=cleared)

    def _accept(self, streams: Longs, time: Longs, score: Floats) -> Flags:
        """End alarms that have lasted too long to be anything but how things are now; tell which."""
        open_ = self.hold.active[streams]
        if not self.plan.accept_ns or not open_.any():
            self._lasting.clear()
            return np.zeros(len(streams), dtype=bool)
        self._lasting.extend(score[open_].tolist())
        del self._lasting[: -len(self._memory.scores)]
        done: Flags = open_ & (time - self.hold.start[streams] >= self.plan.accept_ns)
        if done.any():
            self.hold.active[streams[done]] = False
            self.hold.since[streams[done]] = NEVER
            lasting = np.random.default_rng(0).permutation(self._lasting)
            self._memory.scores[:] = np.resize(lasting, len(self._memory.scores))
            self._memory.fresh = 0
            self.limit = max(self.limit, self.plan.limit)
            self._fitted(tail_of(self._memory.scores))
            self._lasting.clear()
        return done

    def skim(self, score: Floats) -> tuple[int, Floats]:
        """Take the first slots of ``score [slot, stream]`` in which nothing happens, all at once.

        Returns how many they were and the limit before each of them; the rest is for :meth:`step`. It
        comes to the same as stepping through them.
        """
        none = np.empty(0)
        if self.plan.kind == "spot" or self.hold.active.any() or (self.hold.since != NEVER).any():
            return 0, none
        seen = (~np.isnan(score)).sum(axis=1)
        moving = self.plan.kind == "adaptive"
        if self.plan.kind != "split":  # up to where the distribution is fitted anew
            score = score[: int(np.searchsorted(np.cumsum(seen), self._memory.left())) + 1]
            seen = seen[: len(score)]
        fall = self._pace * np.cumsum(seen)
        limits = np.full(len(score) + 1, self.limit)
        if moving:
            limits = np.clip(limits - np.r_[0.0, fall], LOWEST, HIGHEST)
        above = np.flatnonzero(_over(self.tail.rarity(score), limits[:-1, None]).any(axis=1))
        count = int(above[0]) if len(above) else len(score)
        if not count:
            return 0, none
        self.limit = float(limits[count])
        calm = np.minimum(score[:count], self._top)
        if self.plan.kind != "split" and self._memory.add(calm[~np.isnan(calm)]):
            self._fitted(tail_of(self._memory.scores))
        return count, limits[:count]

    def _adapt(self, alarms: int, rows: int, *, frozen: bool) -> None:
        fall = self._pace * rows
        if frozen and not alarms:
            fall = 0.0
        stride = self._stride()
        self._rang += alarms
        self.limit = float(np.clip(self.limit + stride * alarms - fall, LOWEST, HIGHEST))

    def _stride(self) -> float:
        """Return by how many decades the next alarm raises the limit: the first ones teach most."""
        return max(self.plan.pace, 1.0 / (1.0 + self._rang))

    def heed(self, verdict: Verdict, peak: float) -> None:
        """Take in what a person says of an alarm whose worst score had a rarity of ``peak``.

        An alarm that was right gives back what it had raised the limit by; a false one raises it by a
        decade more at most, for as odd as that may normal be.
        """
        if verdict == "false":
            self.limit = float(np.clip(self.limit + np.clip(peak - self.limit, 0.0, 1.0), LOWEST, HIGHEST))
        elif self.plan.kind == "adaptive":
            self._rang = max(self._rang - 1, 0)
            self.limit = float(np.clip(self.limit - self._stride(), LOWEST, HIGHEST))

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
            "top": self._top,
            "tail": msgspec.to_builtins(self.tail),
            "scores": self._memory.scores.tobytes(),
            "place": [self._memory.place, self._memory.fresh, self._seen, self._rang],
            "excess": self._excess,
            "lasting": self._lasting,
            "hold": self.hold.state(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Take up where :meth:`state` left off."""
        self.limit = float(state["limit"])
        self.tail = msgspec.convert(state["tail"], Tail)
        self._top = float(state["top"])  # of the limit when the tail was fitted, which may have moved since
        self._memory.scores = np.frombuffer(state["scores"], dtype=np.float64).copy()
        self._memory.place, self._memory.fresh, self._seen, self._rang = state["place"]
        self._excess = list(state["excess"])
        self._lasting = list(state["lasting"])
        self.hold.restore(state["hold"])


def _quantiles(tail: Tail, share: Floats) -> Floats:
    """Return scores of a distribution in an order that mixes high and low ones."""
    found = np.interp(share, np.linspace(0.0, 1.0, len(tail.grid)), tail.grid)
    return np.random.default_rng(0).permutation(found)


def _over(rarity: Floats, limit: float | Floats) -> Flags:
    """Tell which scores are above the limit.

    None counts for more than the limit can come to: else rows that are beyond all measure, with holes
    between them in which each alarm ends, would ring one by one, however often they have rung.
    """
    found: Flags = np.minimum(rarity, _MOST) > limit
    return found


def watch(
    plan: Plan, time: Longs, score: Floats, span: Persistence, told: Sequence[Told] = ()
) -> tuple[list[Event], Floats]:
    """Run a guard over a history: ``time [slot]`` in ns, ``score [slot, stream]`` with NaN gaps.

    ``told`` is what a person says of alarms, who is taken to say it as they end. Returns the alarms in the
    order in which they rang, and the limit at each slot, ``[slot]``.
    """
    guard = Guard(plan, score.shape[1], span)
    found: list[Event] = []
    live: dict[int, int] = {}
    limits = np.empty(len(score))
    slot = 0
    while slot < len(score):
        count, before = guard.skim(score[slot : slot + _SKIM])
        limits[slot : slot + count] = before
        slot += count
        if slot < len(score):
            limits[slot] = guard.limit
            ended = _watched(guard, int(time[slot]), score[slot], (found, live))
            for event in ended if told else ():
                _heed(guard, event, told)
            slot += 1
    return found, limits


def _heed(guard: Guard, event: Event, told: Sequence[Told]) -> None:
    for one in told:
        if one.start_ns <= event.end_ns and event.start_ns <= one.end_ns:
            guard.heed(one.verdict, event.peak)
            return


_SKIM = 4096
_CLUSTERS = 8  # alarms of which something can be said


def _watched(guard: Guard, moment: int, row: Floats, into: tuple[list[Event], dict[int, int]]) -> list[Event]:
    """Take one slot, and write down which alarms it raises or prolongs; returns those it ends."""
    found, live = into
    limit, seen = guard.limit, np.flatnonzero(~np.isnan(row))
    ring = guard.step(seen, np.full(len(seen), moment), row[seen])
    ended = [found[live[int(seen[at])]] for at in np.flatnonzero(ring.cleared).tolist()]
    for at in np.flatnonzero(ring.raised).tolist():
        stream = int(seen[at])
        live[stream] = len(found)
        start = int(guard.hold.start[stream])
        peak = float(ring.rarity[at])
        found.append(
            Event(stream=stream, start_ns=start, raised_ns=moment, end_ns=moment, peak=peak, worst_ns=moment)
        )
    above = _over(ring.rarity, limit) & guard.hold.active[seen] & ~ring.raised
    for at in np.flatnonzero(above).tolist():
        place = live[int(seen[at])]
        peak, before = float(ring.rarity[at]), found[place]
        worst = {"peak": peak, "worst_ns": moment} if peak > before.peak else {}
        found[place] = msgspec.structs.replace(before, end_ns=moment, **worst)
    return ended


def plan_for(
    time: Longs,
    score: Floats,
    span: Persistence,
    *,
    alarms_per_day: float,
    every_ns: int,
    kind: Kind = "adaptive",
    memory: int = 20_000,
    accept_ns: int = 0,
) -> Plan:
    """Calibrate a guard on normal scores ``[slot, stream]``: the limit that rings as often as promised.

    Scores above a limit come in clusters, and a cluster is one alarm; how many scores make one (the
    extremal index; Leadbetter, 1983) is counted at a lower limit, where there are some, and the fitted
    tail is followed from there to the rarity that is wanted.
    """
    tail = tail_of(score)
    rate, streams = alarms_per_day * every_ns / DAY_NS, score.shape[1]
    rarity, gap = tail.rarity(score), span.gap_ns / every_ns
    known = int((~np.isnan(score)).sum())
    highest = float(np.log10(max(known, 100) / 10))
    alone = 1.0
    for level in np.arange(highest, 0.3, -0.2).tolist():
        above, rang = int((rarity > level).sum()), len(events(time, rarity, level, span))
        if rang >= _CLUSTERS:
            alone = _apart(rang / known, gap) * known / above
            break
    wanted = _apart(rate / streams, gap) / max(alone, 1e-3)
    limit = float(np.clip(-np.log10(min(wanted, 1.0)), LOWEST, _MOST))
    return Plan(
        kind=kind,
        tail=tail,
        limit=limit,
        rate=rate,
        alarms_per_day=alarms_per_day,
        memory=memory,
        accept_ns=accept_ns,
    )


def _apart(rate: float, gap: float) -> float:
    """Return how often clusters begin a step where ``rate`` of them are more than ``gap`` steps apart.

    Those closer merge by chance: ``rate = x exp(-x gap)``, solved for the smaller ``x``.

    >>> round(_apart(0.001, 60), 5)
    0.00107
    """
    found = rate
    for _ in range(50):
        found = min(rate * float(np.exp(found * gap)), 1.0 / max(gap, 1.0))
    return found
