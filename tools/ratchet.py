"""Keep files and functions small: a file 400 lines, a function 40, a solution 60.

What is over its bound must stand in ``tests/ratchet.txt`` with its size, one ``path[:function] lines``
a line. A size there may only fall: growing past it fails, and so does a line that is no longer true.

    python tools/ratchet.py            check
    python tools/ratchet.py --tighten  write what has become smaller back into the list
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

__all__ = ["bound", "judge", "main", "measure", "read"]

FILE, FUNCTION, SOLUTION = 400, 40, 60
FOLDERS = ("src", "tests", "tools")


def _functions(tree: ast.AST, prefix: str = "") -> Iterator[tuple[str, int]]:
    for node in ast.iter_child_nodes(tree):
        name = prefix
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            name = f"{prefix}.{node.name}".lstrip(".")
            if not isinstance(node, ast.ClassDef):
                yield name, (node.end_lineno or node.lineno) - node.lineno + 1
        yield from _functions(node, name)


def measure(root: Path) -> dict[str, int]:
    """Return the lines of every Python file and function below the root, by ``path[:function]``."""
    sizes: dict[str, int] = {}
    for folder in FOLDERS:
        for path in sorted((root / folder).rglob("*.py")):
            text = path.read_text("utf-8")
            name = path.relative_to(root).as_posix()
            sizes[name] = len(text.splitlines())
            for function, lines in _functions(ast.parse(text)):
                key = f"{name}:{function}"
                sizes[key] = max(lines, sizes.get(key, 0))  # overloads share a name
    return sizes


def bound(name: str) -> int:
    """Return how many lines a file or function may have.

    >>> bound("src/nervure/core/unit.py"), bound("src/nervure/core/unit.py:convert")
    (400, 40)
    """
    if ":" in name:
        return FUNCTION
    solution = name.startswith("src/nervure/solutions/") and not name.endswith("/__init__.py")
    return SOLUTION if solution else FILE


def read(text: str) -> dict[str, int]:
    r"""Read the list: ``path[:function] lines``, and comments.

    >>> read("# over its bound\nsrc/a.py:work 52\n")
    {'src/a.py:work': 52}
    """
    rows = (line.split() for line in text.splitlines() if line.strip() and not line.startswith("#"))
    return {name: int(lines) for name, lines in rows}


def judge(sizes: dict[str, int], allowed: dict[str, int]) -> list[str]:
    """Return one sentence for each thing that is wrong.

    >>> judge({"src/a.py:work": 41, "src/b.py": 12}, {"src/b.py": 410})
    ['src/a.py:work has 41 lines, more than 40', 'src/b.py has 12 lines: take it out of the list']
    """
    wrong = []
    for name in sorted(sizes.keys() | allowed.keys()):
        size, listed = sizes.get(name, 0), allowed.get(name)
        if listed is None:
            if size > bound(name):
                wrong.append(f"{name} has {size} lines, more than {bound(name)}")
        elif size <= bound(name):
            wrong.append(f"{name} has {size} lines: take it out of the list")
        elif size != listed:
            verb = "grew" if size > listed else "shrank: lower it in the list"
            wrong.append(f"{name} has {size} lines, the list says {listed}: it {verb}")
    return wrong


def _tighten(path: Path, sizes: dict[str, int]) -> None:
    notes = [line for line in path.read_text("utf-8").splitlines() if line.startswith("#")]
    kept = {
        name: min(listed, sizes[name])
        for name, listed in read(path.read_text("utf-8")).items()
        if sizes.get(name, 0) > bound(name)
    }
    lines = [*notes, *(f"{name} {kept[name]}" for name in sorted(kept))]
    path.write_text("\n".join(lines) + "\n", "utf-8")


def main(arguments: list[str]) -> int:
    """Check the tree this file is in; with ``--tighten``, shorten the list first."""
    root = Path(__file__).resolve().parent.parent
    listed = root / "tests" / "ratchet.txt"
    sizes = measure(root)
    if "--tighten" in arguments:
        _tighten(listed, sizes)
    wrong = judge(sizes, read(listed.read_text("utf-8")))
    for sentence in wrong:
        print(sentence)
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
