"""The solutions: one declarative file a domain, found by name.

Other packages add theirs through the entry point group ``nervure.solutions``.
"""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache
from importlib.metadata import entry_points

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


@cache
def find(name: str) -> Solution:
    """Return the checked declaration of that name.

    >>> find("water").signal("inflow").unit
    'L/s'
    """
    module, _, attribute = _outside().get(name, f"{__name__}.{name}:solution").partition(":")
    if name not in names():
        raise DeclarationError(f"there is no solution {name!r}", hint=f"there are: {', '.join(names())}")
    solution = getattr(importlib.import_module(module), attribute or "solution")
    return validate(solution)
