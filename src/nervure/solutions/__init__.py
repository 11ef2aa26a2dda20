"""The solutions: one declarative file a domain, found by name.

Other packages add theirs through the entry point group ``nervure.solutions``; a name that ends in
``.py`` or ``.toml`` is a file of one's own. Beside ``water.py`` may lie ``water.loops.toml`` that adds
``[[loops]]``: numbers that an engineer of the plant sets, and no programmer.
"""

from __future__ import annotations

import importlib
import pkgutil
import runpy
import tomllib
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
from typing import TypeVar

import msgspec
from msgspec.structs import replace

from nervure.core.declaration import Solution, validate
from nervure.core.error import DeclarationError
from nervure.core.loop import Loop

__all__ = ["find", "names"]

_Kind = TypeVar("_Kind")


@cache
def _outside() -> dict[str, str]:
    return {entry.name: entry.value for entry in entry_points(group="nervure.solutions")}


def names() -> tuple[str, ...]:
    """Return the names of every solution, our own and those of installed packages."""
    own = {module.name for module in pkgutil.iter_modules(__path__)}
    return tuple(sorted(own | set(_outside())))


def find(name: str) -> Solution:
    """Return the checked declaration of that name; a file is read each time, as it is now.

    >>> find("water").signal("inflow").unit
    'L/s'
    """
    return _of_file(Path(name)) if name.endswith((".py", ".toml")) else _named(name)


@cache
def _named(name: str) -> Solution:
    module, _, attribute = _outside().get(name, f"{__name__}.{name}:solution").partition(":")
    if name not in names():
        raise DeclarationError(f"there is no solution {name!r}", hint=f"there are: {', '.join(names())}")
    found = importlib.import_module(module)
    return validate(_with_loops(getattr(found, attribute or "solution"), found.__file__))


def _of_file(path: Path) -> Solution:
    if not path.is_file():
        raise DeclarationError(f"there is no file {path}", hint="nervure new solution NAME writes one")
    if path.suffix == ".toml":
        return validate(_read(path, Solution))
    found = runpy.run_path(str(path)).get("solution")
    if not isinstance(found, Solution):
        raise DeclarationError(
            "the file declares no solution", where=str(path), hint="write solution = Solution(...)"
        )
    return validate(_with_loops(found, str(path)))


class _Loops(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What may stand beside a solution."""

    loops: tuple[Loop, ...] = ()


def _with_loops(solution: Solution, file: str | None) -> Solution:
    """Return a solution with the loops that stand beside it."""
    beside = Path(file).with_suffix(".loops.toml") if file else None
    if beside is None or not beside.is_file():
        return solution
    return replace(solution, loops=(*solution.loops, *_read(beside, _Loops).loops))


def _read(path: Path, kind: type[_Kind]) -> _Kind:
    try:
        return msgspec.convert(tomllib.loads(path.read_text("utf-8")), kind)
    except (OSError, tomllib.TOMLDecodeError, msgspec.ValidationError) as cause:
        what, _, place = str(cause).partition(" - at `")
        raise DeclarationError(
            f"the file cannot be read: {what}", where=f"{path} {place.rstrip('`')}".rstrip(),
            hint="docs/act.md shows loops, nervure new solution a whole one",
        ) from cause  # fmt: skip
