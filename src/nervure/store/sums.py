"""Sums of the newest files, beside the table: Parquet as it is written here has none of its own.

A file in which a bit has turned may read without complaint and say something else. The newest files are
those that the log could still refill, so their sums are kept, and compared when the table is opened. A
file without a sum (the process died right after its commit) is taken as it reads.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from pathlib import Path
from zlib import crc32

import msgspec

__all__ = ["fits", "load", "save"]

_NAME = "_sums.json"
_PART = 1 << 20


def save(folder: Path, paths: Iterable[str]) -> None:
    """Write the sums of some files, which take the place of those before; a full disk does no harm."""
    before = load(folder)
    with contextlib.suppress(OSError):
        found = {one.name: before[one.name] if one.name in before else _sum(one) for one in map(Path, paths)}
        fresh = folder / f"{_NAME}.new"
        fresh.write_bytes(msgspec.json.encode(found))
        fresh.replace(folder / _NAME)


def load(folder: Path) -> dict[str, int]:
    """Return the sums by the names of files; none where they cannot be read."""
    try:
        return msgspec.json.decode((folder / _NAME).read_bytes(), type=dict[str, int])
    except (OSError, msgspec.MsgspecError):
        return {}


def fits(path: Path, sums: dict[str, int]) -> bool:
    """Tell whether a file is what was written, as far as its sum is known."""
    return path.name not in sums or sums[path.name] == _sum(path)


def _sum(path: Path) -> int:
    found = 0
    with path.open("rb") as file:
        while part := file.read(_PART):
            found = crc32(part, found)
    return found
