"""A map of the ground as operators have it, as small as can be: one tile of the whole world.

As a picture in one colour, or as a vector tile: water over the north, a street along the equator.
"""

from __future__ import annotations

import json
import struct
import zlib

__all__ = ["pmtiles", "vector_pmtiles"]

_HEADER = 127
_NO_PACKING, _MVT, _PNG = 1, 1, 2
_EXTENT = 4096
_LINE, _POLYGON = 2, 3


def pmtiles() -> bytes:
    """Return a file of PMTiles version 3 with one PNG for zoom 0."""
    return _file(_png(256, (40, 90, 60)), _PNG, {"name": "ground"})


def vector_pmtiles() -> bytes:
    """Return one with a vector tile for zoom 0 (Mapbox Vector Tile specification 2.1, 4)."""
    half = _EXTENT // 2
    water = _layer("water", _POLYGON, [_to(1, (0, 0)), _to(2, (_EXTENT, 0), (0, half), (-_EXTENT, 0)), [15]])
    street = _layer("roads", _LINE, [_to(1, (0, half)), _to(2, (_EXTENT, 0))])
    layers: list[dict[str, object]] = [{"id": name, "fields": {}} for name in ("water", "roads")]
    return _file(water + street, _MVT, {"name": "ground", "vector_layers": layers})


def _layer(name: str, kind: int, commands: list[list[int]]) -> bytes:
    """Write a layer of one feature: name, version, extent, and the feature's kind and way."""
    way = b"".join(_varint(one) for command in commands for one in command)
    feature = _field(3, kind) + _field(4, way)
    whole = _field(15, 2) + _field(1, name.encode()) + _field(2, feature) + _field(5, _EXTENT)
    return _field(3, whole)


def _to(command: int, *steps: tuple[int, int]) -> list[int]:
    """Write a command (1: move, 2: draw) with its steps, each from where the last one ended (4.3.1)."""
    return [command | len(steps) << 3, *((one << 1) ^ (one >> 31) for step in steps for one in step)]


def _field(number: int, value: int | bytes) -> bytes:
    """Write a field of a protocol buffer."""
    if isinstance(value, int):
        return _varint(number << 3) + _varint(value)
    return _varint(number << 3 | 2) + _varint(len(value)) + value


def _file(tile: bytes, kind: int, told: dict[str, object]) -> bytes:
    """Write a file of PMTiles version 3 with one tile, for zoom 0 (protomaps specification, 3 and 4)."""
    root = bytes([1, 0, 1]) + _varint(len(tile)) + bytes([1])  # one entry: tile 0, once, its length, offset 0
    about = json.dumps(told).encode()
    data = _HEADER + len(root) + len(about)
    places = (_HEADER, len(root), _HEADER + len(root), len(about), 0, 0, data, len(tile), 1, 1, 1)
    head = b"PMTiles\x03" + struct.pack("<11Q", *places)
    head += bytes([1, _NO_PACKING, _NO_PACKING, kind, 0, 0])
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
