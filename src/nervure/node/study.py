"""A study of models: what one that waits would have foretold of readings that came, and a training.

What a waiting model would have foretold is told by the scorer itself, on the readings in the order of
their times, so a promotion changes nothing about it but who hears of it. A training is
``nervure train`` in a process of its own, which needs the extra ``learn``; one at a time.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
import time
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from nervure.core.error import BusyError, QueryError
from nervure.core.problem import Forecast
from nervure.core.settings import Settings
from nervure.score.runner import Runner
from nervure.score.scorer import Scorer
from nervure.serve.control.study import Training, Wanted
from nervure.solutions import find
from nervure.store.catalogue import Catalogue
from nervure.store.curve import Curve
from nervure.store.model import Model
from nervure.store.observations import Observations
from nervure.stream import child
from nervure.stream.conf import write_private
from nervure.stream.log import Log
from nervure.trust.signature import trusted

__all__ = ["Study"]

MOST_ROWS = 500_000
"""So many readings at most are gone through again for one answer."""

_CHUNK = 2_048
_SAID = 2_000
_STOP_S = 10.0
_NICE = 10


class Study:
    """What a node does with models beside scoring; made in the loop, asked from threads."""

    def __init__(
        self, settings: Settings, catalogue: Catalogue, observations: Observations, log: Log
    ) -> None:
        self._settings = settings
        self._catalogue = catalogue
        self._observations = observations
        self._log = log
        self._loop = asyncio.get_running_loop()
        self._process: asyncio.subprocess.Process | None = None
        self._task: asyncio.Task[None] | None = None
        self.training = Training()

    def shadow(self, model: Model, start_ns: int, end_ns: int) -> dict[int, Curve]:
        """Return what a model would have foretold of ``start <= time < end``, by the Datastream read.

        Of each instant it is the newest forecast before it came. ``QueryError`` says where this would
        take too long, or the model foretells nothing.
        """
        if not isinstance(model.card.problem, Forecast):
            raise QueryError(f"{model.name} makes no forecasts that could be gone through again")
        package = asyncio.run_coroutine_threadsafe(self._log.get_package(model.package), self._loop).result(
            60
        )
        runner = Runner(package, trusted(self._settings.folder))
        solution = find(model.solution)
        known = self._catalogue.datastreams(solution=model.solution)
        source = {one.id: one.source for one in known if one.kind == "forecast" and one.source is not None}
        scorer = Scorer(runner, known, solution=solution, batch=self._settings.score.batch)
        card = runner.card
        first = start_ns - (scorer.span + card.horizon) * card.every_ns
        rows = self._observations.about(scorer.inputs, first, end_ns)
        if rows > MOST_ROWS:
            raise QueryError(
                f"about {rows:,.0f} readings would have to be gone through again, {MOST_ROWS:,} at most are",
                hint="fewer days",
            )
        batch = self._observations.series(scorer.inputs, first, end_ns)
        batch = batch.take(np.lexsort((batch.id, batch.time)))
        found: dict[int, dict[int, tuple[float, float, float]]] = {}
        for begin in range(0, len(batch), _CHUNK):
            part = batch.take(np.arange(begin, min(begin + _CHUNK, len(batch))))
            for pack in scorer.take(part).packs:
                told = found.setdefault(source[pack.datastream], {})
                moments = range(pack.t0_ns, pack.t0_ns + pack.dt_ns * len(pack.v), pack.dt_ns)
                told.update(zip(moments, zip(pack.v, pack.low, pack.high, strict=True), strict=True))
        return {stream: _curve(told, start_ns, end_ns) for stream, told in found.items()}

    # --- training --------------------------------------------------------------------------------------

    def train(self, wish: Wanted, who: str) -> Training:
        """Begin a training; ``BusyError`` while another goes on. Called from any thread."""
        find(wish.solution).problem(wish.problem)
        return asyncio.run_coroutine_threadsafe(self._begin(wish, who), self._loop).result(60)

    async def _begin(self, wish: Wanted, who: str) -> Training:
        if self._task is not None and not self._task.done():
            raise BusyError(f"{self.training.solution} is being trained already", retry_s=60.0)
        folder = self._settings.folder.resolve()
        file = folder / "train.toml"
        write_private(file, msgspec.toml.encode(_known(msgspec.to_builtins(self._settings))).decode())
        words = [sys.executable, "-m", "nervure.cli", "train", wish.solution]
        words += ["--settings", str(file), "--budget", f"{wish.budget_s:g}", "--json"]
        words += [f"--problem={wish.problem}"]
        words += ["--live"] if wish.live else []
        words += ["--renew"] if wish.renew else []
        nice = shutil.which("nice")  # scoring goes first
        gently = [nice, "-n", str(_NICE)] if nice else []
        self.training = Training(
            state="running", solution=wish.solution, problem=wish.problem, who=who,
            began=time.time_ns() // 1_000_000,
        )  # fmt: skip
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, child.__file__, str(os.getpid()), *gently, *words,
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
            env={name: value for name, value in os.environ.items() if not _setting(name)},
        )  # fmt: skip
        self._task = asyncio.create_task(self._follow(self._process))
        return self.training

    async def _follow(self, process: asyncio.subprocess.Process) -> None:
        """Wait for the end of a training, and note what came of it."""
        out, err = await process.communicate()
        said = err.decode(errors="replace").strip()[-_SAID:]
        ended = time.time_ns() // 1_000_000
        try:
            told = msgspec.json.decode(out)
            verdict = told["verdict"]
            self.training = msgspec.structs.replace(
                self.training, state="done", ended=ended, version=told["version"], said=verdict["why"],
                promoted=told["promoted"],
            )  # fmt: skip
        except (msgspec.DecodeError, KeyError, TypeError):
            self.training = msgspec.structs.replace(self.training, state="failed", ended=ended, said=said)

    async def close(self) -> None:
        """Stop a training, which goes on where it was when it is asked for again."""
        if self._process is not None and self._process.returncode is None:
            self._process.terminate()
            try:
                async with asyncio.timeout(_STOP_S):
                    await self._process.wait()
            except TimeoutError:
                self._process.kill()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)


def _curve(told: dict[int, tuple[float, float, float]], start_ns: int, end_ns: int) -> Curve:
    kept = sorted(one for one in told if start_ns <= one < end_ns)
    band: NDArray[np.float64] = np.array([told[one] for one in kept]).reshape(-1, 3)
    return Curve(
        time=np.array(kept, dtype=np.int64) // 1000, value=band[:, 0], low=band[:, 1], high=band[:, 2]
    )


def _setting(name: str) -> bool:
    """Tell whether a variable of the environment is a setting, which the file has already."""
    return name.startswith("NERVURE_") and name != "NERVURE_DATA"


def _known(tree: Any) -> Any:
    """Leave out what is None, for which TOML has no word."""
    match tree:
        case dict():
            return {name: _known(value) for name, value in tree.items() if value is not None}
        case list() | tuple():
            return [_known(value) for value in tree]
        case Path():
            return str(tree)
        case _:
            return tree
