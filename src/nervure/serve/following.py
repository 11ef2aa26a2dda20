"""Addresses of next pages: the query that was asked, with the option that says where it goes on.

An expansion has a next page of its own, whose options stand inside ``$expand``; they are kept as the
client wrote them.
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote, unquote_plus

__all__ = ["address", "given", "inside"]

_PLACE = {"$skip", "$skiptoken"}
_SAFE = "$,@/:;()'=*!~"


def given(query: str) -> dict[str, str]:
    """Return the options of a query string, percent-decoded, by their names.

    >>> given("$top=2&%24filter=name%20eq%20'a'&key=1")
    {'$top': '2', '$filter': "name eq 'a'", 'key': '1'}
    """
    found: dict[str, str] = {}
    for part in query.split("&"):
        name, _, value = part.partition("=")
        if name:
            _add(found, unquote_plus(name), unquote_plus(value))
    return found


def inside(options: Mapping[str, str], relation: str) -> dict[str, str]:
    """Return the options that ``$expand`` gives to a relation.

    >>> inside({"$expand": "Things/Locations($top=1;$select=name),Things($skip=2)"}, "Things")
    {'$expand': 'Locations($top=1;$select=name)', '$skip': '2'}
    """
    found: dict[str, str] = {}
    for part in _split(options.get("$expand", ""), ","):
        name, bracket, rest = part.strip().partition("(")
        name, slash, deeper = name.partition("/")
        if name.strip() != relation:
            continue
        if slash:
            _add(found, "$expand", deeper + bracket + rest)
            continue
        for option in _split(rest.rstrip().removesuffix(")"), ";"):
            key, equals, value = option.strip().partition("=")
            if equals:
                _add(found, key, value)
    return found


def address(start: str, options: Mapping[str, str], following: tuple[str, str]) -> str:
    """Return the address of the page after the one that ``options`` asked for.

    >>> address("http://localhost/v1.1/Things", {"$top": "1", "$skip": "3"}, ("$skiptoken", "x"))
    'http://localhost/v1.1/Things?$top=1&$skiptoken=x'
    """
    kept = {name: value for name, value in options.items() if name.lower() not in _PLACE}
    pairs = [
        f"{quote(name, safe=_SAFE)}={quote(value, safe=_SAFE)}" for name, value in (*kept.items(), following)
    ]
    return f"{start}?{'&'.join(pairs)}"


def _split(text: str, mark: str) -> list[str]:
    """Split at a mark that stands in no parentheses and in no string.

    >>> _split("a(b,c),d eq 'x,y'", ",")
    ['a(b,c)', "d eq 'x,y'"]
    """
    parts, depth, quoted, start = [], 0, False, 0
    for at, letter in enumerate(text):
        if letter == "'":
            quoted = not quoted
        elif quoted:
            continue
        elif letter in "()":
            depth += 1 if letter == "(" else -1
        elif letter == mark and depth == 0:
            parts.append(text[start:at])
            start = at + 1
    return [part for part in (*parts, text[start:]) if part.strip()]


def _add(found: dict[str, str], name: str, value: str) -> None:
    """Add an option; what one relation expands in two places is joined."""
    name = name.strip()
    name = "$expand" if name.lower() == "$expand" else name
    if name == "$expand" and name in found:
        value = f"{found[name]},{value}"
    found[name] = value
