"""What is asked of the SensorThings service: by HTTP, or as one part of a batch."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import msgspec

from nervure.core.error import QueryError
from nervure.serve.answer import Unreadable

__all__ = ["Request", "base_of", "body_of", "link", "media_of", "named", "preference"]

DEEPEST = 64
"""How deep a body may be nested."""

_JSON = re.compile(r"(?:application|text)/(?:[\w.-]+\+)?json|application/x-www-form-urlencoded|")
"""What JSON may be called: forms are never sent here, and ``curl -d`` calls everything one."""

_PLAIN = "!'()*-._~:@$,;="
_QUOTE = "'"
_HOST = re.compile(r"[\w.:\[\]-]{1,255}", re.ASCII)
_RETURN = re.compile(r"(?:^|[,;\s])return=(minimal|representation)\b", re.IGNORECASE)


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """A question: ``path`` is what follows ``/v1.1/``, decoded; ``query`` is as it was written.

    ``base`` is the address that links begin with, ``headers`` have their names in small letters.
    ``quiet``: no entity is wanted back unless ``Prefer`` asks for it.
    """

    method: str
    path: str
    base: str
    query: str = ""
    headers: Mapping[str, str] = {}
    body: bytes = b""
    quiet: bool = False


def base_of(scope: Mapping[str, Any]) -> str:
    """Return the address of the node, as the client called it."""
    server = scope.get("server") or ("127.0.0.1", None)
    host = f"{server[0]}:{server[1]}" if server[1] else str(server[0])
    for name, value in scope["headers"]:
        if name == b"host":
            host = value.decode("latin-1")
    if not _HOST.fullmatch(host):
        host = "localhost"
    return f"{scope.get('scheme', 'http')}://{host}"


def media_of(request: Request) -> str:
    """Return the media type of the body, in small letters and without parameters.

    >>> media_of(Request(method="POST", path="", base="", headers={"content-type": "Application/JSON; a=b"}))
    'application/json'
    """
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def body_of(request: Request) -> Any:
    """Decode the body, which is JSON whether that is said or not.

    `Unreadable` for another media type, ``QueryError`` with the position for what is no JSON.
    """
    media = media_of(request)
    if not _JSON.fullmatch(media):
        raise Unreadable(f"a body of the type {media} is not read here", hint="send application/json")
    try:
        found = msgspec.json.decode(request.body)
    except (msgspec.DecodeError, UnicodeDecodeError) as cause:
        what = f"the body is no JSON: {cause}" if request.body.strip() else "there is no body"
        place = "" if "byte" in what else f" (byte {len(request.body)})"
        raise QueryError(what + place, hint='send a JSON object: {"name": …}') from cause
    except RecursionError as cause:
        raise QueryError(f"the body is nested deeper than {DEEPEST} levels") from cause
    _require_shallow(found)
    return found


def _require_shallow(found: Any) -> None:
    level: list[Any] = [found]
    for _ in range(DEEPEST):
        inner: list[Any] = []
        for one in level:
            if isinstance(one, dict):
                inner += [value for value in one.values() if isinstance(value, dict | list)]
            elif isinstance(one, list):
                inner += [value for value in one if isinstance(value, dict | list)]
        if not inner:
            return
        level = inner
    raise QueryError(f"the body is nested deeper than {DEEPEST} levels")


def preference(request: Request) -> str:
    """Return what the client prefers to get back: ``minimal``, ``representation``, or nothing (RFC 7240).

    >>> preference(Request(method="POST", path="", base="", headers={"prefer": "wait=9, return=minimal"}))
    'minimal'
    """
    found = _RETURN.search(request.headers.get("prefer", ""))
    return found[1].lower() if found else ""


def named(entities: str, name: int | str) -> str:
    """Return the path of an entity.

    >>> named("Things", "it's")
    "Things('it''s')"
    """
    if isinstance(name, str):
        return f"{entities}('{name.replace(_QUOTE, 2 * _QUOTE)}')"
    return f"{entities}({name})"


def link(base: str, entities: str, name: int | str) -> str:
    """Return the address of an entity.

    >>> link("http://localhost/v1.1", "Things", "a b")
    "http://localhost/v1.1/Things('a%20b')"
    """
    path = named(entities, name)
    return f"{base}/{quote(path, safe=_PLAIN) if isinstance(name, str) else path}"
