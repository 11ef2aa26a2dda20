"""Fixtures of every test."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support import make_settings

if TYPE_CHECKING:
    from pathlib import Path

    from nervure.core.settings import Settings


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings of a node of its own: a fresh data folder and free ports on loopback."""
    return make_settings(tmp_path)
