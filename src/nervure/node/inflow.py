"""Inflow: entries of the log come into the store and under the models, in the order of the log.

readings      decoded, given their feature, stored, scored
nv.change     Observations that are changed or deleted, applied at once
the rest      asked of the catalogue first: an entity described in the message, or a Datastream
              that is newer than what is known here
"""

from __future__ import annotations

import asyncio
import logging
import time
from bisect import bisect_left
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol, TypeVar

import msgspec
import numpy as np

from nervure.core.error import NervureError, StoreError
from nervure.core.instant import iso
from nervure.core.observation import PACK_BITS, Batch, Draft, Reject, observation_id, sequence_of
from nervure.node import event
from nervure.node.deal import Dealer
from nervure.node.feature import Features
from nervure.node.meter import Meter
from nervure.node.readings import Readings
from nervure.node.watch import Watch
from nervure.sense.intake import KEPT_BYTES, Intake
from nervure.sense.reason import MALFORMED, UNKNOWN_FEATURE, UNKNOWN_STREAM, UNRESOLVED
from nervure.store.observations import Observations
from nervure.store.scope import Scope
from nervure.store.write.form import Parent
from nervure.stream.log import Entries
from nervure.stream.subject import CHANGE, feature_of, reading_subject

__all__ = ["Drafter", "Inflow"]

_log = logging.getLogger("nervure.node")

_AGAIN = (UNKNOWN_STREAM, UNRESOLVED)
_PAUSE_S = 0.5
_NOTHING = Batch.concat([])

Found = TypeVar("Found")


class Drafter(Protocol):
    """Finds or makes the entities that an Observation describes."""

    def draft(
        self, body: dict[str, Any], scope: Scope, parent: Parent | None = None, /, *, sequence: int
    ) -> Draft:
        """Return the Observation with what it is related to by number; read again, it is the same."""
        ...

    def project_of(self, datastream: int, /) -> int | None:
        """Return whose a Datastream is."""
        ...


class Inflow:
    """Takes batches of the log, one after the other.

    ``learn`` takes over what changed in the catalogue, ``fulfilled`` notes there that the log has what
    it has promised; ``told`` hears of what answers have now.
    """

    def __init__(
        self,
        *,
        intake: Intake,
        features: Features,
        drafter: Drafter,
        observations: Observations,
        watch: Watch,
        dealer: Dealer,
        readings: Readings,
        meter: Meter,
        learn: Callable[[], Awaitable[bool]],
        fulfilled: Callable[[int], None],
        told: Callable[[Batch], None],
    ) -> None:
        self._intake = intake
        self._features = features
        self._drafter = drafter
        self._observations = observations
        self._watch = watch
        self._dealer = dealer
        self._readings = readings
        self._meter = meter
        self._learn = learn
        self._fulfilled = fulfilled
        self._told = told
        readings.taken(observations.taken)

    async def take(self, entries: Entries, upto: int) -> None:
        """Take a batch of the log, which ends at ``upto``."""
        begin = 0
        if CHANGE in entries.subject:
            places = [place for place, subject in enumerate(entries.subject) if subject == CHANGE]
            for place in places:
                if begin < place:
                    await self._take(_part(entries, begin, place), entries.sequence[place] - 1)
                await self._change(entries, place)
                begin = place + 1
            if begin == len(entries) and entries.sequence[-1] == upto:
                return
        await self._take(_part(entries, begin, len(entries)) if begin else entries, upto)

    async def _take(self, entries: Entries, upto: int) -> None:
        seen = upto <= self._observations.taken and upto <= self._watch.taken
        if seen and not self._dealer.lacks(upto):
            return
        version = self._intake.version
        batch, rejects = self._intake.take(entries) if len(entries) else (_NOTHING, [])
        if rejects and any(one.reason in _AGAIN for one in rejects):
            batch, rejects = await self._again(entries, batch, rejects, version)
        await self._keep(entries, batch, rejects, upto)

    async def _keep(self, entries: Entries, batch: Batch, rejects: list[Reject], upto: int) -> None:
        """Store what was read of entries, and hand it on."""
        batch, missing = await self._features.fill(batch)
        if len(missing):
            rejects += [_unknown_feature(entries, batch, row) for row in missing.tolist()]
            batch = batch.take(np.setdiff1d(np.arange(len(batch)), missing))
        await self._features.note()
        appended = self._observations.append(batch, upto)
        refused = [*rejects, *appended.conflicts]
        self._refuse(refused)
        self._meter.count(entries=len(entries), readings=len(batch), duplicates=appended.duplicates)
        fresh = self._unseen(batch)
        self._watch.take(fresh, upto)
        self._dealer.take(batch, upto)
        self._told(fresh)
        self._readings.taken(upto, refused, appended.doubles)
        self._meter.arrival(entries.received_ns, fresh.time, time.time_ns())

    def _refuse(self, refused: Sequence[Reject]) -> None:
        self._watch.refuse(refused)
        self._meter.rejects(refused)

    def _unseen(self, batch: Batch) -> Batch:
        """Leave out what the score view has already worked on before a restart."""
        known = observation_id(self._watch.position + 1)
        if len(batch) and batch.id[0] < known:
            return batch.take(batch.id >= known)
        return batch

    # --- what the catalogue must look at first ------------------------------------------------------

    async def _again(
        self, entries: Entries, batch: Batch, rejects: list[Reject], version: int
    ) -> tuple[Batch, list[Reject]]:
        """Look again at messages about entities that were not known; ``version`` is what was known then."""
        if any(one.reason == UNKNOWN_STREAM for one in rejects):
            await self._learn()
        changed = self._intake.version != version
        wanted = {
            one.sequence for one in rejects if one.reason == UNRESOLVED or (changed and one.reason in _AGAIN)
        }
        if not wanted:
            return batch, rejects
        batches = [batch.take(~np.isin(batch.id >> PACK_BITS, sorted(wanted)))]
        rejects = [one for one in rejects if one.sequence not in wanted]
        for sequence in sorted(wanted):
            place = bisect_left(entries.sequence, sequence)
            more, refused = await self._once_more(_part(entries, place, place + 1))
            batches.append(more)
            rejects += refused
        whole = Batch.concat(batches)
        return whole.take(np.argsort(whole.id, kind="stable")), rejects

    async def _once_more(self, entry: Entries) -> tuple[Batch, list[Reject]]:
        batch, rejects = self._intake.again(entry)
        if not any(one.reason == UNRESOLVED for one in rejects):
            return batch, rejects
        try:
            draft = await self._drafted(entry)
        except NervureError as cause:
            return _NOTHING, [_reject(entry, 0, MALFORMED, cause.what)]
        except msgspec.MsgspecError as cause:
            return _NOTHING, [_reject(entry, 0, MALFORMED, f"what is to be made must come as JSON: {cause}")]
        except Exception as cause:  # noqa: BLE001 - the log holds it: raised, it ends the node at every start
            _log.exception("a message that is to make entities cannot be worked on: %s", entry.subject[0])
            return _NOTHING, [_reject(entry, 0, MALFORMED, f"it cannot be worked on: {cause!r}"[:300])]
        entry.subject, entry.payload = [reading_subject(draft.datastream)], [draft.message]
        batch, rejects = self._intake.again(entry)
        if any(one.reason == UNKNOWN_STREAM for one in rejects):
            await self._learn()
            return self._intake.again(entry)
        return batch, rejects

    async def _drafted(self, entry: Entries) -> Draft:
        """Have the catalogue find or make what a message describes; wait while it is away."""
        body = msgspec.json.decode(entry.payload[0], type=dict[str, Any])
        body.setdefault("phenomenonTime", iso(entry.received_ns[0]))
        stream = self._intake.stream_of(entry.subject[0])
        parent = None
        if stream is not None:
            kind = "MultiDatastream" if stream.multi else "Datastream"
            parent = Parent(kind=kind, id=stream.id, relation="Observations")
        feature = feature_of(entry.subject[0])
        if feature is not None:
            body["FeatureOfInterest"] = {"@iot.id": feature}
        return await _patiently(self._draft, body, parent, entry.sequence[0])

    def _draft(self, body: dict[str, Any], parent: Parent | None, sequence: int) -> Draft:
        """What a device describes is of the project of its Datastream."""
        project = None if parent is None else self._drafter.project_of(parent.id)
        scope = Scope(project=project, who="device")
        return self._drafter.draft(body, scope, parent, sequence=sequence)

    # --- changes ----------------------------------------------------------------------------------

    async def _change(self, entries: Entries, place: int) -> None:
        """Make, change or delete what an event says.

        The catalogue takes note first: were it the other way round, a crash in between would have
        what is stored told to the log a second time.
        """
        entry = _part(entries, place, place + 1) if len(entries) > 1 else entries
        sequence, refused = entry.sequence[0], list[Reject]()
        if await self._known(entry):
            return
        try:
            wish = event.read(entry.payload[0])
        except (msgspec.MsgspecError, RecursionError) as cause:
            refused = [_reject(entry, 0, MALFORMED, f"the change cannot be read: {cause}")]
        else:
            if wish.intent:
                await _patiently(self._fulfilled, wish.intent)
            if wish.make:
                if not wish.intent:
                    self._intake.charge((one.datastream for one in wish.make), entry.received_ns[0])
                await self._keep(entry, *await self._make(wish.make, entry), sequence)
                return
            if wish.drop is not None:
                await self._drop(wish.drop, sequence)
            if wish.put is not None:
                refused = await self._put(wish.put, entry)
        self._observations.append(_NOTHING, sequence)
        self._refuse(refused)
        self._watch.take(_NOTHING, sequence)
        self._dealer.take(_NOTHING, sequence)
        self._readings.taken(sequence, refused)

    async def _known(self, entry: Entries) -> bool:
        """Take readings that were posted together, if it is known still what they were read as."""
        readings = self._readings.known(entry.payload[0])
        if readings is None:
            return False
        sequence, arrival_ns = entry.sequence[0], entry.received_ns[0]
        batch = self._intake.sounds(readings, sequence, arrival_ns)
        if batch is None:
            return False
        self._intake.charge([one for one, _ in readings], arrival_ns)
        await self._keep(entry, batch, [], sequence)
        return True

    async def _make(self, puts: Sequence[event.Put], entry: Entries) -> tuple[Batch, list[Reject]]:
        """Read the Observations that an event makes; the place of each is in its id."""
        sequence = entry.sequence[0]
        batch, rejects = await self._read(puts, entry)
        identity = sequence << PACK_BITS | batch.id >> PACK_BITS
        rejects = [msgspec.structs.replace(one, sequence=sequence, index=one.sequence) for one in rejects]
        return msgspec.structs.replace(batch, id=identity), rejects

    async def _read(self, puts: Sequence[event.Put], entry: Entries) -> tuple[Batch, list[Reject]]:
        """Read what an event holds as messages, which are numbered from 0."""
        several = Entries(
            sequence=list(range(len(puts))),
            subject=[reading_subject(one.datastream) for one in puts],
            payload=[bytes(one.message) for one in puts],
            received_ns=entry.received_ns * len(puts),
        )
        batch, rejects = self._intake.again(several)
        if rejects:
            await self._learn()
            batch, rejects = self._intake.again(several)
        return batch, rejects

    async def _drop(self, drop: event.Drop, sequence: int) -> None:
        self._intake.forget(drop.datastreams)
        await asyncio.to_thread(
            self._observations.drop,
            ids=drop.ids,
            datastreams=drop.datastreams,
            features=drop.features,
            upto=sequence,
        )

    async def _put(self, put: event.Put, entry: Entries) -> list[Reject]:
        batch, rejects = await self._read([put], entry)
        batch, missing = await self._features.fill(batch)
        if rejects or len(missing) or len(batch) != 1:
            rejects = [msgspec.structs.replace(one, sequence=entry.sequence[0]) for one in rejects]
            return rejects or [_reject(entry, 0, UNKNOWN_FEATURE, "there is no such FeatureOfInterest")]
        await self._features.note()
        batch = msgspec.structs.replace(batch, id=np.array([put.id], dtype=np.int64))
        await asyncio.to_thread(self._observations.amend, batch, entry.sequence[0])
        return []


async def _patiently(work: Callable[..., Found], *given: Any) -> Found:
    """Do something in the catalogue, from a thread; wait while it is away."""
    while True:
        try:
            return await asyncio.to_thread(work, *given)
        except StoreError as cause:
            _log.warning("the log waits for the catalogue: %s", cause.what)
            await asyncio.sleep(_PAUSE_S)


def _part(entries: Entries, begin: int, end: int) -> Entries:
    names = Entries.__struct_fields__
    return Entries(**{name: getattr(entries, name)[begin:end] for name in names})


def _reject(entries: Entries, place: int, reason: str, detail: str, *, index: int = 0) -> Reject:
    return Reject(
        sequence=entries.sequence[place],
        index=index,
        subject=entries.subject[place],
        reason=reason,
        detail=detail,
        payload=entries.payload[place][:KEPT_BYTES],
        received_ns=entries.received_ns[place],
    )


def _unknown_feature(entries: Entries, batch: Batch, row: int) -> Reject:
    identity = int(batch.id[row])
    place = bisect_left(entries.sequence, sequence_of(identity))
    feature = 0 if batch.feature is None else int(batch.feature[row])
    detail = f"there is no FeatureOfInterest {feature}"
    return _reject(entries, place, UNKNOWN_FEATURE, detail, index=identity & (1 << PACK_BITS) - 1)
