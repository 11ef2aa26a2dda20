"""The console's sources: their own tests, their types, and that what is committed is ours and no more."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import get_args

from nervure.core.interlock import Interlock
from tests.browser.stage import CONSOLE, node_program

ROOT = CONSOLE.parent
MOST_PACKAGES = 8


def run(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [node_program(), *words], cwd=CONSOLE, capture_output=True, text=True, check=False, timeout=240
    )


def test_its_logic_does_what_its_tests_say() -> None:
    done = run("node_modules/vitest/vitest.mjs", "run", "--reporter=dot")
    assert done.returncode == 0, (done.stdout + done.stderr)[-6000:]


def test_its_types_hold() -> None:
    check = "node_modules/svelte-check/bin/svelte-check"
    done = run(check, "--tsconfig", "./tsconfig.json", "--fail-on-warnings")
    assert done.returncode == 0, (done.stdout + done.stderr)[-6000:]


def test_its_types_of_the_api_are_what_the_api_says() -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "tools" / "console_types.py"), "--check"],
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_few_packages_run_in_the_browser_each_of_one_version() -> None:
    told = json.loads((CONSOLE / "package.json").read_text())
    assert 0 < len(told["dependencies"]) <= MOST_PACKAGES
    for name, version in (told["dependencies"] | told["devDependencies"]).items():
        assert re.fullmatch(r"\d+\.\d+\.\d+", version), name


def test_the_lock_names_no_host_and_every_package_s_content() -> None:
    lock = json.loads((CONSOLE / "package-lock.json").read_text())
    packages = {name: one for name, one in lock["packages"].items() if name}
    assert len(packages) > MOST_PACKAGES
    assert [name for name, one in packages.items() if "resolved" in one] == []
    assert [name for name, one in packages.items() if "integrity" not in one] == []


def test_no_page_or_part_writes_html_or_styles_of_its_own_making() -> None:
    sources = [one for one in (CONSOLE / "src").rglob("*") if one.suffix in {".svelte", ".ts"}]
    assert sources
    for file in sources:
        text = file.read_text()
        assert "{@html" not in text, file
        assert "innerHTML" not in text, file
        assert not re.search(r'\sstyle="', text), file  # the content security policy would not apply it


def test_every_kind_of_interlock_is_said_in_words() -> None:
    text = (CONSOLE / "src" / "lib" / "limit.ts").read_text()
    words = text[text.index("const WORDS") : text.index("/** Say an interlock")]
    said = set(re.findall(r"^  (\w+)[:,]", words, re.MULTILINE))
    assert said == {str(one.__struct_config__.tag) for one in get_args(Interlock)}


def test_files_stay_small() -> None:
    long: dict[Path, int] = {}
    sources = [one for one in (CONSOLE / "src").rglob("*") if one.suffix in {".svelte", ".ts", ".css"}]
    for file in [*sources, *CONSOLE.glob("browser/*")]:
        lines = len(file.read_text().splitlines())
        if lines > 400 and file.name != "schema.d.ts":
            long[file] = lines
    assert long == {}
