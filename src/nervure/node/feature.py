"""Features: what Observations are about, filled in where nobody said so, and checked where somebody did.

An Observation that names no FeatureOfInterest is about the one made from the Location of its
Datastream's Thing (OGC 18-088, section 10.2). That is looked up once a Datastream, and again when the
catalogue has changed.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable
from typing import Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from nervure.core.columnar import endless, every, some
from nervure.core.error import ConflictError, StoreError
from nervure.core.group import Places
from nervure.core.observation import Batch
from nervure.node.trouble import patiently

__all__ = ["Features", "Writer"]

Longs = NDArray[np.int64]
_MOST_SEEN = 1_000_000
_NOBODY: Longs = np.empty(0, np.int64)


class Writer(Protocol):
    """What is asked of the catalogue."""

    @property
    def generation(self) -> int:
        """A number that rises with every change of streams, features and places made here."""
        ...

    def default_features(self, datastreams: Iterable[int], /) -> dict[int, int | None]:
        """Return the feature that each Datastream observes where its Observations name none."""
        ...

    def observed(self, pairs: Iterable[tuple[int, int]], /) -> None:
        """Note that Datastreams have observed features."""
        ...

    def has_feature(self, datastream: int, feature: int, /) -> bool:
        """Tell whether there is a feature that Observations of a Datastream may be about."""
        ...


class Features:
    """Knows the default feature of each Datastream, and what was observed already."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self._stream: Longs = np.empty(0, np.int64)
        self._known = Places(self._stream)
        self._default: Longs = np.empty(0, np.int64)
        self._told = np.empty(0, np.bool_)
        self._quick: dict[int, int] = {}
        self._sure: dict[int, Longs] = {}  # defaults that were observed already, as columns without an end
        self._there: set[tuple[int, int]] = set()
        self._seen: set[tuple[int, int]] = set()
        self._fresh: set[tuple[int, int]] = set()
        self._generation = writer.generation

    def forget(self) -> None:
        """Look everything up again: the catalogue has changed."""
        self._stream, self._default = np.empty(0, np.int64), np.empty(0, np.int64)
        self._told = np.empty(0, np.bool_)
        self._quick.clear()
        self._sure.clear()
        self._there.clear()

    async def default(self, datastream: int) -> int:
        """Return the default feature of one Datastream, 0 where it has none."""
        self._heed()
        found = self._quick.get(datastream)
        if found is None:
            place = await self._places(np.array([datastream], dtype=np.int64))
            found = self._quick[datastream] = int(self._default[place[0]])
        return found

    def quick(self, datastream: int) -> int:
        """Return the default feature of one Datastream; 0 also where that is not known yet."""
        self._heed()
        return self._quick.get(datastream, 0)

    async def fill(self, batch: Batch) -> tuple[Batch, Longs]:
        """Give every Observation its feature; return also the rows that name one which is not there."""
        if not len(batch):
            return batch, _NOBODY
        self._heed()
        if batch.feature is not None and some(batch.feature != 0):
            return await self._mixed(batch, batch.feature)
        alone = int(batch.datastream[0]) if len(batch.groups.starts) == 1 else None
        if alone is not None and alone in self._sure:
            return batch.about(self._sure[alone][: len(batch)]), _NOBODY
        streams = batch.datastream[batch.groups.firsts]
        place = self._find(streams)
        if place is None:
            place = await self._places(streams, patient=True)
        feature = self._default[place]
        if not some(feature != 0):
            return batch, _NOBODY
        self._tell(streams, place)
        if alone is not None:
            self._sure[alone] = endless(feature[0])
        return batch.about(batch.groups.spread(feature)), _NOBODY

    async def note(self) -> None:
        """Have the catalogue note what was observed for the first time, if it is there."""
        with contextlib.suppress(StoreError):  # it is away: the next time
            await self.flush()

    async def flush(self) -> None:
        """Have the catalogue note what was observed for the first time."""
        if not self._fresh:
            return
        fresh = sorted(self._fresh)
        try:
            await asyncio.to_thread(self._writer.observed, fresh)
        except ConflictError:  # one of them was deleted meanwhile
            await asyncio.to_thread(self._one_by_one, fresh)
        self._fresh.difference_update(fresh)

    def _heed(self) -> None:
        """Forget what a change made here may have made untrue."""
        generation = self._writer.generation
        if generation != self._generation:
            self._generation = generation
            self.forget()

    def _one_by_one(self, pairs: list[tuple[int, int]]) -> None:
        for pair in pairs:
            with contextlib.suppress(ConflictError):
                self._writer.observed([pair])

    async def _mixed(self, batch: Batch, given: Longs) -> tuple[Batch, Longs]:
        """Fill in the rows that name no feature, and check those that name one for the first time."""
        filled, bare = given.copy(), np.flatnonzero(given == 0)
        if len(bare):  # only theirs: to ask for a default makes it
            place = await self._places(batch.datastream[bare], patient=True)
            filled[bare] = self._default[place]
            self._tell(batch.datastream[bare], place)
        named = np.flatnonzero(given)
        pairs = set(zip(batch.datastream[named].tolist(), given[named].tolist(), strict=True))
        fresh = pairs - self._there
        gone = await patiently(self._missing, fresh) if fresh else set[tuple[int, int]]()
        if len(self._seen) > _MOST_SEEN:
            self._seen.clear()
        self._there |= fresh - gone
        self._fresh |= fresh - gone - self._seen
        self._seen |= fresh - gone
        filled_batch = msgspec.structs.replace(batch, feature=filled)
        if not gone:
            return filled_batch, np.empty(0, np.int64)
        rows = zip(batch.datastream[named].tolist(), given[named].tolist(), strict=True)
        return filled_batch, named[np.array([pair in gone for pair in rows], dtype=np.bool_)]

    def _missing(self, pairs: set[tuple[int, int]]) -> set[tuple[int, int]]:
        return {pair for pair in pairs if not self._writer.has_feature(*pair)}

    def _tell(self, datastream: Longs, place: Longs) -> None:
        """Note the defaults that were observed for the first time."""
        new = ~self._told[place]
        if some(new):
            pairs = zip(datastream[new].tolist(), self._default[place[new]].tolist(), strict=True)
            fresh = {pair for pair in pairs if pair[1]} - self._seen
            self._fresh |= fresh
            self._seen |= fresh
            self._told[place] = True

    def _find(self, datastream: Longs) -> Longs | None:
        """Return the place of each Datastream, None if some were not looked up yet."""
        if not len(self._stream):
            return None
        place = self._known.of(datastream)
        return place if every(self._stream[place] == datastream) else None

    async def _places(self, datastream: Longs, *, patient: bool = False) -> Longs:
        """Look up the Datastreams that are not known yet; return the place of each.

        What comes from the log is ``patient`` and waits for a catalogue that is away.
        """
        ask = patiently if patient else asyncio.to_thread
        while True:
            place = self._find(datastream)
            if place is not None:
                return place
            wanted = np.setdiff1d(datastream, self._stream).tolist()
            found = await ask(self._writer.default_features, wanted)
            self._learn({one: found.get(one) or 0 for one in wanted})

    def _learn(self, defaults: dict[int, int]) -> None:
        fresh = np.setdiff1d(np.array(sorted(defaults), dtype=np.int64), self._stream)
        stream = np.concatenate([self._stream, fresh])
        default = np.concatenate(
            [self._default, np.array([defaults[one] for one in fresh.tolist()], np.int64)]
        )
        told = np.concatenate([self._told, np.zeros(len(fresh), np.bool_)])
        order = np.argsort(stream)
        self._stream, self._default, self._told = stream[order], default[order], told[order]
        self._known = Places(self._stream)
