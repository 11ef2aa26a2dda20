"""Fetch a data file once from its public address, and believe it only by its checksum."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import httpx

from nervure.core.error import DataError

__all__ = ["fetch", "sha256_of"]

_CHUNK = 1 << 20
_CONNECT_S = 10.0  # a host that does not answer by then is away, and there may be many files


def sha256_of(path: Path) -> str:
    """Return a file's SHA-256 in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fetch(
    url: str,
    target: Path,
    sha256: str,
    *,
    progress: Callable[[int, int], None] | None = None,
    limit_bytes: int = 1 << 30,
    timeout_s: float = 60.0,
) -> Path:
    """Download ``url`` to ``target`` and return it; a file that is there and right stays.

    ``progress`` is told the bytes so far and in all (0 if unknown). A wrong checksum, a wrong
    status or a file over ``limit_bytes`` is a ``DataError``, and nothing is left behind.
    """
    if target.exists() and sha256_of(target) == sha256:
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    wait = httpx.Timeout(timeout_s, connect=min(timeout_s, _CONNECT_S))
    handle, draft = tempfile.mkstemp(dir=target.parent, suffix=".part")
    try:
        with (
            os.fdopen(handle, "wb") as file,
            httpx.stream("GET", url, follow_redirects=True, timeout=wait) as answer,
        ):
            answer.raise_for_status()
            digest = _copy(answer, file.write, progress, limit_bytes, url)
        if digest != sha256:
            raise DataError(
                f"{url} is not the file it should be: its SHA-256 is {digest}, not {sha256}",
                hint="the source has changed; put the right file there by hand: " + str(target),
            )
        Path(draft).replace(target)
    except (httpx.HTTPError, OSError) as cause:
        raise DataError(
            f"cannot fetch {url}: {cause}", hint=f"check the network, or put the file there by hand: {target}"
        ) from cause
    finally:
        Path(draft).unlink(missing_ok=True)
    return target


def _copy(
    answer: httpx.Response,
    write: Callable[[bytes], int],
    progress: Callable[[int, int], None] | None,
    limit_bytes: int,
    url: str,
) -> str:
    total = int(answer.headers.get("content-length", 0))
    digest, done = hashlib.sha256(), 0
    for chunk in answer.iter_bytes(_CHUNK):
        done += len(chunk)
        if done > limit_bytes:
            raise DataError(f"{url} is larger than {limit_bytes} bytes", hint="is this the right address?")
        digest.update(chunk)
        write(chunk)
        if progress:
            progress(done, total)
    return digest.hexdigest()
