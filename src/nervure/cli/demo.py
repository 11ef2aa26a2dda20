"""``nervure demo``: real data through the whole loop, with a live view and a report at the end."""

from __future__ import annotations

import asyncio
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter

from nervure.cli.output import write_json

if TYPE_CHECKING:
    from nervure.bench.city.outcome import Outcome as Found
    from nervure.bench.demo import Watcher
    from nervure.bench.outcome import Outcome

__all__ = ["city", "demo", "water"]

MARK = ".nervure-demo"

demo = App(name="demo", help="Real data through the whole loop: learn, replay, score, alert, report.")


@demo.default
def water(
    *,
    headless: Annotated[bool, Parameter(help="Draw nothing; plain lines of progress on stderr.")] = False,
    json: Annotated[bool, Parameter(help="End with one JSON object on stdout.")] = False,
    data: Annotated[Path, Parameter(help="Folder of the demo; made anew each time.")] = Path("nervure-demo"),
    days: Annotated[int, Parameter(help="How many of the last days are replayed live.")] = 28,
    speed: Annotated[
        float, Parameter(help="How many times faster than life the devices are replayed.")
    ] = 40_000.0,
    budget: Annotated[float, Parameter(help="Seconds the training may take.")] = 150.0,
    seed: Annotated[int, Parameter(help="Draws the injected faults and the net's first weights.")] = 0,
    compare: Annotated[
        bool,
        Parameter(negative="--no-compare", help="Fit the plain baselines too, to stand above the model."),
    ] = True,
    webhook: Annotated[str | None, Parameter(help="Address that gets each alert as a POST.")] = None,
) -> int:
    """Learn two years of real water demand, replay four weeks over MQTT, find the burst, write a report.

    The readings are real. One burst and one stuck meter are injected, and marked everywhere.
    """
    from nervure.bench.demo import Options, perform
    from nervure.bench.page import write
    from nervure.cli.view import Plain, Screen

    folder = _fresh(data)
    watcher: Watcher = Plain(sys.stderr) if headless or json or not sys.stdout.isatty() else Screen()
    options = Options(
        folder=folder / "data",
        days=days,
        speed=speed,
        budget_s=budget,
        seed=seed,
        webhook=webhook,
        compare=compare,
    )
    with watcher:
        outcome, card = asyncio.run(perform(options, watcher))
        page = write(outcome, card, folder / "report.html")
    return _tell(outcome, page, None if json else watcher)


@demo.command
def city(
    *,
    headless: Annotated[bool, Parameter(help="Draw nothing; plain lines of progress on stderr.")] = False,
    json: Annotated[bool, Parameter(help="End with one JSON object on stdout.")] = False,
    data: Annotated[Path, Parameter(help="Folder of the demo; made anew each time.")] = Path("nervure-city"),
    seed: Annotated[int, Parameter(help="The seed of all chance in the twins.")] = 1,
    quick: Annotated[bool, Parameter(negative=(), help="Seconds instead of minutes: less of everything.")] = (
        False
    ),
    twins: Annotated[
        tuple[str, ...], Parameter(negative=(), help="Only these: roads, building, pipes. May be repeated.")
    ] = (),
    out: Annotated[Path | None, Parameter(help="Write city.json and city.md into this folder, too.")] = None,
) -> int:
    """Run three twins in the field of a node, let controllers command them, and say what came of it.

    Signals, a house and a water network, a hundred times as fast as life and more: readings by MQTT,
    decisions, Tasks, interlocks, guards, acknowledgements. A detector is stuck, a thermometer lies, a main
    bursts, and somebody with a stolen token gives hostile commands. The same twins run by their own plans
    alone, too.
    """
    from nervure.bench.city.page import write
    from nervure.bench.city.run import Options, perform
    from nervure.bench.city.text import publish
    from nervure.cli.progress import progress

    folder = _fresh(data)
    with progress("demo city") as tell:
        outcome = perform(Options(folder=folder / "data", seed=seed, quick=quick, only=twins), tell)
        page = write(outcome, folder / "report.html")
    if out is not None:
        publish(outcome, out)
    if json:
        write_json({**outcome.summary(), "report": str(page)})
    elif not headless:
        _told(outcome, page)
    return 0 if outcome.good else 1


def _told(outcome: Found, page: Path) -> None:
    """Say the most important of it."""
    from nervure.cli.output import say, table

    for side in outcome.sides:
        rows = [(one.name, one.alone, one.joined, one.unit) for one in side.kpis]
        title = f"{side.title}: {side.controller}, {side.speed:,.0f} times as fast as life"
        table(("figure", "own plan", "joined", "unit"), rows, title=title)
    states = ", ".join(f"{count:,} {name}" for name, count in outcome.tasks.items())
    say(f"{outcome.sent:,} readings, {outcome.lost} lost, {outcome.doubled} doubled; Tasks: {states}")
    for one in outcome.hostile:
        say(f"hostile: {one.what}: {one.state}, {one.why}")
    say(f"the report is {page}")


def _tell(outcome: Outcome, page: Path, watcher: Watcher | None) -> int:
    """Show what came of it, as JSON if nobody watches; 1 if a reading was lost or stored twice."""
    figures = outcome.summary()
    if watcher is None:
        write_json({**figures, "report": str(page)})
    else:
        watcher.summary(figures, page)
    return 0 if outcome.lost == 0 and outcome.duplicates == 0 else 1


def _fresh(folder: Path) -> Path:
    """Empty the demo's folder; one that is not the demo's own is refused."""
    from nervure.core.error import UsageError

    folder = folder.resolve()
    if folder.exists() and any(folder.iterdir()) and not (folder / MARK).exists():
        raise UsageError(f"{folder} holds something else", hint="name an empty folder with --data")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / MARK).touch()
    return folder
