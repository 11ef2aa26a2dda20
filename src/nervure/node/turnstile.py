"""The turnstile: sees how much each device sends by MQTT, and sends out who floods.

nats-server knows no rate of a client, so it is asked how many messages each connection has brought
(``CONNZ``, those first that were active last), again and again. Who is over `Pace` is disconnected and
kept out for a while. Nothing is lost by that: what was acknowledged is in the log, and what was not
the device sends again.

It looks from a thread of its own: what a flood brings keeps the node's loop busy, a tenth of a second
at a time.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec

from nervure.core.alert import Alert, alert_id
from nervure.core.error import StreamError
from nervure.stream.api import Address, log_in

if TYPE_CHECKING:
    from nervure.node.crowd import Crowd, Inside
    from nervure.stream.wire import Feed
    from nervure.trust.pace import Pace

__all__ = ["Turnstile"]

_LOOK_S, _CLOSE_S = 0.05, 0.01
_AGAIN_S = 0.2
_CLOSE_FOR_S = 1.0  # who comes back to flood again does so at once
_EACH_S = 1e-5  # the server sorts all connections for an answer
_MOST = 128
_ANSWER_S = 5.0
_RULE, _EVENT = "security.flood", "limit.flood"

_log = logging.getLogger("nervure.door")


class _Connection(msgspec.Struct):
    cid: int
    in_msgs: int = 0


class _Data(msgspec.Struct):
    connections: list[_Connection] = []


class _Answer(msgspec.Struct):
    data: _Data = msgspec.field(default_factory=_Data)


_decode = msgspec.json.Decoder(_Answer).decode


class Turnstile:
    """Counts what devices send, between `start` and `stop`. ``ended`` is how often one was sent out."""

    def __init__(self, pace: Pace, crowd: Crowd) -> None:
        self.ended = 0
        self._pace = pace
        self._crowd = crowd
        self._counted: dict[int, int] = {}
        self._server = ""
        self._close_until = 0.0
        self._sent_out: deque[tuple[Inside, float]] = deque()
        self._flooding: dict[tuple[str, int], Alert] = {}
        self._over = threading.Event()

    @property
    def out(self) -> int:
        """How many devices are kept out now."""
        return self._pace.out

    def wait_s(self, who: tuple[str, int]) -> float:
        """Return how long somebody has to stay out yet; 0 if they may come in."""
        return self._pace.wait_s(who)

    def admitted(self, entry: Inside) -> None:
        """Take note of who was let in: who was sent out lately is looked at closely."""
        if self._pace.watched(entry.who):
            self._close_until = time.monotonic() + _CLOSE_FOR_S

    def start(self, system: Address, server: str) -> None:
        """Begin to look at a server, by the user who may ask about connections and end them."""
        if server != self._server:  # of the same one it is known what each has brought before
            self._server, self._counted = server, {}
        over = self._over = threading.Event()

        def work() -> None:
            while not over.is_set():  # the door need not notice that this connection broke or was too slow
                with contextlib.suppress(OSError, TimeoutError, StreamError, msgspec.MsgspecError):
                    asyncio.run(self._attend(system, server, over))
                over.wait(_AGAIN_S)

        threading.Thread(target=work, name="nervure-turnstile", daemon=True).start()

    def stop(self) -> None:
        """Look no more."""
        self._over.set()

    async def _attend(self, system: Address, server: str, over: threading.Event) -> None:
        feed = await log_in(system, "nervure turnstile")
        try:
            while not over.is_set() and not feed.lost.done():
                await self._look(feed, server)
                pause = _CLOSE_S if time.monotonic() < self._close_until else _LOOK_S
                await asyncio.sleep(max(pause, _EACH_S * len(self._crowd.by_connection)))
        finally:
            feed.end("no longer looking")

    async def _look(self, feed: Feed, server: str) -> None:
        async def ask(what: str, wish: object) -> bytes:
            async with asyncio.timeout(_ANSWER_S):
                return await feed.ask(f"$SYS.REQ.SERVER.{server}.{what}".encode(), msgspec.json.encode(wish))

        for connection in self._count(await ask("CONNZ", {"sort": "last", "limit": _MOST})):
            await ask("KICK", {"cid": connection})

    def _count(self, answer: bytes) -> list[int]:
        """Return the connections of those who have brought too much, by an answer of the server."""
        inside, counted, over = self._crowd.by_connection, self._counted, list[int]()
        listed = _decode(answer).data.connections
        some = len(listed) >= _MOST  # others were active, too
        for one in listed:
            entry = inside.get(one.cid)
            if entry is None or entry.principal.kind != "device":
                continue
            fresh = one.in_msgs - counted.get(one.cid, 0)
            counted[one.cid] = one.in_msgs
            streams = len(entry.principal.streams or ())
            wait = self._pace.count(entry.who, streams, fresh, unseen=some)
            if wait:
                self.ended += 1
                self._sent_out.append((entry, wait))
                over += self._crowd.connections(entry.who)
        if len(counted) > 2 * len(inside) + _MOST:
            self._counted = {cid: count for cid, count in counted.items() if cid in inside}
            self._pace.tidy()
        return over

    def told(self, note: Callable[[str, str, str], None]) -> list[Alert]:
        """Return the alerts that were raised, or are over, since the last time; ``note`` takes events."""
        alerts = []
        while self._sent_out:
            entry, wait = self._sent_out.popleft()
            note(entry.principal.name, _EVENT, f"kept out for {wait:.0f} s")
            if entry.who not in self._flooding:
                self._flooding[entry.who] = _alert(entry, wait)
                alerts.append(self._flooding[entry.who])
        for who in [who for who in self._flooding if not self._pace.watched(who)]:
            over = self._flooding.pop(who)
            alerts.append(msgspec.structs.replace(over, active=False, end_ns=time.time_ns()))
        return alerts


def _alert(entry: Inside, wait_s: float) -> Alert:
    now = time.time_ns()
    text = (
        f"The device {entry.principal.name} sends more than limits.per_device_s allows. It was disconnected "
        f"and may come back in {wait_s:.0f} s; what was acknowledged is kept, the rest is for it to send "
        "again. Have it send more slowly, or several readings in one message."
    )
    _log.warning("%s", text)
    return Alert(
        id=alert_id(_RULE, entry.principal.id, now),
        solution="security",
        rule="flood",
        severity="major",
        thing=entry.thing,
        datastream=0,
        text=text,
        start_ns=now,
        raised_ns=now,
    )
