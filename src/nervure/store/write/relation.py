"""How an Observation finds its stream and its feature: in memory, or within a change of the catalogue."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nervure.core.error import NotFoundError, QueryError
from nervure.core.sensorthings import BY_NAME
from nervure.store.scope import Scope
from nervure.store.write import content, insert
from nervure.store.write.stream import Known, Stream, make_features, streams
from nervure.store.write.work import Work

__all__ = ["MustWrite", "Quick", "Within"]

_FEATURE = BY_NAME["FeatureOfInterest"]


class MustWrite(Exception):
    """The catalogue must be asked or changed for this Observation; no error, a signal."""


class Quick:
    """Answers from memory; raises :class:`MustWrite` where that is not enough."""

    def __init__(self, known: Known, scope: Scope) -> None:
        self._known = known
        self._scope = scope

    def above(self, kind: str, row: int) -> Stream:
        """Return the stream that the path names."""
        found = self._known.stream(row)
        if found is None or not self._sees(found.project):
            raise NotFoundError(f"there is no {kind} {row}")
        return found

    def stream(self, kind: str, value: Any, where: str) -> Stream:
        """Return the stream that is linked by its number."""
        name = content.reference(value)
        if not isinstance(name, int):
            raise MustWrite
        found = self._known.stream(name)
        multi = kind == "MultiDatastream"
        if found is None or found.keyed or found.multi != multi or not self._sees(found.project):
            raise QueryError(f"there is no {kind} {name}", where=where)
        return found

    def feature(self, value: Any, where: str) -> int:
        """Return the feature that is linked by its number."""
        name = content.reference(value)
        if not isinstance(name, int):
            raise MustWrite
        project = self._known.project_of_feature(name)
        if project is None or not self._sees(project):
            raise QueryError(f"there is no FeatureOfInterest {name}", where=where)
        return name

    def default(self, stream: Stream) -> int | None:
        """Return the feature of the stream's Thing, if it was asked for before."""
        found, missing = self._known.defaults([stream.id])
        if missing:
            raise MustWrite
        return found[stream.id]

    def _sees(self, project: int) -> bool:
        return self._scope.project is None or self._scope.project == project


class Within:
    """Answers within a change, and makes what a body describes."""

    def __init__(self, work: Work, depth: int = 0) -> None:
        self._work = work
        self._depth = depth
        self.defaults: dict[int, int | None] = {}

    def stream(self, kind: str, value: Any, where: str) -> Stream:
        """Return the stream that a body names or describes."""
        return self.above(kind, self._target(kind, value, where))

    def above(self, kind: str, row: int) -> Stream:
        """Return the stream of a row."""
        found = streams(self._work.connection, [row]).get(row)
        if found is None or found.project != self._work.project:
            raise NotFoundError(f"there is no {kind} {row}")
        return found

    def feature(self, value: Any, where: str) -> int:
        """Return the feature that a body names or describes."""
        return self._target(_FEATURE.name, value, where)

    def default(self, stream: Stream) -> int | None:
        """Return the feature of the stream's Thing, made if it is not there yet."""
        if stream.id not in self.defaults:
            self.defaults |= make_features(self._work.connection, [stream.id], self._work.made)
        return self.defaults[stream.id]

    def _target(self, kind: str, value: Any, where: str) -> int:
        if not isinstance(value, Mapping):
            raise QueryError(f"{kind} needs a JSON object", where=where, hint='link it: {"@iot.id": 1}')
        return insert.target(self._work, BY_NAME[kind], value, where, self._depth)
