"""The state of a twin that runs, in a file: from it a what-if can begin where the field is now.

It is the twin's own snapshot with what it takes to trust it: of which twin, how far it has come, in which
circumstances. Another twin, or one with another net, refuses it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

import msgspec

from nervure.twin.api import Description, Twin, TwinError

__all__ = ["FOLDER", "State", "again", "keep", "kept", "path_of"]

FOLDER = "twins"
"""Where in a data folder the states of running twins lie."""


class State(msgspec.Struct, frozen=True, kw_only=True):
    """A snapshot, the simulated moment it is of (ns since 1970), and how long the twin has run until then."""

    mark: str
    moment_ns: int
    elapsed_s: float
    scenario: dict[str, float] = {}
    snapshot: bytes


def path_of(data: Path, twin: str) -> Path:
    """Return where the newest state of a twin lies.

    >>> str(path_of(Path("data"), "roads"))
    'data/twins/roads.state'
    """
    return data / FOLDER / f"{twin}.state"


def keep(path: Path, twin: Twin, moment_ns: int, elapsed_s: float, scenario: Mapping[str, float]) -> None:
    """Write down where a twin is now, whole or not at all."""
    found = State(
        mark=_mark(twin.describe()), moment_ns=moment_ns, elapsed_s=elapsed_s, scenario=dict(scenario),
        snapshot=twin.snapshot(),
    )  # fmt: skip
    beside = path.with_name(f"{path.name}.new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        beside.write_bytes(msgspec.msgpack.encode(found))
        beside.replace(path)
    except OSError as cause:
        raise TwinError(f"the twin's state cannot be written: {cause.strerror}", where=str(path)) from cause


def kept(path: Path) -> State:
    """Read a state; raises TwinError where there is none, or none that can be read."""
    try:
        return msgspec.msgpack.decode(path.read_bytes(), type=State)
    except FileNotFoundError as cause:
        raise TwinError(
            "no twin has written down where it is", where=str(path), hint="nervure twin run NAME --keep"
        ) from cause
    except (OSError, msgspec.MsgspecError) as cause:
        raise TwinError(f"the twin's state cannot be read: {cause}", where=str(path)) from cause


def again(twin: Twin, found: State) -> None:
    """Bring a twin to a state; raises TwinError where that is another twin's."""
    if _mark(twin.describe()) != found.mark:
        raise TwinError(
            "this is the state of another twin, of another net, or of one with other steps",
            hint="ask of the net that runs: net = ... in the question's file",
        )
    twin.restore(found.snapshot)


def _mark(about: Description) -> str:
    """Return by what a twin is told from others: what it measures, what can be set, its step."""
    parts = (
        about.name,
        about.step_s,
        [one.name for one in about.sensors],
        [one.name for one in about.actuators],
    )
    return hashlib.sha256(msgspec.json.encode(parts)).hexdigest()[:32]
