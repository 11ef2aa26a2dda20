"""The live stream of events: readings of the Datastreams on screen, alerts, and how the node does."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

import msgspec
import numpy as np
from msgspec import Meta

from nervure.core.error import NotFoundError, QueryError, SignInError
from nervure.serve.answer import Stream
from nervure.serve.control.given import keys
from nervure.serve.control.route import Call, Desk, Route
from nervure.serve.live import Wish
from nervure.serve.site import streams_in_sight, things_in_sight

__all__ = ["ROUTES", "LiveQuery", "live"]


class LiveQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to listen to: Datastreams, alerts, how the node does."""

    streams: Annotated[str, Meta(max_length=60_000)] | None = None
    alerts: bool = False
    strip: bool = False


async def live(desk: Desk, call: Call) -> Stream:
    """Tell of readings, alerts and how the node does as they come, at most once a second."""
    if desk.live is None:
        raise NotFoundError("nothing comes in here")
    wish: LiveQuery = call.query
    if not (wish.streams or wish.alerts or wish.strip):
        raise QueryError(
            "there is nothing to listen to", hint="ask for streams=1-100, alerts=true or strip=true"
        )
    heard = await asyncio.to_thread(_wish, desk, call)
    return Stream(parts=desk.live.listen(heard, call.says("last-event-id"), _still(call)))


def _wish(desk: Desk, call: Call) -> Wish:
    query: LiveQuery = call.query
    site, project = desk.site(), call.principal.project
    ids = np.zeros(0, np.int64)
    if query.streams:
        ids = site.streams.id[streams_in_sight(site, project, ids=keys(query.streams))]

    def sees(thing: int) -> bool:
        if project is None:
            return True
        now = desk.site()
        place = int(now.things.at(np.array([thing]))[0])
        return place >= 0 and bool(things_in_sight(now, project)[place])

    who = call.principal.own if call.principal.kind != "open" else ""
    return Wish(streams=ids, alerts=query.alerts, strip=query.strip and project is None, sees=sees, who=who)


def _still(call: Call) -> Any:
    """Return what raises ``SignInError`` once they who began to listen may not any more."""
    ask, before = call.still, call.principal
    if ask is None:
        return None

    async def check() -> None:
        now = await ask()
        if not now.may("read") or (now.project, now.own) != (before.project, before.own):
            raise SignInError("they may not read this any more")

    return check


ROUTES: tuple[Route, ...] = (
    Route(
        method="GET",
        path="/api/live",
        right="read",
        work=live,
        query=LiveQuery,
        answer=str,
        kind="text/event-stream",
    ),
)
