"""What devices have sent and what was acknowledged, in a file that outlives the process that writes it.

The file is mapped into memory by the sending process and by who watches it: what was noted before a
SIGKILL is there after it, as the pages belong to the system.
"""

from __future__ import annotations

from pathlib import Path
from typing import Self

import msgspec
import numpy as np
from numpy.typing import NDArray

__all__ = ["BEGIN_NS", "BLOCK", "STEP_NS", "Ledger", "Plan", "moments", "steady", "value", "values"]

Longs = NDArray[np.int64]
Floats = NDArray[np.float64]

BEGIN_NS = 1_704_067_200_000_000_000  # 2024-01-01T00:00Z
STEP_NS = 1_000_000_000
BLOCK, STILL_FROM, STILL_TO = 400, 200, 270
"""Of so many messages of a device, those between the other two numbers say the same."""

_STEP, _APART, _SPAN, _STILL = 7_919, 104_729, 100_003, 7.0625
_FIELDS = 3  # sent, acknowledged, connections


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What a process of devices does: one device a Datastream, each ``rate`` messages a second.

    ``window`` is how many messages of a device may wait for their acknowledgement, ``most`` after how
    many it is silent. With ``live`` a message is about the moment it is sent, and how long its
    acknowledgement and its decision took is noted; else it is about a moment of 2024, known beforehand.
    ``spread_s`` is how long the devices take to connect. Where devices sign in, ``signs`` has the name and
    the token of each, and ``ear`` those of who hears what was decided.
    """

    port: int
    streams: tuple[int, ...]
    rate: float
    most: int
    window: int = 500
    live: bool = False
    spread_s: float = 0.0
    name: str = "device"
    signs: tuple[tuple[str, str], ...] = ()
    ear: tuple[str, str] | None = None
    ledger: str = ""


class Ledger:
    """The columns of a plan's devices: ``sent``, ``acknowledged``, ``connections``, each ``[device]``.

    Of live devices also ``when``, ``took`` and ``decided``, each ``[device, message]``: the moment that
    a message is about, and nanoseconds until it was acknowledged, and until a listener was told of it.
    """

    def __init__(self, rows: Longs, plan: Plan) -> None:
        self.sent: Longs = rows[:, 0]
        self.acknowledged: Longs = rows[:, 1]
        self.connections: Longs = rows[:, 2]
        most = plan.most if plan.live else 0
        self.when: Longs = rows[:, _FIELDS : _FIELDS + most]
        self.took: Longs = rows[:, _FIELDS + most : _FIELDS + 2 * most]
        self.decided: Longs = rows[:, _FIELDS + 2 * most :]

    @classmethod
    def open(cls, plan: Plan) -> Self:
        """Open the ledger of a plan, made if it is not there."""
        path = Path(plan.ledger)
        wide = _FIELDS + (3 * plan.most if plan.live else 0)
        shape = (len(plan.streams), wide)
        if not path.exists():
            np.memmap(path, np.int64, "w+", shape=shape).flush()
        return cls(np.memmap(path, np.int64, "r+", shape=shape).view(np.ndarray), plan)


def moments(first: int, count: int) -> Longs:
    """Return the moments that messages are about, in nanoseconds."""
    return BEGIN_NS + np.arange(first, first + count, dtype=np.int64) * STEP_NS


def value(stream: int, number: int) -> float:
    """Return what one message of a Datastream says, as :func:`values` has it.

    >>> [value(3, 399), value(3, 0)] == values(3, 399, 1).tolist() + values(3, 0, 1).tolist()
    True
    >>> value(3, 250)
    7.0625
    """
    still = STILL_FROM <= number % BLOCK < STILL_TO
    return _STILL if still else ((number * _STEP + stream * _APART) % _SPAN) / 8


def values(stream: int, first: int, count: int) -> Floats:
    """Return what a Datastream's messages say: eighths, no two neighbours alike but where it stands still."""
    number = np.arange(first, first + count, dtype=np.int64)
    found = ((number * _STEP + stream * _APART) % _SPAN) / 8
    place = number % BLOCK
    return np.where((place >= STILL_FROM) & (place < STILL_TO), _STILL, found)


def steady(count: int) -> int:
    """Return how many times a device has stood still within its first messages, and went on since."""
    return (count + BLOCK - STILL_TO - 1) // BLOCK
