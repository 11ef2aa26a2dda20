"""Values against their description in SWE Common (OGC 08-094r1, section 8; JSON as in OGC 17-011r2).

A TaskingCapability describes what may be asked as a DataRecord of components; a Task names them with
values. A component of a type that is not known here takes any value.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from nervure.core.error import QueryError
from nervure.store.write.moment import instant

__all__ = ["check"]

_LONGEST_PATTERN = 1_000
_LONGEST_TEXT = 10_000
_MOST = sys.float_info.max


def check(description: object, value: object, where: str = "$") -> None:
    """Raise ``QueryError`` if a value is not what its description says.

    >>> lamp = {"type": "DataRecord", "field": [{"name": "level", "type": "Count",
    ...         "constraint": {"type": "AllowedValues", "interval": [[0, 100]]}}]}
    >>> check(lamp, {"level": 40})
    >>> check(lamp, {"level": 400})
    Traceback (most recent call last):
    nervure.core.error.QueryError: 400 is not allowed
      at $.level
    hint: it lies in [0, 100]
    """
    if isinstance(description, Mapping):
        kind = description.get("type", "DataRecord" if _parts(description, "field") else "")
        judge = _JUDGES.get(str(kind))
        if judge is not None and not _is_nil(description, value):
            judge(description, value, where)


def _record(description: Mapping[str, Any], value: object, where: str) -> None:
    fields = _parts(description, "field")
    if not isinstance(value, Mapping):
        raise QueryError("a JSON object is needed here", where=where, hint=_names(fields))
    known = {str(one.get("name")): one for one in fields}
    for name in value:
        if name not in known:
            raise QueryError(f"there is no parameter {name!r}", where=f"{where}.{name}", hint=_names(fields))
    for name, one in known.items():
        if name in value:
            check(_component(one), value[name], f"{where}.{name}")
        elif _component(one).get("optional") is not True:
            raise QueryError(f"the parameter {name!r} is missing", where=where, hint=_names(fields))


def _choice(description: Mapping[str, Any], value: object, where: str) -> None:
    choices = _parts(description, "item")
    known = {str(one.get("name")): one for one in choices}
    if not isinstance(value, Mapping) or len(value) != 1 or next(iter(value)) not in known:
        raise QueryError("exactly one of the choices is needed here", where=where, hint=_names(choices))
    [(name, chosen)] = value.items()
    check(_component(known[name]), chosen, f"{where}.{name}")


def _array(description: Mapping[str, Any], value: object, where: str) -> None:
    if not isinstance(value, list):
        raise QueryError("an array is needed here", where=where)
    count = description.get("elementCount")
    size = count.get("value") if isinstance(count, Mapping) else count
    if isinstance(size, int) and len(value) != size:
        raise QueryError(f"{size} values are needed here, not {len(value)}", where=where)
    limits = count.get("constraint") if isinstance(count, Mapping) else None
    if isinstance(limits, Mapping) and not _allowed_number(limits, len(value)):
        raise QueryError(f"{len(value)} values are not allowed", where=where, hint=_limits(limits))
    element = description.get("elementType")
    for index, one in enumerate(value):
        check(_component(element) if isinstance(element, Mapping) else None, one, f"{where}[{index}]")


def _vector(description: Mapping[str, Any], value: object, where: str) -> None:
    _record({"field": _parts(description, "coordinate")}, value, where)


def _quantity(description: Mapping[str, Any], value: object, where: str) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not _finite(value):
        raise QueryError(f"{_shown(value)} is no number", where=where)
    _within(description, value, where)


def _finite(value: Any) -> bool:
    """Tell whether a number is one that a double can say: JSON knows longer ones."""
    return bool(-_MOST <= value <= _MOST)


def _count(description: Mapping[str, Any], value: object, where: str) -> None:
    whole = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
    if isinstance(value, bool) or not whole or not _finite(value):
        raise QueryError(f"{_shown(value)} is no whole number", where=where)
    _within(description, value, where)


def _within(description: Mapping[str, Any], value: Any, where: str) -> None:
    limits = description.get("constraint")
    if isinstance(limits, Mapping) and not _allowed_number(limits, value):
        raise QueryError(f"{_shown(value)} is not allowed", where=where, hint=_limits(limits))


def _boolean(_description: Mapping[str, Any], value: object, where: str) -> None:
    if not isinstance(value, bool):
        raise QueryError(f"{_shown(value)} is neither true nor false", where=where)


def _text(description: Mapping[str, Any], value: object, where: str) -> None:
    if not isinstance(value, str):
        raise QueryError(f"{_shown(value)} is no text", where=where)
    limits = description.get("constraint")
    if not isinstance(limits, Mapping):
        return
    tokens, pattern = limits.get("value"), limits.get("pattern")
    listed = isinstance(tokens, list) and value in tokens
    matching = isinstance(pattern, str) and _matches(pattern, value)
    if (isinstance(tokens, list) or isinstance(pattern, str)) and not (listed or matching):
        raise QueryError(f"{_shown(value)} is not allowed", where=where, hint=_limits(limits))


def _time(description: Mapping[str, Any], value: object, where: str) -> None:
    moment = instant(value, where)
    limits = description.get("constraint")
    if not isinstance(limits, Mapping):
        return
    values = [instant(one, where) for one in limits.get("value") or []]
    spans = [[instant(end, where) for end in span] for span in limits.get("interval") or []]
    if (values or spans) and moment not in values and not any(a <= moment <= b for a, b in spans):
        raise QueryError(f"{value} is not allowed", where=where, hint=_limits(limits))


def _range(of: str) -> Callable[[Mapping[str, Any], object, str], None]:
    def judge(description: Mapping[str, Any], value: object, where: str) -> None:
        if not isinstance(value, list) or len(value) != 2:
            raise QueryError("two values, from and to, are needed here", where=where)
        for index, one in enumerate(value):
            check({**description, "type": of}, one, f"{where}[{index}]")

    return judge


def _allowed_number(limits: Mapping[str, Any], value: float) -> bool:
    """An AllowedValues lists values, intervals or both; what lies in one of them is allowed."""
    values, spans = limits.get("value"), limits.get("interval")
    if not isinstance(values, list) and not isinstance(spans, list):
        return True
    listed = isinstance(values, list) and value in values
    return listed or any(_in(span, value) for span in (spans if isinstance(spans, list) else []))


def _in(span: object, value: float) -> bool:
    if not isinstance(span, list) or len(span) != 2:
        return False
    low, high = (_number(end, unbounded) for end, unbounded in zip(span, (-math.inf, math.inf), strict=True))
    return low <= value <= high


def _number(end: object, unbounded: float) -> float:
    """Read the end of an interval; infinity is written as a text."""
    if not isinstance(end, int | float):
        return unbounded
    return float(end) if _finite(end) else (math.inf if end > 0 else -math.inf)


def _matches(pattern: str, value: str) -> bool:
    if len(pattern) > _LONGEST_PATTERN or len(value) > _LONGEST_TEXT:
        return False
    import pyarrow as pa
    from pyarrow import compute

    try:  # RE2, which takes no longer for a pattern of malice
        return bool(compute.match_substring_regex(pa.scalar(value), rf"\A(?:{pattern})\z").as_py())
    except pa.ArrowInvalid:
        return False


def _is_nil(description: Mapping[str, Any], value: object) -> bool:
    """Tell whether a value stands for none, as ``nilValues`` lists them."""
    nil = description.get("nilValues") or ()
    return any(isinstance(one, Mapping) and one.get("value") == value for one in nil if isinstance(nil, list))


def _parts(description: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    parts = description.get(name, description.get(f"{name}s"))
    return [one for one in parts if isinstance(one, Mapping)] if isinstance(parts, list) else []


def _component(part: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the component of a field, which holds it or is it."""
    inner = part.get("component")
    return inner if isinstance(inner, Mapping) else part


def _names(parts: Sequence[Mapping[str, Any]]) -> str:
    return f"it has {', '.join(str(one.get('name')) for one in parts)}" if parts else "it has no parameters"


def _limits(limits: Mapping[str, Any]) -> str:
    said = (
        [f"is one of {', '.join(map(str, limits['value']))}"] if isinstance(limits.get("value"), list) else []
    )
    said += [f"lies in {span}" for span in limits.get("interval") or []]
    said += [f"looks like {limits['pattern']}"] if "pattern" in limits else []
    return f"it {' or '.join(said)}"


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


_JUDGES: dict[str, Callable[[Mapping[str, Any], object, str], None]] = {
    "DataRecord": _record,
    "DataChoice": _choice,
    "DataArray": _array,
    "Vector": _vector,
    "Quantity": _quantity,
    "Count": _count,
    "Boolean": _boolean,
    "Text": _text,
    "Category": _text,
    "Time": _time,
    "QuantityRange": _range("Quantity"),
    "CountRange": _range("Count"),
    "CategoryRange": _range("Category"),
    "TimeRange": _range("Time"),
}
