"""Scope: on whose behalf the catalogue is read or changed, and how far they see."""

from __future__ import annotations

import msgspec

__all__ = ["EVERYTHING", "Scope"]


class Scope(msgspec.Struct, frozen=True, kw_only=True):
    """Who asks, and which project they see; ``None`` sees every project and writes into the first.

    What lies in another project is not there: not in a list, a count, a filter, an expansion or an
    error. ``kind`` is what sort of somebody asks (``user``, ``token``, ``device``, ``open``), and
    ``interlocks`` whether they may change what a TaskingCapability keeps to.
    """

    project: int | None = None
    who: str = "system"
    kind: str = "system"
    interlocks: bool = False

    @property
    def home(self) -> int:
        """The project that what is made belongs to."""
        return 1 if self.project is None else self.project


EVERYTHING = Scope()
