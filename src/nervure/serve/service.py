"""The SensorThings service: every method and path of it, for HTTP and for the parts of a batch.

    GET, HEAD             read                          → SensorThings
    POST                  make an entity, link by $ref  → Writer; an Observation → Readings
    PATCH, PUT, DELETE    change, replace, delete       → the same
    POST CreateObservations, POST $batch                → `nervure.serve.arrays`, `nervure.serve.batch`

Entities are in the catalogue when a request is answered, Observations in the log and in answers.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from functools import partial
from typing import Any, Protocol, TypeVar

import msgspec

from nervure.core.error import NervureError, NotFoundError, QueryError, StoreError, StreamError
from nervure.core.observation import Draft, Group
from nervure.serve import change
from nervure.serve.answer import Answer, NotAllowed, Unreadable, failure, json, made, problem
from nervure.serve.arrays import groups_of
from nervure.serve.batch import Batch
from nervure.serve.change import Changes, Effect, Stored
from nervure.serve.guard import Guard
from nervure.serve.request import Request, link, preference
from nervure.serve.view import QUERY, VIEWS, ngsi_ld, thing_description
from nervure.store.intent import Intent
from nervure.store.scope import Scope
from nervure.store.write.form import Touched
from nervure.store.write.writer import Writer
from nervure.trust.principal import Principal

__all__ = ["Readings", "Service", "Things"]

log = logging.getLogger(__name__)

READERS = 2
MOST_WAITING = 64

_PLAIN = re.compile(r"Datastreams\((\d{1,18})\)/Observations")
_SENDING = {"CreateObservations", "$batch"}

Found = TypeVar("Found")


class Things(change.Things, Protocol):
    """What is asked of the reading side."""

    def get(self, path: str, query: str, base: str, scope: Scope, /) -> Answer:
        """Answer a GET of the path after ``/v1.1/``."""
        ...

    def at_once(self, path: str, query: str, base: str, scope: Scope, /) -> Answer | None:
        """Answer a GET out of memory, or return None where that takes longer than a moment."""
        ...


class Readings(change.Planner, Protocol):
    """Makes, changes and deletes Observations through the log; each returns when answers show it."""

    async def fast(self, datastream: int, payload: bytes, /, *, once: str | None = None) -> int | None:
        """Append one plain reading and return its id, or None if it takes more to read it."""
        ...

    async def create(self, drafts: Sequence[Draft], /, *, once: str | None = None) -> list[int]:
        """Append Observations and return their ids."""
        ...

    async def arrays(self, groups: Sequence[Group], /, *, once: str | None = None) -> list[int | None]:
        """Append data arrays and return the id of each Observation, None for one that was refused."""
        ...

    async def change(self, id: int, draft: Draft, /) -> None:
        """Give an Observation another content."""
        ...

    async def drop(self, *, ids: Sequence[int] = ()) -> None:
        """Delete Observations."""
        ...

    async def fulfil(self, intents: Sequence[Intent], /) -> list[int]:
        """Append what was written down for the log and return the ids of the Observations made."""
        ...


class Service:
    """Answers requests; questions to the catalogue run in a few threads, changes in one of their own.

    ``together`` makes one transaction of what a thread does; ``heard`` is told of Observations that
    were changed; ``mqtt`` are the addresses of the MQTT door.
    """

    def __init__(
        self,
        things: Things,
        writer: Writer,
        stored: Stored,
        readings: Readings,
        guard: Guard,
        *,
        together: Callable[[], AbstractContextManager[None]],
        heard: Callable[[Sequence[Touched]], None] | None = None,
        mqtt: Sequence[str] = (),
    ) -> None:
        self._things = things
        self._writer = writer
        self._readings = readings
        self._guard = guard
        self._heard = heard
        self._mqtt = tuple(mqtt)
        self._changes = Changes(things, writer, stored, readings, together)
        self._batch = Batch(self, guard, together)
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="read")
        self._writers = ThreadPoolExecutor(1, thread_name_prefix="write")
        self._waiting = 0

    async def answer(self, request: Request, principal: Principal) -> Answer:
        """Answer one request of somebody who may ask it; what goes wrong becomes an answer too."""
        try:
            return await self._dispatch(request, principal)
        except NervureError as cause:
            found = failure(cause)
            return Answer(status=204, headers=found.headers) if _asked_how(request, found) else found
        except Exception:
            log.exception("%s %s failed", request.method, request.path)
            return problem(500, "this should not have happened; the node's log says more")

    async def _dispatch(self, request: Request, principal: Principal) -> Answer:
        sending = request.path in _SENDING
        if sending and request.method != "POST":
            raise NotAllowed(request.method, ("POST",))
        if not request.path and request.method not in {"GET", "HEAD"}:
            raise NotAllowed(request.method, ("GET", "HEAD"))
        match request.method, request.path:
            case (("GET" | "HEAD"), _):
                return await self._read(request, principal)
            case "POST", "CreateObservations":
                return await self._arrays(request, principal)
            case "POST", "$batch":
                return await self._batch.answer(request, principal)
            case "POST", path if (plain := _PLAIN.fullmatch(path)) is not None:
                return await self._reading(int(plain[1]), request, principal)
        if request.headers.get("content-encoding", "identity") != "identity":
            raise Unreadable("send the body as it is, without content encoding")
        return await self._change(request, principal)

    async def _read(self, request: Request, principal: Principal) -> Answer:
        scope = principal.scope()
        found = self._things.at_once(request.path, request.query, request.base, scope)
        if found is not None:
            return found
        if self._waiting >= MOST_WAITING:
            return problem(503, "too many questions at once", headers=(("retry-after", "1"),))
        self._waiting += 1
        path, _, last = request.path.rpartition("/")
        try:
            if last in VIEWS:
                return await self._in_reader(self._view, path, last, request.base, scope)
            return await self._in_reader(self._things.get, request.path, request.query, request.base, scope)
        finally:
            self._waiting -= 1

    def _view(self, path: str, view: str, base: str, scope: Scope) -> Answer:
        """Answer with a Thing in the words of others."""
        target = self._things.resolve(path, scope)
        if target.kind.name != "Thing" or target.many or target.property or target.ref:
            raise NotFoundError(f"only a Thing has a view {view}", hint=f"Things(1)/{view}")
        thing = self._things.entity(target.kind, target.id or 0, base, scope, QUERY)
        if thing is None:
            raise NotFoundError("there is no such Thing")
        if view == "td":
            signed_in = not self._guard.is_open
            body = thing_description(thing, base, mqtt=self._mqtt, signed_in=signed_in)
        else:
            body = ngsi_ld(thing, base)
        return Answer(body=msgspec.json.encode(body), kind=VIEWS[view])

    async def _reading(self, datastream: int, request: Request, principal: Principal) -> Answer:
        """Take one Observation for a Datastream that its path names: mostly a plain reading."""
        once = _once(request, principal)
        if principal.project is None:
            principal.require_streams([datastream])
            found = await self._readings.fast(datastream, request.body, once=once)
            if found is not None:
                return made(link(request.base, "Observations", found), found)
        return await self._change(request, principal)

    async def _change(self, request: Request, principal: Principal) -> Answer:
        once = _once(request, principal)
        alone = partial(self._changes.alone, named=once is not None)
        effect, intents = await self.in_writer(alone, request, principal)
        return (await self.settle([(request, effect, principal)], intents))[0]

    async def _arrays(self, request: Request, principal: Principal) -> Answer:
        """Take data arrays (18-088, section 16): a link, or ``error``, for each row in order."""
        found = await self.in_writer(groups_of, request, principal, self._writer)
        ids = await self._readings.arrays(found.groups, once=_once(request, principal))
        if found.rows is not None:
            rest = iter(ids)
            ids = [next(rest, None) if good else None for good in found.rows]
        return Answer(status=201, body=_links(request.base, ids))

    def apply(self, request: Request, principal: Principal) -> Effect:
        """Change the catalogue, in this thread; `settle` does what is left for the log."""
        return self._changes.apply(request, principal)

    def undone(self) -> None:
        """Forget changes that were taken back."""
        self._writer.forget()

    def promise(self, effects: Sequence[Effect]) -> list[Intent]:
        """Write down what is left for the log, in this thread, with the changes that leave it."""
        return self._changes.promise(effects)

    async def settle(
        self, done: Sequence[tuple[Request, Effect, Principal]], intents: Sequence[Intent] = ()
    ) -> list[Answer]:
        """Do in the log what requests have left for it, and answer each."""
        if intents:
            ids = iter(await self._fulfil(intents))
        else:  # one request, or several that have left nothing
            ids = iter([one for each in done for one in await self._log(*each)])
        answers: list[Answer] = []
        for request, effect, principal in done:
            own = [next(ids) for _ in effect.drafts]
            if effect.put is not None:
                self._tell(effect)
            if effect.made and effect.observation:
                effect = msgspec.structs.replace(effect, id=own[0], name=own[0])  # noqa: PLW2901 - now it has one
            answers.append(await self._said(request, effect, principal))
        return answers

    async def _log(self, request: Request, effect: Effect, principal: Principal) -> list[int]:
        """Do in the log what a request about Observations alone asks for."""
        if effect.put is not None:
            await self._readings.change(effect.id, effect.put)
        if effect.drop:
            await self._readings.drop(ids=effect.drop)
        if not effect.drafts:
            return []
        return await self._readings.create(effect.drafts, once=_once(request, principal))

    async def _fulfil(self, intents: Sequence[Intent]) -> list[int]:
        """Do in the log what changes of the catalogue have left for it: those stay, whatever comes."""
        try:
            return await self._readings.fulfil(intents)
        except (StreamError, StoreError) as cause:
            what = f"the entities are changed as was asked, but their Observations are not yet: {cause.what}"
            hint = "they follow by themselves as soon as the log takes them; do not send this again"
            raise StreamError(what, hint=hint) from cause
        except NervureError as cause:
            cause.what = f"the entities are changed as was asked, but not every Observation: {cause.what}"
            raise

    async def _said(self, request: Request, effect: Effect, principal: Principal) -> Answer:
        """Answer a change: what was made with its address, what was changed as it is now."""
        wish = preference(request)
        if effect.deleted:
            return Answer(status=200)
        address = link(request.base, effect.kind.entities, effect.name) if effect.made else ""
        if wish == "minimal":
            headers = (("preference-applied", "return=minimal"),)
            return Answer(status=201 if address else 204, headers=(*_location(address), *headers))
        if not wish and effect.made:
            return made(address, effect.name)
        if not wish and request.path.endswith("/$ref"):
            return Answer(status=204)
        if not wish and request.quiet:
            return Answer(status=200)
        entity = await self._in_reader(
            self._things.entity, effect.kind, effect.id, request.base, principal.scope()
        )
        return json(entity, status=201 if address else 200, headers=_location(address))

    def _tell(self, effect: Effect) -> None:
        """Say that an Observation was changed; of what is made the store itself tells."""
        if self._heard is not None:
            names = frozenset(one.name for one in effect.kind.properties)
            self._heard([Touched(kind=effect.kind.name, id=effect.id, properties=names)])

    async def in_writer(self, work: Callable[..., Found], *given: Any) -> Found:
        """Do something in the thread of changes."""
        return await asyncio.get_running_loop().run_in_executor(self._writers, work, *given)

    async def _in_reader(self, work: Callable[..., Found], *given: Any) -> Found:
        return await asyncio.get_running_loop().run_in_executor(self._readers, work, *given)

    def close(self) -> None:
        """Let the threads end."""
        self._readers.shutdown(wait=True)
        self._writers.shutdown(wait=True)


def _asked_how(request: Request, answer: Answer) -> bool:
    """Whether a client only asked which methods there are (RFC 9110, 9.3.7)."""
    return request.method == "OPTIONS" and answer.status == 405


def _links(base: str, ids: Sequence[int | None]) -> bytes:
    """Write the addresses of Observations as a JSON list, ``error`` where there is none.

    >>> _links("http://localhost/v1.1", [7, None])
    b'["http://localhost/v1.1/Observations(7)","error"]'
    """
    if not ids:
        return b"[]"
    start = msgspec.json.encode(link(base, "Observations", 0)).removesuffix(b'0)"')
    numbers = msgspec.json.encode(list(ids))[1:-1]  # no step of Python for each of them
    links = b'[%b%b)"]' % (start, numbers.replace(b",", b')",' + start))
    return links.replace(start + b'null)"', b'"error"') if b"null" in numbers else links


def _location(address: str) -> tuple[tuple[str, str], ...]:
    return (("location", address),) if address else ()


_KEY = re.compile(r"[!-~]{1,128}")


def _once(request: Request, principal: Principal) -> str | None:
    """Return what names this request for good, if the client gave it an Idempotency-Key.

    Two who choose the same key do not mean the same request.
    """
    key = request.headers.get("idempotency-key")
    if key is None:
        return None
    if not _KEY.fullmatch(key):
        raise QueryError("an Idempotency-Key has 1 to 128 visible characters")
    return f"http {principal.own} {request.path} {key}".replace(" ", "|")
