"""Pieces: large states cut into pieces, so that a commit writes only what has changed.

The windows of a model that looks a week back are megabytes, of which a reading changes eight bytes.
"""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["PIECE_BYTES", "Pieces"]

PIECE_BYTES = 32 << 10


class Pieces:
    """The pieces of some states as they were last written, by the state's name and their number.

    >>> pieces = Pieces({})
    >>> first = pieces.changed({"a": b"x" * 40_000})
    >>> pieces.written(first)
    >>> list(first), list(pieces.changed({"a": b"x" * 39_999 + b"y"}))
    (['a/0', 'a/1'], ['a/1'])
    """

    def __init__(self, stored: Mapping[str, bytes]) -> None:
        self._stored = dict(stored)

    def changed(self, states: Mapping[str, bytes]) -> dict[str, bytes]:
        """Return the pieces that differ from what was written last."""
        found: dict[str, bytes] = {}
        for name, state in states.items():
            for number, start in enumerate(range(0, len(state), PIECE_BYTES)):
                piece = state[start : start + PIECE_BYTES]
                if self._stored.get(f"{name}/{number}") != piece:
                    found[f"{name}/{number}"] = piece
        return found

    def written(self, pieces: Mapping[str, bytes]) -> None:
        """Note that pieces are in the store now."""
        self._stored.update(pieces)

    def joined(self, name: str, size: int) -> bytes:
        """Return a state of so many bytes, put together from what was written; less if that is not there."""
        count = -(-size // PIECE_BYTES)
        return b"".join(self._stored.get(f"{name}/{number}", b"") for number in range(count))[:size]
