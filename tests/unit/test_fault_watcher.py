"""Who watches a node from outside is asked again: what it has not seen yet may still come."""

from __future__ import annotations

import asyncio

import pytest

from nervure.bench.process import NodeProcess, free_settings
from nervure.bench.speed.fault import watcher
from nervure.bench.speed.fault.watcher import Watcher


def test_what_is_told_a_moment_later_counts_and_what_is_never_told_does_not(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = Watcher(NodeProcess(free_settings(tmp_path_factory.mktemp("node"))))

    async def run() -> tuple[bool, bool]:
        asyncio.get_running_loop().call_later(0.1, found.problems.add, "log: it says nothing")
        told = await found.tells(lambda: found.named("log:"))
        monkeypatch.setattr(watcher, "_TOLD_S", 0.1)
        return told, await found.tells(lambda: found.named("catalogue:"))

    assert asyncio.run(run()) == (True, False)
