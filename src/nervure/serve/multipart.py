"""Parts of a batch as ``multipart/mixed`` (RFC 2046, 5.1.3) of ``application/http``, read and written.

A part is one HTTP request, or, one level deep, another multipart: a change set.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable, Sequence
from http import HTTPStatus

import msgspec

from nervure.core.error import QueryError
from nervure.serve.answer import Answer

__all__ = ["Part", "boundary_of", "read_parts", "write_parts"]

_BOUNDARY = re.compile(r';\s*boundary=(?:"([^"]{1,70})"|([^\s;"]{1,70}))', re.IGNORECASE)
_LINE = re.compile(r"([A-Za-z]{1,16})[ \t]+(\S.*?)(?:[ \t]+HTTP/\d(?:\.\d)?)?[ \t]*")
_HEADER = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*(.*?)[ \t]*")
_MOST_HEADERS = 64


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """One request, or a change set of several (``parts``). ``id`` is its ``Content-ID``."""

    id: str = ""
    method: str = ""
    url: str = ""
    headers: dict[str, str] = {}
    body: bytes = b""
    parts: tuple[Part, ...] | None = None


def boundary_of(kind: str) -> str:
    """Return the boundary in a ``Content-Type``.

    >>> boundary_of('multipart/mixed; boundary="batch 1"')
    'batch 1'
    """
    found = _BOUNDARY.search(kind)
    if found is None:
        raise QueryError("the multipart names no boundary", hint="multipart/mixed; boundary=batch_1")
    return found[1] or found[2]


def read_parts(body: bytes, boundary: str, *, most: int, inside: bool = False) -> tuple[Part, ...]:
    """Read the parts between the boundaries; more than ``most`` in all is a ``QueryError``."""
    mark = re.compile(rb"(?:^|\r?\n)--" + re.escape(boundary.encode()) + rb"(--)?[ \t]*(?=\r?\n|$)")
    marks = list(mark.finditer(body))
    if not marks or (marks[-1][1] is None and len(marks) < 2):
        raise QueryError(f"there are no parts between lines of --{boundary}")
    parts: list[Part] = []
    count = 0
    for begin, end in zip(marks, [*marks[1:], None], strict=True):
        if begin[1] is not None:
            break
        if end is None:
            raise QueryError(f"the last line of the batch is not --{boundary}--")
        part = _part(body[begin.end() : end.start()], most=most - count, inside=inside)
        count += 1 if part.parts is None else len(part.parts)
        if count > most:
            raise QueryError(f"a batch may have {most} requests at most")
        parts.append(part)
    return tuple(parts)


def _part(text: bytes, *, most: int, inside: bool) -> Part:
    headers, content = _split(text.removeprefix(b"\r\n") if text[:2] == b"\r\n" else text.removeprefix(b"\n"))
    kind = headers.get("content-type", "application/http")
    if kind.lower().startswith("multipart/mixed"):
        if inside:
            raise QueryError("a change set may hold no other one")
        return Part(parts=read_parts(content, boundary_of(kind), most=most, inside=True))
    if not kind.lower().startswith("application/http"):
        raise QueryError(f"a part of a batch may not be {kind}", hint="write Content-Type: application/http")
    line, _, rest = content.lstrip(b"\r\n").partition(b"\n")
    said = _LINE.fullmatch(line.decode("utf-8", "replace").rstrip("\r"))
    if said is None:
        raise QueryError(f"{line[:80]!r} begins no request", hint="write GET Things(1) HTTP/1.1")
    inner, body = _split(rest)
    return Part(
        id=headers.get("content-id", inner.pop("content-id", "")).strip("<>"),
        method=said[1].upper(),
        url=said[2],
        headers=inner,
        body=body.strip(b"\r\n"),
    )


def _split(text: bytes) -> tuple[dict[str, str], bytes]:
    """Split headers, whose names are written small, from what follows the empty line."""
    headers: dict[str, str] = {}
    rest = text
    while rest:
        line, _, rest = rest.partition(b"\n")
        shown = line.decode("utf-8", "replace").rstrip("\r")
        if not shown:
            break
        found = _HEADER.fullmatch(shown)
        if found is None or len(headers) >= _MOST_HEADERS:
            raise QueryError(f"{shown[:80]!r} is no header")
        headers[found[1].lower()] = found[2]
    return headers, rest


def write_parts(answers: Iterable[tuple[str, Answer] | Sequence[tuple[str, Answer]]]) -> tuple[bytes, str]:
    """Write answers ``(Content-ID, answer)``, those of a change set as a list; return body and type."""
    boundary = f"batch_{secrets.token_hex(12)}"
    lines: list[bytes] = []
    for one in answers:
        lines.append(b"--%b\r\n" % boundary.encode())
        if isinstance(one, tuple):
            lines.append(_written(*one))
        else:
            body, kind = write_parts(one)
            lines.append(b"Content-Type: %b\r\n\r\n%b\r\n" % (kind.encode(), body))
    lines.append(b"--%b--" % boundary.encode())
    return b"".join(lines), f"multipart/mixed; boundary={boundary}"


def _written(id: str, answer: Answer) -> bytes:
    head = ["Content-Type: application/http"]
    if id:
        head.append(f"Content-ID: {id}")
    head += ["", f"HTTP/1.1 {answer.status} {HTTPStatus(answer.status).phrase}"]
    if answer.body:
        head.append(f"Content-Type: {answer.kind}")
    head += [f"{name.title()}: {value}" for name, value in answer.headers]
    return "\r\n".join([*head, "", ""]).encode() + answer.body + b"\r\n"
