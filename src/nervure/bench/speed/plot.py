"""The report's pictures: for each bench the figures of a case as bars, the subjects beside each other."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from matplotlib.figure import Figure

from nervure.bench.forecast.plot import FORECAST, OTHERS, dress, svg
from nervure.bench.speed.row import Measured, Row

__all__ = ["draw"]

_DIFFERENT = 5


_MANY = 16
"""Of so many cases or more only the first metric is drawn, in two columns."""


def draw(measured: Measured, folder: Path) -> Path:
    """Draw the figures that are set beside another subject's, each metric of a case in a row of bars."""
    shown = _shown(measured.rows)
    wide = 2 if len(shown) >= _MANY else 1
    most = [max(map(len, list(shown.values())[start : start + wide])) for start in range(0, len(shown), wide)]
    figure = Figure(figsize=(9 + 3 * (wide - 1), 0.5 + sum(0.5 + 0.28 * rows for rows in most)))
    grid = figure.subplots(len(most), wide, squeeze=False, height_ratios=[rows + 1 for rows in most]).ravel()
    for axes in grid[len(shown) :]:
        axes.set_visible(False)
    for axes, ((case, metric), rows) in zip(grid, shown.items(), strict=False):
        dress(axes, "")
        axes.grid(axis="y", visible=False)
        ours = [bool(one.ratio_to) for one in rows]
        colours = [FORECAST if own else OTHERS[0] for own in ours]
        places = range(len(rows))[::-1]
        axes.barh(places, [one.value for one in rows], color=colours, height=0.7)
        axes.set_yticks(places, [one.subject if case else one.case for one in rows], fontsize=7)
        axes.set_title(f"{case}: {metric}" if case else metric, fontsize=8, loc="left")
        axes.tick_params(axis="x", labelsize=7)
        for place, one in zip(places, rows, strict=True):
            axes.text(one.value, place, f" {one.value:,.4g}", va="center", fontsize=7)
        axes.margins(x=0.15)
    figure.tight_layout()
    path = folder / "speed" / f"{measured.bench}.svg"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(svg(figure), "utf-8")
    return path


def _by_metric(rows: Iterable[Row]) -> dict[tuple[str, str], list[Row]]:
    """Group figures that differ between several cases by what they are."""
    found: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        found.setdefault(("", row.metric), []).append(row)
    return {
        key: several for key, several in found.items() if len({one.value for one in several}) >= _DIFFERENT
    }


def _shown(rows: Iterable[Row]) -> dict[tuple[str, str], list[Row]]:
    """Choose what is drawn: by case and metric, where there is more than one subject if there is any such.

    Where nobody stands beside us, the cases stand beside each other, one metric after the other.
    """
    groups: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        groups.setdefault((row.case, row.metric), []).append(row)
    shown = {key: rows for key, rows in groups.items() if len(rows) > 1} or _by_metric(rows) or groups
    if len(shown) < _MANY:
        return shown
    first = dict(reversed(list(shown)))
    return {key: rows for key, rows in shown.items() if first[key[0]] == key[1]}
