"""Calibration of a water network: how much is drawn, and how rough each kind of pipe is.

Pipes of one coefficient in the file are of one kind, as they are of one material and age there: more than a
factor each is not told by a few sensors (Savic, Kapelan & Jonkergouw, Urban Water Journal 6(1), 2009, on what
is fitted and by what). Least squares on the logarithms of factors; what no reading tells stays at the file's.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nervure.twin.api import TwinError

if TYPE_CHECKING:
    from nervure.twin.pipes import Pipes

__all__ = ["fit_pipes"]

Floats = NDArray[np.float64]
_HELD = 1 / 3
_FEWEST = 12  # steps
_LENGTH = 0.02  # of all pipes: a kind of less is not fitted
_METRE, _FLOW = 0.1, 0.02  # m, and a share of a flow's mean, that count alike
_PRIOR = 0.3  # how far from the file's a logarithm may well be
_RUNS = 0.1  # of the most it pumps: less is none
_ALIKE_H = 4.0  # what is off stays off for so long: readings within it tell no more than one
_BOUNDS = (1 + np.log(0.3), 1 + np.log(3.0))
"""Of 1 and the logarithm of a factor: a step of a share of it is then one, at no change too."""
_PLAIN = {"noise": 0.0, "rough": 0.0, "town": 0.0, "read_m": 0.0}


class _Seen(NamedTuple):
    """What was observed, ``[step, sensor]`` (NaN: not measured), what a unit of each counts, what was set."""

    names: tuple[str, ...]
    value: Floats
    unit: Floats
    commands: tuple[dict[str, float], ...]
    levels: tuple[dict[str, float], ...]
    """What tanks held before each step, where it was measured."""
    drawn: Floats
    """What all drew together in m3/h, ``[step]``; NaN where a flow out of a source is not known."""


def fit_pipes(twin: Pipes, observed: Mapping[str, tuple[float, ...]]) -> dict[str, float]:
    """Find ``demand``, where flows were observed, and roughness by kind of pipe; start anew with them.

    Begins at the hour of the twin's scenario. What tanks held is told to the twin, so is whether pumps ran,
    and what was set of valves. The first two thirds decide; in them it is told too what all drew together,
    where every flow out of reservoirs and tanks was observed, and their mean makes ``demand``. Returns the
    factors, and root mean square errors of the last third, ``uncalibrated`` too: of pressures in m, of flows
    as shares of their mean. Raises TwinError without pressures, and for less than 12 steps.
    """
    from scipy.optimize import least_squares

    seen = _seen(twin, observed)
    base, cut = {**twin.scenario, **_PLAIN}, round(len(seen.value) * (1 - _HELD))
    share = min(1.0, twin.describe().step_s / 3600 / _ALIKE_H) ** 0.5
    plain, asked = _run(twin, seen, base, len(seen.value))
    own = _demand(seen, asked, cut, base.get("demand", 1.0))
    names = _names(twin, seen, told=bool(own))

    def made(x: Floats) -> dict[str, float]:
        return {**base, **own, **dict(zip(names, np.exp(x - 1).tolist(), strict=True))}

    def wrong(x: Floats) -> Floats:
        off = (_run(twin, seen, made(x), cut, tell=True)[0] - seen.value[:cut]) / seen.unit * share
        return np.append(np.where(np.isfinite(off), off, 0.0), (x - 1) / _PRIOR)

    fit = least_squares(
        wrong, np.ones(len(names)), bounds=_BOUNDS, diff_step=0.03, x_scale=0.2, loss="soft_l1", max_nfev=8,
        xtol=2e-3,
    )  # fmt: skip
    fitted = made(fit.x)
    last = _errors("held_out", seen, _run(twin, seen, fitted, len(seen.value))[0], cut)
    twin.reset(scenario=fitted)
    found = {name: fitted[name] for name in (*own, *names)}
    return found | last | _errors("uncalibrated_held_out", seen, plain, cut)


def _run(
    twin: Pipes, seen: _Seen, scenario: Mapping[str, float], until: int, *, tell: bool = False
) -> tuple[Floats, Floats]:
    """Return what the twin reads ``[step, sensor]``, and what all wanted to draw, ``[step]`` in m3/h."""
    twin.reset(scenario=scenario)
    found, asked = np.empty((until, len(seen.names))), np.empty(until)
    for at in range(until):
        twin.told(seen.levels[at], seen.drawn[at] if tell else np.nan)
        twin.apply(seen.commands[at])
        readings = twin.step()
        found[at] = [readings[name] for name in seen.names]
        asked[at] = sum(twin.drawn().values())
    return found, asked


def _demand(seen: _Seen, asked: Floats, cut: int, usual: float) -> dict[str, float]:
    """Return the factor on demand by what all drew, or nothing where that was hardly observed."""
    known = np.isfinite(seen.drawn[:cut])
    if known.mean() < 0.5:
        return {}
    return {"demand": usual * float(seen.drawn[:cut][known].sum() / max(asked[:cut][known].sum(), 1e-9))}


def _seen(twin: Pipes, observed: Mapping[str, tuple[float, ...]]) -> _Seen:
    told = twin.describe()
    wanted = ("pressure", "flow")
    names = tuple(one.name for one in told.sensors if one.signal in wanted and one.name in observed)
    if not any(name.endswith("/pressure") for name in names):
        raise TwinError("calibrating needs pressures", hint=f"give {twin.pressure[0]}/pressure")
    commands = {one.name: observed[one.name] for one in told.actuators if one.name in observed}
    for one in told.actuators:  # whether a pump runs is seen by what it pumps
        if one.signal == "pump" and one.name not in commands and f"{one.thing}/flow" in observed:
            commands[one.name] = _runs(observed[f"{one.thing}/flow"])
    count = len(observed[names[0]])
    if odd := [
        name for name in (*names, *commands) if len(observed.get(name, commands.get(name, ()))) != count
    ]:
        raise TwinError(
            f"{odd[0]} has {len(observed[odd[0]])} steps, {names[0]} {count}", hint="give as many of each"
        )
    if count < _FEWEST:
        raise TwinError(f"{count} steps are too few to fit", hint=f"give {_FEWEST} at least")
    value = np.array([observed[name] for name in names], np.float64).T
    mean = np.abs(np.nanmean(np.where(np.isfinite(value), value, np.nan), axis=0))
    unit = np.where([name.endswith("/flow") for name in names], np.maximum(_FLOW * mean, 1e-3), _METRE)
    levels = {one: (np.nan, *observed[f"{one}/level"]) for one in twin.tanks if f"{one}/level" in observed}
    return _Seen(
        names, value, unit, _rows(commands, count), _rows(levels, count), _drawn(twin, observed, count)
    )


def _runs(flow: tuple[float, ...]) -> tuple[float, ...]:
    """Return whether a pump runs, by what it pumps: a meter's zero is noisy."""
    known = [one for one in flow if np.isfinite(one)]
    least = _RUNS * max(known, default=0.0)
    return tuple(float(one > max(least, 0.01)) if np.isfinite(one) else np.nan for one in flow)


def _drawn(twin: Pipes, observed: Mapping[str, tuple[float, ...]], count: int) -> Floats:
    """Return what all draw together: what leaves reservoirs and tanks less what comes into them."""
    total = np.zeros(count)
    for at, ends in enumerate(twin.is_source[twin.ends].astype(float)):
        if ends[0] != ends[1]:
            flow = observed.get(f"{twin.links[at]}/flow", (np.nan,) * count)
            total += (ends[0] - ends[1]) * np.array(flow, np.float64)
    return total


def _rows(columns: Mapping[str, tuple[float, ...]], count: int) -> tuple[dict[str, float], ...]:
    """Return what is known at each step."""
    return tuple(
        {name: float(one[at]) for name, one in columns.items() if np.isfinite(one[at])} for at in range(count)
    )


def _names(twin: Pipes, seen: _Seen, *, told: bool) -> list[str]:
    """Return what is fitted: roughness by kind where there are some, demand too where flows tell it."""
    long = {kind for kind, one in twin.kinds.items() if one >= _LENGTH * sum(twin.kinds.values())}
    rough = [f"roughness/{kind}" for kind in sorted(long)] if len(long) > 1 else ["roughness"]
    flows = any(name.endswith("/flow") for name in seen.names)
    return ["demand", *rough] if flows and not told else rough


def _errors(name: str, seen: _Seen, made: Floats, cut: int) -> dict[str, float]:
    """Return the errors of a run from a step on, by what was measured."""
    found = {}
    for signal, word in (("pressure", "rmse_m"), ("flow", "flow")):
        own = np.array([one.endswith(f"/{signal}") for one in seen.names])
        if own.any():
            off = (made - seen.value)[cut:, own]
            scale = float(np.nanmean(np.abs(seen.value[cut:, own]))) if signal == "flow" else 1.0
            found[f"{name}_{word}"] = float(np.sqrt(np.nanmean(off**2))) / max(scale, 1e-9)
    return found
