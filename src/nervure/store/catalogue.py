"""The catalogue: entities, alerts, positions of views, quarantine, models and audit, in SQL."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Self

from nervure.core.alert import Alert
from nervure.core.card import Card
from nervure.core.entity import (
    Actuator,
    Datastream,
    FeatureOfInterest,
    Location,
    ObservedProperty,
    Sensor,
    TaskingCapability,
    Thing,
)
from nervure.core.guard import Verdict
from nervure.core.instant import iso
from nervure.core.observation import Reject
from nervure.store import alert, entity, intent, model, monitor, quarantine
from nervure.store.database import Database
from nervure.store.due import Due, due, thing_of
from nervure.store.intent import Intent
from nervure.store.migration import migrate
from nervure.store.model import Entry, Model
from nervure.store.monitor import Posted

__all__ = ["Catalogue"]


class Catalogue:
    """The catalogue of one installation; its methods may be called from any thread.

    Every change is one transaction. What is not there raises ``NotFoundError``, a database that
    cannot be read or written ``StoreError``.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    @classmethod
    def open(cls, place: str | Path) -> Self:
        """Open a SQLite file, or the database of a URL, and bring its tables up to date."""
        database = Database(place)
        try:
            migrate(database)
        except BaseException:
            database.close()
            raise
        return cls(database)

    def close(self) -> None:
        """Close every connection."""
        self._database.close()

    @property
    def database(self) -> Database:
        """The connections, for the parts of the store that read and write entities themselves."""
        return self._database

    def together(self) -> AbstractContextManager[None]:
        """Make one transaction of all that this thread reads and writes within the block."""
        return self._database.together()

    def due_tasks(self, limit: int = 1000) -> list[Due]:
        """Return the Tasks that nobody was told yet, the oldest first."""
        with self._database.read() as connection:
            return due(connection, limit)

    def thing_of_task(self, id: int) -> int | None:
        """Return the Thing of which a Task asks something, or None."""
        with self._database.read() as connection:
            return thing_of(connection, id)

    # --- entities --------------------------------------------------------------------------------

    def ensure_thing(self, thing: Thing, location: Location | None = None) -> Thing:
        """Return the Thing of that name with its id, made or changed to what is given."""
        with self._database.write() as connection:
            return entity.ensure_thing(connection, thing, location)

    def ensure_sensor(self, sensor: Sensor) -> Sensor:
        """Return the Sensor of that name with its id, made or changed to what is given."""
        with self._database.write() as connection:
            return entity.ensure_sensor(connection, sensor)

    def ensure_property(self, observed: ObservedProperty) -> ObservedProperty:
        """Return the ObservedProperty of that name with its id, made or changed to what is given."""
        with self._database.write() as connection:
            return entity.ensure_property(connection, observed)

    def ensure_feature(self, feature: FeatureOfInterest) -> FeatureOfInterest:
        """Return the FeatureOfInterest of that name with its id, made or changed to what is given."""
        with self._database.write() as connection:
            return entity.ensure_feature(connection, feature)

    def ensure_datastream(self, datastream: Datastream) -> Datastream:
        """Return the Datastream of that Thing and name with its id, made or changed to what is given."""
        with self._database.write() as connection:
            return entity.ensure_datastream(connection, datastream)

    def ensure_capability(self, capability: TaskingCapability, actuator: Actuator) -> TaskingCapability:
        """Return the TaskingCapability of that Thing and name or loop, made if it was not there."""
        with self._database.write() as connection:
            return entity.ensure_capability(connection, capability, actuator)

    def things(self) -> list[Thing]:
        """Return every Thing by id."""
        with self._database.read() as connection:
            return entity.things(connection)

    def thing(self, id: int) -> Thing:
        """Return one Thing."""
        with self._database.read() as connection:
            return entity.one(connection, Thing, id)

    def locations(self, thing_id: int | None = None) -> list[Location]:
        """Return every Location by id, or where one Thing is now."""
        with self._database.read() as connection:
            return entity.locations(connection, thing_id)

    def historical_locations(self, thing_id: int) -> list[tuple[int, Location]]:
        """Return where a Thing was, each with the instant since when, the newest first."""
        with self._database.read() as connection:
            return entity.history(connection, thing_id)

    def sensors(self) -> list[Sensor]:
        """Return every Sensor by id."""
        with self._database.read() as connection:
            return entity.sensors(connection)

    def properties(self) -> list[ObservedProperty]:
        """Return every ObservedProperty by id."""
        with self._database.read() as connection:
            return entity.properties(connection)

    def features(self) -> list[FeatureOfInterest]:
        """Return every FeatureOfInterest by id."""
        with self._database.read() as connection:
            return entity.features(connection)

    def datastreams(
        self,
        *,
        solution: str | None = None,
        signal: str | None = None,
        kind: str | None = None,
        thing: int | None = None,
    ) -> list[Datastream]:
        """Return the Datastreams by id, all or those that fit."""
        with self._database.read() as connection:
            return entity.datastreams(connection, solution=solution, signal=signal, kind=kind, thing=thing)

    def datastream(self, id: int) -> Datastream:
        """Return one Datastream."""
        with self._database.read() as connection:
            return entity.one(connection, Datastream, id)

    def stamp(self) -> tuple[int, ...]:
        """Return numbers that change with the entities that streams are about, and with the models.

        One cheap query, for those who keep what they read of the catalogue.
        """
        with self._database.read() as connection:
            return model.stamp(connection)

    def save_spans(self, spans: Mapping[int, tuple[int, int]]) -> None:
        """Note the first and the newest phenomenon time of Datastreams, in nanoseconds."""
        with self._database.write() as connection:
            entity.save_spans(connection, spans)

    # --- alerts and views ------------------------------------------------------------------------

    def save_alerts(self, alerts: Sequence[Alert]) -> list[Alert]:
        """Write alerts and return those that are new or changed; what people said about them stays."""
        with self._database.write() as connection:
            return alert.save(connection, alerts)

    def announce(self, alerts: Sequence[Alert]) -> None:
        """Write alerts that no view of the log has raised, and the news of them."""
        with self._database.write() as connection:
            alert.announce(connection, alerts)

    def alerts(
        self,
        *,
        active: bool | None = None,
        solution: str | None = None,
        limit: int = 100,
        thing: int | None = None,
        project: int | None = None,
    ) -> list[Alert]:
        """Return alerts, the newest first; of one Thing or of one project where these are named."""
        with self._database.read() as connection:
            return alert.alerts(
                connection, active=active, solution=solution, limit=limit, thing=thing, project=project
            )

    def alert(self, id: str, project: int | None = None) -> Alert:
        """Return one alert."""
        with self._database.read() as connection:
            return alert.one(connection, id, project)

    def acknowledge(self, id: str, who: str) -> Alert:
        """Note that a person saw an alert."""
        with self._database.write() as connection:
            changed = alert.acknowledge(connection, id)
            model.audit(connection, who, "alert.acknowledge", {"alert": id})
            return changed

    def shelve(self, id: str, until_ns: int | None, who: str, reason: str) -> Alert:
        """Silence an alert until an instant, for a reason; None ends the silence."""
        with self._database.write() as connection:
            changed = alert.shelve(connection, id, until_ns)
            until = None if until_ns is None else iso(until_ns)
            model.audit(connection, who, "alert.shelve", {"alert": id, "until": until, "reason": reason})
            return changed

    def judge(self, id: str, verdict: Verdict, who: str, note: str = "") -> Alert:
        """Note what a person says an alert was: true, false, or of planned work."""
        with self._database.write() as connection:
            said = {"verdict": verdict, "by": who, "at": iso(time.time_ns())} | (
                {"note": note} if note else {}
            )
            changed = alert.judge(connection, id, said)
            model.audit(connection, who, "alert.judge", {"alert": id, "verdict": verdict, "note": note})
            return changed

    def assign(self, id: str, to: str | None, who: str) -> Alert:
        """Note who is to look after an alert; None: nobody."""
        with self._database.write() as connection:
            said = None if to is None else {"to": to, "by": who, "at": iso(time.time_ns())}
            changed = alert.assign(connection, id, said)
            model.audit(connection, who, "alert.assign", {"alert": id, "to": to})
            return changed

    def comment(self, id: str, text: str, who: str) -> Alert:
        """Note what a person has to say about an alert."""
        with self._database.write() as connection:
            found = alert.one(connection, id)
            model.audit(connection, who, "alert.comment", {"alert": id, "text": text})
            return found

    def judged(self, solution: str, models: Sequence[str]) -> list[Alert]:
        """Return the alerts of some model versions on which there is a verdict, the oldest first."""
        with self._database.read() as connection:
            return alert.judged(connection, solution, models)

    def view(self, name: str) -> tuple[int, bytes] | None:
        """Return the log position and the state of a view, or None if it has none yet."""
        with self._database.read() as connection:
            return alert.view(connection, name)

    def view_parts(self, name: str) -> dict[str, bytes]:
        """Return the parts that a view keeps beside its state, by their names."""
        with self._database.read() as connection:
            return alert.view_parts(connection, name)

    def commit_view(
        self,
        name: str,
        sequence: int,
        state: bytes,
        alerts: Sequence[Alert] = (),
        parts: Mapping[str, bytes] | None = None,
    ) -> None:
        """Write, in one transaction, a view's position and state, its alerts, and the news of them.

        Alerts that are as they were make no news, so a replay tells nobody twice. A large state is kept
        in ``parts``: those given are written, the others stay as they are.
        """
        with self._database.write() as connection:
            alert.commit_view(connection, name, sequence, state, alerts, parts)

    def outbox(self, limit: int = 1000) -> list[tuple[str, Alert]]:
        """Return the news that were not delivered yet with their keys, the oldest first."""
        with self._database.read() as connection:
            return alert.outbox(connection, limit)

    def news(self, after: int | None) -> tuple[int, list[Alert]]:
        """Return the key of the newest news and the alerts of those after a key, delivered or not."""
        with self._database.read() as connection:
            return alert.news(connection, after)

    def delivered(self, key: str) -> None:
        """Note that a piece of news was delivered."""
        with self._database.write() as connection:
            alert.delivered(connection, key)

    # --- monitors that need no labels -------------------------------------------------------------

    def post_monitor(self, given: Posted, who: str) -> None:
        """Put a Thing under watch, by another monitor if it is already."""
        with self._database.write() as connection:
            monitor.post(connection, given)
            model.audit(connection, who, "monitor.post", {"thing": given.thing, "version": given.version})

    def drop_monitor(self, thing: int, who: str) -> None:
        """Watch a Thing no more."""
        with self._database.write() as connection:
            monitor.drop(connection, thing)
            model.audit(connection, who, "monitor.drop", {"thing": thing})

    def monitors(self, project: int | None = None) -> list[Posted]:
        """Return the monitors by Thing, without their states; of one project, if ``project`` names it."""
        with self._database.read() as connection:
            return monitor.monitors(connection, project)

    def monitor(self, thing: int) -> Posted:
        """Return the monitor of a Thing."""
        with self._database.read() as connection:
            return monitor.posted(connection, thing)

    # --- what is between the catalogue and the log -------------------------------------------------

    def intents(self, limit: int = 1000) -> list[Intent]:
        """Return what the log was not told yet of changes of entities, the oldest first."""
        with self._database.read() as connection:
            return intent.pending(connection, limit)

    def fulfilled(self, id: int) -> None:
        """Note that the log has what an intent says."""
        with self._database.write() as connection:
            intent.clear(connection, id)

    def forget_drafted(self, upto: int) -> None:
        """Forget what messages of the log have made, up to a position that nobody reads again."""
        with self._database.write() as connection:
            intent.forget(connection, upto)

    def note(self, who: str, what: str, detail: Mapping[str, Any]) -> None:
        """Write a line of the audit about what was done outside the catalogue."""
        with self._database.write() as connection:
            model.audit(connection, who, what, detail)

    # --- quarantine, models, audit ---------------------------------------------------------------

    def add_rejects(self, rejects: Sequence[Reject]) -> int:
        """Count and keep what could not be taken, once, and return how many messages were new."""
        if not rejects:
            return 0
        with self._database.write() as connection:
            return quarantine.add(connection, rejects)

    def quarantine(self, limit: int = 100, reason: str | None = None) -> list[Reject]:
        """Return what could not be taken, the newest first; of each reason the newest 1,000 are kept."""
        with self._database.read() as connection:
            return quarantine.newest(connection, limit, reason)

    def quarantine_counts(self) -> dict[str, int]:
        """Return how many readings could not be taken, by reason."""
        with self._database.read() as connection:
            return quarantine.counts(connection)

    def add_model(self, card: Card, package: str, sha256: str, promoted: bool = False) -> Model:
        """Add a model whose file is in the object store; the same file again is the same model."""
        with self._database.write() as connection:
            return model.add(connection, card, package, sha256, promoted=promoted)

    def models(self, solution: str | None = None) -> list[Model]:
        """Return the models, the newest first."""
        with self._database.read() as connection:
            return model.models(connection, solution)

    def champion(self, solution: str, problem: str) -> Model | None:
        """Return the model that scores a problem, or None."""
        with self._database.read() as connection:
            return model.champion(connection, solution, problem)

    def promote(self, id: int, who: str) -> Model:
        """Let a model score its problem; the one before stays for going back."""
        with self._database.write() as connection:
            chosen = model.promote(connection, id)
            model.audit(connection, who, "model.promote", {"model": id, "version": chosen.version})
            return chosen

    def audit(self, who: str, what: str, detail: Mapping[str, Any]) -> None:
        """Write down that somebody did something on purpose."""
        with self._database.write() as connection:
            model.audit(connection, who, what, detail)

    def audits(self, limit: int = 100) -> list[Entry]:
        """Return what was done on purpose, the newest first."""
        with self._database.read() as connection:
            return model.audits(connection, limit)
