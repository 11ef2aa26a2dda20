"""What learning to control asks of the world; who has a twin makes one of it."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

__all__ = ["Floats", "Street", "Views"]

Floats = NDArray[np.float32]
Views = tuple[Floats, ...]
"""What each junction looks like, ``[phase, feature]``; junctions differ in their number of phases."""


class Street(Protocol):
    """Some junctions that are decided about together, in steps."""

    @property
    def phases(self) -> tuple[int, ...]:
        """How many phases each junction has."""
        ...

    @property
    def steps(self) -> int:
        """How many decisions an episode has."""
        ...

    def reset(self, seed: int) -> Views:
        """Start an episode; the seed decides all of it."""
        ...

    def step(self, choice: NDArray[np.int64]) -> tuple[Views, Floats]:
        """Show a phase at each junction, ``[junction]``; returns views, and rewards ``[junction]``.

        Least green and most red are the street's business: a choice may be overruled.
        """
        ...
