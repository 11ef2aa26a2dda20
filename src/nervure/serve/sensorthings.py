"""SensorThings 1.1, reading only: collections, entities by key, and the ways between them.

Answers come from the catalogue and the store through two small protocols. Nothing here holds
state, and every question is bounded: a page, a depth of path, no scan of a whole table.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import msgspec

from nervure.core.entity import Datastream, FeatureOfInterest, Location, ObservedProperty, Sensor, Thing
from nervure.core.error import NotFoundError
from nervure.core.observation import Batch, Observation
from nervure.serve.answer import Answer, Unsupported, json
from nervure.serve.option import Options, following, parse
from nervure.serve.path import SETS, Step, route
from nervure.serve.shape import Entity, entity_set, feature, observations, shape

__all__ = ["Catalogue", "Observations", "SensorThings"]

_SPEC = "http://www.opengis.net/spec/iot_sensing/1.1/req"
CONFORMANCE = (
    *(
        f"{_SPEC}/datamodel/{name}"
        for name in (
            "thing",
            "location",
            "datastream",
            "sensor",
            "observed-property",
            "observation",
            "feature-of-interest",
            "entity-control-information",
        )
    ),
    f"{_SPEC}/resource-path/resource-path-to-entities",
    *(f"{_SPEC}/request-data/{name}" for name in ("select", "orderby", "top", "skip", "count", "pagination")),
    f"{_SPEC}/create-observations-via-mqtt/observations-creation",
)
_WRITING = (f"{_SPEC}/create-update-delete/create-entity", f"{_SPEC}/data-array/data-array")


class Catalogue(Protocol):
    """What is asked of the catalogue. A key that is not there raises ``NotFoundError``."""

    def things(self) -> Sequence[Thing]:
        """Return every Thing, by key."""
        ...

    def thing(self, id: int, /) -> Thing:
        """Return one Thing."""
        ...

    def locations(self, thing: int | None = None, /) -> Sequence[Location]:
        """Return every Location, or those of one Thing."""
        ...

    def sensors(self) -> Sequence[Sensor]:
        """Return every Sensor."""
        ...

    def properties(self) -> Sequence[ObservedProperty]:
        """Return every ObservedProperty."""
        ...

    def datastreams(self, *, thing: int | None = None) -> Sequence[Datastream]:
        """Return every Datastream, or those of one Thing."""
        ...

    def datastream(self, id: int, /) -> Datastream:
        """Return one Datastream."""
        ...


class Observations(Protocol):
    """What is asked of the store."""

    def count(self, datastream: int | None = None, /) -> int:
        """Return how many Observations there are, of one Datastream or of all."""
        ...

    def by_id(self, identity: int, /) -> Observation | None:
        """Return one Observation, or nothing."""
        ...

    def page(
        self,
        datastream: int | None = None,
        /,
        *,
        limit: int,
        skip: int = 0,
        order: str = "time",
        descending: bool = False,
        after: tuple[int, int] | None = None,
    ) -> Batch:
        """Return ``limit`` rows after the first ``skip``, by ``time``, ``result_time`` or ``id``.

        ``after`` is the (time, id) of the last row of the page before, in the order of time.
        """
        ...


class _Feed(msgspec.Struct, frozen=True, kw_only=True):
    """The Observations of one Datastream, or of all."""

    datastream: int | None = None


class _Page(msgspec.Struct, frozen=True, kw_only=True):
    """The entities of one page, whether there are more, and how many in all if that was asked.

    ``last`` is the (time, id) of the last row, where the next page can begin from that.
    """

    rows: Sequence[Any]
    more: bool
    total: int | None
    last: tuple[int, int] | None = None


_ORDERS = {
    "phenomenonTime": "time",
    "resultTime": "result_time",
    "id": "id",
    "@iot.id": "id",
}


class SensorThings:
    """The service: answers one path and query at a time."""

    def __init__(self, catalogue: Catalogue, store: Observations, *, writes: bool = False) -> None:
        self._catalogue = catalogue
        self._store = store
        self._conformance = CONFORMANCE + (_WRITING if writes else ())

    def root(self, base: str) -> Answer:
        """Answer with the entity sets and what of the standard is kept."""
        return json(
            {
                "value": [{"name": name, "url": f"{base}/{name}"} for name in SETS],
                "serverSettings": {"conformance": self._conformance},
            }
        )

    def answer(self, path: str, query: bytes, base: str) -> Answer:
        """Answer the ``path`` after ``/v1.1/``; raises ``QueryError`` and ``NotFoundError``."""
        options = parse(query)
        found = self._walk(route(path))
        match found:
            case _Feed():
                page = self._rows(found, options)
            case list():
                page = _slice(found, options)
            case _:
                return json(shape(found, base, options.select))
        body: dict[str, Any] = {}
        if page.total is not None:
            body["@iot.count"] = page.total
        if page.more and options.top:
            body["@iot.nextLink"] = f"{base}/{path.strip('/')}?{following(query, options, page.last)}"
        body["value"] = [shape(one, base, options.select) for one in page.rows]
        return json(body)

    def _walk(self, steps: Sequence[Step]) -> Entity | list[Any] | _Feed:
        found: Entity | list[Any] | _Feed = self._start(steps[0])
        for step in steps[1:]:
            if isinstance(found, list | _Feed):  # route() has seen to it that there is a key
                raise NotFoundError("a collection leads nowhere without a key")
            found = self._related(found, step)
        return found

    def _start(self, step: Step) -> Entity | list[Any] | _Feed:
        if step.entities == "Observations":
            return _Feed() if step.key is None else self._observation(step.key)
        everything = self._all(step.entities)
        return everything if step.key is None else _pick(everything, step)

    def _all(self, entities: str) -> list[Any]:
        match entities:
            case "Things":
                return list(self._catalogue.things())
            case "Locations":
                return list(self._catalogue.locations())
            case "FeaturesOfInterest":
                return [feature(one) for one in self._catalogue.locations()]
            case "Sensors":
                return list(self._catalogue.sensors())
            case "ObservedProperties":
                return list(self._catalogue.properties())
            case _:
                return list(self._catalogue.datastreams())

    def _related(self, entity: Entity, step: Step) -> Entity | list[Any] | _Feed:
        if step.entities == "Observations":
            return self._observations_of(entity, step)
        found = self._neighbours(entity, step.entities)
        if step.key is not None:
            return _pick(found, step)
        if step.many:
            return found
        if not found:
            raise NotFoundError(f"this {type(entity).__name__} has no {step.entities}")
        one: Entity = found[0]
        return one

    def _neighbours(self, entity: Entity, entities: str) -> list[Any]:
        catalogue = self._catalogue
        match entity, entities:
            case Thing(), "Datastreams":
                return list(catalogue.datastreams(thing=entity.id))
            case Thing(), _:
                return list(catalogue.locations(entity.id))
            case Location(), _:
                return [one for one in catalogue.things() if entity in catalogue.locations(one.id)]
            case Sensor(), _:
                return [one for one in catalogue.datastreams() if one.sensor == entity.id]
            case ObservedProperty(), _:
                return [one for one in catalogue.datastreams() if one.observed_property == entity.id]
            case Observation(), "Datastreams":
                return [catalogue.datastream(entity.datastream)]
            case Observation(), _:
                thing = catalogue.datastream(entity.datastream).thing
                return [feature(one) for one in catalogue.locations(thing)]
            case Datastream(), "Things":
                return [catalogue.thing(entity.thing)]
            case Datastream(), "Sensors":
                return [one for one in catalogue.sensors() if one.id == entity.sensor]
            case Datastream(), _:
                return [one for one in catalogue.properties() if one.id == entity.observed_property]
            case _:
                raise NotFoundError(f"{entity_set(entity)} have no {entities}")

    def _observations_of(self, entity: Entity, step: Step) -> Entity | _Feed:
        if isinstance(entity, FeatureOfInterest) or not isinstance(entity, Datastream):
            raise Unsupported(
                f"{entity_set(entity)} to Observations is not supported yet",
                hint="ask Datastreams(1)/Observations",
            )
        if step.key is None:
            return _Feed(datastream=entity.id)
        found = self._observation(step.key)
        if found.datastream != entity.id:
            raise NotFoundError(f"Datastream {entity.id} has no Observation {step.key}")
        return found

    def _observation(self, key: int) -> Observation:
        found = self._store.by_id(key)
        if found is None:
            raise NotFoundError(f"there is no Observation {key}")
        return found

    def _rows(self, feed: _Feed, options: Options) -> _Page:
        order, descending = _order(options, _ORDERS, "phenomenonTime")
        after = options.after if order == "time" else None
        batch = self._store.page(
            feed.datastream,
            limit=options.top + 1,
            skip=options.skip,
            order=order,
            descending=descending,
            after=after,
        )
        found = observations(batch)
        rows = found[: options.top]
        total = self._store.count(feed.datastream) if options.count else None
        last = (rows[-1].time_ns, rows[-1].id) if rows and order == "time" else None
        return _Page(rows=rows, more=len(found) > options.top, total=total, last=last)


def _slice(everything: list[Any], options: Options) -> _Page:
    _, descending = _order(options, {"id": "id", "@iot.id": "id"}, "id")
    ordered = sorted(everything, key=lambda one: one.id, reverse=descending)
    end = options.skip + options.top
    total = len(ordered) if options.count else None
    return _Page(rows=ordered[options.skip : end], more=len(ordered) > end, total=total)


def _order(options: Options, known: dict[str, str], default: str) -> tuple[str, bool]:
    if not options.order:
        return known[default], False
    name, descending = options.order[0]
    if len(options.order) > 1 or name not in known:
        raise Unsupported(f"$orderby={name} is not supported yet", hint=f"order by one of {', '.join(known)}")
    return known[name], descending


def _pick(found: Sequence[Any], step: Step) -> Entity:
    for one in found:
        if one.id == step.key:
            entity: Entity = one
            return entity
    raise NotFoundError(f"there is no {step.entities}({step.key}) here")
