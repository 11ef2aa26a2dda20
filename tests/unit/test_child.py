"""A program that is tied to another ends with it, however that ends."""

from __future__ import annotations

import subprocess
import sys

import psutil
import pytest

from nervure.stream.child import tied
from tests.patience import until

PARENT = """
import subprocess, sys, time
from nervure.stream.child import tied
child = subprocess.Popen(tied(sys.executable, "-c", "import time; time.sleep(60)"), start_new_session=True)
print(child.pid, flush=True)
time.sleep(60)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="other systems cannot tie a process to another")
def test_it_ends_when_its_parent_is_killed() -> None:
    with subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        child = psutil.Process(int(parent.stdout.readline()))
        until(lambda: child.cmdline()[1:2], equals=["-c"])  # it is tying itself; it may have no line yet
        parent.kill()
        child.wait(60)


def test_it_is_the_program_itself_and_has_its_own_code() -> None:
    found = subprocess.run(tied(sys.executable, "-c", "raise SystemExit(7)"), check=False)
    assert found.returncode == 7
