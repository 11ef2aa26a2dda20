"""Training from a page: ``nervure train`` in a process that the node starts, one at a time."""

from __future__ import annotations

import msgspec

from nervure.core.error import DeniedError, NotFoundError
from nervure.serve.control.route import Call, Desk, Route
from nervure.serve.control.study import Training, Wanted

__all__ = ["ROUTES", "train", "training"]


def training(desk: Desk, _: Call) -> Training:
    """Show how the last training goes, or went."""
    return Training() if desk.study is None else desk.study.training


def train(desk: Desk, call: Call) -> Training:
    """Train a model anew; it scores if it is shown to be better than the one that scores now."""
    wish: Wanted = call.body
    if call.principal.project is not None:
        raise DeniedError(f"{call.principal.name} sees one project, and models score in all of them")
    if desk.study is None or wish.solution not in desk.solutions:
        raise NotFoundError(f"{wish.solution!r} does not run here")
    begun = desk.study.train(wish, call.principal.name)
    desk.catalogue.note(call.principal.name, "model.train", msgspec.to_builtins(wish))
    return begun


ROUTES: tuple[Route, ...] = (
    Route(method="GET", path="/api/training", right="read", work=training, answer=Training),
    Route(
        method="POST",
        path="/api/training",
        right="train",
        work=train,
        body=Wanted,
        answer=Training,
        status=202,
    ),
)
