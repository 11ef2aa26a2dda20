"""Symbols of known frequency as one large number: asymmetric numeral systems (Duda, arXiv 1311.2540, 2013).

The state may have any length, so nothing is ever carried out of it: right for messages of some hundred
symbols, slow for megabytes. What went in last comes out first; :func:`packed` sees to that.
"""

from __future__ import annotations

from collections.abc import Sequence

from nervure.core.error import DataError

__all__ = ["draw", "far", "near", "packed"]

Part = tuple[int, int, int]  # the counts below a symbol, its own count, the total


def packed(parts: Sequence[Part]) -> bytes:
    """Write symbols, to be drawn in the order given, as the little-endian bytes of one number.

    >>> len(packed([(0, 4000, 4096)] * 200))  # 200 symbols of 0.03 bits each
    1
    """
    state = 1
    for below, own, total in reversed(parts):
        state = state // own * total + below + state % own
    return state.to_bytes((state.bit_length() + 7) // 8, "little")


def draw(counts: Sequence[int], state: int, total: int) -> tuple[int, int]:
    """Return the next symbol and what is left of the state; it is 1 once all symbols were drawn.

    >>> draw((3, 1), int.from_bytes(packed([(3, 1, 4)]), "little"), 4)
    (1, 1)
    """
    slot, below = state % total, 0
    for symbol, own in enumerate(counts):
        if slot < below + own:
            return symbol, own * (state // total) + slot - below
        below += own
    raise DataError(f"counts that add up to {below} are no table of {total}")


def far(number: int) -> list[Part]:
    """Write a whole number of less than 56 bits that no table holds: how many bytes, then they.

    >>> near(int.from_bytes(packed(far(-1000)), "little"))
    (-1000, 1)
    """
    size = abs(number) * 2 + (number < 0)
    data = size.to_bytes(max(1, (size.bit_length() + 7) // 8), "little")
    return [(len(data) - 1, 1, 8), *((one, 1, 256) for one in data)]


def near(state: int) -> tuple[int, int]:
    """Read a number that :func:`far` wrote; return it and what is left of the state."""
    length, state = state % 8 + 1, state // 8
    size = 0
    for at in range(length):
        size, state = size + (state % 256 << 8 * at), state // 256
    return (-1 if size & 1 else 1) * (size >> 1), state
