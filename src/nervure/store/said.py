"""What the Tasks of a loop said of themselves: the newest of each model."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import sqlalchemy as sa

from nervure.core.interlock_check import ACT
from nervure.store.sql import METADATA

__all__ = ["said"]

_TASK = METADATA.tables["task"]


def said(
    connection: sa.Connection, capability: int, models: Collection[str], limit: int
) -> dict[str, list[Mapping[str, Any]]]:
    """Return what the newest Tasks of a capability say under ``act``, by their model, the newest first.

    ``limit`` is how many Tasks are looked at, whoever asked for them. Nobody has looked at what they say.
    """
    query = sa.select(_TASK.c.properties).where(_TASK.c.tasking_capability_id == capability)
    found: dict[str, list[Mapping[str, Any]]] = {one: [] for one in models}
    for (properties,) in connection.execute(query.order_by(_TASK.c.id.desc()).limit(limit)):
        act = properties.get(ACT) if isinstance(properties, dict) else None
        if isinstance(act, dict) and isinstance(model := act.get("model"), str) and model in found:
            found[model].append(act)
    return found
