"""What the commands of ``nervure bench`` share: options, running, showing, writing the report."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from nervure.cli.output import complain, say, table, write_json
from nervure.cli.progress import progress

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from nervure.bench.speed.row import Measured, Row
    from nervure.bench.speed.run import Tell

__all__ = ["Out", "Quick", "run"]

Out = Annotated[
    Path | None, Parameter(name="--out", help="Put the run into the report on speed in this folder.")
]
Quick = Annotated[bool, Parameter(help="A small run that fails where a ratio is far below its goal: for CI.")]


def run(
    name: str,
    measure: Callable[[Tell], list[Row]],
    *,
    packages: Iterable[str] = (),
    notes: Iterable[str] = (),
    quick: bool = False,
    part: bool = False,
    out: Path | None,
    json: bool,
) -> int:
    """Run a bench, show what it found, and hold a quick one against its gates.

    A ``part`` of a bench leaves the other cases of the report as they are.
    """
    from nervure.bench.speed.goal import failed
    from nervure.bench.speed.run import timed

    with progress(f"bench {name}") as tell:
        found = timed(name, _words(), lambda: measure(tell), packages=packages, notes=notes)
    if json:
        write_json(found)
    else:
        _show(found)
    if out is not None:
        from nervure.bench.speed.report import put

        for path in put(found, out, part=part):
            say(f"wrote {path}") if not json else None
    wrong = failed(found.rows) if quick else []
    for one in wrong:
        complain(one)
    return 1 if wrong else 0


def _words() -> list[str]:
    """Return the words of the command as they were given, from the name of the bench on."""
    given = sys.argv[1:]
    given = given[given.index("bench") + 1 :] if "bench" in given else given
    return [word for word in given if word != "--json"]


def _show(found: Measured) -> None:
    rows = [
        (row.case, row.subject, row.metric, f"{row.value:,g}", _ratio(row.ratio_to)) for row in found.rows
    ]
    table(("case", "subject", "metric", "value", "ratio"), rows)
    for note in found.notes:
        say(note)
    say(f"measured on {found.machine}")


def _ratio(ratios: dict[str, float]) -> str:
    return ", ".join(f"{value:g} x {name}" for name, value in ratios.items())
