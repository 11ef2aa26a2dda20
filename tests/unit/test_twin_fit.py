"""Twins fitted to readings of changed ones, from a CSV file at the command line."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from nervure.bench.twin.usual import USUAL
from nervure.cli import main
from nervure.learn.detect.leak.network import hanoi_text
from nervure.twin.api import Twin, TwinError
from nervure.twin.flood import Flood
from nervure.twin.pipes import Pipes
from nervure.twin.record import read_record
from nervure.twin.sewer import Sewer
from nervure.twin.structure import Structure

Table = dict[str, list[float]]


def _watch(twin: Twin, steps: int, scenario: Mapping[str, float], noise: Mapping[str, float]) -> Table:
    """Return what a changed twin reads, with noise by the last part of a sensor's name."""
    rng, seen = np.random.default_rng(1), Table()
    twin.reset(seed=3, scenario=scenario)
    for _ in range(steps):
        for name, value in twin.step().items():
            off = noise.get(name.rsplit("/", 1)[-1], 0.0) * float(rng.standard_normal())
            seen.setdefault(name, []).append(value + off)
    twin.close()
    return seen


def _write(path: Path, seen: Table, step_s: float) -> Path:
    """Write it as a user would, with times and one reading that is missing."""
    begun = datetime(2026, 1, 5, tzinfo=UTC)
    with path.open("w", newline="") as file:
        out = csv.writer(file)
        out.writerow(["time", *seen])
        for at, row in enumerate(zip(*seen.values(), strict=True)):
            cells = [f"{one:.6g}" for one in row]
            if at == 5:
                cells[1] = ""
            out.writerow([(begun + timedelta(seconds=at * step_s)).isoformat(), *cells])
    return path


def _calibrated(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, float]:
    assert main(["twin", "calibrate", *words, "--json"]) == 0
    found: dict[str, float] = json.loads(capsys.readouterr().out)
    return found


def test_storeys_are_found_back_from_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    truth = {"stiffness/1": 0.7, "stiffness/3": 1.2, "damping": 0.05, "noise_m_s2": 1e-3}
    seen = _watch(Structure(3), 9_000, truth, {})
    path = _write(tmp_path / "shaken.csv", seen, 0.01)
    found = _calibrated(capsys, "structure", str(path))
    for name, true in (("stiffness/1", 0.7), ("stiffness/2", 1.0), ("stiffness/3", 1.2), ("damping", 0.05)):
        assert found[name] == pytest.approx(true, rel=0.06)
    assert found["held_out_share"] < 0.3 * found["uncalibrated_held_out_share"]
    assert found["held_out_share"] < 0.3 * USUAL["structure"](seen, 0.01)["held_out_share"]
    assert main(["twin", "calibrate", "structure", str(path)]) == 0
    assert f"--scenario stiffness/1={found['stiffness/1']:.4g}" in capsys.readouterr().out


def test_what_foretells_no_better_than_the_twin_as_it_comes_is_said_to(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A file in litres a second, for a twin in cubic metres: it printed what it had found, and no more."""
    seen = _watch(Flood(), 200, {"curve_number": 80.0, "lag_h": 3.0}, {})
    wanted = {name: seen[name] for name in ("hills/rain", "town/flow")}
    assert main(["twin", "calibrate", "flood", str(_write(tmp_path / "right.csv", wanted, 900))]) == 0
    assert "no better" not in capsys.readouterr().out
    wrong = wanted | {"town/flow": [1000.0 * one for one in wanted["town/flow"]]}
    assert main(["twin", "calibrate", "flood", str(_write(tmp_path / "wrong.csv", wrong, 900))]) == 0
    assert "no better than the twin as it comes" in capsys.readouterr().out


def test_sewers_are_found_back_from_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("pyswmm")
    truth = {"area": 1.35, "width": 0.6, "again_mm": 25.0, "again_after_h": 16.0}
    seen = _watch(Sewer(), 12 * 24, truth, {"level": 0.02})
    seen = {name: one for name, one in seen.items() if name.endswith(("/rain", "/level"))}
    found = _calibrated(capsys, "sewer", str(_write(tmp_path / "storm.csv", seen, 300)))
    assert found["area"] == pytest.approx(1.35, rel=0.05)
    assert found["width"] == pytest.approx(0.6, rel=0.1)
    assert found["held_out_rmse_m"] < 0.1 * found["uncalibrated_held_out_rmse_m"]


def test_pipes_are_found_back_from_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("epanet")
    net = tmp_path / "hanoi.inp"
    net.write_text(hanoi_text())
    twin = Pipes(net, pressure=("12", "22", "31"), flow=("1",), step_s=900)
    seen = _watch(twin, 96, {"hour": 0.0, "demand": 0.9, "roughness": 0.8}, {"pressure": 0.1, "flow": 5.0})
    seen = {name: one for name, one in seen.items() if name.endswith(("/pressure", "/flow"))}
    path = _write(tmp_path / "day.csv", seen, 900)
    found = _calibrated(capsys, "pipes", str(path), "--net", str(net), "--scenario", "hour=0")
    assert found["demand"] == pytest.approx(0.9, rel=0.02)
    assert found["roughness"] == pytest.approx(0.8, rel=0.1)
    assert found["held_out_rmse_m"] < 0.5 * found["uncalibrated_held_out_rmse_m"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("ground/acceleration\n1\n", "no two rows"),
        ("a,a\n1,2\n1,2\n", "one name"),
        ("a,b\n1,2\n1\n", "line 3 has 1 cells"),
        ("a\n1\nwarm\n", "a is 'warm' in line 3"),
        ("time,a\n2026-01-05T00:00:00Z,1\nnoon,1\n", "time cannot be read"),
        (
            "time,a\n2026-01-05T00:00:00Z,1\n2026-01-05T00:00:05Z,1\n2026-01-05T00:00:11Z,1\n",
            "line 4 comes 6 s",
        ),
    ],
)
def test_a_bad_file_says_what_is_wrong(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "bad.csv"
    path.write_text(text)
    with pytest.raises(TwinError, match=said):
        read_record(path)


def test_readings_of_another_twin_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "other.csv"
    path.write_text("floor1/acceleration,ground/acceleration,sky/rain\n1,1,0\n1,1,0\n")
    assert main(["twin", "calibrate", "structure", str(path)]) != 0
    assert "no 'sky/rain'" in capsys.readouterr().err
    path.write_text(
        "time,floor1/acceleration,ground/acceleration\n2026-01-05T00:00:00Z,1,1\n2026-01-05T00:00:01Z,1,1\n"
    )
    assert main(["twin", "calibrate", "structure", str(path)]) != 0
    assert "1 s apart" in capsys.readouterr().err
    assert main(["twin", "calibrate", "structure", str(tmp_path / "none.csv")]) != 0


def test_the_columns_of_a_twin_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["twin", "calibrate", "structure"]) == 0
    told = capsys.readouterr().out
    assert "ground/acceleration" in told
    assert "m/s2" in told
    assert main(["twin", "calibrate", "structure", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["step_s"] == 0.01
