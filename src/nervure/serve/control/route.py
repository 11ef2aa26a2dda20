"""What a route of the control API is, and what it works with."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from nervure.core.access import Access
from nervure.core.alert import Alert
from nervure.core.error import NotFoundError
from nervure.core.observation import Batch, Reject
from nervure.serve.control.inquiry import Inquiries
from nervure.serve.control.room import Room
from nervure.serve.control.steering import Steering, nothing
from nervure.serve.control.study import Study
from nervure.serve.control.vital import Vital
from nervure.serve.live import Live
from nervure.store.answer import Answers
from nervure.store.catalogue import Catalogue
from nervure.store.site import Site
from nervure.trust.office import Office
from nervure.trust.oidc import Provider
from nervure.trust.principal import Principal
from nervure.trust.right import Right

__all__ = ["Call", "Desk", "Done", "Route", "number"]


class Desk(msgspec.Struct, frozen=True, kw_only=True):
    """What the routes work with: the office, the catalogue, the settings, the OpenID provider if any.

    ``standing`` says how far the monitor of each Thing has come, ``vital`` how the node does, ``check``
    what would become of a message, ``examine`` what is missing on the machine. ``room`` bounds how many
    readings are looked through at once.
    """

    office: Office
    catalogue: Catalogue
    access: Access = Access()
    provider: Provider | None = None
    standing: Callable[[], Mapping[int, Any]] = dict
    vital: Callable[[], Vital] = Vital
    site: Callable[[], Site]
    observed: Answers
    live: Live | None = None
    check: Callable[[str, bytes, int], tuple[Batch, list[Reject]]] | None = None
    examine: Callable[[], Iterable[Any]] | None = None
    solutions: tuple[str, ...] = ()
    study: Study | None = None
    basemap: Path | None = None
    steering: Callable[[], Steering] = nothing
    inquiries: Inquiries | None = None
    room: Room = msgspec.field(default_factory=Room)

    def tell(self, changed: Alert) -> Alert:
        """Tell pages of an alert that a person changed, and return it."""
        if self.live is not None:
            self.live.alerts([changed])
        return changed


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """One request: who asks, what stands for the names in the path, query and body as their types."""

    principal: Principal
    address: str
    secure: bool
    base: str
    names: dict[str, str] = {}
    query: Any = None
    body: Any = None
    cookies: dict[str, str] = {}
    headers: Mapping[bytes, bytes] = {}
    still: Callable[[], Awaitable[Principal]] | None = None
    """Tells again who asks, or raises ``SignInError``: for an answer that outlasts a session."""

    def says(self, name: str) -> str:
        """Return a header by its name in small letters, "" if it did not come."""
        return self.headers.get(name.encode(), b"").decode("latin-1")


class Done(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to say that something was done."""

    done: bool = True


class Route(msgspec.Struct, frozen=True, kw_only=True):
    """One route: a method, a path with ``{names}``, the right it takes (None: no sign-in), and its work.

    ``work`` is called with the Desk and the Call, in a thread, or as a coroutine if it is one.
    """

    method: str
    path: str
    right: Right | None
    work: Callable[[Desk, Call], Any]
    answer: Any = Done
    body: Any = None
    query: Any = None
    status: int = 200
    kind: str = "application/json"

    @property
    def about(self) -> str:
        """What it does, in a sentence."""
        return (self.work.__doc__ or "").strip().partition("\n")[0]


def number(text: str) -> int:
    """Read a key in a path; ``NotFoundError`` if it is none."""
    if not re.fullmatch(r"[0-9]{1,15}", text, re.ASCII):
        raise NotFoundError(f"there is nothing with the key {text!r}")
    return int(text)
