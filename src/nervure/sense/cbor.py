"""CBOR (RFC 8949) from devices, as plain numbers, texts, lists, dicts and typed arrays (RFC 8746).

Only what readings need is let in: big numbers and decimal fractions become floats, and tags that
build sets, patterns, messages or shared references are refused, as they serve attacks only.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from io import BytesIO
from typing import Any

import cbor2
import numpy as np

from nervure.sense.reason import MALFORMED, Unreadable

__all__ = ["load_cbor"]

_TYPED = dict(zip(range(64, 72), ("u1", ">u2", ">u4", ">u8", "u1", "<u2", "<u4", "<u8"), strict=True)) | dict(
    zip((72, 73, 74, 75, 77, 78, 79), ("i1", ">i2", ">i4", ">i8", "<i2", "<i4", "<i8"), strict=True)
)
_TYPED |= {80: ">f2", 81: ">f4", 82: ">f8", 84: "<f2", 85: "<f4", 86: "<f8"}
"""Tags of RFC 8746, section 2, and the numbers that lie in their byte strings."""

_REFUSED = (25, 28, 29, 30, 35, 36, 37, 52, 54, 100, 256, 258, 260, 261, 1004, 43000)


def _big(sign: int, digits: object, _immutable: bool) -> float:
    if not isinstance(digits, bytes):
        raise Unreadable(MALFORMED, "a big number of CBOR is no byte string")
    digits = digits.lstrip(b"\0")
    if len(digits) > 127:  # above the largest float
        return sign * math.inf
    value = int.from_bytes(digits, "big")
    return float(value if sign > 0 else -1 - value)


def _fraction(base: float, pair: object, _immutable: bool) -> float:
    match pair:
        case [int(exponent), int() | float() as mantissa]:
            try:
                return float(mantissa) * base**exponent if exponent >= 0 else mantissa / base**-exponent
            except OverflowError:
                return math.inf if exponent >= 0 else 0.0
    raise Unreadable(MALFORMED, "a decimal fraction of CBOR is not [exponent, mantissa]")


def _array(kind: str, data: object, _immutable: bool) -> Any:
    width = np.dtype(kind).itemsize
    if not isinstance(data, bytes) or len(data) % width:
        raise Unreadable(MALFORMED, f"a typed array of CBOR is no byte string of {width}-byte numbers")
    return np.frombuffer(data, dtype=kind).astype(np.float64)


def _refuse(tag: int, _item: object, _immutable: bool) -> Any:
    raise Unreadable(MALFORMED, f"CBOR tag {tag} has no place in a reading")


_HOOKS: dict[int, Callable[[Any, bool], Any]] = {
    2: partial(_big, 1),
    3: partial(_big, -1),
    4: partial(_fraction, 10.0),
    5: partial(_fraction, 2.0),
    **{tag: partial(_array, kind) for tag, kind in _TYPED.items()},
    **{tag: partial(_refuse, tag) for tag in _REFUSED},
}


def load_cbor(payload: bytes, depth: int) -> Any:
    """Decode the one CBOR item that a message is, nested at most ``depth`` deep.

    >>> load_cbor(bytes.fromhex("a1617682f93c00c48221196ab3"), 8)
    {'v': [1.0, 273.15]}
    """
    stream = BytesIO(payload)
    decoder = cbor2.CBORDecoder(stream, semantic_decoders=_HOOKS, max_depth=depth)
    try:
        item = decoder.decode()
    except cbor2.CBORDecodeEOF as cause:
        raise Unreadable(
            MALFORMED, f"CBOR that is cut short: {len(payload)} bytes are not all of it"
        ) from cause
    except (cbor2.CBORDecodeError, RecursionError, TypeError) as cause:
        if isinstance(cause.__cause__, Unreadable):
            raise cause.__cause__ from cause
        raise Unreadable(MALFORMED, f"not CBOR: {cause}") from cause
    if stream.tell() < len(payload):
        raise Unreadable(MALFORMED, "more bytes follow the CBOR item; send one item a message")
    return item
