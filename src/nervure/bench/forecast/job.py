"""One piece of work of the report, what comes of it, and the file it is kept in.

A job's file is named by what could change its answer: the set's data, the model, the seed, the
budget and the code. So work that is done is found again after a kill, and work whose code or data
have changed is done anew.
"""

from __future__ import annotations

import os
from hashlib import sha256
from pathlib import Path
from typing import Literal

import msgspec

__all__ = [
    "DEFAULT",
    "Curve",
    "Job",
    "Kind",
    "Result",
    "Round",
    "Row",
    "Survey",
    "Work",
    "child_environment",
    "write",
]

DEFAULT = "mixer"
"""The model that everything gets unless it asks for another."""

Kind = Literal["baseline", "deep", "peer", "extra"]

_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """Train one model once on one set and judge it.

    ``budget_s`` is for all trainings of the set together (two for ETT, four for the battle of
    water). Of the test windows every ``thin``-th is judged, 1 being the full protocol.
    """

    set: str
    model: str
    kind: Kind
    seed: int = 0
    budget_s: float = 0.0
    thin: int = 1

    @property
    def label(self) -> str:
        """What progress calls it."""
        return f"{self.set}: {self.model}" + (f", seed {self.seed}" if self.kind == "deep" else "")


class Survey(msgspec.Struct, frozen=True, kw_only=True):
    """What a set is: read once before its jobs are planned.

    ``data`` is a digest of every reading and of the split; ``baselines`` are those that make sense
    for it. ``drivers`` counts other signals that are seen, ``ahead`` those known over the horizon
    too. ``asked`` counts the values that are foreseen in all. ``train``, ``validation`` and
    ``test`` count slots, ``span`` is from first to last reading as ISO 8601, ``missing`` is the
    share of target readings that are not there.
    """

    set: str
    title: str
    solution: str
    protocol: str
    unit: str
    nodes: int
    every: str
    window: str
    horizon: str
    train: int
    validation: int
    test: int
    origins: int
    asked: int
    span: tuple[str, str]
    missing: float
    quantiles: int
    drivers: int
    ahead: int
    train_days: float
    baselines: tuple[str, ...]
    block: int
    data: str
    licence: str = ""
    cite: str = ""
    note: str = ""


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One number: which metric at which horizon, both as ``evaluate`` names them."""

    metric: str
    value: float
    horizon: str = ""


class Curve(msgspec.Struct, frozen=True, kw_only=True):
    """Mean absolute error by horizon ``[horizon]`` and by node ``[node]``; NaN where nothing was read."""

    horizon: tuple[float | None, ...]
    node: tuple[float | None, ...]


class Round(msgspec.Struct, frozen=True, kw_only=True):
    """A stretch of test time, all ``[time]``: when (ISO 8601), what was read, what had been foreseen.

    ``lead`` says how far ahead: a duration, or ``path`` for one forecast drawn out over its horizon.
    """

    node: str
    lead: str
    time: tuple[str, ...]
    read: tuple[float | None, ...]
    low: tuple[float, ...]
    median: tuple[float, ...]
    high: tuple[float, ...]


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a job; ``error`` says why nothing did.

    ``flaw`` says what is wrong with a model that was judged all the same. ``memory_mb`` is the peak
    of the training process, ``infer_ms`` the median time of one round, all nodes at one instant,
    on one thread.
    """

    job: Job
    error: str = ""
    flaw: str = ""
    rows: tuple[Row, ...] = ()
    train_cpu_s: float = 0.0
    train_wall_s: float = 0.0
    infer_ms: float | None = None
    parameters: int | None = None
    memory_mb: float | None = None
    curve: Curve | None = None
    round: Round | None = None
    extra: tuple[dict[str, str | float | None], ...] = ()


class Work(msgspec.Struct, frozen=True, kw_only=True):
    """The folder that results are kept in."""

    folder: Path

    def survey_path(self, name: str, code: str) -> Path:
        """Return where the survey of a set is kept, as this code reads these files."""
        own = Path(name).read_text("utf-8") if name.endswith(".py") and Path(name).is_file() else ""
        return self.folder / "set" / f"{_plain(name)}-{_digest(name, code, own)}.json"

    def result_path(self, job: Job, survey: Survey, code: str) -> Path:
        """Return where the result of a job is kept, on these data, by this code."""
        key = _digest(msgspec.json.encode(job).decode(), survey.data, code)
        return self.folder / f"{_plain(job.set)}-{_plain(job.model)}-{job.seed}-{key}.json"


def write(path: Path, value: msgspec.Struct) -> None:
    """Write a value so that the file is whole or not there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(f".{os.getpid()}.part")
    part.write_bytes(msgspec.json.encode(value))
    part.replace(path)


def child_environment() -> dict[str, str]:
    """Return the environment of a job: one thread for every library."""
    return {**os.environ, **dict.fromkeys(_THREADS, "1")}


def _digest(*texts: str) -> str:
    return sha256("\0".join(texts).encode()).hexdigest()[:16]


def _plain(name: str) -> str:
    return "".join(one if one.isalnum() else "-" for one in Path(name).name)
