"""A process that stores a log that never ends, until it is killed: ``python writer.py FOLDER``."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

from nervure.core.instant import DAY_NS, SECOND_NS
from nervure.core.observation import Batch, observation_id
from nervure.store.observations import Observations

START = 19_675 * DAY_NS
PACK = 7


def message(sequence: int) -> Batch:
    """What the log holds at ``sequence``: always the same, on two days, with a repeat of the one before."""
    base = [sequence * PACK + index for index in range(PACK)]
    return Batch.of(
        id=[observation_id(sequence, index) for index in range(PACK + 1)],
        datastream=[1 + number % 3 for number in base] + [1 + base[0] % 3],
        time=[START + number * SECOND_NS + number % 2 * DAY_NS for number in base]
        + [START + base[0] * SECOND_NS + base[0] % 2 * DAY_NS],
        value=[float(number) for number in base] + [float(base[0])],
    )


def killed_after(process: subprocess.Popen[str], lines: int, seconds: float) -> int:
    """Let a process say some more numbers, kill it a moment later, and return the last number it said."""
    assert process.stdout is not None
    said = [process.stdout.readline() for _ in range(lines)]
    time.sleep(seconds)
    os.kill(process.pid, signal.SIGKILL)
    said += process.stdout.read().splitlines(keepends=True)
    whole = [line for line in said if line.endswith("\n")]
    return int(whole[-1]) if whole else 0


def main(folder: Path) -> None:
    store = Observations.open(folder)
    print(store.position, flush=True)

    def merge() -> None:
        while True:
            store.compact()
            store.vacuum()

    threading.Thread(target=merge, daemon=True).start()
    sequence = store.position
    while True:
        for _ in range(1 + sequence % 5):
            sequence += 1
            store.append(message(sequence), sequence)
        store.seal()
        print(store.position, flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
