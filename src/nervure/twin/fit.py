"""Calibration of the road twin: how much traffic comes from where, and how close it drives.

Traffic by origin follows from what loops counted, by multiplicative algebraic reconstruction (Gordon, Bender
& Herman, J. Theoretical Biology 29(3), 1970; for demand from counts see Cascetta, Transportation Research B
18(4-5), 1984): every origin grows by the mean of counted over simulated at the loops its cars were seen at.
The drivers' headway follows from queues: who keeps further apart leaves a queue more slowly (Treiber &
Kesting, Traffic Flow Dynamics, chapter 17, on calibration of headways).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nervure.twin.api import TwinError

if TYPE_CHECKING:
    from nervure.twin.roads import Roads

__all__ = ["fit_demand"]

Floats = NDArray[np.float64]
_ROUNDS = 5
_SEEDS = (11, 12, 13)
_HELD = 1 / 3
_FEWEST = 6  # steps
_FEW = 10.0  # cars of an origin that tell nothing of it alone
_HEADWAY = (0.7, 1.6)
_TRIES = 7
_CALM = 0.1  # cars of a queue that scatters no less than so many


class _Seen(NamedTuple):
    """What was observed: arrivals ``[loop, step]``, queues ``[lane, step]``, where the last part begins."""

    loops: tuple[str, ...]
    lanes: tuple[str, ...]
    arrivals: Floats
    queues: Floats
    cut: int


class _Run(NamedTuple):
    """The same of a run, as means over seeds, and cars by where they came from ``[loop, origin]``."""

    arrivals: Floats
    queues: Floats
    came: Floats


def fit_demand(twin: Roads, observed: Mapping[str, tuple[float, ...]]) -> Mapping[str, float]:
    """Find demand by origin, and headway where queues were observed, and start anew with them.

    The first two thirds of the steps decide. Returns ``demand`` and on top of it ``demand/EDGE`` for
    every origin whose cars were seen, ``headway`` as a factor, and errors of the last third: of all
    arrivals and of single loops as shares of what was counted, of the lanes' mean queues in cars, each
    also ``uncalibrated`` (everything 1). NaN is what nobody observed. Raises TwinError where no sensor of
    arrivals is named, or there are fewer than 6 steps.
    """
    seen, origins = _seen(twin, observed), twin.origins
    plain = _run(twin, seen, {}, origins)
    scenario = _demand(twin, seen, {}, origins, plain)
    if seen.lanes:
        scenario = _headway(twin, seen, scenario, origins)
        scenario = _demand(twin, seen, scenario, origins, _run(twin, seen, scenario, origins), rounds=1)
    own = _run(twin, seen, scenario, origins)
    twin.reset(scenario=scenario)
    errors = _errors(seen, own) | {f"uncalibrated_{name}": one for name, one in _errors(seen, plain).items()}
    return {"headway": 1.0, **scenario, **errors}


def _seen(twin: Roads, observed: Mapping[str, tuple[float, ...]]) -> _Seen:
    known = {
        what: {one.name for one in twin.describe().sensors if one.signal == what}
        for what in ("arrivals", "queue")
    }
    loops, lanes = (tuple(sorted(set(observed) & known[what])) for what in ("arrivals", "queue"))
    if not loops:
        raise TwinError(
            "nothing to fit: no sensor of arrivals was given", hint=f"such as {min(known['arrivals'])}"
        )
    lengths = sorted({len(observed[name]) for name in (*loops, *lanes)})
    if len(lengths) > 1:
        raise TwinError(f"sensors have {lengths[0]} and {lengths[-1]} steps", hint="give as many of each")
    steps = lengths[0]
    if steps < _FEWEST:
        raise TwinError(f"{steps} steps are too few to fit", hint=f"give {_FEWEST} at least")
    arrivals, queues = (np.array([observed[one] for one in names], np.float64) for names in (loops, lanes))
    return _Seen(loops, lanes, arrivals, queues.reshape(len(lanes), steps), round(steps * (1 - _HELD)))


def _run(twin: Roads, seen: _Seen, scenario: Mapping[str, float], origins: tuple[str, ...]) -> _Run:
    """Simulate as long as was observed, with each seed; what was not observed is NaN here too."""
    steps, place = seen.arrivals.shape[1], {one: at for at, one in enumerate(origins)}
    found = _Run(
        np.zeros_like(seen.arrivals), np.zeros_like(seen.queues), np.zeros((len(seen.loops), len(origins)))
    )
    for seed in _SEEDS:
        twin.reset(seed=seed, scenario=scenario)
        for step in range(steps):
            readings = twin.step()
            found.arrivals[:, step] += [readings[name] for name in seen.loops]
            found.queues[:, step] += [readings[name] for name in seen.lanes]
            for row, name in enumerate(seen.loops) if step < seen.cut else ():
                for edge in twin.came_from(name):
                    if edge in place:
                        found.came[row, place[edge]] += 1
    arrivals = np.where(np.isfinite(seen.arrivals), found.arrivals / len(_SEEDS), np.nan)
    queues = np.where(np.isfinite(seen.queues), found.queues / len(_SEEDS), np.nan)
    return _Run(arrivals, queues, found.came / len(_SEEDS))


def _demand(
    twin: Roads,
    seen: _Seen,
    scenario: Mapping[str, float],
    origins: tuple[str, ...],
    run: _Run,
    *,
    rounds: int = _ROUNDS,
) -> dict[str, float]:
    """Let every origin grow until loops count what was counted; first all of them together."""
    wanted = np.nansum(seen.arrivals[:, : seen.cut], axis=1)
    demand = scenario.get("demand", 1.0)
    share = np.array([scenario.get(f"demand/{one}", 1.0) for one in origins])
    rest = {name: one for name, one in scenario.items() if not name.startswith("demand")}
    found = dict(scenario)
    for number in range(rounds):
        if number:
            run = _run(twin, seen, found, origins)
        counted = np.nansum(run.arrivals[:, : seen.cut], axis=1)
        if counted.sum() <= 0:
            raise TwinError("no car passed the loops that were observed", hint="is this the right net?")
        demand = float(np.clip(demand * wanted.sum() / counted.sum(), 0.05, 10.0))
        per_loop = wanted / np.maximum(counted, 1.0) / (wanted.sum() / counted.sum())
        cars = run.came.sum(axis=0)
        told = (run.came * per_loop[:, None]).sum(axis=0) / np.maximum(cars, 1e-9)
        files = cars / np.maximum(share, 1e-9)  # cars that would come with shares of 1
        share = np.where(cars >= _FEW, np.clip(share * told, 0.1, 10.0), share)
        usual = float((files * share).sum() / max(files.sum(), 1e-9))
        demand, share = demand * usual, share / usual
        found = {"demand": demand, **rest}
        found |= {f"demand/{one}": float(share[at]) for at, one in enumerate(origins) if cars[at] >= _FEW}
    return found


def _headway(
    twin: Roads, seen: _Seen, scenario: Mapping[str, float], origins: tuple[str, ...]
) -> dict[str, float]:
    """Find the headway whose mean queues are least off.

    Runs scatter, so every lane's queue is a parabola over the logarithm of all headways that were tried.
    """
    tries, wanted = np.geomspace(*_HEADWAY, _TRIES), _mean(seen.queues[:, : seen.cut])
    queues = [
        _mean(_run(twin, seen, {**scenario, "headway": one}, origins).queues[:, : seen.cut])
        for one in tries.tolist()
    ]
    lanes = np.polyfit(np.log(tries), np.array(queues), 2)  # [power, lane]
    fine = np.linspace(np.log(tries[0]), np.log(tries[-1]), 201)
    off = np.stack([fine**2, fine, np.ones_like(fine)], axis=1) @ lanes - wanted
    least = (off**2 / (wanted + _CALM)).sum(axis=1).argmin()
    return {**scenario, "headway": float(np.exp(fine[least]))}


def _mean(series: Floats) -> Floats:
    """Return the mean of each row, of what was observed; 0 where nothing was."""
    there = np.isfinite(series)
    found: Floats = np.where(there, series, 0.0).sum(axis=1) / np.maximum(there.sum(axis=1), 1)
    return found


def _errors(seen: _Seen, run: _Run) -> dict[str, float]:
    """Return the errors of the last third."""
    late = (run.arrivals - seen.arrivals)[:, seen.cut :]
    scale = max(float(np.nansum(seen.arrivals[:, seen.cut :])), 1.0)
    found = {
        "held_out_error": float(abs(np.nansum(late)) / scale),
        "held_out_loop_error": float(np.abs(np.nansum(late, axis=1)).sum() / scale),
    }
    if seen.lanes:
        off = _mean(run.queues[:, seen.cut :]) - _mean(seen.queues[:, seen.cut :])
        found["held_out_queue_error"] = float(np.abs(off).mean())
    return found
