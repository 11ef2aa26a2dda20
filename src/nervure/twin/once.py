"""One process a twin: who comes second is refused before the platform hears of it.

To make a twin known gives its devices new credentials, so a second one would shut the first out, which then
runs on without anybody hearing it.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

from nervure.core.error import ConflictError, EnvironmentMissing

__all__ = ["once"]


@contextlib.contextmanager
def once(folder: Path, name: str, prefix: str) -> Iterator[None]:
    """Hold the place of a twin in a folder while it runs; ``prefix`` stands before its Things' names.

    Raises ConflictError with the number of the process that has it, EnvironmentMissing where nothing can be
    written. The system frees it when the process ends, however it ends.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as place, once(Path(place), "roads", "roads/"):
    ...     with once(Path(place), "roads", "roads/"):
    ...         pass
    Traceback (most recent call last):
      ...
    nervure.core.error.ConflictError: ...
    """
    path = folder / f"{quote(f'{name} {prefix}', safe='')[:200]}.lock"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as cause:
        raise EnvironmentMissing(
            f"it cannot be written down that this twin runs: {cause.strerror}", where=str(path)
        ) from cause
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as cause:
            who = os.pread(lock, 20, 0).decode("ascii", "replace").strip() or "unknown"
            raise ConflictError(
                f"the twin {name} of {prefix or 'no prefix'} runs already, in process {who}",
                where=str(path),
                hint="end that one first, or give this one a --prefix of its own",
            ) from cause
        with contextlib.suppress(OSError):  # a full disk: it is locked without our number on it
            os.ftruncate(lock, 0)
            os.pwrite(lock, str(os.getpid()).encode(), 0)
        yield
    finally:
        os.close(lock)
