"""How unlike what a controller was taught on the things are that it sees now.

Of every quantity that it is told, all but the rarest values that it was taught on lie between two bounds.
What lies outside any of them is strange to it. While it was taught a small share of what it saw was; where
that share grows, it decides about what it knows nothing of (a shift of what goes in: Quinonero-Candela et
al., Dataset Shift in Machine Learning, MIT Press 2009).
"""

from __future__ import annotations

from typing import Annotated

import msgspec
import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

__all__ = ["RARE", "TAUGHT", "Strange", "Taught", "outside", "taught"]

TAUGHT = "taught"
"""Under which name a Card has it, in ``limits``."""

RARE = 0.002
"""So much lies beyond each bound: of nine quantities some 3 % of what was seen lies outside any."""

_SLACK = 0.05
Floats = NDArray[np.floating]
Share = Annotated[float, Meta(ge=0, le=1)]


class Taught(msgspec.Struct, frozen=True, kw_only=True):
    """The bounds of each quantity, ``[feature]``, and the share of what was taught that lay outside any."""

    low: tuple[float, ...]
    high: tuple[float, ...]
    usual: Share


class Strange(msgspec.Struct, frozen=True, kw_only=True):
    """Which share of what a controller saw lately is strange to it, and which was when it was taught."""

    share: Share
    usual: Share
    version: Annotated[str, Meta(max_length=200)] = ""


def taught(seen: Floats, rest: Floats) -> Taught:
    """Return the bounds of what was seen, ``[row, feature]``, and how much of the rest lies outside them.

    Bounds are a little wider than what was seen, so that what never varied may do so a little.

    >>> one = taught(np.array([[0.0, 1.0], [1.0, 1.0]]), np.array([[0.5, 1.0], [3.0, 1.0]]))
    >>> [round(value, 2) for value in one.high], one.usual
    ([1.05, 1.05], 0.5)
    """
    low, high = np.quantile(seen, [RARE, 1 - RARE], axis=0)
    slack = _SLACK * np.maximum(high - low, 1.0)
    found = Taught(low=tuple((low - slack).tolist()), high=tuple((high + slack).tolist()), usual=0.0)
    return msgspec.structs.replace(found, usual=float(outside(rest, found).mean()))


def outside(seen: Floats, known: Taught) -> NDArray[np.bool_]:
    """Tell of each row, ``[row, feature]``, whether it is strange: any of it lies outside, or is unknown."""
    inside = (seen >= np.array(known.low)) & (seen <= np.array(known.high))
    return np.asarray(~inside.all(axis=-1))
