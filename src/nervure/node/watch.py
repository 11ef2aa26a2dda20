"""The score view: models and rules over the live stream, with one position and one commit."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Collection, Mapping, Sequence

import msgspec

from nervure.act.engine import Engine
from nervure.act.notify import Notifier
from nervure.core.alert import Alert
from nervure.core.card import Card
from nervure.core.columnar import most
from nervure.core.declaration import Solution
from nervure.core.entity import Datastream
from nervure.core.error import AwayError, StoreError
from nervure.core.instant import DAY_NS
from nervure.core.observation import Batch, Reject
from nervure.core.problem import Case
from nervure.core.settings import Settings
from nervure.node.hearing import Hearing, Listening
from nervure.node.live import Live, Saved, Standing
from nervure.node.meter import Meter
from nervure.node.monitor import Monitors
from nervure.node.past import Past
from nervure.node.piece import Pieces
from nervure.score.assessor import Assessor
from nervure.score.lane import Model
from nervure.score.pack import Pack, Word
from nervure.score.runner import Runner
from nervure.score.scorer import Scorer
from nervure.store.catalogue import Catalogue
from nervure.stream.log import Log
from nervure.stream.subject import reading_subject
from nervure.trust.signature import trusted

__all__ = ["VIEW", "Watch"]

VIEW = "score"
IN_FLIGHT = 2_000
NOTIFY_S = 2.0
AGAIN_S = 1.0
LAST_S = 5.0
MOST_KEPT = 50_000
"""So many alerts or rejects wait for a catalogue that is away; then the log has to."""

_log = logging.getLogger("nervure.node")


class Watch:
    """Scores what arrives and keeps position, state and alerts in one transaction."""

    def __init__(
        self,
        catalogue: Catalogue,
        observations: Past,
        log: Log,
        meter: Meter,
        settings: Settings,
        *,
        name: str = VIEW,
    ) -> None:
        self._name = name
        self._catalogue = catalogue
        self._observations = observations
        self._log = log
        self._meter = meter
        self._settings = settings
        self._live: dict[str, Live] = {}
        self._alerts: list[Alert] = []
        self._rejects: list[Reject] = []
        self._sending: set[asyncio.Task[None]] = set()
        self._notifier = Notifier(catalogue, log.send, settings.notify, where=catalogue)
        saved = catalogue.view(name)
        self.position = saved[0] if saved else 0
        self._taken = self.position
        self._saved = msgspec.msgpack.decode(saved[1], type=dict[str, Saved]) if saved and saved[1] else {}
        self._pieces = Pieces(catalogue.view_parts(name))
        self.monitors = Monitors(catalogue, observations, log, settings, self._stood)
        self._lock = asyncio.Lock()
        self._alerted = asyncio.Event()
        self._failed_s = -AGAIN_S
        self._newest = 0
        self._listening = Listening()
        self._hearing = Hearing()
        self.patience_s: float | None = None
        """How often the outbox is looked at where others fill it, too."""
        self.told: Callable[[Sequence[Alert]], None] = lambda _: None
        """Hears of alerts that a commit has written."""

    @property
    def taken(self) -> int:
        """The last log position that was scored, committed or not."""
        return self._taken

    def add(self, solution: Solution) -> Live:
        """Watch a solution: its rules from now on, its model when there is one."""
        datastreams = self._streams(solution.name)
        engine = Engine(solution, self._catalogue.things(), datastreams)
        live = Live(solution, engine, Scorer(None, self._inputs(solution.name), solution=solution))
        self._live[solution.name] = live
        return live

    def _streams(self, solution: str) -> list[Datastream]:
        """Return the Datastreams of a solution that are judged here."""
        return self._catalogue.datastreams(solution=solution)

    def _inputs(self, solution: str) -> list[Datastream]:
        """Return these, and those that models must see to foresee them."""
        return self._streams(solution)

    def learn(self) -> None:
        """Take up Datastreams that are new since the last look."""
        newest = self._catalogue.stamp()[1]
        for live in self._live.values():
            datastreams, inputs = self._streams(live.solution.name), self._inputs(live.solution.name)
            live.engine.learn(self._catalogue.things(), datastreams)
            for scorer in live.scorers:
                scorer.learn(inputs if isinstance(scorer, Scorer) else datastreams)
        self._newest = newest

    async def refresh(self) -> None:
        """Take up Datastreams and promoted models that are new since the last look."""
        self.learn()
        for live in self._live.values():
            for problem in live.problems:
                champion = self._catalogue.champion(live.solution.name, problem)
                if champion is None or champion.version == live.versions.get(problem):
                    continue
                package = await self._log.get_package(champion.package)
                live.put(
                    problem, await asyncio.to_thread(self._scorer, live.solution, package), champion.version
                )

        found = await self.monitors.refresh()
        self._alerts += found  # which a commit meanwhile may have taken

    def _stood(self, name: str, version: str) -> bytes | None:
        """Return the state that the last commit before this start has of something, if of that version."""
        part = self._saved[name].scorers.get("") if name in self._saved else None
        return self._pieces.joined(name, part.size) if part and part.version == version else None

    def _scorer(self, solution: Solution, package: bytes) -> Scorer | Assessor:
        """Open a model and fill its windows from the store, so that the next reading can be scored."""
        runner = Runner(package, trusted(self._settings.folder))
        scorer = self._opened(solution, runner)
        self._warm(scorer, runner.card)
        return scorer

    def _opened(self, solution: Solution, runner: Runner) -> Scorer | Assessor:
        """Open a model, with its windows empty."""
        if isinstance(runner.card.problem, Case):
            return Assessor(runner, self._streams(solution.name), solution=solution)
        model, inputs = self._seen(runner), self._inputs(solution.name)
        return Scorer(model, inputs, solution=solution, batch=self._settings.score.batch)

    def _seen(self, model: Model) -> Model:
        """Return as much of a model as is looked at here."""
        return model

    def _warm(self, scorer: Scorer | Assessor, card: Card) -> None:
        """Fill windows from the store."""
        ids = scorer.inputs
        if isinstance(scorer, Assessor):
            last = max((time for time, _ in self._observations.last(ids).values()), default=0)
            scorer.recall(self._observations.series(ids, scorer.since(last)))
            return
        read = self._observations.last(scorer.targets) or self._observations.last(ids)
        last = max((time for time, _ in read.values()), default=0)
        first = last - scorer.span * card.every_ns
        names, early = [str(one) for one in ids], scorer.early
        scorer.warm(self._observations.table(ids, names, card.every_ns, first, last + 1, measured=early))
        if early:
            scorer.recall(self._observations.series(early, first))

    def restore(self) -> None:
        """Take up the state of the last commit; a scorer of another model version starts from the store."""
        for name, saved in self._saved.items():
            live = self._live.get(name)
            if live is not None:
                live.restore(saved, self._pieces.joined)
        self._listening.resumed(max((one.engine.heard_ns for one in self._live.values()), default=0))

    def take(self, batch: Batch, upto: int) -> None:
        """Score a batch and put its alerts and forecasts on their way."""
        self._greet(batch)
        for live in self._live.values():
            if not len(batch):
                break
            scored = live.take(batch)
            self._meter.count(forecasts=len(scored.packs), findings=len(scored.findings))
            if scored.packs or scored.words:
                task = asyncio.create_task(self._publish([*scored.packs, *scored.words]))
                self._sending.add(task)
                task.add_done_callback(self._sending.discard)
            self._alerts += live.engine.take(scored.findings)
        self._alerts += self.monitors.take(batch)
        self._taken = max(self._taken, upto)

    def _greet(self, batch: Batch) -> None:
        """Take up Datastreams that nobody had when it was looked last: their first readings count, too."""
        if len(batch) and most(batch.datastream) > self._newest:
            with contextlib.suppress(StoreError):  # the catalogue is away: with the next look
                self.learn()

    def refuse(self, rejects: Sequence[Reject]) -> None:
        """Keep what could not be taken until the next commit writes it down."""
        self._rejects += rejects

    async def _publish(self, packs: Sequence[Pack | Word]) -> None:
        """Append forecasts and answers to the log, however long it is away."""
        items = [(reading_subject(pack.datastream), pack.encode(), pack.once) for pack in packs]
        while True:
            try:
                await self._log.publish_many(items)
            except AwayError as cause:
                _log.warning("forecasts wait for the log: %s", cause.what)
                await asyncio.sleep(AGAIN_S)
            else:
                return

    @property
    def full(self) -> bool:
        """Whether nothing more may be taken until the catalogue has taken what waits for it."""
        return len(self._alerts) > MOST_KEPT or len(self._rejects) > MOST_KEPT

    @property
    def pressing(self) -> bool:
        """Whether something has to be written down, or waited for, before more is taken."""
        late = bool(self._alerts) and time.monotonic() - self._failed_s > AGAIN_S
        return late or len(self._sending) > IN_FLIGHT

    async def backpressure(self) -> None:
        """Wait while too many forecasts are on their way, and raise what went wrong with one."""
        if self._alerts:
            await self.commit()
        while len(self._sending) > IN_FLIGHT:
            done, _ = await asyncio.wait(self._sending, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()

    async def commit(self) -> None:
        """Write position, state and alerts together, after every forecast up to there is in the log."""
        async with self._lock:
            self.tick()
            idle = self._taken == self.position and not self.monitors.changed
            if idle and not self._alerts and not self._rejects:
                return
            position = self._taken
            state, pieces = self._standing()
            alerts, self._alerts = self._alerts, []
            rejects, self._rejects = self._rejects, []
            try:
                await self._write(position, state, alerts, rejects, pieces)
            except BaseException:
                self._alerts, self._rejects = alerts + self._alerts, rejects + self._rejects
                self._failed_s = time.monotonic()
                raise
            self._pieces.written(pieces)
            self.monitors.committed()
            self.position = position
        self._tell(alerts)

    async def last(self, within_s: float = LAST_S) -> None:
        """Commit before others take over or the node stops; what is not done in time is done again then."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                await self.commit()

    def _standing(self) -> tuple[bytes, dict[str, bytes]]:
        """Return the state to commit, and the pieces of it that have changed."""
        states = {key: one for live in self._live.values() for key, one in live.states().items()}
        watched = self.monitors.states()
        saved = {name: one.saved(states) for name, one in self._live.items()}
        saved, states = saved | self.monitors.saved(self._saved), states | watched
        return msgspec.msgpack.encode(saved), self._pieces.changed(states)

    # --- solutions that workers score, or score no more ----------------------------------------------

    def stand(self, solution: str) -> Standing:
        """Return how a solution stands, for those who take it over."""
        live = self._live[solution]
        scorers: dict[str, tuple[bytes, ...]] = {
            key.partition(":")[2]: (state,) for key, state in live.states().items()
        }
        return Standing(live.engine.state(), scorers)

    def adopt(self, solution: Solution, before: Standing | None) -> None:
        """Look at a solution again, from where others stood; its models come with the next refresh."""
        live = self.add(solution)
        if before is not None:
            live.begin(before)

    async def settle(
        self,
        also: Callable[[], None],
        back: Sequence[tuple[Solution, Standing | None]],
        away: Collection[str],
    ) -> None:
        """Commit how all stands together with what ``also`` writes; nothing may be taken meanwhile.

        From then on solutions that come ``back``, with how others left them, are looked at here, and
        those that go ``away`` no more. When it fails, all is as it was before.
        """
        async with self._lock:
            lives, alerts, self._alerts = dict(self._live), self._alerts, []
            try:
                for solution, before in back:
                    self.adopt(solution, before)
                for name in away:
                    self._live.pop(name, None)
                state, pieces = self._standing()
                await asyncio.to_thread(self._settle, state, alerts, pieces, also)
            except BaseException:
                self._live, self._alerts = lives, alerts + self._alerts
                raise
            self._pieces.written(pieces)
            self.monitors.committed()
            self.position = self._taken
        self._tell(alerts)

    def _settle(
        self, state: bytes, alerts: Sequence[Alert], pieces: Mapping[str, bytes], also: Callable[[], None]
    ) -> None:
        with self._catalogue.together():
            self._keep(self._taken, state, alerts, pieces)
            also()

    def _tell(self, alerts: Sequence[Alert]) -> None:
        if alerts:
            self.told(alerts)
            self._alerted.set()

    async def _write(
        self,
        position: int,
        state: bytes,
        alerts: Sequence[Alert],
        rejects: Sequence[Reject],
        pieces: Mapping[str, bytes],
    ) -> None:
        """Write a commit, once all that it has foretold is in the log; doing it twice changes nothing."""
        if self._sending:  # not `gather`: they go on when this is cancelled, as a later commit counts on it
            for task in (await asyncio.wait(self._sending))[0]:
                task.result()
        if rejects:  # before the position: after a crash they are found again, never missed
            await asyncio.to_thread(self._catalogue.add_rejects, rejects)
        await asyncio.to_thread(self._keep, position, state, alerts, pieces)

    def _keep(
        self, position: int, state: bytes, alerts: Sequence[Alert], pieces: Mapping[str, bytes]
    ) -> None:
        self._catalogue.commit_view(self._name, position, state, alerts, pieces)

    async def notify(self) -> None:
        """Deliver, for ever, what commits leave in the outbox; what fails stays there for later.

        It runs beside the readings, so that a slow webhook holds nothing up.
        """
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._alerted.wait(), self.patience_s or NOTIFY_S)
            self._alerted.clear()
            with contextlib.suppress(StoreError):  # the outbox is in the catalogue, which is away
                await self._notifier.deliver()

    def ended(self, position: int, at_ns: int) -> None:
        """Note where the log ended at an instant: silences count until then once all up to there is taken."""
        self._hearing.ended(position, at_ns)

    def tick(self) -> None:
        """Let time pass for rules that wait for a silence: as far as the newest reading has come.

        Once readings come in live, the clock on the wall goes on where they stop, as far as all that
        came by then has been worked on.
        """
        now = self._hearing.until(self._taken)
        if now is not None:
            self._listening.went_on(now)
        for live in self._live.values():
            is_live = now is not None and now - live.engine.clock_ns < DAY_NS
            self._alerts += live.engine.tick(now if is_live else None, self._listening.missed)
        self._alerts += self.monitors.tick()

    def open_alerts(self) -> int:
        """Return how many alerts are active."""
        return sum(len(live.engine.open) for live in self._live.values()) + len(self.monitors.open)

    async def close(self) -> None:
        """Let go of what was opened for notification."""
        await self._notifier.close()

    def models(self) -> dict[str, str]:
        """Return the version of the model that scores each solution; of several, one a problem, all."""
        return {name: ", ".join(live.versions.values()) for name, live in self._live.items() if live.versions}
