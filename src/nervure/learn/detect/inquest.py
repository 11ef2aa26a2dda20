"""How models about whole Things are judged: on recordings of groups that no training was shown.

The figures are of what people hear: lives at the last row, and the alarms that the solution's rules
would have rung.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from nervure.core.card import Metric
from nervure.core.declaration import Solution
from nervure.core.problem import Case, Classify, RemainingLife
from nervure.learn.detect.case import CaseTrees, signature
from nervure.learn.detect.life import LifeTrees
from nervure.learn.detect.record import Record
from nervure.learn.detect.score import auroc_macro, rmse
from nervure.learn.detect.transfer import transfer
from nervure.learn.detect.whole import Windows, alarms, plain, windows
from nervure.learn.renew import DRAWS, Verdict, another, beside, unasked

__all__ = ["Answer", "Judged", "compared", "judge", "rivals"]

Floats = NDArray[np.float64]
Answer = Callable[[NDArray[np.float32]], NDArray[np.floating]]


class Judged(msgspec.Struct, frozen=True, kw_only=True):
    """What answers came to: figures by name, the first one the smaller the better, and errors.

    ``error [recording]`` is of the recordings that something can be said of, ``group [recording]``
    whose they are.
    """

    value: dict[str, float]
    error: Floats
    group: NDArray[np.str_]

    def metrics(self, subject: str, kind: Literal["baseline", "deep"]) -> list[Metric]:
        """Return the figures as rows of a card."""
        return [
            Metric(subject=subject, kind=kind, metric=name, value=one) for name, one in self.value.items()
        ]


def judge(
    solution: Solution, problem: Case, found: Sequence[Record], cut: Windows, y: NDArray[np.floating]
) -> Judged:
    """Judge answers ``y [window, answer]`` about windows of recordings."""
    answered = np.asarray(y, dtype=np.float64)
    if isinstance(problem, RemainingLife):
        return _lives(problem, found, answered[:, problem.quantiles.index(0.5)], answered[:, [0, -1]])
    return _classes(solution, problem, found, cut, answered)


def _lives(
    problem: RemainingLife, found: Sequence[Record], life: Floats, band: Floats | None = None
) -> Judged:
    left = np.array([one.left for one in found])
    told = np.minimum(left, problem.clip)
    value = {"RMSE clipped": rmse(left, life, clip=problem.clip), "RMSE": rmse(left, life)}
    value |= {
        f"RMSE clipped {kind}": float(np.sqrt(np.mean((life - told)[own] ** 2)))
        for kind in sorted({one.stratum for one in found if one.stratum})
        if (own := np.array([one.stratum == kind for one in found])).any()
    }
    if band is not None:
        value["coverage"] = float(((band[:, 0] <= told) & (told <= band[:, 1])).mean())
        value["width"] = float((band[:, 1] - band[:, 0]).mean())
    group = np.array([one.block.group for one in found])
    return Judged(value=value, error=(np.clip(life, 0, problem.clip) - told) ** 2, group=group)


def _classes(
    solution: Solution, problem: Classify, found: Sequence[Record], cut: Windows, y: Floats
) -> Judged:
    truth = np.array([found[place].truth for place in cut.record.tolist()])
    code = np.array([problem.classes.index(one) for one in truth.tolist()])
    sure = cut.sure
    value = {
        "error": float((y.argmax(axis=1) != code)[sure].mean()),
        "macro AUROC": auroc_macro(truth[sure], y[sure], problem.classes),
    }
    of = np.array([one.truth for one in found])
    hours = np.array([one.hours for one in found])
    for rule, places, limit, above in alarms(solution, problem):
        share = y[:, places]
        rung = np.zeros(len(found), dtype=bool)
        rings = (share > limit if above else share < limit).any(axis=1)
        np.logical_or.at(rung, cut.record, rings)
        named = np.isin(of, [problem.classes[place] for place in places.tolist()])
        meant = named if above else ~named
        false = float(np.isin(cut.record[rings], np.flatnonzero(~meant)).sum())
        value |= {
            f"{rule.name} found": float(rung[meant].mean()),
            f"{rule.name} kept quiet": float((~rung[~meant]).mean()),
            f"{rule.name} false an hour": false / max(float(hours[~meant].sum()), 1e-9),
        }
    loss = np.where(sure, (1 - y[np.arange(len(y)), code]) ** 2, np.nan)
    error = np.array([np.nanmean(loss[cut.record == one]) for one in np.unique(cut.record[sure])])
    group = np.array([found[one].block.group for one in np.unique(cut.record[sure]).tolist()])
    return Judged(value=value, error=error, group=group)


def rivals(
    solution: Solution,
    problem: Case,
    train: Sequence[Record],
    test: Sequence[Record],
    cut: Windows,
    length: int,
    *,
    seed: int,
) -> tuple[str, Judged]:
    """Fit the plain rival to the train part, and judge it on the same windows."""
    if isinstance(problem, RemainingLife):
        trees = LifeTrees(
            min(100, problem.window), clip=problem.clip, settings=len(problem.settings), seed=seed
        ).fit(plain(problem, train))
        return trees.name, _lives(problem, test, trees.last(plain(problem, test)))
    shown = windows(problem, train, length)
    truth = [train[place].truth for place in shown.record[shown.sure].tolist()]
    forest = CaseTrees(seed=seed).fit(_features(problem, shown.x[shown.sure]), truth)
    y = forest.score(_features(problem, cut.x), problem.classes)
    name = f"{'transfer + ' if _follows(problem) else ''}{forest.name}"
    return name, _classes(solution, problem, test, cut, y)


def _follows(problem: Classify) -> bool:
    """Tell whether channels answer the first one, as storeys do the ground: then gains tell the most."""
    return problem.model == "vibration_cnn" and len(problem.of) > 1


def _features(problem: Classify, x: NDArray[np.float32]) -> Floats:
    """Sum windows up for trees: ``[window, feature]``."""
    value = x.astype(np.float64)
    if _follows(problem):
        return np.stack([transfer(np.nan_to_num(one)).ravel() for one in value])
    return np.stack([signature(one, bands=min(16, x.shape[1] // 2)) for one in value])


def compared(
    own: Judged,
    naive: tuple[str, Judged] | None,
    champion: tuple[str, Judged] | None,
    *,
    unjudged: str,
    foreign: str,
    judged: str,
) -> Verdict:
    """Say how a model stands beside the one that answers now, by a paired bootstrap over groups.

    ``unjudged`` is the version of a champion that cannot be asked, ``foreign`` of one that answers another
    question.
    """
    measure = next(iter(own.value))
    verdict = Verdict(
        promoted=True, why="there is no champion yet", challenger=own.value[measure],
        naive=naive[1].value[measure] if naive else float("inf"), naive_name=naive[0] if naive else "",
        windows=len(own.error), measure=measure, judged=judged,
    )  # fmt: skip
    if champion is None and foreign:
        return another(verdict, foreign, "signals, rows or answers")
    if champion is None:
        return unasked(verdict, unjudged) if unjudged else verdict
    version, other = champion
    sure = _sure(other.error - own.error, own.group)
    better = bool(own.error.mean() < other.error.mean())
    return beside(verdict, version, other.value[measure], sure, better=better)


def _sure(gain: Floats, group: NDArray[np.str_]) -> float:
    """Return in which share of draws of groups, with replacement, the mean gain is above zero."""
    names, place = np.unique(group, return_inverse=True)
    total = np.bincount(place, weights=gain, minlength=len(names))
    count = np.bincount(place, minlength=len(names))
    drawn = np.random.default_rng(0).integers(len(names), size=(DRAWS, len(names)))
    return float((total[drawn].sum(axis=1) / count[drawn].sum(axis=1) > 0).mean())
