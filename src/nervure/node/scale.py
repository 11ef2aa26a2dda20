"""Scale: the score view cut into partitions, which workers score, as the node sees it.

The node deals readings to partitions, starts workers, and knows how far each partition is. When the cut
changes (another number of partitions, another model, a solution that cannot be cut any more) everybody
comes to the same log position first; then the states are cut anew and written down in one transaction.

What is cut: a solution none of whose models is joint. The others, and the monitors of `nervure watch`,
stay with the node. Neighbours and drivers that a model shows are dealt to every partition that needs them.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Coroutine, Iterable, Mapping
from typing import Any

import msgspec

from nervure.core.card import Card
from nervure.core.declaration import Solution
from nervure.core.entity import Datastream
from nervure.core.error import StoreError
from nervure.core.problem import Case, Forecast
from nervure.core.scale import partition_of
from nervure.core.settings import Settings
from nervure.node.brood import Brood
from nervure.node.deal import Dealer
from nervure.node.live import Standing
from nervure.node.meter import Meter
from nervure.node.share import Known, Layout, Share, standing_of
from nervure.node.watch import Watch
from nervure.score.cut import is_severable, shared
from nervure.score.runner import Runner
from nervure.solutions import find
from nervure.store.catalogue import Catalogue
from nervure.store.lease import Leases, view_of
from nervure.store.lease import Standing as Present
from nervure.store.model import Model
from nervure.store.observations import Observations
from nervure.stream.log import Log
from nervure.stream.partition import Partitions
from nervure.trust.signature import trusted

__all__ = ["Scale", "positions"]

_log = logging.getLogger("nervure.node")

LAYOUT = "layout"
LOOK_S = 0.25
LEVEL_S = 10.0
NEWS_S = 0.25
_NOBODY = Present(leases=(), workers=())


def positions(catalogue: Catalogue) -> list[int]:
    """Return how far the partitions are that there are."""
    return list(Leases(catalogue.database).positions().values())


class Scale:
    """What the node does for its workers; without partitions, nothing."""

    def __init__(
        self,
        settings: Settings,
        catalogue: Catalogue,
        observations: Observations,
        log: Log,
        watch: Watch,
        meter: Meter,
    ) -> None:
        self._settings, self._catalogue, self._observations = settings, catalogue, observations
        self._log, self._watch, self._meter = log, watch, meter
        self._leases, self._known = Leases(catalogue.database), Known(catalogue)
        self._partitions: Partitions | None = None
        self._positions: dict[int, int] = {}
        self._present = _NOBODY
        self._held_s = time.monotonic()
        self._streams: tuple[Datastream, ...] = ()
        saved = catalogue.view(LAYOUT)
        self.layout = msgspec.msgpack.decode(saved[1], type=Layout) if saved else Layout()
        self.wanted = self.layout
        self.dealer = Dealer(self._put)
        self.brood = Brood(settings, self._leases)

    @property
    def position(self) -> int:
        """The log position up to which every partition is committed; where there is none, the node's own."""
        return min(self._positions.values(), default=self._watch.position)

    @property
    def settled(self) -> bool:
        """Whether all is cut as it should be."""
        return self.wanted == self.layout

    async def start(self, datastreams: Iterable[Datastream]) -> None:
        """Take up where the partitions are: what was dealt before is dealt again."""
        if self.layout.count or self._settings.scale.partitions:
            await (await self._connected()).clear()
        self._positions = self._leases.positions()
        self._streams = tuple(datastreams)
        self._begin(self.position)
        await self.learn(self._streams)

    def _begin(self, position: int) -> None:
        layout = self.layout
        self.dealer.begin(layout.count, layout.solutions, layout.guests, position)
        self.dealer.learn(self._streams)
        self._watch.patience_s = NEWS_S if self.layout.count else None
        self.brood.count = self._settings.scale.workers or (1 if self._leaving else 0)
        if not self.layout.count and not self._settings.scale.partitions:
            self.brood.count = 0

    @property
    def _leaving(self) -> bool:
        """Whether there are partitions that nobody is meant to work on any more."""
        return bool(self.layout.count) and not self._settings.scale.partitions

    async def learn(self, datastreams: Iterable[Datastream]) -> None:
        """See how the score view should be cut, now that Datastreams or models have changed."""
        self._streams = tuple(datastreams)
        self.dealer.learn(self._streams)
        self.wanted = await asyncio.to_thread(self._wish, self._streams)

    def _wish(self, known: Iterable[Datastream]) -> Layout:
        known = list(known)
        count = self._settings.scale.partitions
        solutions: dict[str, dict[str, str]] = {}
        guests: dict[str, dict[str, tuple[int, ...]]] = {}
        for name in self._settings.project.solutions if count else ():
            thing_of = {one.name: one.thing for one in known if one.solution == name}
            models = self._models(find(name))
            if all(is_severable(one.card) for one in models.values()):
                solutions[name] = {problem: one.version for problem, one in models.items()}
                guests[name] = _guests([one.card for one in models.values()], thing_of, count)
        return Layout(count if solutions else 0, solutions, guests)

    def _models(self, solution: Solution) -> dict[str, Model]:
        """Return the promoted model of each problem, in the order in which they score."""
        found: dict[str, Model] = {}
        for problem in solution.problems:
            if isinstance(problem, Forecast | Case):
                champion = self._catalogue.champion(solution.name, problem.name)
                if champion is not None:
                    found[problem.name] = champion
        return found

    async def _connected(self) -> Partitions:
        """Return the stream of the partitions, connected to when it is wanted first."""
        if self._partitions is None:
            self._partitions = await Partitions.connect(self._settings)
            self.dealer.most_bytes = self._partitions.room
        return self._partitions

    async def _put(self, messages: Any) -> None:
        if self._partitions is not None:
            await self._partitions.put(messages)

    # --- cutting anew -------------------------------------------------------------------------------

    async def switch(self) -> bool:
        """Cut the score view as it should be; false if that has to wait. Nothing may be read meanwhile.

        ``StoreError`` or ``StreamError`` if the catalogue or the log is away: then all is as it was.
        """
        if self.settled:
            return True
        if not await self._is_level():
            return False
        await (await self._connected()).clear()  # all of it is committed
        await self._watch.commit()
        wanted = self.wanted
        before = await asyncio.to_thread(standing_of, self._catalogue, self.layout)
        before |= {name: self._watch.stand(name) for name in wanted.solutions if name not in before}
        shares = [self._share(number, wanted) for number in range(wanted.count)]
        for name in wanted.solutions:
            await self._lay(shares, find(name), before.get(name))
        back = [
            (find(name), before.get(name)) for name in self.layout.solutions if name not in wanted.solutions
        ]
        position = self._watch.taken
        await self._watch.settle(lambda: self._write(position, wanted, shares), back, wanted.solutions)
        _log.info("the score view is cut into %d partitions at %d", wanted.count, position)
        self.layout = wanted
        self._positions = dict.fromkeys(range(wanted.count), position)
        self._begin(position)
        return True

    async def _is_level(self) -> bool:
        """Bring all to the same log position; false if somebody is not there in time."""
        taken = self._watch.taken
        if self._observations.taken != taken or (self.layout.count and self.dealer.taken != taken):
            return False
        if not self.layout.count:
            return True
        if any(not one.worker for one in self._present.leases):
            return False
        ends = time.monotonic() + LEVEL_S
        try:
            async with asyncio.timeout(LEVEL_S):
                await self.dealer.calm()
        except TimeoutError:
            return False
        while time.monotonic() < ends:
            self._positions = await asyncio.to_thread(self._leases.positions)
            if all(one == taken for one in self._positions.values()):
                return True
            await asyncio.sleep(LOOK_S)
        return False

    def _share(self, number: int, wanted: Layout) -> Share:
        return Share(
            number,
            wanted.count,
            self._catalogue,
            self._log,
            self._meter,
            self._settings,
            known=self._known,
            guests=wanted.guests,
            past=self._observations,
        )

    async def _lay(self, shares: list[Share], solution: Solution, before: Standing | None) -> None:
        """Give every partition its part of a solution."""
        models = self._models(solution)
        lives = [share.lay(solution, before) for share in shares]
        for problem, model in models.items():
            package = await self._log.get_package(model.package)
            runner = await asyncio.to_thread(Runner, package, trusted(self._settings.folder))
            for share, live in zip(shares, lives, strict=True):
                one = (model.version, model.package, runner)
                await asyncio.to_thread(share.lay_model, live, problem, one, before)

    def _write(self, position: int, wanted: Layout, shares: Iterable[Share]) -> None:
        """Write all shares and the layout; whoever held a partition has lost it."""
        self._leases.lay(wanted.count)
        for share in shares:
            state, pieces = share.laid()
            self._catalogue.commit_view(view_of(share.number), position, state, (), pieces)
        self._catalogue.commit_view(LAYOUT, position, msgspec.msgpack.encode(wanted))

    # --- looking after it ---------------------------------------------------------------------------

    def jobs(self) -> list[Coroutine[Any, Any, None]]:
        """Return what has to run as long as the node does."""
        return [self.dealer.run(), self.brood.run(), self._look()]

    async def _look(self) -> None:
        """See how far the workers are, for ever."""
        while True:
            await asyncio.sleep(LOOK_S)
            if not self.layout.count:
                continue
            try:
                self._present = await asyncio.to_thread(self._leases.standing)
                found = await asyncio.to_thread(self._leases.positions)
            except StoreError:  # the catalogue is away: the next time
                continue
            if len(found) == self.layout.count:
                self._positions = found
            if all(one.worker for one in self._present.leases):
                self._held_s = time.monotonic()

    @property
    def lacks(self) -> bool:
        """Whether a worker misses what was dealt, so that it has to be dealt again."""
        return any(one.about.get("lacks") for one in self._present.workers)

    async def deal_again(self) -> None:
        """Begin to deal from where the partitions are."""
        await self._watch.commit()
        self._positions = await asyncio.to_thread(self._leases.positions)
        if self._partitions is not None:
            await self._partitions.clear()
        self._begin(self.position)
        self._present = _NOBODY

    def models(self) -> dict[str, str]:
        """Return the versions of the models that workers score with."""
        return {name: ", ".join(used.values()) for name, used in self.layout.solutions.items() if used}

    def open_alerts(self) -> int:
        """Return how many alerts are active in the workers."""
        return sum(int(one.about.get("open", 0)) for one in self._present.workers)

    def figures(self) -> dict[str, Any]:
        """Return what ``nervure status`` shows."""
        if not self.layout.count:
            return {"partitions": 0}
        names = self._settings.project.solutions
        held: dict[str, list[int]] = {}
        for one in self._present.leases:
            held.setdefault(one.worker, []).append(one.partition)
        workers = {one.name: {**one.about, "holds": held.get(one.name, [])} for one in self._present.workers}
        return {
            "partitions": self.layout.count,
            "cut": sorted(self.layout.solutions),
            "whole": [name for name in names if name not in self.layout.solutions],
            "dealt": self.dealer.rows,
            "positions": [self._positions[one] for one in sorted(self._positions)],
            "free": held.get("", []),
            "workers": workers,
        }

    def problems(self) -> list[str]:
        """Return what is amiss, in words."""
        free = [one.partition for one in self._present.leases if not one.worker]
        if not free or time.monotonic() - self._held_s < self._settings.scale.silent_s + LOOK_S:
            return []
        return [f"scale: nobody works on {len(free)} of {self.layout.count} partitions"]

    def counted(self, figures: Mapping[str, Any]) -> dict[str, Any]:
        """Return the counters of a node together with those of the workers that live."""
        workers = [one.about for one in self._present.workers]
        names = [name for name in ("findings", "forecasts") if any(one.get(name) for one in workers)]
        more = {name: figures.get(name, 0) + sum(int(one.get(name, 0)) for one in workers) for name in names}
        return {**figures, **more}

    async def close(self) -> None:
        """Stop the workers that were started here, and let go of the connection."""
        await self.brood.close()
        if self._partitions is not None:
            self._partitions.close()


def _guests(cards: Iterable[Card], thing_of: Mapping[str, int], count: int) -> dict[str, tuple[int, ...]]:
    """Return which Datastreams partitions other than their own must see, and which partitions."""
    found: dict[str, set[int]] = {}
    for card in cards:
        for thing, name in shared(card, thing_of):
            found.setdefault(name, set()).add(partition_of(thing, count))
    return {name: tuple(sorted(found[name])) for name in sorted(found)}
