"""What was decided, as the log has it: each reading beside the forecast that was made of it."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Collection
from typing import Self

import msgspec

from nervure.core.instant import SECOND_NS
from nervure.core.scale import partition_of
from nervure.core.settings import Settings
from nervure.store.catalogue import Catalogue
from nervure.stream.log import Log
from nervure.stream.subject import datastream_of

__all__ = ["Decisions"]

_LOOK_S = 0.1
_PATIENCE_S = 60.0


class _Said(msgspec.Struct):
    """A reading (``phenomenonTime``) or a forecast (``resultTime`` is the time of the reading it is of)."""

    phenomenonTime: str = ""  # noqa: N815 - as SensorThings writes it
    resultTime: str = ""  # noqa: N815 - the same


_read = msgspec.json.Decoder(_Said).decode


class Decisions:
    """Readings and forecasts since it began to listen, each counted as often as the log holds it."""

    def __init__(self, settings: Settings) -> None:
        with contextlib.closing(Catalogue.open(settings.catalogue_place)) as catalogue:
            known = catalogue.datastreams()
        self._source = {one.id: one.source for one in known if one.kind == "forecast"}
        self._thing = {one.id: one.thing for one in known}
        self._readings: Counter[tuple[int, str]] = Counter()
        self._made: Counter[tuple[int, str]] = Counter()
        self._when: list[tuple[int, int]] = []

    @classmethod
    @contextlib.asynccontextmanager
    async def heard(cls, settings: Settings) -> AsyncIterator[Self]:
        """Listen to what comes into the log from now on."""
        found, log = cls(settings), await Log.connect(settings)
        try:
            listening = asyncio.create_task(found._listen(log, (await log.first_last())[1]))
            yield found
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)
        finally:
            await log.close()

    async def _listen(self, log: Log, after: int) -> None:
        async for entries in log.read(after):
            for subject, payload, when in zip(
                entries.subject, entries.payload, entries.received_ns, strict=True
            ):
                stream = datastream_of(subject)
                if stream is None:
                    continue
                said = _read(payload)
                source = self._source.get(stream)
                if source is None:
                    self._readings[stream, said.phenomenonTime] += 1
                else:
                    self._made[source, said.resultTime] += 1
                    self._when.append((when, source))

    async def until(self, readings: int) -> None:
        """Wait until so many readings were heard, and a forecast of each of them, or for a minute."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_PATIENCE_S):
                while len(self._readings) < readings or self.missing():
                    await asyncio.sleep(_LOOK_S)

    def missing(self) -> int:
        """Return how many readings nobody has foreseen from."""
        return len(self._readings.keys() - self._made.keys())

    def doubled(self) -> int:
        """Return how many forecasts the log holds more than once."""
        return sum(count - 1 for count in self._made.values())

    def silence_s(self, partitions: Collection[int], count: int, since_ns: int) -> float:
        """Return for how long after an instant the worst of some of ``count`` partitions had no decision.

        It counts from the last decision before the longest pause to the first one after it.
        """
        worst = 0.0
        for partition in partitions:
            times = sorted(
                when for when, source in self._when if partition_of(self._thing[source], count) == partition
            )
            after = [one for one in times if one >= since_ns]
            before = [one for one in times if one < since_ns][-1:]
            pairs = zip([*before, *after], after[1 - len(before) :], strict=False)
            worst = max([worst, *((second - max(first, since_ns)) / SECOND_NS for first, second in pairs)])
        return worst
