"""``nervure evaluate --all``: killed in the middle it goes on where it was; what fails stops no other."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from operator import not_
from pathlib import Path

import numpy as np
import psutil
import pyarrow as pa
import pyarrow.parquet
import pytest

from nervure.bench.forecast.document import read
from nervure.bench.forecast.page import page
from tests.patience import until

HOURS = 24 * 7 * 9
MODELS = "last value,historical average,mixer"
DECLARED = """\
from nervure.core.declaration import Signal, Solution, Source
from nervure.core.problem import Forecast

solution = Solution(
    name="{title}",
    title="Load of {title}",
    thing="meter",
    signals=(Signal(name="load", unit="kW", every="1h", low=0, high=100),),
    problems=(Forecast(of="load", horizon="6h", window="24h"),),
    data=Source(
        folder="{title}", files=("load.parquet",), layout="wide", columns={{r"(s\\d)": r"\\1/load"}},
        report_at=("1h", "6h"),
    ),
)
"""


@pytest.fixture(name="sets", scope="module")
def _sets(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Write two made-up sets below ``data``, and the files that declare them."""
    folder = tmp_path_factory.mktemp("sets")
    random, hours = np.random.default_rng(3), np.arange(HOURS)
    found = []
    for turn, title in enumerate(("north", "south")):
        (folder / "data" / title).mkdir(parents=True)
        course = 20 + 6 * np.sin(2 * np.pi * hours / 24 + turn) + 2 * (hours // 24 % 7 >= 5)
        columns = {f"s{one}": course + one + random.normal(0, 0.5, HOURS) for one in range(3)}
        moments = np.datetime64("2023-01-02T00", "ns") + hours * np.timedelta64(1, "h")
        table = pa.table({"timestamp": moments, **columns})
        pa.parquet.write_table(table, folder / "data" / title / "load.parquet")
        (folder / f"{title}.py").write_text(DECLARED.format(title=title))
        found.append(folder / f"{title}.py")
    return found


def _command(sets: list[Path], folder: Path, *more: str) -> list[str]:
    names = ",".join(map(str, sets))
    return [
        sys.executable, "-m", "nervure.cli", "evaluate", "--all", "--sets", names, "--models", MODELS,
        "--seeds", "1", "--budget", "2", "--out", str(folder / "report"), "--work", str(folder / "work"),
        *more,
    ]  # fmt: skip


def _environment(sets: list[Path]) -> dict[str, str]:
    return {**os.environ, "NERVURE_DATA": str(sets[0].parent / "data")}


def _results(folder: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in (folder / "work").glob("*.json")}


def _killed(sets: list[Path], folder: Path) -> dict[Path, int]:
    """Start a run and kill it once it has some results; returns those, and when each was written."""
    run = subprocess.Popen(
        _command(sets, folder), env=_environment(sets), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    until(lambda: _results(folder), lambda seen: len(seen) >= 2, seconds=200, every_s=0.02, running=run)
    jobs = psutil.Process(run.pid).children(recursive=True)
    run.send_signal(signal.SIGKILL)
    run.communicate()
    until(lambda: [one for one in jobs if _works(one)], not_)  # jobs see that nobody waits, and end
    return _results(folder)


def _works(job: psutil.Process) -> bool:
    with contextlib.suppress(psutil.NoSuchProcess):
        return job.is_running() and job.status() != psutil.STATUS_ZOMBIE
    return False


def _again(sets: list[Path], folder: Path, *more: str) -> subprocess.CompletedProcess[str]:
    words = _command(sets, folder, *more)
    return subprocess.run(words, env=_environment(sets), capture_output=True, text=True, check=False)


def _files(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in (folder / "report").rglob("*") if path.is_file()}


@pytest.mark.slow
@pytest.mark.timeout(900)  # eight processes that load torch, on machines that do more than this
def test_a_killed_run_goes_on_where_it_was(sets: list[Path], tmp_path: Path) -> None:
    done = _killed(sets, tmp_path)
    assert 2 <= len(done) < 6
    assert not (tmp_path / "report").exists()
    second = _again(sets, tmp_path, "--json")
    assert second.returncode == 0, second.stderr
    assert f"6 jobs on 2 sets, {len(done)} done before" in second.stderr
    after = _results(tmp_path)
    assert len(after) == 6
    assert {path: after[path] for path in done} == done, "what was done was not done again"
    _look(tmp_path, list(map(str, sets)), json.loads(second.stdout)["rows"])

    files = _files(tmp_path)
    third = _again(sets, tmp_path)
    assert "6 jobs on 2 sets, 6 done before" in third.stderr
    assert _files(tmp_path) == files, "the same results make the same report"


def _look(folder: Path, names: list[str], rows: list[dict[str, object]]) -> None:
    """Check that the report holds what it must."""
    document = read(folder / "report" / "forecasting.json")
    assert {row.model for row in document.rows} == set(MODELS.split(","))
    assert len(document.sets) == 2
    for name in names:
        assert (document.value(name, "mixer", "MAE") or 99) < (document.value(name, "last value", "MAE") or 0)
        assert document.value(name, "mixer", "memory_mb", "") is not None
        assert document.value(name, "mixer", "MAE_missing_30_rise") is not None
        assert document.against(name) is not None
    columns = {"set", "model", "kind", "horizon", "metric", "value", "seeds", "train_cpu_s", "infer_ms"}
    assert columns == set(rows[0])
    assert (folder / "report" / "forecasting.md").read_text() == page(document)
    pictures = [path for path in _files(folder) if path.suffix == ".svg"]
    assert len(pictures) == 6
    assert all(path.stat().st_size < 100_000 for path in pictures)


def test_a_job_that_fails_is_named_and_stops_no_other(sets: list[Path], tmp_path: Path) -> None:
    """A column that is never read makes a set that cannot be posed; the other set is judged."""
    broken = tmp_path / "broken.py"
    broken.write_text(DECLARED.format(title="north").replace('folder="north"', 'folder="gone"'))
    words = _command([broken, sets[1]], tmp_path)
    words[words.index(MODELS)] = "last value"
    run = subprocess.run(words, env=_environment(sets), capture_output=True, text=True, check=False)
    document = read(tmp_path / "report" / "forecasting.json")
    assert run.returncode == 0
    assert [one.set for one in document.sets] == [str(sets[1])]
    (failure,) = document.failures
    assert failure.set == str(broken)
    assert "the data of 'north' are not here" in failure.error
    assert "What could not be measured" in (tmp_path / "report" / "forecasting.md").read_text()


def test_a_model_that_is_not_there_is_refused_by_its_name(sets: list[Path], tmp_path: Path) -> None:
    words = _command(sets[1:], tmp_path)
    words[words.index(MODELS)] = "last value,lost value"
    run = subprocess.run(words, env=_environment(sets), capture_output=True, text=True, check=False)
    assert run.returncode == 2
    assert "no set here has a model 'lost value'" in run.stderr
    assert "last value" in run.stderr.partition("hint:")[2]
