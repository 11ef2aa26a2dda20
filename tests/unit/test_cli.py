"""The command line: exit codes, what goes to stdout and stderr, JSON for machines."""

from __future__ import annotations

import importlib
import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

import nervure
from nervure.cli import main
from nervure.cli.app import VERBS
from nervure.cli.doctor import examine
from nervure.core.settings import Settings, flat
from nervure.solutions import find
from tests.support import free_ports


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run every command in an empty folder, with ports that nobody uses."""
    monkeypatch.chdir(tmp_path)
    for name, port in zip(("NATS_PORT", "NATS_MQTT_PORT", "HTTP_PORT"), free_ports(3), strict=True):
        monkeypatch.setenv(f"NERVURE_{name}", str(port))


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    code = main(words)
    out, err = capsys.readouterr()
    return code, out, err


def as_json(capsys: pytest.CaptureFixture[str], *words: str, code: int = 0) -> Any:
    got, out, err = run(capsys, *words, "--json")
    assert (got, err) == (code, "")
    return json.loads(out)


@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: verb.name)
def test_every_verb_is_there_and_explains_itself(verb: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert find_spec(f"nervure.cli.{verb.name}") is not None
    assert hasattr(importlib.import_module(f"nervure.cli.{verb.name}"), verb.name)
    code, out, _ = run(capsys, verb.name, "--help")
    assert code == 0
    assert f"nervure {verb.name}" in out


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, "--version") == (0, f"{nervure.__version__}\n", "")


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["statsu"], 2, "did you mean nervure status?"),
        (["up", "--nonsense"], 2, "Unknown option"),
        (["down", "--wait", "long"], 2, "unable to convert"),
        (["up", "--set", "nats.prot=1"], 2, "unknown field `prot`"),
        (["up", "--set", "nats.port"], 2, "write --set nats.port=4333"),
        (["up", "--settings", "gone.toml"], 2, "cannot read gone.toml"),
        (["up", "--set", "http.host=0.0.0.0"], 2, "secrets would pass in the clear"),
        (["solutions", "nope"], 2, "there is no solution 'nope'"),
        (["data", "check", "nope"], 2, "there is no solution 'nope'"),
        (["new", "solution", "Not-a-name"], 2, "use small letters"),
        (["status"], 1, "start one with: nervure up"),
        (["send", "1", "2.5"], 1, "no node answers at mqtt://"),
        (["send", "1", "2.5", "--http"], 1, "no node answers at http://"),
        (["send", "A inflow", "2.5"], 1, "no node answers at http://"),
        (["listen", "--seconds", "1"], 1, "no node answers at mqtt://"),
        (["act", "list"], 1, "start one with: nervure up"),
        (["promote", "traffic"], 1, "nervure train traffic"),
        (["user", "remove", "ann"], 1, "there is no user 'ann'"),
        (["device", "revoke", "pump"], 1, "there is no device 'pump'"),
    ],
)
def test_what_goes_wrong_is_said_on_stderr_with_its_code(
    capsys: pytest.CaptureFixture[str], words: list[str], code: int, says: str
) -> None:
    got, out, err = run(capsys, *words)
    assert (got, out) == (code, "")
    assert err.startswith("error: ")
    assert says in err
    assert not [*Path().iterdir()]


@pytest.mark.parametrize("verb", ["device", "project", "token", "user"])
def test_looking_makes_nothing(capsys: pytest.CaptureFixture[str], verb: str) -> None:
    assert len(as_json(capsys, verb, "list")) == (verb == "project")  # what is nobody else's
    assert not [*Path().iterdir()]


def test_origin_shows_every_setting_and_who_set_it(capsys: pytest.CaptureFixture[str]) -> None:
    Path("nervure.toml").write_text("[score]\nbatch = 16\n")
    found = as_json(capsys, "up", "--origin", "--set", "store.seal_s=3")
    assert set(found) == set(flat(Settings()))
    assert found["score.batch"] == {"value": 16, "origin": "nervure.toml"}
    assert found["store.seal_s"] == {"value": 3.0, "origin": "the command line"}
    assert found["http.port"]["origin"] == "NERVURE_HTTP_PORT"
    assert found["http.host"]["origin"] == "default"
    code, out, _ = run(capsys, "up", "--origin")
    assert code == 0
    assert all(name in out for name in flat(Settings()))


def test_down_is_content_when_nothing_runs(capsys: pytest.CaptureFixture[str]) -> None:
    assert as_json(capsys, "down") == {"stopped": False, "pid": None}
    assert "no node runs in nervure-data" in run(capsys, "down")[1]


def test_solutions_in_brief_and_in_full(capsys: pytest.CaptureFixture[str]) -> None:
    names = [one["name"] for one in as_json(capsys, "solutions")]
    assert {"water", "traffic", "air", "energy"} <= set(names)
    assert as_json(capsys, "solutions", "water")["signals"][0]["unit"] == "L/s"
    code, out, _ = run(capsys, "solutions", "water")
    assert code == 0
    assert "forecast-inflow" in out


def test_a_new_solution_can_be_read_back(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, "new", "solution", "noise")[0] == 0
    assert as_json(capsys, "solutions", "noise.py")["name"] == "noise"
    code, _, err = run(capsys, "new", "solution", "noise")
    assert code == 2
    assert "nothing is overwritten" in err


def test_a_new_project_changes_nothing_until_it_is_edited(capsys: pytest.CaptureFixture[str]) -> None:
    before = as_json(capsys, "up", "--origin")
    assert run(capsys, "new", "project")[0] == 0
    assert as_json(capsys, "up", "--origin") == before
    text = Path("nervure.toml").read_text()
    Path("nervure.toml").write_text(text.replace("# batch = 64", "batch = 8"))
    assert as_json(capsys, "up", "--origin")["score.batch"]["value"] == 8


def test_doctor_finds_this_machine_fit(capsys: pytest.CaptureFixture[str]) -> None:
    checks = {one["name"]: one for one in as_json(capsys, "doctor")}
    for name in (
        "python",
        "settings",
        "nats-server",
        "data folder",
        "http.port",
        "nats.port",
        "nats.mqtt_port",
    ):
        assert checks[name]["state"] == "ok", checks[name]


def test_doctor_says_what_is_wrong_and_how_to_mend_it(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    broken = (f"data={tmp_path}/file/data", "project.solutions=nope", "nats.port=12", "nats.mqtt_port=11")
    found = {one.name: one for one in examine(None, broken)}
    assert found["data folder"].state == "wrong"
    assert "NERVURE_FOLDER" in found["data folder"].fix
    assert found["solution nope"].state == "wrong"
    wrong = next(one for one in examine(None, ("nats.prot=1",)) if one.name == "settings")
    assert wrong.state == "wrong"


def test_doctor_sees_a_port_that_is_taken(capsys: pytest.CaptureFixture[str]) -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        code, out, _ = run(capsys, "doctor", "--set", f"http.port={port}")
    assert code == 3
    line = next(line for line in out.splitlines() if "http.port" in line)
    assert line.startswith("wrong")
    assert "stop what uses it" in line


def test_data_sets_are_listed_with_licence_and_protocol(capsys: pytest.CaptureFixture[str]) -> None:
    water = next(one for one in as_json(capsys, "data", "list") if one["solution"] == "water")
    assert (water["set"], water["licence"]) == ("water/bwdf_demand", "CC-BY-4.0")
    assert water["found"]


def test_a_data_set_that_is_not_here_is_a_problem_found(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("NERVURE_DATA", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    (row,) = as_json(capsys, "data", "check", "energy", code=1)
    assert "are not here" in row["error"]
    code, _, err = run(capsys, "data", "fetch", "energy")
    assert code == 1
    assert "NERVURE_DATA" in err


def test_a_file_of_ones_own_is_read_as_it_is_now(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for title in ("first", "second"):
        folder = tmp_path / title
        folder.mkdir()
        text = (
            "from nervure.core.declaration import Signal, Solution\n"
            f'solution = Solution(name="own", title="{title}", thing="thing",\n'
            '    signals=(Signal(name="level", unit="m", every="1h"),))\n'
        )
        (folder / "own.py").write_text(text)
        monkeypatch.chdir(folder)
        assert find("own.py").title == title
