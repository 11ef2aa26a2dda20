"""A device that sends by MQTT as fast as it can, with many messages waiting for their acknowledgement.

paho sends a few thousand messages a second; this fills the server's queues, which is where a message
could be acknowledged before it is kept. It speaks MQTT 3.1.1 (CONNECT, PUBLISH with QoS 1, PUBACK).
"""

from __future__ import annotations

import asyncio
import struct
from typing import cast

__all__ = ["Flood"]

_PACKET_IDS = 65_535
_CONNACK, _PUBACK = 0x20, 0x40


class Flood(asyncio.Protocol):
    """Sends the numbers 1, 2, 3… as payloads; ``acknowledged`` says up to which they were taken.

    ``begun`` is done with the first acknowledgement, ``ended`` with the connection. With a ``secret`` it
    signs in under its name; ``answer`` is the code that it got.
    """

    def __init__(self, name: str, topic: str, *, window: int, pad: int, secret: str = "") -> None:
        self.answer: int | None = None
        self.sent = 0
        self.acknowledged = 0
        self.begun: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._name = name.encode()
        self._secret = secret.encode()
        self._topic = struct.pack(">H", len(topic)) + topic.encode()
        self._window = window
        self._pad = b" " * pad
        self._rest = b""
        self._transport: asyncio.Transport | None = None

    @classmethod
    async def start(
        cls, port: int, name: str, topic: str, *, window: int = 1000, pad: int = 0, secret: str = ""
    ) -> Flood:
        """Connect and begin to send."""
        loop = asyncio.get_running_loop()
        _, flood = await loop.create_connection(
            lambda: cls(name, topic, window=window, pad=pad, secret=secret), "127.0.0.1", port
        )
        return flood

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        keep_alive = struct.pack(">H", 60)
        texts = (self._name, self._name, self._secret) if self._secret else (self._name,)
        flags = b"\xc2" if self._secret else b"\x02"
        body = b"\x00\x04MQTT\x04" + flags + keep_alive
        body += b"".join(struct.pack(">H", len(one)) + one for one in texts)
        self._transport.write(bytes([0x10, len(body)]) + body)

    def data_received(self, data: bytes) -> None:
        data = self._rest + data
        whole = len(data) - len(data) % 4  # CONNACK and PUBACK have four bytes
        for begin in range(0, whole, 4):
            if data[begin] == _PUBACK:
                expected = self.acknowledged % _PACKET_IDS + 1
                assert struct.unpack_from(">H", data, begin + 2)[0] == expected, "not in order"
                self.acknowledged += 1
                if not self.begun.done():
                    self.begun.set_result(None)
            else:
                self.answer = data[begin + 3]
                assert data[begin : begin + 3] == bytes([_CONNACK, 2, 0])
                assert self._secret or not self.answer
        self._rest = data[whole:]
        if not self.answer:
            self._send()

    def connection_lost(self, exc: Exception | None) -> None:
        self.ended.set_result(None)

    def _send(self) -> None:
        packets: list[bytes] = []
        while self.sent - self.acknowledged < self._window:
            self.sent += 1
            body = self._topic + struct.pack(">H", (self.sent - 1) % _PACKET_IDS + 1)
            body += b"%d%b" % (self.sent, self._pad)
            packets += (b"\x32", _length(len(body)), body)
        if self._transport is not None and packets:
            self._transport.write(b"".join(packets))


def _length(size: int) -> bytes:
    """Write a remaining length (MQTT 3.1.1, section 2.2.3)."""
    found = bytearray()
    while True:
        size, digit = divmod(size, 128)
        found.append(digit | (128 if size else 0))
        if not size:
            return bytes(found)
