"""Crashes of the node while entities and Observations are made, changed and deleted over its API."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.chaos.clerk import Clerks

pytestmark = [pytest.mark.chaos, pytest.mark.slow, pytest.mark.timeout(300)]


def test_crashes_take_back_no_answer(tmp_path: Path) -> None:
    clerks = Clerks(tmp_path / "data")

    async def scenario() -> None:
        try:
            await clerks.begin()
            await clerks.work(crashes=3)
            await clerks.check()
        finally:
            await clerks.node.stop()

    asyncio.run(scenario())
    clerks.check_orphans()
