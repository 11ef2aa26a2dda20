"""What is watched without labels: the monitors, and how far each has come."""

from __future__ import annotations

from typing import Any

import msgspec

from nervure.core.error import NotFoundError
from nervure.core.instant import iso
from nervure.serve.control.route import Call, Desk, Done, Route, number
from nervure.store.monitor import Posted

__all__ = ["ROUTES", "MonitorView", "monitors", "unwatch"]


class MonitorView(msgspec.Struct, frozen=True, kw_only=True):
    """A monitor: its Thing and Datastreams, what it was taught, and where the node stands with it."""

    thing: int
    version: str
    package: str
    streams: tuple[int, ...]
    watched: tuple[int, ...]
    severity: str
    fitted: str
    about: dict[str, Any]
    standing: dict[str, Any] | None


def monitors(desk: Desk, call: Call) -> list[MonitorView]:
    """List the monitors by Thing; one that the node has not taken up yet has no standing."""
    stands = desk.standing()
    return [_view(one, stands.get(one.thing)) for one in desk.catalogue.monitors(call.principal.project)]


def unwatch(desk: Desk, call: Call) -> Done:
    """Watch a Thing no more; an alert of it that is open ends."""
    thing = number(call.names["thing"])
    if not any(one.thing == thing for one in desk.catalogue.monitors(call.principal.project)):
        raise NotFoundError(f"no monitor watches Thing {thing}")
    desk.catalogue.drop_monitor(thing, call.principal.name)
    return Done()


def _view(one: Posted, standing: Any) -> MonitorView:
    known = standing is not None and standing.fitted_ns == one.fitted_ns
    return MonitorView(
        thing=one.thing,
        version=one.version,
        package=one.package,
        streams=one.streams,
        watched=one.watched,
        severity=one.severity,
        fitted=iso(one.fitted_ns),
        about=one.about,
        standing=msgspec.to_builtins(standing) if known else None,
    )


ROUTES: tuple[Route, ...] = (
    Route(method="GET", path="/api/monitors", right="read", work=monitors, answer=list[MonitorView]),
    Route(method="DELETE", path="/api/monitors/{thing}", right="train", work=unwatch),
)
