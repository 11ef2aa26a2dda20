"""The Writer: makes, changes, links and deletes entities, each call in one transaction."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa

from nervure.core.error import ConflictError, NotFoundError, QueryError, StoreError, UnsupportedQuery
from nervure.core.observation import Draft, Observation
from nervure.core.sensorthings import BY_NAME, Kind
from nervure.core.task import State
from nervure.store import intent, model, sql, tally
from nervure.store.catalogue import Catalogue
from nervure.store.intent import Intent, Plan
from nervure.store.scope import EVERYTHING, Scope
from nervure.store.write import area, cascade, content, draft, insert, relate, task
from nervure.store.write import change as changing_
from nervure.store.write.form import Gone, Made, Parent, Touched
from nervure.store.write.relation import MustWrite, Quick, Within
from nervure.store.write.stream import Known, make_features
from nervure.store.write.work import Work, find, resolve

__all__ = ["Gone", "Made", "Parent", "Touched", "Writer"]

_FOLLOWING = ("Datastream", "MultiDatastream")


class Writer:
    """Changes the catalogue on somebody's behalf; may be called from any thread.

    Raises ``QueryError`` for a body that the standard does not allow, ``NotFoundError`` for what is
    not there (or lies in another project), ``ConflictError`` for a key that is taken. Whoever sees
    every project writes into the one that the request leads to, else into the first.

    ``heard`` is told, when it is kept, of every entity that was made (those inside of a body,
    HistoricalLocations and features made on demand too) and of what was changed: those who follow
    entities by MQTT wait for that.
    """

    def __init__(
        self, catalogue: Catalogue, heard: Callable[[Sequence[Touched]], None] | None = None
    ) -> None:
        self._database = catalogue.database
        self._heard = heard
        self._known = Known(self._database)

    def resolve(self, kind: str, key: int | str, scope: Scope = EVERYTHING) -> int:
        """Return the row id of what a client calls by number or by the key it chose."""
        if isinstance(key, int) and kind in _FOLLOWING:  # asked for with every data array
            stream = self._known.stream(key)
            mine = stream is not None and scope.project in (None, stream.project)
            if stream is not None and mine and not stream.keyed and stream.multi == (kind != "Datastream"):
                return key
        with self._database.read() as connection:
            found = resolve(connection, _kept(kind), key, scope)
        if found is None:
            raise NotFoundError(f"there is no {kind} {key!r}")
        return found

    def create(
        self, kind: str, body: Mapping[str, Any], scope: Scope = EVERYTHING, parent: Parent | None = None
    ) -> Made:
        """Make an entity, with what lies in it (deep insert), or link one that is there to the parent.

        An Observation is only checked, and what lies in it made: its draft is for the caller to append.
        """
        if kind == "Observation":
            return Made(kind=kind, id=0, drafts=(self.draft(body, scope, parent),))
        wanted = _kept(kind)
        with self._work(scope, self._project(parent, scope)) as work:
            made = insert.make(work, wanted, body) if parent is None else _below(work, wanted, body, parent)
            drafts = _drafts(work)
            key = find(work.connection, wanted, made, work.scope)["key"]
            detail = {"id": made, "entities": len(work.made), "observations": len(drafts)}
            _audit(work, kind, "create", detail)
        return Made(kind=kind, id=made, key=key, drafts=drafts)

    def change(
        self,
        kind: str,
        id: int,
        body: Mapping[str, Any],
        scope: Scope = EVERYTHING,
        *,
        replace: bool = False,
    ) -> None:
        """Change what the body names (PATCH), or make the entity what the body says (PUT)."""
        wanted = _kept(kind)
        with self._work(scope, self._own(wanted, id, scope)) as work:
            changing_.change(work, wanted, id, body, replace=replace)
            _audit(work, kind, "replace" if replace else "change", {"id": id, "names": sorted(body)})

    def patch(self, kind: str, id: int, operations: Sequence[Any], scope: Scope = EVERYTHING) -> None:
        """Change an entity by JSON Patch (RFC 6902); a test that fails raises ``ConflictError``."""
        wanted = _kept(kind)
        with self._work(scope, self._own(wanted, id, scope)) as work:
            before = changing_.document(wanted, work.find(wanted, id))
            after = changing_.patched(before, operations)
            changing_.change(work, wanted, id, after, replace=True)
            _audit(work, kind, "patch", {"id": id, "operations": len(operations)})

    def delete(self, kind: str, id: int, scope: Scope = EVERYTHING) -> Gone:
        """Delete an entity and what cannot be without it (18-088, table 26).

        The Observations of what is returned are for the caller to drop.
        """
        wanted = _kept(kind)
        with self._work(scope, self._own(wanted, id, scope)) as work:
            gone = cascade.delete(work, wanted, id)
            _audit(work, kind, "delete", {"id": id, "datastreams": len(gone.datastreams)})
        return gone

    def link(self, parent: Parent, target: int, scope: Scope = EVERYTHING) -> None:
        """Relate two entities (``POST`` or ``PUT`` of ``$ref``)."""
        with self._work(scope, self._project(parent, scope)) as work:
            relate.link(work, parent, target)
            _audit(work, parent.kind, "link", {"id": parent.id, parent.relation: target})

    def unlink(self, parent: Parent, target: int | None = None, scope: Scope = EVERYTHING) -> None:
        """Take a relation away; without a target, the one there is (``DELETE`` of ``$ref``)."""
        with self._work(scope, self._project(parent, scope)) as work:
            relate.unlink(work, parent, target)
            _audit(work, parent.kind, "unlink", {"id": parent.id, parent.relation: target})

    def draft(
        self,
        body: Mapping[str, Any],
        scope: Scope = EVERYTHING,
        parent: Parent | None = None,
        *,
        changing: Observation | None = None,
        replace: bool = False,
        sequence: int | None = None,
    ) -> Draft:
        """Check an Observation and write it as the message of its Datastream.

        ``changing``: the Observation as it is, of which the body changes what it names; with
        ``replace``, what it does not name becomes empty. Entities inside are made. Where everything is
        linked by number this reads memory only. ``sequence``: the position of a message of the log,
        which makes entities once, however often it is read.
        """
        given = {} if parent is None else self._given(parent, scope)
        if changing is not None:
            if not isinstance(body, Mapping):
                raise QueryError("an Observation needs a JSON object", where="$")
            stream = self._known.stream(changing.datastream)
            if stream is None:
                raise NotFoundError(f"there is no Observation {changing.id}")
            body, kept = draft.merged(body, changing, multi=stream.multi, replace=replace)
            given = kept | given
        generation = self._known.generation
        try:
            return draft.draft(body, Quick(self._known, scope), time.time_ns(), given=given)
        except MustWrite:
            pass
        with self._work(scope, self._followed(body, given, scope)) as work:
            related = Within(work)
            known = None if sequence is None else intent.drafted(work.connection, sequence)
            made = known or draft.draft(body, related, work.now_ns, given=given)
            _note_drafted(work, made, sequence)
        self._known.learn(related.defaults, generation)
        return made

    def promise(self, plans: Sequence[Plan]) -> list[Intent]:
        """Write down what the log must be told, together with what is changed (`Catalogue.together`)."""
        if not plans:
            return []
        with self._database.write() as connection:
            return intent.write(connection, plans)

    def default_features(self, datastreams: Iterable[int]) -> dict[int, int | None]:
        """Return the feature that each Datastream observes where its Observations name none.

        It is made from the first Location of the Datastream's Thing, and is the same as long as the
        Thing is there and the Location says the same. ``None``: the Thing has no Location.
        """
        generation = self._known.generation
        found, missing = self._known.defaults(datastreams)
        if missing:
            with self._work(EVERYTHING) as work:
                made = make_features(work.connection, missing, work.made)
            self._known.learn(made, generation)
            found |= made
        return found

    def observed(self, pairs: Iterable[tuple[int, int]]) -> None:
        """Note that Datastreams have observed features, as (datastream, feature): observedArea grows."""
        generation = self._known.generation
        wanted = self._known.unseen(pairs)
        if wanted:
            with self._work(EVERYTHING) as work:
                area.observed(work.connection, wanted)
            self._known.seen(wanted, generation)

    def project_of(self, datastream: int) -> int | None:
        """Return whose a Datastream or MultiDatastream is, by its row; None if there is none."""
        stream = self._known.stream(datastream)
        return None if stream is None else stream.project

    def has_feature(self, datastream: int, feature: int) -> bool:
        """Tell whether there is a feature of that row which Observations of a Datastream may be about."""
        table = sql.feature_of_interest
        query = sa.select(table.c.project_id).where(table.c.id == feature)
        with self._database.read() as connection:
            project = connection.execute(query).scalar_one_or_none()
        return project is not None and project == self.project_of(datastream)

    def task_status(
        self, id: int, status: str, detail: str = "", scope: Scope = EVERYTHING
    ) -> tuple[State, ...]:
        """Note what became of a Task in its run log; returns the states that it went through."""
        with self._work(scope, self._own(BY_NAME["Task"], id, scope)) as work:
            gone = task.note(work, id, status, detail)
            if gone:
                _audit(work, "Task", gone[-1], {"id": id} | ({"detail": detail} if detail else {}))
        return gone

    @property
    def generation(self) -> int:
        """A number that rises with every change of streams, of features, and of where Things are."""
        return self._known.generation

    def forget(self) -> None:
        """Forget what is remembered of streams: changes that were made together were taken back."""
        self._known.forget()

    # --- within -----------------------------------------------------------------------------------

    @contextmanager
    def _work(self, scope: Scope, project: int | None = None) -> Iterator[Work]:
        touched = False
        try:
            with self._database.write() as connection:
                work = Work(connection, scope, project)
                yield work
                touched = work.touched
                if touched:
                    tally.count(connection)
            self._tell(work.told())
        except sa.exc.IntegrityError as cause:
            raise ConflictError("the change contradicts what is there") from cause
        except StoreError as cause:
            if isinstance(cause.__cause__, sa.exc.IntegrityError):
                raise ConflictError("the change contradicts what is there", hint=cause.what) from cause
            raise
        if touched:
            self._database.after(self._known.forget)

    def _tell(self, touched: Sequence[Touched]) -> None:
        heard = self._heard
        if heard is not None and touched:
            self._database.after(lambda: heard(touched))

    def _own(self, kind: Kind, id: int, scope: Scope) -> int | None:
        """Return the project of an entity, for whoever sees all of them."""
        if scope.project is not None:
            return None
        with self._database.read() as connection:
            return int(find(connection, kind, id, scope)["project_id"])

    def _project(self, parent: Parent | None, scope: Scope) -> int | None:
        return None if parent is None else self._own(BY_NAME[parent.kind], parent.id, scope)

    def _given(self, parent: Parent, scope: Scope) -> dict[str, int]:
        kind, relation = relate.relation_of(parent)
        if relation.target != "Observation":
            raise QueryError(f"{kind.name}/{relation.name} holds no Observations")
        stream = self._known.stream(parent.id) if kind.name in _FOLLOWING else None
        if stream is None or stream.multi != (kind.name == "MultiDatastream"):
            with self._database.read() as connection:
                find(connection, kind, parent.id, scope)
        elif scope.project not in {None, stream.project}:
            raise NotFoundError(f"there is no {kind.name} {parent.id}")
        return {relation.inverse: parent.id}

    def _followed(self, body: Mapping[str, Any], given: Mapping[str, int], scope: Scope) -> int | None:
        """Return the project of the stream that a body names, for whoever sees all of them."""
        if scope.project is not None:
            return None
        for name in _FOLLOWING:
            row = given.get(name)
            if row is None and (linked := content.reference(body.get(name))) is not None:
                with self._database.read() as connection:
                    row = resolve(connection, BY_NAME[name], linked, scope)
            stream = None if row is None else self._known.stream(row)
            if stream is not None:
                return stream.project
        return None


def _kept(name: str) -> Kind:
    """Return a kind whose entities the catalogue holds."""
    kind = BY_NAME.get(name)
    if kind is None:
        raise QueryError(f"there is no kind of entity {name!r}")
    if name == "Observation":
        raise UnsupportedQuery("Observations are changed through the log")
    return kind


def _below(work: Work, kind: Kind, body: Mapping[str, Any], parent: Parent) -> int:
    """Make or link an entity through a relation of its parent."""
    above, relation = relate.relation_of(parent)
    work.find(above, parent.id)
    if relation.target != kind.name or not relation.many:
        raise QueryError(f"no {kind.name} can be made at {above.name}/{relation.name}")
    name = content.reference(body) if _only_named(body) else None
    if name is not None:
        there = work.referred(kind, name, "$")
        if (above.name, relation.name) == ("Thing", "Locations"):
            insert.pair(work, above, parent.id, relation.name, [there])
        else:
            relate.link(work, parent, there)
        return there
    if (above.name, relation.name) in {("Thing", "Locations"), ("HistoricalLocation", "Locations")}:
        made = insert.make(work, kind, body)
        insert.pair(work, above, parent.id, relation.name, [made])
        return made
    if relation.name == "ObservedProperties":
        raise QueryError(
            "a MultiDatastream takes an ObservedProperty together with its unit and data type",
            hint="PATCH the MultiDatastream with all three",
        )
    return insert.make(work, kind, body, given={relation.inverse: [parent.id]})


def _only_named(body: object) -> bool:
    return isinstance(body, Mapping) and all("@" in one or one == "id" for one in body)


def _drafts(work: Work) -> tuple[Draft, ...]:
    """Check the Observations that lie in what was made, now that all of that is there."""
    related = Within(work)
    return tuple(
        draft.draft(one.body, related, work.now_ns, where=one.where, given=one.given) for one in work.later
    )


def _note_drafted(work: Work, made: Draft, sequence: int | None) -> None:
    """Write down that an Observation has made entities, and for which message of the log."""
    if work.made:
        _audit(work, "Observation", "create", {"datastream": made.datastream, "made": len(work.made)})
        if sequence is not None:
            intent.keep(work.connection, sequence, made)


def _audit(work: Work, kind: str, verb: str, detail: Mapping[str, Any]) -> None:
    noun = re.sub(r"(?<!^)(?=[A-Z])", "_", kind).lower()
    model.audit(work.connection, work.scope.who, f"{noun}.{verb}", {"project": work.project, **detail})
