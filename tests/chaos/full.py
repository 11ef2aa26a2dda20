"""A process whose disk fills up and is cleared again: ``python full.py FOLDER`` prints what it saw."""

from __future__ import annotations

import resource
import sys
from pathlib import Path

import msgspec

from nervure.core.error import StoreError
from nervure.store.observations import Observations
from tests.chaos.writer import message

LIMITS = (0, 100, 1_000, 2_500, 4_000)
"""The largest file that may be written, in bytes: none at all, part of a file, a file but no commit."""


def main(folder: Path) -> None:
    store = Observations.open(folder)
    sequence, errors = 0, []
    for limit in LIMITS:
        for _ in range(40):
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
