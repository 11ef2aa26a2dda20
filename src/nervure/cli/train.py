"""``nervure train``: from a solution's data to one signed model file, and on to the running node."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
from cyclopts import Parameter

from nervure.cli.export import models_folder, write
from nervure.cli.metric import show
from nervure.cli.option import Budget, Change, File, Json, Named, Which, read
from nervure.cli.output import say, write_json
from nervure.cli.progress import progress
from nervure.core.settings import Settings

if TYPE_CHECKING:
    from nervure.learn.course import Course

__all__ = ["hand_over", "train"]


def train(
    name: Named,
    /,
    *,
    problem: Which = None,
    out: Annotated[Path | None, Parameter(help="Write the package here, not into the data folder.")] = None,
    budget: Budget = 180.0,
    seed: Annotated[int, Parameter(help="Where chance starts.", show_default=True)] = 0,
    compare: Annotated[
        bool,
        Parameter(negative="--no-compare", help="Fit the plain baselines too, for the table and the card."),
    ] = True,
    settings: File = None,
    change: Change = (),
    json: Json = False,
) -> int:
    """Train a solution's model on its real data and package it as one signed file.

    The plain baselines stand above the model in the table and in its card. The node of this data
    folder scores with the model from now on, at once if it runs.
    """
    from nervure.learn.course import course
    from nervure.learn.dataset import load
    from nervure.solutions import find
    from nervure.trust.signature import SigningKey

    loaded, _ = read(settings, change)
    key = SigningKey.load_or_create(loaded.folder)
    with progress(f"train {name}") as tell:
        learned = course(
            load(find(name)), problem, key=key, budget_s=budget, seed=seed, compare=compare, progress=tell
        )
    path = out or models_folder(loaded.folder) / learned.name
    write(path, learned.package)
    running = hand_over(loaded, learned)
    _tell(learned, path, running=running, json=json)
    return 0


def _tell(learned: Course, path: Path, *, running: bool, json: bool) -> None:
    if json:
        found = {"file": str(path), "sha256": learned.sha256, "version": learned.card.version}
        write_json({**found, "running": running, "train_s": learned.train_s, "metrics": learned.metrics})
        return
    show(learned.metrics, learned.card.unit)
    say(f"wrote {path}")
    say("the running node takes it up" if running else "nervure up scores with it")


def hand_over(settings: Settings, learned: Course) -> bool:
    """Put a package where the node of this data folder finds it; tell whether one runs now.

    If none does, the embedded log is started for as long as that takes.
    """
    from nervure.cli.process import claim, find
    from nervure.store.catalogue import Catalogue

    running = find(settings.folder)
    if running is not None or settings.nats.url is not None:
        asyncio.run(_put(settings, learned))
    else:
        with claim(settings.folder, ""):
            asyncio.run(_put_alone(settings, learned))
    catalogue = Catalogue.open(settings.catalogue_place)
    try:
        catalogue.add_model(learned.card, learned.name, learned.sha256, promoted=True)
    finally:
        catalogue.close()
    return running is not None


async def _put(settings: Settings, learned: Course) -> None:
    from nervure.stream.log import Log

    log = await Log.connect(settings)
    try:
        await log.put_package(learned.name, learned.package)
    finally:
        await log.close()


async def _put_alone(settings: Settings, learned: Course) -> None:
    from nervure.stream.server import Server
    from nervure.trust.nkey import shut_gate

    inside = msgspec.structs.replace(settings.nats, mqtt_host="127.0.0.1")  # no device is meant
    alone = msgspec.structs.replace(settings, nats=inside)
    server = await Server.start(alone, gate=None if settings.access.open else shut_gate())
    try:
        await _put(settings, learned)
    finally:
        await server.stop()
