"""Observations: a Delta table that grows by commits, and a tail in memory that queries union in."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Self

import msgspec
import numpy as np
from numpy.typing import NDArray

from nervure.core.error import NervureError, StoreError
from nervure.core.instant import DAY_NS
from nervure.core.observation import Batch
from nervure.core.settings import Store
from nervure.store import change, look
from nervure.store.answer import Answers
from nervure.store.claim import Claim
from nervure.store.column import in_order
from nervure.store.delta import Delta
from nervure.store.digest import SPARE_ROWS, Digest, digest, forget, load, save
from nervure.store.duplicate import Key, Keys, Result
from nervure.store.engine import Engine
from nervure.store.free import put_down
from nervure.store.gone import Gone
from nervure.store.latest import Latest
from nervure.store.look import View, among
from nervure.store.memory import Appended, Memory
from nervure.store.merge import merge, mergeable
from nervure.store.pace import Pace
from nervure.store.repair import recover, sweep
from nervure.store.rewrite import rewritten
from nervure.store.seal import files
from nervure.store.shelf import Shelf

__all__ = ["Appended", "Observations"]

Longs = NDArray[np.int64]

FULL_SEALS, MOST_SEALS = 4, 20
"""With so many seals' worth of rows in memory no more should come; with so many no more are taken."""

VACUUM_S = 3600.0


class Observations(Answers):
    """The store of observations of one process; its methods may be called from any thread.

    ``append`` costs microseconds and may go on while ``seal`` writes in another thread. A reading
    is in answers as soon as it is appended, and survives the process once it is sealed: until then
    the log has it. ``position`` is the log position up to which everything is sealed, and the log
    may be forgotten up to ``safe_position``, one commit before. ``append``, ``amend`` and ``drop`` are
    called in the order of the log, one after the other.
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
        self._changing = threading.Lock()  # one change at a time; taken after _writing, before _state
        self._shelf = delta.shelf()
        self._position, self._safe = delta.position, delta.before
        self._digest = digest(self._files(self._shelf), self._position, load(folder))
        self._memory = Memory(Latest.of(self._digest.summary), self._position, self._search)
        self._pace, self._vacuumed = Pace(settings), time.monotonic()
        self._stale = False  # the next seal digests anew

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
            if len(batch) and self._memory.rows >= MOST_SEALS * self._settings.seal_rows:
                raise StoreError(
                    f"{self._memory.rows} readings wait in memory because the table cannot be written",
                    where=str(self.folder),
                    hint="the log keeps everything; read on from it when sealing works again",
                )
            self._note()
            return self._memory.append(batch, upto)

    def amend(self, batch: Batch, upto: int) -> int:
        """Give rows another content under the ids they have; return how many there were.

        ``upto`` is the log position of the event: one taken before is left out, as are ids that
        nobody has.
        """
        self._check_writable()
        with self._changing:
            if upto <= self._memory.taken:
                return 0
            view, wanted = self._view(), change.chosen(batch.id.tolist())
            batch = batch.take(np.isin(batch.id, change.present(view, wanted)))
            found = change.summed(view, wanted)
            with self._state:
                self._note()
                touched = self._memory.latest.remove(found)
                self._memory.amend(batch, upto)
            self._restate(touched, batch)
            return len(batch)

    def drop(
        self,
        *,
        ids: Sequence[int] = (),
        datastreams: Sequence[int] = (),
        features: Sequence[int] = (),
        upto: int,
    ) -> None:
        """Delete rows: by id, all of some Datastreams, all about some features.

        They are out of every answer at once, and out of the table with the next seal. ``upto`` is as
        for :meth:`amend`.
        """
        self._check_writable()
        with self._changing:
            if upto <= self._memory.taken:
                return
            gone = Gone.of(ids=ids, datastreams=datastreams, features=features, position=upto)
            found = None
            if len(ids) or len(features):
                found = change.summed(self._view(), change.chosen(ids, features, but=datastreams))
            with self._state:
                self._note()
                latest = self._memory.latest
                latest.restate(datastreams, None)
                touched = None if found is None else latest.remove(found)
                self._memory.drop(gone, upto)
            if touched is not None:
                self._restate(touched)

    def _restate(self, datastreams: Longs, more: Batch | None = None) -> None:
        """Look anew at Datastreams that lost a first or newest row, and take up rows of the others."""
        view, some = self._view(), len(datastreams) > 0
        summary = look.summary(view, among(datastreams), ids=datastreams) if some else None
        with self._state:
            latest = self._memory.latest
            if summary is not None:
                latest.restate(datastreams, summary)
            if more is not None:
                more = more.take(~np.isin(more.datastream, datastreams))
                latest.add(more)

    def _note(self) -> None:
        """Note when the first of what is not sealed came."""
        if self._memory.taken == self._position:
            self._pace.began()

    @property
    def due(self) -> bool:
        """Whether it is time to seal; after a seal that failed there is a pause, longer each time."""
        return self._pace.due(self._memory, self._position)

    @property
    def full(self) -> bool:
        """Whether no more rows should come until some are sealed."""
        return self._memory.rows >= FULL_SEALS * self._settings.seal_rows

    def seal(self) -> int:
        """Write the tail to the table in one commit with its log position; return the rows written.

        When that fails, with a ``StoreError``, the rows are still in memory and the log still has
        them; the next seal tries again.
        """
        self._check_writable()
        with self._writing:
            self._certain()
            with self._changing, self._state:
                upto = self._memory.taken
                if upto == self._position:
                    return 0
                rows, gone = self._memory.begin()
                standing = self._memory.latest.summary() if gone or self._stale else None
            began_ns = time.time_ns()
            try:
                ranked = in_order(rows)
                self._commit(ranked, gone, upto)
                shelf = self._delta.shelf()
            except BaseException:
                self._failed(began_ns)
                raise
            with self._state:
                self._memory.done(rows, ranked)
                self._see(shelf)
                self._pace.wrote()
            if standing is not None:
                self._digest, self._stale = Digest(position=upto, summary=standing), False
                save(self.folder, self._digest)
            return len(rows)

    def _commit(self, rows: Batch, gone: Gone, upto: int) -> None:
        place, shelf = partial(self._delta.file_for, kind="part"), self._shelf
        if gone:
            forget(self.folder)
        old, new = rewritten(self._engine, shelf, gone, place) if gone else ([], [])
        self._delta.rewrite(shelf, old, new + files(rows, place, self.folder), upto)

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
                    if not np.isin(shelf.path[files].astype(str), self._shelf.path.astype(str)).all():
                        target.unlink()  # a change has rewritten one of them meanwhile
                        continue
                    self._delta.exchange(shelf, files, target, statistics)
                    self._see(self._delta.shelf())
                gone += len(files) - 1
                put_down()
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
            with self._changing:
                gone = self._memory.gone
                left = msgspec.structs.replace(self._files(rest), gone=gone)
                found = look.summary(left) if gone else self._digest.summary
                with self._state:
                    self._see(rest)
                    self._memory.forget(before_ns // DAY_NS * DAY_NS)
                    self._memory.latest.recount(found, self._memory.parts())
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

    def _files(self, shelf: Shelf) -> View:
        return View(engine=self._engine, shelf=shelf, memory=())

    def _search(self, keys: Keys) -> Mapping[Key, Result]:
        return look.stored(self._engine, self._shelf, self._memory.gone, keys)

    def _see(self, shelf: Shelf) -> None:
        """Answer from these files from now on."""
        with self._state:
            self._shelf = shelf
            self._position, self._safe = self._delta.position, self._delta.before

    def _renew_digest(self, spare: int) -> None:
        """Digest what came since the last one, if it was ``spare`` rows or more: memory knows it.

        While more waits the next seal does it; before the end, what memory knows too much is read.
        """
        with self._state:
            shelf, position, old, memory = self._shelf, self._position, self._digest, self._memory
            if int(shelf.rows.sum()) - old.rows < spare:
                return
            self._stale = bool(memory.rows or memory.gone)
            found = Digest(position=position, summary=memory.latest.summary())
        if self._stale and spare > 1:
            return
        if self._stale:
            found = digest(self._files(shelf), position, old)
        with self._writing:
            if self._digest is old:  # no change was sealed meanwhile
                self._digest = found
                save(self.folder, found)

    def _failed(self, began_ns: int) -> None:
        """Keep the rows of a seal that failed, clear away what it wrote, and let some time pass."""
        with self._state:
            self._memory.undo()
            self._pace.failed()
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
