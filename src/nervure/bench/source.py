"""Where a module of ours lies, and what of it has a meaning: shared by all that ask whether code changed."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import nervure

__all__ = ["ROOT", "meaning", "path_of", "tree_of"]

ROOT = Path(nervure.__file__).parent


def path_of(name: str) -> Path:
    """Return the file of a module, by its dotted name; it need not be there."""
    path = ROOT.parent.joinpath(*name.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


@cache
def tree_of(path: Path) -> ast.Module:
    """Return a module's syntax tree; nobody may change it."""
    return ast.parse(path.read_text("utf-8"))


def meaning(tree: ast.AST) -> str:
    r"""Return a tree without comments, layout and docstrings; the tree loses its docstrings.

    >>> meaning(ast.parse("x = 1  # one")) == meaning(ast.parse('"It is one."\nx = (1)'))
    True
    """
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[0] if node.body else None
            if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
                node.body = node.body[1:]
    return ast.dump(tree)
