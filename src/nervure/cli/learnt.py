"""``--learn``: which rows of a record are taken for normal."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np

from nervure.core.error import DeclarationError, UsageError
from nervure.core.instant import duration_ns, iso, to_ns

if TYPE_CHECKING:
    from nervure.learn.detect.block import Block

__all__ = ["share_of", "span_of"]


def span_of(learn: str) -> int | None:
    """Return the nanoseconds of a length of time such as ``14d``, None if it is not one.

    >>> span_of("1h"), span_of("40%")
    (3600000000000, None)
    """
    try:
        return duration_ns(learn)
    except DeclarationError:
        return None


def share_of(block: Block, learn: str) -> float:
    """Return the share of a record to learn from: a share as it is, a length or a time by its place."""
    text = learn.strip()
    if text.endswith("%"):
        try:
            share = float(text[:-1]) / 100
        except ValueError:
            share = 0.0
        if not 0.05 <= share <= 0.95:
            raise UsageError(f"--learn {learn}: must be 5% to 95%, or a time", hint="say --learn 40%")
        return share
    span = span_of(text)
    moment = _moment(text) if span is None else int(block.time[0]) + span
    place = int(np.searchsorted(block.time, moment))
    if not 0 < place < len(block):
        first, last = iso(int(block.time[0])), iso(int(block.time[-1]))
        raise UsageError(
            f"--learn {learn} is not within {block.name}", hint=f"it lasts from {first} to {last}"
        )
    return place / len(block)


def _moment(text: str) -> int:
    try:
        return to_ns(datetime.fromisoformat(text))
    except ValueError as cause:
        raise UsageError(
            f"--learn {text} is no share, no length and no time",
            hint="say --learn 40%, --learn 14d, or a time in ISO 8601",
        ) from cause
