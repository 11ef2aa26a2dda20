"""A foreign MQTT broker (Mosquitto, EMQX, that of ChirpStack …) read as one client, MQTT 3.1.1.

The session is persistent, subscriptions are QoS 1, and a message is acknowledged only when the log
has it: what the broker holds for us while we are away comes when we are back. A crash between the
log's answer and our acknowledgement brings a message twice; readings with a time of their own are
then stored once.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from uuid import uuid4

import msgspec
import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from nervure.core.error import EnvironmentMissing, NervureError
from nervure.core.settings import Broker, Limits
from nervure.sense.gate import Gate
from nervure.sense.gateway import HEAD_BYTES, Append, Refusal, Resolve, Standing, refusal_subject
from nervure.sense.reason import TOO_LARGE, UNKNOWN_STREAM, shown
from nervure.sense.topic import TopicMap
from nervure.stream.subject import reading_subject

__all__ = ["ExternalBroker"]

KEEPALIVE_S = 30
IN_FLIGHT = 1024
IN_FLIGHT_BYTES = 32 << 20
RETRY_S = (0.2, 5.0)
"""The first and the longest pause before the log is tried again."""

_GRACE_S = 5.0

_log = logging.getLogger("nervure.sense")


class _Message(msgspec.Struct, frozen=True, gc=False):
    """A message on its way to the log, and what the broker wants acknowledged for it.

    Under the name ``once`` the log keeps it once, however often it is sent.
    """

    mid: int
    qos: int
    mark: int
    subject: str
    payload: bytes
    refused: bool
    once: str


class ExternalBroker:
    """Reads a foreign broker into the log until it is stopped; reconnects by itself."""

    def __init__(
        self, broker: Broker, append: Append, resolve: Resolve, limits: Limits | None = None
    ) -> None:
        self.name = broker.name
        self._broker = broker
        self._append = append
        self._resolve = resolve
        self._most = (limits or Limits()).message_bytes
        self._topics = TopicMap(broker.topics, where=f"$.broker[{broker.name}].topics")
        self._gate = Gate(count=IN_FLIGHT, size=IN_FLIGHT_BYTES)
        self._connected = False
        self._subscribed = False
        self._received = self._published = self._refused = self._repeated = 0
        self._trouble = ""
        self._stem = f"{uuid4().hex}."
        self._under_way: dict[int, int] = {}
        self._settled: dict[int, int] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._queue: asyncio.Queue[_Message | None] = asyncio.Queue()
        self._client = self._make_client()

    def standing(self) -> Standing:
        """Return how it does."""
        return Standing(
            name=self.name,
            connected=self._connected and self._subscribed,
            received=self._received,
            published=self._published,
            refused=self._refused,
            repeated=self._repeated,
            waiting=self._gate.waiting,
            trouble=self._trouble,
        )

    async def run(self) -> None:
        """Bring readings in until `stop`, or until cancelled."""
        self._loop = asyncio.get_running_loop()
        self._client.connect_async(self._broker.host, self._broker.port, keepalive=KEEPALIVE_S)
        self._client.loop_start()
        try:
            while batch := await self._next():
                await self._bring(batch)
        finally:
            self._gate.close()
            self._client.disconnect()
            await asyncio.shield(asyncio.to_thread(self._client.loop_stop))
            if (dialled := self._client.socket()) is not None:  # while it was told to go
                dialled.close()
            self._connected = False

    async def stop(self) -> None:
        """Take nothing new, finish what is under way, let go; the broker keeps the rest for us."""
        self._gate.close()
        await asyncio.to_thread(self._gate.drained, _GRACE_S)
        self._queue.put_nowait(None)

    async def _next(self) -> Sequence[_Message]:
        """Return what has come in since, at least one message; nothing once it was stopped."""
        first = await self._queue.get()
        batch: list[_Message] = []
        while first is not None:
            batch.append(first)
            if self._queue.empty():
                return batch
            first = self._queue.get_nowait()
        return []

    async def _bring(self, batch: Sequence[_Message]) -> None:
        """Append messages together; if the log does not take them so, each by itself, as long as it takes."""
        try:
            await self._append([(one.subject, one.payload, one.once) for one in batch])
        except NervureError:
            await asyncio.gather(*(self._bring_one(one) for one in batch))
        else:
            for one in batch:
                self._settle(one)

    async def _bring_one(self, message: _Message) -> None:
        pause, longest = RETRY_S
        while True:
            try:
                await self._append([(message.subject, message.payload, message.once)])
                break
            except NervureError as cause:
                self._trouble = f"the log does not take readings: {cause.what}"
                _log.warning("broker %s: %s", self.name, self._trouble)
                await asyncio.sleep(pause)
                pause = min(longest, 2 * pause)
        self._settle(message)

    def _settle(self, message: _Message) -> None:
        """Acknowledge a message, which the log has."""
        self._published += 1
        self._refused += message.refused
        if message.qos:
            self._under_way.pop(message.mid, None)
            self._settled[message.mid] = message.mark
            self._client.ack(message.mid, message.qos)
        self._gate.leave(len(message.payload))

    # What follows is called by the client's own thread.

    def _make_client(self) -> paho.Client:
        client = paho.Client(
            CallbackAPIVersion.VERSION2,
            client_id=f"nervure-{self.name}",
            clean_session=False,
            manual_ack=True,
        )
        client.suppress_exceptions = True
        client.reconnect_delay_set(min_delay=1, max_delay=30)
        client.on_connect = self._on_connect
        client.on_connect_fail = self._on_connect_fail
        client.on_disconnect = self._on_disconnect
        client.on_subscribe = self._on_subscribe
        client.on_message = self._on_message
        if self._broker.tls:
            client.tls_set()
        if self._broker.username is not None:
            client.username_pw_set(self._broker.username, _password(self._broker))
        return client

    def _on_connect(
        self, client: paho.Client, data: object, flags: Any, reason: Any, properties: object
    ) -> None:
        if reason.is_failure:
            self._trouble = f"the broker refuses us: {reason}"
            _log.warning("broker %s: %s", self.name, self._trouble)
            return
        self._connected, self._trouble = True, ""
        if not (self._subscribed and flags.session_present):  # again brings every retained message again
            self._subscribed = False
            client.subscribe([(filter_, 1) for filter_ in self._topics.filters])

    def _on_subscribe(
        self, client: paho.Client, data: object, mid: int, reasons: Any, properties: object
    ) -> None:
        refused = [
            filter_ for filter_, one in zip(self._topics.filters, reasons, strict=False) if one.is_failure
        ]
        self._subscribed = not refused
        if refused:
            self._trouble = f"the broker does not let us read {', '.join(refused)}"
            _log.warning("broker %s: %s", self.name, self._trouble)

    def _on_connect_fail(self, client: paho.Client, data: object) -> None:
        self._trouble = f"cannot reach {self._broker.host}:{self._broker.port}"

    def _on_disconnect(
        self, client: paho.Client, data: object, flags: Any, reason: Any, properties: object
    ) -> None:
        was, self._connected = self._connected, False
        if was and reason.is_failure:  # else the broker never took us, and said why
            self._trouble = f"the connection ended: {reason}"

    def _on_message(self, client: paho.Client, data: object, message: paho.MQTTMessage) -> None:
        loop = self._loop
        if loop is None:
            return
        mark = hash((message.topic, message.payload))
        if message.qos and message.dup:
            if self._under_way.get(message.mid) == mark:
                return  # it is acknowledged once it has arrived
            if self._settled.get(message.mid) == mark:
                self._repeated += 1
                client.ack(message.mid, message.qos)
                return
        subject, payload, refused = self._place(message.topic, bytes(message.payload))
        if not self._gate.enter(len(payload)):
            return
        self._received += 1
        if message.qos:
            self._under_way[message.mid] = mark
        once = f"{self._stem}{self._received}"
        item = _Message(message.mid, message.qos, mark, subject, payload, refused, once)
        with contextlib.suppress(RuntimeError):  # the loop has ended: the broker sends it again
            loop.call_soon_threadsafe(self._queue.put_nowait, item)

    def _place(self, topic: str, payload: bytes) -> tuple[str, bytes, bool]:
        """Return where in the log a message belongs; what belongs nowhere, as a refusal."""
        name = self._topics.name(topic)
        identity = None if name is None else self._resolve(name)
        if identity is None:
            wanted = "no filter matches it" if name is None else f"there is no Datastream {shown(name)}"
            refusal = Refusal(
                reason=UNKNOWN_STREAM,
                detail=f"topic {shown(topic)} of broker {self.name}: {wanted}",
                head=payload[:HEAD_BYTES],
            )
        elif len(payload) > self._most:
            refusal = Refusal(
                reason=TOO_LARGE,
                detail=f"topic {shown(topic)} of broker {self.name}: {len(payload):,} bytes; "
                f"at most {self._most:,} are taken in a message",
                head=payload[:HEAD_BYTES],
            )
        else:
            return reading_subject(identity), payload, False
        return refusal_subject(self.name, topic), msgspec.json.encode(refusal), True


def _password(broker: Broker) -> str | None:
    if broker.password_file is None:
        return None
    try:
        return Path(broker.password_file).read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as cause:
        raise EnvironmentMissing(
            f"cannot read the password of broker {broker.name}: {cause}",
            where=f"$.broker[{broker.name}].password_file",
            hint="name a file that holds nothing but the password, readable by you only",
        ) from cause
