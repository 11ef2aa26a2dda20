"""A process that commits a view of the log, until it is killed: ``python view.py FILE``."""

from __future__ import annotations

import sys
from pathlib import Path

from nervure.core.alert import Alert, alert_id
from nervure.core.observation import Reject
from nervure.store.catalogue import Catalogue


def alert(sequence: int) -> Alert:
    return Alert(
        id=alert_id("burst", 7, sequence),
        solution="water",
        rule="burst",
        severity="major",
        thing=1,
        datastream=7,
        text="Likely burst",
        start_ns=sequence,
        raised_ns=sequence,
    )


def main(place: Path) -> None:
    catalogue = Catalogue.open(place)
    position = (catalogue.view("score") or (0, b""))[0]
    print(position, flush=True)
    while True:
        position += 1
        catalogue.add_rejects([Reject(sequence=position, subject="s", reason="future")])
        catalogue.commit_view(
            "score", position, str(position).encode(), [alert(position), alert(position - 1)]
        )
        print(position, flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
