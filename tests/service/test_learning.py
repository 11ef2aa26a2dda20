"""The learning verbs on a small solution of one's own: data, train, export, evaluate, and a model's trust."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from nervure.cli import main
from nervure.store.catalogue import Catalogue
from tests.noise import write
from tests.support import free_ports

pytestmark = pytest.mark.service

RECIPE = 'model = "mixer"\n[recipe]\nleast_steps = 40\nepochs = 0.01\npatience = 1000\n'
STEPS = ("--recipe", "recipe.toml", "--budget", "1000", "--no-compare")
"""A busy machine trains for longer, not worse: so many steps, not so many seconds."""


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder with a solution, twelve weeks of its data, and ports that nobody uses."""
    write(tmp_path)
    (tmp_path / "recipe.toml").write_text(RECIPE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NERVURE_DATA", str(tmp_path))
    monkeypatch.setenv("NERVURE_NATS_MAX_STORE_GB", "1")
    for name, port in zip(("NATS_PORT", "NATS_MQTT_PORT", "HTTP_PORT"), free_ports(3), strict=True):
        monkeypatch.setenv(f"NERVURE_{name}", str(port))


def ask(capsys: pytest.CaptureFixture[str], *words: str) -> Any:
    code = main([*words, "--json"])
    out, err = capsys.readouterr()
    assert code == 0, err
    return json.loads(out)


def refused(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert main(words) != 0
    return capsys.readouterr().err.partition("error: ")[2]


def test_from_a_file_of_readings_to_a_model_that_is_trusted(capsys: pytest.CaptureFixture[str]) -> None:
    (row,) = ask(capsys, "data", "check", "noise.py")
    assert (row["streams"], row["readings"], row["missing_percent"]) == (2, 2 * 12 * 168, 0.0)

    made = ask(capsys, "train", "noise.py", *STEPS)
    file = Path(made["file"])
    assert file.parent == Path("nervure-data/models")
    assert made["running"] is False
    catalogue = Catalogue.open(Path("nervure-data/catalogue.db"))
    champion = catalogue.champion("noise", "forecast-level")
    catalogue.close()
    assert champion is not None
    assert (champion.version, champion.sha256) == (made["version"], made["sha256"])

    shown = ask(capsys, "export", "noise", "--out", "copy.onnx", "--card", "card.json")
    assert shown["verified"] is True
    assert Path("copy.onnx").read_bytes() == file.read_bytes()
    assert json.loads(Path("card.json").read_text()) == shown["card"]
    assert shown["card"]["version"] == made["version"]

    judged = ask(capsys, "evaluate", "noise.py", "--model", str(file), "--quick")
    error = {one["subject"]: one["value"] for one in judged["metrics"] if one["metric"] == "MAE"}
    assert list(error)[-1] == "mixer"
    assert error["mixer"] < error["last value"]

    damaged = bytearray(file.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    Path("damaged.onnx").write_bytes(damaged)
    assert "changed after it was signed" in refused(capsys, "export", "damaged.onnx")
    Path("nervure-data/signing.pub").unlink()
    assert "not trusted" in refused(capsys, "export", "copy.onnx")


def test_a_model_that_saw_the_test_part_is_not_judged_by_it(capsys: pytest.CaptureFixture[str]) -> None:
    text = Path("noise.py").read_text()
    Path("late.py").write_text(text.replace('("rest", "3w", "2w")', '("rest", "2w", "1w")'))
    made = ask(capsys, "train", "late.py", *STEPS, "--out", "late.onnx")
    assert made["file"] == "late.onnx"
    assert "was shown readings until" in refused(
        capsys, "evaluate", "noise.py", "--model", "late.onnx", "--quick"
    )
    Path("other.py").write_text(text.replace('horizon="6h"', 'horizon="5h"').replace('"1h", "6h"', '"1h",'))
    assert "not of this task" in refused(capsys, "evaluate", "other.py", "--model", "late.onnx", "--quick")


def test_what_is_not_there_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert "there is no package of 'water'" in refused(capsys, "export", "water")
    assert "cannot read gone.onnx" in refused(capsys, "export", "gone.onnx")
    assert "is of the water data" in refused(capsys, "evaluate", "noise.py", "--protocol", "bwdf")
    assert "1 at least" in refused(capsys, "evaluate", "noise.py", "--seeds", "0")
