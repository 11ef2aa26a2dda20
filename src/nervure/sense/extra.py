"""What an Observation can carry besides its result and its times (OGC 18-088, table 12)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from nervure.sense.moment import span_ns
from nervure.sense.reason import MALFORMED, UNKNOWN_FEATURE, UNRESOLVED, Unreadable, shown

__all__ = ["EXTRAS", "extra_of", "feature_of"]

EXTRAS = ("parameters", "resultQuality", "validTime")


def extra_of(item: Mapping[Any, Any]) -> str | None:
    """Return the JSON text of parameters, result quality and valid time, or None where there is none.

    The valid time is written as two instants in nanoseconds.

    >>> extra_of({"result": 1, "validTime": "1970-01-01T00:00:00Z/1970-01-01T00:00:01Z"})
    '{"validTime":{"start":0,"end":1000000000}}'
    """
    found = {name: item[name] for name in EXTRAS if item.get(name) is not None}
    if not found:
        return None
    if not isinstance(found.get("parameters", {}), dict):
        raise Unreadable(MALFORMED, f"parameters are {shown(found['parameters'])}, not an object")
    if "validTime" in found:
        start, end = span_ns(found["validTime"])
        found["validTime"] = {"start": start, "end": start if end is None else end}
    try:
        return msgspec.json.encode(found).decode()
    except (TypeError, ValueError) as cause:
        raise Unreadable(MALFORMED, f"{shown(found)} has no form in JSON") from cause


def feature_of(named: object) -> int:
    """Return the id of the FeatureOfInterest that a message names, 0 where it names none.

    One that is described, or called by a client's key, is for the catalogue to find.

    >>> feature_of({"@iot.id": 5}), feature_of(None)
    (5, 0)
    """
    if named is None:
        return 0
    if not isinstance(named, dict):
        raise Unreadable(
            UNKNOWN_FEATURE, f'{shown(named)} names no FeatureOfInterest; write {{"@iot.id": 7}}'
        )
    identity = named.get("@iot.id")
    if isinstance(identity, int) and not isinstance(identity, bool) and 0 < identity < 1 << 63:
        return identity
    raise Unreadable(UNRESOLVED, "the message describes its FeatureOfInterest")
