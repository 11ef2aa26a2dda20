"""Trainings that are killed and go on, that renew a model, and models that take each other's place."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from safetensors.numpy import load_file

from nervure.cli import main
from nervure.store.catalogue import Catalogue
from tests.noise import write
from tests.patience import until
from tests.support import free_ports

pytestmark = pytest.mark.service

RECIPE = """
model = "mixer"
[recipe]
least_steps = 200
epochs = 0.01
patience = 1000
[recipe.options]
hidden = 24
decoder = 16
blocks = 1
"""
TRAIN = ("train", "noise.py", "--no-compare", "--recipe", "recipe.toml", "--budget", "100000")


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder with a solution, its data and a small recipe, and ports that nobody uses."""
    write(tmp_path)
    (tmp_path / "recipe.toml").write_text(RECIPE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NERVURE_DATA", str(tmp_path))
    monkeypatch.setenv("NERVURE_NATS_MAX_STORE_GB", "1")
    for name, port in zip(("NATS_PORT", "NATS_MQTT_PORT", "HTTP_PORT"), free_ports(3), strict=True):
        monkeypatch.setenv(f"NERVURE_{name}", str(port))


def ask(capsys: pytest.CaptureFixture[str], *words: str, code: int = 0) -> tuple[Any, str]:
    found = main([*words, "--json"])
    out, err = capsys.readouterr()
    assert found == code, err
    return json.loads(out), err


def kill_after(step: int) -> int:
    """Train in a process of its own and kill it once a checkpoint is that far; return how far it was."""
    process = subprocess.Popen([sys.executable, "-m", "nervure.cli", *TRAIN], stderr=subprocess.DEVNULL)

    def reached() -> int:
        files = Path("nervure-data/training").glob("*/checkpoint.json")
        return max((int(json.loads(one.read_text())["mark"]["step"]) for one in files), default=0)

    until(reached, lambda seen: seen >= step, seconds=120, every_s=0.01, running=process)
    process.send_signal(signal.SIGKILL)
    assert process.wait(10) == -signal.SIGKILL
    return reached()


def test_a_training_that_is_killed_goes_on_to_the_same_weights(capsys: pytest.CaptureFixture[str]) -> None:
    reached = kill_after(1)  # the first one: the next is written when that is cheap, which may be at the end
    assert reached < 200
    made, err = ask(capsys, *TRAIN)
    assert f"going on at step {reached} of 200" in err
    assert list(Path("nervure-data/training").iterdir()) == []
    whole, err = ask(capsys, *TRAIN, "--set", "data=other")
    assert "going on" not in err
    weights = [load_file(Path(one["file"]).with_suffix(".safetensors")) for one in (made, whole)]
    assert {name: one.tobytes() for name, one in weights[0].items()} == {
        name: one.tobytes() for name, one in weights[1].items()
    }


def test_a_model_takes_anothers_place_only_if_it_is_better(capsys: pytest.CaptureFixture[str]) -> None:
    first, _ = ask(capsys, *TRAIN)
    assert (first["promoted"], first["verdict"]["why"]) == (True, "there is no champion yet")
    again, _ = ask(capsys, *TRAIN, code=1)  # the very same weights cannot be better
    assert (again["promoted"], again["verdict"]["champion_version"]) == (False, first["version"])
    assert scores() == first["version"]

    renewed, err = ask(capsys, *TRAIN, "--renew", "--promote")
    assert "starts from nothing" not in err
    assert renewed["promoted"] is True
    assert renewed["verdict"]["champion_version"] == first["version"]
    assert renewed["verdict"]["since"] > "2024-03-11"
    assert scores() == renewed["version"]

    listed, _ = ask(capsys, "promote", "noise")
    assert [(one["version"], one["promoted"]) for one in listed][:1] == [(renewed["version"], True)]
    ask(capsys, "promote", "noise", first["version"])
    assert scores() == first["version"]
    assert main(["promote", "noise", "nothing"]) == 1
    assert "no model of version 'nothing'" in capsys.readouterr().err
    assert main(["promote", "water"]) == 1
    assert "no model of 'water'" in capsys.readouterr().err


def test_what_cannot_be_renewed_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "noise.py", "--renew"]) == 1
    assert "no model of noise scores here yet" in capsys.readouterr().err
    assert main(["train", "noise.py", "--live"]) == 1
    assert "there are no readings in" in capsys.readouterr().err
    made, _ = ask(capsys, *TRAIN)
    weights = Path(made["file"]).with_suffix(".safetensors")
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    assert main(["train", "noise.py", "--renew"]) == 1
    assert "file of weights was changed after it was signed" in capsys.readouterr().err
    os.truncate(made["file"], 1000)
    assert main(["train", "noise.py", "--renew"]) == 2
    assert "is not the package that scores" in capsys.readouterr().err


def scores() -> str:
    """Return the version of the model that scores."""
    catalogue = Catalogue.open(Path("nervure-data/catalogue.db"))
    champion = catalogue.champion("noise", "forecast-level")
    catalogue.close()
    assert champion is not None
    return champion.version
