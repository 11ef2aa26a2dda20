"""Fill the catalogue with what a solution declares: Things, Datastreams, those of forecasts, loops."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

import msgspec

from nervure.core.answer import ANSWER, Answer, answers
from nervure.core.declaration import Signal, Solution
from nervure.core.entity import (
    Actuator,
    Datastream,
    Location,
    ObservedProperty,
    Sensor,
    TaskingCapability,
    Thing,
)
from nervure.core.loop import Loop, capability
from nervure.core.problem import Forecast, Problem

__all__ = ["Catalogue", "Place", "provision"]


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """A Thing of the real world to watch, ``location`` as ``(longitude, latitude)`` in WGS 84."""

    name: str
    location: tuple[float, float] | None = None
    properties: dict[str, str | float] = {}


class Catalogue(Protocol):
    """What provisioning needs of the catalogue: idempotent creation by name."""

    def ensure_thing(self, thing: Thing, location: Location | None = None) -> Thing:
        """Return the Thing of that name, made if it was not there."""
        ...

    def ensure_sensor(self, sensor: Sensor) -> Sensor:
        """Return the Sensor of that name, made if it was not there."""
        ...

    def ensure_property(self, observed: ObservedProperty) -> ObservedProperty:
        """Return the ObservedProperty of that name, made if it was not there."""
        ...

    def ensure_datastream(self, datastream: Datastream) -> Datastream:
        """Return the Datastream of that Thing and name, made if it was not there."""
        ...

    def ensure_capability(self, capability: TaskingCapability, actuator: Actuator) -> TaskingCapability:
        """Return the TaskingCapability of that Thing and name or loop, made if it was not there."""
        ...


def provision(
    catalogue: Catalogue, solution: Solution, places: Iterable[Place], *, site: str = "site"
) -> dict[str, Datastream]:
    """Create what is missing and return the reading Datastreams by stream name.

    A stream is named ``<thing>/<signal>``, a site signal (weather) just ``<signal>``: the names
    that data sets and model cards use. Each loop becomes an Actuator and a TaskingCapability
    ``<thing>/<command>`` of every Thing, with its interlocks; one that is there keeps to what it says, as
    engineers change bounds. Doing it twice changes nothing.
    """
    streams: dict[str, Datastream] = {}
    shared = [signal for signal in solution.signals if signal.site]
    for place in places:
        streams |= _placed(catalogue, solution, place)
    if shared:
        thing = catalogue.ensure_thing(
            Thing(name=site, description=f"Site of {solution.title}", properties={"solution": solution.name})
        )
        for signal in shared:
            streams[signal.name] = _reading(catalogue, solution, signal, thing, signal.name)
    for problem in solution.problems:
        if isinstance(problem, Forecast):
            for source in [one for one in streams.values() if one.signal == problem.of]:
                _forecast(catalogue, problem, source)
    return streams


def _placed(catalogue: Catalogue, solution: Solution, place: Place) -> dict[str, Datastream]:
    """Create what belongs to one Thing, and return its reading Datastreams by name."""
    thing = catalogue.ensure_thing(
        Thing(
            name=place.name,
            description=f"{solution.thing} {place.name}",
            properties={"solution": solution.name, **place.properties},
        ),
        _location(place),
    )
    streams = {}
    for signal in solution.signals:
        if not signal.site:
            name = f"{place.name}/{signal.name}"
            streams[name] = _reading(catalogue, solution, signal, thing, name)
    for problem in solution.problems:
        for answer in answers(problem):
            _answer(catalogue, solution, problem, answer, thing)
    for loop in solution.loops:
        _loop(catalogue, solution, loop, thing)
    return streams


def _location(place: Place) -> Location | None:
    if place.location is None:
        return None
    point = {"type": "Point", "coordinates": list(place.location)}
    return Location(name=place.name, description=f"Location of {place.name}", location=point)


def _reading(catalogue: Catalogue, solution: Solution, signal: Signal, thing: Thing, name: str) -> Datastream:
    phenomenon = signal.phenomenon or signal.name
    observed = catalogue.ensure_property(
        ObservedProperty(name=phenomenon, definition=signal.definition, description=phenomenon)
    )
    sensor = catalogue.ensure_sensor(
        Sensor(name=f"{signal.name} meter", description=f"Measures {phenomenon}")
    )
    return catalogue.ensure_datastream(
        Datastream(
            name=name,
            description=f"{phenomenon} of {thing.name}",
            unit=signal.unit,
            thing=thing.id,
            sensor=sensor.id,
            observed_property=observed.id,
            solution=solution.name,
            signal=signal.name,
            every_ns=signal.every_ns,
            low=signal.low,
            high=signal.high,
        )
    )


def _forecast(catalogue: Catalogue, problem: Forecast, source: Datastream) -> Datastream:
    """A forecast is an Observation of its own Datastream, whose Sensor is the model."""
    sensor = catalogue.ensure_sensor(
        Sensor(name=f"model {problem.name}", description=f"{problem.model}, {problem.horizon} ahead")
    )
    return catalogue.ensure_datastream(
        Datastream(
            name=f"{source.name}/forecast",
            description=f"Forecast of {source.description}, {problem.horizon} ahead",
            unit=source.unit,
            thing=source.thing,
            sensor=sensor.id,
            observed_property=source.observed_property,
            solution=source.solution,
            signal=source.signal,
            kind="forecast",
            source=source.id,
            every_ns=source.every_ns,
        )
    )


def _answer(
    catalogue: Catalogue, solution: Solution, problem: Problem, answer: Answer, thing: Thing
) -> Datastream:
    """An answer about a Thing is an Observation of its own Datastream, whose Sensor is the model."""
    observed = catalogue.ensure_property(
        ObservedProperty(name=answer.phenomenon, description=answer.phenomenon)
    )
    sensor = catalogue.ensure_sensor(
        Sensor(name=f"model {solution.name} {problem.name}", description=f"Answers {problem.name}")
    )
    return catalogue.ensure_datastream(
        Datastream(
            name=f"{thing.name}/{answer.signal}",
            description=f"{answer.phenomenon} of {thing.name}",
            unit=answer.unit,
            thing=thing.id,
            sensor=sensor.id,
            observed_property=observed.id,
            solution=solution.name,
            signal=answer.signal,
            kind=ANSWER,
        )
    )


def _loop(catalogue: Catalogue, solution: Solution, loop: Loop, thing: Thing) -> TaskingCapability:
    """A loop is a TaskingCapability with its interlocks; in shadow, until somebody lets it do more."""
    asked, properties = capability(loop, solution.name, solution.inputs(thing.name))
    name = f"{thing.name}/{loop.command}"
    what = ", ".join(one.label or one.name for one in loop.sets)
    made = TaskingCapability(
        name=name, description=f"Sets {what} of {thing.name}", thing=thing.id, tasking_parameters=asked,
        properties=properties,
    )  # fmt: skip
    return catalogue.ensure_capability(
        made, Actuator(name=name, description=f"Carries out what is asked of {name}", metadata="about:blank")
    )
