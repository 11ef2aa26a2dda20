"""The solutions: one declarative file a domain, found by name.

Other packages add theirs through the entry point group ``nervure.solutions``; a name that ends in
``.py`` is a file of one's own.
"""

from __future__ import annotations

import importlib
import pkgutil
import runpy
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path

from nervure.core.declaration import Solution, validate
from nervure.core.error import DeclarationError

__all__ = ["find", "names"]


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
    return _of_file(Path(name)) if name.endswith(".py") else _named(name)


@cache
def _named(name: str) -> Solution:
    module, _, attribute = _outside().get(name, f"{__name__}.{name}:solution").partition(":")
    if name not in names():
        raise DeclarationError(f"there is no solution {name!r}", hint=f"there are: {', '.join(names())}")
    solution = getattr(importlib.import_module(module), attribute or "solution")
    return validate(solution)


def _of_file(path: Path) -> Solution:
    if not path.is_file():
        raise DeclarationError(f"there is no file {path}", hint="nervure new solution NAME writes one")
    found = runpy.run_path(str(path)).get("solution")
    if not isinstance(found, Solution):
        raise DeclarationError(
            "the file declares no solution", where=str(path), hint="write solution = Solution(...)"
        )
    return validate(found)
