"""Incremental retraining, and who scores from now on: champion and challenger on the newest window.

A renewed model starts from the champion's weights, sees what is new and a replay of what is old,
and needs a fraction of the time. What is measured rather than learnt (profile, scalers, plain
forecasts, calibration) is taken anew from the data. Both are then judged on the newest stretch,
which neither was shown: the challenger is promoted only if its error is lower by more than chance
gives, by a paired bootstrap over blocks of time (Künsch, Ann. Statist. 17(3), 1989).
"""

from __future__ import annotations

from datetime import datetime

import msgspec
import numpy as np
from numpy.typing import NDArray

from nervure.core.card import Card
from nervure.core.error import DataError
from nervure.core.instant import DAY_NS, duration_text, iso, to_ns
from nervure.learn.baseline import LastValue, SeasonalNaive
from nervure.learn.evaluate import forecast
from nervure.learn.split import Split, by_time
from nervure.learn.task import Forecaster, ForecastTask, Samples, samples, truth
from nervure.learn.weights import Start, Weights

__all__ = [
    "DRAWS", "SURE", "Rival", "Verdict", "another", "as_seen", "beside", "confidence", "judge",
    "newest_split", "plan", "seen_rows", "unasked",
]  # fmt: skip

Doubles = NDArray[np.float64]
Longs = NDArray[np.int64]

SURE = 0.9
"""How sure it must be that the challenger is better."""

_HORIZONS = 7  # as many horizons, or a day, are the least that anybody is judged on
DRAWS = 2_000
_MOST = 60_000  # windows that are enough to judge by
_BLOCKS = 5  # a stretch of judging is cut into this many blocks at least


class Rival(msgspec.Struct, frozen=True, kw_only=True):
    """The champion: its card, and itself as a forecaster that answers the card's streams in order."""

    card: Card
    forecaster: Forecaster


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """How the challenger stands, in errors over the same windows, and what follows.

    ``sure`` is the share of bootstrap draws in which the challenger's error is the lower one.
    ``naive`` is the best one of last value and seasonal naive. Where ``champion`` is None nobody
    could be compared with, and ``why`` says so. ``measure`` names the errors; ``judged`` says on what they
    are, where it is no stretch of time.
    """

    promoted: bool
    why: str
    challenger: float
    naive: float
    naive_name: str
    champion: float | None = None
    champion_version: str = ""
    sure: float | None = None
    windows: int = 0
    since: str = ""
    until: str = ""
    unit: str = ""
    measure: str = "MAE"
    judged: str = ""

    @property
    def warning(self) -> str:
        """What an operator should know even where the challenger is promoted."""
        if self.windows and self.challenger >= self.naive:
            found = f"{self.naive:.4g} against {self.challenger:.4g} {self.unit}".rstrip()
            return f"{self.naive_name} is no worse: {found}"
        return ""


def plan(task: ForecastTask, card: Card, weights: Weights | None) -> tuple[ForecastTask, Start | None]:
    """Return the task split for renewing the champion of that card, and where the training starts.

    Without its weights the training starts afresh, with all of the past.
    """
    seen = seen_rows(task, card)
    task = msgspec.structs.replace(task, split=newest_split(task, seen))
    return task, None if weights is None else Start(weights=weights, since=max(0, seen - task.horizon))


def as_seen(task: ForecastTask, card: Card) -> ForecastTask:
    """Return the task with the channels that the model of a card looks at."""
    place = {one.signal: number for number, one in reversed(list(enumerate(task.inputs)))}
    near = np.array(card.neighbours, dtype=np.int64).reshape(task.nodes, -1)
    columns = []
    for one in card.channels:
        own = task.channels[:, place[one.signal]]
        columns.append(own[near[:, one.neighbour - 1]] if one.neighbour else own)
    ahead = [task.channels[:, place[one.signal]] for one in card.future]
    return msgspec.structs.replace(
        task,
        channels=np.stack(columns, axis=1),
        inputs=card.channels,
        neighbours=near,
        joint=card.joint,
        ahead=np.stack(ahead, axis=1) if ahead else np.empty((task.nodes, 0), dtype=np.int64),
        window=card.window,
    )


def seen_rows(task: ForecastTask, card: Card) -> int:
    """Return the row of the table up to which the card's model was shown readings (not included)."""
    if not card.span[1]:
        return 0
    slot = to_ns(datetime.fromisoformat(card.span[1])) // task.table.every_ns
    return int(np.clip(slot - task.table.first, 0, len(task.table.value)))


def newest_split(task: ForecastTask, seen: int) -> Split:
    """Split for a renewal: a third of what came since row ``seen`` judges, the rest is learned from.

    Validation is no shorter than half of what the solution declares, as calibration needs it, and
    may reach back to what the champion knew. Raises ``DataError`` where too little is new.
    """
    declared = task.split
    rows = int(max(declared.test.max(), declared.validation.max(), declared.train.max())) + 1
    least = max(_HORIZONS * task.horizon, DAY_NS // task.table.every_ns) + task.horizon
    new = rows - seen
    if new < 3 * least:
        span = duration_text(3 * least * task.table.every_ns)
        have = duration_text(new * task.table.every_ns) if new > 0 else "none"
        raise DataError(
            f"{task.solution}: too little is new since the champion was trained: {have}, of {span} at least",
            hint="retrain later; with --live the readings of the node count too",
        )
    test = max(least, min(len(declared.test), new // 3))
    own = len(declared.validation)
    validation = max(least, min(own, max(new // 3, own // 2)))
    return by_time((int(declared.train.min()), rows - test - validation, rows - test, rows))


def judge(task: ForecastTask, challenger: Forecaster, rival: Rival | None, *, unjudged: str = "") -> Verdict:
    """Hold the challenger against the champion on the windows of the test part that neither saw.

    ``unjudged`` is the version of a champion that cannot be asked: then nobody takes its place unbidden.
    """
    chosen = samples(task, "test")
    seen = 0 if rival is None else seen_rows(task, rival.card)
    fits = rival is not None and _fits(task, rival.card)
    if fits:
        chosen = chosen.take(chosen.last + 1 >= seen)
    least = max(_HORIZONS * task.horizon, DAY_NS // task.table.every_ns)
    if rival is not None and fits and (not len(chosen) or np.ptp(chosen.last) + 1 < least):
        return _unjudged(task, rival.card)
    stride = max(1, -(-len(chosen) // _MOST))
    chosen = chosen.take(np.isin(chosen.last, np.unique(chosen.last)[::stride]))
    real = truth(task, chosen)
    errors = _errors(task, challenger, chosen, real)
    naive = _naive(task, chosen, real)
    verdict = Verdict(
        promoted=True,
        why="there is no champion yet",
        challenger=_mean(errors),
        naive=naive[0],
        naive_name=naive[1],
        windows=len(chosen),
        since=_moment(task, int(chosen.last.min()) + 1),
        until=_moment(task, int(chosen.last.max()) + task.horizon + 1),
        unit=task.unit,
    )
    if rival is None:
        return unasked(verdict, unjudged) if unjudged else verdict
    if not fits:
        return another(verdict, rival.card.version, "streams, steps or horizon")
    other = _errors(task, rival.forecaster, chosen, real)
    block = max(task.horizon, DAY_NS // task.table.every_ns) // stride
    sure = confidence(other - errors, chosen.last, block)
    better = verdict.challenger < _mean(other)
    return beside(verdict, rival.card.version, _mean(other), sure, better=better)


def another(verdict: Verdict, version: str, differs: str) -> Verdict:
    """Say of a champion whose ``differs`` are others: it is not compared, and in nobody's way."""
    why = f"the champion {version} answers another question: other {differs}"
    return msgspec.structs.replace(verdict, why=why)


def unasked(verdict: Verdict, version: str) -> Verdict:
    """Say of a champion that it cannot be asked: nobody takes its place unbidden."""
    why = f"the champion {version} cannot be asked, so nothing tells which is better"
    return msgspec.structs.replace(verdict, promoted=False, why=why)


def beside(verdict: Verdict, version: str, champion: float, sure: float, *, better: bool) -> Verdict:
    """Say how a model stands beside a champion whose figure is ``champion``: better, and how sure that is."""
    promoted = better and sure >= SURE
    if promoted:
        why = f"it beats the champion {version}"
    elif better:
        why = f"it is better than the champion {version}, but that may be chance"
    else:
        why = f"the champion {version} is no worse"
    return msgspec.structs.replace(
        verdict, promoted=promoted, why=why, champion=champion, champion_version=version, sure=sure
    )


def _unjudged(task: ForecastTask, card: Card) -> Verdict:
    """Nothing is left to judge by: the champion stays."""
    nothing = float("nan")
    return Verdict(
        promoted=False,
        why=f"the champion {card.version} was shown readings until {card.span[1]}: "
        "nothing newer is left to judge by",
        challenger=nothing,
        naive=nothing,
        naive_name="",
        champion_version=card.version,
        unit=task.unit,
    )


def _fits(task: ForecastTask, card: Card) -> bool:
    """Whether the champion answers the very question of the task."""
    own = (task.names, task.horizon, task.table.every_ns, task.unit, task.quantiles)
    known = {one.signal for one in task.inputs}
    same = own == (card.streams, card.horizon, card.every_ns, card.unit, card.quantiles)
    return same and all(one.signal in known for one in (*card.channels, *card.future))


def _errors(
    task: ForecastTask, forecaster: Forecaster, chosen: Samples, real: NDArray[np.float32]
) -> Doubles:
    """Return the absolute errors of the median, NaN where nothing was read: ``[batch, horizon]``."""
    y = forecast(task, forecaster, chosen)[:, :, task.median]
    errors: Doubles = np.abs(real - y).astype(np.float64)
    return errors


def _mean(errors: Doubles) -> float:
    """Return the mean over the steps of each step's mean, as every table of ours has it."""
    return float(np.nanmean(np.nanmean(errors, axis=0)))


def _naive(task: ForecastTask, chosen: Samples, real: NDArray[np.float32]) -> tuple[float, str]:
    """Return the error and the name of the best one of last value and seasonal naive of day and week."""
    plain: list[Forecaster] = [LastValue()]
    for name, period in (("day", DAY_NS), ("week", 7 * DAY_NS)):
        slots = period // task.table.every_ns
        if slots > 1 and len(task.split.train) >= slots * (-(-task.horizon // slots) + 1):
            plain.append(SeasonalNaive(period, f"seasonal naive {name}"))
    return min((_mean(_errors(task, one.fit(task), chosen, real)), one.name) for one in plain)


def confidence(gain: Doubles, last: Longs, block: int, *, seed: int = 0) -> float:
    """Return how sure it is that the mean gain is above zero, by a bootstrap over blocks of time.

    ``gain [batch, horizon]`` is how much lower the error is, NaN where unknown; ``last [batch]`` is
    the row each window ends with. Windows overlap and days resemble each other, so a ``block``
    should be as long as the horizon or a day; a fifth of the stretch is the most that is taken.

    >>> gain = np.random.default_rng(0).normal(0.5, 1.0, (400, 1))
    >>> confidence(gain, np.arange(400), 24) > 0.99, confidence(-gain, np.arange(400), 24) < 0.01
    (True, True)
    """
    _, row = np.unique(last, return_inverse=True)
    known = ~np.isnan(gain)
    total = np.bincount(row, np.where(known, gain, 0.0).sum(axis=1))
    count = np.bincount(row, known.sum(axis=1).astype(np.float64))
    length = len(total)
    block = max(1, min(block, length // _BLOCKS))
    sums = [np.r_[0.0, np.cumsum(np.r_[one, one[: block - 1]])] for one in (total, count)]
    blocks = [one[block:] - one[:-block] for one in sums]  # by where they start, around the end
    random = np.random.default_rng(seed)
    start = random.integers(0, length, (DRAWS, -(-length // block)))
    drawn = blocks[0][start].sum(axis=1) / np.maximum(blocks[1][start].sum(axis=1), 1)
    return float((drawn > 0).mean())


def _moment(task: ForecastTask, row: int) -> str:
    return iso((task.table.first + row) * task.table.every_ns)
