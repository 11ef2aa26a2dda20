"""What the routes of loops ask of the node."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from nervure.core.error import NotFoundError
from nervure.core.interlock import Value
from nervure.core.task import Mode
from nervure.store.scope import Scope

__all__ = ["Steering", "nothing"]


class Steering(Protocol):
    """The loops of a node on somebody's behalf; what it returns are the views of :mod:`.loops`."""

    def views(self, scope: Scope, /) -> Any:
        """Return every loop in sight."""
        ...

    def modes(self, scope: Scope, /) -> Any:
        """Return how many loops are in each mode."""
        ...

    def view(self, loop: int, scope: Scope, /) -> Any:
        """Return one loop, or raise ``NotFoundError``."""
        ...

    def log(self, loop: int, scope: Scope, limit: int, before: int | None, /) -> Any:
        """Return the newest lines of its log, and the first that is broken."""
        ...

    def hand(self, loop: int, scope: Scope, values: Mapping[str, Value], seconds: float | None, /) -> Any:
        """Make a Task of a person's hand."""
        ...

    def auto(self, loop: int, scope: Scope, /) -> None:
        """Release a person's hand."""
        ...

    def guard(self, loop: int, scope: Scope, /, *, renew: bool) -> Any:
        """Return what the guard of a loop is to be given, with a new key where the old one got about."""
        ...

    def rises(self, loop: int, scope: Scope, mode: Mode, /) -> bool:
        """Tell whether a mode lets a loop do more than it may now."""
        ...

    def change(self, loop: int, scope: Scope, mode: Mode, *, hours: float, because: str) -> Any:
        """Change its mode, or raise ``ConflictError`` with the evidence that is missing."""
        ...

    def reset(self, loop: int, scope: Scope, why: str, /) -> None:
        """Reset its trips."""
        ...

    def tasks(self, scope: Scope, status: str, limit: int, /) -> Any:
        """Return the Tasks of loops in a state."""
        ...

    def task(self, task: int, scope: Scope, /) -> Any:
        """Return one Task of a loop, or raise ``NotFoundError``."""
        ...

    def approve(self, task: int, scope: Scope, /) -> Any:
        """Note a yes."""
        ...

    def refuse(self, task: int, scope: Scope, why: str, /) -> Any:
        """Reject a Task."""
        ...


def nothing() -> Steering:
    """Say that there are no loops, where no node runs them."""
    raise NotFoundError("there are no loops here", hint="they run in a node: nervure up")
