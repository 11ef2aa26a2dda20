"""Tests marked ``real`` read the real data; on a machine without them they are left out, and counted."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pytest

__all__ = ["places", "pytest_collection_modifyitems", "pytest_runtest_setup"]


def places() -> Iterator[Path]:
    """Where real data may lie: ``NERVURE_DATA``, or a folder beside the checkout."""
    if "NERVURE_DATA" in os.environ:
        yield Path(os.environ["NERVURE_DATA"])
    yield Path(__file__).parents[2] / "shared" / "data"


_FOUND = next((place for place in places() if (place / "solar").is_dir()), None)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    out = [item for item in items if item.get_closest_marker("real")] if _FOUND is None else []
    if out:
        config.hook.pytest_deselected(items=out)  # the data are nobody's to install: not a skip, not a pass
        items[:] = [item for item in items if item not in set(out)]


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("real"):
        os.environ.setdefault("NERVURE_DATA", str(_FOUND))
