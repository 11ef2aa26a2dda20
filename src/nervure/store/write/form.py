"""What goes into the Writer and comes out of it."""

from __future__ import annotations

import msgspec

from nervure.core.observation import Draft

__all__ = ["Gone", "Made", "Parent", "Touched"]


class Made(msgspec.Struct, frozen=True, kw_only=True):
    """An entity that was made, and the Observations that came inside of it.

    ``drafts`` are for the caller to append to the log. For an Observation ``id`` is 0, for the log
    gives it, and ``drafts`` holds that Observation alone.
    """

    kind: str
    id: int
    key: str | None = None
    drafts: tuple[Draft, ...] = ()

    @property
    def name(self) -> int | str:
        """The id as a client sees it: the key it chose, or else the number."""
        return self.id if self.key is None else self.key


class Gone(msgspec.Struct, frozen=True, kw_only=True):
    """The Datastreams and FeaturesOfInterest that are gone, whose Observations must go too."""

    datastreams: tuple[int, ...] = ()
    features: tuple[int, ...] = ()


class Parent(msgspec.Struct, frozen=True, kw_only=True):
    """The entity a request goes through: ``POST Things(1)/Datastreams`` is ``("Thing", 1, "Datastreams")``.

    ``id`` is the row's.
    """

    kind: str
    id: int
    relation: str


class Touched(msgspec.Struct, frozen=True, kw_only=True):
    """An entity that was made (``made``), or of which the properties named were changed."""

    kind: str
    id: int
    made: bool = False
    properties: frozenset[str] = frozenset()
