"""What whoever joined a controller is told while it runs: that it cannot decide, is not heard, is refused."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from nervure.core.task import FINAL

if TYPE_CHECKING:
    from nervure.act.seat import Seat

__all__ = ["Door", "Telling"]

_MOST = 20
_SILENT_S = 90.0
_BAD = sorted(FINAL - {"completed", "superseded", "overridden"})


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


class Telling:
    """Looks at a seat between two steps and says what is new there, each thing once.

    >>> from nervure.act.seat import Seat
    >>> seat = Seat(None, {}, {}, ask=None, lease_s={})
    >>> said = Telling(seat, print)
    >>> seat.counts["rejected"] += 1
    >>> seat.trouble = "KeyError('4/pressure')"
    >>> said.look(); said.look()
    it cannot decide: it needs '4/pressure', which nobody measures
    Tasks end as rejected: nervure act log LOOP says why
    """

    def __init__(self, seat: Seat, say: Callable[[str], None] = _say) -> None:
        self._seat, self._say = seat, say
        self._said: set[str] = set()
        self._begun_s = time.monotonic()

    def look(self) -> None:
        """Say what is new."""
        seat = self._seat
        if seat.trouble:
            self._once(f"it cannot decide: {_words(seat.trouble)}")
        for name in [one for one in seat.counts if one.startswith("not asked: ")]:
            self._once(name)
        for state in _BAD:
            if seat.counts.get(state):
                self._once(f"Tasks end as {state}: nervure act log LOOP says why")
        if not seat.counts.get("rounds") and time.monotonic() - self._begun_s > _SILENT_S:
            self._once(f"nothing was heard for {_SILENT_S:g} s: do its Things send readings? nervure listen")

    def _once(self, text: str) -> None:
        if text not in self._said and len(self._said) < _MOST:
            self._said.add(text)
            self._say(text)


def _words(trouble: str) -> str:
    """Say what a controller broke on.

    >>> _words("ValueError('no plan')")
    "ValueError('no plan')"
    """
    if trouble.startswith("KeyError(") and trouble.endswith(")"):
        return f"it needs {trouble[9:-1]}, which nobody measures"
    return trouble


class Door:
    """Says that readings are listened to once they are, and why not where they are not."""

    def __init__(self, where: str, streams: int, say: Callable[[str], None] = _say) -> None:
        self._where, self._streams, self._say = where, streams, say
        self._told = ""

    def opened(self, reason: Any) -> bool:
        """Take the broker's answer; whether it lets us in."""
        if reason.is_failure:
            self._tell(f"the broker at {self._where} does not let it in: {reason}")
        else:
            self._tell(f"listening to {self._streams} Datastreams")
        return not reason.is_failure

    def shut(self) -> None:
        """Take it that nobody answers there; it is tried again and again."""
        self._tell(
            f"no broker answers at {self._where}: is the node up, are its ports those of the settings?"
        )

    def _tell(self, text: str) -> None:
        if text != self._told:
            self._told = text
            self._say(text)
