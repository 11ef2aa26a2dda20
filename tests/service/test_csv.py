"""From a file of one's own to forecasts of a running node, by nothing but the command line."""

from __future__ import annotations

import csv
import functools
import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from nervure.cli import main
from nervure.core.instant import HOUR_NS, iso
from tests.patience import until
from tests.support import free_ports

pytestmark = pytest.mark.service

HOURS = 24 * 21
START = 1_704_067_200 * 10**9
SENSORS = ("via Po / 3", "7")


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty folder, and ports that nobody uses."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NERVURE_NATS_MAX_STORE_GB", "1")
    for name, port in zip(("NATS_PORT", "NATS_MQTT_PORT", "HTTP_PORT"), free_ports(3), strict=True):
        monkeypatch.setenv(f"NERVURE_{name}", str(port))


def level(hour: int, place: int) -> float:
    return 50 + 10 * float(np.sin(2 * np.pi * (hour + 6 * place) / 24))


def write() -> None:
    random = np.random.default_rng(0)
    rows = [
        (name, iso(START + hour * HOUR_NS), f"{level(hour, place) + random.normal():.3f}")
        for hour in range(HOURS)
        for place, name in enumerate(SENSORS)
    ]
    rows += [("dead", iso(START + hour * HOUR_NS), "NaN") for hour in range(HOURS)]
    rows[10:10] = [("7", "no date", "1"), ("7", iso(START), "broken")]
    with Path("Loops 2024.csv").open("w", newline="") as file:
        csv.writer(file, delimiter=";").writerows([("Sensor", "When", "Speed (km/h)"), *rows])
    recipe(60)


def recipe(steps: int) -> None:
    """Have the mixer trained for so many steps, not seconds: a busy machine learns no less."""
    Path("recipe.toml").write_text(
        f'model = "mixer"\n[recipe]\nleast_steps = {steps}\nepochs = 0.01\npatience = 1000\n'
    )


def ask(capsys: pytest.CaptureFixture[str], *words: str) -> Any:
    code = main([*words, "--json"])
    out, err = capsys.readouterr()
    assert code == 0, err
    return json.loads(out)


TRAIN = (
    "train", "--csv", "Loops 2024.csv", "--time", "When", "--id", "Sensor", "--target", "Speed (km/h)",
    "--every", "1h", "--horizon", "6h", "--window", "24h",
)  # fmt: skip
STEPS = ("--recipe", "recipe.toml", "--budget", "1000")


@contextmanager
def node(settings: str) -> Iterator[str]:
    words = [sys.executable, "-m", "nervure.cli", "up", "--open", "--settings", settings, "--json"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        try:
            address = f"http://127.0.0.1:{os.environ['NERVURE_HTTP_PORT']}"
            look = functools.partial(httpx.get, f"{address}/health")
            until(look, lambda seen: seen.status_code == 200, forgive=(httpx.HTTPError,), running=process)
            yield address
        finally:
            process.terminate()
            process.wait(60)


def _forecast(address: str, stream: int) -> list[dict[str, Any]]:
    path = f"{address}/v1.1/Datastreams({stream})/Observations"
    return list(until(lambda: httpx.get(path).json()["value"]))


def test_a_file_of_ones_own_becomes_a_model_that_scores_live(capsys: pytest.CaptureFixture[str]) -> None:
    write()
    made = ask(capsys, *TRAIN, *STEPS)
    assert made["series"] == list(SENSORS)
    assert made["dropped"] == {"dead": "it has no reading"}
    assert made["against_plain"]["wins"], made["against_plain"]["says"]
    with Path(made["rejected"]).open(newline="") as file:
        rejected = list(csv.DictReader(file))
    assert [(row["line"], row["column"], row["value"]) for row in rejected] == [
        ("12", "When", "no date"), ("13", "Speed (km/h)", "broken")
    ]  # fmt: skip
    card = ask(capsys, "export", made["file"])["card"]
    assert card["streams"] == [f"{name}/speed_km_h" for name in SENSORS]
    with node(made["settings"]) as address:
        streams = {
            one["name"]: one["@iot.id"]
            for one in httpx.get(f"{address}/v1.1/Datastreams?$select=id,name").json()["value"]
        }
        stream = streams["via Po / 3/speed_km_h"]
        for hour in range(HOURS, HOURS + 30):
            body = {"result": level(hour, 0), "phenomenonTime": iso(START + hour * HOUR_NS)}
            answer = httpx.post(f"{address}/v1.1/Datastreams({stream})/Observations", json=body)
            assert answer.status_code == 201
        found = _forecast(address, streams["via Po / 3/speed_km_h/forecast"])
    assert found


def test_what_is_said_to_a_person(capsys: pytest.CaptureFixture[str]) -> None:
    write()
    assert main([*TRAIN, *STEPS, "--out", "models/loops.onnx"]) == 0
    out = capsys.readouterr().out
    for says in ("2 rejected", "'dead' is left out: it has no reading", "seasonal naive day", "last value",
                 "wrote models/loops.rejected.csv", "nervure up --settings models/loops.toml scores with it",
                 "less than last value"):  # fmt: skip
        assert says in out
    assert {one.name for one in Path("models").iterdir()} == {
        "loops.onnx", "loops.safetensors", "loops.py", "loops.toml", "loops.rejected.csv"
    }  # fmt: skip


def test_what_is_wrong_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    def refused(*words: str) -> str:
        assert main(words) != 0
        return capsys.readouterr().err.partition("error: ")[2]

    write()
    assert "there is no column 'ds' (--time)" in refused("train", "--csv", "Loops 2024.csv", "--time", "ds")
    assert "perhaps --time When" in refused("train", "--csv", "Loops 2024.csv", "--time", "wenn")
    assert "what is to be learned from?" in refused("train")
    assert "--horizon is for a file of your own" in refused("train", "water", "--horizon", "6h")
    assert "no name for a new solution" in refused("train", "water", *TRAIN[1:])
    Path("models").mkdir()
    for words, says in (
        (("--out", "models"), "models is a folder"),
        (("--live",), "--live is for a solution's data set"),
        (("--problem", "x"), "--problem means nothing for a file of your own"),
    ):
        assert says in refused(*TRAIN, *words)
    assert "--model means nothing" in refused("evaluate", *TRAIN[1:], "--model", "model.onnx")
    assert "--sets means nothing for a single set" in refused("evaluate", "traffic", "--sets", "air")
    assert "--problem means nothing for --all" in refused("evaluate", "--all", "--problem", "x")


def test_a_model_of_a_file_gives_way_to_a_better_one_only(capsys: pytest.CaptureFixture[str]) -> None:
    write()
    recipe(30)
    train = (*TRAIN, *STEPS, "--no-compare")
    taken = [socket.socket() for _ in range(2)]
    for one, name in zip(taken, ("NATS_PORT", "NATS_MQTT_PORT"), strict=True):
        one.bind(("127.0.0.1", int(os.environ[f"NERVURE_{name}"])))
        one.listen()
    first = ask(capsys, *train)  # another node has the ports: that is no reason to throw a model away
    for one in taken:
        one.close()
    assert (first["promoted"], first["verdict"]["why"]) == (True, "there is no champion yet")
    again = ask(capsys, *train)
    assert (again["promoted"], again["verdict"]["champion_version"]) == (False, first["version"])
    assert ask(capsys, *train, "--promote")["promoted"] is True


def test_a_file_is_judged_without_training_for_good(capsys: pytest.CaptureFixture[str]) -> None:
    write()
    found = ask(capsys, "evaluate", *TRAIN[1:], "--budget", "6", "--quick")
    error = {one["subject"]: one["value"] for one in found["metrics"] if one["metric"] == "MAE"}
    assert {"last value", "seasonal naive day", "mixer"} <= set(error)
    assert found["against_plain"]["model"] == "mixer"
    assert not Path("nervure-data").exists()
