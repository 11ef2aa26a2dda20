"""Our own store, as ``nervure bench store`` asks it."""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from deltalake import DeltaTable

from nervure.bench.speed.store_rows import MINUTE_NS, SENSORS, SLOT_NS, Part
from nervure.bench.speed.store_subject import OURS, Answer, Asked, weight
from nervure.core.instant import from_ns
from nervure.store.observations import Observations

__all__ = ["Ours", "delta_files"]

_MEANS = """
    SELECT datastream, epoch_us(time) // 900000000 AS slot, avg(value) AS mean
    FROM observation WHERE datastream BETWEEN $first AND $last AND time >= $start AND time < $end
    GROUP BY 1, 2
"""


class Ours:
    """The store through the calls that the node, the API and training use."""

    name = OURS

    def __init__(self, folder: Path, *, write: bool = True) -> None:
        self.place = str(folder)
        self._folder = folder
        self._write = write
        self.store = Observations.open(folder, write=write)

    def cpu_s(self) -> float:
        """Return the processor seconds of this process."""
        return time.process_time()

    def write(self, part: Part) -> None:
        """Append in batches and seal when it is due, as the node does; at the end all is sealed."""
        for batch, upto in part.batches():
            self.store.append(batch, upto)
            if self.store.due:
                self.store.seal()
        self.store.seal()

    def settle(self) -> None:
        """Merge, as the node does every few minutes."""
        self.store.compact()

    def size(self) -> int:
        """Return the bytes of the files of the newest version, the log of the table and the digest."""
        return weight(delta_files(self._folder)) + weight(self._folder.glob("_digest*"))

    def open(self) -> None:
        """Open it again."""
        self.store = Observations.open(self._folder, write=self._write)

    def files(self) -> Iterable[Path]:
        """Return every file in its folder."""
        return (file for file in self._folder.rglob("*") if file.is_file())

    def refresh(self) -> None:
        """See the newest commit."""
        self.store.refresh()

    def close(self) -> None:
        """Let go."""
        self.store.close()

    def last(self, asked: Asked) -> Answer:
        """Ask for what is kept."""
        found = self.store.last(range(1, SENSORS + 1))
        time_ns, value = zip(*found.values(), strict=True)
        return np.array(list(found)), np.array(time_ns), np.array(value)

    def day(self, asked: Asked) -> Answer:
        """Ask for a series."""
        found = self.store.series([asked.sensor], *asked.day)
        return found.time, found.value

    def means(self, asked: Asked) -> Answer:
        """Ask in SQL."""
        start, end = map(from_ns, asked.week)
        values = {"first": asked.first, "last": asked.last, "start": start, "end": end}
        found = self.store.query(_MEANS, values)
        return (
            found["datastream"].to_numpy(),
            found["slot"].to_numpy() * SLOT_NS,
            found["mean"].to_numpy(),
        )

    def count(self, asked: Asked) -> Answer:
        """Ask for what is kept."""
        return (np.array([self.store.count()]),)

    def table(self, asked: Asked) -> Answer:
        """Ask as training does (``nervure.learn.live.readings``)."""
        ids = list(range(asked.first, asked.last + 1))
        return (self.store.table(ids, [str(one) for one in ids], MINUTE_NS, *asked.history).value,)


def delta_files(folder: Path) -> list[Path]:
    """Return the files of the newest version of a Delta table, and its log."""
    live = [Path(uri.removeprefix("file://")) for uri in DeltaTable(folder).file_uris()]
    return [*live, *(folder / "_delta_log").iterdir()]
