"""Taking in what devices send with QoS 0, which the server hands on but keeps nowhere.

QoS 1 and 2 do not pass here: the server itself puts those into the log before it acknowledges them.
QoS 0 promises nothing, so when the log cannot take messages as fast as they come, the oldest go.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from typing import TYPE_CHECKING

from nervure.core.error import StreamError
from nervure.stream.api import log_in
from nervure.stream.subject import DEVICE_SUBJECTS, is_kept, plain_subject
from nervure.stream.wire import Feed

if TYPE_CHECKING:
    from nervure.stream.api import Address
    from nervure.stream.publish import Item, Publisher

__all__ = ["Catch"]

_ROOM_BYTES = 32 << 20
_PART = 4096
_PAUSE_S = 0.05
_MQTT_QOS_0 = b"NATS/1.0\r\nNmqtt-Pub:0"
_KEPT = (b"NATS/1.0\r\nNmqtt-Pub:1", b"NATS/1.0\r\nNmqtt-Pub:2")
_MQTT = b"\r\nNmqtt-Pub:"
_HMSG = b"H"[0]
_FROM_STREAM = b"\r\nNats-Stream:"

_log = logging.getLogger("nervure.stream")


class _Overhearing(Feed):
    """A feed that passes over what came with QoS 1 or 2 without a look: nearly all of it is that."""

    def _parse(self, data: bytes) -> int:
        find, back, starts, size, begin = data.find, data.rfind, data.startswith, len(data), 0
        while (line := find(b"\r\n", begin)) >= 0:
            if starts(_KEPT, line + 2) and data[begin] == _HMSG:
                end = line + 4 + int(data[back(b" ", begin, line) : line])
                if end > size:
                    break
                begin = end
            elif (after := self._other(data, begin)) >= 0:
                begin = after
            else:
                break
        return begin


class Catch:
    """Listens on the devices' subjects and appends to the log what no stream has kept.

    ``shed`` counts the messages that were dropped because the log was too slow or gone. Several
    of these share the work (a NATS queue group), so that nothing is taken in twice. ``listening``
    is set while it hears.
    """

    def __init__(self, address: Address, publisher: Publisher) -> None:
        self.shed = 0
        self.listening = asyncio.Event()
        self._address = address
        self._publisher = publisher
        self._waiting: deque[Item] = deque()
        self._bytes = 0
        self._wake = asyncio.Event()

    async def run(self) -> None:
        """Listen until cancelled, over interruptions."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._append())
            tasks.create_task(self._listen())

    async def _listen(self) -> None:
        while True:
            try:
                feed = await log_in(self._address, "nervure catch", lambda: _Overhearing(self._hear))
            except (OSError, TimeoutError, StreamError) as cause:
                _log.debug("cannot listen for QoS 0: %s", cause or type(cause).__name__)
            else:
                try:
                    for number, subject in enumerate(DEVICE_SUBJECTS):
                        feed.write(f"SUB {subject} nervure 3{number}\r\n".encode())
                    with contextlib.suppress(ConnectionError):
                        await feed.ping()
                        self.listening.set()
                        await feed.lost
                finally:
                    self.listening.clear()
                    feed.end("no longer listening")
            await asyncio.sleep(_PAUSE_S)

    def _hear(self, subject: bytes, headers: bytes, payload: bytes) -> None:
        kept = not headers.startswith(_MQTT_QOS_0) and (_MQTT in headers or _FROM_STREAM in headers)
        if kept or not is_kept(name := plain_subject(subject.decode("utf-8", "replace"))):
            return
        self._waiting.append((name, payload, None))
        self._bytes += len(payload)
        while self._bytes > _ROOM_BYTES:
            self._bytes -= len(self._waiting.popleft()[1])
            self.shed += 1
        self._wake.set()

    async def _append(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._waiting:
                part = [self._waiting.popleft() for _ in range(min(_PART, len(self._waiting)))]
                self._bytes -= sum(len(item[1]) for item in part)
                try:
                    await self._publisher.append(part)
                except StreamError as cause:
                    self.shed += len(part)
                    _log.warning("%d messages of QoS 0 were dropped: %s", len(part), cause.what)
