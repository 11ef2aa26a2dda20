"""What a module offers is what its ``__all__`` says, and everything offered explains itself."""

from __future__ import annotations

import ast
import importlib
import inspect
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import nervure

ROOT = Path(nervure.__file__).parent
UNIMPORTABLE = ("nervure.store.migration",)  # alembic runs it


def _modules() -> Iterator[str]:
    for path in sorted(ROOT.rglob("*.py")):
        parts = path.relative_to(ROOT.parent).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        if not name.startswith(UNIMPORTABLE):
            yield name


MODULES = tuple(_modules())


@cache
def _tree(name: str) -> ast.Module:
    module = ROOT.parent.joinpath(*name.split("."))
    path = module / "__init__.py" if module.is_dir() else module.with_suffix(".py")
    return ast.parse(path.read_text("utf-8"))


@cache
def _offered(name: str) -> tuple[str, ...] | None:
    """Read ``__all__`` without importing; None where there is none."""
    for node in _tree(name).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return tuple(ast.literal_eval(node.value))
    return None


def _is_declaration(name: str) -> bool:
    return name.startswith("nervure.solutions.")


@pytest.mark.parametrize("name", MODULES)
def test_all_is_what_the_module_defines(name: str) -> None:
    public = {
        node.name
        for node in _tree(name).body
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and not node.name.startswith("_")
    }
    offered = _offered(name)
    if offered is None:
        assert not public, f"{name} defines {sorted(public)} and has no __all__"
        return
    assert len(set(offered)) == len(offered), "a name stands twice"
    assert public <= set(offered), f"{name}: not in __all__: {sorted(public - set(offered))}"


@pytest.mark.parametrize("name", MODULES)
def test_all_can_be_imported_and_is_documented(name: str) -> None:
    module = importlib.import_module(name)
    assert module.__doc__, f"{name} has no docstring"
    for offered in _offered(name) or ():
        value = getattr(module, offered)
        if inspect.isfunction(value) or inspect.isclass(value):
            assert value.__doc__, f"{name}.{offered} has no docstring"


@pytest.mark.parametrize("name", MODULES)
def test_rooms_take_only_what_is_offered(name: str) -> None:
    for node in ast.walk(_tree(name)):
        if not isinstance(node, ast.ImportFrom) or node.module not in MODULES:
            continue
        taken = {alias.name for alias in node.names}
        modules = {one for one in taken if f"{node.module}.{one}" in MODULES}
        hidden = taken - modules - set(_offered(node.module) or ())
        if _is_declaration(node.module):
            hidden -= {"solution"}
        assert not hidden, f"{name} takes {sorted(hidden)} from {node.module}, which does not offer it"
