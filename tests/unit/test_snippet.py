"""The blocks of the documents that are marked ``<!-- run -->`` do run.

A block right after, marked ``<!-- output -->``, is what they print; ``...`` stands for anything.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.support import free_ports

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(
    r"<!-- run -->\n```(?P<language>bash|python)\n(?P<code>.*?)```\n"
    r"(?:\s*<!-- output -->\n```\w*\n(?P<output>.*?)```\n)?",
    re.DOTALL,
)


class Snippet(NamedTuple):
    """One marked block: its document and line, its language, what it prints if that is said."""

    where: str
    language: str
    code: str
    output: str | None


def snippets(text: str, name: str) -> list[Snippet]:
    found = []
    for match in BLOCK.finditer(text):
        line = text.count("\n", 0, match.start()) + 1
        found.append(Snippet(f"{name}:{line}", match["language"], match["code"], match["output"]))
    return found


def _all() -> list[Snippet]:
    documents = [*sorted(ROOT.glob("*.md")), *sorted(ROOT.glob("docs/**/*.md"))]
    return [
        snippet
        for path in documents
        for snippet in snippets(path.read_text("utf-8"), path.relative_to(ROOT).as_posix())
    ]


def _matches(expected: str, got: str) -> bool:
    pattern = ".*".join(re.escape(part) for part in expected.strip().split("..."))
    return re.fullmatch(pattern, got.strip(), re.DOTALL) is not None


def _environ() -> dict[str, str]:
    """Find our commands first; ports are free ones, whatever the document says; nothing else is set."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("NERVURE_")}
    names = ("NERVURE_NATS_PORT", "NERVURE_NATS_MQTT_PORT", "NERVURE_HTTP_PORT")
    ports = {name: str(port) for name, port in zip(names, free_ports(len(names)), strict=True)}
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return {**own, **ports, "PATH": path, "NO_COLOR": "1", "COLUMNS": "100"}


@pytest.mark.service
@pytest.mark.parametrize("snippet", _all(), ids=lambda snippet: snippet.where)
def test_runs(snippet: Snippet, tmp_path: Path) -> None:
    program = [sys.executable, "-"] if snippet.language == "python" else ["bash", "-euo", "pipefail"]
    with subprocess.Popen(
        program,
        cwd=tmp_path,
        env=_environ(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            out, err = process.communicate(snippet.code, timeout=100)
        finally:
            with contextlib.suppress(ProcessLookupError):  # what a snippet leaves running ends with it
                os.killpg(process.pid, signal.SIGKILL)
    assert process.returncode == 0, f"{snippet.where}\n{out}\n{err}"
    if snippet.output is not None:
        assert _matches(snippet.output, out), f"{snippet.where} printed\n{out}"


def test_the_readme_shows_a_session_that_runs() -> None:
    assert snippets((ROOT / "README.md").read_text("utf-8"), "README.md")


def test_finds_code_and_output() -> None:
    text = "a\n<!-- run -->\n```bash\necho one\n```\n\n<!-- output -->\n```text\none\n```\n"
    assert snippets(text, "b.md") == [Snippet("b.md:2", "bash", "echo one\n", "one\n")]


@pytest.mark.parametrize(("expected", "got", "fits"), [("a ...c", "a b\nc\n", True), ("a", "ab", False)])
def test_dots_stand_for_anything(expected: str, got: str, *, fits: bool) -> None:
    assert _matches(expected, got) is fits
