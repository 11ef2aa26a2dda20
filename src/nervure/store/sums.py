"""Sums of the newest files, beside the table: Parquet as it is written here has none of its own.

A file in which a bit has turned may read without complaint and say something else. The newest files are
those that the log could still refill, or of which the files still lie there that they were merged from. So
their sums are kept before a commit names them, and compared when the table is opened. A file without a sum
(the disk was full, it is an old one) is taken as it reads.

A commit carries the sum of what it says, as its text is not known before it is written: a digit of it that
turned made the table say that it holds more of the log than it does.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from zlib import crc32

import msgspec

__all__ = ["fits", "load", "of_commit", "save"]

_NAME = "_sums.json"
_PART = 1 << 20
_ALSO = 8  # what was merged stays restorable for two seals, of a file or two each


def save(folder: Path, paths: Iterable[str], there: Iterable[str] = ()) -> None:
    """Write the sums of some files, and of the last few before that are ``there``; full disks do no harm."""
    before, names = load(folder), {one.rpartition("/")[2] for one in there}
    found = {name: before[name] for name in [name for name in before if name in names][-_ALSO:]}
    with contextlib.suppress(OSError):
        for one in map(Path, paths):
            found[one.name] = before[one.name] if one.name in before else _sum(one)
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


def of_commit(
    added: Iterable[tuple[str, int, Mapping[str, str | None], str]],
    removed: Iterable[str],
    marks: Iterable[tuple[str, int]],
) -> str:
    """Return the sum of what a commit says: path, size, partition and statistics of files, and its marks."""
    said = [sorted((path, size, sorted(parts.items()), stats) for path, size, parts, stats in added)]
    return f"{crc32(msgspec.json.encode([said, sorted(removed), sorted(marks)])):08x}"
