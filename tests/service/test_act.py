"""A loop on a running node: judged, sent to a real guard over MQTT, approved, taken by hand, all logged."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from operator import not_
from pathlib import Path
from typing import Any

import httpx
import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from nervure.bench.safety.station import Station, made
from nervure.cli import main
from nervure.core.instant import iso
from nervure.core.papers import papers
from tests.acting import PUMP, SPEED
from tests.opened import Opened, opened
from tests.patience import PATIENCE_S, until

pytestmark = pytest.mark.service


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Opened]:
    with opened(tmp_path_factory.mktemp("act")) as node:
        yield node


@pytest.fixture(scope="module")
def api(node: Opened) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=node.root.removesuffix("/v1.1")) as client:
        yield client


def model_task(api: httpx.Client, loop: int, speed: float) -> int:
    body = {"taskingParameters": {"speed": speed}, "properties": {"act": {"model": "mpc", "lease_s": 2}}}
    answer = api.post(f"/v1.1/TaskingCapabilities({loop})/Tasks", json=body)
    assert answer.status_code == 201, answer.text
    return int(answer.json()["@iot.id"])


def status(api: httpx.Client, task: int) -> str:
    return str(api.get(f"/v1.1/Tasks({task})").json()["status"])


def test_a_loop_from_shadow_to_auto_by_hand_and_back(node: Opened, api: httpx.Client) -> None:
    given = made(api, "pump", PUMP | {"promote": {"least": 2, "refused": 0.5}}, SPEED)
    loop = given.capability
    with Station(node.mqtt_port, given, {"speed": 20.0}) as device:
        until(lambda: api.get(f"/api/loops/{loop}").raise_for_status().json()["guard"], equals="here")
        _shadow(api, loop)
        _advisory(api, loop, device)
        _hand(api, loop, device)
        log = api.get(f"/api/loops/{loop}/log?limit=1000").json()
        assert log["broken"] is None
        said = [one["what"] for one in log["lines"]]
        assert {"rejected", "mode", "awaiting approval", "approval", "approved", "dispatched"} <= set(said)
        assert {"acknowledged", "running", "completed", "overridden", "release asked"} <= set(said)
        judged = next(one for one in log["lines"] if one["what"] == "awaiting approval")
        assert {"range of speed", "rate of speed", "mode"} <= {
            one["rule"] for one in judged["detail"]["verdicts"]
        }


def _shadow(api: httpx.Client, loop: int) -> None:
    """In shadow nothing goes out; two good proposals are evidence enough here, and one step up only."""
    first = model_task(api, loop, 30.0)
    until(lambda: status(api, first), equals="rejected")
    refused = api.post(f"/api/loops/{loop}/mode", json={"mode": "advisory"})
    assert refused.status_code == 409
    assert "2 are needed" in refused.text
    until(lambda: status(api, model_task(api, loop, 31.0)), equals="rejected")
    until(lambda: api.get(f"/api/loops/{loop}").json()["judged"], lambda seen: seen >= 2)
    assert api.post(f"/api/loops/{loop}/mode", json={"mode": "auto"}).status_code == 409
    assert api.post(f"/api/loops/{loop}/mode", json={"mode": "advisory"}).json()["mode"] == "advisory"


def _advisory(api: httpx.Client, loop: int, device: Station) -> None:
    """A person says yes, the guard puts it into force for its lease, and goes back to its plan."""
    task = model_task(api, loop, 40.0)
    until(lambda: [one["id"] for one in api.get("/api/tasks").json()], equals=[task])
    assert api.post(f"/api/tasks/{task}/approve", json={}).status_code == 200
    until(lambda: device.values["speed"], equals=40.0)
    until(lambda: device.values["speed"], equals=20.0)
    until(lambda: status(api, task), equals="completed")
    states = [one["status"] for one in api.get(f"/v1.1/Tasks({task})").json()["runLog"]]
    assert states == [
        "requested",
        "checked",
        "awaiting approval",
        "approved",
        "dispatched",
        "acknowledged",
        "running",
        "completed",
    ]


def _hand(api: httpx.Client, loop: int, device: Station) -> None:
    """A person's hand wins over a model in auto, keeps to the range, and is given back."""
    forced = {"mode": "auto", "because": "a test of the whole way"}
    assert api.post(f"/api/loops/{loop}/mode", json=forced).json()["mode"] == "auto"
    outside = api.post(f"/api/loops/{loop}/hand", json={"values": {"speed": 130.0}}).json()
    until(lambda: status(api, outside["id"]), equals="rejected")
    api.post(f"/api/loops/{loop}/hand", json={"values": {"speed": 10.0}})
    until(lambda: device.values["speed"], equals=10.0)
    until(lambda: api.get(f"/api/loops/{loop}").json()["slots"])
    task = model_task(api, loop, 50.0)
    until(lambda: status(api, task), equals="overridden")
    assert device.values["speed"] == 10.0
    assert api.post(f"/api/loops/{loop}/auto", json={}).status_code == 200
    until(lambda: device.values["speed"], equals=20.0)
    until(lambda: api.get(f"/api/loops/{loop}").json()["slots"], not_)
    task = model_task(api, loop, 50.0)
    until(lambda: device.values["speed"], equals=50.0)


def test_who_takes_a_loop_at_the_command_line_hears_what_became_of_it(
    node: Opened, api: httpx.Client, capsys: pytest.CaptureFixture[str]
) -> None:
    """It said ``requested``, and that it went well, of what the judge refused a moment later."""
    given = made(api, "hand pump", PUMP, SPEED)
    words = ["act", "hand", str(given.capability)]
    where = ["--set", f"http.port={node.http.rpartition(':')[2]}"]
    with Station(node.mqtt_port, given, {"speed": 20.0}):
        until(lambda: api.get(f"/api/loops/{given.capability}").json()["guard"], equals="here")
        assert main([*words, "speed=130", *where]) == 1
        assert ": rejected, range of speed" in capsys.readouterr().out
        assert main([*words, "speed=10", *where, "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["status"] == "running"


def test_a_trip_is_heard_by_mqtt_and_cleared_by_a_person(node: Opened, api: httpx.Client) -> None:
    """The whole way: the pump moves nothing, its guard trips, an alert goes out, somebody resets."""
    effect = {"kind": "effect", "of": "speed", "input": "flow", "least": 1.0, "within": "300ms"}
    given = made(api, "still pump", PUMP | {"interlocks": [effect]}, SPEED)
    loop, heard = given.capability, list[dict[str, Any]]()
    ear = mqtt.Client(CallbackAPIVersion.VERSION2, client_id="ear")
    ear.on_message = lambda _client, _data, message: heard.append(json.loads(message.payload))
    ear.on_connect = lambda client, *_: client.subscribe(f"nervure/alerts/{given.thing}", 1)
    ear.connect("127.0.0.1", node.mqtt_port)
    ear.loop_start()
    with Station(node.mqtt_port, given, {"speed": 20.0}) as device:
        device.device.sense({"flow": 5.0})
        until(lambda: api.get(f"/api/loops/{loop}").json()["guard"], equals="here")
        forced = {"mode": "auto", "because": "a test of a trip"}
        assert api.post(f"/api/loops/{loop}/mode", json=forced).json()["mode"] == "auto"
        model_task(api, loop, 50.0)
        until(lambda: device.guard.known.trips)
        until(lambda: list(heard), lambda seen: any(one["rule"] == "trip" for one in seen))
        # a message may come twice
        (said,) = {one["id"]: one for one in heard if one["rule"] == "trip"}.values()
        assert said["text"].startswith("still pump has tripped: effect of speed")
        assert api.get(f"/api/loops/{loop}").json()["mode"] == "advisory"
        assert said["id"] in {one["id"] for one in api.get("/alerts?solution=act").json()}
        assert api.post(f"/api/loops/{loop}/reset", json={"why": "the belt"}).status_code == 200
        until(lambda: device.guard.known.trips, not_)
        until(lambda: list(heard), lambda seen: not all(one["active"] for one in seen))
    ear.disconnect()
    ear.loop_stop()


def test_the_file_of_a_guard_is_private_and_can_be_renewed(
    node: Opened, api: httpx.Client, tmp_path: Path
) -> None:
    given, out = made(api, "filed pump", PUMP, SPEED), tmp_path / "guard.json"
    here = ["--set", f"http.port={node.http.rpartition(':')[2]}"]
    words = ["act", "guard", str(given.capability), "--out", str(out), *here]
    assert main(words) == 0
    assert papers(out.read_bytes()) == given
    assert out.stat().st_mode & 0o777 == 0o600
    assert main([*words, "--renew"]) == 0
    assert papers(out.read_bytes()).key != given.key
    with Station(node.mqtt_port, given, {"speed": 20.0}):
        mine = f"/api/loops/{given.capability}"
        until(lambda: api.get(mine).json()["unfit"], lambda seen: "another key" in seen)
    said = [one["what"] for one in api.get(f"/api/loops/{given.capability}/log").json()["lines"]]
    assert said[:3] == ["guard's key renewed", "guard's file given out", "guard's file given out"]


def test_a_guard_of_an_older_release_gets_no_orders_and_is_told_of(node: Opened, api: httpx.Client) -> None:
    given = made(api, "old pump", PUMP, SPEED)
    loop = given.capability
    with Station(node.mqtt_port, given, {"speed": 20.0}) as device:
        device.guard._key = b""  # as one that was there before orders carried a digest
        until(lambda: api.get(f"/api/loops/{loop}").json()["unfit"], lambda seen: "no key" in seen)
        forced = {"mode": "auto", "because": "a test"}
        api.post(f"/api/loops/{loop}/mode", json=forced).raise_for_status()
        task = model_task(api, loop, 50.0)
        until(lambda: status(api, task), equals="rejected")
        log = api.get(f"/v1.1/Tasks({task})").json()["runLog"]
        assert f"nervure act guard {loop} --out FILE" in log[-1]["detail"]
        device.guard._key = given.secret
        until(lambda: api.get(f"/api/loops/{loop}").json()["unfit"], not_)
        until(lambda: model_task(api, loop, 50.0) and device.values["speed"] == 50.0)


def test_loops_are_counted_and_slots_of_a_device_without_a_guard_are_shown(
    node: Opened, api: httpx.Client
) -> None:
    # the guards of the tests before are missed one after the other
    until(lambda: "here" in {one["guard"] for one in api.get("/api/loops").json()}, not_)
    before = api.get("/api/loops/modes").json()
    plain = {"guarded": False, "interlocks": PUMP["interlocks"][:1]}
    given = made(api, "plain pump", PUMP | plain, SPEED)
    made(api, "valve", PUMP, SPEED)
    client = mqtt.Client(CallbackAPIVersion.VERSION2)
    client.connect("127.0.0.1", node.mqtt_port)
    client.subscribe(f"nervure/tasks/{given.thing}", 1)
    client.loop_start()
    loop = f"/api/loops/{given.capability}"
    task = api.post(f"{loop}/hand", json={"values": {"speed": 10}, "minutes": 5}).json()["id"]
    (slot,) = until(lambda: api.get(loop).json()["slots"])
    client.disconnect()
    client.loop_stop()
    assert (slot["slot"], slot["values"], slot["task"]) == (8, {"speed": 10}, str(task))
    assert 200 < slot["left_s"] <= 300
    assert api.get(f"/api/tasks/{task}").json()["status"] == "dispatched"
    assert api.get("/api/tasks/9999").status_code == 404
    view = api.get(loop).json()
    assert (view["guard"], view["lease"], view["promote"]) == ("none", "3s", {"least": 100, "refused": 0.02})
    said = {one["rule"]: one["outcome"] for one in view["verdicts"]}
    assert said["range of speed"] == "pass"  # what was said of the newest command, though the log has grown
    after = api.get("/api/loops/modes").json()
    assert after["modes"]["shadow"] == before["modes"]["shadow"] + 2
    assert after["away"] == before["away"] + 1


def test_a_command_on_old_readings_is_refused(node: Opened, api: httpx.Client) -> None:
    """What a Task says of when its readings are goes to the guard, by whose clock they have an age."""
    given = made(api, "late pump", PUMP | {"seen": "30s"}, SPEED)
    loop = given.capability
    with Station(node.mqtt_port, given, {"speed": 20.0}, skew_ns=300 * 10**9) as device:
        until(lambda: api.get(f"/api/loops/{loop}").raise_for_status().json()["guard"], equals="here")
        forced = {"mode": "auto", "because": "a test of lateness"}
        api.post(f"/api/loops/{loop}/mode", json=forced).raise_for_status()

        def asked(seen_s: float | None) -> tuple[str, str]:
            act: dict[str, Any] = {"model": "mpc", "lease_s": 3}
            if seen_s is not None:
                act["seen"] = iso(time.time_ns() - round(seen_s * 1e9))
            body = {"taskingParameters": {"speed": 40.0}, "properties": {"act": act}}
            made = api.post(f"/v1.1/TaskingCapabilities({loop})/Tasks", json=body).raise_for_status().json()
            task = int(made["@iot.id"])
            until(lambda: status(api, task), {"rejected", "running", "completed"}.__contains__)
            found = api.get(f"/v1.1/Tasks({task})").json()
            return found["status"], found["runLog"][-1].get("detail", "")

        assert asked(None) == ("rejected", "seen: it does not say of when the readings are that it rests on")
        state, why = asked(60.0)
        assert state == "rejected"
        assert why.startswith("seen: it rests on readings 60")
        assert asked(0.0)[0] in ("running", "completed")
        assert device.trace[-1][1] in ({"speed": 40.0}, {"speed": 20.0})
        assert any(values == {"speed": 40.0} for _, values, _ in device.trace)


def test_one_task_that_nobody_can_reckon_with_does_not_stop_all_others(
    node: Opened, api: httpx.Client
) -> None:
    """A number of 400 digits, or a lease of 1e308 s, ended the node, and again whenever it was started."""
    given = made(api, "huge pump", PUMP, SPEED)
    tasks = f"v1.1/TaskingCapabilities({given.capability})/Tasks"
    client = mqtt.Client(CallbackAPIVersion.VERSION2)
    client.connect("127.0.0.1", node.mqtt_port)
    client.loop_start()
    huge = b'{"taskingParameters": {"speed": 1%s}}' % (b"0" * 400)
    client.publish(tasks, huge, 1).wait_for_publish(PATIENCE_S)
    endless = {
        "taskingParameters": {"speed": 30.0},
        "properties": {"act": {"model": "mpc", "lease_s": 1e308}},
    }
    client.publish(tasks, json.dumps(endless).encode(), 1).wait_for_publish(PATIENCE_S)
    client.disconnect()
    client.loop_stop()
    until(lambda: "rejected" in [one["status"] for one in api.get(f"/{tasks}").json()["value"]])
    with Station(node.mqtt_port, given, {"speed": 20.0}) as device:
        until(lambda: api.get(f"/api/loops/{given.capability}").json()["guard"] == "here")
        api.post(f"/api/loops/{given.capability}/hand", json={"values": {"speed": 10.0}}).raise_for_status()
        until(lambda: device.values["speed"] == 10.0)
