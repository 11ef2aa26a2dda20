"""Settings of scale-out: into how many parts the score view is cut, and who works on them."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

__all__ = ["Scale", "partition_of"]

_ROUND = 0x9E3779B97F4A7C15  # the golden ratio of 64 bits: Knuth, TAOCP 3, 6.4


class Scale(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Scoring by several processes. Without partitions the node scores by itself.

    Things lie in partitions; a worker scores and judges all that is sensed of those it holds.
    """

    partitions: Annotated[
        int, Meta(ge=0, le=256, description="Into how many parts scoring is cut; 0: the node scores itself.")
    ] = 0
    workers: Annotated[
        int,
        Meta(ge=0, le=64, description="How many workers the node starts; others join by `nervure worker`."),
    ] = 0
    silent_s: Annotated[
        float, Meta(ge=0.5, description="How long a worker may be silent until others take over its parts.")
    ] = 3.0


def partition_of(thing: int, count: int) -> int:
    """Return the partition of a Thing among so many: neighbours in number lie evenly over all of them.

    >>> [partition_of(thing, 4) for thing in range(1, 9)]
    [2, 0, 3, 1, 0, 2, 1, 3]
    """
    return ((thing * _ROUND) % (1 << 64) >> 32) * count >> 32
