"""What the report does: which models on which set, with how many seeds and how long a training.

Plain baselines run on every set; so does the default model, with two or three seeds. The models that the
literature names for a domain run on the sets of that domain.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from importlib.util import find_spec

import msgspec

from nervure.bench.forecast.job import DEFAULT, Job, Survey

__all__ = ["PEERS", "SETS", "Named", "Wanted", "budget_of", "estimate", "in_order", "jobs_of", "left_out"]

# Seconds of one training of the default model, by set: the smaller sets have learnt all there is sooner.
SETS: dict[str, float] = {
    "traffic": 150,
    "crowd": 150,
    "air": 150,
    "air-weather": 80,
    "etth1": 120,
    "etth2": 90,
    "water": 70,
    "bwdf": 90,
    "solar": 50,
    "gefcom": 80,
    "wind": 80,
    "wind-weather": 80,
    "flood": 70,
    "flood-event": 40,
    "runoff": 25,
    "i94": 40,
    "bike": 40,
    "metr-la": 300,  # these two only where the user has put their files
    "pems08": 300,
}
_THRICE = ("traffic", "crowd", "air", "etth1")  # seeds of the default model where published figures lie near
_OTHERS_S = 120.0  # of a set that is not in the table
_TREES_S = 25.0  # to fit an ensemble, or five small ones
_TREE_S = {"boosted trees": 250 * 7e-8, "quantile boosted trees": 5 * 100 * 6e-8}  # to ask for one value
_PLAIN_S = 5.0
_FEW = 9  # quantiles up to which trees are fitted for each
_START_S = 8.0  # what a process takes to load libraries and data, and to judge


class Named(msgspec.Struct, frozen=True, kw_only=True):
    """A deep model that the literature names for some sets; ``budget_s`` is for one training."""

    model: str
    sets: tuple[str, ...]
    budget_s: float
    seeds: int = 1


NAMED: tuple[Named, ...] = (
    Named(model="cnn_lstm", sets=("traffic",), budget_s=120),
    Named(model="cnn_lstm_joint", sets=("traffic",), budget_s=90),
    Named(model="graph_wavenet", sets=("traffic",), budget_s=200),
    Named(model="attention_lstm", sets=("etth1", "etth2"), budget_s=90),
    Named(model="resnet", sets=("air", "air-weather"), budget_s=90),
    Named(model="transformer", sets=("crowd",), budget_s=120),
    Named(model="lstm", sets=("solar", "gefcom", "wind", "wind-weather"), budget_s=70),
    Named(model="flood", sets=("flood", "flood-event", "runoff"), budget_s=60),
)

PEERS: dict[str, tuple[str, ...]] = {
    "etth1": (
        "NeuralForecast TSMixerx",
        "NeuralForecast NHITS",
        "NeuralForecast LSTM",
        "Darts NLinear",
        "Darts TiDE",
    ),
    "etth2": ("NeuralForecast TSMixerx",),
}
_PEER_S = 80.0
_EXTRA_S = 85.0  # one or two trainings and some plain rivals


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What the command line asks for; empty ``models`` means all, 0 seeds and budget the plan's own."""

    models: tuple[str, ...] = ()
    seeds: int = 0
    budget_s: float = 0.0
    thin: int = 1
    peers: bool = True
    extras: bool = True


def budget_of(name: str) -> float:
    """Return the seconds that one training of the default model may take on a set."""
    return SETS.get(name, _OTHERS_S)


def left_out(names: Iterable[str]) -> tuple[str, ...]:
    """Return the named models of these sets that this installation does not have."""
    chosen = set(names)
    return tuple(one.model for one in NAMED if chosen & set(one.sets) and not _exists(one.model))


def jobs_of(survey: Survey, wanted: Wanted) -> list[Job]:
    """Return the jobs of a set, in no particular order."""
    name = survey.set

    def job(model: str, kind: str, seed: int = 0, budget_s: float = 0.0) -> Job:
        return msgspec.convert(
            {
                "set": name,
                "model": model,
                "kind": kind,
                "seed": seed,
                "budget_s": budget_s,
                "thin": wanted.thin,
            },
            Job,
        )

    found = [job(one, "baseline") for one in survey.baselines]
    often = 3 if name in _THRICE else 2
    deep = [Named(model=DEFAULT, sets=(name,), budget_s=budget_of(name), seeds=often)]
    deep += [one for one in NAMED if name in one.sets]
    known = {one.model for one in deep}
    deep += [
        Named(model=one, sets=(name,), budget_s=budget_of(name))
        for one in wanted.models
        if one not in known and one not in survey.baselines and _exists(one)
    ]
    for one in deep:
        if _exists(one.model):
            seeds = range(wanted.seeds or one.seeds)
            found += [job(one.model, "deep", seed, wanted.budget_s or one.budget_s) for seed in seeds]
    if wanted.peers:
        found += [job(one, "peer") for one in PEERS.get(name, ())]
    if wanted.extras:
        from nervure.bench.forecast.extra import extras_of

        found += [job(one, "extra") for one in extras_of(name)]
    return [one for one in found if not wanted.models or one.model in wanted.models]


def _exists(model: str) -> bool:
    return find_spec(f"nervure.learn.models.{model}") is not None


def estimate(job: Job, survey: Survey | None = None) -> float:
    """Return how many seconds a job is thought to take on one core."""
    if job.kind == "deep":
        return _START_S + job.budget_s
    if job.kind == "peer":
        return _START_S + _PEER_S
    if job.kind == "extra":
        return _START_S + _EXTRA_S
    if job.model not in _TREE_S:
        return _START_S + _PLAIN_S
    asked = 0 if survey is None else survey.asked
    many = 2.5 if survey is not None and survey.quantiles > _FEW else 1.0
    return _START_S + many * (_TREES_S + asked * _TREE_S[job.model])


def in_order(jobs: Sequence[Job]) -> list[Job]:
    """Put baselines and peers first, then one seed of every model, then the rest; long ones early.

    So a run that is cut short still holds every set, if with fewer seeds.
    """
    rank = {"baseline": 0, "peer": 1, "deep": 1, "extra": 2}
    return sorted(jobs, key=lambda job: (rank[job.kind] + job.seed, -estimate(job), job.set, job.model))
