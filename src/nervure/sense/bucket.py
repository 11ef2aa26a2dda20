"""A bucket of tokens for each sender: so many messages a second for long, and some at once."""

from __future__ import annotations

from nervure.core.instant import SECOND_NS

__all__ = ["Bucket"]


class Bucket:
    """Tells whether a sender may send one more now (the generic cell rate algorithm, ITU-T I.371).

    >>> bucket = Bucket(per_s=2, burst_s=1)
    >>> [bucket.admit("a", now_ns) for now_ns in (0, 0, 0, 0, 600_000_000)]
    [True, True, True, False, True]
    """

    def __init__(self, *, per_s: float, burst_s: float) -> None:
        self._cost_ns = round(SECOND_NS / per_s)
        self._burst_ns = round(SECOND_NS * burst_s)
        self._busy: dict[str, int] = {}

    def admit(self, sender: str, now_ns: int) -> bool:
        """Take a token of that sender, if there is one."""
        until = max(self._busy.get(sender, 0), now_ns)
        if until - now_ns > self._burst_ns:
            return False
        self._busy[sender] = until + self._cost_ns
        return True
