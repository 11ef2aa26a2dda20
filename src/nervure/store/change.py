"""Changes: which rows an event of the log deletes or replaces, asked of the store before it does."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from nervure.store.latest import Summary
from nervure.store.look import View, summary

__all__ = ["Choice", "chosen", "present", "summed"]


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """Some rows: those for which ``where`` holds, which are in files that may hold ``identity``."""

    where: str
    identity: Sequence[int] | None = None


def chosen(ids: Sequence[int] = (), features: Sequence[int] = (), but: Sequence[int] = ()) -> Choice:
    """Choose rows by id, or by what they are about, but for those of some Datastreams."""
    parts = [
        f"{name} IN ({_listed(keys)})" for name, keys in (("id", ids), ("feature", features)) if len(keys)
    ]
    where = f"({' OR '.join(parts) or 'false'})"
    if len(but):
        where += f" AND datastream NOT IN ({_listed(but)})"
    return Choice(where=where, identity=None if len(features) else list(ids))


def summed(view: View, choice: Choice) -> Summary:
    """Sum the chosen rows up, by Datastream."""
    return summary(view, choice.where, identity=choice.identity)


def present(view: View, choice: Choice) -> NDArray[np.int64]:
    """Return the ids of the chosen rows."""
    query: dict[str, Any] = {"identity": choice.identity}
    found = view.ask(f"SELECT id FROM {{observation}} WHERE {choice.where}", **query)  # noqa: S608 - numbers
    return np.asarray(found["id"].to_numpy(), dtype=np.int64)


def _listed(keys: Sequence[int]) -> str:
    return ", ".join(str(int(key)) for key in keys)
