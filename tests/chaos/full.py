"""A process whose disk fills up and is cleared again: ``python full.py FOLDER`` prints what it saw."""

from __future__ import annotations

import resource
import sys
from pathlib import Path

import msgspec

from nervure.core.error import StoreError
from nervure.store.observations import Observations
from tests.chaos.writer import message

LIMITS = ((40, 0), (40, 100), (40, 1_000), (40, 2_000))
"""How many messages wait, and the largest file that may be written, in bytes: none at all, part of a file."""

FEW = 2
"""Of so few messages files are smaller than the commit that names them."""


def between(folder: Path) -> int:
    """Return a size that the newest files do not reach, and the commit that names them does."""
    commit = max((folder / "_delta_log").glob("*.json"))
    named = [one["add"] for one in map(msgspec.json.decode, commit.read_bytes().splitlines()) if "add" in one]
    largest, size = max(one["size"] for one in named), commit.stat().st_size
    assert largest + 50 < size, "there is no such size: send less"
    return int((largest + size) / 2)


def main(folder: Path) -> None:
    store = Observations.open(folder)
    for sequence in range(1, FEW + 1):
        store.append(message(sequence), sequence)
    store.seal()
    errors = []
    for count, limit in (*LIMITS, (FEW, between(folder))):
        for _ in range(count):
            sequence += 1
            store.append(message(sequence), sequence)
        before = store.count(), store.position
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
        try:
            store.seal()
        except StoreError as error:
            errors.append(str(error))
            assert (store.count(), store.position) == before
            assert not store.due, "a pause comes before the next try"
        sequence += 1
        store.append(message(sequence), sequence)
        assert len(store.series([1, 2, 3])) == store.count()
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        store.seal()
        assert store.position == sequence
    known = set(store._shelf.path.tolist())
    stray = [str(path) for path in folder.glob("day=*/*") if str(path) not in known]
    seen = {"errors": errors, "sequence": sequence, "rows": store.count(), "stray": stray}
    store.close()
    print(msgspec.json.encode(seen).decode())


if __name__ == "__main__":
    main(Path(sys.argv[1]))
