"""Nameplates of loops: what each TaskingCapability with interlocks declares, read once and kept."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

from nervure.core.error import DeclarationError, NotFoundError, QueryError
from nervure.core.interlock import Declared
from nervure.core.interlock_check import declared
from nervure.store import loop as rows
from nervure.store.catalogue import Catalogue

__all__ = ["Plates"]


class Plates:
    """Reads declarations; may be called from any thread."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._lock = threading.RLock()
        self._declared: dict[int, tuple[Any, Declared]] = {}
        self._things: dict[int, int] = {}

    def row(self, capability: int, project: int | None = None) -> Mapping[str, Any]:
        """Return a capability that has interlocks, or raise ``NotFoundError``."""
        with self._catalogue.database.read() as connection:
            for row in rows.capabilities(connection, project):
                if row["id"] == capability and "act" in row["properties"]:
                    return row
        raise NotFoundError(f"there is no loop {capability}", hint="nervure act list shows them")

    def declaration(self, row: Mapping[str, Any]) -> Declared:
        """Return what a capability of :meth:`row` keeps to."""
        found = self.read(row["id"], row["properties"], row["tasking_parameters"])
        if found is None:
            raise NotFoundError(f"there is no loop {row['id']}")
        return found

    def read(self, capability: int, properties: Any, parameters: Any) -> Declared | None:
        """Return what these properties declare; None where they declare nothing."""
        with self._lock:
            known = self._declared.get(capability)
            if known is not None and known[0] == (properties, parameters):
                return known[1]
            try:
                found = declared(properties, parameters)
            except DeclarationError as cause:  # it was checked when it was written; the code may have changed
                raise QueryError(cause.what, where=cause.where, hint=cause.hint) from cause
            if found is not None:
                self._declared[capability] = ((properties, parameters), found)
            return found

    def of(self, capability: int) -> Declared | None:
        """Return what a capability keeps to; None where it has no interlocks, or is gone."""
        with self._lock:
            known = self._declared.get(capability)
            if known is not None:
                return known[1]
            try:
                return self.declaration(self.row(capability))
            except NotFoundError:
                return None

    def thing_of(self, capability: int) -> int:
        """Return the Thing of a capability that has interlocks, or raise ``NotFoundError``."""
        with self._lock:
            if capability not in self._things:
                self._things[capability] = int(self.row(capability)["thing_id"])
            return self._things[capability]

    def about(self, capability: int) -> tuple[int, str]:
        """Return Thing and name of a capability."""
        row = self.row(capability)
        return int(row["thing_id"]), str(row["name"])

    def forget(self) -> None:
        """Forget what capabilities declare: one was changed."""
        with self._lock:
            self._declared.clear()
            self._things.clear()
