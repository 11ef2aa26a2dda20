"""The front of a node: its SensorThings service, what it tells by MQTT, and its Tasks, put together."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Mapping, MutableMapping, Sequence
from typing import Any

from nervure.core.entity import Datastream
from nervure.core.error import NotFoundError
from nervure.core.observation import Batch, Reject
from nervure.core.settings import Settings
from nervure.node.drift import Drifts
from nervure.node.hub import Hub
from nervure.node.loops import Loops
from nervure.node.patrol import Patrol
from nervure.node.readings import Readings
from nervure.node.steering import Steering
from nervure.node.task import Tasking
from nervure.node.there import Present
from nervure.node.wish import Doubt
from nervure.serve.answer import ASGI
from nervure.serve.app import PRINCIPAL, application
from nervure.serve.direct import Shortcut
from nervure.serve.guard import Guard
from nervure.serve.sensorthings import SensorThings
from nervure.serve.service import Service
from nervure.solutions import find
from nervure.store.catalogue import Catalogue
from nervure.store.observations import Observations
from nervure.store.write.form import Touched
from nervure.store.write.writer import Writer
from nervure.stream.log import Entries, Log
from nervure.trust.principal import Principal

__all__ = ["Front"]


class Front:
    """Answers HTTP, tells MQTT clients what they follow, and brings Tasks to devices."""

    def __init__(
        self,
        settings: Settings,
        catalogue: Catalogue,
        observations: Observations,
        log: Log,
        readings: Readings,
        *,
        guard: Guard,
        refuse: Callable[[Sequence[Reject]], None],
        seal: Callable[[bytes], str],
        derived: Callable[[str], bytes],
        doubt: Doubt,
    ) -> None:
        solutions = [find(one) for one in settings.project.solutions]
        self._catalogue = catalogue
        self._guard = guard
        base = f"{_address(settings)}/v1.1"
        self.things = SensorThings(catalogue, observations, endpoints=_endpoints(settings))
        self.writer = Writer(catalogue, self._heard)
        self.hub = Hub(log, self.things, base, inside=settings.nats.url is None)
        present = Present(observations.last, observations.newest_after)
        self.loops = Loops(catalogue, self.writer, present, seal, derived, doubt)
        self.patrol = Patrol(catalogue, self.loops, Drifts(catalogue, observations, solutions))
        self.tasking = Tasking(catalogue, self.writer, log, refuse, self.loops)
        self.shortcut = Shortcut(guard, self.things, readings)
        self.service = Service(
            self.things,
            self.writer,
            observations,
            readings,
            guard,
            together=catalogue.together,
            heard=self.hub.heard,
            mqtt=_endpoints(settings),
        )

    def application(
        self, status: Callable[[], Mapping[str, Any]], *, ingest: ASGI, control: ASGI | None = None
    ) -> ASGI:
        """Return the whole HTTP application."""
        return application(self.service, self._guard, self._catalogue, status, ingest=ingest, control=control)

    def jobs(self) -> list[Coroutine[Any, Any, None]]:
        """Return what has to run as long as the node does."""
        return [self.hub.run(), self.tasking.run(), self.patrol.run()]

    async def may_write(self, scope: MutableMapping[str, Any], datastreams: Sequence[int]) -> str:
        """Return who sent a request, if they may write to all these Datastreams."""
        principal: Principal = scope[PRINCIPAL]
        principal.require_streams(datastreams)
        if principal.project is not None:
            for one in datastreams:
                if await asyncio.to_thread(self.writer.project_of, one) != principal.project:
                    raise NotFoundError(f"there is no Datastream {one}")
        return principal.own

    def take(self, entries: Entries) -> Entries:
        """Take out of a batch of the log what is for us, and return the rest."""
        return self.tasking.take(entries)

    def took(self, batch: Batch) -> None:
        """Tell of Observations that answers have now."""
        self.hub.took(batch)

    def learn(self, datastreams: Iterable[Datastream]) -> None:
        """Take over what Datastreams there are."""
        known = list(datastreams)
        self.hub.know(one.id for one in known if one.multi)
        self.loops.learn({one.name: one.id for one in known})

    def steered(self, sealed: Callable[[bytes, str], bool]) -> Callable[[], Steering]:
        """Return what people do with loops; ``sealed`` says whether a line of their log was signed here."""
        found = Steering(self._catalogue, self.writer, self.loops, self.tasking.asked, sealed)
        return lambda: found

    def figures(self) -> dict[str, int]:
        """Return what ``nervure status`` shows of the hub."""
        return {"told": self.hub.told, "untold": self.hub.shed}

    def _heard(self, touched: Sequence[Touched]) -> None:
        """Hand on what the Writer has made and changed."""
        self.hub.heard(touched)
        if any(one.kind == "Task" and one.made for one in touched):
            self.tasking.asked()
        if any(one.kind == "TaskingCapability" for one in touched):
            self.loops.plates.forget()

    def close(self) -> None:
        """Let go of the threads."""
        self.service.close()


def _address(settings: Settings) -> str:
    http = settings.http
    host = f"[{http.host}]" if ":" in http.host else http.host
    return f"{'https' if settings.tls.on else 'http'}://{host}:{http.port}"


def _endpoints(settings: Settings) -> tuple[str, ...]:
    """Return where MQTT is spoken, as the root document names it (18-088, 9.2.1)."""
    if settings.nats.url is not None:
        return ()
    nats = settings.nats
    host = f"[{nats.mqtt_host}]" if ":" in nats.mqtt_host else nats.mqtt_host
    return (f"{'mqtts' if settings.tls.on else 'mqtt'}://{host}:{nats.mqtt_port}",)
