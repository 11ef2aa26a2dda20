"""Which twins there are, what each is, and whether its engine is on this machine; no engine is loaded."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

import msgspec

from nervure.twin.find import names

__all__ = ["ENGINES", "Entry", "roster"]

ENGINES: Mapping[str, str] = {
    "roads": "libsumo",
    "building": "pvlib",
    "energyplus": "pyenergyplus-lbnl",
    "pipes": "owa-epanet",
    "sewer": "pyswmm",
}
"""The distribution without which a twin cannot be opened; twins that are not named here need none."""

_OWN = "numpy"


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """A twin: its name, what it is in a sentence, what computes it, and what is missing for that."""

    name: str
    about: str
    engine: str
    installed: bool
    hint: str = ""


def roster() -> tuple[Entry, ...]:
    """Return every twin.

    >>> {one.name: one.engine.partition(" ")[0] for one in roster()}["structure"]
    'numpy'
    """
    return tuple(_entry(name) for name in names())


def _entry(name: str) -> Entry:
    wanted = ENGINES.get(name, _OWN)
    try:
        engine, installed = f"{wanted} {version(wanted)}", True
    except PackageNotFoundError:
        engine, installed = wanted, False
    hint = "" if installed else 'pip install "nervure[twin]"'
    return Entry(name=name, about=_about(name), engine=engine, installed=installed, hint=hint)


def _about(name: str) -> str:
    """Return the first line of a twin's module; it is read, as an import may load an engine."""
    spec = find_spec(f"nervure.twin.{name}")
    if spec is None or spec.origin is None:
        return ""
    text = Path(spec.origin).read_text("utf-8")
    return (ast.get_docstring(ast.parse(text)) or "").partition("\n")[0].strip()
