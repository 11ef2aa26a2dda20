"""The control API: what it does, whom it does it for, and that nothing sent to it breaks it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings

from nervure.core.alert import Alert
from nervure.core.entity import Thing
from nervure.serve.control.openapi import document
from nervure.serve.control.table import ROUTES
from nervure.store.monitor import Posted
from nervure.trust.office import MACHINE
from tests.house import PASSWORD, House, caller

pytestmark = pytest.mark.service


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    found = House(tmp_path)
    yield found
    found.close()


class Asker:
    """Asks with one token, and fails loudly where another answer was expected."""

    def __init__(self, house: House, token: str) -> None:
        self.house, self.token = house, token

    def __call__(self, method: str, path: str, body: Any = None, code: int = 200) -> Any:
        async def run() -> httpx.Response:
            async with caller(self.house.app(), self.token) as client:
                return await client.request(method, path, json=body)

        answer = asyncio.run(run())
        assert answer.status_code == code, answer.text
        return answer.json() if "json" in answer.headers["content-type"] else answer.text


def test_an_admin_manages_users_tokens_and_projects(house: House) -> None:
    admin = Asker(house, house.user("admin"))
    town = admin("POST", "/api/projects", {"name": "Town"}, 201)
    admin("POST", "/api/projects", {"name": "TOWN"}, 409)
    new = {"name": "Ann", "role": "operator", "granted": ["act"], "password": PASSWORD, "project": town["id"]}
    made = admin("POST", "/api/users", new, 201)
    assert (made["name"], made["project"], "act" in made["rights"]) == ("ann", town["id"], True)
    admin("POST", "/api/users", new, 409)
    admin("POST", "/api/users", new | {"name": "bob", "role": "viewer"}, 400)  # a viewer does not act
    admin("POST", "/api/users", new | {"name": "bob", "role": "king"}, 400)
    admin("POST", "/api/users", new | {"name": "bob", "password": "short"}, 400)
    token = admin("POST", "/api/tokens", {"name": "phone", "owner": "ann", "rights": ["read"]}, 201)
    ann = Asker(house, token["token"])
    assert ann("GET", "/api/me")["rights"] == ["read"]
    ann("GET", "/api/users", code=403)
    assert [one["name"] for one in ann("GET", "/api/projects")] == ["town"]
    assert "token" not in str(ann("GET", "/api/tokens")[0]["name"])
    assert all(one["token"] is None for one in admin("GET", "/api/tokens"))
    admin("PATCH", "/api/users/ann", {"active": False})
    ann("GET", "/api/me", code=401)
    admin("PATCH", "/api/users/ann", {"active": True})
    admin("DELETE", f"/api/tokens/{token['id']}")
    ann("GET", "/api/me", code=401)
    admin("DELETE", "/api/users/ann")
    admin("DELETE", "/api/users/ann", code=404)
    admin("DELETE", "/api/projects/town")
    admin("DELETE", "/api/projects/first", code=409)
    lines = [one["what"] for one in admin("GET", "/api/audit?limit=20")]
    assert lines[:3] == ["project.remove", "user.remove", "token.revoke"]


def test_an_engineer_manages_devices(house: House) -> None:
    engineer = Asker(house, house.user("engineer"))
    thing = house.catalogue.ensure_thing(Thing(name="pump")).id
    made = engineer("POST", "/api/devices", {"name": "pump-1", "thing": thing}, 201)
    assert house.register.by_token(made["token"]).name == "pump-1"
    engineer("POST", "/api/devices", {"name": "pump-2", "thing": 99}, 404)
    fresh = engineer("POST", "/api/devices/pump-1/rotate", {"certificate": True}, 201)
    assert "BEGIN CERTIFICATE" in fresh["certificate"]
    assert fresh["authority"] == engineer("GET", "/api/authority")
    kinds = [(one["kind"], one["revoked"] is None) for one in engineer("GET", "/api/devices/pump-1")]
    assert kinds == [("token", False), ("certificate", True)]
    engineer("DELETE", "/api/devices/pump-1")
    assert "BEGIN X509 CRL" in engineer("GET", "/api/crl")
    assert [one["revoked"] is None for one in engineer("GET", "/api/devices")] == [False]
    engineer("POST", "/api/devices/pump-1/rotate", {}, 409)


def test_an_alert_is_seen_and_silenced_by_who_sees_its_project(house: House) -> None:
    operator = Asker(house, house.user("operator"))
    other = house.office.add_project(MACHINE, "other").id
    bound = Asker(house, house.user("operator", name="bound", project_id=other))
    thing = house.catalogue.ensure_thing(Thing(name="pump")).id
    now = time.time_ns()
    house.catalogue.announce(
        [
            Alert(
                id="a1",
                solution="water",
                rule="burst",
                severity="major",
                thing=thing,
                datastream=1,
                text="Burst",
                start_ns=now,
                raised_ns=now,
            )
        ]
    )
    assert len(operator("GET", "/api/alerts?active=true")) == 1
    assert bound("GET", "/api/alerts") == []
    bound("POST", "/api/alerts/a1/acknowledge", code=404)
    assert operator("POST", "/api/alerts/a1/acknowledge")["acknowledged"] is True
    shelved = operator("POST", "/api/alerts/a1/shelve", {"reason": "works", "until": "2030-01-01T00:00:00Z"})
    assert shelved["id"] == "a1"
    operator("POST", "/api/alerts/a1/shelve", {"reason": "works", "until": "9999-01-01T00:00:00Z"}, 400)
    assert operator("GET", "/api/alerts/a1")["rule"] == "burst"
    bound("GET", "/api/alerts/a1", code=404)
    bound("POST", "/api/alerts/a1/verdict", {"verdict": "true"}, 404)
    operator("POST", "/api/alerts/a1/verdict", {"verdict": "maybe"}, 400)
    told = operator("POST", "/api/alerts/a1/verdict", {"verdict": "false", "note": "a truck"})
    assert told["properties"]["verdict"].items() >= {"verdict": "false", "note": "a truck"}.items()
    operator("POST", "/api/models/1/promote", code=403)
    assert operator("GET", "/api/models") == []


def test_monitors_are_seen_by_their_project_and_ended_by_who_may_train(house: House) -> None:
    thing = house.catalogue.ensure_thing(Thing(name="A")).id
    town = house.office.add_project(MACHINE, "town", "").id
    operator, admin = (
        Asker(house, house.user("operator")),
        Asker(house, house.user("admin", granted=["train"])),
    )
    bound = Asker(house, house.user("admin", name="bound", granted=["train"], project_id=town))
    house.catalogue.post_monitor(
        Posted(
            thing=thing, version="v", package="p", streams=(1,), watched=(1,), origin_ns=0, severity="minor",
            state=b"", about={"says": "so"},
        ),
        "ann",
    )  # fmt: skip
    (shown,) = operator("GET", "/api/monitors")
    assert (shown["thing"], shown["about"], shown["standing"]) == (thing, {"says": "so"}, None)
    assert bound("GET", "/api/monitors") == []
    bound("DELETE", f"/api/monitors/{thing}", code=404)
    operator("DELETE", f"/api/monitors/{thing}", code=403)
    admin("DELETE", f"/api/monitors/{thing}")
    admin("DELETE", f"/api/monitors/{thing}", code=404)
    admin("DELETE", "/api/monitors/x", code=404)


def test_what_cannot_be_read_is_said_so(house: House) -> None:
    admin = Asker(house, house.user("admin"))
    admin("GET", "/api/nothing", code=404)
    admin("PUT", "/api/users", {}, 405)
    admin("POST", "/api/users", {"name": 1}, 400)
    admin("POST", "/api/users", {"name": "a", "role": "viewer", "more": 1}, 400)
    admin("POST", "/api/projects", {"name": "a", "description": "\0"}, 400)
    admin("GET", "/api/audit?limit=0", code=400)
    admin("GET", "/api/audit?what=x", code=400)
    admin("DELETE", "/api/tokens/x", code=404)
    admin("GET", f"/api/overview?{'a=1&' * 51}", code=400)
    admin("GET", "/api/alerts?solution=%00", code=400)
    for step in ("9999d", "100000d", "1000000d", f"{'9' * 30}h"):
        admin("GET", f"/api/alerts/rate?step={step}", code=400)
    admin("GET", "/api/alerts/rate?from=0&step=366d")

    async def raw(data: bytes, kind: str) -> int:
        async with caller(house.app(), admin.token) as client:
            return (await client.post("/api/users", content=data, headers={"content-type": kind})).status_code

    assert asyncio.run(raw(b"{", "application/json")) == 400
    assert asyncio.run(raw(b"[" * 100_000, "application/json")) == 400
    assert asyncio.run(raw(b"x" * 300_000, "application/json")) == 400
    assert asyncio.run(raw(b"name=a", "application/x-www-form-urlencoded")) == 415


def test_the_description_names_every_route_and_the_right_it_takes() -> None:
    found = document(ROUTES)
    assert {(method.upper(), path) for path, line in found["paths"].items() for method in line} == {
        (route.method, route.path) for route in ROUTES
    }
    names = [line["operationId"] for one in found["paths"].values() for line in one.values()]
    assert len(set(names)) == len(names)
    assert found["paths"]["/api/users"]["get"]["description"] == "Takes the right to manage-users."


def test_nothing_made_from_the_description_breaks_it(tmp_path: Path) -> None:
    """Requests that fit the description, and many that do not: none takes the API down."""
    house = House(tmp_path)
    house.access = type(house.access)(requests_s=1e6, burst=10**6)
    token = house.user("admin")
    house.catalogue.ensure_thing(Thing(name="pump"))
    app = house.app()
    seen: set[int] = set()

    async def ask(case: Any) -> httpx.Response:
        async with caller(app, token) as client:
            sent = case.as_transport_kwargs(base_url="http://node.test")
            names = ("method", "url", "params", "json", "data", "headers")
            sent = {name: sent[name] for name in names if sent.get(name)}
            sent["headers"] = dict(sent.get("headers", {})) | {"authorization": f"Bearer {token}"}
            return await client.request(**sent)

    for found in schemathesis.openapi.from_dict(document(ROUTES)).get_all_operations():
        operation: Any = found.ok()  # type: ignore[union-attr]
        if operation.path in {"/api/login", "/api/logout"}:
            continue  # a sign-in costs a tenth of a second on purpose

        @settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
        @given(case=operation.as_strategy())
        def check(case: Any) -> None:
            answer = asyncio.run(ask(case))
            seen.add(answer.status_code)
            assert answer.status_code < 500, answer.text

        check()
    assert {200, 400, 404} <= seen
    house.close()
