"""A map of the ground as operators have it, as small as can be: one tile of the whole world in one colour."""

from __future__ import annotations

import json
import struct
import zlib

__all__ = ["pmtiles"]

_HEADER = 127
_NO_PACKING, _PNG = 1, 2


def pmtiles() -> bytes:
    """Return a file of PMTiles version 3 with one PNG for zoom 0 (protomaps specification, 3 and 4)."""
    tile = _png(256, (40, 90, 60))
    root = bytes([1, 0, 1]) + _varint(len(tile)) + bytes([1])  # one entry: tile 0, once, its length, offset 0
    about = json.dumps({"name": "ground"}).encode()
    data = _HEADER + len(root) + len(about)
    places = (_HEADER, len(root), _HEADER + len(root), len(about), 0, 0, data, len(tile), 1, 1, 1)
    head = b"PMTiles\x03" + struct.pack("<11Q", *places)
    head += bytes([1, _NO_PACKING, _NO_PACKING, _PNG, 0, 0])
    head += struct.pack("<4i", -1_800_000_000, -850_000_000, 1_800_000_000, 850_000_000)
    head += bytes([0]) + struct.pack("<2i", 0, 0)
    assert len(head) == _HEADER
    return head + root + about + tile


def _varint(number: int) -> bytes:
    found = bytearray()
    while True:
        number, digit = number >> 7, number & 127
        found.append(digit | (128 if number else 0))
        if not number:
            return bytes(found)


def _png(size: int, colour: tuple[int, int, int]) -> bytes:
    row = b"\0" + bytes(colour) * size
    parts = [(b"IHDR", struct.pack(">IIBBBBB", size, size, 8, 2, 0, 0, 0))]
    parts += [(b"IDAT", zlib.compress(row * size)), (b"IEND", b"")]
    body = b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in parts
    )
    return b"\x89PNG\r\n\x1a\n" + body
