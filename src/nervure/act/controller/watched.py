"""A learned controller of signals that notices when what it sees is unlike what it was taught on.

What it was taught on stands in its Card (:mod:`nervure.core.strange`); files of before that have nothing to
say of it. It decides as ``Learned`` does: what to make of it is for the platform to say.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec
import numpy as np

from nervure.act.controller.learned import Learned
from nervure.core.error import ModelError
from nervure.core.junction import Junction
from nervure.core.sight import EVERY_S
from nervure.core.strange import TAUGHT, Strange, Taught, outside

__all__ = ["LATELY", "LEAST", "Watched"]

LATELY = 360
"""So many decisions count: an hour of every ten seconds."""

LEAST = 60
"""With fewer it says nothing of itself."""


class Watched(Learned):
    """``Learned``, and which share of the phases that it rated lately were strange to it."""

    def __init__(
        self, model: bytes, trusted: Iterable[bytes], junctions: Sequence[Junction],
        *, every_s: float = EVERY_S,
    ) -> None:  # fmt: skip
        super().__init__(model, trusted, junctions, every_s=every_s)
        self._lately: deque[tuple[int, int]] = deque(maxlen=LATELY)
        self._now = [0, 0]
        self._taught: Taught | None = None
        if TAUGHT in self.card.limits:
            self._taught = _read(self.card.limits[TAUGHT], len(self.card.channels))
            self._session = _Seen(self._session, self._note)

    @property
    def strange(self) -> Strange | None:
        """What is to be said of it; None where nobody knows what it was taught on, or it has seen little."""
        if self._taught is None or len(self._lately) < LEAST:
            return None
        strange, rows = (sum(one[at] for one in self._lately) for at in (0, 1))
        return Strange(share=strange / max(rows, 1), usual=self._taught.usual, version=self.card.version)

    def decide(self, seen: Mapping[str, float], now_s: float) -> Mapping[str, float]:
        """Decide, and take note of what that was about."""
        self._now = [0, 0]
        found = super().decide(seen, now_s)
        self._lately.append((self._now[0], self._now[1]))
        return found

    def _note(self, x: Any) -> None:
        """Take note of what the net is told, ``[junction, phase, feature]``."""
        if self._taught is not None:
            rows = outside(np.asarray(x), self._taught)
            self._now = [self._now[0] + int(rows.sum()), self._now[1] + rows.size]


class _Seen:
    """A session that shows what it is told."""

    def __init__(self, session: Any, look: Any) -> None:
        self._session, self._look = session, look

    def run(self, names: Sequence[str], told: Mapping[str, Any]) -> Any:
        """Run the net."""
        self._look(told["x"])
        return self._session.run(names, told)


def _read(raw: object, features: int) -> Taught:
    try:
        found = msgspec.convert(raw, Taught)
    except msgspec.ValidationError as cause:
        raise ModelError(f"what this controller was taught on cannot be read: {cause}") from cause
    if len(found.low) != features or len(found.high) != features:
        raise ModelError(f"this controller is told {features} quantities, and was taught {len(found.low)}")
    return found
