"""Why a message, or one reading in it, is not taken. Every reject carries one of these and a detail."""

from __future__ import annotations

import reprlib

__all__ = [
    "FLOOD",
    "FUTURE",
    "MALFORMED",
    "NOT_A_NUMBER",
    "OUT_OF_TYPE",
    "REASONS",
    "TOO_LARGE",
    "TOO_OLD",
    "UNKNOWN_FEATURE",
    "UNKNOWN_STREAM",
    "UNRESOLVED",
    "WRONG_UNIT",
    "Unreadable",
    "shown",
]

MALFORMED = "malformed"
"""The bytes are no message that is known here."""

NOT_A_NUMBER = "not-a-number"
"""The result is NaN, infinite, null, or too large for a float."""

UNKNOWN_STREAM = "unknown-stream"
"""No Datastream takes it."""

WRONG_UNIT = "wrong-unit"
"""The unit is none, or cannot be converted into the Datastream's."""

TOO_OLD = "too-old"
"""Its time is before the oldest day that is taken."""

FUTURE = "future"
"""Its time is further ahead of its arrival than clocks may differ."""

TOO_LARGE = "too-large"
"""The message has more bytes, or more readings, than are taken."""

FLOOD = "flood"
"""The Datastream sent more messages a second than are taken for long."""

OUT_OF_TYPE = "out-of-type"
"""The result is a text, a truth value or a list where a number is expected."""

UNKNOWN_FEATURE = "unknown-feature"
"""There is no such FeatureOfInterest."""

UNRESOLVED = "unresolved"
"""It describes an entity, or names one by a client's key: the catalogue must look first."""

REASONS = (
    MALFORMED,
    NOT_A_NUMBER,
    UNKNOWN_STREAM,
    WRONG_UNIT,
    TOO_OLD,
    FUTURE,
    TOO_LARGE,
    FLOOD,
    OUT_OF_TYPE,
    UNKNOWN_FEATURE,
    UNRESOLVED,
)


class Unreadable(Exception):
    """Something in a message cannot be taken; it never leaves this room."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(reason, detail)
        self.reason = reason
        self.detail = detail


_short = reprlib.Repr()
_short.maxstring = _short.maxother = _short.maxlong = 60
_short.maxlist = _short.maxtuple = _short.maxdict = 4
_short.maxlevel = 2


def shown(value: object) -> str:
    """Write what a device sent so that a person can read it, and not much of it.

    >>> shown("12,5"), shown(list(range(100)))
    ("'12,5'", '[0, 1, 2, 3, ...]')
    """
    return _short.repr(value)
