"""What detection is judged by: points, events, alarms a day, classes, remaining life, attribution.

Scores are never point-adjusted: an event found at one of its rows is one event found, not all of
its rows (Kim et al., AAAI, 2022, show that random scores win otherwise). Rows labelled unknown
count neither way.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from nervure.core.error import DataError
from nervure.core.instant import DAY_NS
from nervure.learn.detect.block import NORMAL, ODD, merged, runs

__all__ = [
    "Attacks", "Counts", "alarms_per_day", "attack_score", "auroc", "auroc_macro", "beat_scores", "counts",
    "event_recall", "false_alarms_per_day", "hit_at", "kept_promise", "phm08", "phm2012", "pooled", "rmse",
]  # fmt: skip

Floats = NDArray[np.float64]
Longs = NDArray[np.int64]
Flags = NDArray[np.bool_]
Labels = NDArray[np.integer[Any]]


class Counts(msgspec.Struct, frozen=True, kw_only=True):
    """Rows, or cases, by what they were and what was said of them."""

    tp: int
    fp: int
    fn: int
    tn: int

    def __add__(self, other: Counts) -> Counts:
        return Counts(
            tp=self.tp + other.tp, fp=self.fp + other.fp, fn=self.fn + other.fn, tn=self.tn + other.tn
        )

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall, 0..1; NaN where nothing was odd and nothing called."""
        return _ratio(2 * self.tp, 2 * self.tp + self.fp + self.fn)

    @property
    def far(self) -> float:
        """False-alarm rate: the share of normal rows that were called."""
        return _ratio(self.fp, self.fp + self.tn)

    @property
    def mar(self) -> float:
        """Missed-alarm rate: the share of odd rows that were not called."""
        return _ratio(self.fn, self.fn + self.tp)

    @property
    def sensitivity(self) -> float:
        """The share of odd rows that were called."""
        return _ratio(self.tp, self.tp + self.fn)

    @property
    def specificity(self) -> float:
        """The share of normal rows that were not called."""
        return _ratio(self.tn, self.tn + self.fp)

    @property
    def precision(self) -> float:
        """The share of calls that were right (positive predictivity)."""
        return _ratio(self.tp, self.tp + self.fp)


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else float("nan")


def _same(one: NDArray[Any], other: NDArray[Any]) -> None:
    if one.shape[:1] != other.shape[:1]:
        raise DataError(f"{len(one)} rows of truth cannot be held against {len(other)} rows of answers")


def counts(label: Labels, alarm: Flags) -> Counts:
    """Count rows, each for itself.

    >>> round(counts(np.array([1, 1, 0, 0, -1]), np.array([True, False, True, False, True])).f1, 3)
    0.5
    """
    _same(label, alarm)
    odd, normal = label == ODD, label == NORMAL
    return Counts(
        tp=int((odd & alarm).sum()),
        fp=int((normal & alarm).sum()),
        fn=int((odd & ~alarm).sum()),
        tn=int((normal & ~alarm).sum()),
    )


def pooled(found: Iterable[Counts]) -> Counts:
    """Add the counts of several records up; rates are then of all rows together, as SKAB's are."""
    total = Counts(tp=0, fp=0, fn=0, tn=0)
    for one in found:
        total += one
    return total


def event_recall(label: Labels, alarm: Flags) -> float:
    """Return the share of labelled stretches that at least one alarm row falls into; NaN without any."""
    _same(label, alarm)
    events = runs(label == ODD)
    return _ratio(sum(bool(alarm[start:stop].any()) for start, stop in events), len(events))


def alarms_per_day(alarm: Flags, every_ns: int, *, merge: int = 0) -> float:
    """Count alarms a day as a person gets them: stretches, joined over gaps of ``merge`` rows.

    >>> alarms_per_day(np.array([True, False, True, False]), DAY_NS // 4, merge=1)
    1.0
    """
    return _ratio(len(merged(runs(alarm), merge)), len(alarm) * every_ns / DAY_NS)


def false_alarms_per_day(label: Labels, alarm: Flags, every_ns: int, *, merge: int = 0) -> float:
    """Count alarms a day that touch no odd row, over the days that are normal.

    An alarm that touches a row nobody knows about, and no normal one, is not counted.
    """
    _same(label, alarm)
    false = 0
    for start, stop in merged(runs(alarm), merge):
        own = label[start:stop]
        false += not (own == ODD).any() and (own[alarm[start:stop]] == NORMAL).any()
    return _ratio(int(false), int((label == NORMAL).sum()) * every_ns / DAY_NS)


def kept_promise(realised: float, promised: float) -> float:
    """Return alarms a day that came over those promised; 1 is a promise kept to the letter.

    >>> kept_promise(3.0, 2.0)
    1.5
    """
    if promised <= 0:
        raise DataError(
            f"a promise of {promised} alarms a day cannot be judged", hint="promise more than none"
        )
    return realised / promised


class Attacks(msgspec.Struct, frozen=True, kw_only=True):
    """BATADAL's score: ``total`` is the mean of time to detection and of classification, all 0..1."""

    total: float
    time_to_detection: float
    classification: float
    found: int


def attack_score(label: Labels, alarm: Flags, attacks: Longs) -> Attacks:
    """Score alarms against ``attacks [attack, 2]`` as BATADAL does (Taormina et al., JWRPM 144(8), 2018).

    S_TTD is the mean over attacks of one less the delay as a share of the attack's length, nothing
    for one that is missed; S_CM is the mean of true-positive and true-negative rate.
    """
    part = [
        1 - int(alarm[start:stop].argmax()) / (stop - start) if alarm[start:stop].any() else 0.0
        for start, stop in attacks.tolist()
    ]
    rows = counts(label, alarm)
    timely, right = float(np.mean(part)), (rows.sensitivity + rows.specificity) / 2
    found = sum(bool(alarm[start:stop].any()) for start, stop in attacks.tolist())
    return Attacks(total=(timely + right) / 2, time_to_detection=timely, classification=right, found=found)


def auroc(label: Labels, score: Floats) -> float:
    """Return the chance that an odd row scores above a normal one; ties count half.

    Source: Hanley & McNeil, Radiology, 1982.

    >>> auroc(np.array([0, 0, 1, 1]), np.array([0.1, 0.4, 0.4, 0.8]))
    0.875
    """
    _same(label, score)
    odd, normal = score[label == ODD], np.sort(score[label == NORMAL])
    if np.isnan(score).any():
        raise DataError("a score that is no number cannot be ranked", hint="score every row")
    below = np.searchsorted(normal, odd, side="left") + np.searchsorted(normal, odd, side="right")
    return _ratio(float(below.sum()) / 2, len(odd) * len(normal))


def auroc_macro(truth: Sequence[str] | NDArray[Any], score: Floats, classes: Sequence[str]) -> float:
    """Return the mean over classes of one-against-the-rest AUROC; ``score`` is ``[case, class]``."""
    names = np.asarray(truth)
    each = [auroc((names == one).astype(np.int8), score[:, place]) for place, one in enumerate(classes)]
    if np.isnan(each).any():
        raise DataError("a class has no case, or all of them", hint="pool the folds before scoring")
    return float(np.mean(each))


def beat_scores(
    truth: NDArray[np.str_], found: NDArray[np.str_], *, strict: bool = False
) -> dict[str, Counts]:
    """Count beats of each class against the rest: ``sensitivity`` and ``precision`` are Se and +P.

    As ANSI/AAMI EC57 has it, a fusion or unknown beat called V is no false V, and an unknown one
    called S no false S (de Chazal et al., IEEE TBME 51(7), 2004). ``strict`` counts them.
    """
    _same(truth, found)
    spared = {} if strict else {"V": ("F", "Q"), "S": ("Q",)}
    out = {}
    for name in ("N", "S", "V", "F"):
        label = np.where(truth == name, ODD, NORMAL)
        label = np.where(np.isin(truth, spared.get(name, ())), -1, label)
        out[name] = counts(label, found == name)
    return out


def rmse(truth: Floats, found: Floats, *, clip: float | None = None) -> float:
    """Root of the mean squared error of remaining lives, ``[unit]``; ``clip`` bounds the truth.

    Clipping the truth alone halves or doubles the figure on FD002 and FD004: report both.

    >>> rmse(np.array([130.0, 10.0]), np.array([125.0, 10.0]), clip=125)
    0.0
    """
    _same(truth, found)
    wanted = truth if clip is None else np.minimum(truth, clip)
    return float(np.sqrt(np.mean((wanted - found) ** 2)))


def phm08(truth: Floats, found: Floats, *, clip: float | None = None) -> float:
    """Sum of the PHM08 challenge's penalties: late predictions cost more (Saxena et al., PHM, 2008).

    >>> round(phm08(np.array([50.0, 50.0]), np.array([60.0, 37.0])), 3)
    3.437
    """
    _same(truth, found)
    late = found - (truth if clip is None else np.minimum(truth, clip))
    return float(np.where(late < 0, np.expm1(-late / 13), np.expm1(late / 10)).sum())


def phm2012(truth: Floats, found: Floats) -> float:
    """Mean score of the PHM 2012 challenge, 0..1: half at 20 % too early, and at 5 % too late.

    Source: Nectoux et al., IEEE PHM, 2012, scoring of the challenge.

    >>> phm2012(np.array([100.0, 100.0]), np.array([80.0, 105.0])).__round__(3)
    0.5
    """
    _same(truth, found)
    error = 100 * (truth - found) / truth
    return float(np.mean(np.where(error <= 0, 0.5 ** (-error / 5), 0.5 ** (error / 20))))


def hit_at(contribution: Floats, channel: Longs, *, first: int = 1) -> float:
    """Return the share of cases whose guilty channel is among the ``first`` that were blamed most.

    ``contribution`` is ``[case, channel]``. Channels that tie with the guilty one stand before it,
    so blaming all alike hits nothing.

    >>> hit_at(np.array([[0.9, 0.1], [0.5, 0.5]]), np.array([0, 0]))
    0.5
    """
    _same(contribution, channel)
    own = contribution[np.arange(len(channel)), channel]
    ahead = (contribution >= own[:, None]).sum(axis=1) - 1
    return float(np.mean(ahead < first)) if len(channel) else float("nan")
