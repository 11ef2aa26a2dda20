"""All contests of detection: which module holds which set, opened only when one is asked for."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module

from nervure.bench.detect.job import Contest
from nervure.core.error import DataError

__all__ = ["SETS", "contests_of", "home_of", "open_contest"]

SETS: dict[str, tuple[str, ...]] = {
    "nervure.bench.detect.promise": ("promise", "which"),
    "nervure.bench.detect.stream": ("skab", "batadal", "gecco", "nab"),
    "nervure.bench.detect.leak": ("hanoi", "ltown", "transient", "burst"),
    "nervure.bench.detect.structure": ("peer", "munich", "lanl", "claim"),
    "nervure.bench.detect.bearing": ("cwru",),
    "nervure.bench.detect.life": (
        "fd001", "fd002", "fd003", "fd004", "pronostia", "fatigue", "maintenance",
    ),
    "nervure.bench.detect.body": ("mitbih", "sisfall", "vitals"),
    "nervure.bench.detect.fusion": ("fusion-skab", "fusion-batadal"),
}  # fmt: skip
"""The sets by module, in the order of the report; each module has ``contests()``."""


def contests_of(module: str) -> tuple[Contest, ...]:
    """Return the contests of a module."""
    found: tuple[Contest, ...] = import_module(module).contests()
    return found


def home_of(name: str, families: dict[str, tuple[str, ...]] | None = None) -> str:
    """Return the module that holds a set; raises ``DataError`` where none does.

    >>> home_of("nab")
    'nervure.bench.detect.stream'
    """
    held = SETS if families is None else families
    for module, names in held.items():
        if name in names:
            return module
    known = ", ".join(one for names in held.values() for one in names)
    raise DataError(f"no contest of detection is called {name!r}", hint=f"there are: {known}")


def open_contest(module: str, name: str) -> Contest:
    """Return a contest of a module by its set."""
    found: Sequence[Contest] = contests_of(module)
    for one in found:
        if one.set == name:
            return one
    raise DataError(
        f"{module} has no contest {name!r}", hint=f"it has: {', '.join(one.set for one in found)}"
    )
