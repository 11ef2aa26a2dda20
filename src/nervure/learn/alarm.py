"""Alarm limits: from a forecaster's errors on normal data to a promised number of alarms a day.

The limit is the lowest at which the alarms counted on validation data, with the same persistence
and merging as live rules and a margin for their chance, stay within the promise over all streams.
How the score is made (which leads, how much slack) is chosen by faults injected into the same
validation data, and a score that finds no more of them than chance does is refused.

Injected faults are constant shifts by a share of the stream's mean. They are judged until forecasts
could have learned of them (the problem's ``lead``, or a little longer than the rule holds where
that is more), so the model need not be run again.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from nervure.core.declaration import Solution, condition
from nervure.core.error import DataError, ModelError
from nervure.core.event import Hold, Persistence, count, persistence
from nervure.core.instant import duration_ns
from nervure.core.problem import Anomaly, steps
from nervure.core.residual import FLOOR, Accumulator, Limit, Options, enough, excess, history, outlook
from nervure.core.window import Window
from nervure.learn.task import ForecastTask, Samples, windows

__all__ = ["History", "calibrate", "choices", "limit_for", "limits_for", "observe", "unstuck"]

Floats = NDArray[np.float64]
Longs = NDArray[np.int64]
Flags = NDArray[np.bool_]
Predict = Callable[[Window], NDArray[np.float32]]

SHARES = (0.15, 0.3)
INJECTIONS = 400
PARTS = 8
CAP = 1.5  # a score stops growing at this multiple of the limit
_GRID = 201
_PATIENCE = 3  # slots after the rule's own hold in which a fault may still ring in time
_CANDIDATES = 24
_STREAMS = 32  # streams whose score is made at a time


class History(msgspec.Struct, frozen=True, kw_only=True):
    """What was read and what was foreseen over a stretch of normal data.

    ``time [slot]`` at regular steps, ``value [slot, stream]``, ``forecast [slot, stream, horizon,
    3]`` (median, low, high) by the slot it was issued at; NaN where there is none. ``usual
    [stream]`` is the mean reading, of which injected faults are a share. ``stuck_after_ns`` is how
    long an unchanged value is believable; where it is ``None`` a value may stay for ever.
    """

    streams: tuple[str, ...]
    time: Longs
    every_ns: int
    value: Floats
    forecast: Floats
    usual: Floats
    stuck_after_ns: int | None = None


def limits_for(
    solution: Solution, task: ForecastTask, predict: Predict, *, seed: int = 0
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Calibrate every anomaly problem whose score is the error of this forecast.

    Returns the limits as a Card carries them, and what was refused, in words; ``predict`` is the
    calibrated model.
    """
    wanted = [
        problem
        for problem in solution.problems
        if isinstance(problem, Anomaly) and problem.residual == task.problem.name
    ]
    limits: dict[str, Any] = {}
    refused: list[str] = []
    if wanted:
        stuck_after = solution.signal(task.problem.of).stuck_after
        past = observe(task, predict, stuck_after_ns=duration_ns(stuck_after) if stuck_after else None)
    for problem in wanted:
        try:
            limit = calibrate(problem, past, hold_ns=_hold_ns(solution, problem), seed=seed)
        except ModelError as error:
            refused.append(error.what)
        else:
            limits[problem.name] = msgspec.to_builtins(limit)
    return limits, tuple(refused)


def _hold_ns(solution: Solution, problem: Anomaly) -> int | None:
    """Return for how long the rule on a problem's score holds, the shortest if there are several."""
    holds = [
        condition(rule.when).hold_ns
        for rule in solution.rules
        if rule.problem == problem.name and condition(rule.when).limit is None
    ]
    return min(holds, default=None)


def observe(
    task: ForecastTask, predict: Predict, *, batch: int = 512, stuck_after_ns: int | None = None
) -> History:
    """Run a forecaster over the validation part, and as far before it as its first slots need.

    Its outer quantiles are the band, so calibrate them before: the score is in their units.
    ``stuck_after_ns`` is how long an unchanged value is believable, if the signal says so.
    """
    rows = task.split.validation
    first = max(int(rows[0]) - task.horizon, task.window - 1)
    last = np.arange(first, int(rows[-1]) + 1, dtype=np.int64)
    chosen = Samples(last=np.repeat(last, task.nodes), node=np.tile(np.arange(task.nodes), len(last)))
    wanted = [task.median, 0, len(task.quantiles) - 1]
    forecast = np.empty((len(chosen), task.horizon, 3))
    for start in range(0, len(chosen), batch):
        window = windows(task, chosen.take(slice(start, start + batch)))
        band = predict(window)[:, :, wanted].astype(np.float64)
        band[~enough(window.x)] = np.nan
        forecast[start : start + batch] = band
    value = task.table.value[last][:, task.targets]
    known = task.table.value[task.split.train][:, task.targets]
    return History(
        streams=task.names,
        time=(task.table.first + last) * task.table.every_ns,
        every_ns=task.table.every_ns,
        value=value,
        forecast=forecast.reshape(len(last), task.nodes, task.horizon, 3),
        usual=np.nanmean(np.abs(known), axis=0),
        stuck_after_ns=stuck_after_ns,
    )


def choices(problem: Anomaly, every_ns: int, horizon: int) -> tuple[Options, ...]:
    """Return the ways of making the score among which injections choose.

    >>> problem = Anomaly(of=("inflow",), window="7d", lead="12h")
    >>> sorted({one.leads for one in choices(problem, 3_600_000_000_000, 24)})
    [(12,), (12, 16, 20, 24)]
    """
    least = 1 if problem.lead is None else steps(problem.lead, every_ns, where="$.lead")
    if least > horizon:
        raise DataError(
            f"{problem.name}: lead {problem.lead} is longer than the forecast's {horizon} steps",
            hint="declare a shorter lead or a longer horizon",
        )
    spaced = tuple(sorted({int(one) for one in np.linspace(least, horizon, 4).round()}))
    leads = tuple(dict.fromkeys([(least,), spaced]))
    return tuple(
        Options(leads=one, side=problem.side, slack=slack)
        for one, slack in product(leads, (0.5, 1.0, 1.5, 2.0))
    )


def unstuck(time: Longs, value: Floats, stuck_after_ns: int) -> tuple[Floats, Flags]:
    """Hide readings ``[slot, stream]`` unchanged for too long; tell which say something new.

    This is what live scoring does with a signal's ``stuck_after``.

    >>> seen, fresh = unstuck(np.arange(4), np.array([[1.0], [1.0], [1.0], [2.0]]), 1)
    >>> seen[:, 0].tolist(), fresh[:, 0].tolist()
    ([1.0, 1.0, nan, 2.0], [True, False, False, True])
    """
    before = np.full(value.shape[1], np.nan)
    since = np.zeros(value.shape[1], dtype=np.int64)
    fresh = np.zeros(value.shape, dtype=bool)
    seen = value.copy()
    for slot, row in enumerate(value):
        known = ~np.isnan(row)
        fresh[slot] = known & (row != before)
        since = np.where(fresh[slot], time[slot], since)
        before = np.where(known, row, before)
        seen[slot, known & (time[slot] - since > stuck_after_ns)] = np.nan
    return seen, fresh


def limit_for(time: Longs, score: Floats, span: Persistence, allowed: float) -> float:
    """Return the lowest limit at and above which no more than ``allowed`` alarms ring.

    Alarms come in clusters, so their number is taken with one standard error on top, from how it
    varies over ``PARTS`` equal parts of the time. The search comes down from the highest score:
    far below it alarms merge into one another and their number falls again, which is not what was
    promised.
    """
    known = np.unique(score[~np.isnan(score)])
    if not len(known):
        raise DataError(
            "no reading of the validation part could be scored", hint="use a longer validation part"
        )
    low, high = 0, len(known) - 1  # nothing is above the highest score, so `high` always holds
    while high > low:
        places = np.unique(np.linspace(low, high, min(_CANDIDATES, high - low + 1)).astype(np.int64))
        rang = count(time, score, known[places], span, parts=PARTS)
        error = rang.std(axis=1, ddof=1) * np.sqrt(PARTS)
        broken = np.flatnonzero(rang.sum(axis=1) + error > allowed)
        if not len(broken):
            return float(known[low])
        last = int(broken[-1])
        step = (int(places[last]) + 1, int(places[last + 1]))
        if step == (low, high):
            break
        low, high = step
    return float(known[high])


class _Trial(msgspec.Struct, frozen=True, kw_only=True):
    """One way of making the score, calibrated and judged; a fault found late is worth half."""

    limit: Limit
    found: float
    chance: float
    merit: float


def calibrate(problem: Anomaly, past: History, *, hold_ns: int | None = None, seed: int = 0) -> Limit:
    """Choose how the score is made and set the limit that keeps the promised alarms a day.

    ``hold_ns`` is the persistence of the rule that reads the score, if it is not the policy's
    ``min_duration``. A score that finds injected faults no better than chance is refused.
    """
    horizon = past.forecast.shape[2]
    span = persistence(problem.policy, past.every_ns, hold_ns=hold_ns)
    options = choices(problem, past.every_ns, horizon)
    fresh: Flags | None = None
    if past.stuck_after_ns is not None:
        value, fresh = unstuck(past.time, past.value, past.stuck_after_ns)
        past = msgspec.structs.replace(past, value=value)
    trials = [_trial(problem, past, option, span, (fresh, seed)) for option in options]
    best = max(trials, key=lambda trial: trial.merit)
    error = np.sqrt((best.found * (1 - best.found) + best.chance * (1 - best.chance)) / INJECTIONS)
    if best.found <= best.chance + 2 * error:
        raise ModelError(
            f"{problem.name}: the score finds {best.found:.0%} of injected faults,"
            f" chance finds {best.chance:.0%}",
            hint="train longer, use a shorter lead, or allow more alarms a day",
        )
    return best.limit


def _trial(
    problem: Anomaly, past: History, options: Options, span: Persistence, draw: tuple[Flags | None, int]
) -> _Trial:
    fresh, seed = draw
    floor = _floor(past.forecast)
    value = np.empty_like(past.value)
    for first in range(0, len(past.streams), _STREAMS):  # all at once would be many copies of the forecasts
        some = slice(first, first + _STREAMS)
        foreseen = outlook(past.forecast[:, some], options.leads)
        value[:, some] = excess(past.value[:, some], foreseen, floor[some]).value
    start = _settled(past, options, value, fresh)
    days = len(past.time) * past.every_ns / 86_400e9
    allowed = problem.policy.alarms_per_day * days
    cap = np.inf
    for _ in range(2):  # the cap follows from the limit, and the limit holds under the cap
        sums = Accumulator(len(past.streams), options, cap=cap)
        sums.centre, sums.spread = start.centre.copy(), start.spread.copy()
        scores, held = history(sums, past.time, value, fresh=fresh)
        limit = max(limit_for(past.time, scores, span, allowed), float(np.finfo(np.float64).eps))
        cap = min(cap, CAP * limit)
    rang = int(count(past.time, scores, np.array([limit]), span).sum())
    calibrated = Limit(
        problem=problem.name,
        streams=past.streams,
        options=options,
        limit=limit,
        cap=cap,
        floor=tuple(floor.tolist()),
        centre=tuple(sums.centre.tolist()),
        spread=tuple(sums.spread.tolist()),
        grid=tuple(np.quantile(scores[~np.isnan(scores)], np.linspace(0, 1, _GRID)).tolist()),
        promised=problem.policy.alarms_per_day,
        counted=rang / days,
        days=days,
    )
    return _judge(calibrated, past, span, _faults(past, options, span, seed), (foreseen, held))


def _floor(forecast: Floats) -> Floats:
    """Return the least half band width that is believed of each stream: ``[stream]``."""
    half = (forecast[..., 2] - forecast[..., 1]) * 0.5
    usual = [np.median(one[~np.isnan(one)]) for one in half.swapaxes(0, 1) if not np.isnan(one).all()]
    if len(usual) < half.shape[1]:
        raise DataError(
            "a stream has no forecast at all in the validation part", hint="leave it out of the model"
        )
    return np.maximum(FLOOR * np.array(usual), 1e-9)


def _settled(past: History, options: Options, value: Floats, fresh: Flags | None) -> Accumulator:
    """Let the running values find their level on the first third before anything is counted."""
    sums = Accumulator(len(past.streams), options)
    part = max(1, len(past.time) // 3)
    history(sums, past.time[:part], value[:part], fresh=None if fresh is None else fresh[:part])
    return sums


class _Faults(msgspec.Struct, frozen=True, kw_only=True):
    """Injected faults, ``[fault]``: where, when, how much, and for how many slots."""

    streams: Longs
    starts: Longs
    share: Floats
    shift: Floats
    length: int


def _faults(past: History, options: Options, span: Persistence, seed: int) -> _Faults:
    """Draw faults over all streams and hours of the validation data."""
    length = max(options.leads[0], span.hold_ns // past.every_ns + _PATIENCE)
    latest = len(past.time) - length
    if latest <= length:
        raise DataError(
            f"{len(past.time)} slots of validation are too few to inject faults of {length}",
            hint="use a longer validation part",
        )
    random = np.random.default_rng(seed)
    number = np.arange(INJECTIONS)
    streams = random.integers(0, len(past.streams), INJECTIONS)
    share = np.array(SHARES)[number % len(SHARES)]
    signs = np.array({"high": [1.0], "low": [-1.0], "both": [1.0, -1.0]}[options.side])
    return _Faults(
        streams=streams,
        starts=random.integers(length, latest, INJECTIONS),
        share=share,
        shift=share * np.abs(past.usual[streams]) * signs[number // len(SHARES) % len(signs)],
        length=length,
    )


def _judge(
    limit: Limit, past: History, span: Persistence, faults: _Faults, known: tuple[Floats, Floats]
) -> _Trial:
    """Count which injected faults ring before any forecast can know of them, and how soon."""
    delay = _delays(limit, past, span, faults, known)
    none = msgspec.structs.replace(faults, shift=np.zeros(INJECTIONS))
    chance = float(np.isfinite(_delays(limit, past, span, none, known)).mean())
    rung = np.isfinite(delay)
    hours = past.every_ns / 3_600e9
    evidence = {
        "injected": INJECTIONS,
        "within_h": round(faults.length * hours, 3),
        "found": round(float(rung.mean()), 4),
        "chance": round(chance, 4),
        "delay_h": round(float(np.median(delay[rung])) * hours, 3) if rung.any() else None,
        "by_share": {f"{one:g}": round(float(rung[faults.share == one].mean()), 4) for one in SHARES},
    }
    return _Trial(
        limit=msgspec.structs.replace(limit, found=evidence),
        found=float(rung.mean()),
        chance=chance,
        merit=float(np.where(rung, 1.0 - 0.5 * delay / faults.length, 0.0).mean()),
    )


def _delays(
    limit: Limit, past: History, span: Persistence, faults: _Faults, known: tuple[Floats, Floats]
) -> Floats:
    """Return after how many slots each injected fault rings, infinite where it does not."""
    foreseen, held = known
    rows, columns = faults.starts[:, None] + np.arange(faults.length), faults.streams[:, None]
    value = past.value[rows, columns] + faults.shift[:, None]
    floor = np.asarray(limit.floor)[columns]
    measured = excess(value, foreseen[rows, columns], floor).value
    sums = Accumulator(INJECTIONS, limit.options, cap=limit.cap)
    before = held[faults.starts, :, faults.streams]
    sums.centre, sums.spread, sums.sums = before[:, 0].copy(), before[:, 1].copy(), before[:, 2:].T.copy()
    hold = Hold(INJECTIONS, span)
    everyone = np.arange(INJECTIONS, dtype=np.int64)
    delay = np.full(INJECTIONS, np.inf)
    for slot in range(faults.length):
        time = past.time[faults.starts + slot]
        score, _ = sums.step(everyone, time, measured[:, slot])
        seen = everyone[~np.isnan(score)]
        raised, _ = hold.step(seen, time[seen], score[seen] > limit.limit)
        delay[seen[raised]] = np.minimum(delay[seen[raised]], slot)
    return delay
