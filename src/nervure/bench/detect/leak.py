"""Leaks and bursts: a year of Hanoi, the Battle's 23 leaks on L-TOWN, transients, and pipes at risk.

All simulated, and said to be: networks by EPANET, pressure waves by the method of characteristics,
histories of pipes from a hazard that is written down.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import lru_cache
from typing import Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from nervure.bench.detect.clock import timed
from nervure.bench.detect.job import Contest, Entry, Job, Kind, Result
from nervure.core.error import DataError
from nervure.learn.detect.case import CaseTrees, signature
from nervure.learn.detect.casenet import CaseNet, Cases
from nervure.learn.detect.leak.burst import AgeOnly, Histories, PipeRisk, concordance, histories
from nervure.learn.detect.leak.scenario import battle, hanoi_year, simulate
from nervure.learn.detect.leak.score import Verdict, judge
from nervure.learn.detect.leak.suite import SUITE
from nervure.learn.detect.leak.survey import Survey, survey
from nervure.learn.detect.leak.transient import KINDS, RATE_HZ, Signals, signals
from nervure.learn.detect.leak.watch import Claim, Setup
from nervure.learn.detect.models.transient import TransientCnn
from nervure.learn.detect.place import place
from nervure.learn.detect.score import auroc_macro, counts
from nervure.learn.detect.train import Effort

__all__ = ["contests"]

Floats = NDArray[np.float64]
_SEEDS = (0, 1, 2)
_LEAKS: tuple[tuple[str, Kind], ...] = (
    ("night-flow rule", "baseline"),
    ("PCA T2+Q", "baseline"),
    ("network model", "baseline"),
    ("inflow LSTM", "deep"),
    ("flow/pressure autoencoder", "deep"),
)
_METRICS = (
    "F1", "abrupt delay h", "false alarms a year", "localised", "localised of found",
    "incipient delay h", "found", "claimed again", "score EUR",
)  # fmt: skip
_YEARS = 5.0  # ahead, for pipes at risk


@lru_cache(maxsize=4)
def _survey(name: str, seed: int, quick: bool) -> Survey:
    if name == "hanoi":
        scenario = hanoi_year(seed, clean_days=48 if quick else 120, days=60 if quick else 365)
        return survey(simulate(scenario), draws=2 if quick else 8)
    folder = place("water/battledim", "dataset_configuration_evaluation.yaml")
    return survey(simulate(battle(folder)))


def _perform_leaks(job: Job) -> Result:
    try:
        found = _survey(job.set, job.seed if job.set == "hanoi" else 0, job.quick)
    except DataError as cause:
        return Result(job=job, error=str(cause))
    effort = Effort(cpu_s=2.0, epochs=15, batch=256, rate=3e-3) if job.quick else None
    out = SUITE[job.model](found, setup=_setup(job.set), seed=job.seed, effort=effort)
    verdict = judge(out.claims, found.year, found.spots, by_place=job.set != "hanoi")
    return Result(
        job=job, value=_values(verdict), train_cpu_s=out.cpu_s, parameters=out.parameters,
        infer_ms=out.row_ms, drawn={"timeline": _timeline(found, out.claims)},
        note="re-simulated with EPANET",
    )  # fmt: skip


def _setup(name: str) -> Setup:
    return Setup(single=name == "hanoi")


def _values(verdict: Verdict) -> dict[str, float]:
    return {
        "F1": verdict.f1,
        "abrupt delay h": verdict.abrupt_delay_h,
        "false alarms a year": verdict.false_a_year,
        "localised": verdict.localised_of_all,
        "localised of found": verdict.localised_of_found,
        "incipient delay h": verdict.incipient_delay_h,
        "found": float(verdict.found),
        "claimed again": float(verdict.again),
        "score EUR": verdict.euro,
    }


def _timeline(found: Survey, claims: list[Claim]) -> dict[str, list[float]]:
    """Return what was lost in m3/h, and how many leaks were taken for open, at up to 400 moments in days."""
    scenario = found.year.scenario
    rows = np.linspace(scenario.clean, scenario.rows - 1, 400).astype(np.int64)
    days = (rows - scenario.clean) * scenario.step_s / 86_400
    lost = found.year.lost[rows].sum(axis=1)
    said = np.array([one.row + scenario.clean for one in claims if one.kind == "leak"])
    count = (said[None] <= rows[:, None]).sum(axis=1)
    return {"x": days.round(2).tolist(), "y": lost.round(2).tolist(), "claims": count.astype(float).tolist()}


@lru_cache(maxsize=4)
def _signals(seed: int, quick: bool) -> tuple[Signals, Signals]:
    """Return signals of pipelines to learn from, and of others to judge by."""
    lines = (12, 8) if quick else (60, 30)
    return signals(lines[0], seed=seed), signals(lines[1], seed=1000 + seed)


def _perform_transient(job: Job) -> Result:
    train, test = _signals(job.seed, job.quick)
    began = time.process_time()
    told = _telling(job, train)
    cpu = time.process_time() - began
    score, took = timed(lambda: told(test.x), len(test.x))
    called = np.array(KINDS)[score.argmax(axis=1)]
    burst = counts((test.kind == "burst").astype(np.int8), called == "burst")
    value = {
        "AUROC": auroc_macro(test.kind, score, KINDS),
        "accuracy": float((called == test.kind).mean()),
        "burst F1": burst.f1,
        "burst sensitivity": burst.sensitivity,
        "burst precision": burst.precision,
    }
    return Result(
        job=job,
        value=value,
        train_cpu_s=cpu,
        infer_ms=took,
        note="simulated by the method of characteristics",
    )


def _telling(job: Job, train: Signals) -> Callable[[NDArray[np.float32]], Floats]:
    """Return who tells the kind of signals, ``[case, class]``."""
    if job.model == "jump rule":
        return _jump
    if job.model == "extra trees":
        trees = CaseTrees(seed=job.seed).fit(_features(train.x), train.kind)
        return lambda x: trees.score(_features(x), KINDS)
    net = _net(job, train)
    return lambda x: net.score(Cases(x), KINDS)


def _net(job: Job, train: Signals) -> CaseNet:
    names = np.array(sorted(set(train.group.tolist())))
    held = np.isin(train.group, names[job.seed % 5 :: 5])
    net = TransientCnn(
        seed=job.seed, effort=Effort(cpu_s=3.0, epochs=12, batch=64, rate=3e-3) if job.quick else None
    )
    return net.fit(Cases(train.x[~held]), train.kind[~held], held=(Cases(train.x[held]), train.kind[held]))


def _features(x: NDArray[np.float32]) -> Floats:
    return np.stack([np.r_[signature(one), signature(np.diff(one, axis=0))] for one in x.astype(np.float64)])


def _jump(x: NDArray[np.float32]) -> Floats:
    """Call by rule, ``[case, class]``: what stays low is a burst, high a pump, what rings a valve."""
    tail = x[:, -int(5 * RATE_HZ) :, 0].mean(axis=1)
    swing = np.abs(x[:, :, 0]).max(axis=1)
    quiet = 1.5 - swing
    found: Floats = np.stack([-tail, quiet, tail, swing - 3 * np.abs(tail)], axis=1).astype(np.float64)
    return found


@lru_cache(maxsize=4)
def _pipes(seed: int, quick: bool) -> tuple[Histories, Histories]:
    count = 1500 if quick else 6000
    return histories(count, 10.0, seed=seed), histories(count, _YEARS, seed=1000 + seed)


def _perform_burst(job: Job) -> Result:
    seen, other = _pipes(job.seed, job.quick)
    began = time.process_time()
    fitted = (
        None
        if job.model == "the truth"
        else (AgeOnly() if job.model == AgeOnly.name else PipeRisk()).fit(seen)
    )
    cpu = time.process_time() - began
    chance, took = timed(
        lambda: fitted.chance(other, _YEARS) if fitted else other.chance(_YEARS), len(other.broke)
    )
    top = np.argsort(-chance)[: len(chance) // 10]
    parts = np.array_split(np.argsort(chance), 10)
    expected = np.array([chance[one].mean() for one in parts])
    seen_share = np.array([other.broke[one].mean() for one in parts])
    value = {
        "C-index": concordance(chance, other),
        "breaks in riskiest 10 %": float(other.broke[top].sum() / max(other.broke.sum(), 1)),
        "expected over seen": float(chance.sum() / max(other.broke.sum(), 1)),
        "error to truth": float(np.abs(chance - other.chance(_YEARS)).mean()),
    }
    drawn = {"calibration": {"x": expected.round(5).tolist(), "y": seen_share.round(5).tolist()}}
    return Result(
        job=job, value=value, train_cpu_s=cpu, infer_ms=took, drawn=drawn, note="simulated histories"
    )


def _text(results: list[Result]) -> str:
    """Say which ways met the goals, from the results."""
    said, placed = [], 0.0
    for name in dict.fromkeys(one.job.model for one in results):
        own = [one.value for one in results if one.job.model == name and one.value]
        if own:
            mean = {key: float(np.mean([one[key] for one in own])) for key in own[0]}
            placed = max(placed, mean["localised"])
            said.append(
                f"{name} finds {mean['found']:.1f} leaks (F {mean['F1']:.2f}), {mean['localised']:.0%} "
                f"of all within 300 m along the pipes, at {mean['false alarms a year']:.1f} false alarms "
                "a year"
            )
    missed = placed < next(bound for metric, _, bound in _GOALS if metric == "localised")
    tried = next((_TRIED[one.job.set] for one in results if missed and one.job.set in _TRIED), "")
    return f"Re-simulated with EPANET, so kinder than a real network. {'; '.join(said)}. {tried}".strip()


_TRIED = {
    "hanoi": "For places, more draws of what the model errs by, other weights of the candidates, and one"
    " filter for all leaks were tried on other years: no better than chance would have it, or worse.",
    "ltown": "What is missed are slow leaks while the network's model errs for days. Ways of large leaks"
    " taken as chords, pumps that do not follow the tank, and lower limits were tried on years of other"
    " leaks and did not help.",
}


_GOALS: tuple[tuple[str, Literal["<=", ">="], float], ...] = (
    ("F1", ">=", 0.65),
    ("abrupt delay h", "<=", 6.0),
    ("false alarms a year", "<=", 5.0),
    ("localised", ">=", 0.75),
)
_NOISE = "demand noise 5 % a consumer and step, its mean and roughness off by 5 %, 20 mm sensor noise"


def _hanoi() -> Contest:
    return Contest(
        set="hanoi",
        title="A year of Hanoi (re-simulated)",
        question="When and where does it leak?",
        protocol="120 days without leaks (80 to learn, 40 for limits), then a year of leaks, one at a time; "
        f"{_NOISE}. A claim while a leak is open finds it; its place is named a day after, distance along "
        "the pipes.",
        metrics=_METRICS,
        entries=tuple(Entry(model=name, kind=kind, seeds=_SEEDS) for name, kind in _LEAKS),
        perform=_perform_leaks,
        quick=("night-flow rule", "network model", "flow/pressure autoencoder"),
        goals=_GOALS,
        text=_text,
    )


def _ltown() -> Contest:
    return msgspec.structs.replace(
        _hanoi(),
        set="ltown",
        title="The Battle's 23 leaks on L-TOWN (re-simulated)",
        quick=(),
        protocol=f"182 days without leaks, then 2019 as the Battle had it, in half hours; {_NOISE}. "
        "A claim finds a leak that is open within 300 m along the pipes; all others are false. The network "
        "model's claims count from when their place was named, the others' from their alarm, a day before. "
        "Settings were chosen on years of other leaks.",
        entries=tuple(Entry(model=name, kind=kind) for name, kind in _LEAKS),
    )


def _transient() -> Contest:
    models: tuple[tuple[str, Kind], ...] = (
        ("jump rule", "baseline"), ("extra trees", "baseline"), (TransientCnn.name, "deep"),
    )  # fmt: skip
    return Contest(
        set="transient",
        title="Pressure transients (simulated)",
        question="Burst, valve, pump, or consumers?",
        protocol="60 pipelines to learn from, 30 others to judge by, 32 events each, 18 s at 25 Hz",
        metrics=("AUROC", "accuracy", "burst F1", "burst sensitivity", "burst precision"),
        entries=tuple(Entry(model=name, kind=kind, seeds=_SEEDS) for name, kind in models),
        perform=_perform_transient,
        quick=tuple(name for name, _ in models),
    )


def _burst() -> Contest:
    models: tuple[tuple[str, Kind], ...] = (
        (AgeOnly.name, "baseline"), (PipeRisk.name, "baseline"), ("the truth", "peer"),
    )  # fmt: skip
    return Contest(
        set="burst",
        title="Pipes at risk (simulated histories)",
        question="Which pipes break in five years?",
        protocol="6,000 pipes watched for ten years to learn from; 6,000 others for five to judge by",
        metrics=("C-index", "breaks in riskiest 10 %", "expected over seen", "error to truth"),
        entries=tuple(Entry(model=name, kind=kind, seeds=_SEEDS) for name, kind in models),
        perform=_perform_burst,
        quick=tuple(name for name, _ in models),
    )


def contests() -> tuple[Contest, ...]:
    """Return what leaks and bursts are measured by."""
    return _hanoi(), _ltown(), _transient(), _burst()
