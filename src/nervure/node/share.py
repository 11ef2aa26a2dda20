"""A share: the score view of one partition, with position, state and lease of its own.

The node fills it and writes it down (:meth:`Share.laid`); a worker takes it up (:meth:`Share.load`) and
goes on with it. Both are the score view of the node itself, but for what they look at.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Mapping, Sequence

import msgspec

from nervure.act.portion import join, portion
from nervure.core.alert import Alert
from nervure.core.declaration import Solution
from nervure.core.entity import Datastream
from nervure.core.error import StreamError
from nervure.core.observation import PACK_BITS, Batch
from nervure.core.scale import partition_of
from nervure.core.settings import Settings
from nervure.node.deal import Hand, batch_of
from nervure.node.live import Live, Saved, Standing
from nervure.node.meter import Meter
from nervure.node.past import Elsewhere, Past
from nervure.node.piece import Pieces
from nervure.node.watch import Watch
from nervure.score.assessor import Assessor
from nervure.score.cut import Cut
from nervure.score.lane import Model
from nervure.score.runner import Runner
from nervure.score.scorer import Scorer
from nervure.solutions import find
from nervure.store.catalogue import Catalogue
from nervure.store.lease import Lease, Leases, view_of
from nervure.stream.log import Log
from nervure.trust.signature import trusted

__all__ = ["Known", "Layout", "Library", "Share", "Used", "standing_of"]


class Used(msgspec.Struct, frozen=True):
    """Which model a problem has in a share: version, file, and the names of the streams it is cut to."""

    version: str
    package: str
    names: tuple[str, ...]


class Layout(msgspec.Struct, frozen=True):
    """How the score view is cut: into how many partitions, and which solutions with which models.

    ``guests`` are the names of Datastreams that other partitions than their own must see, and which, by
    solution.
    """

    count: int = 0
    solutions: dict[str, dict[str, str]] = {}
    guests: dict[str, dict[str, tuple[int, ...]]] = {}


class _Cut(msgspec.Struct, frozen=True):
    """What a share is made of: its models by solution and problem, and its guests by solution."""

    used: dict[str, dict[str, Used]] = {}
    guests: dict[str, tuple[str, ...]] = {}


class Known:
    """The Datastreams of solutions, read again when the catalogue has changed; for any thread."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._stamp: tuple[int, ...] = ()
        self._found: dict[str, list[Datastream]] = {}

    def of(self, solution: str) -> list[Datastream]:
        """Return the Datastreams of a solution."""
        stamp = self._catalogue.stamp()
        if stamp != self._stamp:
            self._found, self._stamp = {}, stamp
        found = self._found.get(solution)
        if found is None:
            found = self._found[solution] = self._catalogue.datastreams(solution=solution)
        return found


class Library:
    """The models of one process, each opened once for all its partitions.

    One after the other: what msgspec learns of a type it has not met must not be learnt by two threads.
    """

    def __init__(self, log: Log, settings: Settings) -> None:
        self._log, self._folder = log, settings.folder
        self._opened: dict[str, Runner] = {}
        self._lock = asyncio.Lock()

    async def open(self, used: Used) -> Runner:
        """Return a model, which must be of the version that is asked for."""
        async with self._lock:
            known = self._opened.get(used.package)
            if known is not None and known.card.version == used.version:
                return known
            package = await self._log.get_package(used.package)
            runner = await asyncio.to_thread(lambda: Runner(package, trusted(self._folder)))
            if runner.card.version != used.version:
                raise StreamError(
                    f"the package {used.package} holds {runner.card.version}, not {used.version}",
                    hint="the node takes up a promoted model by itself; wait for it",
                )
            self._opened[used.package] = runner
            return runner


class Share(Watch):
    """The score view of one of ``count`` partitions; without a lease it is only there to be laid."""

    def __init__(
        self,
        number: int,
        count: int,
        catalogue: Catalogue,
        log: Log,
        meter: Meter,
        settings: Settings,
        *,
        known: Known,
        past: Past | None = None,
        guests: Mapping[str, Mapping[str, Collection[int]]] | None = None,
        held: Lease | None = None,
    ) -> None:
        super().__init__(catalogue, past or Elsewhere(), log, meter, settings, name=view_of(number))
        self.number, self._count = number, count
        self._held, self._known = held, known
        self._leases = Leases(catalogue.database)
        self._names: frozenset[str] = frozenset()
        self._used: dict[str, dict[str, Used]] = {}
        self._guests = {
            name: tuple(one for one, where in streams.items() if number in where)
            for name, streams in (guests or {}).items()
        }
        self._some: dict[int, Hand] = {}
        self._group = (0, 0, 0)  # after, up to, and count of the messages in it
        self.forgettable = 0
        """The last message of the partition that a commit holds."""
        self._message = 0
        if held is None:
            self._pieces = Pieces({})

    def _streams(self, solution: str) -> list[Datastream]:
        every = self._known.of(solution)
        return [one for one in every if partition_of(one.thing, self._count) == self.number]

    def _inputs(self, solution: str) -> list[Datastream]:
        guests, own = set(self._guests.get(solution, ())), self._streams(solution)
        if not guests:
            return own
        here = {one.id for one in own}
        return [one for one in self._known.of(solution) if one.id in here or one.name in guests]

    def _seen(self, model: Model) -> Model:
        return Cut(model, self._names)

    # --- laying it, in the node ---------------------------------------------------------------------

    def lay(self, solution: Solution, before: Standing | None) -> Live:
        """Begin with a solution where others stood; a scorer without a past starts anew."""
        live = self.add(solution)
        self._used[solution.name] = {}
        if before is not None:
            own = portion(before.engine, [one.id for one in self._streams(solution.name)])
            live.begin(msgspec.structs.replace(before, engine=own))
        return live

    def lay_model(
        self, live: Live, problem: str, model: tuple[str, str, Runner], before: Standing | None
    ) -> None:
        """Let a model ``(version, package, runner)`` score a problem from the next reading on."""
        version, package, runner = model
        own = {one.name for one in self._streams(live.solution.name)}
        names = tuple(name for name in runner.card.streams if name in own)
        self._used[live.solution.name][problem] = Used(version, package, names)
        if runner.card.streams and not names:  # none of its streams is here
            live.versions[problem] = version
            return
        scorer = self._cut(live.solution, runner, names)
        self._warm(scorer, runner.card)
        if isinstance(scorer, Assessor) and before is not None:
            for state in before.scorers.get(problem, ()):
                scorer.restore(state)
        live.put(problem, scorer, version)

    def laid(self) -> tuple[bytes, dict[str, bytes]]:
        """Return the state and its pieces as a first commit writes them."""
        state, pieces = self._standing()
        return state, pieces | {"cut": msgspec.msgpack.encode(_Cut(self._used, self._guests))}

    # --- working on it, in a worker -----------------------------------------------------------------

    async def load(self, library: Library) -> None:
        """Take up what the last commit holds."""
        cut = await asyncio.to_thread(self._catalogue.view, f"{self._name}/cut")
        made = msgspec.msgpack.decode(cut[1], type=_Cut) if cut else _Cut()
        self._guests = made.guests
        for name, problems in made.used.items():
            live = await asyncio.to_thread(self.add, find(name))
            for problem, used in problems.items():
                self._take_up(live, problem, used, await library.open(used))
        self.restore()

    def _take_up(self, live: Live, problem: str, used: Used, runner: Runner) -> None:
        if runner.card.streams and not used.names:
            live.versions[problem] = used.version
            return
        live.put(problem, self._cut(live.solution, runner, used.names), used.version)

    def _cut(self, solution: Solution, runner: Runner, names: Iterable[str]) -> Scorer | Assessor:
        self._names = frozenset(names)
        return self._opened(solution, runner)

    def hear(self, messages: Sequence[tuple[int, Hand]]) -> int:
        """Take messages of the partition with their places in its stream; returns how many readings were new.

        ``StreamError`` if one before them is missing; those before that one are taken.
        """
        batches: list[Batch] = []
        upto, clocks, lacks = self._taken, dict[str, int](), ""
        for message, hand in messages:
            if hand.upto > upto:
                if hand.after > upto:
                    lacks = f"what is between {upto} and {hand.after} is missing"
                    break
                group = (hand.after, hand.upto, hand.count)
                if not hand.number or group != self._group:  # what was dealt before and not to its end
                    self._some, self._group = {}, group
                self._some[hand.number] = hand
                if len(self._some) < hand.count:
                    continue
                batches += [batch_of(self._some[one]) for one in range(hand.count)]
                self._some.clear()
                upto, clocks = hand.upto, hand.clocks
            self._message = message
        taken = self._hear(Batch.concat(batches), upto, clocks) if upto > self._taken else 0
        if lacks:
            raise StreamError(lacks)
        return taken

    def _hear(self, batch: Batch, upto: int, clocks: Mapping[str, int]) -> int:
        fresh = batch.take(batch.id >> PACK_BITS > self._taken)
        self.take(fresh, upto)
        for live in self._live.values():
            live.engine.clock_ns = max(live.engine.clock_ns, clocks.get(live.solution.name, 0))
        return len(fresh)

    def _keep(
        self, position: int, state: bytes, alerts: Sequence[Alert], pieces: Mapping[str, bytes]
    ) -> None:
        """Commit, if the lease still holds; a commit of somebody who has lost it changes nothing."""
        with self._catalogue.together():
            if self._held is not None:
                self._leases.require(self._held)
            super()._keep(position, state, alerts, pieces)

    async def commit(self) -> None:
        """Write position, state and alerts together, as the node does."""
        message = self._message
        await super().commit()
        self.forgettable = max(self.forgettable, message)


def standing_of(catalogue: Catalogue, layout: Layout) -> dict[str, Standing]:
    """Return how the solutions of all shares stand, put together by solution."""
    engines: dict[str, list[bytes]] = {}
    scorers: dict[str, dict[str, list[bytes]]] = {}
    for number in range(layout.count):
        name = view_of(number)
        view = catalogue.view(name)
        if view is None:
            continue
        pieces = Pieces(catalogue.view_parts(name))
        for solution, saved in msgspec.msgpack.decode(view[1], type=dict[str, Saved]).items():
            engines.setdefault(solution, []).append(saved.engine)
            for problem, part in saved.scorers.items():
                state = pieces.joined(f"{solution}:{problem}", part.size)
                scorers.setdefault(solution, {}).setdefault(problem, []).append(state)
    return {
        name: Standing(join(states), {problem: tuple(found) for problem, found in scorers[name].items()})
        for name, states in engines.items()
    }
