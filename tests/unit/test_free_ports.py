"""Ports that are chosen now and used in a moment are nobody else's meanwhile."""

from __future__ import annotations

import random
import subprocess
import sys

import pytest

from nervure.bench import process
from nervure.bench.process import free_ports
from nervure.cli import up
from nervure.core.settings import Settings, flat

LIKE = "import random; random.seed(%d); from nervure.bench.process import free_ports; print(*free_ports(3))"


linux = pytest.mark.skipif(
    sys.platform != "linux", reason="other systems have no names that end with their process"
)


@linux
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


@linux
def test_two_nodes_that_begin_at_once_listen_on_different_ports(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody listens yet: between the choice and the server lies all that a node does at its start."""
    monkeypatch.setattr(up, "_taken", [])
    usual = flat(Settings())

    def chosen() -> set[int]:
        others = dict(one.split("=") for one in up._free(Settings(), {}))
        return {int(others.get(name, usual[name])) for name in up._PORTS}

    first, second = chosen(), chosen()
    assert len(first | second) == 6
    for mark in up._taken:
        mark.close()
