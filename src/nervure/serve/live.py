"""Live: what came in the last second, told once a second to those who listen, as columns.

    event: rows    id: <ms>-<n>   readings of the Datastreams asked for, in the order in which they came
    event: alert   alerts that are new, changed or over
    event: strip   how the node does
    event: gap     what came since an instant is not told: fetch it
    event: end     the session is over, the node stops, or nothing was read for two minutes

Nothing is done while nobody listens. Each listener has a bounded queue: who reads too slowly is told of
a gap and goes on with the newest.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from nervure.core.alert import Alert
from nervure.core.error import BusyError, NervureError, SignInError, StoreError
from nervure.core.observation import Batch

__all__ = ["Live", "Wish", "event", "rows_event"]

Longs = NDArray[np.int64]

EVERY_S = 1.0
QUIET_S = 15.0
MOST_LISTENERS = 100
MOST_EACH = 25
"""How many pages and programs one person may have listening, lest nobody else can."""

MOST_ROWS = 20_000
"""So many readings a second are told one by one to one listener; of more, the newest of each Datastream."""

GATHER_S = 0.2
"""For how long alerts are gathered after some were told."""

MOST_HELD = 200_000
MOST_ALERTS = 1_000
MOST_BYTES = 4 << 20
"""How much waits for one listener."""

PATIENCE_S = 120.0
"""For how long what waits for a listener may wait: who reads nothing for longer loses the place."""

LONGEST_BACK_MS = 15 * 60 * 1000
_MS = 1_000_000
_RETRY = b"retry: 2000\n\n"
_QUIET = b": \n\n"


class Wish(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody listens to; ``sees`` tells whether they see an alert's Thing, ``who`` who it is."""

    streams: Longs
    alerts: bool
    strip: bool
    sees: Callable[[int], bool]
    who: str = ""


class _Listener:
    """One who listens, and what waits to be told."""

    def __init__(self, wish: Wish) -> None:
        self.wish = wish
        self.waiting: deque[bytes] = deque()
        self.bytes = 0
        self.gap_ms: int | None = None
        self.woken = asyncio.Event()
        self.taken = time.monotonic()

    @property
    def gone(self) -> bool:
        """Whether they have read nothing of what waits for too long."""
        waits = bool(self.waiting) or self.gap_ms is not None
        return waits and time.monotonic() - self.taken > PATIENCE_S

    def put(self, event: bytes, now_ms: int) -> None:
        """Let an event wait; with too much waiting, all of it gives way to a word about that."""
        if self.bytes + len(event) > MOST_BYTES:
            self.waiting.clear()
            self.bytes = 0
            self.gap_ms = now_ms if self.gap_ms is None else self.gap_ms
            return
        self.waiting.append(event)
        self.bytes += len(event)

    def miss(self, now_ms: int) -> None:
        """Let them know that something is not told."""
        self.gap_ms = now_ms if self.gap_ms is None else self.gap_ms
        self.woken.set()

    def take(self) -> bytes:
        """Take everything that waits."""
        found = b"".join(self.waiting)
        if self.gap_ms is not None:
            found = event("gap", {"from": self.gap_ms}) + found
        self.waiting.clear()
        self.bytes, self.gap_ms = 0, None
        self.taken = time.monotonic()
        return found


class Live:
    """Tells listeners what comes. ``strip`` says how the node does, ``brief`` how an alert is shown.

    ``since`` returns the readings of some Datastreams that came after an id, at most so many. ``took``
    is called in the loop, ``alerts`` from any thread.
    """

    def __init__(
        self,
        *,
        strip: Callable[[], dict[str, Any]],
        brief: Callable[[Alert], Any],
        since: Callable[[Sequence[int], int, int], Batch],
    ) -> None:
        self._strip = strip
        self._brief = brief
        self._since = since
        self._listeners: set[_Listener] = set()
        self._rows: list[Batch] = []
        self._held = 0
        self._alerts: deque[Alert] = deque(maxlen=MOST_ALERTS)
        self._came = asyncio.Event()
        self._alerted = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closed = asyncio.Event()

    @property
    def listeners(self) -> int:
        """How many listen now."""
        return len(self._listeners)

    def took(self, batch: Batch) -> None:
        """Note readings that answers have now."""
        if not self._listeners or not len(batch):
            return
        self._rows.append(batch)
        self._held += len(batch)
        if self._held > MOST_HELD:
            self._rows = [_newest(Batch.concat(self._rows))]
            self._held = len(self._rows[0])

    def alerts(self, found: Sequence[Alert]) -> None:
        """Note alerts that are new or changed."""
        if self._listeners and self._loop is not None:
            self._alerts.extend(found)
            self._loop.call_soon_threadsafe(self._alerted.set)

    def close(self) -> None:
        """Let everybody go."""
        self._closed.set()
        for one in self._listeners:
            one.woken.set()

    async def run(self) -> None:
        """Tell alerts as they come, and the rest once a second, for ever; without listeners, wait for one."""
        self._loop = asyncio.get_running_loop()
        due = 0.0
        while True:
            if not self._listeners:
                self._came.clear()
                await self._came.wait()
                due = time.monotonic() + EVERY_S
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._alerted.wait(), max(0.0, due - time.monotonic()))
            self._alerted.clear()
            self._announce()
            if time.monotonic() >= due:
                due = time.monotonic() + EVERY_S
                await self._tell()
            else:
                await asyncio.sleep(GATHER_S)

    def _announce(self) -> None:
        """Tell the alerts that are new or changed, each as it stands now."""
        alerts = {one.id: one for one in [self._alerts.popleft() for _ in range(len(self._alerts))]}
        shown = [(one.thing, self._brief(one)) for one in alerts.values()]
        now = _now_ms()
        for one in self._listeners:
            try:
                seen = [view for thing, view in shown if one.wish.alerts and one.wish.sees(thing)]
            except NervureError:  # the catalogue is away: nobody knows whose the Thing is
                one.miss(now)
                continue
            if seen:
                one.put(event("alert", seen), now)
                one.woken.set()

    async def _tell(self) -> None:
        rows, self._rows, self._held = self._rows, [], 0
        now = _now_ms()
        strip = None
        if any(one.wish.strip for one in self._listeners):
            with contextlib.suppress(NervureError):  # the catalogue is away: next second
                strip = event("strip", await asyncio.to_thread(self._strip))
        batch = Batch.concat(rows) if rows else None
        for one in self._listeners:
            if batch is not None and (told := rows_event(batch, one.wish.streams, now)):
                one.put(told, now)
            if strip is not None and one.wish.strip:
                one.put(strip, now)
            one.woken.set()
        for one in [each for each in self._listeners if each.gone]:
            self._listeners.discard(one)
            one.take()

    def listen(
        self, wish: Wish, last: str, still: Callable[[], Awaitable[object]] | None
    ) -> AsyncGenerator[bytes, None]:
        """Return what is to be told, until the node stops or ``still`` raises that the session is over.

        ``last`` is the id of the last event that they had, "" for none: what came since is told first.
        With too many listeners already this raises ``BusyError``.
        """
        mine = sum(one.wish.who == wish.who for one in self._listeners) if wish.who else 0
        if self._closed.is_set() or len(self._listeners) >= MOST_LISTENERS or mine >= MOST_EACH:
            raise BusyError("too many listen already", retry_s=5.0)
        return self._listen(wish, last, still)

    async def _listen(
        self, wish: Wish, last: str, still: Callable[[], Awaitable[object]] | None
    ) -> AsyncGenerator[bytes, None]:
        mine = _Listener(wish)
        self._listeners.add(mine)
        self._came.set()
        try:
            yield _RETRY
            for part in await self._back(wish, last):
                yield part
            told = time.monotonic()
            while True:
                await mine.woken.wait()
                mine.woken.clear()
                if self._closed.is_set() or mine not in self._listeners:
                    break
                if still is not None and not await _holds(still):
                    yield event("end", {"why": "session"})
                    return
                found = mine.take()
                if not found and time.monotonic() - told >= QUIET_S:
                    found = _QUIET
                if found:
                    told = time.monotonic()
                    yield found
            yield mine.take() + event("end", {"why": "stop" if self._closed.is_set() else "slow"})
        finally:
            self._listeners.discard(mine)
            if not self._listeners:
                self._rows, self._held = [], 0
                self._alerts.clear()

    async def _back(self, wish: Wish, last: str) -> list[bytes]:
        """Return what came since an event, or that it is too much to tell."""
        then, _, identity = last.partition("-")
        if not last or not then.isdecimal() or not identity.isdecimal() or len(last) > 40:
            return []
        now = _now_ms()
        gap = [event("gap", {"from": min(int(then), now)})]
        if now - int(then) > LONGEST_BACK_MS or int(identity) >= 1 << 63:
            return gap
        found = await asyncio.to_thread(self._since, wish.streams.tolist(), int(identity), MOST_ROWS + 1)
        if len(found) > MOST_ROWS:
            return gap
        told = rows_event(found, wish.streams, now)
        return [told] if told else []


def event(name: str, value: Any, identity: str = "") -> bytes:
    r"""Write an event (HTML standard, 9.2.5).

    >>> event("end", {"why": "stop"})
    b'event: end\ndata: {"why":"stop"}\n\n'
    """
    head = f"event: {name}\n" + (f"id: {identity}\n" if identity else "")
    return head.encode() + b"data: " + msgspec.json.encode(value) + b"\n\n"


def rows_event(batch: Batch, streams: Longs, now_ms: int) -> bytes:
    """Write the numbers among some readings that are of some Datastreams, which rise; b"" for none."""
    if not len(streams):
        return b""
    place = np.minimum(np.searchsorted(streams, batch.datastream), len(streams) - 1)
    mine = np.flatnonzero((streams[place] == batch.datastream) & ~np.isnan(batch.value))
    if not len(mine):
        return b""
    found = batch.take(mine)
    newest = int(found.id.max())
    kept = len(found) <= MOST_ROWS
    if not kept:
        found = _newest(found)
    body = {
        "stream": found.datastream.tolist(),
        "time": (found.time // _MS).tolist(),
        "value": found.value.tolist(),
        "kept": kept,
    }
    return event("rows", body, f"{now_ms}-{newest}")


def _newest(batch: Batch) -> Batch:
    """Return of each Datastream the row of the newest time."""
    order = np.lexsort((batch.id, batch.time, batch.datastream))
    stream = batch.datastream[order]
    return batch.take(np.sort(order[np.r_[stream[1:] != stream[:-1], True]]))


async def _holds(still: Callable[[], Awaitable[object]]) -> bool:
    try:
        await still()
    except SignInError:
        return False
    except StoreError:  # nobody can change there who may do what, while it is away
        return True
    return True


def _now_ms() -> int:
    return time.time_ns() // _MS
