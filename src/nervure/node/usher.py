"""The usher: has those who knock let in a few at a time, so that who is inside hardly notices.

After a power cut a thousand devices connect at the same moment. To let one in costs the node a tenth of
a millisecond and the server several, and whatever comes meanwhile from others waits behind it. The server
waits for each answer, so answering slowly is what keeps the door open for everybody.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable

__all__ = ["Usher"]

TURN_S, AT_ONCE = 0.005, 4
"""So many are answered in a turn where few knock: 800 a second."""

WITHIN_S = 2.0
"""Where so many knock that it would take longer than this, more are."""

LATE_S = 4.5
"""The server waits for five seconds: who has waited for so long gets no answer, and knocks again."""

Question = tuple[bytes, bytes]


class Usher:
    """Hands on what the server asks, in the order it came: at once while few knock, else a few each turn.

    ``late`` counts the questions that nobody waited for any more.
    """

    def __init__(self, answer: Callable[[bytes, bytes], None]) -> None:
        self.late = 0
        self._answer = answer
        self._waiting: deque[tuple[float, Question]] = deque()
        self._turning = False

    @property
    def waiting(self) -> int:
        """How many wait for their turn."""
        return len(self._waiting)

    def asked(self, reply: bytes, payload: bytes) -> None:
        """Take a question in."""
        self._waiting.append((time.monotonic(), (reply, payload)))
        if not self._turning:
            self._turn()

    def clear(self) -> None:
        """Forget whoever waits: the server that asked has gone."""
        self._waiting.clear()

    def _turn(self) -> None:
        self._turning = bool(self._waiting)
        if not self._turning:
            return
        asyncio.get_running_loop().call_later(TURN_S, self._turn)
        left = max(AT_ONCE, int(len(self._waiting) * TURN_S / WITHIN_S))
        late = time.monotonic() - LATE_S
        while left and self._waiting:
            since, question = self._waiting.popleft()
            if since < late:
                self.late += 1
                continue
            self._answer(*question)
            left -= 1
