"""Starting is cheap: heavy libraries load when they are first needed, not before."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = (
    "torch",
    "duckdb",
    "onnxruntime",
    "litestar",
    "numpy",
    "pyarrow",
    "deltalake",
    "sqlalchemy",
    "pint",
    "nats",
)
HELP = """
import sys
from nervure.cli import main
sys.argv = ["nervure", "--help"]
try:
    main()
except SystemExit:
    pass
"""
HELP_MODULES = 300


def _loaded(program: str) -> set[str]:
    tail = "\nimport sys; print('\\n' + ' '.join(sys.modules))"
    run = subprocess.run([sys.executable, "-c", program + tail], capture_output=True, text=True, check=True)
    return {name.partition(".")[0] for name in run.stdout.rsplit("\n", 2)[-2].split()}


@pytest.mark.parametrize(
    "program", ["import nervure", "import nervure.cli", HELP], ids=["package", "cli", "help"]
)
def test_loads_nothing_heavy(program: str) -> None:
    assert not _loaded(program) & set(HEAVY)


def test_help_loads_little() -> None:
    """What help costs is what it imports; counted, since seconds differ from machine to machine."""
    tail = "\nimport sys; print('\\n' + str(len(sys.modules)))"
    run = subprocess.run([sys.executable, "-c", HELP + tail], capture_output=True, text=True, check=True)
    assert int(run.stdout.rsplit("\n", 2)[-2]) < HELP_MODULES
