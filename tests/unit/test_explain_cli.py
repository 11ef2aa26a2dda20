"""``nervure explain`` end to end on made files and a package, and what it says when asked wrongly."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from nervure.cli import main
from nervure.core.instant import HOUR_NS, iso
from nervure.learn.dataset import load
from nervure.learn.package import package
from nervure.learn.task import ForecastTask, pose
from nervure.learn.train import Recipe, fit
from nervure.solutions import find
from nervure.trust.signature import SigningKey
from tests import made

NAME = "air"


@pytest.fixture(name="here", scope="module")
def _here(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ForecastTask]:
    """Return a folder with made data below ``sets`` and a packaged net below ``nervure-data``."""
    folder = tmp_path_factory.mktemp("explain")
    solution = find(NAME)
    made.write(solution, folder / "sets", rows=1200)
    task = pose(load(solution, folder / "sets"))
    small = {"hidden": 24, "decoder": 16, "context": 4}
    trained = fit(task, budget_s=20, recipe=Recipe(least_steps=10, epochs=0.01, options=small))
    data = folder / "nervure-data"
    (data / "models").mkdir(parents=True)
    key = SigningKey.load_or_create(data)
    (data / "models" / f"{NAME}-forecast-1.onnx").write_bytes(package(trained, trained.task, key=key))
    return folder, task


@pytest.fixture(autouse=True)
def _there(here: tuple[Path, ForecastTask], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(here[0])
    monkeypatch.setenv("NERVURE_DATA", str(here[0] / "sets"))


def _told(capsys: pytest.CaptureFixture[str], *words: str) -> Any:
    assert main(("explain", NAME, *words, "--json")) == 0
    return json.loads(capsys.readouterr().out)


def test_the_shares_add_up_and_name_things(
    here: tuple[Path, ForecastTask], capsys: pytest.CaptureFixture[str]
) -> None:
    task = here[1]
    moment = iso((task.table.first + 1100) * HOUR_NS)
    thing = task.names[1].rpartition("/")[0]
    found = _told(capsys, "--thing", thing, "--at", moment)
    assert (found["stream"], found["time"]) == (task.names[1], moment)
    forecast = sum(found["forecast"]) / len(found["forecast"])
    nothing = sum(found["nothing"]) / len(found["nothing"])
    assert sum(found["by_source"].values()) == pytest.approx(forecast - nothing, abs=1e-3)
    assert any(thing in one["name"] and "h ago" in one["name"] for one in found["contributions"])
    assert {"own", "neighbour", "driver", "calendar"} <= set(found["by_kind"])


def test_the_table_has_bars_and_the_picture_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    picture = tmp_path / "why.svg"
    assert main(("explain", NAME, "--plot", str(picture), "--check")) == 0
    out = capsys.readouterr().out
    assert re.search(r"\+{24}|-{24}", out), "the longest bar"
    assert "if nothing is known" in out
    assert "95 % interval" in out
    assert f"wrote {picture}" in out
    drawn = ET.fromstring(picture.read_text("utf-8"))
    bars = [one for one in drawn if one.tag.endswith("rect") and one.get("fill") != "white"]
    assert 1 <= len(bars) <= 15
    assert max(float(one.get("width") or 0) for one in bars) == pytest.approx(210)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--thing", "nowhere"), "no Thing 'nowhere' is foreseen"),
        (("--at", "yesterday"), "write 2012-03-05T08:15Z"),
        (("--at", "1999-01-01"), "there are windows from"),
        (("--model", "gone.onnx"), "cannot read gone.onnx"),
        (("--problem", "fore"), "no package of 'air-fore'"),
    ],
)
def test_what_is_asked_wrongly_is_said(
    words: tuple[str, ...], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(("explain", NAME, *words)) != 0
    assert says in capsys.readouterr().err


def test_a_package_of_other_streams_is_refused(
    here: tuple[Path, ForecastTask], capsys: pytest.CaptureFixture[str]
) -> None:
    made.write(find("water"), here[0] / "sets", rows=3000)
    model = next((here[0] / "nervure-data" / "models").glob("*.onnx"))
    assert main(("explain", "water", "--problem", "forecast-inflow", "--model", str(model))) == 2
    assert "not of these data" in capsys.readouterr().err
