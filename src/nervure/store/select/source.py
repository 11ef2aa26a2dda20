"""Source: how a condition asks over the border between the catalogue and the observations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import sqlalchemy as sa

__all__ = ["OBSERVATION", "Source"]

OBSERVATION = (
    sa.table(
        sa.quoted_name("{observation}", quote=False),
        sa.column("datastream", sa.BigInteger),
        sa.column("time", sa.TIMESTAMP(timezone=True)),
        sa.column("end_time", sa.TIMESTAMP(timezone=True)),
        sa.column("result_time", sa.TIMESTAMP(timezone=True)),
        sa.column("id", sa.BigInteger),
        sa.column("value", sa.Double),
        sa.column("low", sa.Double),
        sa.column("high", sa.Double),
        sa.column("quality", sa.SmallInteger),
        sa.column("text", sa.Text),
        sa.column("feature", sa.BigInteger),
        sa.column("marks", sa.SmallInteger),
        sa.column("extra", sa.Text),
    )
).alias("o")
"""The rows of Observations in DuckDB: ``{observation}`` is what the store puts its rows in for."""


class Source(Protocol):
    """Who answers the questions that a condition has while it is made.

    ``project`` is whose entities are seen; None: everybody's.
    """

    @property
    def project(self) -> int | None:
        """Whose entities are seen."""

    def rows(self, statement: sa.Select[Any]) -> Sequence[Sequence[Any]]:
        """Run a statement on the catalogue; it is already limited to the project."""

    def datastreams_with(self, condition: sa.ColumnElement[bool]) -> Sequence[int]:
        """Return the Datastreams that have an Observation for which a condition on OBSERVATION holds."""

    def features_with(self, condition: sa.ColumnElement[bool]) -> Sequence[int]:
        """Return the FeaturesOfInterest of Observations for which a condition on OBSERVATION holds."""
