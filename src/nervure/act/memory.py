"""What a guard remembers over a restart, in a file of its own.

Whom it does not hear and for how much longer, trips, what people hold, and what was in force when.

    memory = Memory(Path("guard.memory"), capability=5)
    guard = Guard(declared, values, now_ns, key=key, kept=memory.read())
    memory.keep(guard.kept())                       # after every step; writes only what has changed

A file that is there but cannot be read is a trip: nobody knows who was to be kept from it, so a person says.
The clock may be another one after a restart, so each span is taken as the stricter one: time that the guard
was off does not count towards what lets somebody in again, and counts as waiting for those who may starve.

Two guards never write one file: the second process is refused, and within a process the newest guard has it.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

import msgspec
from msgspec.structs import replace

from nervure.act import array, track
from nervure.act.check import awaited, title
from nervure.core.command import Held, Known, Pending, Trip
from nervure.core.error import ConflictError
from nervure.core.interlock import Declared, Effect, Starve, Value

__all__ = ["Kept", "Memory", "resumed"]

AGAIN_NS = 60_000_000_000
"""How often what runs out is written again: so much longer at most is somebody kept out by a restart."""

_MOST_BYTES = 1 << 22
_DIGEST = 32


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """What a guard remembers: all that it knows, people's slots, how often models were benched by a rule."""

    known: Known
    hands: array.Slots = ()
    benches: Mapping[str, int] = {}
    capability: int = 0


class _Claim:
    """The lock beside a file, for as long as anybody holds on to this; ``owner`` is who may write."""

    def __init__(self, path: Path) -> None:
        self.owner: object = None
        self.process = os.getpid()
        self._lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as cause:
            who = os.pread(self._lock, 20, 0).decode("ascii", "replace").strip() or "unknown"
            raise ConflictError(
                f"another guard (pid {who}) remembers in this file",
                where=str(path.with_suffix("")),
                hint="a device runs once; give each guard a file of its own",
            ) from cause
        with contextlib.suppress(OSError):  # a full disk: it is locked without our name on it
            os.ftruncate(self._lock, 0)
            os.pwrite(self._lock, str(self.process).encode(), 0)

    def __del__(self) -> None:
        if hasattr(self, "_lock"):
            os.close(self._lock)


_CLAIMS: WeakValueDictionary[Path, _Claim] = WeakValueDictionary()


class Memory:
    """The file of one guard's memory; not thread-safe."""

    def __init__(self, path: Path, capability: int = 0) -> None:
        self._path, self._capability = path, capability
        self._hard: tuple[Any, ...] | None = None
        self._soft: tuple[Any, ...] | None = None
        self._seen: tuple[Any, ...] | None = None
        self._written_ns = 0
        self._claim: _Claim | None = None
        self._mine = object()

    def read(self) -> Kept | None:
        """Return what was kept, nothing at the very first start, a trip where it cannot be read.

        The file is ours from now on: raises ``ConflictError`` where a guard of another process has it.
        """
        self._take()
        try:
            data = self._load()
        except OSError as cause:
            return _lost(f"{self._path} cannot be read: {cause.strerror}")
        if data is None:
            return None
        if hashlib.sha256(data[_DIGEST:]).digest() != data[:_DIGEST]:
            return _lost(f"{self._path} is damaged")
        try:
            kept = msgspec.msgpack.decode(data[_DIGEST:], type=Kept)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as cause:
            return _lost(f"{self._path} is of another release: {cause}")
        if kept.capability != self._capability:
            return _lost(f"{self._path} is of capability {kept.capability}, not {self._capability}")
        return kept

    def keep(self, kept: Kept) -> str:
        """Write what has changed; why that did not succeed, or nothing.

        Whom the guard does not hear and what people hold is written at once, what was put into force with
        the next step: no command waits for a disk, and what is in force the actuator itself knows.
        """
        why = self._elsewhere()
        if why:
            return why
        known = kept.known
        hard = (known.benched, known.trips, kept.hands)
        soft, last = (known.held, known.acted, known.left, known.pending), self._seen
        self._seen = soft
        runs_out = known.benched or any(one.until_ns is not None for one in kept.hands)
        again = bool(runs_out) and known.now_ns - self._written_ns >= AGAIN_NS
        if hard == self._hard and (last is None or last == self._soft) and not again:
            return ""
        lasting = replace(kept, capability=self._capability, known=replace(known, inputs={}))
        body = msgspec.msgpack.encode(lasting)
        try:
            self._save(hashlib.sha256(body).digest() + body)
        except OSError as cause:
            return f"{self._path} cannot be written: {cause.strerror}"
        self._hard, self._soft, self._written_ns = hard, soft, known.now_ns
        return ""

    def _take(self) -> None:
        """Claim the file; where nothing can be locked nothing can be written, and that is said then."""
        place = self._path.parent.resolve() / f"{self._path.name}.lock"
        found = _CLAIMS.get(place)
        with contextlib.suppress(OSError):
            if found is None or found.process != os.getpid():
                found = _CLAIMS[place] = _Claim(place)
        self._claim = found
        if found is not None:
            found.owner = self._mine

    def _elsewhere(self) -> str:
        """Say who else writes this file, or nothing."""
        try:
            if self._claim is None:
                self._take()
        except ConflictError as cause:
            return f"{self._path}: {cause.what}"
        other = self._claim is not None and self._claim.owner is not self._mine
        return f"{self._path} is written by a newer guard of this process" if other else ""

    def _load(self) -> bytes | None:
        try:
            with self._path.open("rb") as file:
                return file.read(_MOST_BYTES)
        except FileNotFoundError:
            return None

    def _save(self, data: bytes) -> None:
        """Write the file whole or not at all, so that it outlives this process and a power cut."""
        beside = self._path.with_name(f"{self._path.name}.new")
        with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(self._path)
        folder = os.open(self._path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def resumed(
    kept: Kept, declared: Declared, values: Mapping[str, Value], now_ns: int
) -> tuple[Known, array.Slots]:
    """Return what a guard knows when it starts again, and what people hold; ``values`` are in force now.

    What inputs said is forgotten, and what was read before the start is not believed any more: it may be
    another by now, and what is not known counts as unsafe.
    """
    was, late = kept.known, now_ns - kept.known.now_ns
    back = min(0, late)  # a clock that was put back; else what has passed counts against the guard
    begun = track.began(declared, values, now_ns)
    effects = {awaited(one) for one in declared.of(Effect)}
    starving = {title(one) for one in declared.of(Starve)}
    known = Known(
        now_ns=now_ns,
        held={
            name: tuple(Held(one.value, one.since_ns + late) for one in held)
            for name, held in was.held.items()
            if name in declared.fields
        },
        acted=tuple((when + late, name) for when, name in was.acted if name in declared.fields),
        left={**begun.left, **{name: one + back for name, one in was.left.items() if name in begun.left}},
        pending={
            name: Pending(one.since_ns + late, one.value, one.moved)
            for name, one in was.pending.items()
            if name in effects
        },
        trips=was.trips,
        benched={name: until + late for name, until in was.benched.items() if name in starving},
    )
    hands = tuple(
        one if one.until_ns is None else replace(one, until_ns=one.until_ns + late)
        for one in kept.hands
        if one.values.keys() <= declared.fields.keys()
    )
    return track.applied(known, declared, values), hands


def _lost(why: str) -> Kept:
    """Return the memory of a guard that has lost it: nobody is believed until a person has seen to it."""
    return Kept(known=Known(trips=(Trip(rule="memory", time_ns=0, why=why[:500]),)))
