"""The processes of the demo: twins and controllers, as a person starts them at the command line."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from nervure.bench.city.plan import Part
from nervure.core.error import EnvironmentMissing
from nervure.core.settings import TOKEN
from nervure.stream.child import tied

__all__ = ["Program", "Yard"]

_END_S = 60.0
_NICE = 10  # what learns while a city runs goes behind all that decides


class Program:
    """A command of ours in a process of its own; it ends with us. Its words go to a log, its JSON to us."""

    def __init__(
        self, words: Sequence[str], folder: Path, name: str, token: str, *, gently: bool = False
    ) -> None:  # fmt: skip
        self.name, self._log, self._out = name, folder / f"{name}.log", folder / f"{name}.json"
        known = {key: value for key, value in os.environ.items() if not key.startswith("NERVURE_")}
        nice = shutil.which("nice") if gently else None
        before = [nice, "-n", str(_NICE)] if nice else []
        with self._log.open("ab") as log, self._out.open("wb") as out:
            self._process = subprocess.Popen(
                tied(*before, sys.executable, "-m", "nervure.cli", *words), stdin=subprocess.PIPE, stdout=out,
                stderr=log, env={**known, TOKEN: token, "OMP_NUM_THREADS": "1"},
            )  # fmt: skip

    @property
    def over(self) -> bool:
        """Whether it has ended."""
        return self._process.poll() is not None

    def begin(self) -> None:
        """Say to one that waits for a line that it may begin."""
        if self._process.stdin is not None:
            self._process.stdin.write(b"\n")
            self._process.stdin.close()

    def wait_for(self, word: str, timeout_s: float) -> None:
        """Wait until it has said a word; raise with its last words if it ends or takes too long."""
        end = time.monotonic() + timeout_s
        while word not in self.words():
            if self.over or time.monotonic() > end:
                raise EnvironmentMissing(f"{self.name} is not ready: {self.words()}", where=str(self._log))
            time.sleep(0.05)

    def stop(self) -> None:
        """Ask it to end."""
        if not self.over:
            self._process.terminate()

    def result(self, timeout_s: float = _END_S, *, fine: Sequence[int] = (0,)) -> dict[str, Any]:
        """Wait until it has ended, and return what it found; raise with its last words if it failed."""
        try:
            code = self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self._process.kill()
            code = self._process.wait()
        text = self._out.read_bytes().strip()
        if code not in fine:
            raise EnvironmentMissing(f"{self.name} ended with {code}: {self.words()}", where=str(self._log))
        found: dict[str, Any] = msgspec.json.decode(text) if text.startswith(b"{") else {}
        return found

    def words(self) -> str:
        """Return the last lines that it said."""
        lines = self._log.read_text("utf-8", "replace").splitlines()[-6:]
        return " | ".join(lines) or "it said nothing"


class Yard:
    """Starts the programs of one demo: they share settings, a token, a folder and a seed."""

    def __init__(self, settings: Path, folder: Path, token: str, seed: int) -> None:
        self._settings, self._folder, self._token, self._seed = settings, folder, token, seed
        self.programs: list[Program] = []

    def twin(self, part: Part) -> Program:
        """Make a twin known; it begins when it is told to, and runs once more by its own plans afterwards."""
        words = ["twin", "run", *part.arguments(self._seed), "--hold", "--beside"]
        return self._start(f"twin-{part.twin}", words)

    def controller(self, part: Part) -> Program:
        """Join a controller to a twin's loops."""
        words = ["act", "run", part.controller, *part.options, "--trace", str(self.trace(part))]
        return self._start(f"act-{part.twin}", words)

    def learner(self, solution: str, problem: str, budget_s: float) -> Program:
        """Train a model on what the node has stored, and hand it to the node."""
        words = [
            "train",
            solution,
            "--problem",
            problem,
            "--live",
            "--no-compare",
            "--budget",
            f"{budget_s:g}",
        ]
        return self._start(f"train-{problem}", words)

    def monitor(self, part: Part, project: str) -> Program:
        """Fit a monitor to what has come of a Thing, and hand it to the node."""
        thing = part.watched.thing if part.watched is not None else ""
        words = ["watch", "--project", project, "--thing", thing, "--quick", "--seconds", "1"]
        return self._start(f"watch-{part.twin}", words, gently=True)

    def trace(self, part: Part) -> Path:
        """Return where a controller writes its Tasks."""
        return self._folder / f"trace-{part.twin}.jsonl"

    def stop(self) -> None:
        """Ask all to end."""
        for one in self.programs:
            one.stop()

    def _start(self, name: str, words: Sequence[str], *, gently: bool = False) -> Program:
        told = [*words, "--json", "--settings", str(self._settings)]
        found = Program(told, self._folder, name, self._token, gently=gently)
        self.programs.append(found)
        return found
