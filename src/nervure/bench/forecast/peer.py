"""Peers beside us: the same readings, the same test windows, trained in a Python of their own.

Arrays go over by file, so the peer's library need not stand in our environment, and its memory and
CPU time are those of a process that holds nothing of ours.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from nervure.bench.forecast.contest import Answer, Contest, open_contest
from nervure.bench.forecast.job import Job, Result, child_environment
from nervure.core.error import DataError, EnvironmentMissing

__all__ = ["compare", "python_of"]

_SCRIPTS = {"NeuralForecast": "peer_nixtla.py", "Darts": "peer_darts.py"}
_MODULES = {"NeuralForecast": "neuralforecast", "Darts": "darts"}
_SAID = ("MAE", "RMSE", "MSE")  # point forecasts have no bands
_LIMIT_S = 1800.0
_ASK_S = 120.0


def python_of(model: str, python: str) -> str:
    """Return the Python that can run a peer; raises ``EnvironmentMissing`` with what to install."""
    chosen = python or sys.executable
    library = _MODULES[model.split(maxsplit=1)[0]]
    found = subprocess.run(
        [chosen, "-c", f"import importlib.util,sys; sys.exit(importlib.util.find_spec('{library}') is None)"],
        capture_output=True,
        timeout=_ASK_S,
        check=False,
    )
    if found.returncode:
        raise EnvironmentMissing(
            f"{library} is not installed in {chosen}",
            hint="pip install nervure[peers], or name another Python: --peers-python PATH",
        )
    return chosen


def compare(job: Job, path: Path, python: str) -> Result:
    """Let a peer foresee the test windows of a set, and judge it as any other."""
    from nervure.bench.forecast.trial import judged

    chosen = python_of(job.model, python)
    contest = open_contest(job.set, seed=job.seed, thin=job.thin)
    value, places, centre, scale = _channels(contest)
    task = contest.legs[0].task
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "in.npz", Path(folder) / "out.npz"
        np.savez(
            source,
            value=(value - centre) / scale,
            horizon=task.horizon,
            window=task.window,
            validation=len(task.split.validation),
            test=len(task.split.test),
            seed=job.seed,
            model=job.model,
        )
        _run(chosen, job.model, source, target)
        with np.load(target) as given:
            found = {name: given[name] for name in given.files}
    y = found["y"] * scale + centre
    answers = _answers(contest, y, places)
    result = judged(contest, answers, job, path)
    return msgspec.structs.replace(
        result,
        rows=tuple(one for one in result.rows if one.metric in _SAID),
        train_cpu_s=round(float(found["train_cpu_s"]), 2),
        infer_ms=round(float(found["infer_ms"]), 4),
        parameters=int(found["parameters"]),
        memory_mb=round(float(found["memory_mb"]), 1),
    )


def _run(python: str, model: str, source: Path, target: Path) -> None:
    script = Path(__file__).with_name(_SCRIPTS[model.split(maxsplit=1)[0]])
    done = subprocess.run(
        [python, str(script), str(source), str(target)],
        env=child_environment(),
        cwd=source.parent,  # the libraries write their logs where they stand
        capture_output=True,
        text=True,
        timeout=_LIMIT_S,
        check=False,
    )
    if done.returncode or not target.is_file():
        words = [line for line in done.stderr.splitlines() if line.strip()]
        raise DataError(f"{model}: {words[-1] if words else 'it said nothing'}")


def _channels(contest: Contest) -> tuple[NDArray[Any], list[list[int]], NDArray[Any], NDArray[Any]]:
    """Return every channel of a set up to the end of its test part, and where each leg's stand.

    Also the mean and spread of the train part, by which the channels are scaled.
    """
    first = contest.legs[0].task
    start, end = int(first.split.train[0]), int(first.split.test[-1]) + 1
    columns = [int(column) for leg in contest.legs for column in leg.task.targets]
    value = first.table.value[start:end, columns]
    if np.isnan(value).any():
        raise DataError(f"{contest.name}: the peers take no missing readings, and there are some")
    own = value[: len(first.split.train)]
    places, at = [], 0
    for leg in contest.legs:
        places.append(list(range(at, at + leg.task.nodes)))
        at += leg.task.nodes
    return value, places, own.mean(axis=0), own.std(axis=0)


def _answers(contest: Contest, y: NDArray[Any], places: list[list[int]]) -> list[Answer]:
    """Deal the peer's ``y [origin, horizon, channel]`` to the windows of each leg."""
    answers = []
    for leg, columns in zip(contest.legs, places, strict=True):
        row = leg.chosen.last - (int(leg.task.split.test[0]) - 1)
        point = y[row, :, np.array(columns)[leg.chosen.node]]
        wide = np.repeat(point[:, :, None], len(leg.task.quantiles), axis=2).astype(np.float32)
        answers.append(Answer(leg=leg, found=leg.truth(), y=wide))
    return answers
