"""Load over real MQTT 3.1.1 at little cost: frames are encoded beforehand and sent as they are.

Source: MQTT 3.1.1 (OASIS, 2014), sections 3.1 (CONNECT), 3.3 (PUBLISH), 3.4 (PUBACK).
"""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Sequence

import msgspec

from nervure.core.error import StreamError

__all__ = ["PUBACK_BYTES", "Burst", "Sent", "connect", "frame", "send"]

PUBACK_BYTES = 4
IN_FLIGHT = 1_000


def frame(topic: str, payload: bytes, packet: int) -> bytes:
    r"""Return a PUBLISH of QoS 1.

    >>> frame("a/b", b"1", 7)
    b'2\x08\x00\x03a/b\x00\x071'
    """
    name = topic.encode()
    body = struct.pack(">H", len(name)) + name + struct.pack(">H", packet) + payload
    return b"\x32" + _length(len(body)) + body


def _length(count: int) -> bytes:
    """Write a remaining length, seven bits a byte (section 2.2.3)."""
    written = bytearray()
    while True:
        count, digit = divmod(count, 128)
        written.append(digit | (0x80 if count else 0))
        if not count:
            return bytes(written)


class Burst:
    """Messages grouped into writes of as many as may be unacknowledged at once."""

    def __init__(self, messages: Sequence[tuple[str, bytes]], *, in_flight: int = IN_FLIGHT) -> None:
        self.count = len(messages)
        self.writes: list[tuple[bytes, int]] = []
        for start in range(0, len(messages), in_flight):
            part = messages[start : start + in_flight]
            data = b"".join(frame(topic, payload, 1 + place) for place, (topic, payload) in enumerate(part))
            self.writes.append((data, len(part)))


def connect(host: str, port: int, client: str, timeout_s: float = 60.0) -> socket.socket:
    """Open a connection to a broker and log in."""
    line = socket.create_connection((host, port), timeout=timeout_s)
    line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    name = client.encode()
    body = b"\x00\x04MQTT\x04\x02\x00\x00" + struct.pack(">H", len(name)) + name
    line.sendall(b"\x10" + _length(len(body)) + body)
    answer = _exactly(line, 4)
    if answer[:2] != b"\x20\x02" or answer[3]:
        line.close()
        raise StreamError(f"the broker refused the connection: {answer.hex()}")
    return line


class Sent(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a burst: messages acknowledged, processor and wall seconds of this thread."""

    acknowledged: int
    cpu_s: float
    wall_s: float


def send(
    host: str, port: int, burst: Burst, *, client: str = "nervure-bench-load", timeout_s: float = 60.0
) -> Sent:
    """Send a burst on one connection, from a thread of its own, and count what was acknowledged."""
    cpu, wall = time.thread_time(), time.monotonic()
    acknowledged = 0
    with connect(host, port, client, timeout_s) as line:
        for data, count in burst.writes:
            line.sendall(data)
            acks = _exactly(line, PUBACK_BYTES * count)
            acknowledged += sum(acks[place] == 0x40 for place in range(0, len(acks), PUBACK_BYTES))
        line.sendall(b"\xe0\x00")
    return Sent(acknowledged=acknowledged, cpu_s=time.thread_time() - cpu, wall_s=time.monotonic() - wall)


def _exactly(line: socket.socket, count: int) -> bytes:
    parts = bytearray()
    while len(parts) < count:
        part = line.recv(count - len(parts))
        if not part:
            raise StreamError("the broker closed the connection before it had acknowledged everything")
        parts += part
    return bytes(parts)
