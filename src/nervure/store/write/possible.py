"""Between which values the results of a client's Datastream can lie, as it says so in its properties.

    {"name": "hills/rain", "properties": {"possible": {"low": 0}}, …}

They are what a Solution declares of a signal: what lies beyond is kept, and marked out of range, so that
no model learns from it. Interlocks judge it like any other reading: what cannot be has to stop things, too.
In the Datastream's unit; either may be left out, and null says nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from nervure.core.error import QueryError

__all__ = ["POSSIBLE", "bounds"]

POSSIBLE = "possible"


class _Possible(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    low: float | None = None
    high: float | None = None


def bounds(properties: object, where: str) -> dict[str, float | None]:
    """Return the columns ``low`` and ``high`` of a Datastream with these properties.

    Raises ``QueryError`` where what they say is possible cannot be read, or nothing would be.

    >>> bounds({"possible": {"low": 0}}, "$"), bounds(None, "$")
    ({'low': 0.0, 'high': None}, {'low': None, 'high': None})
    """
    said = properties.get(POSSIBLE) if isinstance(properties, Mapping) else None
    where = f"{where}.properties.{POSSIBLE}"
    try:
        found = _Possible() if said is None else msgspec.convert(said, _Possible)
    except msgspec.ValidationError as cause:
        raise QueryError(
            f"{cause}", where=where, hint='{"low": 0, "high": 500}; either may be left out'
        ) from cause
    if found.low is not None and found.high is not None and found.low > found.high:
        raise QueryError(f"nothing lies between {found.low:g} and {found.high:g}", where=where)
    values: dict[str, Any] = msgspec.structs.asdict(found)
    return values
