"""Chance that can be changed on the way: where a twin is now is known, what is to come is not."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from nervure.twin.api import Twin

__all__ = ["Chancy", "rest_otherwise"]

Floats = NDArray[np.float64]


@runtime_checkable
class Chancy(Twin, Protocol):
    """A twin whose chance can be changed on the way."""

    def reseed(self, seed: int) -> None:
        """Let chance go otherwise from here on; what has been stays as it was, and what was set."""
        ...


def rest_otherwise(was: Floats, other: Floats, begin: int) -> Floats:
    """Return rain, ``[..., step]``, that falls otherwise from a step on, as much of it as was to come.

    >>> rest_otherwise(np.array([4.0, 2.0, 2.0]), np.array([0.0, 1.0, 3.0]), 1).tolist()
    [4.0, 1.0, 3.0]
    """
    longer = max(0, was.shape[-1] - other.shape[-1])  # a run may have gone on past its storm
    other = np.pad(other, [*[(0, 0)] * (other.ndim - 1), (0, longer)])[..., : was.shape[-1]]
    left = was[..., begin:].sum(axis=-1, keepdims=True)
    drawn = other[..., begin:].sum(axis=-1, keepdims=True)
    rest = np.where(drawn > 0, other[..., begin:] * left / np.maximum(drawn, 1e-9), was[..., begin:])
    found: Floats = np.concatenate([was[..., :begin], rest], axis=-1)
    return found
