"""Walks past all loops once a second, and sees whose guard is away or would not do what it is told.

Every ten minutes it asks how the models do that loops rest on; where one drifts the loop loses a step.
What it sees it rings for (:mod:`nervure.node.bell`), and takes it back when it is over.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable

from nervure.core.error import NervureError, StoreError
from nervure.core.instant import SECOND_NS
from nervure.core.interlock import Declared
from nervure.node.bell import AWAY_S
from nervure.node.drift import Drifts, drifting
from nervure.node.loops import Loops
from nervure.node.wish import unlike
from nervure.store import loop as rows
from nervure.store.catalogue import Catalogue

__all__ = ["Patrol"]

EVERY_S = 1.0
_READ_NS = 5 * SECOND_NS
_JUDGE_NS = 600 * SECOND_NS

_UNSAID = "it drifted, and nothing can be said of it now"
_log = logging.getLogger("nervure.node")


class Patrol:
    """Looks after the loops of a node; ``look`` may be called from any thread, one at a time."""

    def __init__(self, catalogue: Catalogue, loops: Loops, drifts: Drifts | None = None) -> None:
        self._catalogue, self._loops, self._drifts = catalogue, loops, drifts
        self._judged_ns = 0
        self._begun_ns = time.time_ns()
        self._read_ns = 0
        self._there: dict[int, Declared] = {}
        self._waiting: frozenset[int] = frozenset()  # loops of which something waits for a yes

    async def run(self) -> None:
        """Walk, for ever."""
        while True:
            await asyncio.sleep(EVERY_S)
            for work in (self.look, self.judge):
                with contextlib.suppress(StoreError):  # the catalogue is away: next time
                    await asyncio.to_thread(self._safely, work)

    def _safely(self, work: Callable[[int], None]) -> None:
        """Do it; whatever one loop, Task or model is like, it does not end the node that looks after all."""
        try:
            work(time.time_ns())
        except StoreError:
            raise
        except Exception:  # noqa: BLE001
            _log.exception("a walk past the loops has failed")

    def look(self, now_ns: int) -> None:
        """Look once."""
        bell, away, unfit = self._loops.bell, dict[int, int | None](), dict[int, str]()
        rings = bell.loops
        if (
            now_ns - self._read_ns >= _READ_NS or rings - self._there.keys()
        ):  # one may be younger than the list
            self._there, self._waiting = self._read()
            self._read_ns = now_ns
        for loop, read in self._there.items():
            if read.guarded:
                away[loop] = self._away_ns(loop, now_ns)
                unfit[loop] = unlike(self._loops.report(loop), read, self._loops.key(loop), loop)
        if not bell.loops and not any(away.values()) and not any(unfit.values()) and not self._waiting:
            return
        with self._loops.turn():
            bell.gone({*self._there, *(bell.loops - rings)}, now_ns)
            for loop, since_ns in away.items():
                bell.away(loop, since_ns, now_ns)
                bell.unfit(loop, unfit[loop], now_ns)
            for loop in self._there:
                bell.waiting(loop, waits=loop in self._waiting, now_ns=now_ns)

    def judge(self, now_ns: int, *, every_ns: int = _JUDGE_NS) -> None:
        """Hold the forecasts of models that loops rest on against what came true, if it is time to."""
        if self._drifts is None or now_ns - self._judged_ns < every_ns:
            return
        self._judged_ns = now_ns
        rests = {
            loop: {*read.rests, *self._loops.standing(loop).models} for loop, read in self._there.items()
        }
        told = self._drifts.look(set().union(*rests.values()))
        for loop, read in self._there.items():
            mine = self._drifts.at(loop, sorted(rests[loop]), told)
            found = {f"{one.name} {one.version}": drifting(one, read.promote) for one in mine.values()}
            drifted = self._loops.standing(loop).drifting
            found |= dict.fromkeys(self._drifts.unsaid(drifted, mine), _UNSAID)
            self._loops.drifts(loop, {model: why for model, why in found.items() if why}, now_ns)
        self._misspelt(self._drifts, now_ns)

    def _misspelt(self, drifts: Drifts, now_ns: int) -> None:
        """Ring for names in declarations that are of no model, problem or monitor, nor of a Task's model."""
        told = {name for loop in self._there for name in self._loops.standing(loop).models}
        rests = {loop: set(read.rests) - told for loop, read in self._there.items()}
        unknown = drifts.unknown(set().union(*rests.values()))
        bell = self._loops.bell
        if unknown or any(bell.rings(loop, "rests") for loop in rests):
            with self._loops.turn():
                for loop, names in rests.items():
                    bell.rests(loop, {one: unknown[one] for one in sorted(names & unknown.keys())}, now_ns)

    def _away_ns(self, loop: int, now_ns: int) -> int | None:
        """Return since when nothing is heard of a guard that was there once; None where it is there."""
        heard = self._loops.report(loop)
        if heard is None and not self._loops.standing(loop).boot:
            return None  # nobody has put one there yet
        last = self._begun_ns if heard is None else heard.at_ns
        return last if now_ns - last > AWAY_S * SECOND_NS else None

    def _read(self) -> tuple[dict[int, Declared], frozenset[int]]:
        with self._catalogue.database.read() as connection:
            found = [row for row in rows.capabilities(connection) if "act" in row["properties"]]
            waiting = frozenset(rows.waiting(connection))
        there = {}
        for row in found:
            try:
                there[int(row["id"])] = self._loops.declaration(row)
            except NervureError as cause:  # it is said where it is asked for
                _log.debug("capability %s: %s", row["id"], cause.what)
        return there, waiting
