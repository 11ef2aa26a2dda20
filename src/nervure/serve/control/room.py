"""Room: how many readings are looked through at once, whoever asks and however often."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from nervure.core.error import BusyError, QueryError

__all__ = ["Room"]

MOST_ROWS = 20_000_000
"""So many rows are looked through at once: some 40 bytes each while they are laid out."""

FEW_ROWS = 200_000
"""Who looks through so few takes no room: no chart of a day waits for somebody's years."""

MOST_WAITING = 2
"""So many wait: each has one of the few threads that answer everybody."""

PATIENCE_S = 5.0


class Room:
    """Lends room for rows to threads; who finds none waits a little, then is told to come again."""

    def __init__(self, most: int = MOST_ROWS, few: int = FEW_ROWS, patience_s: float = PATIENCE_S) -> None:
        self._most, self._few, self._patience_s = most, few, patience_s
        self._taken = 0.0
        self._waiting = 0
        self._changed = threading.Condition()

    @contextmanager
    def lent(self, rows: float, *, hint: str = "ask for fewer streams or less time") -> Iterator[None]:
        """Have room for about so many rows while they are looked through.

        Raises ``QueryError`` (400) if they are too many for all there is, ``BusyError`` (429) if others
        have it and leave none in time.
        """
        if rows > self._most:
            raise QueryError(
                f"this is of about {rows:,.0f} readings; {self._most:,} at most are looked through at once",
                hint=hint,
            )
        if rows <= self._few:
            yield
            return
        self._take(rows, hint)
        try:
            yield
        finally:
            with self._changed:
                self._taken -= rows
                self._changed.notify_all()

    def _take(self, rows: float, hint: str) -> None:
        def fits() -> bool:
            return self._taken + rows <= self._most

        with self._changed:
            if not fits():
                self._waiting += 1
                try:
                    waits = self._waiting <= MOST_WAITING
                    if not (waits and self._changed.wait_for(fits, self._patience_s)):
                        raise BusyError(
                            f"others look through {self._taken:,.0f} readings; this is of {rows:,.0f} more",
                            retry_s=self._patience_s, hint=f"ask again a little later, or {hint}",
                        )  # fmt: skip
                finally:
                    self._waiting -= 1
            self._taken += rows
