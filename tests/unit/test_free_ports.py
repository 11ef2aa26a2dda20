"""Ports that are chosen now and used in a moment are nobody else's meanwhile."""

from __future__ import annotations

import random
import subprocess
import sys

import pytest

from nervure.bench import process
from nervure.bench.process import free_ports

LIKE = "import random; random.seed(%d); from nervure.bench.process import free_ports; print(*free_ports(3))"


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no names that end with their process")
def test_two_processes_that_choose_at_once_choose_different_ports() -> None:
    before = random.getstate()
    random.seed(7)
    ours = free_ports(3)
    random.setstate(before)
    told = subprocess.run(
        [sys.executable, "-c", LIKE % 7], capture_output=True, text=True, check=True, timeout=120
    )
    theirs = [int(one) for one in told.stdout.split()]
    assert len({*ours, *theirs}) == 6


def test_claims_are_let_go_by_and_by(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "_CLAIMS", 4)
    for _ in range(5):
        free_ports(2)
    assert len(process._claimed) <= 4
