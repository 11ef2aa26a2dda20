"""What is made of a file's readings: step, horizon, window, parts in time, series used, and the verdict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nervure.core.card import Metric
from nervure.core.error import DataError, DeclarationError, UsageError
from nervure.core.instant import DAY_NS, HOUR_NS, duration_text, iso
from nervure.learn.baseline import LastValue
from nervure.learn.evaluate import evaluate
from nervure.learn.own.ask import Asked, Resample
from nervure.learn.own.course import plain, stride_of
from nervure.learn.own.data import Own, open_own, slug
from nervure.learn.own.plan import parts
from nervure.learn.own.verdict import verdict
from nervure.learn.own.write import declaration, rejected_file, settings_file
from nervure.learn.task import pose, samples, truth
from nervure.solutions import find

START = np.datetime64("2024-01-01T00:00", "ns").astype(np.int64)


def stamps(count: int, every: int, *, start: int = int(START)) -> list[str]:
    return [iso(start + row * every) for row in range(count)]


def course(count: int, *, seed: int = 0) -> list[float]:
    random = np.random.default_rng(seed)
    found: list[float] = (
        (20 + 5 * np.sin(np.arange(count) / 4) + random.normal(0, 1, count)).round(3).tolist()
    )
    return found


def write(
    folder: Path, series: Mapping[str, tuple[Sequence[str], Sequence[Any]]], name: str = "own.csv"
) -> Path:
    path = folder / name
    lines = [
        f"{one},{time},{value}" for one, pair in series.items() for time, value in zip(*pair, strict=True)
    ]
    path.write_text("\n".join(["unique_id,ds,y", *lines]) + "\n")
    return path


def hourly(folder: Path, days: int = 60, **asked: Any) -> Own:
    both = {
        name: (stamps(24 * days, HOUR_NS), course(24 * days, seed=place)) for place, name in enumerate("ab")
    }
    return open_own(Asked(file=write(folder, both), **asked))


def test_what_is_left_out_is_found_out_and_said(tmp_path: Path) -> None:
    own = hourly(tmp_path)
    (problem,) = own.solution.problems
    assert (own.solution.name, own.solution.signals[0].every) == ("own", "1h")
    assert (problem.window, getattr(problem, "horizon", "")) == ("1w", "1d")
    assert {"the step is 1h, as readings come", "the horizon is 1d"} <= set(own.notes)
    assert [thing.name for thing in own.dataset.things] == ["a", "b"]
    task = pose(own.dataset, split=own.split)
    assert all(len(samples(task, part)) > 0 for part in ("train", "validation", "test"))
    found = evaluate(task, [LastValue()])
    assert next(row.value for row in found if row.metric == "MAE") > 0


@pytest.mark.parametrize(
    ("every", "step", "horizon"),
    [
        (1_000_000_000, "1s", "1min"),
        (60_000_000_000, "1min", "1h"),
        (300_000_000_000, "5min", "1h"),
        (900_000_000_000, "15min", "1d"),
        (HOUR_NS, "1h", "1d"),
        (DAY_NS, "1d", "1w"),
        (7 * DAY_NS, "1w", "4w"),
    ],
)
def test_the_step_and_a_usual_horizon(tmp_path: Path, every: int, step: str, horizon: str) -> None:
    own = open_own(Asked(file=write(tmp_path, {"a": (stamps(600, every), course(600))})))
    assert own.solution.signals[0].every == step
    assert getattr(own.solution.problems[0], "horizon", "") == horizon
    assert pose(own.dataset, split=own.split).horizon > 1


def test_a_step_that_wavers_is_taken_to_the_nearest_usual_one(tmp_path: Path) -> None:
    own = open_own(Asked(file=write(tmp_path, {"a": (stamps(600, HOUR_NS + 7_000_000_000), course(600))})))
    assert own.solution.signals[0].every == "1h"


@pytest.mark.parametrize(
    ("every", "seasons"),
    [(1_000_000_000, []), (HOUR_NS, ["day", "week"]), (DAY_NS, ["week"]), (7 * DAY_NS, ["year"])],
)
def test_plain_forecasts_know_the_seasons_that_the_step_and_the_history_allow(
    tmp_path: Path, every: int, seasons: list[str]
) -> None:
    own = open_own(Asked(file=write(tmp_path, {"a": (stamps(600, every), course(600))})))
    task = pose(own.dataset, split=own.split)
    found = plain(task, trees=False)
    assert [one.name[15:] for one in found if one.name.startswith("seasonal")] == seasons
    rows = evaluate(task, found, stride=stride_of(task))
    assert all(np.isfinite(row.value) for row in rows)


def test_several_readings_in_a_step(tmp_path: Path) -> None:
    quarter = HOUR_NS // 4
    path = write(
        tmp_path, {"a": (stamps(4 * 600, quarter), [float(row % 4) for row in range(4 * 600 - 1)] + [9.0])}
    )
    first: dict[Resample, float] = {"mean": 1.5, "last": 3.0, "sum": 6.0, "max": 3.0}
    for how, wanted in first.items():
        own = open_own(Asked(file=path, every="1h", resample=how))
        assert own.dataset.table.value[0, 0] == wanted
    own = open_own(Asked(file=path, every="1h"))
    assert own.dataset.table.value[0, 0] == 1.5
    assert any("send it such means" in note for note in own.notes)
    assert "one mean for each slot" in declaration(own)
    with pytest.raises(
        DataError, match=r"--every 15min only 25% of the slots hold a reading[\s\S]*say --every 1h"
    ):
        hourly(tmp_path, every="15min")


def test_a_stamp_that_comes_twice_counts_once_with_what_was_read_last(tmp_path: Path) -> None:
    times = stamps(400, HOUR_NS)
    path = write(tmp_path, {"a": ([times[0], *times], [99.0, *course(400)])})
    ways: tuple[Resample, ...] = ("last", "mean", "sum")
    for how in ways:
        own = open_own(Asked(file=path, resample=how))
        assert own.dataset.table.value[0, 0] == course(400)[0]


def test_series_that_cannot_serve_are_left_out_with_the_reason(tmp_path: Path) -> None:
    times, values = stamps(1000, HOUR_NS), course(1000)
    path = write(
        tmp_path,
        {
            "good": (times, values),
            "also": (times, course(1000, seed=1)),
            "dead": (times, ["NA"] * 1000),
            "flat": (times, [4.0] * 1000),
            "ended": (times[:300], values[:300]),
            "late": (times[900:], values[900:]),
            "patchy": (times[::3], values[::3]),
        },
    )
    own = open_own(Asked(file=path))
    assert [thing.name for thing in own.dataset.things] == ["good", "also", "patchy"]
    assert own.dropped["dead"] == "it has no reading"
    assert own.dropped["flat"] == "it always shows 4"
    assert own.dropped["ended"].startswith("it ends 2024-01-13T11:00")
    assert "0 readings before" in own.dropped["late"]


def test_none_left_is_an_error(tmp_path: Path) -> None:
    path = write(tmp_path, {"flat": (stamps(1000, HOUR_NS), [4.0] * 1000)})
    with pytest.raises(DataError, match=r"none of 1 series can be used; 'flat': it always shows 4"):
        open_own(Asked(file=path))


@pytest.mark.parametrize("horizon", [1, 3, 24, 96])
@pytest.mark.parametrize("height", [1, 2, 5, 10, 20, 50, 101, 102, 200, 1000, 5000])
def test_the_parts_fit_or_it_is_said_how_many_steps_are_needed(height: int, horizon: int) -> None:
    try:
        plan = parts(np.ones(height, dtype=np.int64), horizon, None, HOUR_NS)
    except DataError as cause:
        needed = int(str(cause).split(" are needed")[0].rsplit(" ", 1)[1])
        assert height < needed
        assert parts(np.ones(needed, dtype=np.int64), horizon, None, HOUR_NS).window >= 3
        if "--horizon" in str(cause):
            less = str(cause).rsplit("--horizon ", 1)[1]
            hours = next(one for one in range(1, 97) if duration_text(one * HOUR_NS) == less)
            assert parts(np.ones(height, dtype=np.int64), hours, None, HOUR_NS).horizon == hours
        return
    begin, two = plan.cuts
    assert begin >= plan.window + horizon
    assert min(two - begin, height - two) >= horizon


def test_too_short_a_history_says_what_would_do(tmp_path: Path) -> None:
    path = write(tmp_path, {"a": (stamps(50, HOUR_NS), course(50))})
    with pytest.raises(DataError, match=r"spans 50 steps of 1h, and 102 are needed[\s\S]*--horizon \d+h"):
        open_own(Asked(file=path))
    assert open_own(Asked(file=path, horizon="6h")).dataset.table.value.shape == (50, 1)


def test_a_window_too_long_says_what_would_do(tmp_path: Path) -> None:
    path = write(tmp_path, {"a": (stamps(1000, HOUR_NS), course(1000))})
    with pytest.raises(DataError, match="leave --window out, or say --window") as found:
        open_own(Asked(file=path, horizon="24h", window="2000h"))
    assert "--horizon" not in str(found.value)
    most = str(found.value).rsplit("--window ", 1)[1].split(" at most")[0]
    assert open_own(Asked(file=path, horizon="24h", window=most)).dataset.table.value.shape == (1000, 1)


def test_every_part_holds_readings_though_there_is_a_hole(tmp_path: Path) -> None:
    kept = [*range(140), *range(140 + 14 * 24, 200 + 14 * 24)]
    times, values = stamps(kept[-1] + 1, HOUR_NS), course(len(kept))
    own = open_own(Asked(file=write(tmp_path, {"a": ([times[row] for row in kept], values)}), every="1h"))
    task = pose(own.dataset, split=own.split)
    for part in ("train", "validation", "test"):
        chosen = samples(task, part)
        assert not np.isnan(truth(task, chosen)).all(axis=0).any(), "each step of the horizon can be judged"
        assert (~np.isnan(own.dataset.table.value[own.split.rows(part)])).sum() >= 12


def test_a_hole_that_leaves_nothing_to_judge_on_is_said() -> None:
    known = np.zeros(1000, dtype=np.int64)
    known[[*range(60), *range(990, 1000)]] = 1
    with pytest.raises(DataError, match="only 70 of them hold a reading, with so long a hole"):
        parts(known, 24, None, HOUR_NS)


def test_a_country_is_looked_up_before_anything_is_read(tmp_path: Path) -> None:
    for country in ("ZZ", "US-ZZ"):
        with pytest.raises(UsageError, match=f"--country {country}: no public holidays are known"):
            open_own(Asked(file=tmp_path / "not there.csv", country=country))


def test_what_is_wrong_with_the_readings_names_the_file(tmp_path: Path) -> None:
    flat = write(tmp_path, {"flat": (stamps(1000, HOUR_NS), [4.0] * 1000)})
    few = write(tmp_path, {"a": (stamps(30, HOUR_NS), course(30))}, "few.csv")
    thin = write(tmp_path, {"a": (stamps(300, DAY_NS // 2), course(300))}, "thin.csv")
    for path, every in ((flat, None), (few, None), (thin, "1h")):
        with pytest.raises(DataError, match=f"at {path}"):
            open_own(Asked(file=path, every=every))


def test_a_long_table_of_many_series_is_cut_to_its_newest_part(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nervure.learn.own.data.MOST_CELLS", 2 * 800)
    own = hourly(tmp_path)
    assert own.dataset.table.value.shape == (800, 2)
    assert (own.dataset.table.first + 800) * HOUR_NS == START + 60 * DAY_NS
    assert any("the newest 800h are learned from" in note for note in own.notes)


def test_readings_that_rest_on_nought_stay_above_it(tmp_path: Path) -> None:
    counts = [max(0.0, value - 20) for value in course(1000)]
    own = open_own(Asked(file=write(tmp_path, {"a": (stamps(1000, HOUR_NS), counts)})))
    assert own.solution.signals[0].low == 0
    assert hourly(tmp_path).solution.signals[0].low is None
    assert hourly(tmp_path, low=-5.0, high=50.0).solution.signals[0].high == 50


def test_drivers_become_signals_that_are_known_ahead_or_not(tmp_path: Path) -> None:
    lines = [f"{time},{value},{value / 2},{row % 7}" for row, (time, value) in
             enumerate(zip(stamps(600, HOUR_NS), course(600), strict=True))]  # fmt: skip
    (tmp_path / "own.csv").write_text("\n".join(["ds,y,Temp (°C),y!", *lines]))
    own = open_own(Asked(file=tmp_path / "own.csv", past=("y!",), future=("Temp (°C)",)))
    assert [(one.name, one.ahead) for one in own.solution.signals] == [
        ("y", None), ("y_2", None), ("temp_c", "2d")
    ]  # fmt: skip
    task = pose(own.dataset, split=own.split)
    assert task.channels.shape == (1, 3)
    assert task.ahead.shape == (1, 1)


@pytest.mark.parametrize(
    ("asked", "error", "says"),
    [
        ({"every": "7min"}, UsageError, "a day must hold a whole number of steps"),
        ({"every": "soon"}, DeclarationError, "not a duration"),
        ({"horizon": "90min"}, UsageError, "use --horizon 2h"),
        ({"window": "1h"}, UsageError, "use --window 3h"),
        ({"unit": "vehicles"}, DeclarationError, "is not a UCUM unit"),
        ({"name": "water"}, DeclarationError, "is no name for a new solution"),
        ({"low": 5.0, "high": 1.0}, DataError, "is not below --high"),
    ],
)
def test_wrong_options(tmp_path: Path, asked: dict[str, Any], error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        hourly(tmp_path, **asked)


def test_the_file_written_declares_the_same_solution(tmp_path: Path) -> None:
    own = hourly(tmp_path, unit="L/s", country="IT")
    (tmp_path / "made.py").write_text(declaration(own))
    again = find(str(tmp_path / "made.py"))
    assert (again.signals, again.problems, again.rules) == (
        own.solution.signals, own.solution.problems, own.solution.rules
    )  # fmt: skip
    text = settings_file(own.solution, ['a "b" / ü'], file=tmp_path / "made.py", data=tmp_path)
    (tmp_path / "made.toml").write_bytes(text)
    from nervure.core.settings import load

    settings, _ = load(tmp_path / "made.toml")
    assert settings.project.solutions == (str(tmp_path / "made.py"),)
    assert [one.name for one in settings.thing] == ['a "b" / ü']


def test_a_title_cannot_break_out_of_the_file(tmp_path: Path) -> None:
    name = 'x"""\nimport os\n\'.csv'
    path = write(tmp_path, {"a": (stamps(600, HOUR_NS), course(600))}, name)
    own = open_own(Asked(file=path))
    (tmp_path / "made.py").write_text(declaration(own))
    assert find(str(tmp_path / "made.py")).title == own.solution.title
    assert rejected_file(own.rejected) == b"line,column,value,reason\n"


def test_names_are_made_plain() -> None:
    assert [slug(one) for one in ("PM2.5", "Volume (m³/h)", "7 days", "流量", "")] == [
        "pm2_5", "volume_m3_h", "v7_days", "value", "value"
    ]  # fmt: skip


def _table(model: float, last: float, week: float, trees: float = 9.0) -> list[Metric]:
    rows = {"last value": last, "seasonal naive week": week, "boosted trees": trees, "mixer": model}
    return [
        Metric(
            subject=name,
            kind="deep" if name == "mixer" else "baseline",
            metric="MAE",
            value=value,
            horizon=when,
        )
        for name, value in rows.items()
        for when in ("1h", "avg")
    ]


def test_the_verdict_is_honest() -> None:
    won = verdict(_table(1.0, 2.0, 4.0))
    assert won is not None
    assert won.wins
    assert "50.0 % less than last value (2) and 75.0 % less than seasonal naive week (4)" in won.says
    lost = verdict(_table(3.0, 4.0, 2.0))
    assert lost is not None
    assert not lost.wins
    assert "does not beat seasonal naive week here: 3 against 2" in lost.says
    tied = verdict(_table(2.0, 2.0, 3.0))
    assert tied is not None
    assert not tied.wins
    trees = verdict(_table(1.0, 2.0, 4.0, trees=0.5))
    assert trees is not None
    assert "The least error of all is that of boosted trees: 0.5" in trees.says
    assert verdict(_table(1.0, 2.0, 4.0)[-2:]) is None


def test_a_missing_slot_stays_missing(tmp_path: Path) -> None:
    times, values = stamps(1000, HOUR_NS), course(1000)
    del times[500:505], values[500:505]
    own = open_own(Asked(file=write(tmp_path, {"a": (times[::-1], values[::-1])})))
    column = own.dataset.table.value[:, 0]
    assert np.flatnonzero(np.isnan(column)).tolist() == [500, 501, 502, 503, 504]
    assert column[0] == course(1000)[0]
    task = pose(own.dataset, split=own.split)
    assert truth(task, samples(task, "test")).shape[1] == 24


def test_days_stay_the_days_they_are_in_any_zone(tmp_path: Path) -> None:
    days = [time[:10] for time in stamps(400, DAY_NS)]
    own = open_own(Asked(file=write(tmp_path, {"a": (days, course(400))}), zone="Europe/Rome", country="IT"))
    table = own.dataset.table
    assert (iso(table.first * DAY_NS), len(table.value)) == ("2024-01-01T00:00:00Z", 400)
    assert not np.isnan(table.value).any()
    assert own.dataset.zone == "UTC", "the calendar's days are those of the file"
