"""A whole node that people and devices sign in at, and the commands that manage it."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from nervure.cli import main
from nervure.cli.office import opened as office_of
from nervure.core.settings import Access, Settings
from nervure.node.compose import Node
from nervure.serve.permit import permits
from nervure.stream.subject import reading_topic
from nervure.trust.office import MACHINE, Office
from nervure.trust.right import GRANTS, ROLES
from tests.door import Caller
from tests.patience import eventually

pytestmark = pytest.mark.service

ENTITY = "http://www.opengis.net/def/observationType/OGC-OM/2.0/OM_Measurement"
PASSWORD = "correct horse battery staple"


@pytest.fixture
def closed(settings: Settings) -> Settings:
    """Settings of a node at which everybody signs in."""
    return msgspec.structs.replace(settings, access=Access(requests_s=1e6, burst=10**6))


@contextlib.asynccontextmanager
async def running(settings: Settings) -> AsyncIterator[Node]:
    node = Node(settings)
    await node.start()
    task = asyncio.create_task(node.run())
    try:
        assert node.entry.door is not None
        async with asyncio.timeout(60):
            await node.entry.door.listening.wait()
        yield node
    finally:
        node.stop()
        await task


def client(settings: Settings, token: str | None = None) -> httpx.AsyncClient:
    headers = {"authorization": f"Bearer {token}"} if token else {}
    url = f"http://127.0.0.1:{settings.http.port}"
    return httpx.AsyncClient(base_url=url, headers=headers, trust_env=False, timeout=20)


def thing(name: str) -> dict[str, Any]:
    return {
        "name": name,
        "description": name,
        "Locations": [
            {
                "name": f"{name} place",
                "description": "where it is",
                "encodingType": "application/geo+json",
                "location": {"type": "Point", "coordinates": [11.0, 48.0]},
            }
        ],
        "Datastreams": [
            {
                "name": f"{name} level",
                "description": "level",
                "unitOfMeasurement": {"name": "metre", "symbol": "m", "definition": "ucum:m"},
                "observationType": ENTITY,
                "Sensor": {
                    "name": f"{name} gauge",
                    "description": "gauge",
                    "encodingType": "text/plain",
                    "metadata": "none",
                },
                "ObservedProperty": {"name": f"{name} prop", "definition": "x", "description": "level"},
                "Observations": [{"result": 1.0}],
            }
        ],
    }


def token_of(office: Office, name: str, role: Any, **more: Any) -> str:
    office.add_user(MACHINE, name, role, password=PASSWORD, **more)
    return office.add_token(MACHINE, "test", None, 1.0, owner=name)[1]


def test_every_role_at_every_route_of_a_running_node(closed: Settings) -> None:
    async def run() -> None:
        async with running(closed) as node:
            office = node.entry.office
            tokens: dict[str, str | None] = {name: token_of(office, name, name) for name in ROLES}
            tokens["all"] = token_of(office, "all", "admin", granted=tuple(GRANTS))
            tokens["nobody"] = None
            rights = {name: office.register.by_token(token).rights for name, token in tokens.items() if token}
            for name, token in tokens.items():
                async with client(closed, token) as asking:
                    for line in permits():
                        if line.path in {"/api/login", "/api/logout"} or "oidc" in line.path:
                            continue
                        path = line.path.replace("{id}", "99").replace("{name}", "99").replace("*", "x")
                        answer = await asking.request(line.method, path, content=b"{}")
                        may = line.right is None or line.right in rights.get(name, ())
                        said = (name, line.method, path, answer.status_code)
                        assert answer.status_code != 500, said
                        if line.path != "/api/me":
                            assert (answer.status_code not in {401, 403}) == may, said
                        if not may:
                            assert (answer.status_code == 401) == (token is None), said

    asyncio.run(run())


LOOKED_AT = (
    *("Things", "Locations", "Datastreams", "Sensors", "ObservedProperties", "Observations"),
    *("FeaturesOfInterest", "HistoricalLocations", "Observations?$resultFormat=dataArray"),
    "Things?$expand=Datastreams/Sensor,Locations&$count=true",
    "Datastreams?$filter=Thing/name eq 'blue'&$count=true",
    "Observations?$filter=Datastream/Thing/name eq 'blue'&$count=true",
    "Things?$filter=name ne 'red'&$count=true",
    "Observations?$expand=Datastream/Thing,FeatureOfInterest&$count=true",
)


async def two_projects(settings: Settings, office: Office) -> tuple[dict[str, str], dict[str, str]]:
    """Make two projects with a Thing each, and return their engineers' tokens and where the Things are."""
    tokens, made = {}, {}
    for name in ("red", "blue"):
        project = office.add_project(MACHINE, name).id
        tokens[name] = token_of(office, name, "engineer", project_id=project, granted=("act",))
        async with client(settings, tokens[name]) as asking:
            answer = await asking.post("/v1.1/Things", json=thing(name))
            assert answer.status_code == 201, answer.text
            made[name] = httpx.URL(answer.headers["location"]).path
    return tokens, made


async def look_around(red: httpx.AsyncClient, foreign: str) -> int:
    """Find nothing of the other project, and return one's own Datastream."""
    for path in LOOKED_AT:
        answer = await red.get(f"/v1.1/{path}")
        assert answer.status_code == 200, (path, answer.text)
        assert "blue" not in answer.text, path
        assert "$filter" not in path or answer.json()["@iot.count"] == 0, path
    for method in ("GET", "PATCH", "DELETE"):
        assert (await red.request(method, foreign, json={"name": "red"})).status_code == 404
    for path in ("/status", "/metrics"):
        assert (await red.get(path)).status_code == 403
    assert (await red.get("/alerts")).json() == []
    (mine,) = (await red.get("/v1.1/Datastreams")).json()["value"]
    return int(mine["@iot.id"])


async def meddle(red: httpx.AsyncClient, foreign: str, stream: int) -> None:
    """Fail to write into the other project, to link to it, and to reach it by a batch."""
    for path in (f"Datastreams({stream})", f"Datastreams({stream})/Observations"):
        assert (await red.get(f"/v1.1/{path}")).status_code == 404
    posted = await red.post(f"/v1.1/Datastreams({stream})/Observations", json={"result": 2})
    assert posted.status_code == 404
    linked = {"result": 2, "Datastream": {"@iot.id": stream}}
    assert (await red.post("/v1.1/Observations", json=linked)).status_code in {400, 404}
    rows = [{"Datastream": {"@iot.id": stream}, "components": ["result"], "dataArray": [[3]]}]
    await red.post("/v1.1/CreateObservations", json=rows)
    await red.post("/ingest/senml", json=[{"n": f"Datastreams({stream})", "v": 4}])
    batch = {"requests": [{"id": "1", "method": "get", "url": foreign.removeprefix("/v1.1/")}]}
    answer = await red.post("/v1.1/$batch", json=batch)
    assert answer.json()["responses"][0]["status"] == 404


def test_two_projects_do_not_see_each_other_through_any_door(closed: Settings) -> None:
    async def run() -> None:
        async with running(closed) as node:
            tokens, made = await two_projects(closed, node.entry.office)
            async with client(closed, tokens["red"]) as red:
                stream = await look_around(red, made["blue"])
                await meddle(red, made["blue"], stream + 1)
            caller = Caller(closed.nats.mqtt_port, "red", tokens["red"])
            assert await asyncio.to_thread(caller.knock) == 0
            assert await asyncio.to_thread(caller.subscribe, reading_topic(stream)) == 1
            for topic in (reading_topic(stream + 1), "v1.1/Observations", "v1.1/#", "v1.1/Things"):
                assert await asyncio.to_thread(caller.subscribe, topic) == 0x80
            await asyncio.to_thread(caller.publish, reading_topic(stream + 1), b'{"result": 7}')
            await asyncio.to_thread(caller.publish, reading_topic(stream), b'{"result": 8}')
            caller.leave()
            async with client(closed, tokens["red"]) as red:  # what came before it would have come too
                path = f"/v1.1/Datastreams({stream})/Observations?$filter=result eq 8"
                await eventually(lambda: red.get(path), lambda answer: answer.json()["value"])
            async with client(closed, tokens["blue"]) as blue:
                found = (await blue.get("/v1.1/Observations")).json()["value"]
                assert [(one["result"], one["@iot.id"] > 0) for one in found] == [(1, True)]
                (theirs,) = (await blue.get("/v1.1/Datastreams")).json()["value"]
                assert theirs["@iot.id"] == stream + 1

    asyncio.run(run())


def test_a_device_s_reading_by_mqtt_and_by_http_is_read_by_its_people(closed: Settings) -> None:
    async def run() -> None:
        async with running(closed) as node:
            office = node.entry.office
            token = token_of(office, "eng", "engineer")
            async with client(closed, token) as asking:
                assert (await asking.post("/v1.1/Things", json=thing("pump"))).status_code == 201
                device = (await asking.post("/api/devices", json={"name": "pump-1", "thing": 1})).json()[
                    "token"
                ]
                caller = Caller(closed.nats.mqtt_port, "pump-1", device)
                assert await asyncio.to_thread(caller.knock) == 0
                await asyncio.to_thread(caller.publish, reading_topic(1), b'{"result": 5}')
                caller.leave()
                async with client(closed, device) as sending:
                    posted = await sending.post("/v1.1/Datastreams(1)/Observations", json={"result": 6})
                    assert posted.status_code == 201
                    assert (await sending.get("/v1.1/Things")).status_code == 403
                    assert (await sending.post("/v1.1/Things", json=thing("x"))).status_code == 403

                async def results() -> list[float]:
                    found = (await asking.get("/v1.1/Observations?$orderby=id")).json()["value"]
                    return [one["result"] for one in found]

                await eventually(results, equals=[1, 5, 6])

    asyncio.run(run())


def test_the_commands_manage_who_may_do_what(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    data = ("--set", f"data={tmp_path / 'data'}")

    def run(*words: str, code: int = 0) -> str:
        assert main([*words, *data]) == code
        return capsys.readouterr().out

    monkeypatch.setattr("sys.stdin", None)
    assert json.loads(run("project", "add", "Town", "--json"))["name"] == "town"
    made = json.loads(run("user", "add", "Ann", "--role", "operator", "--grant", "act", "--json"))
    assert (made["name"], made["granted"], len(made["password"])) == ("ann", ["act"], 23)
    run("user", "add", "bob", "--role", "engineer", "--project", "town")
    run("user", "add", "eve", "--role", "king", code=2)
    token = json.loads(run("token", "add", "ann", "phone", "--right", "read", "--json"))
    assert token["token"].startswith("nvt_")
    assert run("user", "change", "ann", "--grant", "act") == "ann is operator now with the right to act\n"
    run("user", "change", "bob", "--role", "viewer")
    rows = json.loads(run("user", "list", "--json"))
    assert [(one["name"], one["role"], one["project"]) for one in rows] == [
        ("ann", "operator", ""),
        ("bob", "viewer", "town"),
    ]
    run("token", "revoke", str(token["id"]))
    assert json.loads(run("token", "list", "--json"))[0]["revoked"] is True
    run("device", "add", "pump-1", "1", code=1)  # there is no such Thing
    assert json.loads(run("device", "list", "--json")) == []
    assert "BEGIN X509 CRL" in run("device", "crl")
    run("user", "remove", "bob")
    run("project", "remove", "town")


def test_who_changes_a_loop_at_the_command_line_signs_in(
    closed: Settings, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only an open node let ``nervure act hand`` and ``nervure alert verdict`` do anything."""
    data = ("--set", f"data={closed.data}", "--set", f"http.port={closed.http.port}")
    monkeypatch.delenv("NERVURE_TOKEN", raising=False)

    async def said(*words: str, code: int, secret: str = "") -> str:
        monkeypatch.setattr("sys.stdin", io.StringIO(f"{secret}\n"))
        assert await asyncio.to_thread(main, [*words, *data]) == code
        return capsys.readouterr().err

    hand, seen = ("act", "hand", "3", "speed=1"), ("alert", "acknowledge", "none")

    async def work() -> None:
        async with running(closed):
            with office_of(closed) as office:
                office.add_user(MACHINE, "ann", "operator", password=PASSWORD)
                office.add_user(MACHINE, "bo", "operator", granted=("act",), password=PASSWORD)
                token = office.add_token(MACHINE, "program", None, 1, "bo")[1]
            assert "say who you are" in await said(*hand, code=2)
            assert "password is wrong" in await said(*hand, "--as", "bo", code=1, secret="wrong")
            told = await said(*hand, "--as", "ann", code=1, secret=PASSWORD)
            assert "nervure user change ann --grant act" in told
            assert "there is no loop 3" in await said(*hand, "--as", "bo", code=1, secret=PASSWORD)
            assert "there is no alert" in await said(*seen, "--as", "ann", code=1, secret=PASSWORD)
            monkeypatch.setenv("NERVURE_TOKEN", token)
            assert "--as NAME" in await said(*hand, code=1)

    asyncio.run(work())
