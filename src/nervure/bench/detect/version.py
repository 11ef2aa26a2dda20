"""Which version of the code a result of detection came from.

A contest's module holds much that has no say in its figures: other contests, the sentences about them,
goals. So what counts is followed name by name from what performs the jobs: every function, class and
constant of ours that it can reach. Comments, docstrings and layout do not count, and of what describes
a :class:`~nervure.bench.detect.job.Contest` only how it is performed.
"""

from __future__ import annotations

import ast
import copy
from functools import cache, partial
from hashlib import sha256
from typing import Any, NamedTuple

from nervure.bench.detect.job import Contest
from nervure.bench.source import meaning, path_of, tree_of

__all__ = ["code_of", "reached"]

_DESCRIBED = "Contest"
_SAYS = "perform"


class _Module(NamedTuple):
    """What a module defines at its top, and where its other names come from: module and symbol there."""

    own: dict[str, tuple[ast.stmt, ...]]
    given: dict[str, tuple[str, str]]


def code_of(contest: Contest) -> str:
    """Return the digest of the code that performs the jobs of a contest."""
    total = sha256()
    for module, symbol in reached(*_start(contest)):
        for one in _module(module).own[symbol]:
            total.update(f"{module}\0{symbol}\0{meaning(_bare(one))}\0".encode())
    return total.hexdigest()[:16]


def _start(contest: Contest) -> tuple[str, str]:
    call: Any = contest.perform
    while isinstance(call, partial):
        call = call.func
    return call.__module__, call.__qualname__.partition(".")[0]


def reached(module: str, symbol: str) -> tuple[tuple[str, str], ...]:
    """Return every module and name of ours that a name can reach, itself included, sorted."""
    found: set[tuple[str, str]] = set()
    waiting = [(module, symbol)]
    while waiting:
        at = _defined(*waiting.pop())
        for one in (at,) if at else ():
            if one not in found:
                found.add(one)
                waiting += _used(*one)
    return tuple(sorted(found))


def _defined(module: str, symbol: str) -> tuple[str, str] | None:
    """Return where a name is defined, followed through modules that only pass it on."""
    seen: set[tuple[str, str]] = set()
    while (module, symbol) not in seen and path_of(module).is_file():
        seen.add((module, symbol))
        here = _module(module)
        if symbol in here.own:
            return module, symbol
        if symbol not in here.given:
            return None
        module, symbol = here.given[symbol]
    return None


@cache
def _used(module: str, symbol: str) -> tuple[tuple[str, str], ...]:
    """Return the names that the definition of a name uses, a module's all where it is handed on whole."""
    here = _module(module)
    found: list[tuple[str, str]] = []
    for statement in here.own[symbol]:
        bare = _bare(statement)
        held: set[int] = set()
        for node in ast.walk(bare):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                home = _whole(here.given.get(node.value.id))
                if home:
                    held.add(id(node.value))
                    found.append((home, node.attr))
        for node in ast.walk(bare):
            if isinstance(node, ast.Name) and id(node) not in held:
                home = _whole(here.given.get(node.id))
                found += [(home, one) for one in _module(home).own] if home else [(module, node.id)]
    return tuple(dict.fromkeys(found))


def _whole(given: tuple[str, str] | None) -> str:
    """Return the module that an imported name stands for, or nothing where it is something in a module."""
    if given is None:
        return ""
    name = ".".join(one for one in given if one)
    return name if path_of(name).is_file() else ""


def _bare(statement: ast.stmt) -> ast.stmt:
    """Return a copy in which contests say nothing but how they are performed."""
    out = copy.deepcopy(statement)
    for node in ast.walk(out):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == _DESCRIBED:
            node.args, node.keywords = [], [one for one in node.keywords if one.arg == _SAYS]
    return out


@cache
def _module(name: str) -> _Module:
    tree = tree_of(path_of(name))
    own: dict[str, tuple[ast.stmt, ...]] = {}
    for statement in tree.body:
        for symbol in _names(statement):
            own[symbol] = (*own.get(symbol, ()), statement)
    given: dict[str, tuple[str, str]] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("nervure"):
            for alias in node.names:
                given[alias.asname or alias.name] = (node.module or "", alias.name)
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.startswith("nervure.") and alias.asname:
                    given[alias.asname] = (alias.name, "")
    return _Module(own, given)


def _names(statement: ast.stmt) -> list[str]:
    """Return what a statement at the top of a module defines."""
    match statement:
        case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
            return [statement.name]
        case ast.Assign():
            targets = statement.targets
        case ast.AnnAssign() | ast.AugAssign():
            targets = [statement.target]
        case ast.If() | ast.Try():
            return [name for one in ast.iter_child_nodes(statement) if isinstance(one, ast.stmt)
                    for name in _names(one)]  # fmt: skip
        case _:
            return []
    return [node.id for one in targets for node in ast.walk(one) if isinstance(node, ast.Name)]
