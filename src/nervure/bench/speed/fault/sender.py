"""Devices that send by MQTT with QoS 1, count what is acknowledged, and go on after anything.

    python -m nervure.bench.speed.fault.sender PLAN.json

What was not acknowledged when a connection or the process ended is sent again, as MQTT wants it: so
every message arrives at least once. SIGTERM ends it once everything sent is acknowledged.
Source: MQTT 3.1.1 (OASIS, 2014), sections 3.1 (CONNECT), 3.3 (PUBLISH), 3.4 (PUBACK), 3.8 (SUBSCRIBE).
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import struct
import sys
import time
from functools import lru_cache
from pathlib import Path
from typing import cast

import msgspec

from nervure.bench.speed.fault.ledger import BEGIN_NS, STEP_NS, Ledger, Plan, value
from nervure.bench.speed.load import frame
from nervure.stream.subject import reading_topic

__all__ = ["Device", "connect", "main", "packets", "subscribe"]

PACKETS = 65_535
_PART = 500
_AGAIN_S = 0.1
_TICK_S, _EACH_S = 0.005, 0.00005
_PUBLISH, _PUBACK, _CONNACK = 0x30, 0x40, 0x20


def connect(name: str, sign: tuple[str, str] | None = None) -> bytes:
    """Return a CONNECT of a clean session without keep alive; ``sign`` is a user name and a password."""
    flags = b"\x02" if sign is None else b"\xc2"
    texts = (one.encode() for one in (name, *(sign or ())))
    body = b"".join(struct.pack(">H", len(one)) + one for one in texts)
    return _packet(0x10, b"\x00\x04MQTT\x04" + flags + b"\x00\x00" + body)


def subscribe(topics: list[str]) -> bytes:
    """Return a SUBSCRIBE with QoS 0."""
    said = b"".join(struct.pack(">H", len(one)) + one.encode() + b"\x00" for one in topics)
    return _packet(0x82, b"\x00\x01" + said)


def packets(data: bytes) -> tuple[list[tuple[int, bytes]], bytes]:
    r"""Return the whole packets, as type with flags and body, and what is left.

    >>> packets(b"\x40\x02\x00\x07\x40")
    ([(64, b'\x00\x07')], b'@')
    """
    found, begin = [], 0
    while begin + 2 <= len(data):
        size, place, shift = 0, begin + 1, 0
        while place < len(data):
            size |= (data[place] & 0x7F) << shift
            shift += 7
            place += 1
            if data[place - 1] < 0x80:
                break
        else:
            break
        if place + size > len(data):
            break
        found.append((data[begin], data[place : place + size]))
        begin = place + size
    return found, data[begin:]


def _packet(kind: int, body: bytes) -> bytes:
    """Frame a packet of at most 2,097,151 bytes, with its length in the least bytes (section 2.2.3)."""
    size, length = len(body), bytearray()
    while True:
        length.append(size & 0x7F | (0x80 if size > 0x7F else 0))
        size >>= 7
        if not size:
            return bytes([kind]) + bytes(length) + body


class Device(asyncio.Protocol):
    """One device on its Datastream; it connects again whenever its connection ends."""

    def __init__(self, plan: Plan, place: int, ledger: Ledger) -> None:
        self._plan, self._place, self._ledger = plan, place, ledger
        self._stream = plan.streams[place]
        self._topic = reading_topic(self._stream)
        self._next = 0
        self._rest = b""
        self._open = False
        self._transport: asyncio.Transport | None = None
        self.begun = time.monotonic()
        self.ended = asyncio.Event()

    @property
    def waiting(self) -> int:
        """How many messages were sent and not acknowledged."""
        return int(self._ledger.sent[self._place] - self._ledger.acknowledged[self._place])

    async def run(self) -> None:
        """Keep a connection, for ever."""
        loop = asyncio.get_running_loop()
        share = self._place / len(self._plan.streams)
        await asyncio.sleep(self._plan.spread_s * share)
        self.begun = time.monotonic() - int(self._ledger.sent[self._place]) / self._plan.rate
        while True:
            self.ended.clear()
            with contextlib.suppress(OSError, TimeoutError):
                async with asyncio.timeout(30):
                    await loop.create_connection(lambda: self, "127.0.0.1", self._plan.port)
                await self.ended.wait()
            await asyncio.sleep(_AGAIN_S)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask to be let in."""
        self._transport, self._rest = cast("asyncio.Transport", transport), b""
        sign = self._plan.signs[self._place] if self._plan.signs else None
        self._transport.write(connect(f"{self._plan.name}-{self._place}", sign))

    def data_received(self, data: bytes) -> None:
        """Count acknowledgements; those of a connection come in the order of what was sent."""
        found, self._rest = packets(self._rest + data)
        for kind, body in found:
            if kind == _PUBACK:
                self._acknowledge(struct.unpack(">H", body)[0])
            elif kind == _CONNACK:
                if body[1]:  # it is kept out for a while: it knocks again once the server has hung up
                    return
                self._open = True
                if not self._ledger.connections[self._place]:
                    self.begun = time.monotonic()
                self._ledger.connections[self._place] += 1
                self._next = int(self._ledger.acknowledged[self._place])

    def connection_lost(self, exc: Exception | None) -> None:
        """Have it made again."""
        self._open = False
        self.ended.set()

    def _acknowledge(self, packet: int) -> None:
        done = int(self._ledger.acknowledged[self._place])
        if packet != done % PACKETS + 1:
            raise ConnectionError(f"message {done} was to be acknowledged, not packet {packet}")
        if self._plan.live:
            now = time.time_ns()
            self._ledger.took[self._place, done] = now - self._ledger.when[self._place, done]
        self._ledger.acknowledged[self._place] = done + 1

    def pump(self, *, more: bool) -> None:
        """Send what is due; with ``more`` false only what was sent before on another connection."""
        if not self._open or self._transport is None:
            return
        sent = int(self._ledger.sent[self._place])
        due = sent
        if more:
            due = 1 + int((time.monotonic() - self.begun) * self._plan.rate)
            due = max(sent, min(self._plan.most, due))
        end = min(due, int(self._ledger.acknowledged[self._place]) + self._plan.window)
        while self._next < end:
            count = min(_PART, end - self._next)
            data = self._encoded(self._next, count)
            self._next += count
            if self._next > int(self._ledger.sent[self._place]):
                self._ledger.sent[self._place] = self._next
            self._transport.write(data)

    def _encoded(self, first: int, count: int) -> bytes:
        numbers, live = range(first, first + count), self._plan.live
        if live:
            when = self._ledger.when[self._place, first : first + count]
            when[when == 0] = time.time_ns() // 1_000 * 1_000
            said = list(zip(when.tolist(), map(float, numbers), strict=True))
        else:
            said = [(BEGIN_NS + one * STEP_NS, value(self._stream, one)) for one in numbers]
        bodies = (b'{"phenomenonTime":"%b","result":%.4f}' % (_text(ns), what) for ns, what in said)
        packets = (one % PACKETS + 1 for one in numbers)
        return b"".join(frame(self._topic, *one) for one in zip(bodies, packets, strict=True))


def _text(ns: int) -> bytes:
    """Write an instant; most are of the same few seconds as those before.

    >>> _text(1_704_067_200_000_250_000)
    b'2024-01-01T00:00:00.000250Z'
    """
    second, rest = divmod(ns, 1_000_000_000)
    return b"%b.%06dZ" % (_second(second), rest // 1_000)


@lru_cache(maxsize=64)
def _second(second: int) -> bytes:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second)).encode()


class _Ear(asyncio.Protocol):
    """Hears what the node tells of the devices' Datastreams, once it has decided."""

    def __init__(self, plan: Plan, ledger: Ledger) -> None:
        self._plan, self._ledger = plan, ledger
        self._topics = {reading_topic(one): place for place, one in enumerate(plan.streams)}
        self._rest = b""
        self._transport: asyncio.Transport | None = None
        self.ended = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport, self._rest = cast("asyncio.Transport", transport), b""
        self._transport.write(connect(f"{self._plan.name}-ear", self._plan.ear))

    def connection_lost(self, exc: Exception | None) -> None:
        self.ended.set()

    def data_received(self, data: bytes) -> None:
        found, self._rest = packets(self._rest + data)
        for kind, body in found:
            if kind == _CONNACK and self._transport is not None:
                self._transport.write(subscribe(list(self._topics)))
            elif kind & 0xF0 == _PUBLISH:
                size = struct.unpack_from(">H", body)[0]
                place = self._topics[body[2 : 2 + size].decode()]
                number = int(msgspec.json.decode(body[2 + size :], type=_Told).result)
                now = time.time_ns()
                self._ledger.decided[place, number] = now - self._ledger.when[place, number]

    async def run(self) -> None:
        """Keep a connection, for ever."""
        loop = asyncio.get_running_loop()
        while True:
            self.ended.clear()
            with contextlib.suppress(OSError):
                await loop.create_connection(lambda: self, "127.0.0.1", self._plan.port)
                await self.ended.wait()
            await asyncio.sleep(_AGAIN_S)


class _Told(msgspec.Struct):
    result: float


async def _run(plan: Plan) -> None:
    ledger = Ledger.open(plan)
    over = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, over.set)
    devices = [Device(plan, place, ledger) for place in range(len(plan.streams))]
    tasks = [asyncio.create_task(one.run()) for one in devices]
    if plan.live:
        tasks.append(asyncio.create_task(_Ear(plan, ledger).run()))
    while not over.is_set() or any(one.waiting for one in devices):
        for one in devices:
            one.pump(more=not over.is_set())
        await asyncio.sleep(max(_TICK_S, _EACH_S * len(devices)))
    if plan.live:
        await asyncio.sleep(0.3)  # what was decided last is still being told
    for task in tasks:
        task.cancel()


def main() -> None:
    """Send until told to end."""
    import uvloop

    uvloop.run(_run(msgspec.json.decode(Path(sys.argv[1]).read_bytes(), type=Plan)))


if __name__ == "__main__":
    main()
