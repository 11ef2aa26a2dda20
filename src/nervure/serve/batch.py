"""``POST /$batch``: several requests in one, as multipart or as JSON (OData 4.01, 11.7 and JSON 19).

They are carried out in their order. The requests of a change set (in JSON: of one
``atomicityGroup``) share one transaction of the catalogue, and if one fails none has been made;
their Observations are appended to the log when it is done, after a crash at the next start. ``$id``
stands for what the request of that id has made, in addresses and, as an ``@iot.id``, in bodies.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

import msgspec

from nervure.core.error import NervureError, QueryError, UnsupportedQuery
from nervure.serve.answer import Answer, failure, json, problem
from nervure.serve.change import Effect, local
from nervure.serve.guard import Guard
from nervure.serve.multipart import Part, boundary_of, read_parts, write_parts
from nervure.serve.request import Request, body_of, media_of, named
from nervure.store.intent import Intent
from nervure.trust.principal import Principal

__all__ = ["Batch", "Carrier"]

MOST = 1000
"""How many requests a batch may have."""

_CONDITION = re.compile(r"(not\s+)?\$([\w.-]+)/\$succeeded")
_CONTINUE = re.compile(r"continue-on-error\s*=\s*false|continue-on-error\s*=\s*\"false\"", re.IGNORECASE)

Done = list[tuple[Request, Effect, Principal]]

Names = dict[str, str | None]
"""What each id stands for: ``Things(1)``; None for what failed or has no address yet."""


class Carrier(Protocol):
    """Carries out single requests."""

    async def answer(self, request: Request, principal: Principal) -> Answer:
        """Answer one request."""
        ...

    def apply(self, request: Request, principal: Principal) -> Effect:
        """Change the catalogue, in this thread."""
        ...

    def promise(self, effects: Sequence[Effect]) -> list[Intent]:
        """Write down what is left for the log, in this thread."""
        ...

    def undone(self) -> None:
        """Forget changes that were taken back."""
        ...

    async def settle(
        self, done: Sequence[tuple[Request, Effect, Principal]], intents: Sequence[Intent] = ()
    ) -> list[Answer]:
        """Do in the log what is left of requests, and answer each."""
        ...

    async def in_writer(self, work: Callable[..., Any], *given: Any) -> Any:
        """Do something in the thread of changes."""
        ...


class _Failed(Exception):
    """A request of a change set that could not be carried out: its place, and why."""

    def __init__(self, place: int, cause: NervureError) -> None:
        super().__init__(cause.what)
        self.place, self.cause = place, cause


class _Asked(msgspec.Struct, frozen=True, kw_only=True):
    """One request of a JSON batch."""

    id: str
    method: str
    url: str
    headers: dict[str, str] = {}
    body: Any = None
    group: str = msgspec.field(name="atomicityGroup", default="")
    needs: list[str] = msgspec.field(name="dependsOn", default_factory=list)
    condition: str = msgspec.field(name="if", default="")


class _Batch(msgspec.Struct, frozen=True, kw_only=True):
    requests: list[_Asked]


class Batch:
    """Answers batches with the help of whoever carries out single requests."""

    def __init__(
        self, carrier: Carrier, guard: Guard, together: Callable[[], AbstractContextManager[None]]
    ) -> None:
        self._carrier = carrier
        self._guard = guard
        self._together = together

    async def answer(self, request: Request, principal: Principal) -> Answer:
        """Answer a batch; an error of one of its requests stands in the answer to that one."""
        if media_of(request) == "multipart/mixed":
            parts = read_parts(request.body, boundary_of(request.headers["content-type"]), most=MOST)
            return await self._multipart(request, parts, principal)
        body_of(request)  # is it JSON, and not too deep?
        try:
            batch = msgspec.json.decode(request.body, type=_Batch, strict=False)
        except msgspec.ValidationError as cause:
            raise QueryError(
                f"the batch cannot be read: {cause}",
                hint='send {"requests": [{"id": "1", "method": "get", "url": "Things(1)"}]}',
            ) from cause
        if len(batch.requests) > MOST:
            raise QueryError(f"a batch may have {MOST} requests at most")
        return await self._json(request, batch.requests, principal)

    async def _multipart(self, request: Request, parts: Sequence[Part], principal: Principal) -> Answer:
        names: Names = {}
        answers: list[tuple[str, Answer] | list[tuple[str, Answer]]] = []
        for part in parts:
            inner = [part] if part.parts is None else list(part.parts)
            requests = [_request(request, one.method, one.url, one.headers, one.body) for one in inner]
            ids = [one.id for one in inner]
            if part.parts is None:
                found = await self._single(requests[0], ids[0], names, principal)
                answers.append((ids[0], found))
                wrong = found.status >= 400
            else:
                several = await self._set(requests, ids, names, principal)
                failed = [one for one in several if one.status >= 400 and one.status != 424]
                wrong = bool(failed)
                answers.append(("", failed[0]) if failed else list(zip(ids, several, strict=True)))
            if wrong and _CONTINUE.search(request.headers.get("prefer", "")):
                break
        body, kind = write_parts(answers)
        return Answer(body=body, kind=kind)

    async def _json(self, request: Request, asked: Sequence[_Asked], principal: Principal) -> Answer:
        names: Names = {}
        well: dict[str, bool] = {}
        said: list[dict[str, Any]] = []
        at = 0
        while at < len(asked):
            group = asked[at].group
            end = at + 1
            while group and end < len(asked) and asked[end].group == group:
                end += 1
            these = asked[at:end]
            at = end
            answers = await self._asked(request, these, names, well, principal)
            for one, answer in zip(these, answers, strict=True):
                well[one.id] = answer.status < 400
                said.append(_told(one.id, answer))
            if group:
                well[group] = all(well[one.id] for one in these)
            stop = any(answer.status >= 400 for answer in answers)
            if stop and _CONTINUE.search(request.headers.get("prefer", "")):
                break
        return json({"responses": said})

    async def _asked(
        self,
        whole: Request,
        these: Sequence[_Asked],
        names: Names,
        well: Mapping[str, bool],
        principal: Principal,
    ) -> list[Answer]:
        for one in these:
            try:
                if not _holds(one, well):
                    what = f"the request {one.id} was left out, for what it depends on did not come about"
                    return [problem(424, what)] * len(these)
            except UnsupportedQuery as cause:
                return [problem(501, cause.what, hint=cause.hint)] * len(these)
        requests = [
            _request(whole, one.method.upper(), one.url, one.headers, _encoded(one.body)) for one in these
        ]
        ids = [one.id for one in these]
        if these[0].group:
            return await self._set(requests, ids, names, principal)
        return [await self._single(requests[0], ids[0], names, principal)]

    async def _single(self, request: Request, id: str, names: Names, principal: Principal) -> Answer:
        try:
            request = self._allowed(_resolved(request, names), principal)
        except NervureError as cause:
            return failure(cause)
        found = await self._carrier.answer(request, principal)
        place = next((value for name, value in found.headers if name == "location"), None)
        if id:
            names[id] = local(place)[0] if place and found.status < 400 else None
        return found

    async def _set(
        self, requests: Sequence[Request], ids: Sequence[str], names: Names, principal: Principal
    ) -> list[Answer]:
        """Carry out requests all together, or none of them."""
        made: Names = {}
        names |= dict.fromkeys(filter(None, ids))
        try:
            done, intents = await self._carrier.in_writer(self._apply, requests, ids, names, made, principal)
            answers = await self._carrier.settle(done, intents)
        except _Failed as failed:
            which = ids[failed.place] or failed.place + 1
            other = problem(424, f"nothing was changed, for the request {which} failed")
            return [
                failure(failed.cause) if place == failed.place else other for place in range(len(requests))
            ]
        except NervureError as cause:
            return [failure(cause)] * len(requests)
        for one, answer in zip(ids, answers, strict=True):
            place = next((value for name, value in answer.headers if name == "location"), None)
            if one:
                names[one] = local(place)[0] if place else made.get(one)
        return answers

    def _apply(
        self,
        requests: Sequence[Request],
        ids: Sequence[str],
        names: Names,
        made: Names,
        principal: Principal,
    ) -> tuple[Done, list[Intent]]:
        """Change the catalogue by all these requests, in one transaction; return also what it promises."""
        try:
            return self._apply_all(requests, ids, names, made, principal)
        except BaseException:
            self._carrier.undone()
            raise

    def _apply_all(
        self,
        requests: Sequence[Request],
        ids: Sequence[str],
        names: Names,
        made: Names,
        principal: Principal,
    ) -> tuple[Done, list[Intent]]:
        done: Done = []
        with self._together():
            for place, given in enumerate(requests):
                try:
                    request = self._allowed(_resolved(given, names | made), principal)
                    if request.method in {"GET", "HEAD"}:
                        raise QueryError("a change set only changes", hint="read before or after it")
                    effect = self._carrier.apply(request, principal)
                except NervureError as cause:
                    raise _Failed(place, cause) from cause
                done.append((request, effect, principal))
                if ids[place] and effect.made and not effect.observation:
                    made[ids[place]] = named(effect.kind.entities, effect.name)
            return done, self._carrier.promise([effect for _, effect, _ in done])

    def _allowed(self, request: Request, principal: Principal) -> Request:
        if request.path == "$batch":
            raise QueryError("a batch may hold no other one")
        self._guard.allow(principal, request.method, f"/v1.1/{request.path}")
        return request


def _request(whole: Request, method: str, url: str, headers: Mapping[str, str], body: bytes) -> Request:
    """Make a request of a part; its address is read when what it refers to is known."""
    small = {name.lower(): value for name, value in headers.items()}
    return Request(method=method, path=url, base=whole.base, headers=small, body=body, quiet=True)


def _resolved(request: Request, names: Names) -> Request:
    """Put in what ``$id`` stands for, and read the address."""
    url = request.path
    found = re.match(r"(?:/v1\.1/|https?://[^/]+/v1\.1/)?\$([\w.-]+)(?=[/?]|$)", url)
    if found is not None and found[1] in names:
        known = names[found[1]]
        if known is None:
            raise QueryError(f"${found[1]} stands for nothing, for that request has made nothing yet")
        url = known + url[found.end() :]
    path, query = local(url)
    body = request.body
    if b'"$' in body:
        body = msgspec.json.encode(_referred(body_of(request), names))
    return msgspec.structs.replace(request, path=path.strip("/"), query=query, body=body)


def _referred(value: Any, names: Names) -> Any:
    match value:
        case dict():
            return {
                name: _key(one, names) if name == "@iot.id" else _referred(one, names)
                for name, one in value.items()
            }
        case list():
            return [_referred(one, names) for one in value]
    return value


def _key(value: Any, names: Names) -> Any:
    """Return the id that ``$id`` stands for; anything else is an id itself."""
    if not isinstance(value, str) or not value.startswith("$") or value[1:] not in names:
        return value
    known = names[value[1:]]
    if known is None:
        raise QueryError(f"{value} stands for nothing, for that request has made nothing yet")
    text = known[known.index("(") + 1 : -1]
    return int(text) if text.isdigit() else text[1:-1].replace("''", "'")


def _holds(one: _Asked, well: Mapping[str, bool]) -> bool:
    """Whether what a request depends on has come about."""
    if not all(well.get(name.removeprefix("$"), False) for name in one.needs if not one.condition):
        return False
    if not one.condition:
        return True
    found = _CONDITION.fullmatch(one.condition.strip())
    if found is None:
        raise UnsupportedQuery(
            f"the condition {one.condition[:100]!r} is not answered here", hint="write $1/$succeeded"
        )
    return well.get(found[2], False) != bool(found[1])


def _encoded(body: Any) -> bytes:
    return b"" if body is None else msgspec.json.encode(body)


def _told(id: str, answer: Answer) -> dict[str, Any]:
    found: dict[str, Any] = {"id": id, "status": answer.status}
    headers = {name: value for name, value in answer.headers if name != "preference-applied"}
    if answer.body:
        headers["content-type"] = answer.kind
    if headers:
        found["headers"] = headers
    if "location" in headers:
        found["location"] = headers["location"]
    if answer.body:
        text = answer.body
        found["body"] = msgspec.Raw(text) if "json" in answer.kind else text.decode("utf-8", "replace")
    return found
