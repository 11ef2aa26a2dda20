"""Pictures of the report on detection: whatever contests leave to be drawn becomes a small file."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nervure.bench.detect.document import Picture
from nervure.bench.detect.job import Contest, Entry, Job, Kind, Result
from nervure.bench.detect.picture import pictures_of
from nervure.bench.detect.plot import draw

LONG = 400
_RANDOM = np.random.default_rng(5)


def noise(count: int = LONG) -> list[float]:
    return [float(one) for one in _RANDOM.random(count)]


def pictures(**drawn: Any) -> dict[str, Picture]:
    """Return the pictures of a contest in which a rule, a weak and a strong net left this to be drawn."""
    kinds: dict[str, Kind] = {"rule": "baseline", "weak": "deep", "strong": "deep"}
    contest = Contest(
        set="toy", title="", question="", protocol="", metrics=("F1",), perform=lambda job: Result(job=job),
        entries=tuple(Entry(model=name, kind=kind) for name, kind in kinds.items()),
    )  # fmt: skip
    results = [
        Result(
            job=Job(set="toy", model=name, kind=kinds[name], seed=seed),
            value={"F1": value},
            drawn={key.replace("_", " "): own for key, own in drawn.items()},
        )
        for name, value in (("rule", 0.5), ("weak", 0.4), ("strong", 0.9))
        for seed in (1, 0)
    ]
    return {one.name: one for one in pictures_of(contest, results)}


ROC = {"x": [0.0, 0.2, 1.0], "y": [0.0, 0.9, 1.0]}
STREAM = {"score": noise(), "limit": 1.0, "rows": 4000, "events": [[100, 300], [2000, 2100]]}
WARD = {
    "x": [float(one) for one in range(LONG)], "y": noise(), "limit": 2.0,
    "heart": [None, *noise(LONG - 1)], "oxygen": noise(),
    "events": [{"kind": "fever", "from": 10.0, "to": 20.0}],
}  # fmt: skip
BRIDGE = {
    "x": [0.0, 1.0, 2.0, 3.0, 4.0], "y": [0.1, 0.2, 3.0, 4.0, 0.1], "limit": [1.0] * 5,
    "lowering": [0.0, 0.0, 1.0, 1.0, 2.0], "record": [0.0, 2.0],
}  # fmt: skip
WIRE = {"channel": "flow", "x": list(range(200)), "read": noise(200), "y": noise(200)}
LEAK = {"x": [0.0, 1.0, 2.0, 3.0], "y": [0.0, 5.0, 9.0, 9.0], "claims": [0.0, 0.0, 1.0, 1.0]}
LIFE = {one: noise() for one in ("truth", "expected", "low", "high")} | {"x": list(range(LONG))}
BEAT = {"x": noise(200), "lead": noise(200), "ECG": noise(200), "rhythm": {"before": 0.7}}
SENSORS = {"engine": "9", "sensor": ["T30", "P15"], "cycles": [-3.0, 1.0]}
CONFUSION = {"classes": ["N", "V"], "count": [[900, 12], [3, 80]]}


def test_a_roc_shows_every_model_and_one_seed() -> None:
    (panel,) = pictures(ROC=ROC)["roc"].panels
    assert [(one.name, one.role) for one in panel.traces] == [
        ("rule", "baseline"), ("weak", "deep"), ("strong", "deep"),
    ]  # fmt: skip
    assert panel.traces[0].y == (0.0, 0.9, 1.0)


def test_a_timeline_shows_the_best_of_each_kind_and_no_peak_is_lost() -> None:
    score = [0.0] * LONG
    score[137] = 7.0
    first, second = pictures(timeline={**STREAM, "score": score})["timeline"].panels
    assert (first.title, second.title) == ("rule", "strong")
    assert max(one or 0 for one in first.traces[0].y) == 7.0
    assert [(one.start, one.stop) for one in first.spans] == [(100.0, 300.0), (2000.0, 2100.0)]
    assert first.traces[0].x[-1] > 3900, "scores and events are on one axis"
    assert first.traces[1].role == "limit"


def test_what_befell_is_named() -> None:
    ward = pictures(timeline=WARD)["timeline"]
    assert [one.title for one in ward.panels] == ["rule", "strong", "heart, oxygen"]
    assert [one.name for one in ward.panels[0].spans] == ["fever"]
    assert ward.panels[2].traces[0].y[0] is None
    bridge = pictures(timeline=BRIDGE)["timeline"].panels[0]
    assert [(one.start, one.stop, one.name) for one in bridge.spans] == [
        (2.0, 3.0, "lowering 1"), (4.0, 4.0, "lowering 2"),
    ]  # fmt: skip
    leak = pictures(timeline=LEAK)["timeline"].panels[1]
    assert (leak.title, leak.traces[0].name, leak.traces[0].role) == ("strong", "what leaked", "truth")
    assert [(one.start, one.stop, one.name) for one in leak.spans] == [(2.0, 2.0, "a leak is claimed")]
    wire = pictures(timeline=WIRE)["timeline"].panels[0]
    assert wire.title == "rule: flow"
    assert [one.role for one in wire.traces] == ["baseline", "truth"]


def test_lives_have_a_band_and_the_truth() -> None:
    panels = pictures(life_1=LIFE, life_2=LIFE)["life"].panels
    assert [one.title for one in panels] == ["strong: 1", "strong: 2", "rule: 1", "rule: 2"]
    assert [one.role for one in panels[0].traces] == ["band", "truth", "deep"]
    assert len(panels[0].traces[0].high) == len(panels[0].traces[0].x) <= 70


def test_reasons_are_bars_or_lines() -> None:
    bars = pictures(attribution=SENSORS)["attribution"].panels
    assert [(one.title, one.labels, one.bars) for one in bars] == [
        ("strong 9: cycles", ("T30", "P15"), (-3.0, 1.0))
    ]
    lines = pictures(attribution=BEAT)["attribution"].panels
    assert [one.title for one in lines] == ["strong: lead", "strong: ECG"]


def test_what_is_left_empty_draws_nothing() -> None:
    assert pictures() == {}
    assert pictures(timeline={"score": []}, attribution={}, ROC={"x": [], "y": []}) == {}


@pytest.mark.parametrize(
    "drawn",
    [
        {"ROC_A": ROC | {"x": noise(), "y": noise()}, "ROC_B": ROC, "ROC_C": ROC},
        {"timeline": STREAM},
        {"timeline": WARD},
        {"timeline": BRIDGE},
        {"timeline": WIRE},
        {"timeline": LEAK},
        {"life_1": LIFE, "life_2": LIFE, "life_3": LIFE, "life_4": LIFE},
        {"attribution": SENSORS},
        {"attribution": BEAT},
        {"confusion": CONFUSION},
        {"calibration": {"x": noise(20), "y": [math.nan, *noise(19)]}},
    ],
)
def test_every_picture_is_a_small_file_and_always_the_same(drawn: dict[str, Any], tmp_path: Path) -> None:
    (picture,) = pictures(**drawn).values()
    path = draw(picture, tmp_path)
    text = path.read_text()
    assert text.startswith("<svg")
    assert 2_000 < len(text.encode()) < 60_000
    assert path.parent == tmp_path / "detection"
    assert draw(picture, tmp_path).read_text() == text
