"""Observations: a Delta table that grows by commits, and a tail in memory that queries union in."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import pyarrow as pa

from nervure.core.error import NervureError, StoreError
from nervure.core.instant import DAY_NS
from nervure.core.observation import Batch, Observation
from nervure.core.settings import Store
from nervure.core.window import Table
from nervure.store import look
from nervure.store.claim import Claim
from nervure.store.column import in_order, to_arrow
from nervure.store.delta import Delta
from nervure.store.digest import SPARE_ROWS, digest, load, save
from nervure.store.duplicate import Key, Keys, Result
from nervure.store.engine import Engine
from nervure.store.latest import Latest
from nervure.store.look import View
from nervure.store.memory import Appended, Memory
from nervure.store.merge import merge, mergeable
from nervure.store.page import Page, page
from nervure.store.repair import recover, sweep
from nervure.store.shelf import Shelf

__all__ = ["Appended", "Observations"]

FULL_SEALS = 20
"""The tail takes no more than this many seals' worth of rows while the table cannot be written."""

IDLE_S = 30.0
"""How long a position without rows may wait for its commit."""

VACUUM_S = 3600.0
LONGEST_PAUSE_S = 30.0


class Observations:
    """The store of observations of one process; its methods may be called from any thread.

    ``append`` costs microseconds and may go on while ``seal`` writes in another thread. A reading
    is in answers as soon as it is appended, and survives the process once it is sealed: until then
    the log has it. ``position`` is the log position up to which everything is sealed, and the log
    may be forgotten up to ``safe_position``, one commit before.
    """

    def __init__(self, folder: Path, settings: Store, delta: Delta, claim: Claim | None) -> None:
        self.folder = folder
        self.repaired: tuple[str, ...] = ()
        self._settings = settings
        self._delta = delta
        self._claim = claim
        self._engine = Engine(folder)
        self._state = threading.RLock()  # guards what follows, never held for long
        self._writing = threading.Lock()  # one commit at a time; taken before _state
        self._merging = threading.Lock()  # one merge at a time; taken before _writing
        self._shelf = delta.shelf()
        self._position, self._safe = delta.position, delta.before
        self._digest = digest(self._files(self._shelf), self._position, load(folder))
        self._memory = Memory(Latest.of(self._digest.summary), self._position, self._search)
        self._moved = self._vacuumed = time.monotonic()
        self._failures, self._pause_until = 0, 0.0

    @classmethod
    def open(
        cls, folder: Path, settings: Store | None = None, *, write: bool = True, forget: bool = False
    ) -> Self:
        """Open the table in ``folder``, made if it is not there; only one process may write it.

        A table whose newest commit is damaged falls back to the commit before (``repaired`` says
        so) and reports its position, from which the log refills it. Damage that the log cannot
        refill raises ``StoreError``, or with ``forget`` costs the rows of the damaged files. With
        ``write=False`` nothing is changed, and :meth:`refresh` shows what another process sealed.
        """
        folder = Path(folder).resolve()
        settings = settings or Store()
        if not write:
            return cls(folder, settings, Delta(folder, look.opened(folder)), None)
        claim = Claim(folder)
        try:
            sweep(folder)
            table, repaired = recover(folder, forget=forget)
            found = cls(folder, settings, Delta(folder, table), claim)
        except BaseException:
            claim.release()
            raise
        found.repaired = tuple(repaired)
        return found

    def close(self) -> None:
        """Let go of the table; what is not sealed is read from the log again at the next start."""
        if self._claim is not None:
            with self._merging:
                self._renew_digest(1)
            self._claim.release()
        self._engine.close()

    # --- writing ---------------------------------------------------------------------------------

    @property
    def position(self) -> int:
        """The last log position in a commit."""
        return self._position

    @property
    def safe_position(self) -> int:
        """The last log position of the commit before: the log may forget up to here."""
        return self._safe

    @property
    def taken(self) -> int:
        """The last log position appended, sealed or not."""
        return self._memory.taken

    def append(self, batch: Batch, upto: int) -> Appended:
        """Take the readings of the log up to ``upto``; those of entries taken before are left out.

        Raises ``StoreError`` when the table could not be written for so long that memory is full.
        """
        self._check_writable()
        with self._state:
            if self.full and len(batch):
                raise StoreError(
                    f"{self._memory.rows} readings wait in memory because the table cannot be written",
                    where=str(self.folder),
                    hint="the log keeps everything; read on from it when sealing works again",
                )
            if self._memory.taken == self._position:
                self._moved = time.monotonic()
            return self._memory.append(batch, upto)

    @property
    def due(self) -> bool:
        """Whether it is time to seal; after a seal that failed there is a pause, longer each time."""
        now, memory = time.monotonic(), self._memory
        if now < self._pause_until:
            return False
        if memory.waiting:
            return memory.waiting >= self._settings.seal_rows or memory.age_s >= self._settings.seal_s
        return memory.taken > self._position and now - self._moved >= IDLE_S

    @property
    def full(self) -> bool:
        """Whether memory takes no more rows until some are sealed."""
        return self._memory.rows >= FULL_SEALS * self._settings.seal_rows

    def seal(self) -> int:
        """Write the tail to the table in one commit with its log position; return the rows written.

        When that fails, with a ``StoreError``, the rows are still in memory and the log still has
        them; the next seal tries again.
        """
        self._check_writable()
        with self._writing:
            self._certain()
            with self._state:
                upto = self._memory.taken
                if upto == self._position:
                    return 0
                rows = self._memory.begin()
            began_ns = time.time_ns()
            try:
                self._delta.write(to_arrow(in_order(rows), day=True), upto)
                shelf = self._delta.shelf()
            except BaseException:
                self._failed(began_ns)
                raise
            with self._state:
                self._memory.done()
                self._see(shelf)
                self._failures = 0
            return len(rows)

    # --- reading ---------------------------------------------------------------------------------

    def last(self, ids: Sequence[int]) -> dict[int, tuple[int, float]]:
        """Return time in nanoseconds and value of the newest reading of each Datastream that has one."""
        with self._state:
            return self._memory.latest.last(ids)

    def count(self, id: int | None = None) -> int:
        """Return how many readings there are, in all or of one Datastream."""
        with self._state:
            return self._memory.latest.count(id)

    def span(self, id: int | None = None) -> tuple[int, int] | None:
        """Return the first and the newest time in nanoseconds, or None where there is no reading."""
        with self._state:
            return self._memory.latest.span(id)

    def series(self, ids: Sequence[int], start_ns: int | None = None, end_ns: int | None = None) -> Batch:
        """Return the readings with ``start <= time < end``, sorted by Datastream, time, result time."""
        return look.series(self._view(), ids, start_ns, end_ns)

    def table(
        self,
        ids: Sequence[int],
        names: Sequence[str],
        every_ns: int,
        start_ns: int | None = None,
        end_ns: int | None = None,
        *,
        good_only: bool = True,
    ) -> Table:
        """Return a regular history ``[slot, stream]``: in each slot the reading that came last.

        With ``start_ns`` and ``end_ns`` the table spans exactly the slots between them.
        """
        span = (start_ns, end_ns)
        return look.table(self._view(), ids, names, every_ns, span, good_only=good_only)

    def by_id(self, identity: int) -> Observation | None:
        """Return the observation of that id, or None."""
        return look.by_id(self._view(), identity)

    def page(
        self,
        datastream: int | None = None,
        *,
        limit: int = 100,
        skip: int = 0,
        order: str = "time",
        descending: bool = False,
        after: tuple[int, int] | None = None,
    ) -> Batch:
        """Return some readings in the order of ``time``, ``result_time`` or ``id``.

        ``after`` is the (time, id) of the last row of the page before, in the order of time: it
        costs the same on every page, where ``skip`` costs more the further it goes.
        """
        wanted = Page(
            datastream=datastream, limit=limit, skip=skip, order=order, descending=descending, after=after
        )
        return page(self._view(), wanted, self.span(datastream), self.count(datastream))

    def query(
        self,
        sql: str,
        parameters: Sequence[Any] | Mapping[str, Any] | None = None,
        *,
        limit_s: float = 30.0,
    ) -> pa.Table:
        """Answer one SELECT over the view ``observation`` (DuckDB's SQL); instants are in UTC.

        A malformed query, or one that takes longer than ``limit_s``, raises ``QueryError``.
        """
        view = self._view()
        memory = [to_arrow(batch) for batch in view.memory]
        return self._engine.view(sql, view.shelf.choose(), memory, parameters, limit_s=limit_s)

    # --- housekeeping ----------------------------------------------------------------------------

    def compact(self) -> int:
        """Merge small files into sorted ones and return how many went away; once an hour vacuum.

        Sealing goes on meanwhile.
        """
        self._check_writable()
        gone = 0
        with self._merging:
            shelf = self._shelf
            for files in mergeable(shelf):
                target = self._delta.file_for(int(shelf.day[files[0]]))
                try:
                    statistics = merge(self._engine, shelf, files, target)
                except BaseException:
                    target.unlink(missing_ok=True)
                    raise
                with self._writing:
                    self._certain()
                    self._delta.exchange(shelf, files, target, statistics)
                    self._see(self._delta.shelf())
                gone += len(files) - 1
            self._renew_digest(SPARE_ROWS)
        if time.monotonic() - self._vacuumed >= VACUUM_S:
            self.vacuum()
        return gone

    def vacuum(self) -> int:
        """Delete files that no version of the table needs any more; return how many."""
        self._check_writable()
        with self._merging, self._writing:
            self._certain()
            self._vacuumed = time.monotonic()
            return self._delta.vacuum()

    def retain(self, before_ns: int) -> int:
        """Forget the whole days before an instant; return how many sealed readings went."""
        self._check_writable()
        with self._merging, self._writing:
            self._certain()
            shelf = self._shelf
            old = np.flatnonzero(shelf.day < before_ns // DAY_NS).tolist()
            if not old:
                return 0
            self._delta.drop(shelf, old)
            rest = self._delta.shelf()
            self._digest = digest(self._files(rest), self._delta.position)
            with self._state:
                self._see(rest)
                self._memory.latest.recount(self._digest.summary, self._memory.parts())
            save(self.folder, self._digest)
            return int(shelf.rows[old].sum())

    def refresh(self) -> None:
        """See what the writing process has sealed since (after ``open(write=False)``)."""
        if self._claim is not None:
            return
        with self._writing:
            self._delta.refresh()
            shelf = self._delta.shelf()
            self._digest = digest(self._files(shelf), self._delta.position, self._digest)
            with self._state:
                self._see(shelf)
                latest = Latest.of(self._digest.summary)
                self._memory = Memory(latest, self._position, self._search)

    # --- inside ----------------------------------------------------------------------------------

    def _view(self) -> View:
        """Return files and memory that together hold every row once."""
        with self._state:
            return View(engine=self._engine, shelf=self._shelf, memory=self._memory.parts())

    def _files(self, shelf: Shelf) -> View:
        return View(engine=self._engine, shelf=shelf, memory=())

    def _search(self, keys: Keys) -> Mapping[Key, Result]:
        return look.stored(self._engine, self._shelf, keys)

    def _see(self, shelf: Shelf) -> None:
        """Answer from these files from now on."""
        with self._state:
            self._shelf = shelf
            self._position, self._safe = self._delta.position, self._delta.before

    def _renew_digest(self, spare: int) -> None:
        """Digest what came since the last one, if it was ``spare`` rows or more."""
        with self._state:
            shelf, position = self._shelf, self._position
        if int(shelf.rows.sum()) - self._digest.rows >= spare:
            self._digest = digest(self._files(shelf), position, self._digest)
            save(self.folder, self._digest)

    def _failed(self, began_ns: int) -> None:
        """Keep the rows of a seal that failed, clear away what it wrote, and let some time pass."""
        with self._state:
            self._memory.undo()
            self._failures += 1
            pause = min(LONGEST_PAUSE_S, 0.5 * 2.0**self._failures)
            self._pause_until = time.monotonic() + pause
        with contextlib.suppress(NervureError, OSError):  # the disk may refuse this too: at the next open
            self._certain()
            self._delta.clear(began_ns)
            sweep(self.folder, spilled=False)

    def _certain(self) -> None:
        """If a commit seemed to fail but got through after all, take it for done."""
        landed = self._delta.certain()
        if landed > self._position:
            shelf = self._delta.shelf()
            with self._state:
                self._memory.landed(landed)
                self._see(shelf)

    def _check_writable(self) -> None:
        if self._claim is None:
            raise StoreError(
                "the observations were opened for reading only",
                where=str(self.folder),
                hint="open them with write=True in the one process that stores readings",
            )
