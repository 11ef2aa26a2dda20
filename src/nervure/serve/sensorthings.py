"""SensorThings 1.1, the reading side: resource paths and query options (18-088, sections 9.2 and 9.3)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any
from urllib.parse import quote

import msgspec

from nervure.core.error import NotFoundError, QueryError, UnsupportedQuery
from nervure.core.sensorthings import BY_NAME, Kind
from nervure.serve import document, following, root
from nervure.serve.answer import Answer, json
from nervure.serve.path import Route, Step, Target, route
from nervure.serve.shape import address, properties
from nervure.store.catalogue import Catalogue
from nervure.store.language.option import Options, parse_options
from nervure.store.scope import EVERYTHING, Scope
from nervure.store.select.reader import Reader, Reading
from nervure.store.select.row import Within, wire_id
from nervure.store.select.session import Limits, Observed, Slow
from nervure.store.write.form import Parent

__all__ = ["SensorThings"]

_NOTHING = Answer(status=204)
_TEXT = "text/plain; charset=utf-8"
_MOST_AT_ONCE = 10_000
_LONG = re.compile(r"filter|expand", re.IGNORECASE)
_KEPT = 256
"""The options of queries up to this length are remembered: dashboards repeat themselves."""


class SensorThings:
    """The service's reading side; its methods may be called from any thread.

    Raises ``QueryError`` for what is malformed or over its limits, ``UnsupportedQuery`` for what the
    standard allows and is not answered, ``NotFoundError`` for what is not there or not in the scope.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        observations: Observed,
        *,
        endpoints: Sequence[str] = (),
        limits: Limits | None = None,
    ) -> None:
        self._reader = Reader(catalogue, observations, limits)
        self._endpoints = tuple(endpoints)

    def at_once(self, path: str, query: str, base: str, scope: Scope = EVERYTHING) -> Answer | None:
        """Answer a GET for a few rows that are in memory, as :meth:`get` does, or return None."""
        if not path.endswith("/Observations") or _LONG.search(query) or len(query) > _KEPT:
            return None
        try:
            return self.get(path, query, base, scope, at_once=True)
        except Slow:
            return None

    def get(
        self, path: str, query: str, base: str, scope: Scope = EVERYTHING, *, at_once: bool = False
    ) -> Answer:
        """Answer a GET; with ``at_once`` only what takes no more than a moment, or raise `Slow`.

        ``path`` is what follows ``/v1.1/``, percent-decoded; ``query`` is the query string as it came;
        ``base`` is the address that links begin with, ending in ``/v1.1``.
        """
        if not path.strip("/"):
            return json(root.document(base, self._endpoints))
        wanted = route(path)
        kind = wanted.steps[-1].kind
        options = _read(query, kind.name) if len(query) <= _KEPT else parse_options(query, kind)
        _check(wanted, options)
        with self._reader.open(scope, options, kind, at_once=at_once) as reading:
            target = _walk(reading, wanted)
            if target.many:
                return _set(reading, target, options, base, query, path)
            if target.id is None:
                raise _nowhere(wanted.steps[-1])
            if target.property:
                return _property(reading, target, base)
            return _entity(reading, target, options, base, query)

    def resolve(self, path: str, scope: Scope = EVERYTHING) -> Target:
        """Return where a path leads, for any method."""
        wanted = route(path)
        with self._reader.open(scope) as reading:
            return _walk(reading, wanted)

    def matching(self, target: Target, query: str, scope: Scope = EVERYTHING) -> list[int] | None:
        """Return the row ids of those in a set that the ``$filter`` in ``query`` names; None without one."""
        options = parse_options(query, target.kind)
        if options.filter is None:
            return None
        chosen = Options(filter=options.filter, select=("id",), top=_MOST_AT_ONCE)
        with self._reader.open(scope, options, target.kind) as reading:
            page = reading.page(target.kind, chosen, _within(target))
        if page.following is not None:
            raise QueryError(f"it is more than {_MOST_AT_ONCE:,}", hint="take a narrower $filter")
        return [one.row["id"] for one in page.rows]

    def entity(
        self, kind: Kind, id: int, base: str, scope: Scope = EVERYTHING, query: str = ""
    ) -> dict[str, Any] | None:
        """Return an entity by its row id as it is answered, or None where there is none in the scope."""
        return self.entities(kind, [id], base, scope, query).get(id)

    def entities(
        self, kind: Kind, ids: Iterable[int], base: str, scope: Scope = EVERYTHING, query: str = ""
    ) -> dict[int, dict[str, Any]]:
        """Return entities by their row ids, with what ``$select`` and ``$expand`` in ``query`` say."""
        options = parse_options(query, kind)
        given = following.given(query)
        with self._reader.open(scope, options, kind) as reading:
            found = reading.some(kind, ids, options)
        return {key: document.entity(one, base, options, given) for key, one in found.items()}


@lru_cache(1024)
def _read(query: str, kind: str) -> Options:
    return parse_options(query, BY_NAME[kind])


# --- from the path to what is there ---------------------------------------------------------------


def _walk(reading: Reading, wanted: Route) -> Target:
    """Follow the steps of a path; each is looked up among those of the step before."""
    first, *rest = wanted.steps
    found: int | None = None
    parent: Parent | None = None
    if first.key is not None and (found := reading.find(first.kind, first.key)) is None:
        raise _nowhere(first)
    before = first.kind
    for step in rest:
        relation = step.relation
        if relation is None or found is None:
            raise _nowhere(step)
        parent = Parent(kind=before.name, id=found, relation=relation.name)
        found = None if step.many else reading.neighbour(before, found, relation, step.key)
        loose = wanted.ref and step is wanted.steps[-1] and step.key is None
        if found is None and not step.many and not loose:
            raise _nowhere(step)
        before = step.kind
    return Target(
        kind=wanted.steps[-1].kind,
        id=found,
        many=wanted.steps[-1].many,
        parent=parent,
        property=wanted.property,
        value=wanted.value,
        ref=wanted.ref,
        count=wanted.count,
    )


def _nowhere(step: Step) -> NotFoundError:
    name = step.kind.name if step.relation is None else step.relation.name
    if step.key is None:
        return NotFoundError(f"there is no {name} here")
    key = f"'{step.key}'" if isinstance(step.key, str) else step.key
    return NotFoundError(f"there is no {step.kind.entities}({key}) here")


# --- answers --------------------------------------------------------------------------------------


def _set(reading: Reading, target: Target, options: Options, base: str, query: str, path: str) -> Answer:
    within = _within(target)
    if target.count:
        return Answer(body=str(reading.count(target.kind, options, within)).encode(), kind=_TEXT)
    start = f"{base}/{quote(path.strip('/'), safe=_SAFE)}"
    given = following.given(query)
    if target.ref:
        options = msgspec.structs.replace(options, select=("id",), expand=())
        page = reading.page(target.kind, options, within)
        return json(document.references(page, start, base, given))
    if options.select is None and not options.expand and options.result_format is None:
        leaf = reading.leaf(target.kind, options, within)
        if leaf is not None and (body := document.leaf(*leaf, start, base, given)) is not None:
            return json(body)
    page = reading.page(target.kind, options, within)
    if options.result_format is not None:
        return json(document.array(page, start, base, options, given))
    return json(document.text(page, start, base, options, given))


def _within(target: Target) -> Within | None:
    """Return what a set is below of, None for all of a kind."""
    if target.parent is None:
        return None
    relation = BY_NAME[target.parent.kind].relation(target.parent.relation)
    return None if relation is None else Within(relation=relation, ids=(target.parent.id,))


_SAFE = "/$()',:;@=!*~"


def _entity(reading: Reading, target: Target, options: Options, base: str, query: str) -> Answer:
    if target.ref:
        options = Options(select=("id",))
    found = reading.one(target.kind, target.id or 0, options)
    if found is None:
        raise NotFoundError(f"there is no {target.kind.name} here")
    if target.ref:
        return json({"@iot.selfLink": address(found.kind, found.row, base)})
    return json(document.entity(found, base, options, following.given(query)))


def _property(reading: Reading, target: Target, base: str) -> Answer:
    """Answer with one property, or with what lies in it (18-088, 9.2.4 and 9.2.5)."""
    first, *inner = target.property
    name = first.partition("[")[0]
    found = reading.one(target.kind, target.id or 0, Options(select=(name.removeprefix("@iot."),)))
    if found is None:
        raise NotFoundError(f"there is no {target.kind.name} here")
    control = {"@iot.id": wire_id(found.row), "@iot.selfLink": address(found.kind, found.row, base)}
    full = control | properties(found.kind, found.row)
    if full.get(name) is None:
        return _NOTHING
    there, value = document.pick(full, (first, *inner))
    if not there:
        raise NotFoundError(f"there is no {'/'.join(target.property)} in this {target.kind.name}")
    if value is None:
        return _NOTHING
    if not target.value:
        return json({target.property[-1]: value})
    if isinstance(value, str):
        return Answer(body=value.encode(), kind=_TEXT)
    body = msgspec.json.encode(value)
    return Answer(body=body) if isinstance(value, dict | list) else Answer(body=body, kind=_TEXT)


# --- what goes together ---------------------------------------------------------------------------


def _check(wanted: Route, options: Options) -> None:
    """Refuse options that say nothing of what the path leads to."""
    last = wanted.steps[-1]
    if not last.many and options.filter is not None:
        raise QueryError(f"$filter is asked of a set, and {last.kind.name} is one entity")
    if options.result_format is not None:
        _check_format(wanted, options)
    _check_expands(options, last.kind)


def _check_format(wanted: Route, options: Options) -> None:
    last = wanted.steps[-1]
    if options.result_format != "dataArray":
        raise UnsupportedQuery(f"$resultFormat={options.result_format} is not answered", hint="dataArray is")
    if last.kind.name != "Observation" or not last.many or wanted.ref or wanted.count:
        raise QueryError(
            "$resultFormat=dataArray is asked of Observations", hint="Datastreams(1)/Observations"
        )
    if options.expand:
        raise QueryError("a data array has no room for $expand")
    names = {"id", *(one.name for one in last.kind.properties)}
    foreign = sorted(set(options.select or ()) - names)
    if foreign:
        raise QueryError(
            f"a data array has no room for {foreign[0]}", hint=f"it has {', '.join(sorted(names))}"
        )


def _check_expands(options: Options, kind: Kind) -> None:
    for expand in options.expand:
        relation, inner = kind.relation(expand.relation), expand.options
        if relation is None:
            continue
        if inner.filter is not None and not relation.many:
            raise QueryError(f"$filter is asked of a set, and {relation.name} is one entity")
        if inner.result_format is not None or inner.token is not None:
            raise QueryError("$resultFormat and $skiptoken stand outside of $expand")
        _check_expands(inner, BY_NAME[relation.target])
