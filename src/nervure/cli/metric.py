"""A table of forecasters: one a row, baselines first, as they come from evaluation or a card."""

from __future__ import annotations

from collections.abc import Sequence

from nervure.cli.output import table
from nervure.core.card import Metric

__all__ = ["show"]


def show(metrics: Sequence[Metric], unit: str) -> None:
    """Print metrics as one table, in the order in which the forecasters come."""
    columns = list(dict.fromkeys(f"{one.metric} {one.horizon}".strip() for one in metrics))
    cells = {(one.subject, f"{one.metric} {one.horizon}".strip()): one.value for one in metrics}
    subjects = list(dict.fromkeys(one.subject for one in metrics))
    rows = [[subject, *(cells.get((subject, column)) for column in columns)] for subject in subjects]
    table((f"forecaster ({unit})" if unit else "forecaster", *columns), rows)
