"""Reader: answers what a path and its options ask of the entities, with what is expanded in them.

Expansions are read level by level, each relation of a level in one go: how many questions an answer
takes depends on what is asked and not on how many rows there are.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from nervure.core.sensorthings import BY_NAME, Kind, Relation
from nervure.store.catalogue import Catalogue
from nervure.store.language.option import Options
from nervure.store.scope import EVERYTHING, Scope
from nervure.store.select import entity, hand, observation, span
from nervure.store.select.entity import Rows
from nervure.store.select.locate import find, neighbour
from nervure.store.select.row import Found, Page, Within
from nervure.store.select.session import Limits, Observed, Session, Slow, Way, opened
from nervure.store.select.stream import Streams

__all__ = ["Reader", "Reading"]


class Reader:
    """Reads entities on somebody's behalf; may be called from any thread.

    ``QueryError`` says that something is malformed or over its limits. What is not there, or lies in
    another project, is None.
    """

    def __init__(self, catalogue: Catalogue, observed: Observed, limits: Limits | None = None) -> None:
        database = catalogue.database
        self._way = Way(database=database, observed=observed, remembered=Streams(database))
        self._limits = limits or Limits()
        self._spans = span.Saved(catalogue.database, observed)

    @contextmanager
    def open(
        self,
        scope: Scope = EVERYTHING,
        options: Options | None = None,
        kind: Kind | None = None,
        *,
        at_once: bool = False,
    ) -> Iterator[Reading]:
        """Begin to read one consistent picture; ``options`` are those that will be asked of a kind.

        With ``at_once`` whatever takes longer than a moment raises `Slow`.
        """
        if options is not None and kind is not None and span.asked(options, kind):
            if at_once:
                raise Slow
            self._spans.flush()
        with opened(self._way, scope, self._limits, at_once=at_once) as session:
            yield Reading(session)


class Reading:
    """One picture that is read; it ends with the block that :meth:`Reader.open` began."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def find(self, kind: Kind, key: int | str) -> int | None:
        """Return the row id of an entity by the id that a client knows."""
        return find(self._session, kind, key)

    def neighbour(self, kind: Kind, id: int, relation: Relation, key: int | str | None = None) -> int | None:
        """Return the row id of the one that a relation leads to, or of the one with a key among many."""
        return neighbour(self._session, kind, id, relation, key)

    def one(self, kind: Kind, id: int, options: Options) -> Found | None:
        """Return an entity by its row id."""
        return self.some(kind, [id], options).get(id)

    def some(self, kind: Kind, ids: Iterable[int], options: Options) -> dict[int, Found]:
        """Return entities by their row ids."""
        rows = self._by_id(kind, ids, options)
        return dict(zip(rows, self._founds(kind, list(rows.values()), options), strict=True))

    def page(self, kind: Kind, options: Options, within: Within | None = None) -> Page:
        """Return a page of a set, or of what a relation leads to from one entity."""
        if kind.table == "observation":
            rows = observation.rows(self._session, options, within)
        else:
            rows = entity.rows(self._session, kind, options, within)
        return _page(kind, rows, self._founds(kind, rows.rows, options))

    def leaf(self, kind: Kind, options: Options, within: Within | None) -> tuple[hand.Leaf, bool] | None:
        """Return a page of one Datastream's Observations as columns, and whether it is a MultiDatastream.

        None where memory does not have the page, or it is of something else.
        """
        if kind.table != "observation" or within is None or len(within.ids) != 1:
            return None
        (one,) = within.ids
        found = hand.leaves(self._session, options, within).get(one)
        facts = None if found is None else self._session.facts([one]).get(one)
        if found is None or facts is None:
            return None
        self._session.count(len(found.batch))
        return found, bool(facts["multi"])

    def count(self, kind: Kind, options: Options, within: Within | None = None) -> int:
        """Return how many entities there are in a set."""
        return self.page(kind, _counting(options), within).total or 0

    def _pages(self, kind: Kind, options: Options, within: Within) -> dict[int, Page]:
        if kind.table == "observation":
            groups = observation.groups(self._session, options, within)
        else:
            groups = entity.groups(self._session, kind, options, within)
        founds = iter(self._founds(kind, [row for one in groups.values() for row in one.rows], options))
        return {key: _page(kind, rows, [next(founds) for _ in rows.rows]) for key, rows in groups.items()}

    def _by_id(self, kind: Kind, ids: Iterable[int], options: Options) -> dict[int, dict[str, Any]]:
        if kind.table == "observation":
            return observation.by_id(self._session, ids)
        return entity.by_id(self._session, kind, ids, options)

    def _founds(self, kind: Kind, rows: Sequence[dict[str, Any]], options: Options) -> list[Found]:
        """Add to rows what is expanded in them."""
        self._session.count(len(rows))
        if kind.table == "observation":
            self._name_streams(rows)
        if not rows or not options.expand:
            return [Found(kind=kind, row=row) for row in rows]
        expanded: list[dict[str, Found | Page]] = [{} for _ in rows]
        for expand in options.expand:
            relation = kind.relation(expand.relation)
            if relation is not None:
                self._expand(relation, rows, expand.options, expanded)
        return [Found(kind=kind, row=row, expanded=more) for row, more in zip(rows, expanded, strict=True)]

    def _expand(
        self,
        relation: Relation,
        rows: Sequence[Mapping[str, Any]],
        options: Options,
        expanded: Sequence[dict[str, Found | Page]],
    ) -> None:
        self._session.check()
        target = BY_NAME[relation.target]
        source = relation.column or "id"
        ids = tuple(dict.fromkeys(row[source] for row in rows if row[source] is not None))
        found: Mapping[int, Found | Page]
        if relation.many:
            found = self._pages(target, options, Within(relation=relation, ids=ids))
        else:
            found = self.some(target, ids, options)
        for row, more in zip(rows, expanded, strict=True):
            if row[source] in found:
                more[relation.name] = found[row[source]]

    def _name_streams(self, rows: Sequence[dict[str, Any]]) -> None:
        """Say of Observations by which id a client knows their Datastream, and whether it is a Multi one."""
        names = self._session.facts({row["datastream"] for row in rows})
        for row in rows:
            stream = names.get(row["datastream"])
            row["stream"] = {"id": row["datastream"], "key": None} if stream is None else stream
            row["multi"] = stream is not None and stream["multi"]


def _page(kind: Kind, rows: Rows, founds: Sequence[Found]) -> Page:
    return Page(kind=kind, rows=founds, total=rows.total, following=rows.following)


def _counting(options: Options) -> Options:
    return Options(filter=options.filter, top=0, count=True)
