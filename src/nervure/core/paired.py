"""Two ways of doing something on the same seeds: by how much they differ, and whether that may be chance."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import msgspec
import numpy as np

from nervure.core.error import DataError

__all__ = ["Paired", "paired"]

_T = (
    12.71, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131,
    2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045,
)  # fmt: skip
_Z = 1.959964
_EXACT = 12  # pairs up to which all signs are tried
_DRAWS = 20_000


class Paired(msgspec.Struct, frozen=True, kw_only=True):
    """The mean difference, its 95 % interval, and how often chance alone makes one as large, both ways."""

    mean: float
    low: float
    high: float
    p: float
    pairs: int


def paired(one: Sequence[float], other: Sequence[float]) -> Paired:
    """Return by how much ``one`` lies above ``other``, pair by pair.

    The interval is Student's, p is that of Fisher's randomisation test of the mean, exact up to 12 pairs.

    >>> found = paired([1.0, 2.0, 3.0, 4.0], [2.0, 3.5, 4.0, 5.5])
    >>> found.mean, round(found.low, 2), found.p
    (-1.25, -1.71, 0.125)

    Raises DataError for fewer than two pairs, and for lists of different length.
    """
    if len(one) != len(other) or len(one) < 2:
        raise DataError(f"{len(one)} and {len(other)} values make no pairs", hint="two pairs at least")
    difference = np.array(one, np.float64) - np.array(other, np.float64)
    count, mean = len(difference), float(difference.mean())
    if count <= _EXACT:
        signs = np.array(list(product((-1.0, 1.0), repeat=count)))
    else:
        signs = np.random.default_rng(0).choice((-1.0, 1.0), (_DRAWS, count))
    chance = np.abs(signs @ difference) >= abs(difference.sum()) * (1 - 1e-12)  # large ones lose more digits
    half = _quantile(count - 1) * float(difference.std(ddof=1)) / count**0.5
    return Paired(mean=mean, low=mean - half, high=mean + half, p=float(chance.mean()), pairs=count)


def _quantile(free: int) -> float:
    """Return Student's 97.5 % quantile of so many degrees of freedom.

    Beyond the table it is the normal one and what Fisher and Cornish add to it, right to 1e-4.

    >>> round(_quantile(9), 3), round(_quantile(30), 3), round(_quantile(99), 3)
    (2.262, 2.042, 1.984)
    """
    if free <= len(_T):
        return _T[free - 1]
    return _Z + (_Z**3 + _Z) / (4 * free) + (5 * _Z**5 + 16 * _Z**3 + 3 * _Z) / (96 * free**2)
