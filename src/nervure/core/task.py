"""What may become of a Task, and the modes in which a loop gives commands: one table each.

    requested → checked → [awaiting approval → approved] → dispatched → acknowledged → running → completed

or it ends as rejected, expired, failed, superseded, overridden or tripped. The words are those of the
status in SensorThings 2.0 (OGC 23-019) where that has one; a device may say ``acked`` and ``done`` too.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, get_args

__all__ = ["BY_DEVICE", "FINAL", "MODES", "MOVES", "STATES", "WATCH_H", "Mode", "State", "ways", "word"]

State = Literal[
    "requested",
    "checked",
    "awaiting approval",
    "approved",
    "dispatched",
    "acknowledged",
    "running",
    "completed",
    "rejected",
    "expired",
    "failed",
    "superseded",
    "overridden",
    "tripped",
]
STATES: tuple[State, ...] = get_args(State)

_ENDED: tuple[State, ...] = ("rejected", "expired", "failed", "superseded", "overridden", "tripped")

MOVES: Mapping[State, tuple[State, ...]] = {
    "requested": ("checked", *_ENDED),
    "checked": ("awaiting approval", "dispatched", *_ENDED),
    "awaiting approval": ("approved", *_ENDED),
    "approved": ("dispatched", *_ENDED),
    "dispatched": ("acknowledged", "running", "completed", *_ENDED),
    "acknowledged": ("running", "completed", *_ENDED),
    "running": ("completed", *_ENDED),
}
"""The states that may follow each; what is not here is an end."""

FINAL: frozenset[State] = frozenset(set(STATES) - MOVES.keys())

BY_DEVICE: frozenset[State] = frozenset({"acknowledged", "running", "completed", *_ENDED})
"""What a device may say of a Task; the rest is for the platform to say."""

Mode = Literal["shadow", "advisory", "supervised", "auto"]
MODES: tuple[Mode, ...] = get_args(Mode)
"""Shadow: judged and recorded only. Advisory: a person says yes to each command. Supervised: it acts while
somebody has the watch. Auto: it acts."""

WATCH_H = 24
"""So many hours at most has one person the watch, unless they take it again."""

_WORDS: Mapping[str, str] = {"acked": "acknowledged", "done": "completed"}


def word(status: str) -> str:
    """Return the word of the table for what a device said.

    >>> word("acked"), word("running")
    ('acknowledged', 'running')
    """
    return _WORDS.get(status, status)


def ways(state: State, wanted: State) -> tuple[State, ...]:
    """Return the states from one to a later one, for what was heard of out of turn; empty if it may not be.

    A device may answer before it was noted that it was told: then ``dispatched`` lies between. What
    waits for approval is passed over by nobody.

    >>> ways("checked", "running"), ways("awaiting approval", "running"), ways("completed", "failed")
    (('dispatched', 'running'), (), ())
    """
    if wanted in MOVES.get(state, ()):
        return (wanted,)
    if state == "requested" and wanted == "dispatched":
        return ("checked", wanted)
    if wanted not in MOVES["dispatched"]:
        return ()
    if state == "requested":
        return ("checked", "dispatched", wanted)
    return ("dispatched", wanted) if state in ("checked", "approved") else ()
