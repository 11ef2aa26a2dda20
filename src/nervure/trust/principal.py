"""Who asks: a person, a token of theirs, a device, or anybody on this machine where nobody signs in."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import msgspec

from nervure.core.error import DeniedError, NotFoundError
from nervure.store.scope import Scope
from nervure.trust.right import GRANTS, RIGHTS, Right

__all__ = ["NOBODY", "OPEN", "PEOPLE", "Kind", "Principal"]

Kind = Literal["user", "token", "device", "open", "nobody"]

PEOPLE: frozenset[str] = frozenset({"user", "open"})
"""Who counts as a person: who signed in as one, or works at the machine. A token is a program's."""


class Principal(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody who asks: their name, what they may do, and how far they see.

    ``project`` is None for who sees every project. ``streams`` are the only Datastreams that a
    device may write to; None is every one in sight. ``id`` is the row of the user or device,
    ``session`` the one they came with, if it was a cookie, and ``until_ns`` when what they showed ends.
    """

    name: str
    kind: Kind
    role: str = ""
    rights: frozenset[Right] = frozenset()
    project: int | None = None
    id: int = 0
    streams: frozenset[int] | None = None
    session: str = ""
    until_ns: int | None = None

    @property
    def known(self) -> bool:
        """Whether they said who they are, and were believed."""
        return self.kind != "nobody"

    @property
    def own(self) -> str:
        """What tells them from everybody else, as ``device 3``; names alone do not."""
        return f"{self.kind} {self.id}"

    def scope(self) -> Scope:
        """Return on whose behalf the catalogue is asked, and how far they see."""
        return Scope(
            project=self.project,
            who=self.name,
            kind=self.kind,
            interlocks=self.may("configure-interlock"),
        )

    def may(self, right: Right) -> bool:
        """Tell whether they have a right."""
        return right in self.rights

    def require(self, right: Right) -> None:
        """Return if they have a right, else raise ``DeniedError``."""
        if right not in self.rights:
            granted = [one for one in GRANTS if one in self.rights or one == right]
            words = " ".join(f"--grant {one}" for one in granted)
            given = f": nervure user change {self.name} {words}" if right in GRANTS else ""
            after = ", and a new token after that" if given and self.kind == "token" else ""
            raise DeniedError(
                f"{self.name} may not do this: it takes the right to {right}",
                hint=f"an admin can give it{given}{after}",
            )

    def require_streams(self, datastreams: Iterable[int]) -> None:
        """Return if they may write to all these Datastreams, else raise ``NotFoundError``.

        A Datastream that is not theirs is not there for them: the error says no more than that.
        """
        if self.streams is None:
            return
        for one in datastreams:
            if one not in self.streams:
                raise NotFoundError(f"there is no Datastream {one}")


OPEN = Principal(name="anyone", kind="open", role="admin", rights=frozenset(RIGHTS))
"""Anybody on this machine, where the node was started with ``--open``."""

NOBODY = Principal(name="nobody", kind="nobody")
"""Somebody who did not say who they are: they see whether the node is well, and may sign in."""
