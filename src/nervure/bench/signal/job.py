"""One measurement of signal control: a net, a controller, circumstances, and the runs that came of it."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

import msgspec

__all__ = ["CONTROLLERS", "LEARNED", "PLANS", "Job", "Kept", "Run", "path_of"]

PLANS = ("fixed", "actuated")
"""What the net's signals do by themselves."""
CONTROLLERS = ("Webster", "greedy queue", "max-pressure")
LEARNED = ("double DQN", "PPO")


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """Runs of one controller on one net.

    ``controller`` is one of the plans, the rules, the learned ones, or ``starve 1``, which shows phase 1
    for ever. ``faults`` is the share of detectors that fail. ``train_s`` > 0 asks for a training instead
    of runs, with ``seeds[0]``; ``model`` is where its file lies.
    """

    net: str
    controller: str
    seeds: tuple[int, ...]
    demand: float = 1.0
    scenario: tuple[tuple[str, float], ...] = ()
    """More quantities of the scenario."""
    faults: float = 0.0
    shield: bool = True
    train_s: float = 0.0
    model: str = ""
    steps: int = 0
    """How many decisions a run has; 0: as long as the net's demand lasts."""

    @property
    def label(self) -> str:
        """What it is called while it runs."""
        doing = "training" if self.train_s else f"{len(self.seeds)} runs, demand {self.demand:g}"
        return f"{self.net}: {self.controller}, {doing}"


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """What came of one seed."""

    seed: int
    kpis: dict[str, float]
    verdicts: dict[str, int] = {}
    decide_ms: float = 0.0


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """A job and its runs; of a training, its cost."""

    job: Job
    runs: tuple[Run, ...] = ()
    train_s: float = 0.0
    train_cpu_s: float = 0.0
    episodes: int = 0
    code: str = ""
    """Digest of the code that taught; what was kept before there was this has none."""
    error: str = ""


def path_of(job: Job, code: str, folder: Path) -> Path:
    """Return where the result of a job lies that this code makes."""
    key = sha256(msgspec.json.encode(job) + code.encode()).hexdigest()[:16]
    plain = "".join(one if one.isalnum() else "-" for one in f"{job.net}-{job.controller}")
    return folder / f"{plain}-{'train' if job.train_s else 'run'}-{key}.json"
