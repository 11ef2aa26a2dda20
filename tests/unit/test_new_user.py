"""What a new user gets wrong at the command line is said before anything runs, and never as a traceback."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from nervure.bench.whatif.ask import ask
from nervure.bench.whatif.question import Measure, WhatIf
from nervure.cli import main
from nervure.core.paired import paired
from nervure.twin.api import TwinError
from nervure.twin.building import Building
from nervure.twin.flood import Flood
from nervure.twin.machine import Machine

GATE = 'twin = "flood"\nminutes = 60\n[do.commands]\n"basin/gate" = 1\n'


def refused(capsys: pytest.CaptureFixture[str], *words: str, code: int) -> str:
    assert main(list(words)) == code
    return capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (GATE.replace("= 1\n", "= nan\n"), "basin/gate cannot be nan"),
        (GATE.replace("60", "inf"), "minutes cannot be inf"),
        (GATE + "[scenario]\nrain_mm = inf\n", "rain_mm cannot be inf"),
        (GATE + '[[do.then]]\nafter = 90\ncommands = {"basin/outlet" = 1}\n', "the runs take 60"),
        (b"\xff\xfe", "cannot be read"),
    ],
)
def test_a_file_that_asks_nothing_is_refused_at_once(
    text: str | bytes, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "asked.toml"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    assert said in refused(capsys, "twin", "whatif", str(file), "--seeds", "2", code=1)


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("whatif", "gate", "--seeds", "1"), 2, "not 1"),
        (("whatif", "gate", "--seeds", "100000000"), 2, "2 to 1000"),
        (("whatif", "storm", "--evidence", "found.json"), 2, "holds values"),
        (("whatif", "gate", "--evidence", "/nowhere/found.json"), 3, "/nowhere/found.json"),
        (("run", "flood", "--alone", "--minutes", "nan"), 2, "--minutes"),
        (("run", "flood", "--alone", "--minutes", "-1"), 2, "--minutes"),
        (("run", "flood", "--alone", "--back", "nan", "--minutes", "15"), 2, "hours ago"),
        (("run", "pipes", "--alone", "--net", "nope"), 2, "hanoi, district, ltown"),
        (("calibrate", "flood", "nope.csv", "--net", "x"), 1, "cannot read nope.csv"),
    ],
)
def test_words_that_make_no_sense_are_refused_before_anything_runs(
    words: tuple[str, ...], code: int, said: str, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    err = refused(capsys, "twin", *words, code=code)
    assert said in err
    assert "100%" not in err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("max-pressure", "--lease", "nan"), "--lease"),
        (("max-pressure", "--seconds", "-1"), "--seconds"),
        (("max-pressure", "--history", "-1"), "--history"),
        (("max-pressure", "--model", "x.onnx"), "takes no --model"),
    ],
)
def test_a_controller_is_not_joined_with_numbers_that_are_none(
    words: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert said in refused(capsys, "act", "run", *words, "--token", "t", code=2)


@pytest.mark.parametrize("verb", ["twin", "act"])
def test_every_command_of_a_verb_says_what_it_does(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    main([verb, "--help"])
    bare = [line for line in capsys.readouterr().out.splitlines() if line.strip("│ ").isalpha()]
    assert bare == []


def test_an_answer_holds_each_runs_figure_and_its_interval_follows_from_them() -> None:
    question = WhatIf(twin="flood", minutes=1440.0, do=Measure(commands={"basin/gate": 1.0}),
                      scenario={"rain_mm": 110.0})  # fmt: skip
    found = ask("gate", question, seeds=3)
    for one in found.changes:
        gap = np.subtract(one.runs["do"], one.runs["base"])
        half = 4.303 * gap.std(ddof=1) / math.sqrt(3)
        shown = (one.difference.mean, one.difference.low, one.difference.high)
        assert shown == pytest.approx((gap.mean(), gap.mean() - half, gap.mean() + half))


def test_intervals_of_many_pairs_are_students_too() -> None:
    one = np.random.default_rng(1).normal(size=40)
    found = paired(one.tolist(), [0.0] * 40)
    assert (found.high - found.mean) / (one.std(ddof=1) / math.sqrt(40)) == pytest.approx(2.0227, abs=1e-4)


def test_shares_and_units_are_shown(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "asked.toml").write_text(GATE.replace("60", "2880"))
    assert main(["twin", "whatif", str(tmp_path / "asked.toml"), "--seeds", "2"]) == 0
    shown = capsys.readouterr().out
    assert "p cannot fall below 0.5" in shown
    assert "%" in next(line for line in shown.splitlines() if "peak_flow, m3/s" in line).split("interval")[0]
    assert main(["twin", "run", "flood", "--alone", "--minutes", "15"]) == 0
    assert " m3/s, peak_level " in capsys.readouterr().out


def rained(steps: int = 96) -> dict[str, list[float]]:
    twin, found = Flood(), dict[str, list[float]]()
    twin.reset(seed=3, scenario={"lag_h": 3.0})
    for _ in range(steps):
        for name, value in twin.step().items():
            found.setdefault(name, []).append(value)
    return found


def test_a_river_is_fitted_where_flows_are_missing_and_refused_where_rain_is() -> None:
    """One reading that was missing left lag and curve number as they come, and said so nowhere."""
    seen = rained()
    for at in (5, 40, 80):
        seen["town/flow"][at] = math.nan
    found = Flood().calibrate({name: tuple(one) for name, one in seen.items()})
    assert found["lag_h"] == pytest.approx(3.0, rel=0.1)
    assert found["held_out_efficiency"] > found["uncalibrated_held_out_efficiency"]
    seen["hills/rain"][7] = math.nan
    with pytest.raises(TwinError, match="hills/rain was not measured in 1 of 96 rows"):
        Flood().calibrate({name: tuple(one) for name, one in seen.items()})


def test_a_house_and_a_machine_are_fitted_where_readings_are_missing() -> None:
    house, seen = Building(), dict[str, list[float]]()
    house.reset(seed=1)
    for _ in range(24 * 12):
        for name, value in house.step().items():
            seen.setdefault(name, []).append(value)
    seen["living/temperature"][30] = seen["sleeping/temperature"][-3] = math.nan
    house.reset(seed=1)
    assert house.calibrate({name: tuple(one) for name, one in seen.items()})["held_out_rmse_k"] < 1.0
    seen["living/heat"][30] = math.nan
    with pytest.raises(TwinError, match="living/heat was not measured"):
        house.calibrate({name: tuple(one) for name, one in seen.items()})
    worn = [Machine().reset(seed=1)["bearing/envelope"]] * 40
    worn[3] = math.nan
    assert all(map(math.isfinite, Machine().calibrate({"bearing/envelope": tuple(worn)}).values()))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("hills/rain;town/flow\n1;2\n2;3\n", "semicolons"),
        ("hills/rain,hills/rain\n1,2\n2,3\n", "two columns have one name, 'hills/rain'"),
        ("hills/rain,town/flow\n1,inf\n2,3\n", "'inf' in line 2"),
        ("hills/rain,town/flow\n1,\n2,nan\n", "town/flow was never measured"),
    ],
)
def test_a_record_says_what_is_wrong_in_it(
    text: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "seen.csv").write_text(text)
    assert said in refused(capsys, "twin", "calibrate", "flood", str(tmp_path / "seen.csv"), code=1)


def test_figures_of_the_last_third_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    seen = rained()
    rows = zip(seen["hills/rain"], seen["town/flow"], strict=True)
    text = "".join(f"{rain},{flow}\n" for rain, flow in rows)
    (tmp_path / "seen.csv").write_text("hills/rain,town/flow\n" + text)
    assert main(["twin", "calibrate", "flood", str(tmp_path / "seen.csv")]) == 0
    shown = capsys.readouterr().out
    assert "efficiency (Nash and Sutcliffe; 1 at best)" in shown
    assert "as it comes" in shown
