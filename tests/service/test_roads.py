"""The twin of roads in processes of its own: alone, in the field of a real node, and under evaluation."""

import asyncio
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from nervure.bench.signal.document import read
from nervure.cli import main
from nervure.core.settings import Access, Settings
from nervure.node.compose import Node
from nervure.trust.office import MACHINE
from nervure.trust.right import Right
from tests.patience import until

pytestmark = pytest.mark.service

ALONE = """
import json, sys
from nervure.act.controller.pressure import MaxPressure
from nervure.bench.signal.street import drive
from nervure.twin.api import TwinError
from nervure.twin.roads import Roads

twin, told = Roads("crossing"), {}
about = twin.describe()
try:
    Roads("crossing")
except TwinError as cause:
    told["second"] = cause.what
lights = lambda: twin._sumo.shown("mid")
twin.reset(seed=3)
own = [lights() for _ in range(12) if twin.step()]
told["own"] = len(set(own))
green = twin._posts[0].states
twin.apply({"mid/phase": 0.0}); twin.step(); before = lights()
twin.apply({"mid/phase": 1.0})
told["clearing"] = lights(); told["before"] = before
seconds = []
for _ in range(4):
    twin._clear(); twin._sumo.second(); seconds.append(lights())
told["yellow"] = [one == told["clearing"] for one in seconds]; told["after"] = seconds[-1] == green[1]
for value in (2.0, 0.5, float("nan")):
    try:
        twin.apply({"mid/phase": value})
    except TwinError as cause:
        told[str(value)] = str(cause)
twin.reset(seed=3)
for step in range(20):
    twin.apply({"mid/phase": float(step % 2)}); twin.step()
twin.release(); state = twin.snapshot()
first = [twin.step() for _ in range(10)]; kpis = twin.kpis()
twin.restore(state)
told["exact"] = str([twin.step() for _ in range(10)]) == str(first) and twin.kpis() == kpis
twin.reset(seed=7, scenario={"demand": 0.8})
names = [one.name for one in about.sensors if one.signal == "arrivals"]
steps = [twin.step() for _ in range(90)]
told["fit"] = dict(twin.calibrate({one: tuple(step[one] for step in steps) for one in names}))
fixed = drive(twin, None, seed=5, scenario={"demand": 1.0}, steps=120)[0]
rule = drive(twin, MaxPressure, seed=5, scenario={"demand": 1.0}, steps=120)[0]
told["fixed"], told["rule"] = fixed["delay"], rule["delay"]
told["pyarrow"] = "pyarrow" in sys.modules
told["place"] = about.sensors[0].place
twin.close()
print(json.dumps(told))
"""


def alone(script: str, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=120, check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1", **more},
    )  # fmt: skip


def test_a_twin_of_roads_is_what_it_says() -> None:
    done = alone(ALONE)
    assert done.returncode == 0, done.stderr
    told: dict[str, Any] = json.loads(done.stdout)
    assert "already" in told["second"]
    assert told["own"] >= 2  # its own plan goes on by itself
    assert {one for one in told["clearing"] if one in "Gg"} == set()  # whoever loses the way is yellow first
    assert all(new == "y" for old, new in zip(told["before"], told["clearing"], strict=True) if old in "Gg")
    assert told["yellow"] == [True, True, True, False]
    assert told["after"]
    assert "0 to 1" in told["2.0"]
    assert "whole" in told["0.5"]
    assert "nan" in told["nan"]
    assert told["exact"]
    assert told["fit"]["demand"] == pytest.approx(
        0.8, rel=0.2
    )  # ten minutes of other drivers than were counted
    assert told["fit"]["held_out_error"] < 0.7 * told["fit"]["uncalibrated_held_out_error"]
    assert told["rule"] < 0.7 * told["fixed"]
    assert not told["pyarrow"]
    assert told["place"] == pytest.approx([11.3426, 44.4949], abs=1e-3)


OTHERS = """
import json
from nervure.twin.drivers import OtherDrivers
twin, told = OtherDrivers("crossing"), {}
twin.reset(seed=3)
for _ in range(20):
    twin.step()
state = twin.snapshot()
def on(seed):
    twin.restore(state)
    if seed:
        twin.reseed(seed)
    return str([twin.step() for _ in range(20)])
ways = [on(seed) for seed in (0, 1, 2, 1, 0)]
told["ways"], told["again"] = len(set(ways)), [ways[0] == ways[4], ways[1] == ways[3]]
twin.reseed(1)
try:
    twin.snapshot()
except Exception as cause:
    told["state"] = cause.what
print(json.dumps(told))
"""


def test_from_a_state_other_drivers_drive_by_seed() -> None:
    done = alone(OTHERS)
    assert done.returncode == 0, done.stderr
    told: dict[str, Any] = json.loads(done.stdout)
    assert (told["ways"], told["again"]) == (3, [True, True])
    assert "no state to come back to" in told["state"]


FIT = """
import json
from nervure.twin.roads import Roads
twin = Roads("crossing")
twin.reset(seed=5, scenario={"demand": 1.0, "demand/north_in": 1.2, "demand/west_in": 0.6, "headway": 1.4})
steps = [twin.step() for _ in range(150)]
names = [one for one in steps[0] if one.endswith(("/arrivals", "/queue"))]
found = dict(twin.calibrate({one: tuple(step[one] for step in steps) for one in names}))
told = {"found": found, "now": twin._story.scenario}
for odd in ({"demand/nowhere": 2.0}, {"demand/north_in": -1.0}, {"headway": 9.0}):
    try:
        twin.reset(scenario=odd)
    except Exception as cause:
        told[str(odd)] = cause.what
try:
    twin.calibrate({names[0]: (1.0,) * 9, names[1]: (1.0,) * 8})
except Exception as cause:
    told["uneven"] = cause.what
twin.close()
print(json.dumps(told))
"""


def test_a_crossing_is_calibrated_on_another_approach_by_approach() -> None:
    done = alone(FIT)
    assert done.returncode == 0, done.stderr
    told: dict[str, Any] = json.loads(done.stdout)
    found = told["found"]
    cars = {one: found["demand"] * found[f"demand/{one}_in"] for one in ("north", "west", "south", "east")}
    assert cars["north"] == pytest.approx(1.2, rel=0.25)  # 17 minutes of cars that came by chance
    assert cars["west"] == pytest.approx(0.6, rel=0.25)
    assert found["held_out_loop_error"] < found["uncalibrated_held_out_loop_error"]
    assert 0.7 <= found["headway"] <= 1.6  # an hour tells it; this is too short
    assert told["now"]["demand/north_in"] == found["demand/north_in"]  # it goes on with what was found
    assert "no trip begins" in told["{'demand/nowhere': 2.0}"]
    assert "cannot be -1" in told["{'demand/north_in': -1.0}"]
    assert "no such scenario" in told["{'headway': 9.0}"]
    assert "9 and 8" in told["uneven"] or "8 and 9" in told["uneven"]


def test_a_process_with_pyarrow_gets_no_twin_of_roads() -> None:
    done = alone("import pyarrow\nfrom nervure.twin.roads import Roads\nRoads('crossing')")
    assert done.returncode != 0
    assert "libsumo and pyarrow cannot live in one process" in done.stderr


def test_a_net_that_is_not_there_is_told(tmp_path: Path) -> None:
    bad = tmp_path / "bad.sumocfg"
    bad.write_text("<configuration><input/></configuration>")
    done = alone(
        "import sys\nfrom nervure.twin.scene import find_scene\n"
        "for one in sys.argv[1:] or ('nowhere', 'resco/paris', 'resco/cologne1', sys.stdin.read() or 'x'):\n"
        "    try:\n        find_scene(one)\n    except Exception as cause:\n        print(cause.what)\n"
        f"try:\n    find_scene({str(bad)!r})\nexcept Exception as cause:\n    print(cause.what)\n",
        SUMO_RL_HOME=str(tmp_path),
    )
    lines = done.stdout.splitlines()
    assert lines[0] == "there is no net 'nowhere'"
    assert lines[1] == "RESCO has no scenario 'paris'"
    assert "cannot be read" in lines[2]
    assert "names no net-file" in lines[-1]


def start(
    settings: Settings, token: str, *words: str, form: tuple[str, ...] = ("--json",)
) -> subprocess.Popen[str]:  # fmt: skip
    changes = {
        "data": settings.data, "http.port": settings.http.port, "nats.port": settings.nats.port,
        "nats.mqtt_port": settings.nats.mqtt_port, "access.open": str(settings.access.open).lower(),
    }  # fmt: skip
    more = [word for name, value in changes.items() for word in ("--set", f"{name}={value}")]
    return subprocess.Popen(
        [sys.executable, "-m", "nervure.cli", *words, *form, *more],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, **({"NERVURE_TOKEN": token} if token else {}), "OMP_NUM_THREADS": "1"},
    )  # fmt: skip


def test_a_twin_is_a_field_device_of_a_real_node(settings: Settings) -> None:
    closed = msgspec.structs.replace(settings, access=Access(requests_s=1e6, burst=10**6))

    async def story() -> None:
        node = Node(closed)
        await node.start()
        running = asyncio.create_task(node.run())
        try:
            assert node.entry.door is not None
            async with asyncio.timeout(60):
                await node.entry.door.listening.wait()
            await asyncio.to_thread(ride, node, closed)
        finally:
            node.stop()
            await running

    asyncio.run(story())


def ride(node: Node, closed: Settings) -> None:
    office = node.entry.office
    granted: tuple[Right, ...] = ("act", "configure-interlock")
    office.add_user(MACHINE, "ada", "admin", password="correct horse battery staple", granted=granted)
    _, token = office.add_token(MACHINE, "twin", None, 1.0, "ada")
    words = ("--seed", "1", "--net", "crossing", "--fault", "drop:0.2,of=*/*_*/*")
    made = start(closed, token, "twin", "run", "roads", *words, "--enrol", form=())
    said, wrong = made.communicate(timeout=60)
    assert ("the node knows the twin roads now" in said, wrong) == (True, "")
    url, head = f"http://127.0.0.1:{closed.http.port}", {"authorization": f"Bearer {token}"}
    with httpx.Client(base_url=url, headers=head, trust_env=False, timeout=20) as client:
        key = first(client, "TaskingCapabilities")
        forced = {"mode": "auto", "because": "a test"}
        assert client.post(f"/api/loops/{key}/mode", json=forced).status_code == 200
        controller = start(closed, token, "act", "run", "max-pressure")
        twin = start(closed, token, "twin", "run", "roads", *words, "--speed", "30", "--back", "12")
        try:
            commanded(client, int(key or 0), twin)
            leave(client, int(key or 0), controller, twin)
            before = states(client)["superseded"]
            controller.communicate()
            controller = start(closed, token, "act", "run", "max-pressure")
            twin = start(closed, token, "twin", "run", "roads", *words, "--speed", "10", "--back", "12")
            again(client, before, twin)
        finally:
            for one in (twin, controller):
                one.kill()
                one.communicate()


def again(client: httpx.Client, before: int, twin: subprocess.Popen[str]) -> None:
    """Begun once more at an hour that is stored already, it is commanded as the first time."""
    until(lambda: states(client), lambda seen: seen["superseded"] >= before + 2, seconds=120, running=twin)
    said = client.get("/v1.1/Tasks?$select=runLog&$top=1000").text
    late = [float(one) for one in re.findall(r"rests on readings (\S+) s old", said)]
    assert max(late, default=0.0) < 60  # of the run before they were minutes old


def commanded(client: httpx.Client, key: int, twin: subprocess.Popen[str]) -> None:
    """The controller decides, a wrong command is refused, all of it is in the log."""
    until(lambda: states(client), lambda seen: seen.get("superseded", 0) >= 5, seconds=120, running=twin)
    wrong = task(client, key, {"phase": 0.5})
    refused = until(lambda: client.get(wrong).json(), ended, seconds=120, running=twin)
    assert refused["status"] == "rejected"
    assert "sequence" in refused["runLog"][-1]["detail"]
    log = client.get(f"/api/loops/{key}/log?limit=1000").json()
    assert log["broken"] is None
    checked = next(one for one in log["lines"] if one["what"] == "checked")
    assert checked["detail"]["model"] == "max-pressure"
    assert len(checked["detail"]["inputs"]) == 32
    assert checked["detail"]["asked"] == "ada"


def leave(
    client: httpx.Client, key: int, controller: subprocess.Popen[str], twin: subprocess.Popen[str]
) -> None:
    """Without its controller the crossing is on its own plan again, and every reading is stored once."""
    controller.kill()  # it has no time to say goodbye
    until(lambda: client.get(f"/api/loops/{key}").json()["holder"], equals="plan", seconds=120, running=twin)
    twin.terminate()
    out, err = twin.communicate(timeout=60)
    assert twin.returncode == 0, err
    counts = json.loads(out)
    assert counts["tasks"] > 5
    assert counts["released"] >= 1  # its last command's lease is over
    assert counts["silent"] > 0.1 * counts["readings"]
    assert counts["kpis"]["collisions"] == 0
    assert until(lambda: stored(client), lambda seen: seen >= counts["readings"]) == counts["readings"]
    junction = client.get(f"/v1.1/TaskingCapabilities({key})").json()["properties"]["junction"]
    assert len(junction["lanes"]) == 8
    assert [one["name"] for one in client.get("/api/devices").json()] == ["roads-mid"]


def states(client: httpx.Client) -> dict[str, int]:
    found = [one["status"] for one in client.get("/v1.1/Tasks?$select=status&$top=1000").json()["value"]]
    return {one: found.count(one) for one in found}


def first(client: httpx.Client, kind: str) -> int | None:
    found = client.get(f"/v1.1/{kind}").json()["value"]
    return int(found[0]["@iot.id"]) if found else None


def task(client: httpx.Client, key: int, given: dict[str, float]) -> str:
    answer = client.post(f"/v1.1/TaskingCapabilities({key})/Tasks", json={"taskingParameters": given})
    assert answer.status_code == 201, answer.text
    return str(answer.headers["location"])


def ended(task: dict[str, Any]) -> bool:
    return task["status"] not in ("requested", "checked", "dispatched", "acknowledged")


def stored(client: httpx.Client) -> int:
    return int(client.get("/v1.1/Observations?$count=true&$top=0").json()["@iot.count"])


def test_signals_are_evaluated_whole_and_not_twice(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["evaluate", "signals", "--quick", "--work", str(tmp_path / "work"), "--out", str(tmp_path)]
    assert main(words) == 0
    found = read(tmp_path / "signals.json")
    told = {one.controller for one in found.rows}
    assert told == {"fixed", "actuated", "Webster", "greedy queue", "max-pressure", "double DQN", "PPO"}
    rule, plan = found.row("crossing", "max-pressure"), found.row("crossing", "fixed")
    assert rule is not None
    assert plan is not None
    assert rule.mean["delay"] < plan.mean["delay"]
    assert all(one.gridlocked == 0 for one in found.robust)
    assert {one.promoted for one in found.promotions} == {False}  # two pairs prove nothing
    assert "## A policy that starves somebody" in (tmp_path / "signals.md").read_text()
    files = {one: one.stat().st_mtime_ns for one in (tmp_path / "work" / "signals").glob("*.json")}
    capsys.readouterr()
    assert main([*words, "--json"]) == 0
    assert {one: one.stat().st_mtime_ns for one in files} == files
    assert json.loads(capsys.readouterr().out)["rows"]


def test_what_if_tells_what_a_measure_changes(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file = tmp_path / "hold.toml"
    file.write_text('net = "crossing"\nminutes = 5.0\n[do.commands]\n"mid/phase" = 0.0\n')
    assert main(["twin", "whatif", str(file), "--seeds", "3", "--json"]) == 0
    changes = {one["kpi"]: one for one in json.loads(capsys.readouterr().out)["changes"]}
    assert changes["delay"]["do"] > changes["delay"]["base"]
    assert changes["longest_red"]["do"] >= 200
    assert changes["delay"]["difference"]["pairs"] == 3
    assert main(["twin", "whatif", "sunshine"]) == 2
