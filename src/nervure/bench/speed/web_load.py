"""Load over plain HTTP/1.1 at little cost: requests are encoded beforehand, connections stay open."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

import msgspec
import numpy as np

from nervure.core.error import EnvironmentMissing

__all__ = ["Answered", "request", "send"]

_LENGTH = b"content-length:"


class Answered(msgspec.Struct, frozen=True, kw_only=True):
    """What came of some requests: seconds in all, milliseconds each, and the last body."""

    wall_s: float
    each_ms: list[float]
    body: bytes

    @property
    def median_ms(self) -> float:
        """The median of how long a request took."""
        return float(np.median(self.each_ms))


def request(method: str, path: str, body: bytes = b"") -> bytes:
    r"""Return the bytes of a request.

    >>> request("GET", "/x")
    b'GET /x HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n'
    """
    head = f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
    if body:
        head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    return f"{head}\r\n".encode() + body


async def send(port: int, requests: Sequence[bytes], *, connections: int, expected: int) -> Answered:
    """Send requests over some connections, one at a time on each; every answer must be ``expected``."""
    lines = [await asyncio.open_connection("127.0.0.1", port, limit=1 << 24) for _ in range(connections)]
    begun = time.perf_counter()
    try:
        found = await asyncio.gather(
            *(_one(*line, requests[place::connections], expected) for place, line in enumerate(lines))
        )
        wall_s = time.perf_counter() - begun
    finally:
        for _, writer in lines:
            writer.close()
    return Answered(wall_s=wall_s, each_ms=[one for times, _ in found for one in times], body=found[0][1])


async def _one(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, requests: Sequence[bytes], expected: int
) -> tuple[list[float], bytes]:
    times: list[float] = []
    body = b""
    for one in requests:
        begun = time.perf_counter()
        writer.write(one)
        head = await reader.readuntil(b"\r\n\r\n")
        low = head.lower()
        place = low.index(_LENGTH) + len(_LENGTH)
        body = await reader.readexactly(int(low[place : low.index(b"\r\n", place)]))
        times.append((time.perf_counter() - begun) * 1000)
        if int(head[9:12]) != expected:
            raise EnvironmentMissing(f"a request was answered with {head[9:12].decode()}: {body[:300]!r}")
    return times, body
