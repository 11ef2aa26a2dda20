"""Monitors: the Things under watch without labels, as a part of the score view.

What they are taught is fitted elsewhere (``nervure watch --project``) and stands in the catalogue. Their
states are committed with the view's position and their alerts, so nothing is judged twice or left out.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Mapping

import msgspec
import numpy as np
from numpy.typing import NDArray

from nervure.core.alert import MONITOR, Alert
from nervure.core.error import NervureError
from nervure.core.observation import Batch
from nervure.core.settings import Settings
from nervure.node.live import Part, Saved
from nervure.node.lookout import Lookout, Standing
from nervure.node.past import Past
from nervure.score.sentinel import Sentinel
from nervure.store.catalogue import Catalogue
from nervure.store.monitor import Posted
from nervure.stream.log import Log
from nervure.trust.signature import trusted

__all__ = ["Monitors"]

_log = logging.getLogger("nervure.node")
_FIRST_S, _LONGEST_S = 1.0, 300.0  # until one that could not be taken up is tried again

Longs = NDArray[np.int64]


class Monitors:
    """Every Thing under watch; ``stood(name, same)`` is the state of the last commit of that very fit."""

    def __init__(
        self,
        catalogue: Catalogue,
        observations: Past,
        log: Log,
        settings: Settings,
        stood: Callable[[str, str], bytes | None],
    ) -> None:
        self._catalogue, self._observations, self._log = catalogue, observations, log
        self._settings, self._stood = settings, stood
        self._lookouts: dict[int, Lookout] = {}
        self._sizes: dict[int, int] = {}
        self._next: dict[int, Standing] = {}
        self._shown: dict[int, Standing] = {}
        self.trouble: dict[int, str] = {}
        self._again_s, self._wait_s = 0.0, _FIRST_S
        self._begun = False
        self._lay()

    @property
    def changed(self) -> bool:
        """Whether there is something that the last commit does not hold."""
        return any(one.changed for one in self._lookouts.values())

    @property
    def due(self) -> bool:
        """Whether one that could not be taken up is to be tried again."""
        return bool(self.trouble) and time.monotonic() >= self._again_s

    def standing(self) -> Mapping[int, Standing]:
        """Return how far each has come by the last commit, by Thing."""
        return self._shown

    def figures(self) -> dict[str, int]:
        """Return what ``nervure status`` shows."""
        every = self._lookouts.values()
        return {
            "things": len(every),
            "rows": sum(one.rows for one in every),
            "open": len(self.open),
            "failed": len(self.trouble),
        }

    @property
    def open(self) -> list[Alert]:
        """The alerts that are active now."""
        return [one.alert for one in self._lookouts.values() if one.alert is not None]

    async def refresh(self) -> list[Alert]:
        """Take up monitors and verdicts that are new since the last look; returns what changes by that.

        Nothing changes before all is read: what a commit in between holds of a monitor has its alerts.
        """
        rows, named = await asyncio.to_thread(self._rows)
        opened: dict[int, Lookout] = {}
        found: list[Alert] = []
        trouble: dict[int, str] = {}
        for thing, row in rows.items():
            known = self._lookouts.get(thing)
            if known is not None and known.posted.fitted_ns == row.fitted_ns:
                continue
            try:
                opened[thing], told = await self._open(row, named[thing])
                found += told
            except NervureError as cause:  # the one before goes on, and it is tried again
                if self.trouble.get(thing) != cause.what:
                    _log.error("the monitor of Thing %d cannot be taken up: %s", thing, cause.what)
                trouble[thing] = cause.what
        versions = {one.posted.version for one in [*self._lookouts.values(), *opened.values()]}
        judged = (
            await asyncio.to_thread(self._catalogue.judged, MONITOR, sorted(versions)) if versions else []
        )
        over = [*(self._lookouts.keys() - rows.keys()), *(self._lookouts.keys() & opened.keys())]
        ended = [alert for thing in over for alert in self._lookouts.pop(thing).end()]
        self._sizes = {thing: size for thing, size in self._sizes.items() if thing in self._lookouts}
        self._lookouts |= opened
        self._wait_s = min(2 * self._wait_s, _LONGEST_S) if trouble == self.trouble else _FIRST_S
        self._again_s = time.monotonic() + self._wait_s
        self.trouble, self._begun = trouble, True
        self._lay()
        for alert in judged:
            if alert.thing in self._lookouts:
                self._lookouts[alert.thing].heed(alert)
        return ended + found

    def _rows(self) -> tuple[dict[int, Posted], dict[int, str]]:
        """Return the monitors of Things that there are, and what these are called."""
        rows = self._catalogue.monitors()
        named = {one.id: one.name for one in self._catalogue.things()} if rows else {}
        return {one.thing: one for one in rows if one.thing in named}, named

    async def _open(self, row: Posted, name: str) -> tuple[Lookout, list[Alert]]:
        posted = await asyncio.to_thread(self._catalogue.monitor, row.thing)
        package = await self._log.get_package(posted.package)
        return await asyncio.to_thread(self._opened, posted, package, name)

    def _opened(self, posted: Posted, package: bytes, name: str) -> tuple[Lookout, list[Alert]]:
        """Open a monitor where its last commit left it, or judge what came after what it learnt from."""
        units = {one.id: one.unit for one in self._catalogue.datastreams(thing=posted.thing)}
        sentinel = Sentinel(package, trusted(self._settings.folder), thing=name)
        lookout = Lookout(posted, sentinel, units)
        stood = self._stood(_name(posted.thing), lookout.same)
        if stood is not None and lookout.restore(stood, time.monotonic()):
            return lookout, self._caught_up(lookout) if self._begun else []  # else the log is still to come
        sentinel.restore(msgspec.msgpack.decode(posted.state))
        lookout = Lookout(posted, sentinel, units)
        return lookout, self._caught_up(lookout)

    def _caught_up(self, lookout: Lookout) -> list[Alert]:
        """Judge what the store holds that is newer than what was judged."""
        sentinel, watched = lookout.sentinel, lookout.posted.watched
        read = self._observations.series(watched, sentinel.last_ns + sentinel.setup.every_ns // 2)
        order = np.argsort(read.time, kind="stable")
        place = _places(watched, read.datastream[order])
        return lookout.catch_up(place, read.time[order], read.value[order], _now())

    def take(self, batch: Batch) -> list[Alert]:
        """Take a batch of the log; returns the alerts that are new, told again, or over."""
        if not len(self._ids):
            return []
        where = np.minimum(np.searchsorted(self._ids, batch.datastream), len(self._ids) - 1)
        rows = np.flatnonzero(self._ids[where] == batch.datastream)
        if not len(rows):
            return []
        at, found, now = where[rows], list[Alert](), _now()
        for thing in np.unique(self._thing[at]).tolist():
            mine = self._thing[at] == thing
            chosen = rows[mine]
            lookout = self._lookouts[thing]
            found += lookout.take(self._place[at[mine]], batch.time[chosen], batch.value[chosen], now)
        return found

    def tick(self) -> list[Alert]:
        """Judge what nobody waits for any longer."""
        now_s = time.monotonic()
        return [alert for one in self._lookouts.values() for alert in one.tick(now_s)]

    def states(self) -> dict[str, bytes]:
        """Return the states that the last commit does not hold, by the name under which they are kept."""
        found: dict[str, bytes] = {}
        for thing, one in self._lookouts.items():
            if one.changed or thing not in self._sizes:
                found[_name(thing)] = state = one.state()
                self._sizes[thing], one.changed = len(state), False
        self._next = {thing: one.standing() for thing, one in self._lookouts.items()}
        return found

    def saved(self, before: Mapping[str, Saved]) -> dict[str, Saved]:
        """Return what tells a restart which states there are, after :meth:`states`.

        Of one that could not be taken up what was there ``before``, when the node started, stands still.
        """
        names = (_name(thing) for thing in self.trouble)
        return {name: before[name] for name in names if name in before} | {
            _name(thing): Saved(engine=b"", scorers={"": Part(version=one.same, size=self._sizes[thing])})
            for thing, one in self._lookouts.items()
        }

    def committed(self) -> None:
        """Take note that the states are in the catalogue."""
        self._shown = self._next

    def _lay(self) -> None:
        """Note where readings of each Datastream go."""
        known = [
            (stream, thing, place)
            for thing, one in self._lookouts.items()
            for place, stream in enumerate(one.posted.watched)
        ]
        table = np.array(sorted(known), dtype=np.int64).reshape(-1, 3)
        self._ids, self._thing, self._place = table.T.copy()


def _places(watched: Iterable[int], datastream: Longs) -> Longs:
    place = {stream: at for at, stream in enumerate(watched)}
    return np.array([place[one] for one in datastream.tolist()], dtype=np.int64)


def _name(thing: int) -> str:
    return f"{MONITOR}/{thing}"


def _now() -> tuple[int, float]:
    return time.time_ns(), time.monotonic()
