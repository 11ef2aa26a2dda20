"""What goes wrong with files, said so that a person knows what to do."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nervure.core.error import StoreError

__all__ = ["explained", "is_full", "storing"]

_FULL = ("No space left", "File too large", "Disk quota exceeded")


def is_full(cause: BaseException) -> bool:
    """Tell whether an error says that the disk takes no more.

    >>> is_full(OSError(errno.ENOSPC, "No space left on device")), is_full(OSError(errno.EIO, "error"))
    (True, False)
    """
    known = isinstance(cause, OSError) and cause.errno in (errno.ENOSPC, errno.EFBIG, errno.EDQUOT)
    return known or any(sign in str(cause) for sign in _FULL)


@contextmanager
def storing(what: str, where: Path) -> Iterator[None]:
    """Turn what the table's library raises into a ``StoreError`` that says what to do."""
    try:
        yield
    except StoreError:
        raise
    except Exception as cause:
        raise explained(what, where, cause) from cause
    except BaseException as cause:
        if type(cause).__name__ != "PanicException":  # how a Rust library's failed assertion arrives
            raise
        raise explained(what, where, cause) from cause


def explained(what: str, where: Path, cause: BaseException) -> StoreError:
    """Say what could not be done and what to do about it: a full disk is told from anything else."""
    text = str(cause).partition("\n")[0].strip()
    if is_full(cause):
        return StoreError(
            f"cannot {what}: the disk is full ({text})",
            where=str(where),
            hint="make room; no reading is lost: what is not stored stays in the log and in memory",
        )
    return StoreError(
        f"cannot {what}: {text or type(cause).__name__}",
        where=str(where),
        hint="check that the folder can be written and is on a healthy disk",
    )
