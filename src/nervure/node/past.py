"""The past: what was read before, as those who score ask for it; in the node, the store of observations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from nervure.core.error import StoreError
from nervure.core.observation import Batch
from nervure.core.window import Table

__all__ = ["Elsewhere", "Past"]


class Past(Protocol):
    """What is asked of the store of observations."""

    def last(self, datastreams: Sequence[int], /) -> Mapping[int, tuple[int, float]]:
        """Return time and value of the newest reading of each Datastream."""
        ...

    def series(self, datastreams: Sequence[int], start_ns: int, /) -> Batch:
        """Return what was read since an instant, sorted by Datastream."""
        ...

    def table(
        self,
        datastreams: Sequence[int],
        names: Sequence[str],
        every_ns: int,
        start_ns: int,
        end_ns: int,
        /,
        *,
        measured: Sequence[int] = ...,
    ) -> Table:
        """Return what was read as slots."""
        ...


class Elsewhere:
    """The past of a worker, which has none: it takes up states that the node has filled."""

    def last(self, datastreams: Sequence[int], /) -> Mapping[int, tuple[int, float]]:
        """Refuse."""
        raise self._refusal()

    def series(self, datastreams: Sequence[int], start_ns: int, /) -> Batch:
        """Refuse."""
        raise self._refusal()

    def table(
        self,
        datastreams: Sequence[int],
        names: Sequence[str],
        every_ns: int,
        start_ns: int,
        end_ns: int,
        /,
        *,
        measured: Sequence[int] = (),
    ) -> Table:
        """Refuse."""
        raise self._refusal()

    def _refusal(self) -> StoreError:
        return StoreError("only the node has what was read before", hint="let the node fill the windows")
