"""Which version of the code a result came from: a digest of the modules that had a say in it.

Comments, docstrings and layout do not count, so mending them throws no result away. What reads
data does not count either: the digest of the data themselves does (``Survey.data``).
"""

from __future__ import annotations

import ast
import os
from functools import cache
from hashlib import sha256
from pathlib import Path

from nervure.bench.forecast.job import DEFAULT, Kind
from nervure.bench.source import ROOT, meaning, path_of, tree_of

__all__ = ["code_of", "modules_of", "reading_code"]

_HERE = "nervure.bench.forecast"
_JUDGE = (
    f"{_HERE}.trial",
    f"{_HERE}.contest",
    f"{_HERE}.gauge",
    "nervure.learn.evaluate",
    "nervure.learn.skill",
)
_ROOTS: dict[Kind, tuple[str, ...]] = {
    "baseline": (*_JUDGE, "nervure.learn.baseline", "nervure.learn.robust"),
    "deep": (*_JUDGE, "nervure.learn.train", "nervure.learn.robust"),
    "peer": (*_JUDGE, f"{_HERE}.peer", f"{_HERE}.peer_nixtla", f"{_HERE}.peer_darts"),
    "extra": (*_JUDGE, f"{_HERE}.extra", "nervure.learn.train", "nervure.learn.models.mixer"),
}
_OWN = {
    "linear with lags": ("nervure.learn.lag",),
    "boosted trees": ("nervure.learn.lag", "nervure.learn.trees"),
    "quantile boosted trees": ("nervure.learn.lag", "nervure.learn.trees", "nervure.learn.quantile_trees"),
}
# What reads data never counts. What only some kinds of job use counts where it is a root, or where
# anything but the dispatch (ours, and the list of baselines) imports it.
_READ = ("nervure.learn.dataset", "nervure.learn.sets", "nervure.learn.reader", "nervure.learn.fetch")
_CHOSEN = (
    "nervure.learn.package",
    "nervure.learn.train",
    "nervure.learn.models",
    "nervure.learn.baseline",
    "nervure.learn.lag",
    "nervure.learn.trees",
    "nervure.learn.quantile_trees",
    "nervure.learn.explain",
    "nervure.learn.robust",
    f"{_HERE}.peer",
    f"{_HERE}.extra",
    f"{_HERE}.job",
)
_DISPATCH = (_HERE, "nervure.learn.baseline")
_COUNTED = ("nervure.learn", "nervure.core.calendar", "nervure.core.window", _HERE)


def code_of(kind: Kind, model: str) -> str:
    """Return the digest of the code that trains and judges a model."""
    return _digest(modules_of(kind, model))


def reading_code() -> str:
    """Return the digest of the code and of the files that decide what a set is.

    Files count by name, size and time of change, those below ``NERVURE_DATA``.
    """
    names = {f"{_HERE}.contest", f"{_HERE}.trial", f"{_HERE}.job"}
    for room in ("core", "learn", "solutions"):
        for path in (ROOT / room).rglob("*.py"):
            names.add("nervure." + ".".join(path.relative_to(ROOT).with_suffix("").parts))
    total = sha256(_digest(tuple(sorted(names))).encode())
    folder = os.environ.get("NERVURE_DATA", "")
    for path in sorted(Path(folder).rglob("*")) if folder else ():
        if path.is_file():
            state = path.stat()
            total.update(f"{path}\0{state.st_size}\0{state.st_mtime_ns}\0".encode())
    return total.hexdigest()[:16]


def modules_of(kind: Kind, model: str) -> tuple[str, ...]:
    """Return the modules that count, from those that a job of this kind starts with."""
    roots = list(_ROOTS[kind])
    if kind == "deep":
        roots.append(f"nervure.learn.models.{model}")
        roots += ["nervure.learn.explain"] if model == DEFAULT else []
    if kind == "baseline":
        roots += _OWN.get(model, ())
    found: set[str] = set()
    while roots:
        name = roots.pop()
        if name in found or not path_of(name).is_file():
            continue
        found.add(name)
        apart = (*_READ, *_CHOSEN) if name.startswith(_DISPATCH) else _READ
        roots += [one for one in _imports(name) if one.startswith(_COUNTED) and not one.startswith(apart)]
    return tuple(sorted(found))


def _digest(names: tuple[str, ...]) -> str:
    total = sha256()
    for name in names:
        if path_of(name).is_file():
            total.update(f"{name}\0{_meaning(path_of(name))}\0".encode())
    return total.hexdigest()[:16]


def _imports(name: str) -> set[str]:
    """Return the modules of ours that a module imports, anywhere in it."""
    found: set[str] = set()
    for node in ast.walk(tree_of(path_of(name))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        if isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return {one for one in found if one.startswith("nervure.")}


@cache
def _meaning(path: Path) -> str:
    """Return the module without comments, layout and docstrings."""
    return meaning(ast.parse(path.read_text("utf-8")))
