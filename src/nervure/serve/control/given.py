"""What queries say: instants, lists of keys, entity tags."""

from __future__ import annotations

import hashlib
import re
import time
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from nervure.core.error import DeclarationError, QueryError
from nervure.core.instant import DAY_NS, SECOND_NS, duration_ns, to_ns
from nervure.serve.answer import Answer
from nervure.serve.control.route import Call
from nervure.serve.control.vital import MS

__all__ = ["MS", "RENAMED", "instant_ns", "keys", "span_ns", "tagged"]

RENAMED = {"since": "from", "until": "to"}
"""How a span of time is called in queries and answers: ``from`` is no name in Python."""

MOST_KEYS = 10_000
_NUMBER = re.compile(r"[0-9]{1,16}", re.ASCII)
_PART = re.compile(r"([0-9]{1,15})(?:-([0-9]{1,15}))?", re.ASCII)
_LAST_NS = (1 << 63) - 1 - 400 * DAY_NS


def instant_ns(text: str, now_ns: int | None = None) -> int:
    """Read an instant: milliseconds since 1970, ISO 8601, ``now``, or before or after now as ``-24h``.

    >>> instant_ns("1000"), instant_ns("1970-01-01T00:00:01Z"), instant_ns("-1s", 5_000_000_000)
    (1000000000, 1000000000, 4000000000)
    """
    now = time.time_ns() if now_ns is None else now_ns
    try:
        found = _instant(text.strip(), now)
    except (ValueError, OverflowError, DeclarationError) as cause:
        raise QueryError(
            f"{text[:60]!r} is no instant", hint="write 1732300000000, 2026-01-01T00:00:00Z, now or -24h"
        ) from cause
    if not 0 <= found <= _LAST_NS:
        raise QueryError(f"{text[:60]!r} is out of sight", hint="name an instant between 1970 and 2260")
    return found


def _instant(text: str, now_ns: int) -> int:
    if text == "now":
        return now_ns
    if _NUMBER.fullmatch(text):
        return int(text) * MS
    if text[:1] in {"-", "+"}:
        length = duration_ns(text[1:])
        return now_ns - length if text[0] == "-" else now_ns + length
    return to_ns(datetime.fromisoformat(text.replace(" ", "+")))  # a plus that nobody escaped


def span_ns(since: str, until: str) -> tuple[int, int]:
    """Read a span of time, which must not be empty."""
    now = time.time_ns()
    start, end = instant_ns(since, now), instant_ns(until, now)
    if end - start < SECOND_NS // 1000:
        raise QueryError("the span of time is empty", hint="from must lie before to")
    return start, end


def keys(text: str, most: int = MOST_KEYS) -> NDArray[np.int64]:
    """Read keys and ranges of keys, rising and each once.

    >>> keys("5,1-3").tolist()
    [1, 2, 3, 5]
    """
    parts = []
    count = 0
    for one in text.split(","):
        found = _PART.fullmatch(one.strip())
        if found is None:
            raise QueryError(f"{one[:40]!r} is no key", hint="write keys and ranges of them: 1,2,7-90")
        low, high = int(found[1]), int(found[2] or found[1])
        count += max(0, high - low + 1)
        if count > most:
            raise QueryError(f"there are more than {most:,} keys", hint="ask for fewer at once")
        parts.append(np.arange(low, high + 1, dtype=np.int64))
    return np.unique(np.concatenate(parts))


def tagged(call: Call, body: bytes, *, mark: bytes | None = None) -> Answer:
    """Answer with an entity tag, or that nothing has changed; ``mark`` stands for what the body says."""
    tag = f'"{hashlib.blake2b(body if mark is None else mark, digest_size=9).hexdigest()}"'
    headers = (("etag", tag), ("cache-control", "private, no-cache"))
    known = {one.strip().removeprefix("W/") for one in call.says("if-none-match").split(",")}
    if tag in known:
        return Answer(status=304, headers=headers)
    return Answer(body=body, headers=headers)
