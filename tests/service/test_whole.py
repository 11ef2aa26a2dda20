"""A node that answers about whole Things: what is left of an engine, and that somebody fell."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import msgspec
import numpy as np
import pytest

from nervure.bench.process import NodeProcess, free_settings
from nervure.cli import main
from nervure.cli.train import hand_over
from nervure.core.case import channels
from nervure.core.entity import Datastream
from nervure.core.instant import HOUR_NS, SECOND_NS, iso
from nervure.core.problem import Classify, RemainingLife
from nervure.core.settings import Project, Settings
from nervure.learn.course import Course
from nervure.learn.detect.course import course
from nervure.learn.detect.record import Record, divide, records
from nervure.learn.detect.train import Effort
from nervure.learn.detect.whole import windows
from nervure.score.runner import Runner
from nervure.solutions import find
from nervure.store.catalogue import Catalogue
from nervure.store.provision import Place, provision
from nervure.trust.signature import SigningKey
from tests.patience import eventually
from tests.recorded import write
from tests.support import publish_mqtt

pytestmark = [pytest.mark.service, pytest.mark.timeout(240)]

BEGIN = 1_700_000_000_000_000_000 // HOUR_NS * HOUR_NS


class Learnt(NamedTuple):
    problem: RemainingLife | Classify
    found: tuple[Record, ...]
    course: Course

    def test(self) -> list[Record]:
        return [self.found[row] for row in divide(self.found).test.tolist()]


class Ward:
    """A node of one solution with some Things, and the model that answers about them."""

    def __init__(self, folder: Path, name: str, things: tuple[str, ...]) -> None:
        self.name = name
        self.settings: Settings = free_settings(
            folder / "data", project=Project(name="test", solutions=(name,))
        )
        self.settings.folder.mkdir(parents=True)
        catalogue = Catalogue.open(self.settings.catalogue_place)
        provision(catalogue, find(name), [Place(name=one) for one in things])
        self.streams = {one.name: one for one in catalogue.datastreams(solution=name)}
        catalogue.close()
        self.key = SigningKey.load_or_create(self.settings.folder)
        self.node = NodeProcess(self.settings)
        self.sent = 0

    def learn(self, folder: Path, *, epochs: float) -> Learnt:
        """Train on tiny recordings and hand the package over."""
        solution = find(self.name)
        write(solution, folder)
        found = records(solution, folder)
        problem = solution.problems[0]
        assert isinstance(problem, RemainingLife | Classify)
        if isinstance(problem, RemainingLife):
            problem = msgspec.structs.replace(problem, window=20, clip=40.0)
        effort = Effort(cpu_s=1e6, epochs=epochs, batch=32, rate=4e-3, judgements=1)
        learned = course(solution, problem, found, key=self.key, effort=effort, compare=False)
        hand_over(self.settings, learned, promoted=True)
        return Learnt(problem, found, learned)

    def topic(self, stream: Datastream) -> str:
        return f"v1.1/Datastreams({stream.id})/Observations"

    def send(self, *messages: tuple[str, dict[str, Any]]) -> None:
        encoded = [(topic, json.dumps(body).encode()) for topic, body in messages]
        self.sent += publish_mqtt(self.settings.nats.mqtt_port, encoded)

    async def observed(self, name: str, count: int) -> list[dict[str, Any]]:
        """Return the Observations of a Datastream in order, once there are so many."""
        path = f"/v1.1/Datastreams({self.streams[name].id})/Observations?$orderby=phenomenonTime&$top=1000"
        found = await eventually(lambda: self.get(path), lambda seen: len(seen["value"]) >= count)
        return list(found["value"])

    async def alerted(self, count: int) -> list[dict[str, Any]]:
        found: list[dict[str, Any]]
        found = await eventually(lambda: self.get("/alerts"), lambda seen: len(seen) >= count)
        return found

    async def get(self, path: str) -> Any:
        async with httpx.AsyncClient(timeout=20) as client:
            return (await client.get(f"{self.node.url}{path}")).raise_for_status().json()


@contextlib.asynccontextmanager
async def standing(ward: Ward) -> AsyncIterator[Ward]:
    await ward.node.start()
    try:
        yield ward
    finally:
        await ward.node.stop()


def flights(ward: Ward, problem: RemainingLife, thing: str, value: np.ndarray, first: int) -> list[Any]:
    """Return a message for each reading of each flight, one flight after the other."""
    return [
        (
            ward.topic(ward.streams[f"{thing}/{name}"]),
            {"result": float(row[at]), "phenomenonTime": iso(BEGIN + (first + turn) * 5 * HOUR_NS)},
        )
        for turn, row in enumerate(value)
        for at, name in enumerate(channels(problem))
    ]


def lives(runner: Runner, problem: RemainingLife, one: Record) -> list[Any]:
    """Return what a model says at each row of a recording, cut off there as in training."""
    parts = [
        msgspec.structs.replace(one, block=one.block.part(0, end)) for end in range(1, len(one.block) + 1)
    ]
    return [runner.answer(windows(problem, [part], problem.window).x)[0] for part in parts]


def test_an_engine_is_told_how_many_flights_it_has_left(tmp_path: Path) -> None:
    ward = Ward(tmp_path, "machine", ("Engine 7", "Engine 8"))
    learnt = ward.learn(tmp_path / "sets", epochs=6)
    problem = learnt.problem
    assert isinstance(problem, RemainingLife)
    worn = max((one for one in learnt.found if one.part != "test"), key=lambda one: len(one.block))
    value, new = worn.block.value, learnt.test()[0].block.value[:10]
    half = len(value) - 20
    wanted = lives(Runner(learnt.course.package, [ward.key.public]), problem, worn)

    async def scenario() -> None:
        async with standing(ward):
            ward.send(*flights(ward, problem, "Engine 8", new, 0))
            ward.send(*flights(ward, problem, "Engine 7", value[:half], 0))
            await ward.observed("Engine 7/life", half)
        async with standing(ward):  # a node that starts again goes on where it was
            ward.send(*flights(ward, problem, "Engine 7", value[half:], half))
            found = await ward.observed("Engine 7/life", len(value))
            assert len(found) == len(value)
            np.testing.assert_allclose([one["result"] for one in found], [y[2] for y in wanted], atol=2e-3)
            stored = found[-1]["phenomenonTime"]
            assert stored.startswith(iso(BEGIN + (len(value) - 1) * 5 * HOUR_NS)[:16])
            assert len(await ward.observed("Engine 8/life", len(new))) == len(new)
            told = await ward.alerted(2)
            assert {one["rule"] for one in told} == {"machine.due", "machine.worn"}
            worst = next(one for one in told if one["rule"] == "machine.worn")
            low, left, high = wanted[-1][0], wanted[-1][2], wanted[-1][4]
            assert worst["severity"] == "critical"
            assert worst["text"].startswith("Engine 7 has about ")
            assert left < 10
            last = worst["evidence"][-1]
            assert last["low"] <= last["value"] <= last["high"]
            assert low <= left <= high
            assert worst["model"].startswith("machine-life ")

    asyncio.run(scenario())


def packs(ward: Ward, problem: Classify, thing: str, value: np.ndarray, begin_ns: int) -> list[Any]:
    """Return packs of a second, one axis after the other."""
    step = 25
    return [
        (
            ward.topic(ward.streams[f"{thing}/{name}"]),
            {
                "t0": iso(begin_ns + start // step * SECOND_NS),
                "dt": 0.04,
                "v": value[start : start + step, at].tolist(),
            },
        )
        for start in range(0, len(value), step)
        for at, name in enumerate(channels(problem))
    ]


def test_somebody_who_falls_is_told_of(tmp_path: Path) -> None:
    ward = Ward(tmp_path, "health", ("Wearer 3",))
    learnt = ward.learn(tmp_path / "sets", epochs=12)
    problem = learnt.problem
    assert isinstance(problem, Classify)
    daily = next(one for one in learnt.test() if one.truth == "daily")
    fall = next(one for one in learnt.test() if one.truth == "fall")
    runner = Runner(learnt.course.package, [ward.key.public])
    y = [runner.answer(windows(problem, [one], 75).x) for one in (daily, fall)]
    assert [len(one) for one in y] == [1, 1]
    assert [float(one[0, 1]) > 0.5 for one in y] == [False, True]

    async def scenario() -> None:
        async with standing(ward):
            ward.send(*packs(ward, problem, "Wearer 3", daily.block.value, BEGIN))
            share = await ward.observed("Wearer 3/motion=fall", 1)
            assert share[0]["result"] == pytest.approx(float(y[0][0, 1]), abs=1e-3)
            assert await ward.get("/alerts") == []
            ward.send(*packs(ward, problem, "Wearer 3", fall.block.value, BEGIN + 60 * SECOND_NS))
            share = await ward.observed("Wearer 3/motion=fall", 2)
            assert share[1]["result"] == pytest.approx(float(y[1][0, 1]), abs=1e-3)
            words = [one["result"] for one in await ward.observed("Wearer 3/motion", 2)]
            assert words == ["daily", "fall"]
            stream = await ward.get(f"/v1.1/Datastreams({ward.streams['Wearer 3/motion'].id})")
            assert stream["observationType"].endswith("/OM_CategoryObservation")
            (told,) = await ward.alerted(1)
            assert told["text"].startswith("Likely fall of Wearer 3 at ")
            assert (told["severity"], told["rule"]) == ("critical", "health.fall")
            assert told["evidence"][-1]["value"] == pytest.approx(float(y[1][0, 1]), abs=1e-3)
            assert (await ward.node.status())["rejected"] == {}

    asyncio.run(scenario())


def test_the_way_from_recordings_to_the_model_that_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write(find("health"), tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NERVURE_DATA", str(tmp_path))
    monkeypatch.setenv("NERVURE_NATS_MAX_STORE_GB", "1")

    def ask(*words: str, code: int = 0) -> Any:
        found = main([*words, "--json"])
        out, err = capsys.readouterr()
        assert found == code, err
        return json.loads(out)

    assert ask("data", "check", "health")[0]["things"] == 10
    made = ask("train", "health", "--budget", "100000")
    assert (made["promoted"], made["verdict"]["measure"]) == (True, "error")
    assert {one["kind"] for one in made["metrics"]} == {"baseline", "deep"}
    again = ask("train", "health", "--budget", "100000", "--no-compare", code=1)  # the same net is no better
    assert again["verdict"]["why"].endswith(f"the champion {made['version']} is no worse")
    standing = ask("promote", "health")
    assert [(one["version"], one["promoted"]) for one in standing] == [
        (again["version"], False),
        (made["version"], True),
    ]
    card = ask("export", made["file"])["card"]
    assert card["problem"]["classes"] == ["daily", "fall"]
    judged = ask("evaluate", "health", "--model", made["file"])["metrics"]
    deep = [one for one in made["metrics"] if one["kind"] == "deep"]
    assert [one["value"] for one in judged] == [pytest.approx(one["value"], abs=1e-6) for one in deep]
    assert main(["train", "health", "--renew"]) == 2
    assert "--renew means nothing for class-motion" in capsys.readouterr().err
