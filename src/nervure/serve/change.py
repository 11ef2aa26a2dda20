"""Changes of entities by a request: what becomes of the catalogue at once, and what is left for the log.

All of it runs in one thread, so that the requests of a change set can share one transaction
(`Catalogue.together`). What they leave for the log is written down in it, too, and appended when that
is done: after a crash in between, at the next start. A request about Observations alone changes
nothing in the catalogue, and leaves all of it to the log.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol
from urllib.parse import parse_qsl, unquote, urlsplit

import msgspec

from nervure.core.error import NotFoundError, QueryError
from nervure.core.observation import Draft, Observation
from nervure.core.sensorthings import BY_NAME, Kind
from nervure.serve.answer import NotAllowed
from nervure.serve.path import Target
from nervure.serve.permit import rights_inside
from nervure.serve.request import Request, body_of, media_of
from nervure.store.intent import Intent, Plan
from nervure.store.scope import Scope
from nervure.store.write.change import patched
from nervure.store.write.content import name_of, reference
from nervure.store.write.form import Gone
from nervure.store.write.writer import Writer
from nervure.trust.principal import Principal

__all__ = ["Changes", "Effect", "Planner", "Stored", "Things", "local"]

_PATCH = "application/json-patch+json"


class Things(Protocol):
    """What is asked of the reading side."""

    def resolve(self, path: str, scope: Scope, /) -> Target:
        """Return where a path leads; ``NotFoundError`` if nowhere."""
        ...

    def matching(self, target: Target, query: str, scope: Scope, /) -> list[int] | None:
        """Return the row ids of those in a set that the ``$filter`` in ``query`` names; None without one."""
        ...

    def entity(
        self, kind: Kind, id: int, base: str, scope: Scope, query: str = "", /
    ) -> dict[str, Any] | None:
        """Return an entity as it is answered, with what the options in ``query`` say, or None."""
        ...


class Stored(Protocol):
    """What is asked of the store of Observations."""

    def by_id(self, identity: int, /) -> Observation | None:
        """Return one Observation, or nothing."""
        ...


class Planner(Protocol):
    """Writes what is left for the log as events of it."""

    def plan(
        self,
        drafts: Sequence[Draft] = (),
        puts: Mapping[int, Draft] | None = None,
        *,
        ids: Sequence[int] = (),
        datastreams: Sequence[int] = (),
        features: Sequence[int] = (),
    ) -> list[Plan]:
        """Write events that make, change and delete Observations; refuse what would not be taken."""
        ...


class Effect(msgspec.Struct, frozen=True, kw_only=True):
    """What a request has done to the catalogue, and what is still to be done in the log.

    ``drafts`` are to be appended (for a made Observation: the one), ``put`` is the new content of the
    Observation ``id``, ``drop`` are Observations to be deleted, ``gone`` whose Observations are.
    """

    kind: Kind
    id: int = 0
    name: int | str = 0
    made: bool = False
    deleted: bool = False
    drafts: tuple[Draft, ...] = ()
    put: Draft | None = None
    drop: tuple[int, ...] = ()
    gone: Gone = Gone()

    @property
    def observation(self) -> bool:
        """Whether it is an Observation, whose id the log gives."""
        return self.kind.name == "Observation"


class Changes:
    """Carries out POST, PATCH, PUT and DELETE; ``together`` makes one transaction of what a thread does."""

    def __init__(
        self,
        things: Things,
        writer: Writer,
        stored: Stored,
        planner: Planner,
        together: Callable[[], AbstractContextManager[None]],
    ) -> None:
        self._things = things
        self._writer = writer
        self._stored = stored
        self._planner = planner
        self._together = together

    def alone(
        self, request: Request, principal: Principal, *, named: bool = False
    ) -> tuple[Effect, list[Intent]]:
        """Carry out one request; return also what is written down for the log, where that is needed.

        An Observation that is ``named`` by an Idempotency-Key is sent again by who made it.
        """
        target = self._things.resolve(request.path, principal.scope())
        if target.kind.name == "Observation" and (named or not _makes_more(request)):
            return self._applied(request, target, principal), []
        try:
            with self._together():
                effect = self._applied(request, target, principal)
                return effect, self.promise([effect])
        except BaseException:
            self._writer.forget()
            raise

    def promise(self, effects: Sequence[Effect]) -> list[Intent]:
        """Write down what is left for the log, in the transaction of the changes."""
        gone = [one.gone for one in effects]
        plans = self._planner.plan(
            [draft for one in effects for draft in one.drafts],
            {one.id: one.put for one in effects if one.put is not None},
            ids=[row for one in effects for row in one.drop],
            datastreams=[row for one in gone for row in one.datastreams],
            features=[row for one in gone for row in one.features],
        )
        return self._writer.promise(plans)

    def apply(self, request: Request, principal: Principal) -> Effect:
        """Change the catalogue as a request says; raises `NotAllowed` and what the Writer raises."""
        return self._applied(request, self._things.resolve(request.path, principal.scope()), principal)

    def _applied(self, request: Request, target: Target, principal: Principal) -> Effect:
        if request.method == "DELETE" and _is_set(target):
            return self._clear(request, target, principal)
        allowed = _methods(target)
        if request.method not in allowed:
            raise NotAllowed(request.method, allowed)
        if target.ref:
            return self._refer(request, target, principal)
        match request.method:
            case "POST":
                return self._create(target, _object(request), principal)
            case "DELETE":
                return self._delete(target, principal)
        return self._change(request, target, principal)

    def _create(self, target: Target, body: dict[str, Any], principal: Principal) -> Effect:
        for right in rights_inside(body):
            principal.require(right)
        self._require_making(target.kind, body, principal)
        if target.kind.name == "Observation":
            draft = self._writer.draft(body, principal.scope(), target.parent)
            principal.require_streams([draft.datastream])
            return Effect(kind=target.kind, made=True, drafts=(draft,))
        made = self._writer.create(target.kind.name, body, principal.scope(), target.parent)
        return Effect(kind=target.kind, id=made.id, name=made.name, made=True, drafts=made.drafts)

    def _require_making(self, kind: Kind, body: dict[str, Any], principal: Principal) -> None:
        """Who may not write makes Observations and Tasks about what is there, and nothing besides."""
        if kind.name not in {"Observation", "Task"} or principal.may("write"):
            return
        for name, inner in _makes(kind, body):
            key = name_of(inner)
            try:
                if key is not None and self._writer.resolve(name, key, principal.scope()):
                    continue
            except NotFoundError:
                pass
            principal.require("write")

    def _change(self, request: Request, target: Target, principal: Principal) -> Effect:
        body = body_of(request)
        kind, row, scope = target.kind, target.id or 0, principal.scope()
        operations = (isinstance(body, list) and len(body) > 0) or media_of(request) == _PATCH
        if request.method == "PUT" and operations:
            raise QueryError("PUT takes an entity", hint="JSON Patch goes with PATCH")
        if not operations and not isinstance(body, dict):
            raise QueryError("the body is no JSON object", hint='send {"name": …}')
        if operations and not isinstance(body, list):
            raise QueryError("a JSON Patch is a list of operations", hint='send [{"op": "replace", …}]')
        for right in rights_inside(body):
            principal.require(right)
        if kind.name == "Observation":
            return self._observation(request, row, body, scope)
        if operations:
            self._writer.patch(kind.name, row, body, scope)
        else:
            self._writer.change(kind.name, row, body, scope, replace=request.method == "PUT")
        return Effect(kind=kind, id=row)

    def _observation(self, request: Request, id: int, body: Any, scope: Scope) -> Effect:
        """Change an Observation: a new content under its old id."""
        kind = BY_NAME["Observation"]
        before = self._stored.by_id(id)
        seen = self._things.entity(kind, id, request.base, scope)
        if before is None or seen is None:
            raise QueryError(f"the Observation {id} was deleted meanwhile")
        if isinstance(body, list):
            own = {one.name: seen[one.name] for one in kind.properties if one.name in seen}
            body, replace = patched(own, body), True
        else:
            replace = request.method == "PUT"
        draft = self._writer.draft(body, scope, changing=before, replace=replace)
        return Effect(kind=kind, id=id, name=id, put=draft)

    def _delete(self, target: Target, principal: Principal) -> Effect:
        row = target.id or 0
        if target.kind.name == "Observation":
            return Effect(kind=target.kind, id=row, deleted=True, drop=(row,))
        gone = self._writer.delete(target.kind.name, row, principal.scope())
        return Effect(kind=target.kind, id=row, deleted=True, gone=gone)

    def _clear(self, request: Request, target: Target, principal: Principal) -> Effect:
        """Delete the Observations of a set that a ``$filter`` names, at once; never all of them unasked."""
        rows = self._things.matching(target, request.query, principal.scope())
        if rows is None:
            raise NotAllowed(request.method, _methods(target))
        return Effect(kind=target.kind, deleted=True, drop=tuple(rows))

    def _refer(self, request: Request, target: Target, principal: Principal) -> Effect:
        """Relate two entities, or part them (OData 4.01, 11.4.6)."""
        parent = target.parent
        if parent is None:
            raise NotAllowed(request.method, ("GET", "HEAD"))
        scope = principal.scope()
        if request.method == "DELETE":
            self._writer.unlink(parent, self._parted(request, target, scope), scope)
        else:
            self._writer.link(parent, self._referred(request, target, scope), scope)
        return Effect(kind=target.kind, id=parent.id)

    def _parted(self, request: Request, target: Target, scope: Scope) -> int | None:
        """Return which entity is parted from its parent: that of the path, or that of ``$id``."""
        if not target.many:
            return target.id
        address = dict(parse_qsl(request.query)).get("$id")
        if address is None:
            raise QueryError("it is not said which link is deleted", hint="name it: $ref?$id=Locations(1)")
        return self._addressed(address, target, scope)

    def _referred(self, request: Request, target: Target, scope: Scope) -> int:
        """Return which entity the body of a ``$ref`` request names."""
        body = _object(request)
        if "@iot.id" in body:
            key = body["@iot.id"]
            if isinstance(key, bool) or not isinstance(key, int | str):
                raise QueryError("@iot.id is neither a number nor a string")
            return self._writer.resolve(target.kind.name, key, scope)
        address = next((body[name] for name in ("@iot.selfLink", "@odata.id", "@id") if name in body), None)
        if not isinstance(address, str):
            raise QueryError("the body names no entity", hint='send {"@iot.id": 1}')
        return self._addressed(address, target, scope)

    def _addressed(self, address: str, target: Target, scope: Scope) -> int:
        """Return the entity at an address, which must be of the kind that a relation leads to."""
        found = self._things.resolve(local(address)[0], scope)
        if found.kind.name != target.kind.name or found.many or found.id is None:
            raise QueryError(f"{address} is no {target.kind.name}")
        return found.id


def local(address: str) -> tuple[str, str]:
    """Split an address, absolute or relative to the service, into decoded path and query.

    >>> local("http://localhost/v1.1/Things(1)?$select=name"), local("../../Things(1)")[0]
    (('Things(1)', '$select=name'), 'Things(1)')
    """
    try:
        parts = urlsplit(address)
    except ValueError as cause:
        raise QueryError(f"{address[:200]!r} is no address") from cause
    path = unquote(parts.path)
    if parts.scheme or path.startswith("/"):
        _, found, path = path.partition("/v1.1/")
        if not found:
            raise QueryError(f"{address[:200]!r} leads out of this service", hint="begin it with /v1.1/")
    while path.startswith("../"):  # relative to the request, as OData writes the $id of a link
        path = path[3:]
    return path, parts.query


def _methods(target: Target) -> tuple[str, ...]:
    """Return the methods that a path takes."""
    if target.ref and target.parent is not None:
        relation = BY_NAME[target.parent.kind].relation(target.parent.relation)
        many = relation is not None and relation.many
        return ("GET", "HEAD", "POST", "DELETE") if many and target.many else ("GET", "HEAD", "PUT", "DELETE")
    if target.property or target.value or target.ref or target.count:
        return ("GET", "HEAD")
    return ("GET", "HEAD", "POST") if target.many else ("GET", "HEAD", "PATCH", "PUT", "DELETE")


def _is_set(target: Target) -> bool:
    """Tell whether a path leads to Observations, and not to links to them or their number."""
    return target.kind.name == "Observation" and target.many and not target.ref and not target.count


def _object(request: Request) -> dict[str, Any]:
    body = body_of(request)
    if not isinstance(body, dict):
        raise QueryError("the body is no JSON object", hint='send {"name": …}')
    return body


def _makes_more(request: Request) -> bool:
    """Whether a request about an Observation makes other entities, too."""
    body = body_of(request) if request.method != "DELETE" else None
    return isinstance(body, dict) and bool(_makes(BY_NAME["Observation"], body))


def _makes(kind: Kind, body: Mapping[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """Return what an Observation or a Task would make beside itself, each with the name of its kind."""
    ones = [(one.target, body.get(one.name)) for one in kind.relations if not one.many]
    return [(name, inner) for name, inner in ones if isinstance(inner, dict) and reference(inner) is None]
