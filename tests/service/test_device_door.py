"""Devices sign in by MQTT, and publish and hear what is theirs: real server, real client."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from operator import not_
from pathlib import Path
from typing import Any

import msgspec
import pytest

from nervure.core.settings import Limits, Settings
from nervure.node import door
from nervure.stream.api import log_in
from nervure.stream.subject import reading_subject, reading_topic
from nervure.trust.office import MACHINE
from nervure.trust.right import RIGHTS
from tests.door import Caller, Place, guarded
from tests.flood import Flood
from tests.patience import PATIENCE_S, eventually
from tests.support import collect, kill

pytestmark = pytest.mark.service


def story(settings: Settings, folder: Path, told: Callable[[Place], Awaitable[None]]) -> None:
    async def run() -> None:
        async with guarded(settings, folder) as place:
            await told(place)

    asyncio.run(run())


async def apart(work: Callable[..., Any], *given: Any, **named: Any) -> Any:
    return await asyncio.to_thread(work, *given, **named)


def test_a_device_publishes_its_own_readings_and_hears_its_own_tasks(
    settings: Settings, tmp_path: Path
) -> None:
    async def told(place: Place) -> None:
        thing, (first, second) = place.thing("pump", 2)
        device = place.office.add_device(MACHINE, "Pump-1", thing)
        caller = Caller(settings.nats.mqtt_port, "pump-1", device.token)
        assert await apart(caller.knock) == 0
        for qos, stream in ((0, first), (1, second), (2, first)):
            await apart(caller.publish, reading_topic(stream), b'{"result": 1}', qos=qos)
            await collect(place.log, 0, 1)
        found = await collect(place.log, 0, 3)
        assert sorted(found.subject) == sorted(
            [reading_subject(first), reading_subject(first), reading_subject(second)]
        )
        assert await apart(caller.subscribe, f"nervure/tasks/{thing}") == 1
        await place.log.send(f"nervure.tasks.{thing}", b"open")
        await eventually(lambda: caller.heard)
        assert caller.heard == [(f"nervure/tasks/{thing}", b"open")]
        caller.leave()
        assert place.door.refused == 0

    story(settings, tmp_path, told)


@pytest.mark.parametrize("qos", [0, 1])
def test_nothing_else_is_heard(settings: Settings, tmp_path: Path, qos: int) -> None:
    async def told(place: Place) -> None:
        thing, (mine,) = place.thing("mine")
        other, (theirs,) = place.thing("theirs")
        device = place.office.add_device(MACHINE, "one", thing)
        caller = Caller(settings.nats.mqtt_port, "one", device.token)
        assert await apart(caller.knock) == 0
        foreign = [
            *("#", "+/#", "v1.1/#", "v1.1/Observations", f"v1.1/Datastreams({theirs})/Observations"),
            *(
                f"nervure/tasks/{other}",
                "nervure/tasks/+",
                "nervure/tasks/#",
                "nervure/#",
                "nervure/alerts/#",
            ),
            *("$MQTT/#", "$MQTT/sub/#", "$MQTT/msgs/#", "$SYS/#", "$SYS/REQ/USER/AUTH", "$JS/#", "_INBOX/#"),
            *("nv/#", f"nv/dev/v1.1/Datastreams({mine})/Observations", reading_topic(mine)),
        ]
        for topic in foreign:
            assert await apart(caller.subscribe, topic, qos) == 0x80, topic
        assert await apart(caller.subscribe, f"nervure/tasks/{thing}/#", qos) == qos
        await eventually(lambda: place.audit("security.subscribe"))
        assert place.audit("security.subscribe")[0]["who"] == "one"
        caller.leave()

    story(settings, tmp_path, told)


def test_a_foreign_publish_is_dropped_and_becomes_a_security_event(
    settings: Settings, tmp_path: Path
) -> None:
    async def told(place: Place) -> None:
        thing, (mine,) = place.thing("mine")
        other, (theirs,) = place.thing("theirs")
        device = place.office.add_device(MACHINE, "one", thing)
        caller = Caller(settings.nats.mqtt_port, "one", device.token)
        assert await apart(caller.knock) == 0
        foreign = [
            *(reading_topic(theirs), "v1.1/Observations", "v1.1/Tasks", "v1.1/TaskingCapabilities(1)/Tasks"),
            *(f"nervure/tasks/{thing}", f"nervure/tasks/{other}/1/status", f"nervure/alerts/{thing}"),
            *("$JS/API/STREAM/PURGE/$MQTT_msgs", "$MQTT/msgs/v1.1/Observations", "$SYS/REQ/SERVER/PING"),
            *("nv/log/v1.1/Observations", f"nv/out/v1.1/Datastreams({theirs})/Observations", "other"),
            f"MultiDatastreams({mine})/Observations",
        ]
        for topic in foreign:
            for retain in (False, True):
                for qos in (0, 1):
                    await apart(caller.publish, topic, b"foreign", qos=qos, retain=retain)
        await apart(caller.publish, reading_topic(mine), b"mine")
        found = await collect(place.log, 0, 1)
        assert (found.payload, found.subject) == ([b"mine"], [reading_subject(mine)])
        assert await place.log.first_last() == (1, 1)
        await eventually(lambda: len(place.audit("security.publish")), lambda seen: seen >= len(foreign))
        event = next(one for one in place.audit("security.publish") if str(theirs) in one["about"])
        assert event["who"] == "one"
        assert sum(one["times"] for one in place.audit("security.publish")) == 4 * len(foreign)
        caller.leave()

    story(settings, tmp_path, told)


def test_a_foreign_will_is_never_said(settings: Settings, tmp_path: Path) -> None:
    async def told(place: Place) -> None:
        thing, (mine,) = place.thing("mine")
        _, (theirs,) = place.thing("theirs")
        device = place.office.add_device(MACHINE, "one", thing)
        for topic in (reading_topic(theirs), reading_topic(mine)):
            caller = Caller(settings.nats.mqtt_port, "one", device.token, will=(topic, b"gone"))
            assert await apart(caller.knock) == 0
            sock = caller.mqtt.socket()
            assert sock is not None
            caller.mqtt.loop_stop()
            sock.close()
        found = await collect(place.log, 0, 1)
        assert found.subject == [reading_subject(mine)]
        assert await place.log.first_last() == (1, 1)

    story(settings, tmp_path, told)


def test_nobody_comes_in_without_what_is_theirs(settings: Settings, tmp_path: Path) -> None:
    async def told(place: Place) -> None:
        thing, _ = place.thing("mine")
        one = place.office.add_device(MACHINE, "one", thing)
        two = place.office.add_device(MACHINE, "two", thing)
        short = place.office.add_device(MACHINE, "short", thing, days=0.6 / 86_400)
        gone = place.office.add_device(MACHINE, "gone", thing)
        place.office.revoke_device(MACHINE, "gone")
        await asyncio.sleep(0.7)
        wrong = [
            *((None, None), ("one", None), ("one", ""), ("one", "x"), ("one", two.token), ("", one.token)),
            *(("ONE ", one.token[:-1]), ("short", short.token), ("gone", gone.token), ("nobody", "x")),
            *(("nervure", "x"), ("nervure-system", "x"), ("nervure-probe", "x"), ("device", "")),
        ]
        for name, secret in wrong:
            caller = Caller(settings.nats.mqtt_port, name, secret)
            assert await apart(caller.knock) not in {0, None}, (name, secret)
            caller.leave()
        await eventually(lambda: place.audit("security.sign-in"))
        assert all(one.token not in str(entry) for entry in place.catalogue.audits(1000))

    story(settings, tmp_path, told)


def test_who_is_revoked_or_rotated_is_sent_out_at_once(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(door, "_LOOK_S", 3600.0)  # nobody looks by and by: it is the change that does it
    monkeypatch.setattr(door, "COUNT_S", 3600.0)

    async def told(place: Place) -> None:
        thing, _ = place.thing("mine")
        port = settings.nats.mqtt_port
        for name in ("one", "two"):
            device = place.office.add_device(MACHINE, name, thing)
            caller = Caller(port, name, device.token)
            assert await apart(caller.knock) == 0
            if name == "one":
                place.office.revoke_device(MACHINE, name)
            else:
                fresh = place.office.rotate_device(MACHINE, name)
            await eventually(caller.closed.is_set)
            caller.leave()
            again = Caller(port, name, device.token)
            assert await apart(again.knock) not in {0, None}
            again.leave()
        caller = Caller(port, "two", fresh.token)
        assert await apart(caller.knock) == 0
        caller.leave()

    story(settings, tmp_path, told)


def test_what_a_device_may_do_follows_its_thing(settings: Settings, tmp_path: Path) -> None:
    async def told(place: Place) -> None:
        thing, (_,) = place.thing("mine")
        device = place.office.add_device(MACHINE, "one", thing)
        caller = Caller(settings.nats.mqtt_port, "one", device.token)
        assert await apart(caller.knock) == 0
        _, (_, second) = place.thing("mine", 2)
        await eventually(caller.closed.is_set)  # it comes back with the rights it has now
        await eventually(caller.mqtt.is_connected)
        await apart(caller.publish, reading_topic(second), b"1")
        assert (await collect(place.log, 0, 1)).subject == [reading_subject(second)]
        caller.leave()

    story(settings, tmp_path, told)


def test_one_device_at_two_addresses_raises_an_alert_until_one_is_gone(
    settings: Settings, tmp_path: Path
) -> None:
    async def told(place: Place) -> None:
        thing, _ = place.thing("mine")
        device = place.office.add_device(MACHINE, "one", thing)
        here = Caller(settings.nats.mqtt_port, "one", device.token, bind="127.0.0.1")
        there = Caller(settings.nats.mqtt_port, "one", device.token, bind="127.0.0.2")
        assert await apart(here.knock) == 0
        assert await apart(there.knock) == 0
        await eventually(lambda: place.catalogue.alerts(active=True, solution="security"))
        (alert,) = place.catalogue.alerts(active=True, solution="security")
        assert (alert.thing, alert.rule) == (thing, "two-places")
        assert "127.0.0.1 and 127.0.0.2" in alert.text
        assert place.catalogue.outbox()
        there.leave()
        await eventually(lambda: place.catalogue.alerts(active=True, solution="security"), not_)
        here.leave()

    story(settings, tmp_path, told)


def test_a_client_id_is_not_taken_from_who_is_here(settings: Settings, tmp_path: Path) -> None:
    async def told(place: Place) -> None:
        thing, (_,) = place.thing("mine")
        other, (_,) = place.thing("theirs")
        port = settings.nats.mqtt_port
        mine = place.office.add_device(MACHINE, "one", thing)
        theirs = place.office.add_device(MACHINE, "two", other)
        caller = Caller(port, "one", mine.token, client="gauge", clean=False)
        assert await apart(caller.knock) == 0
        assert await apart(caller.subscribe, f"nervure/tasks/{thing}") == 1
        thief = Caller(port, "two", theirs.token, client="gauge", clean=False)
        assert await apart(thief.knock) not in {0, None}
        thief.leave()
        assert caller.mqtt.is_connected()
        caller.leave()
        await eventually(lambda: place.door.figures()["connected"], equals=0)
        thief = Caller(port, "two", theirs.token, client="gauge", clean=False)  # its session is not theirs
        assert await apart(thief.knock) == 0
        await place.log.send(f"nervure.tasks.{thing}", b"secret")
        await asyncio.sleep(0.3)
        assert thief.heard == []
        thief.leave()

    story(settings, tmp_path, told)


def test_after_a_restart_of_the_server_devices_come_back(settings: Settings, tmp_path: Path) -> None:
    async def told(place: Place) -> None:
        thing, (mine,) = place.thing("mine")
        device = place.office.add_device(MACHINE, "one", thing)
        caller = Caller(settings.nats.mqtt_port, "one", device.token)
        caller.mqtt.reconnect_delay_set(1, 1)
        assert await apart(caller.knock) == 0
        await apart(caller.publish, reading_topic(mine), b"before")
        await kill(place.server)
        await eventually(caller.mqtt.is_connected)
        await apart(caller.publish, reading_topic(mine), b"after")
        assert (await collect(place.log, 0, 2)).payload == [b"before", b"after"]
        caller.leave()

    story(settings, tmp_path, told)


def test_a_user_comes_in_with_a_token_and_sees_their_project_only(settings: Settings, tmp_path: Path) -> None:
    async def told(place: Place) -> None:
        office, port = place.office, settings.nats.mqtt_port
        thing, (mine,) = place.thing("mine")
        project = office.add_project(MACHINE, "others").id
        office.add_user(MACHINE, "all", "operator", password="correct horse battery")
        office.add_user(MACHINE, "bound", "operator", project_id=project)
        tokens = {}
        for name in ("all", "bound"):
            _, tokens[name] = office.add_token(MACHINE, "mqtt", ["read"], 1.0, owner=name)
        caller = Caller(port, "all", tokens["all"])
        assert await apart(caller.knock) == 0
        assert await apart(caller.subscribe, "v1.1/Observations") == 1
        assert await apart(caller.subscribe, f"nervure/alerts/{thing}") == 1
        assert await apart(caller.subscribe, f"nervure/tasks/{thing}") == 0x80
        await apart(caller.publish, reading_topic(mine), b"1")  # the token may only read
        caller.leave()
        bound = Caller(port, "bound", tokens["bound"])
        assert await apart(bound.knock) == 0
        for topic in ("v1.1/Observations", reading_topic(mine), f"v1.1/Things({thing})", "nervure/alerts/#"):
            assert await apart(bound.subscribe, topic) == 0x80
        bound.leave()
        assert await place.log.first_last() == (1, 0)
        password = Caller(port, "all", "correct horse battery")
        assert await apart(password.knock) not in {0, None}
        password.leave()

    assert "read" in RIGHTS
    story(settings, tmp_path, told)


def test_a_flood_is_sent_out_and_kept_out_and_nothing_acknowledged_is_lost(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(door, "_HOLD_S", 0.3)
    limited = msgspec.structs.replace(settings, limits=Limits(per_device_s=100.0))

    async def told(place: Place) -> None:
        port, (thing, (stream,)) = settings.nats.mqtt_port, place.thing("flood")
        device = place.office.add_device(MACHINE, "flood", thing)
        home, (calm,) = place.thing("calm")
        other = place.office.add_device(MACHINE, "calm", home)
        caller = Caller(port, "calm", other.token)
        assert await apart(caller.knock) == 0
        flood = await Flood.start(port, "flood", reading_topic(stream), secret=device.token or "")
        async with asyncio.timeout(PATIENCE_S):
            await flood.ended
        assert flood.answer == 0
        assert flood.acknowledged, "it is let in until it floods; up to a thousand more are on their way then"
        found = await collect(place.log, 0, flood.acknowledged)
        assert {int(one) for one in found.payload} >= set(range(1, flood.acknowledged + 1))
        begun = time.monotonic()
        again = await Flood.start(port, "flood", reading_topic(stream), secret=device.token or "")
        async with asyncio.timeout(PATIENCE_S):
            await again.ended
        assert (again.answer, again.acknowledged) == (5, 0)
        assert time.monotonic() - begun >= 0.3, "it is held while it must stay out"
        await apart(caller.publish, reading_topic(calm), b"1")
        assert not caller.closed.is_set()
        figures = await eventually(place.door.figures, lambda seen: seen["connected"] == 1)  # who left, left
        assert (figures["floods"], figures["kept_out"]) == (1, 1)
        await eventually(lambda: place.audit("limit.flood"))
        assert place.audit("limit.flood")[0]["who"] == "flood"
        (alert,) = place.catalogue.alerts(limit=10, solution="security")
        assert (alert.rule, alert.thing, alert.active) == ("flood", thing, True)
        caller.leave()

    story(limited, tmp_path, told)


def test_a_flood_is_sent_out_after_the_connection_that_looks_for_floods_broke(
    settings: Settings, tmp_path: Path
) -> None:
    limited = msgspec.structs.replace(settings, limits=Limits(per_device_s=100.0))

    async def told(place: Place) -> None:
        system = await log_in(place.server.system_address, "test")
        server = str((await system.info)["server_id"])
        wish = msgspec.json.encode({"acc": "$SYS", "limit": 1000})
        looking: list[int] = []
        while not looking:
            found = msgspec.json.decode(await system.ask(f"$SYS.REQ.SERVER.{server}.CONNZ".encode(), wish))
            there = found["data"]["connections"]
            looking = [one["cid"] for one in there if one.get("name") == "nervure turnstile"]
        kick = msgspec.json.encode({"cid": looking[0]})
        await system.ask(f"$SYS.REQ.SERVER.{server}.KICK".encode(), kick)
        system.end("done")
        thing, (stream,) = place.thing("flood")
        device = place.office.add_device(MACHINE, "flood", thing)
        flood = await Flood.start(
            settings.nats.mqtt_port, "flood", reading_topic(stream), secret=device.token or ""
        )
        async with asyncio.timeout(PATIENCE_S):
            await flood.ended
        assert flood.answer == 0
        assert place.door.figures()["floods"] == 1

    story(limited, tmp_path, told)
