"""What was decoded before it went to the log, to be used when it comes back from there.

Who posts many readings is told at once which of them cannot be taken, so they are decoded then; the log
brings the same bytes back a moment later.
"""

from __future__ import annotations

from collections import OrderedDict

from nervure.sense.part import Part

__all__ = ["Foretold"]

_MOST = 32
_END = 48

_Key = tuple[int, bytes]


class Foretold:
    """A few messages, each with what it was read as and with which version of the directory.

    One that is found is forgotten. What was read in part from when the message came is not kept.
    """

    def __init__(self) -> None:
        self._expected: bytes | None = None
        self._kept: OrderedDict[_Key, tuple[bytes, int, Part]] = OrderedDict()

    def expect(self, payload: bytes) -> None:
        """Keep this message when it is read next."""
        self._expected = payload

    def find(self, payload: bytes, version: int) -> Part | None:
        """Return what the message was read as, if it was just so."""
        if not self._kept or payload is self._expected:
            return None
        kept = self._kept.pop(_key(payload), None)
        return kept[2] if kept is not None and kept[1] == version and kept[0] == payload else None

    def keep(self, payload: bytes, version: int, part: Part, received_ns: int) -> None:
        """Keep what a message was read as, if it is the one that is expected."""
        if payload is not self._expected:
            return
        self._expected = None
        if part.faults or (part.time == received_ns).any():
            return
        self._kept[_key(payload)] = payload, version, part
        if len(self._kept) > _MOST:
            self._kept.popitem(last=False)


def _key(payload: bytes) -> _Key:
    """Return what mostly tells messages apart, without looking at all of their bytes."""
    return len(payload), payload[-_END:]
