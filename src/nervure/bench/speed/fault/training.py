"""A training that is killed at random instants, also while it hands its model over to a running node."""

from __future__ import annotations

import asyncio
import os
import random
import subprocess
import sys
import time
from hashlib import sha256
from pathlib import Path

import numpy as np

from nervure.bench.speed.fault.case import Outcome, Scale, play
from nervure.bench.speed.fault.stage import Stage
from nervure.core.error import EnvironmentMissing, NervureError
from nervure.score.runner import Runner
from nervure.store.catalogue import Catalogue
from nervure.stream.child import tied
from nervure.stream.log import Log
from nervure.trust.signature import trusted

__all__ = ["kill_training"]

_HOURS = 12 * 168
_SOLUTION = """
from nervure.core.declaration import Signal, Solution, Source
from nervure.core.problem import Forecast

solution = Solution(
    name="noise", title="Noise", thing="street",
    signals=(Signal(name="level", unit="m", every="1h", low=0, high=200),),
    problems=(Forecast(of="level", horizon="6h", window="24h"),),
    data=Source(
        folder=".", files=("noise.csv",), layout="wide", columns={r"(a|b)": r"\\1/level"},
        split=("rest", "3w", "2w"),
    ),
)
"""
_RECIPE = """model = "mixer"
[recipe]
least_steps = 60
epochs = 0.01
patience = 1000
[recipe.options]
hidden = 24
decoder = 16
blocks = 1
"""


async def kill_training(folder: Path, scale: Scale) -> Outcome:
    """Kill ``nervure train`` at random instants; each champion is whole and signed, and the node goes on."""
    _write(folder)
    chance = random.Random(scale.times)
    async with play(folder, scale, solutions=(str(folder / "noise.py"),)) as played:
        stage = played.stage
        played.crowd()
        begun = time.monotonic()
        await _whole(_train(stage, 0))
        took_s = time.monotonic() - begun
        over = 0
        for number in range(1, scale.times + 1):
            training = _train(stage, number)
            # half of the kills fall into the last third, in which the model is written and handed over
            await asyncio.sleep(took_s * chance.uniform(0.66 if number % 2 else 0.1, 1.0))
            over += training.poll() is not None

            async def kill(training: subprocess.Popen[bytes] = training) -> None:
                training.kill()
                await asyncio.to_thread(training.wait)

            await played.fault(kill)
            await _require_champion(stage)
        await _whole(_train(stage, scale.times + 1))
        version = await _require_champion(stage)
        await _scores(stage, version)
        played.more = {"trainings that were over before the kill": over}
    return played.judged


def _write(folder: Path) -> None:
    """Write a small made-up data set, its solution and a small recipe."""
    luck, hour = np.random.default_rng(0), np.arange(_HOURS)[:, None]
    level = 50 + 10 * np.sin(2 * np.pi * (hour + np.array([0, 6])) / 24) + luck.normal(0, 1, (_HOURS, 2))
    rows = [
        f"{np.datetime64('2024-01-01T00') + one}:00:00,{a:.3f},{b:.3f}"
        for one, (a, b) in enumerate(level.tolist())
    ]
    folder.joinpath("noise.csv").write_text("\n".join(["timestamp,a,b", *rows]) + "\n")
    folder.joinpath("noise.py").write_text(_SOLUTION)
    folder.joinpath("recipe.toml").write_text(_RECIPE)


def _train(stage: Stage, seed: int) -> subprocess.Popen[bytes]:
    """Start a training whose model is to score at once, whatever it is worth."""
    folder = stage.folder
    command = tied(
        sys.executable, "-m", "nervure.cli", "train", str(folder / "noise.py"), "--no-compare", "--promote",
        "--recipe", str(folder / "recipe.toml"), "--budget", "100000", "--seed", str(seed),
        "--settings", str(stage.home / "nervure.toml"),
    )  # fmt: skip
    with (folder / "train.log").open("ab") as out:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            env=os.environ | {"NERVURE_DATA": str(folder)},
        )


async def _whole(training: subprocess.Popen[bytes]) -> None:
    if await asyncio.to_thread(training.wait):
        raise EnvironmentMissing(f"a training that nobody killed ended with {training.returncode}")


async def _require_champion(stage: Stage) -> str:
    """Return the version of the model that scores; it must be whole, and signed by us."""
    catalogue = Catalogue.open(stage.settings.catalogue_place)
    champion = catalogue.champion("noise", "forecast-level")
    catalogue.close()
    if champion is None:
        raise NervureError("no model scores any more")
    log = await Log.connect(stage.settings)
    package = await log.get_package(champion.package)
    await log.close()
    if sha256(package).hexdigest() != champion.sha256:
        raise NervureError(f"the package of {champion.version} is another one")
    Runner(package, trusted(stage.settings.folder))
    return champion.version


async def _scores(stage: Stage, version: str, timeout_s: float = 30.0) -> None:
    """Wait until the node scores with a model."""
    begun = time.monotonic()
    while (await stage.node.status())["models"].get("noise") != version:
        if time.monotonic() - begun > timeout_s:
            raise NervureError(f"the node does not take up {version}")
        await asyncio.sleep(0.1)
