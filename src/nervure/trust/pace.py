"""How fast each may send, and how long who sends too fast has to stay out.

A bucket of tokens each, counted after the fact: what was sent is with the log already, and counts. So
who is over is sent out, and comes in again later; who comes back and is over again stays out longer.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable

__all__ = ["Pace"]

_BURST_S = 0.5
"""How many seconds' worth may come at once."""

_WATCHED_S = 0.1
"""The same for who was sent out lately."""

_LEAST = 10
"""So many messages may come at once, however few a second are allowed."""

_UNSEEN_S = 10.0
"""For so long at most one who was not looked at may have sent what is counted now."""

_FIRST_S, _LONGEST_S = 30.0, 240.0
_FORGET_S = 600.0


class _Account:
    """What somebody has sent, less what they might have: ``owed`` messages at ``when_s``."""

    __slots__ = ("out_s", "owed", "times", "when_s")

    def __init__(self, now_s: float) -> None:
        self.owed = 0.0
        self.when_s = now_s
        self.times = 0
        self.out_s = 0.0


class Pace:
    """Counts what each sends against so many messages a second, for each Datastream that they have.

    >>> now = [0.0]
    >>> pace = Pace(100.0, clock=lambda: now[0])
    >>> pace.count("a", 1, 50), pace.count("a", 1, 50), pace.wait_s("a")
    (0.0, 30.0, 30.0)
    >>> now[0] = 30.0
    >>> pace.wait_s("a"), pace.count("a", 1, 11), pace.out
    (0.0, 60.0, 1)
    """

    def __init__(self, per_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_s = per_s
        self._clock = clock
        self._accounts: dict[Hashable, _Account] = {}

    def count(self, who: Hashable, streams: int, messages: int, *, unseen: bool = False) -> float:
        """Note what somebody has sent since the last time; return how long to stay out, 0 if not at all.

        Who may have been ``unseen`` since has not sent all of it just now.
        """
        now, rate = self._clock(), self._per_s * max(1, streams)
        one = self._accounts.get(who)
        if one is None:
            if not messages:
                return 0.0
            one = self._accounts[who] = _Account(now)
        passed = now - one.when_s
        if unseen:
            one.owed = max(0.0, one.owed + messages - rate * min(passed, _UNSEEN_S))
        else:
            one.owed = max(0.0, one.owed - rate * passed) + messages
        one.when_s = now
        if one.times and now - one.out_s > _FORGET_S:
            one.times = 0
        if one.owed <= max(_LEAST, rate * (_WATCHED_S if one.times else _BURST_S)):
            return 0.0
        wait = max(one.owed / rate, min(_LONGEST_S, _FIRST_S * 2.0**one.times))
        one.times += 1
        one.owed, one.out_s = 0.0, now + wait
        return wait

    def wait_s(self, who: Hashable) -> float:
        """Return how long somebody has to stay out yet; 0 if they may come in."""
        one = self._accounts.get(who)
        return max(0.0, one.out_s - self._clock()) if one is not None else 0.0

    def watched(self, who: Hashable) -> bool:
        """Tell whether somebody was sent out lately."""
        one = self._accounts.get(who)
        return one is not None and one.times > 0 and self._clock() - one.out_s <= _FORGET_S

    @property
    def out(self) -> int:
        """How many have to stay out now."""
        now = self._clock()
        return sum(one.out_s > now for one in list(self._accounts.values()))

    def tidy(self) -> None:
        """Forget those of whom there is nothing to remember."""
        now = self._clock()
        gone = [
            who
            for who, one in self._accounts.items()
            if now - max(one.when_s, one.out_s) > (_FORGET_S if one.times else 1.0)
        ]
        for who in gone:
            del self._accounts[who]
