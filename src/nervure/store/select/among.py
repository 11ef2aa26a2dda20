"""Among: whether a key is one of many, in words that each database answers fast."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec
import sqlalchemy as sa

from nervure.store.select.spoken import spoken

__all__ = ["among"]


def among(column: Any, keys: Iterable[int]) -> Any:
    """Return the condition that a column is one of some keys; unknown where it is null.

    However many there are, the catalogue gets them as one parameter. DuckDB reads them in the text,
    with their bounds, by which it leaves parts of files unread.
    """
    wanted = sorted({int(one) for one in keys})
    if not wanted:
        return sa.false()
    listed = sa.literal(msgspec.json.encode(wanted).decode(), sa.Text())
    names = ", ".join(map(str, wanted))
    return spoken(
        sa.Boolean(), column, listed,
        sqlite="({0} IN (SELECT value FROM json_each({1})))",
        postgresql="({0} IN "
        "(SELECT CAST(e AS BIGINT) FROM json_array_elements_text(CAST({1} AS JSON)) AS e))",
        duckdb=f"({{0}} BETWEEN {wanted[0]} AND {wanted[-1]} AND {{0}} IN ({names}))",
    )  # fmt: skip
