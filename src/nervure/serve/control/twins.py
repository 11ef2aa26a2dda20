"""Twins: which there are, and what would be if."""

from __future__ import annotations

from typing import Any

import msgspec

from nervure.core.error import NotFoundError
from nervure.serve.answer import Answer
from nervure.serve.control.given import tagged
from nervure.serve.control.inquiry import AskedView, Asking, Inquiries, TwinsView
from nervure.serve.control.route import Call, Desk, Done, Route, number

__all__ = ["ROUTES", "ask_whatif", "drop_whatif", "twins", "whatif", "whatif_film", "whatifs"]


def _inquiries(desk: Desk) -> Inquiries:
    if desk.inquiries is None:
        raise NotFoundError("there are no twins here", hint="they run beside a node: nervure up")
    return desk.inquiries


def twins(desk: Desk, _: Call) -> TwinsView:
    """List the twins, whether their engines are installed, and the what-ifs there are to begin with."""
    return _inquiries(desk).twins()


def whatifs(desk: Desk, call: Call) -> list[AskedView]:
    """List the what-ifs that were asked, the newest first."""
    return _inquiries(desk).asked(call.principal.scope())


def whatif(desk: Desk, call: Call) -> AskedView:
    """Show a what-if: how far it is, and what came of it."""
    return _inquiries(desk).one(number(call.names["id"]), call.principal.scope())


def whatif_film(desk: Desk, call: Call) -> Answer:
    """Fetch the film of a what-if: one pair of runs, step by step."""
    return tagged(call, _inquiries(desk).film(number(call.names["id"]), call.principal.scope()))


def ask_whatif(desk: Desk, call: Call) -> AskedView:
    """Ask a twin what would be if; it is computed in processes of its own, one question at a time."""
    wish: Asking = call.body
    found = _inquiries(desk).ask(wish, call.principal.scope())
    desk.catalogue.note(call.principal.name, "whatif.ask", msgspec.to_builtins(wish))
    return found


def drop_whatif(desk: Desk, call: Call) -> Done:
    """Stop a what-if that waits or runs; forget one that has ended."""
    key = number(call.names["id"])
    _inquiries(desk).drop(key, call.principal.scope())
    desk.catalogue.note(call.principal.name, "whatif.drop", {"id": key})
    return Done()


_READ: dict[str, Any] = {"method": "GET", "right": "read"}

ROUTES: tuple[Route, ...] = (
    Route(path="/api/twins", work=twins, answer=TwinsView, **_READ),
    Route(path="/api/whatif", work=whatifs, answer=list[AskedView], **_READ),
    Route(path="/api/whatif/{id}", work=whatif, answer=AskedView, **_READ),
    Route(path="/api/whatif/{id}/film", work=whatif_film, answer=dict[str, Any], **_READ),
    Route(
        method="POST", path="/api/whatif", right="act", work=ask_whatif, body=Asking, answer=AskedView,
        status=202,
    ),
    Route(method="DELETE", path="/api/whatif/{id}", right="act", work=drop_whatif),
)  # fmt: skip
