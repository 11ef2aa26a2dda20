"""The door for MQTT: answers nats-server about who connects, and ends connections that may be no more.

Three things come in: questions about connections (NATS ADR-26), news of connections made and ended
(``$SYS.ACCOUNT``), and the lines of the server's log that tell of refusals, which is where a message
published to a foreign topic shows, as MQTT 3.1.1 cannot refuse it. What was refused becomes a
security event in the audit; one device at two addresses at once raises an alert.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

import msgspec

from nervure.core.alert import Alert, alert_id
from nervure.core.error import NervureError, SignInError, StoreError, StreamError
from nervure.node.crowd import Crowd, Inside
from nervure.node.turnstile import Turnstile
from nervure.node.usher import Usher
from nervure.stream.api import Address, log_in
from nervure.stream.conf import NODE_USER, PROBE_USER
from nervure.stream.wire import Feed
from nervure.trust.admission import Visitor, identify, rights_of, visitor
from nervure.trust.nkey import AccountKey, read_claims
from nervure.trust.pace import Pace

if TYPE_CHECKING:
    from nervure.store.catalogue import Catalogue
    from nervure.stream.server import Server
    from nervure.trust.principal import Principal
    from nervure.trust.register import Register

__all__ = ["Door"]

_ASK = b"$SYS.REQ.USER.AUTH"
_NEWS = (b"$SYS.ACCOUNT.$G.CONNECT", b"$SYS.ACCOUNT.$G.DISCONNECT")
_LOOK_S = 0.2
_NOTE_S = 2.0
COUNT_S = 30.0
"""So often those inside are counted."""

_PAUSE_S = 0.05
_HOLD_S = 4.0  # the server waits for an answer for five
_MOST_NOTES = 200
_OTHERS = "others"
_MOST_SUBSCRIPTIONS = 1_000
_TWO_PLACES = "security.two-places"
_RESPONSE = {"type": "authorization_response", "version": 2}
_VIOLATION = re.compile(r'mid:(\d+) - "(.*?)" - (Publish|Subscription) Violation - Subject "(.*?)"')

_log = logging.getLogger("nervure.door")


class Door:
    """Lets devices and users in by MQTT, as long as `run` runs. ``listening`` is set while it answers."""

    def __init__(
        self, register: Register, catalogue: Catalogue, key: AccountKey, per_device_s: float
    ) -> None:
        self.listening = asyncio.Event()
        self.refused = 0
        self._register = register
        self._catalogue = catalogue
        self._key = key
        self._crowd = Crowd()
        self._turnstile = Turnstile(Pace(per_device_s), self._crowd)
        self._usher = Usher(self._asked)
        self._moved: set[tuple[str, int]] = set()
        self._doubles: dict[tuple[str, int], Alert] = {}
        self._notes: Counter[tuple[str, str, str]] = Counter()
        self._alerts: list[Alert] = []
        self._stamp: tuple[int, ...] = ()
        self._server_id = ""
        self._wake = asyncio.Event()
        self._ask: Feed | None = None
        self._news: Feed | None = None

    async def run(self, server: Server, address: Address) -> None:
        """Answer until cancelled, over interruptions."""
        loop = asyncio.get_running_loop()

        def look() -> None:
            loop.call_soon_threadsafe(self._wake.set)

        self._register.on_change(look)
        server.on_refusal(self.read)
        while True:
            try:
                await self._serve(address, server.system_address)
            except (OSError, TimeoutError, StreamError) as cause:
                _log.debug("the door cannot be attended now: %s", cause or type(cause).__name__)
            finally:
                self.listening.clear()
            await asyncio.sleep(_PAUSE_S)

    def figures(self) -> dict[str, int]:
        """Return how many are inside, refused, sent out for a flood, and kept out for it now.

        ``late`` are those to whom the server was not answered in time, who knock again; ``waiting`` those
        who knock now.
        """
        turnstile = self._turnstile
        inside = len(self._crowd.by_connection)
        return {
            "connected": inside,
            "refused": self.refused,
            "floods": turnstile.ended,
            "kept_out": turnstile.out,
            "late": self._usher.late,
            "waiting": self._usher.waiting,
        }

    async def _serve(self, address: Address, system: Address) -> None:
        ask = self._ask = await log_in(address, "nervure door")
        try:
            ask.asked = self._usher.asked
            news = self._news = await log_in(system, "nervure door watch", lambda: Feed(self._heard))
            try:
                await self._begin(ask, news)
                notes = counted = time.monotonic()
                self._turnstile.start(system, self._server_id)
                while not ask.lost.done() and not news.lost.done():
                    with contextlib.suppress(StoreError):  # a busy catalogue is asked again
                        await self._look()
                    if time.monotonic() - notes > _NOTE_S:
                        notes = time.monotonic()
                        await self._write()
                    if time.monotonic() - counted > COUNT_S:
                        await self._count(news)
                        counted = time.monotonic()
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(self._wake.wait(), _LOOK_S)
                    self._wake.clear()
            finally:
                news.end("the door is shut")
                self._turnstile.stop()
        finally:
            ask.end("the door is shut")
            self._usher.clear()
            await self._write()

    async def _begin(self, ask: Feed, news: Feed) -> None:
        """Begin to answer; who came in while nobody attended the door is sent out again."""
        server = str((await news.info).get("server_id", ""))
        if server != self._server_id:
            self._crowd.clear()
        self._server_id = server
        news.write(b"".join(b"SUB %b 3%d\r\n" % (subject, place) for place, subject in enumerate(_NEWS)))
        ask.write(b"SUB %b 4\r\n" % _ASK)
        await news.ping()
        await ask.ping()
        for connection, name in await self._connected(news):
            if connection not in self._crowd.by_connection and name not in {NODE_USER, PROBE_USER}:
                await self._end(connection)
        self.listening.set()

    async def _count(self, news: Feed) -> None:
        """Forget who is not there: let in after they had gone, or gone while nobody was told."""
        inside = list(self._crowd.by_connection)
        with contextlib.suppress(TimeoutError, ConnectionError):
            there = {connection for connection, _ in await self._connected(news)}
            for connection in inside:
                if connection not in there and (gone := self._crowd.pop(connection)) is not None:
                    self._moved.add(gone.who)

    async def _connected(self, news: Feed) -> list[tuple[int, str]]:
        """Return the MQTT connections that the server has, and the names they came with."""
        wish = msgspec.json.encode({"auth": True, "limit": 1 << 20})
        async with asyncio.timeout(5):
            answer = await news.ask(b"$SYS.REQ.SERVER.%b.CONNZ" % self._server_id.encode(), wish)
        found = msgspec.json.decode(answer).get("data", {}).get("connections") or ()
        return [(one["cid"], one.get("authorized_user", "")) for one in found if one.get("type") == "mqtt"]

    # --- questions -----------------------------------------------------------------------------------

    def _asked(self, reply: bytes, payload: bytes) -> None:
        """Answer one question; what cannot be read gets no answer, and the server lets nobody in."""
        try:
            question = read_claims(payload.decode("utf-8", "replace"))["nats"]
            body, hold_s = self._verdict(question)
            answer = self._key.sign(
                {"sub": question["user_nkey"], "aud": question["server_id"]["id"], "nats": body}
            )
        except Exception as cause:  # noqa: BLE001 - whatever one says of themselves, the door stays open
            _log.warning("a question of the server was not answered: %r", cause)
            return
        if hold_s:  # who knocks again and again is busy waiting meanwhile
            asyncio.get_running_loop().call_later(hold_s, self._say, reply, answer.encode())
        else:
            self._say(reply, answer.encode())

    def _say(self, reply: bytes, data: bytes) -> None:
        if self._ask is not None:
            self._ask.write(b"PUB %b %d\r\n%b\r\n" % (reply, len(data), data))

    def _verdict(self, question: dict[str, Any]) -> tuple[dict[str, Any], float]:
        """Return what the server is told, and in how many seconds."""
        try:
            who = visitor(question)
        except SignInError as cause:
            return _refusal(cause.what), 0.0
        try:
            principal = identify(self._register, who)
            self._require_own_client(who, principal)
            entry = self._entry(who, principal)
        except NervureError as cause:
            self.refused += 1
            self._note(who.name or who.client, "security.sign-in", f"{who.address}: {cause.what}")
            return _refusal(), 0.0
        wait = self._turnstile.wait_s(entry.who)
        if wait:
            self._note(entry.principal.name, "limit.kept-out", f"{who.address}: it sent too much")
            return _refusal(), min(wait, _HOLD_S)
        self._crowd.add(entry)
        self._moved.add(entry.who)
        self._turnstile.admitted(entry)
        return _RESPONSE | {"jwt": self._key.sign(_claims(question["user_nkey"], entry))}, 0.0

    def _entry(self, who: Visitor, principal: Principal) -> Inside:
        thing = self._register.known().devices[principal.id].thing_id if principal.kind == "device" else 0
        rights = rights_of(self._register, principal)
        return Inside(visitor=who, principal=principal, rights=rights, thing=thing)

    def _require_own_client(self, who: Visitor, principal: Principal) -> None:
        """Refuse a client id under which somebody else is here: MQTT would throw them out for it."""
        other = self._crowd.client(who.client)
        if other is not None and other.who != (principal.kind, principal.id):
            raise SignInError(f"{other.principal.name} is here under the client id {who.client!r}")

    def _watch_places(self) -> None:
        """Raise an alert when one device is at two addresses, and clear it when it is not any more.

        It is looked at now and then, not at once: who moves is for a moment at both.
        """
        moved, self._moved = self._moved, set()
        for who in moved:
            kind, device = who
            here = self._crowd.addresses(who)
            before = self._doubles.get(who)
            if kind == "device" and len(here) > 1 and before is None:
                self._doubles[who] = self._alert_of_two(device, here)
                self._alerts.append(self._doubles[who])
            elif len(here) <= 1 and before is not None:
                del self._doubles[who]
                self._alerts.append(msgspec.structs.replace(before, active=False, end_ns=time.time_ns()))

    def _alert_of_two(self, device: int, here: list[str]) -> Alert:
        found = self._register.known().devices.get(device)
        name = found.name if found is not None else str(device)
        self._note(name, "security.two-places", ", ".join(here))
        now = time.time_ns()
        return Alert(
            id=alert_id(_TWO_PLACES, device, now),
            solution="security",
            rule="two-places",
            severity="major",
            thing=found.thing_id if found is not None else 0,
            datastream=0,
            text=f"The device {name} is connected from {' and '.join(here)} at once.",
            start_ns=now,
            raised_ns=now,
        )

    # --- news and refusals ---------------------------------------------------------------------------

    def _heard(self, subject: bytes, _: bytes, payload: bytes) -> None:
        if not subject.endswith(b".DISCONNECT"):
            return
        gone = self._crowd.pop(msgspec.json.decode(payload)["client"]["id"])
        if gone is not None:
            self._moved.add(gone.who)

    def read(self, lines: list[str]) -> None:
        """Take the lines of the server's log that tell of refusals."""
        for line in lines:
            found = _VIOLATION.search(line)
            if found:
                entry = self._crowd.by_connection.get(int(found[1]))
                name = entry.principal.name if entry is not None else found[2]
                kind = "security.publish" if found[3] == "Publish" else "security.subscribe"
                self.refused += 1
                self._note(name, kind, found[4])

    def _note(self, who: str, what: str, where: str) -> None:
        # A text that no table can keep would hold up all that is noted after it.
        key = (_kept(who[:100]), what, _kept(where[:300]))
        if key not in self._notes and len(self._notes) >= _MOST_NOTES:
            key = (_OTHERS, what, "more at once than are written down")
        self._notes[key] += 1

    async def _write(self) -> None:
        """Write down what was refused, and the alerts."""
        self._watch_places()
        alerts, self._alerts = [*self._alerts, *self._turnstile.told(self._note)], []
        notes, self._notes = self._notes, Counter()
        try:
            if alerts:
                await asyncio.to_thread(self._catalogue.announce, alerts)
            alerts = []
            if notes:
                await asyncio.to_thread(self._write_notes, notes)
        except StoreError as cause:
            _log.warning("what was refused at the door cannot be written down now: %s", cause.what)
            self._alerts = [*alerts, *self._alerts]
            self._notes.update(notes)

    def _write_notes(self, notes: Counter[tuple[str, str, str]]) -> None:
        for key in list(notes):
            who, what, where = key
            self._register.note(who or "nobody", what, {"about": where, "times": notes[key]})
            del notes[key]

    # --- sending out ---------------------------------------------------------------------------------

    async def _look(self) -> None:
        """Send out whoever may not be inside any more, or not with the rights they came in with."""
        known = await asyncio.to_thread(self._register.known)
        if known.stamp == self._stamp:
            return
        wrong = await asyncio.to_thread(self._changed, list(self._crowd.by_connection.items()))
        self._stamp = known.stamp
        for connection in wrong:
            await self._end(connection)

    def _changed(self, inside: list[tuple[int, Inside]]) -> list[int]:
        """Return the connections whose rights are others now, or none."""
        return [connection for connection, entry in inside if not self._still(entry)]

    def _still(self, entry: Inside) -> bool:
        try:
            principal = identify(self._register, entry.visitor)
            return (
                principal.kind == entry.principal.kind
                and rights_of(self._register, principal) == entry.rights
            )
        except (NervureError, KeyError):
            return False

    async def _end(self, connection: int) -> None:
        if self._news is None:
            return
        wish = msgspec.json.encode({"cid": connection})
        with contextlib.suppress(ConnectionError, TimeoutError):
            async with asyncio.timeout(5):
                await self._news.ask(b"$SYS.REQ.SERVER.%b.KICK" % self._server_id.encode(), wish)
        gone = self._crowd.pop(connection)
        if gone is not None:
            self._moved.add(gone.who)


def _refusal(why: str = "not let in") -> dict[str, Any]:
    return _RESPONSE | {"error": why}


def _kept(text: str) -> str:
    return text.replace("\0", "\ufffd").encode("utf-8", "replace").decode()


def _claims(user: str, entry: Inside) -> dict[str, Any]:
    """Return what the server is told of somebody who is let in; ``$G`` is the account that has the log."""
    until = entry.principal.until_ns
    return {
        "sub": user,
        "aud": "$G",
        "name": entry.principal.name,
        **({} if until is None else {"exp": until // 1_000_000_000}),
        "nats": {
            "pub": {"allow": list(entry.rights.publish)},
            "sub": {"allow": list(entry.rights.hear)},
            "subs": _MOST_SUBSCRIPTIONS,
            "data": -1,
            "payload": -1,
            "allowed_connection_types": ["MQTT"],
            "type": "user",
            "version": 2,
        },
    }
