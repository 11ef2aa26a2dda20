"""How columns are written in JSON: numbers, of which it knows no NaN, and instants in milliseconds."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nervure.serve.control.given import MS

__all__ = ["moments", "numbers"]


def numbers(values: NDArray[np.floating[Any]], digits: int | None = None) -> list[float | None]:
    """Return numbers for JSON, which knows no NaN; rounded, if ``digits`` says so."""
    kept = values if digits is None else np.round(values, digits)
    return [None if one != one or one in {np.inf, -np.inf} else one for one in kept.tolist()]  # noqa: PLR0124


def moments(values_ns: NDArray[np.int64]) -> list[int | None]:
    """Return instants in milliseconds; 0 is none."""
    return [one // MS or None for one in values_ns.tolist()]
