"""The report's pictures: for each bench the figures of a case as bars, the subjects beside each other."""

from __future__ import annotations

from pathlib import Path

from matplotlib.figure import Figure

from nervure.bench.forecast.plot import FORECAST, OTHERS, dress, svg
from nervure.bench.speed.row import Measured, Row

__all__ = ["draw"]

_DIFFERENT = 5


def draw(measured: Measured, folder: Path) -> Path:
    """Draw the figures that are set beside another subject's, each metric of a case in a row of bars.

    Where nobody stands beside us, the cases stand beside each other, one metric after the other.
    """
    groups: dict[tuple[str, str], list[Row]] = {}
    for row in measured.rows:
        groups.setdefault((row.case, row.metric), []).append(row)
    shown = {key: rows for key, rows in groups.items() if len(rows) > 1} or _by_metric(measured) or groups
    figure = Figure(figsize=(9, 0.5 + sum(0.5 + 0.28 * len(rows) for rows in shown.values())))
    sizes = [len(rows) + 1 for rows in shown.values()]
    grid = figure.subplots(len(shown), 1, squeeze=False, height_ratios=sizes).ravel()
    for axes, ((case, metric), rows) in zip(grid, shown.items(), strict=True):
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


def _by_metric(measured: Measured) -> dict[tuple[str, str], list[Row]]:
    """Group figures that differ between several cases by what they are."""
    found: dict[tuple[str, str], list[Row]] = {}
    for row in measured.rows:
        found.setdefault(("", row.metric), []).append(row)
    return {key: rows for key, rows in found.items() if len({one.value for one in rows}) >= _DIFFERENT}
