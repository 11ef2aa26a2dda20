"""The operator's own map of the ground: one ``map.pmtiles`` in the data folder, sent piece by piece.

The file holds all its tiles and an index of them (PMTiles version 3, protomaps.com); a page asks for the
bytes it needs by HTTP ranges (RFC 9110, section 14), so that a map of a country costs what is on screen.
"""

from __future__ import annotations

import re
from pathlib import Path

from nervure.core.error import NotFoundError
from nervure.serve.answer import Answer
from nervure.serve.control.route import Call, Desk, Route

__all__ = ["FILE", "ROUTES", "basemap", "ranged"]

FILE = "map.pmtiles"
KIND = "application/vnd.pmtiles"
MOST_BYTES = 8 << 20
"""So much at most is sent in one answer."""

_RANGE = re.compile(r"bytes=([0-9]{1,15})-([0-9]{0,15})", re.ASCII)


def basemap(desk: Desk, call: Call) -> Answer:
    """Send a piece of the map of the ground; without a range, its first 8 MiB at most."""
    place = desk.basemap
    if place is None or not place.is_file():
        raise NotFoundError(
            "there is no map of the ground here", hint=f"put {FILE} into the data folder of the node"
        )
    return ranged(place, call.says("range"))


def ranged(place: Path, wish: str) -> Answer:
    """Answer with the bytes of a file that a header ``Range`` names; 416 for a range that it has not."""
    whole = place.stat()
    tag = f'"{whole.st_mtime_ns:x}-{whole.st_size:x}"'
    head = (("accept-ranges", "bytes"), ("etag", tag), ("cache-control", "private, no-cache"))
    asked = _RANGE.fullmatch(wish.strip())
    start = int(asked[1]) if asked else 0
    if start >= whole.st_size:
        return Answer(status=416, headers=(*head, ("content-range", f"bytes */{whole.st_size}")))
    last = int(asked[2]) if asked and asked[2] else whole.st_size - 1
    last = min(last, whole.st_size - 1, start + MOST_BYTES - 1)
    if last < start:
        return Answer(status=416, headers=(*head, ("content-range", f"bytes */{whole.st_size}")))
    with place.open("rb") as file:
        file.seek(start)
        body = file.read(last - start + 1)
    span = ("content-range", f"bytes {start}-{last}/{whole.st_size}")
    return Answer(status=206, body=body, kind=KIND, headers=(*head, span))


ROUTES: tuple[Route, ...] = (
    Route(method="GET", path="/api/map.pmtiles", right="read", work=basemap, answer=str, kind=KIND),
)
