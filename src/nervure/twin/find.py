"""Which twins there are: one module each in this room, with a class of its name."""

from __future__ import annotations

import inspect
import re
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from pkgutil import iter_modules
from typing import Any, cast

from nervure.twin.api import Twin, TwinError

__all__ = ["names", "network", "open_twin"]

_OWN = "district"


def names() -> tuple[str, ...]:
    """Return the names of all twins, without opening an engine: modules with a class of their name.

    >>> "roads" in names(), "fault" in names()
    (True, False)
    """
    there = iter_modules(import_module("nervure.twin").__path__)
    return tuple(sorted(one.name for one in there if _kind(one.name)))


def open_twin(name: str, **options: Any) -> Twin:
    """Open a twin; raises TwinError for one that is not there, and for options that it does not take."""
    kind = _kind(name) if name.isidentifier() else None
    if kind is None:
        raise TwinError(f"there is no twin {name!r}", hint=f"there are {', '.join(names())}")
    made = getattr(import_module(f"nervure.twin.{name}"), kind)
    known = inspect.signature(made).parameters
    given = {one: value for one, value in options.items() if value is not None}
    file = "path" in known and "net" not in known and "path" not in given  # a network that is a file
    if file and ("net" in given or known["path"].default is inspect.Parameter.empty):
        given["path"] = network(str(given.pop("net", _OWN)))
    if odd := sorted(set(given) - set(known)):
        hint = f"it takes {', '.join(known)}" if known else f"leave {odd[0]} out"
        raise TwinError(f"the twin of {name} takes no {odd[0]!r}", hint=hint)
    return cast("Twin", made(**given))


def network(name: str) -> Path:
    """Return the file of a water network: our own ``district``, or an .inp file of somebody's.

    Raises TwinError where there is none.
    """
    path = Path(__file__).with_name("net") / f"{_OWN}.inp" if name == _OWN else Path(name)
    if not path.is_file():
        raise TwinError(f"there is no network {name!r}", hint=f"there is {_OWN}; or give an .inp file")
    return path


def _kind(name: str) -> str | None:
    """Return the class of a module's twin, or None where it has none."""
    spec = find_spec(f"nervure.twin.{name}")
    if spec is None or not isinstance(spec.origin, str):
        return None
    with open(spec.origin, encoding="utf-8") as file:  # noqa: PTH123  # an import could load an engine
        text = file.read()
    found = re.search(rf"^class ({name})\b", text, re.IGNORECASE | re.MULTILINE)
    return found[1] if found and "def describe(self)" in text else None
