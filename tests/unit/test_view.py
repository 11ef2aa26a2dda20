"""Both views of a demo run show its phases, its table, its districts and its alerts."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from nervure.bench.demo import LiveState, Watcher
from nervure.cli.view import Plain, Screen
from nervure.core.alert import Alert
from nervure.core.card import Metric

FIGURES = {
    "stored": 9393,
    "sent": 9393,
    "lost": 0,
    "duplicates": 0,
    "quarantined": 0,
    "forecast": {"mae": 0.8},
    "coverage_80": 0.796,
    "burst_detected_after_h": 3.0,
    "false_alarms_per_day": 0.46,
    "latency_ms": {"p50": 12.4, "p99": 32.9},
}


def _tell(view: Watcher) -> None:
    with view:
        view.phase("train", 1.0, "step 3")
        rows = (("last value", "baseline", 1.78), ("mixer", "deep", 0.74))
        view.table(
            tuple(
                Metric(subject=name, kind=kind, metric="MAE", value=value, horizon="1h")  # type: ignore[arg-type]
                for name, kind, value in rows
            ),
            "L/s",
        )
        view.live(
            LiveState(share=0.3, moment_ns=0, sent=100, heard=80, rows=(("DMA 1", 5.0, 4.0, 3.0, 4.5),))
        )
        view.alert(
            Alert(
                id="a",
                solution="water",
                rule="water.burst",
                severity="major",
                thing=1,
                datastream=1,
                text="Likely burst in DMA 1",
                start_ns=0,
                raised_ns=0,
            )
        )
    view.summary(FIGURES, Path("/reports/report.html"))


def _screen(out: io.StringIO) -> Screen:
    return Screen(Console(file=out, width=100, force_terminal=True, color_system=None))


@pytest.mark.parametrize("made", [Plain, _screen], ids=["plain", "screen"])
def test_a_run_is_told(made: type[Plain]) -> None:
    out = io.StringIO()
    _tell(made(out))
    text = out.getvalue()
    for words in ("train", "last value", "1.780", "mixer", "0.740", "Likely burst in DMA 1"):
        assert words in text
    assert "9,393 of 9,393 readings stored, 0 lost" in text
    assert "burst found after 3 h, 0.46 false alarms a day" in text
    assert "file:///reports/report.html" in text.replace("\n", "")
