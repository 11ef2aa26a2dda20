"""What calibration counts is what rings: live scoring and history agree to the last bit."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from nervure.act.engine import Engine
from nervure.core.calendar import calendar
from nervure.core.event import events, persistence
from nervure.core.instant import HOUR_NS
from nervure.core.observation import Batch
from nervure.core.problem import AlarmPolicy
from nervure.core.residual import Accumulator, Limit, enough, excess, history, outlook
from nervure.core.window import Window, gather
from nervure.learn.alarm import unstuck
from nervure.score.scorer import Scorer
from tests.tiny import DAY, START, WINDOW, batch_of, card, datastreams, limit, runner, solution, things

SLOTS = 360
STREAMS = (11, 12, 13)
Floats = NDArray[np.float64]


def _table(seed: int) -> Floats:
    """Return readings ``[slot, stream]`` of three districts and rain, with gaps, repeats and bursts."""
    random = np.random.default_rng(seed)
    value = 20.0 + 5.0 * np.sin(np.arange(SLOTS) * np.pi / 12)[:, None] + random.normal(0, 0.6, (SLOTS, 4))
    value[:, 3] = random.integers(0, 2, SLOTS)
    for start in range(60, SLOTS, 90):
        value[start : start + 20, start % 3] += 5.0
    value[200:204, 1] = value[200, 1]
    value[random.random(value.shape) < 0.05] = np.nan
    return value


def _batch(value: Floats) -> Batch:
    rows = [
        (stream, START + slot, float(value[slot, column]))
        for slot in range(SLOTS)
        for stream, column in ((31, 3), (11, 0), (12, 1), (13, 2))
        if not np.isnan(value[slot, column])
    ]
    return batch_of(rows)


def _calibrating(value: Floats, limits: Limit) -> Floats:
    """Score the table the way calibration does: ``[slot, stream]``."""
    described = card(limits=limits)
    model = runner(described)
    padded = np.concatenate([np.full((WINDOW, 4), np.nan), value])
    last = np.repeat(np.arange(SLOTS), 3) + WINDOW
    node = np.tile(np.arange(3), SLOTS)
    columns = np.stack([node, np.full(len(node), 3)], axis=1)
    x = gather(padded, last, columns, WINDOW).astype(np.float32)
    days = calendar("Europe/Rome", "IT", HOUR_NS, START - WINDOW, SLOTS + 2 * WINDOW + DAY)
    rows = last[:, None] + np.arange(1 - WINDOW, DAY + 1)
    band = model.run(Window(x=x, node=node, calendar=days[rows]))[:, :, [1, 0, 2]].astype(np.float64)
    band[~enough(x)] = np.nan
    forecast = band.reshape(SLOTS, 3, DAY, 3)
    seen, fresh = unstuck(_time(), value[:, :3], 6 * HOUR_NS)
    found = excess(seen, outlook(forecast, limits.options.leads), np.array(limits.floor)).value
    return history(Accumulator.calibrated(limits), _time(), found, fresh=fresh)[0]


def _time() -> NDArray[np.int64]:
    return (START + np.arange(SLOTS)) * HOUR_NS + HOUR_NS // 6


@pytest.mark.parametrize(("leads", "side"), [((12,), "high"), ((1, 5), "low"), ((12, 16, 20, 24), "both")])
def test_live_scores_are_the_calibrations_scores(leads: tuple[int, ...], side: str) -> None:
    limits = limit(leads=leads)
    limits = msgspec.structs.replace(limits, options=msgspec.structs.replace(limits.options, side=side))
    value = _table(0)
    expected = _calibrating(value, limits)
    scorer = Scorer(runner(card(limits=limits)), datastreams(), solution=solution())
    found = scorer.take(_batch(value)).findings
    live = np.full((SLOTS, 3), np.nan)
    for finding in found:
        if finding.datastream in STREAMS:
            live[finding.time_ns // HOUR_NS - START, STREAMS.index(finding.datastream)] = finding.score
    assert np.isfinite(expected).sum() > 0.7 * expected.size
    assert np.array_equal(live, expected, equal_nan=True)


@pytest.mark.parametrize("seed", range(2))
def test_live_alarms_are_the_ones_that_were_counted(seed: int) -> None:
    limits = limit(height=4.0)
    value = _table(seed)
    span = persistence(AlarmPolicy(min_duration="2h", merge_gap="12h"), HOUR_NS)
    counted = events(_time(), _calibrating(value, limits), limits.limit, span)
    scorer = Scorer(runner(card(limits=limits)), datastreams(), solution=solution())
    engine = Engine(solution(), things(), datastreams())
    told = engine.take(scorer.take(_batch(value)).findings)
    rang = {alert.id: alert for alert in reversed(told) if alert.rule == "water.burst"}.values()
    assert len(counted) > 2
    assert sorted((alert.datastream, alert.raised_ns) for alert in rang) == sorted(
        (STREAMS[one.stream], one.raised_ns) for one in counted
    )
