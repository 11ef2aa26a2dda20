"""Judge a replay afterwards: live forecasts against what really was, alerts against what was injected."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from nervure.bench.outcome import Trace
from nervure.bench.scenario import Burst, Scenario, Stuck
from nervure.core.alert import Alert
from nervure.core.instant import DAY_NS, HOUR_NS
from nervure.core.observation import Batch
from nervure.core.window import Table

__all__ = ["Errors", "Found", "alarms", "errors", "trace"]

Floats = NDArray[np.float64]


class Errors(msgspec.Struct, frozen=True, kw_only=True):
    """How far live forecasts were from the readings: ``mae [horizon]``, share inside the band, how many."""

    mae: Floats
    coverage: float
    points: int


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """What the alerts did: hours from each injection to its alert (``None``: never), false alarms a day."""

    burst_after_h: float | None
    stuck_after_h: float | None
    false_per_day: float


def errors(
    forecasts: Batch,
    thing_of: Mapping[int, str],
    signal: str,
    table: Table,
    scenario: Scenario,
    *,
    start_ns: int,
    end_ns: int,
    horizon: int,
) -> Errors:
    """Compare forecasts issued in the replay with the readings as they really were.

    ``table`` holds the readings before any injection. What an injection touched is left out: its
    stream from its beginning until a week after its end, as the model looks back one week.
    """
    total, count = np.zeros(horizon), np.zeros(horizon, dtype=np.int64)
    inside = 0
    for stream, thing in thing_of.items():
        rows = (
            (forecasts.datastream == stream) & (forecasts.result_time >= start_ns) & (forecasts.time < end_ns)
        )
        span = scenario.touched(thing)
        if span is not None:
            rows &= (forecasts.time < span[0]) | (forecasts.result_time >= span[1])
        one = forecasts.take(rows)
        truth = _truth(table, f"{thing}/{signal}", one.time)
        ahead = (one.time - one.result_time) // table.every_ns
        known = np.isfinite(truth) & np.isfinite(one.value) & (ahead >= 1) & (ahead <= horizon)
        step = ahead[known] - 1
        total += np.bincount(step, np.abs(one.value - truth)[known], minlength=horizon)
        count += np.bincount(step, minlength=horizon)
        inside += int(((one.low <= truth) & (truth <= one.high))[known].sum())
    points = int(count.sum())
    mae = np.divide(total, count, out=np.full(horizon, np.nan), where=count > 0)
    return Errors(mae=mae, coverage=inside / points if points else float("nan"), points=points)


def _truth(table: Table, stream: str, time: NDArray[np.int64]) -> Floats:
    column = table.value[:, table.streams.index(stream)]
    row = time // table.every_ns - table.first
    held = (row >= 0) & (row < len(column))
    found = np.full(len(time), np.nan)
    found[held] = column[row[held]]
    return found


def trace(forecasts: Batch, readings: Batch, thing: str, unit: str, every_ns: int, ahead: int) -> Trace:
    """Put a stream's readings beside the forecasts issued ``ahead`` samples before them."""
    chosen = forecasts.take((forecasts.time - forecasts.result_time) // every_ns == ahead)
    time, first = np.unique(readings.time, return_index=True)
    place = np.searchsorted(time, chosen.time)
    known = (place < len(time)) & (time[np.minimum(place, len(time) - 1)] == chosen.time)
    columns = []
    for values in (chosen.value, chosen.low, chosen.high):
        column = np.full(len(time), np.nan)
        column[place[known]] = values[known]
        columns.append(column)
    median, low, high = columns
    return Trace(
        thing=thing, unit=unit, time=time, sent=readings.value[first], median=median, low=low, high=high
    )


def alarms(alerts: Sequence[Alert], names: Mapping[int, str], scenario: Scenario, days: float) -> Found:
    """Tell found injections from false alarms.

    An alert belongs to an injection if it is of its Thing and rule and was raised between the
    injection's start and a day after its end; every other burst or stuck alert is false.
    """
    hits: dict[str, list[float]] = {"burst": [], "stuck": []}
    false = 0
    for alert in alerts:
        known: dict[str, Burst | Stuck] = {"burst": scenario.burst, "stuck": scenario.stuck}
        injected = known.get(alert.rule.rpartition(".")[2])
        if injected is None:
            continue
        ours = names.get(alert.thing) == injected.thing
        if ours and injected.start_ns <= alert.raised_ns <= injected.end_ns + DAY_NS:
            kind = "burst" if isinstance(injected, Burst) else "stuck"
            hits[kind].append((alert.raised_ns - injected.start_ns) / HOUR_NS)
        else:
            false += 1
    first = {kind: round(min(found), 3) if found else None for kind, found in hits.items()}
    return Found(burst_after_h=first["burst"], stuck_after_h=first["stuck"], false_per_day=false / days)
