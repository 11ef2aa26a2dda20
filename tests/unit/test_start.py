"""Starting is cheap: heavy libraries load when they are first needed, not before."""

from __future__ import annotations

import resource
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
HELP_CPU_S = 0.3


def _loaded(program: str) -> set[str]:
    tail = "\nimport sys; print('\\n' + ' '.join(sys.modules))"
    run = subprocess.run([sys.executable, "-c", program + tail], capture_output=True, text=True, check=True)
    return {name.partition(".")[0] for name in run.stdout.rsplit("\n", 2)[-2].split()}


@pytest.mark.parametrize(
    "program", ["import nervure", "import nervure.cli", HELP], ids=["package", "cli", "help"]
)
def test_loads_nothing_heavy(program: str) -> None:
    assert not _loaded(program) & set(HEAVY)


def test_help_is_quick() -> None:
    """Of the processor's time, which other work on the machine does not lengthen much: the best of five."""

    def cost() -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, "-c", HELP], stdout=subprocess.DEVNULL, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    assert min(cost() for _ in range(5)) < HELP_CPU_S
