"""Query options of SensorThings 1.1 (18-088, section 9.3): those that are answered, read and bounded.

``$top``, ``$skip``, ``$count``, ``$orderby`` and ``$select`` are; ``$filter``, ``$expand`` and
``$resultFormat`` are known and refused as unsupported; anything else that starts with ``$`` is
malformed. Options without ``$`` belong to nobody and are ignored, as OData asks. Links to the next
page of Observations carry ``$skiptoken``, so that the last page costs what the first one does.
"""

from __future__ import annotations

import re
from urllib.parse import parse_qsl, urlencode

import msgspec

from nervure.core.error import QueryError
from nervure.serve.answer import Unsupported

__all__ = ["LARGEST_PAGE", "Options", "following", "parse"]

PAGE = 100
LARGEST_PAGE = 1_000
FURTHEST_SKIP = 1_000_000
_KNOWN = ("$top", "$skip", "$count", "$orderby", "$select")
_LATER = ("$filter", "$expand", "$resultFormat")
_TOKEN = re.compile(r"(-?[0-9]{1,19})\.([0-9]{1,18})")
_ORDER = re.compile(r"\s*([@A-Za-z.]+(?:/[A-Za-z]+)*)(?:\s+(asc|desc))?\s*")


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """What a collection is asked for; ``top`` is already no larger than a page may be.

    ``after`` is the (time, id) of the last row of the page before.
    """

    top: int = PAGE
    skip: int = 0
    count: bool = False
    order: tuple[tuple[str, bool], ...] = ()
    select: tuple[str, ...] = ()
    after: tuple[int, int] | None = None


def parse(query: bytes) -> Options:
    """Read a query string; order is ``(property, descending)``.

    >>> parse(b"$top=5&$orderby=phenomenonTime%20desc").order
    (('phenomenonTime', True),)
    """
    given = _pairs(query)
    for name in given:
        if name in _LATER:
            raise Unsupported(f"{name} is not supported yet", hint=f"supported are {', '.join(_KNOWN)}")
        if name.startswith("$") and name not in {*_KNOWN, "$skiptoken"}:
            raise QueryError(f"{name} is no query option", hint=f"supported are {', '.join(_KNOWN)}")
    return Options(
        top=min(_whole(given, "$top", PAGE, None), LARGEST_PAGE),
        skip=_whole(given, "$skip", 0, FURTHEST_SKIP),
        count=_flag(given, "$count"),
        order=_order(given.get("$orderby")),
        select=_names(given.get("$select")),
        after=_token(given.get("$skiptoken")),
    )


def following(query: bytes, options: Options, last: tuple[int, int] | None = None) -> str:
    """Return the query string of the next page; ``last`` is the (time, id) of this page's last row.

    >>> following(b"$top=2&$skip=4", parse(b"$top=2&$skip=4"))
    '$top=2&$skip=6'
    >>> following(b"$top=2&$skip=4", parse(b"$top=2&$skip=4"), (7, 1))
    '$top=2&$skiptoken=7.1'
    """
    given = _pairs(query) | {"$top": str(options.top)}
    if last is None:
        given["$skip"] = str(options.skip + options.top)
    else:
        given.pop("$skip", None)
        given["$skiptoken"] = f"{last[0]}.{last[1]}"
    return urlencode(given, safe="$,@/")


def _pairs(query: bytes) -> dict[str, str]:
    try:
        pairs = parse_qsl(
            query.decode("ascii"),
            keep_blank_values=True,
            max_num_fields=20,
            errors="strict",
            strict_parsing=bool(query),
        )
    except (ValueError, UnicodeError) as cause:
        raise QueryError("the query string cannot be read", hint="write $top=10&$skip=20") from cause
    given = dict(pairs)
    if len(given) != len(pairs):
        raise QueryError("a query option is given twice")
    return given


def _whole(given: dict[str, str], name: str, default: int, most: int | None) -> int:
    text = given.get(name)
    if text is None:
        return default
    if not re.fullmatch(r"[0-9]{1,18}", text):
        raise QueryError(f"{name} must be a whole number from 0, not {text!r}")
    if most is not None and int(text) > most:
        raise QueryError(f"{name} may be {most} at most", hint="order by phenomenonTime the other way")
    return int(text)


def _flag(given: dict[str, str], name: str) -> bool:
    text = given.get(name, "false")
    if text not in {"true", "false"}:
        raise QueryError(f"{name} must be true or false, not {text!r}")
    return text == "true"


def _order(text: str | None) -> tuple[tuple[str, bool], ...]:
    if text is None:
        return ()
    found = []
    for part in text.split(","):
        read = _ORDER.fullmatch(part)
        if not read:
            raise QueryError(f"$orderby cannot read {part!r}", hint="write $orderby=phenomenonTime desc")
        found.append((read[1], read[2] == "desc"))
    return tuple(found)


def _names(text: str | None) -> tuple[str, ...]:
    if text is None:
        return ()
    names = tuple(part.strip() for part in text.split(","))
    if not all(names):
        raise QueryError(f"$select cannot read {text!r}", hint="write $select=name,description")
    return names


def _token(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    read = _TOKEN.fullmatch(text)
    if not read:
        raise QueryError(f"$skiptoken {text!r} is not one of ours", hint="follow @iot.nextLink as it stands")
    return int(read[1]), int(read[2])
