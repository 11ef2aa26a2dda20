"""A sender at a given rate, as a process of its own: each reading is stamped with the instant it is due.

It reads its `Plan` as JSON from standard input, sends over MQTT with QoS 1, and prints a `Paced`. What
is late by the sender's own fault counts as late, as it would for a device (no coordinated omission:
G. Tene, "How NOT to Measure Latency", 2013).
"""

from __future__ import annotations

import contextlib
import socket
import sys
import time

import msgspec

from nervure.bench.speed.field import topic
from nervure.bench.speed.load import PUBACK_BYTES, connect, frame
from nervure.core.instant import SECOND_NS, iso

__all__ = ["Paced", "Plan", "main"]

_PACKETS = 60_000
_TICK_S = 0.0003
_GRACE_S = 10.0
_SECOND = len("2000-01-01T00:00:00")
_STAMP = b"2000-01-01T00:00:00.000000Z"


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What to send: to these Datastreams in turn, so many messages a second in all, for so long."""

    port: int
    ids: list[int]
    rate: float
    seconds: float
    client: str = "nervure-bench-paced"


class Paced(msgspec.Struct, frozen=True, kw_only=True):
    """What was sent and acknowledged, by how much the sender itself was late at most, its share of a core."""

    sent: int
    acknowledged: int
    late_ms: float
    cpu_share: float


class _Frames:
    """One frame for each Datastream, in which only the packet's number and the time change."""

    def __init__(self, ids: list[int]) -> None:
        payload = b'{"result":20.5,"phenomenonTime":"%b"}' % _STAMP
        self._frames = [bytearray(frame(topic(one), payload, 1)) for one in ids]
        self._packet = [one.index(b"{") - 2 for one in self._frames]
        self._time = [one.index(_STAMP) for one in self._frames]
        self._second, self._text = -1, b""

    def at(self, number: int, due_ns: int) -> bytes:
        """Return the frame of that number, of the Datastream whose turn it is."""
        place = number % len(self._frames)
        found, packet, begin = self._frames[place], self._packet[place], self._time[place]
        second, rest = divmod(due_ns, SECOND_NS)
        if second != self._second:
            self._second, self._text = second, iso(second * SECOND_NS).encode()[:_SECOND]
        found[packet : packet + 2] = (number % _PACKETS + 1).to_bytes(2, "big")
        found[begin : begin + len(_STAMP)] = b"%b.%06dZ" % (self._text, rest // 1000)
        return bytes(found)


def main(plan: Plan) -> Paced:
    """Send as planned, and wait for the last acknowledgements."""
    frames, total = _Frames(plan.ids), round(plan.rate * plan.seconds)
    step_ns = SECOND_NS / plan.rate
    number = late_ns = 0
    with connect("127.0.0.1", plan.port, plan.client) as line:
        line.setblocking(False)
        acks = _Acks(line)
        cpu, began, first_ns = time.process_time(), time.monotonic(), time.time_ns() + SECOND_NS // 10
        while number < total:
            now_ns = time.time_ns()
            due = min(total, int((now_ns - first_ns) / step_ns) + 1)
            due = min(due, acks.count() + _PACKETS - 1)
            if due > number:
                late_ns = max(late_ns, now_ns - first_ns - round(number * step_ns))
                some = range(number, due)
                _send(line, b"".join(frames.at(one, first_ns + round(one * step_ns)) for one in some))
                number = due
            else:
                time.sleep(_TICK_S)
        share = (time.process_time() - cpu) / (time.monotonic() - began)
        ends = time.monotonic() + _GRACE_S
        while acks.count() < total and time.monotonic() < ends:
            time.sleep(_TICK_S)
        counted = acks.count()
    return Paced(sent=number, acknowledged=counted, late_ms=late_ns / 1e6, cpu_share=share)


def _send(line: socket.socket, data: bytes) -> None:
    line.settimeout(_GRACE_S)
    line.sendall(data)
    line.setblocking(False)


class _Acks:
    """Counts acknowledgements, which are four bytes each and may come cut in two."""

    def __init__(self, line: socket.socket) -> None:
        self._line = line
        self._bytes = 0

    def count(self) -> int:
        """Return how many have come so far."""
        with contextlib.suppress(BlockingIOError):
            self._bytes += len(self._line.recv(1 << 16))
        return self._bytes // PUBACK_BYTES


if __name__ == "__main__":
    sys.stdout.write(
        msgspec.json.encode(main(msgspec.json.decode(sys.stdin.buffer.read(), type=Plan))).decode()
    )
