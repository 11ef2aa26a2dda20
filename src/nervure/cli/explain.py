"""``nervure explain``: which sensor, lag and driver a forecast rests on."""

from __future__ import annotations

from datetime import datetime
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import numpy as np
from cyclopts import Parameter

from nervure.cli.evaluate import Packaged
from nervure.cli.export import newest, open_package, write
from nervure.cli.option import Change, File, Json, Named, Which, read
from nervure.cli.output import say, table, write_json
from nervure.core.error import UsageError
from nervure.core.instant import iso, to_ns

if TYPE_CHECKING:
    from nervure.core.explanation import Contribution, Explanation
    from nervure.learn.explain import Faithfulness
    from nervure.learn.task import ForecastTask
    from nervure.score.runner import Runner

__all__ = ["drawn", "explain"]

_WIDE = 24  # signs of the longest bar
_SHOWN = 15  # contributions of the table; the rest stand together
Whose = Annotated[str | None, Parameter(help="Whose forecast; the first Thing's if left out.")]
When = Annotated[
    str | None,
    Parameter(help="From when, as 2012-03-05T08:15Z; the newest reading if left out. UTC if no offset."),
]
Package = Annotated[Path | None, Parameter(help="The package; the newest of the solution if left out.")]
Plot = Annotated[Path | None, Parameter(help="Draw the contributions into this SVG file.")]
Check = Annotated[
    bool, Parameter(help="Tell also whether explanations hold: against hiding inputs in random order.")
]

_RAISES, _LOWERS = "#b3402e", "#2f6f9f"


def explain(
    name: Named,
    /,
    *,
    thing: Whose = None,
    at: When = None,
    model: Package = None,
    problem: Which = None,
    plot: Plot = None,
    check: Check = False,
    settings: File = None,
    change: Change = (),
    json: Json = False,
) -> int:
    """Say what a forecast rests on: which sensor, how long ago, which driver.

    Each input's share is what it adds to the forecast on average over the orders in which inputs may
    become known (Shapley value); the shares add up. The calendar is known first.
    """
    from nervure.learn.dataset import load
    from nervure.learn.explain import explain as reason
    from nervure.learn.explain import faithfulness
    from nervure.learn.task import pose
    from nervure.solutions import find

    loaded, _ = read(settings, change)
    solution = find(name)
    runner = open_package(model or newest(loaded.folder, solution.name, problem), loaded.folder)
    task = _viewed(runner, pose(load(solution), problem or runner.card.problem.name))
    node = _node(task, thing)
    last = _row(task, node, at)
    found = reason(task, runner.run, last=last, node=node)
    held = faithfulness(task, runner.run) if check else None
    if plot is not None:
        write(plot, drawn(found).encode())
    if json:
        write_json(_told(found, held))
    else:
        _show(found, held, plot)
    return 0


def _viewed(runner: Runner, task: ForecastTask) -> ForecastTask:
    """Return the task as the package looks at it, if it is of the same streams."""
    card = runner.card
    if (card.streams, card.horizon) != (task.names, task.horizon):
        raise UsageError(
            f"the package is a model of {card.solution} {card.problem.name}, not of these data",
            hint=f"train it on them: nervure train {task.solution}",
        )
    return Packaged(runner).view(task)


def _node(task: ForecastTask, thing: str | None) -> int:
    """Return the node of a Thing, named by itself or by its stream."""
    if thing is None:
        return 0
    found = [node for node, name in enumerate(task.names) if thing in (name, name.rpartition("/")[0])]
    if not found:
        known = ", ".join(name.rpartition("/")[0] or name for name in task.names[:8])
        raise UsageError(f"no Thing {thing!r} is foreseen", hint=f"there are {known}, ...")
    return found[0]


def _row(task: ForecastTask, node: int, at: str | None) -> int:
    """Return the row of the table that a window ends with."""
    read_ = np.flatnonzero(np.isfinite(task.table.value[:, task.targets[node]]))
    if task.ahead.size:  # what is known ahead explains nothing where the data end
        read_ = read_[read_ + task.horizon < len(task.table.value)]
    if at is None:
        return int(read_[-1]) if len(read_) else len(task.table.value) - 1
    try:
        moment = to_ns(datetime.fromisoformat(at))
    except ValueError as cause:
        raise UsageError(f"--at cannot read {at!r}", hint="write 2012-03-05T08:15Z") from cause
    row = moment // task.table.every_ns - task.table.first
    if not task.window - 1 <= row < len(task.table.value):
        first, end = task.table.first + task.window - 1, task.table.first + len(task.table.value) - 1
        span = " to ".join(iso(one * task.table.every_ns) for one in (first, end))
        raise UsageError(f"the data hold no window that ends at {at}", hint=f"there are windows from {span}")
    return int(row)


def _told(found: Explanation, held: Faithfulness | None) -> dict[str, Any]:
    """Return what machines read."""
    told: dict[str, Any] = msgspec.to_builtins(found)
    for one, row in zip(told["contributions"], found.contributions, strict=True):
        one["name"] = row.name
    told["time"] = iso(found.slot * found.every_ns)
    told |= {f"by_{what}": found.by(what) for what in ("source", "span", "kind")}
    if held is not None:
        told["faithfulness"] = msgspec.to_builtins(held)
    return told


def _show(found: Explanation, held: Faithfulness | None, plot: Path | None) -> None:
    say(f"{found.sentence} (from {iso(found.slot * found.every_ns)})")
    rows, rest, most = _largest(found)
    lines = [(one.source, one.span, f"{one.value:+.3g}", f"{one.error:.2g}", _bar(one, most)) for one in rows]
    if rest:
        lines.append((f"{len(rest)} more", "", f"{sum(one.value for one in rest):+.3g}", "", ""))
    table(("input", "when", "adds", "+-", ""), lines)
    say(_sum(found))
    if held is not None:
        say(_verdict(held, found.unit))
    if plot is not None:
        say(f"wrote {plot}")


def _largest(found: Explanation) -> tuple[list[Contribution], list[Contribution], float]:
    """Return the largest contributions but the calendar's, the rest, and the size of the first."""
    rows = [one for one in found.contributions if one.kind != "calendar"]
    return rows[:_SHOWN], rows[_SHOWN:], max((abs(one.value) for one in rows), default=0.0) or 1.0


def _sum(found: Explanation) -> str:
    """Say how the contributions add up, in means over the horizon."""
    nothing, usual, whole = (float(np.mean(one)) for one in (found.nothing, found.usual, found.forecast))
    return (
        f"{nothing:.4g} if nothing is known, {usual - nothing:+.3g} for the calendar,"
        f" {whole - usual:+.3g} for these: {whole:.4g} {found.unit}"
    ).rstrip()


def _bar(one: Contribution, most: float) -> str:
    return ("+" if one.value > 0 else "-") * round(_WIDE * abs(one.value) / most)


def _verdict(held: Faithfulness, unit: str) -> str:
    word = "hold" if held.low > 0 else "are no better than chance"
    return (
        f"explanations {word}: hiding first what they name moves forecasts by {held.area:.3g} {unit} on"
        f" average along the way, random order by {held.random:.3g}; {held.gain:+.3g}, 95 % interval"
        f" {held.low:+.3g} to {held.high:+.3g}, {held.samples} forecasts"
    )


def drawn(found: Explanation) -> str:
    """Draw the contributions as bars to the left (lower) and right (raise): an SVG file."""
    rows, _, most = _largest(found)
    names, middle, half, line = 330, 560, 210, 22
    height = 58 + line * len(rows)
    title = (
        f"What the forecast of {found.stream} from {iso(found.slot * found.every_ns)} rests on, {found.unit}"
    )
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 840 {height}" width="840" height="{height}">',
        "<style>text { font: 12px sans-serif }</style>",
        '<rect width="100%" height="100%" fill="white"/>',
        f'<text x="12" y="20">{escape(title)}</text>',
        f'<line x1="{middle}" y1="34" x2="{middle}" y2="{height - 18}" stroke="#888"/>',
    ]
    for number, one in enumerate(rows):
        y = 38 + line * number
        size = half * abs(one.value) / most
        left = middle if one.value >= 0 else middle - size
        colour = _RAISES if one.value >= 0 else _LOWERS
        end, anchor = (middle + size + 5, "start") if one.value >= 0 else (middle - size - 5, "end")
        parts += [
            f'<text x="{names}" y="{y + 13}" text-anchor="end">{escape(one.name)}</text>',
            f'<rect x="{left:.1f}" y="{y}" width="{size:.1f}" height="{line - 6}" fill="{colour}"/>',
            f'<text x="{end:.1f}" y="{y + 13}" text-anchor="{anchor}">{one.value:+.3g}</text>',
        ]
    parts.append(f'<text x="12" y="{height - 6}" fill="#555">{escape(_sum(found))}</text></svg>')
    return "\n".join(parts) + "\n"
