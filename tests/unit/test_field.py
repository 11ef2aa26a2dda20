"""Twins by their own plans at the command line, and what is asked of them there."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from nervure.cli import main
from nervure.cli.feed import Source
from nervure.cli.vigil import _chosen
from nervure.core.error import NotFoundError
from nervure.twin.once import once
from nervure.twin.state import FOLDER

ALONE = ["twin", "run", "flood", "--alone", "--json", "--minutes"]


def test_a_twin_alone_goes_by_its_guards_plan(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*ALONE, "1440", "--beside", "--scenario", "rain_mm=120"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["steps"], found["readings"], found["tasks"]) == (96, 576, 0)
    assert found["kpis"]["peak_level"] > 1.0
    assert found["kpis"] == found["alone"]  # nobody commanded, so it is the same twice
    assert main([*ALONE, "1440"]) == 0
    assert json.loads(capsys.readouterr().out)["kpis"]["peak_level"] < found["kpis"]["peak_level"]


@pytest.mark.parametrize("since", ["2026-01-05T00:00:00Z", "2026-01-05T00:07:13Z"])
def test_what_speaks_once_an_hour_does_so_whenever_a_twin_begins(
    since: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Begun at an odd second, as --back has it, the weather station of a house never said a word."""
    assert main(["twin", "run", "building", "--alone", "--json", "--minutes", "180", "--since", since]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["readings"] == 36 * 10 + 3 * 2  # its temperature and its sun


def test_a_thermometer_that_is_dropped_is_silent(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*ALONE, "60", "--fault", "drop,of=town/*,begin=1200"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["readings"], found["silent"]) == (18, 6)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--scenario", "rain"], "--scenario cannot read 'rain'"),
        (["--fault", "drop,off=1"], "--fault cannot read"),
        (["--fault", "melt"], "--fault cannot read 'melt'"),
        (["--since", "yesterday"], "--since cannot read 'yesterday'"),
        (["--net", "paris"], "takes no 'net'"),
        (["--speed", "0"], "above 0"),
        (["--scenario", "snow=1"], "cannot set 'snow'"),
        (["--scenario", "rain_mm=nan"], "that is no number to simulate with"),
        (["--seed", "-1"], "--seed -1 draws nothing"),
    ],
)
def test_what_is_asked_wrongly_is_told(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:  # fmt: skip
    assert main([*ALONE, "60", *words]) in (1, 2)
    assert said in capsys.readouterr().err


def test_a_twin_that_runs_is_not_shut_out_by_a_second_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = ["--set", f"data={tmp_path}", "--set", "access.open=true", "--set", "http.port=1"]
    with once(tmp_path / FOLDER, "flood", "flood/"):
        for more in ([], ["--enrol"]):  # which gives its devices new credentials, too
            assert main(["twin", "run", "flood", *more, *place]) == 1
            assert f"runs already, in process {os.getpid()}" in capsys.readouterr().err
        assert main(["twin", "run", "flood", "--prefix", "other/", *place]) == 1
        assert "no node answers" in capsys.readouterr().err
    assert main(["twin", "run", "flood", *place]) == 1
    assert "no node answers" in capsys.readouterr().err


def test_who_joins_nothing_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["act", "run", "autopilot"]) == 2
    assert "there is no controller 'autopilot'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("isolation", "--hours", "nan"), "--hours nan is no hour of a day"),
        (("isolation", "--hours", "24"), "--hours 24 is no hour of a day"),
        (("climate", "--learn-h", "5"), "--learn-h 5 is too short"),
        (("schedule", "--net", "hanoi"), "schedule takes no --net"),
        (("schedule", "--foresee", "building/station"), "schedule takes no --foresee"),
        (("max-pressure", "--model", "x.onnx"), "max-pressure takes no --model"),
    ],
)
def test_what_a_controller_would_not_heed_is_refused(
    words: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["act", "run", *words]) == 2
    assert said in capsys.readouterr().err


def test_a_thing_is_chosen_by_its_name() -> None:
    found = [Source(id=1, name="pipes/network", streams=()), Source(id=2, name="hall", streams=())]
    assert _chosen(found, None) == found
    assert _chosen(found, "hall") == found[1:]
    with pytest.raises(NotFoundError, match="no Thing 'cellar'"):
        _chosen(found, "cellar")
