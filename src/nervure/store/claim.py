"""A claim on a folder: one process writes it, and the claim ends with the process."""

from __future__ import annotations

import contextlib
import fcntl
import os
from pathlib import Path

from nervure.core.error import StoreError

__all__ = ["Claim"]


class Claim:
    """An exclusive ``flock`` on ``<folder>/_lock``, which holds our process id."""

    def __init__(self, folder: Path) -> None:
        path = folder / "_lock"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._handle = path.open("a+")
        except OSError as cause:
            raise StoreError(
                f"the folder of the observations cannot be written: {cause.strerror}",
                where=str(folder),
                hint="give this user the right to write there, or choose another data folder",
            ) from cause
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as cause:
            self._handle.seek(0)
            owner = self._handle.read().strip() or "unknown"
            self._handle.close()
            raise StoreError(
                f"another process (pid {owner}) writes these observations",
                where=str(folder),
                hint="stop it first (nervure down), or choose another data folder",
            ) from cause
        with contextlib.suppress(OSError):  # a full disk: the claim holds without our name on it
            self._handle.truncate(0)
            self._handle.write(str(os.getpid()))
            self._handle.flush()

    def release(self) -> None:
        """Let others write."""
        with contextlib.suppress(OSError):  # buffered text that a full disk does not take
            self._handle.close()
