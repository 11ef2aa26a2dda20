"""The functions of SensorThings 1.1 (OGC 18-088, table 23) by name, and how many arguments they take."""

from __future__ import annotations

from nervure.core.error import QueryError, UnsupportedQuery

__all__ = ["FUNCTIONS", "GEOMETRIC", "check"]

_SPATIAL = ("equals", "disjoint", "touches", "within", "overlaps", "crosses", "intersects", "contains")

GEOMETRIC: dict[str, tuple[int, int]] = {
    "geo.distance": (2, 2),
    "geo.length": (1, 1),
    "geo.intersects": (2, 2),
    **{f"st_{name}": (2, 2) for name in _SPATIAL},
    "st_relate": (3, 3),
}
"""The functions of geometries."""

FUNCTIONS: dict[str, tuple[int, int]] = {
    **dict.fromkeys(("substringof", "contains", "startswith", "endswith", "indexof", "concat"), (2, 2)),
    "substring": (2, 3),
    **dict.fromkeys(("length", "tolower", "toupper", "trim"), (1, 1)),
    **dict.fromkeys(("year", "month", "day", "hour", "minute", "second", "fractionalseconds"), (1, 1)),
    **dict.fromkeys(("date", "time", "totaloffsetminutes"), (1, 1)),
    **dict.fromkeys(("now", "mindatetime", "maxdatetime"), (0, 0)),
    **dict.fromkeys(("round", "floor", "ceiling"), (1, 1)),
    **dict.fromkeys(("before", "after", "meets", "during", "overlaps", "starts", "finishes"), (2, 2)),
    **GEOMETRIC,
}
"""Every function with the least and the greatest number of its arguments.

Those that relate times (``before`` to ``finishes``) are no part of the standard; other servers have them.
"""

_ELSEWHERE = {"cast", "isof", "totalseconds", "replace", "matchespattern", "case", "divby", "geo.within"}
"""Functions of OData that SensorThings leaves out."""


def check(name: str, arguments: int, position: int) -> None:
    """Refuse a function that there is not, and one with too few or too many arguments."""
    bounds = FUNCTIONS.get(name)
    where = f"position {position}"
    if bounds is None:
        if name.lower() in _ELSEWHERE:
            raise UnsupportedQuery(f"the function {name} is not answered (position {position})", where=where)
        near = ", ".join(sorted(one for one in FUNCTIONS if one[:2] == name.lower()[:2])) or "length, year"
        raise QueryError(
            f"there is no function {name!r} (position {position})", where=where, hint=f"like it are: {near}"
        )
    least, most = bounds
    if not least <= arguments <= most:
        wanted = f"{least}" if least == most else f"{least} or {most}"
        raise QueryError(
            f"{name} takes {wanted} arguments, not {arguments} (position {position})", where=where
        )
