"""What a demo run measured: the JSON it prints and the figures its report draws."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from nervure.bench.scenario import Scenario
from nervure.core.alert import Alert
from nervure.core.card import Metric

__all__ = ["Latency", "Live", "Outcome", "Trace"]

Floats = NDArray[np.float64]
Longs = NDArray[np.int64]


class Latency(msgspec.Struct, frozen=True, kw_only=True):
    """Milliseconds from the device's publish to the stored forecast it caused; ``samples [reading]``."""

    p50: float
    p99: float
    samples: Floats


class Trace(msgspec.Struct, frozen=True, kw_only=True):
    """One stream over the replay, all ``[time]``: what its device sent, what was foreseen a day before."""

    thing: str
    unit: str
    time: Longs
    sent: Floats
    median: Floats
    low: Floats
    high: Floats


class Live(msgspec.Struct, frozen=True, kw_only=True):
    """The live forecasts, scored afterwards against the readings as they were before any injection.

    ``mae [horizon]`` is over the streams and instants no injection touched; ``baselines`` are the
    same horizons by the plain methods, on the same replay period without injections.
    """

    mae: Floats
    coverage_80: float
    points: int
    baselines: tuple[Metric, ...]


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """Everything one demo run found."""

    sent: int
    stored: int
    lost: int
    duplicates: int
    quarantined: int
    live: Live
    alerts: tuple[Alert, ...]
    names: dict[int, str]
    burst_detected_after_h: float | None
    stuck_detected_after_h: float | None
    false_alarms_per_day: float
    latency: Latency
    wall_s: float
    train_s: float
    speed: float
    days: float
    scenario: Scenario
    traces: tuple[Trace, ...]

    def summary(self) -> dict[str, Any]:
        """Return the JSON object that ``nervure demo --json`` ends with."""
        rows: dict[str, dict[str, float]] = {}
        for metric in self.live.baselines:
            if metric.metric == "MAE":
                rows.setdefault(metric.subject, {})[metric.horizon] = round(metric.value, 4)
        return {
            "sent": self.sent,
            "stored": self.stored,
            "lost": self.lost,
            "duplicates": self.duplicates,
            "quarantined": self.quarantined,
            "forecast": {
                "mae": round(float(np.nanmean(self.live.mae)), 4),
                "mae_by_hour": [round(float(one), 4) for one in self.live.mae],
                "points": self.live.points,
                "rows": rows,
            },
            "coverage_80": round(self.live.coverage_80, 4),
            "alerts": [self._alert(alert) for alert in self.alerts],
            "burst_detected_after_h": self.burst_detected_after_h,
            "stuck_detected_after_h": self.stuck_detected_after_h,
            "false_alarms_per_day": round(self.false_alarms_per_day, 4),
            "latency_ms": {"p50": round(self.latency.p50, 3), "p99": round(self.latency.p99, 3)},
            "injected": msgspec.to_builtins(self.scenario),
            "train_s": round(self.train_s, 1),
            "wall_s": round(self.wall_s, 1),
        }

    def _alert(self, alert: Alert) -> dict[str, Any]:
        shown: dict[str, Any] = msgspec.to_builtins(alert)
        shown["thing_name"] = self.names.get(alert.thing, str(alert.thing))
        return shown
