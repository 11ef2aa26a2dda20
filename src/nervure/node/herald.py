"""Tells pages of every alert, whoever raised it: the node's own at once, others as the catalogue has them.

What raises an alert writes its news into the outbox in the same transaction: the node, its workers,
the door that shuts a flooding device out. Where somebody listens, that table is followed.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence

from nervure.core.alert import Alert
from nervure.core.error import StoreError
from nervure.serve.live import Live
from nervure.store.catalogue import Catalogue

__all__ = ["Herald"]

EVERY_S = 0.5
MOST_OWN = 10_000
"""So many alerts that were told already are known by name; of more, the oldest are told once again."""


class Herald:
    """Passes alerts on to ``live``; what is told twice is the same both times."""

    def __init__(self, catalogue: Catalogue, live: Live) -> None:
        self._catalogue = catalogue
        self._live = live
        self._own: dict[tuple[str, bool], None] = {}
        self._seen: int | None = None

    def own(self, found: Sequence[Alert]) -> None:
        """Tell of alerts that this process has raised and written."""
        if not self._live.listeners:
            return
        for one in found:
            self._own[one.id, one.active] = None
        while len(self._own) > MOST_OWN:
            del self._own[next(iter(self._own))]
        self._live.alerts(found)

    async def run(self) -> None:
        """Follow the outbox for ever, as long as anybody listens."""
        while True:
            await asyncio.sleep(EVERY_S)
            if not self._live.listeners:
                self._seen = None
                continue
            with contextlib.suppress(StoreError):  # the catalogue is away: later
                await self._look()

    async def _look(self) -> None:
        """Tell what has come since the last look; at the first, what has just come."""
        while True:
            self._seen, found = await asyncio.to_thread(self._catalogue.news, self._seen)
            others = [one for one in found if (one.id, one.active) not in self._own]
            for one in found:
                self._own.pop((one.id, one.active), None)
            if not found:
                return
            self._live.alerts(others)
