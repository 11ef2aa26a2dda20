"""Observations as clients write them, checked and written as the message of their Datastream."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Protocol

import msgspec

from nervure.core.error import QueryError, UnsupportedQuery
from nervure.core.instant import iso
from nervure.core.observation import NO_END, NO_RESULT_TIME, Draft, Observation
from nervure.core.sensorthings import BY_NAME
from nervure.store.write import content
from nervure.store.write.moment import instant, interval, moment
from nervure.store.write.stream import Stream

__all__ = ["Related", "draft", "merged"]

_KIND = BY_NAME["Observation"]
_NAMES = frozenset(one.name for one in _KIND.properties) | frozenset(one.name for one in _KIND.relations)
_STREAMS = ("Datastream", "MultiDatastream")
_FEATURE = "FeatureOfInterest"
_FORMS = {"phenomenonTime": moment, "resultTime": instant, "validTime": interval}


class Related(Protocol):
    """How an Observation finds what it is related to."""

    def above(self, kind: str, row: int) -> Stream:
        """Return the stream that the path names."""
        ...

    def stream(self, kind: str, value: Any, where: str) -> Stream:
        """Return the stream that a body names, or that it describes."""
        ...

    def feature(self, value: Any, where: str) -> int:
        """Return the feature that a body names, or that it describes."""
        ...

    def default(self, stream: Stream) -> int | None:
        """Return the feature made of the Location of a stream's Thing."""
        ...


def draft(
    body: object, related: Related, now_ns: int, *, where: str = "$", given: Mapping[str, int] | None = None
) -> Draft:
    """Check an Observation (18-088, section 8.2.7) and return it as a message.

    ``given`` are relations that the path names already, by row id.
    """
    if not isinstance(body, Mapping):
        raise QueryError("an Observation needs a JSON object", where=where)
    _check_names(body, where)
    said = {**body, **{name: {"@iot.id": row} for name, row in (given or {}).items()}} if given else body
    stream = _stream(said, related, where, given or {})
    message: dict[str, Any] = {"result": _result(body, stream, where)}
    for name, read in _FORMS.items():
        value = body.get(name)
        if value is not None:
            message[name] = read(value, f"{where}.{name}")
    message.setdefault("phenomenonTime", iso(now_ns))
    if body.get("parameters") is not None:
        if not isinstance(body["parameters"], Mapping):
            raise QueryError("parameters must be a JSON object", where=f"{where}.parameters")
        message["parameters"] = body["parameters"]
    if body.get("resultQuality") is not None:
        message["resultQuality"] = body["resultQuality"]
    if given and _FEATURE in given:
        feature: int | None = given[_FEATURE]
    elif body.get(_FEATURE) is not None:
        feature = related.feature(body[_FEATURE], f"{where}.{_FEATURE}")
    else:
        feature = related.default(stream)
    if feature is not None:
        message[_FEATURE] = {"@iot.id": feature}
    elif not stream.declared:  # a declared one may be of the whole site
        raise QueryError(
            "an Observation needs a FeatureOfInterest, for its Thing has no Location",
            where=f"{where}.{_FEATURE}",
            hint='link one, {"@iot.id": 1}, or give the Thing a Location',
        )
    return Draft(datastream=stream.id, message=_encoded(message, where))


def merged(
    body: Mapping[str, Any], before: Observation, *, multi: bool, replace: bool
) -> tuple[dict[str, Any], dict[str, int]]:
    """Return the body of an Observation as it is after a change, and the relations that stay.

    What a change does not name stays; with ``replace`` it becomes empty, but for the times and the
    relations, without which there is no Observation.
    """
    extra = _extra(before.extra)
    valid = extra.pop("validTime", None)
    kept: dict[str, Any] = {"phenomenonTime": _span(before.time_ns, before.end_time_ns)}
    if not replace:
        kept |= extra
        kept["result"] = before.result if isinstance(before.result, int | float) else _text(before.result)
        if not before.marks & NO_RESULT_TIME:
            kept["resultTime"] = iso(before.result_time_ns)
        if valid is not None:
            kept["validTime"] = _span(valid["start"], valid["end"])
    given: dict[str, int] = {}
    own = _STREAMS[multi]
    named = [name for name in _STREAMS if body.get(name) is not None]
    if not named:
        if body.get(own, 0) is None:
            raise QueryError("an Observation needs a Datastream or a MultiDatastream", where=f"$.{own}")
        given[own] = before.datastream
    elif named != [own] and own not in body:
        raise QueryError(
            "an Observation has a Datastream or a MultiDatastream, not both",
            where=f"$.{named[0]}",
            hint=f"take {own} away in the same request: null",
        )
    if _FEATURE not in body and before.feature:
        given[_FEATURE] = before.feature
    return {**kept, **body}, given


def _extra(text: str | None) -> dict[str, Any]:
    """Return what went with a result; nothing where an older version kept what nobody can read."""
    try:
        return msgspec.json.decode(text, type=dict[str, Any]) if text else {}
    except (msgspec.DecodeError, RecursionError):
        return {}


def _check_names(body: Mapping[str, Any], where: str) -> None:
    for name in body:
        if name not in _NAMES and "@" not in name and name != "id":
            known = ", ".join(sorted(_NAMES))
            raise QueryError(
                f"Observation has no property {name!r}", where=f"{where}.{name}", hint=f"it has {known}"
            )
    if isinstance(content.name_of(body), str):
        raise UnsupportedQuery("an Observation gets its number from the log", where=f"{where}['@iot.id']")


def _stream(said: Mapping[str, Any], related: Related, where: str, given: Mapping[str, int]) -> Stream:
    named = [name for name in _STREAMS if said.get(name) is not None]
    if len(named) != 1:
        both = "an Observation has a Datastream or a MultiDatastream, not both"
        none = "an Observation needs a Datastream or a MultiDatastream"
        raise QueryError(both if named else none, where=where, hint='link it: {"@iot.id": 1}')
    if named[0] in given:
        return related.above(named[0], given[named[0]])
    return related.stream(named[0], said[named[0]], f"{where}.{named[0]}")


def _result(body: Mapping[str, Any], stream: Stream, where: str) -> Any:
    if "result" not in body:
        raise QueryError("Observation: result is missing", where=f"{where}.result", hint="it is mandatory")
    result = body["result"]
    if isinstance(result, float) and not math.isfinite(result):
        raise QueryError("the result is no finite number", where=f"{where}.result")
    if stream.multi and (not isinstance(result, list) or len(result) != stream.width):
        raise QueryError(
            f"the result of this MultiDatastream is an array of {stream.width}", where=f"{where}.result"
        )
    number = isinstance(result, int | float) and not isinstance(result, bool)
    if stream.declared and stream.unit and not number:
        raise QueryError(f"the result must be a number in {stream.unit}", where=f"{where}.result")
    return result


def _span(start_ns: int, end_ns: int | None) -> str:
    return iso(start_ns) if end_ns in {None, NO_END} else f"{iso(start_ns)}/{iso(end_ns)}"


def _text(result: str) -> Any:
    return msgspec.json.decode(result)


def _encoded(message: Mapping[str, Any], where: str) -> bytes:
    try:
        return msgspec.json.encode(message)
    except (OverflowError, RecursionError, TypeError, ValueError) as cause:
        raise QueryError("the Observation has no form in JSON", where=where) from cause
