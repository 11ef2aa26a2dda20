"""The guard: every role at every route, and every way of saying who one is."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from nervure.core.access import Access
from nervure.core.entity import Thing
from nervure.core.error import DeniedError, SignInError
from nervure.core.sensorthings import KINDS
from nervure.serve.guard import Guard
from nervure.serve.permit import permits, right_for, rights_inside
from nervure.trust.office import MACHINE
from nervure.trust.principal import NOBODY, OPEN, Principal
from nervure.trust.right import GRANTS, RIGHTS, ROLES, rights_of
from tests.house import PASSWORD, House, caller

TABLE = tuple(permits())
CAST: dict[str, Principal] = {
    "nobody": NOBODY,
    **{role: Principal(name=role, kind="user", role=role, rights=rights) for role, rights in ROLES.items()},
    "operator who acts": Principal(name="x", kind="user", rights=rights_of("operator", ["act"])),
    "engineer with all": Principal(name="y", kind="user", rights=rights_of("engineer", GRANTS)),
    "device": Principal(name="d", kind="device", rights=frozenset({"observe"}), streams=frozenset({1})),
}


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    found = House(tmp_path)
    yield found
    found.close()


def test_the_table_names_every_entity_set_with_every_method() -> None:
    lines = {(one.method, one.path) for one in TABLE}
    assert len(lines) == len(TABLE)
    for kind in KINDS:
        for method in ("GET", "POST"):
            assert (method, f"/v1.1/{kind.entities}") in lines
        for method in ("GET", "PATCH", "PUT", "DELETE"):
            assert (method, f"/v1.1/{kind.entities}({{id}})") in lines
    assert all(one.right is None or one.right in RIGHTS for one in TABLE)


@pytest.mark.parametrize("who", CAST)
def test_who_has_the_right_may_and_nobody_else(who: str) -> None:
    principal, guard = CAST[who], Guard()
    for line in TABLE:
        path = line.path.replace("{id}", "1").replace("{name}", "x").replace("*", "x")
        may = line.right is None or line.right in principal.rights
        assert _allowed(guard, principal, line.method, path) == may, line


def _allowed(guard: Guard, principal: Principal, method: str, path: str) -> bool:
    try:
        guard.allow(principal, method, path)
    except SignInError:
        assert not principal.known
        return False
    except DeniedError:
        assert principal.known
        return False
    return True


def test_only_what_must_be_open_to_all_is() -> None:
    assert {(one.method, one.path) for one in TABLE if one.right is None} == {
        ("GET", "/"),
        ("GET", "/console"),
        ("GET", "/console/*"),
        ("GET", "/health"),
        ("POST", "/api/login"),
        ("POST", "/api/logout"),
        ("GET", "/api/me"),
        ("GET", "/api/oidc/login"),
        ("GET", "/api/oidc/back"),
        ("GET", "/api/authority"),
        ("GET", "/api/crl"),
        ("GET", "/api/openapi.json"),
    }


@pytest.mark.parametrize(
    ("method", "path", "right"),
    [
        ("HEAD", "/v1.1/Things", "read"),
        ("GET", "/anything", "read"),
        ("POST", "/anything", "write"),
        ("BREW", "/v1.1/Things", "write"),
        ("POST", "/v1.1/Datastreams(1)/Observations", "observe"),
        ("POST", "/v1.1/Things('x/Observations')", "write"),
        ("POST", "/v1.1/Things('it''s/Observations')/Datastreams", "write"),
        ("PATCH", "/v1.1/Observations(1)", "write"),
        ("DELETE", "/v1.1/Datastreams(1)/Observations/$ref", "write"),
        ("POST", "/v1.1/Things(1)/TaskingCapabilities(1)/Tasks", "act"),
        ("DELETE", "/v1.1/Tasks('a')", "act"),
        ("PATCH", "/v1.1/TaskingCapabilities(1)/Tasks(1)", "act"),
        ("GET", "/api/nothing", "read"),
        ("DELETE", "/api/users/ann", "manage-users"),
        ("POST", "/health", "write"),
    ],
)
def test_the_right_that_a_route_takes(method: str, path: str, right: str) -> None:
    assert right_for(method, path) == right


def test_what_stands_inside_of_an_entity_takes_its_right_too() -> None:
    body = {
        "TaskingCapabilities": [{"name": "valve", "Tasks": [{}], "properties": {"Observations": [1]}}],
        "Datastreams": [{"Observations": []}],
    }
    assert rights_inside(body) == {"act"}
    assert rights_inside({"Datastreams": [{"Observations": [{"result": 1}]}]}) == {"observe"}


def test_who_sees_one_project_does_not_see_the_counts_of_all() -> None:
    bound = Principal(name="b", kind="user", rights=ROLES["viewer"], project=2)
    for path in ("/status", "/metrics", "/status/"):
        with pytest.raises(DeniedError):
            Guard().allow(bound, "GET", path)
    Guard().allow(bound, "GET", "/v1.1/Things")
    Guard().allow(OPEN, "GET", "/status")


def ask(house: House, headers: dict[str, str]) -> httpx.Response:
    async def run() -> httpx.Response:
        async with caller(house.app(), headers=headers) as client:
            return await client.get("/v1.1/Things")

    return asyncio.run(run())


def basic(name: str, secret: str) -> dict[str, str]:
    return {"authorization": "Basic " + b64encode(f"{name}:{secret}".encode()).decode()}


def test_everybody_says_who_they_are_in_their_own_way(house: House) -> None:
    token = house.user("viewer")
    thing = house.catalogue.ensure_thing(Thing(name="pump")).id
    device = house.office.add_device(MACHINE, "pump-1", thing).token
    good = [
        {"authorization": f"Bearer {token}"},
        {"authorization": f"bearer {token}"},
        basic("Viewer", PASSWORD),
    ]
    for headers in good:
        assert ask(house, headers).json() == {"name": "viewer"}
    assert ask(house, {"authorization": f"Bearer {device}"}).status_code == 403
    assert ask(house, basic("pump-1", device)).status_code == 403
    wrong = [
        *({}, {"authorization": ""}, {"authorization": "Bearer"}, {"authorization": "Bearer x"}),
        *(
            basic("viewer\0", PASSWORD),
            basic("viewer", "wrong"),
            basic("pump-2", device),
            {"authorization": "Basic !"},
        ),
        *({"authorization": "Basic eA=="}, {"authorization": f"Digest {token}"}, {"cookie": "nervure=x"}),
        *({"cookie": f"nervure={token}"}, {"authorization": "Bearer a.b.c"}, {"cookie": "nervure="}),
    ]
    for headers in wrong:
        answer = ask(house, headers)
        assert answer.status_code == 401, headers
        assert answer.headers["www-authenticate"].startswith("Bearer")


def test_a_password_that_a_browser_sends_along_changes_nothing_for_another_site(house: House) -> None:
    house.user("engineer")

    async def run(origin: str) -> int:
        async with caller(house.app(), headers=basic("engineer", PASSWORD)) as client:
            answer = await client.post("/v1.1/Things", json={}, headers={"origin": origin})
            return answer.status_code

    assert asyncio.run(run("http://evil.test")) == 403
    assert asyncio.run(run("http://node.test")) != 403


def test_a_session_needs_its_own_word_for_every_change(house: House) -> None:
    house.user("engineer")

    async def run() -> None:
        async with caller(house.app()) as client:
            wrong = {"name": "engineer", "password": "wrong"}
            assert (await client.post("/api/login", json=wrong)).status_code == 401
            right = {"name": "engineer", "password": PASSWORD}
            crossed = await client.post("/api/login", json=right, headers={"origin": "http://evil.test"})
            assert crossed.status_code == 403
            as_form = await client.post("/api/login", data=right)
            assert as_form.status_code == 415
            answer = await client.post("/api/login", json=right)
            cookie = answer.headers["set-cookie"]
            assert "HttpOnly" in cookie
            assert "SameSite=Strict" in cookie
            assert "Secure" not in cookie
            assert (await client.get("/v1.1/Things")).status_code == 200
            assert (await client.post("/v1.1/Things")).status_code == 403
            word = {"x-csrf-token": answer.json()["csrf"]}
            assert (await client.get("/api/me")).json()["csrf"] == word["x-csrf-token"]
            assert (await client.post("/v1.1/Things", headers=word)).status_code == 200
            evil = word | {"origin": "http://evil.test"}
            assert (await client.post("/v1.1/Things", headers=evil)).status_code == 403
            ours = word | {"origin": "http://node.test"}
            assert (await client.post("/v1.1/Things", headers=ours)).status_code == 200
            broken = word | {"origin": "http://["}
            assert (await client.post("/v1.1/Things", headers=broken)).status_code == 403
            assert (await client.post("/api/logout")).status_code == 403  # it would last, unbeknownst
            assert (await client.get("/v1.1/Things")).status_code == 200
            assert (await client.post("/api/logout", headers=word)).status_code == 200
            client.cookies.set("nervure", cookie.partition("=")[2].partition(";")[0], domain="node.test")
            assert (await client.get("/v1.1/Things")).status_code == 401
            assert (await client.get("/health")).status_code == 200
            assert (await client.post("/api/login", json=right)).status_code == 200  # with the old cookie
            assert (await client.post("/api/login", json=right)).status_code == 200  # and with a good one

    asyncio.run(run())


def test_over_tls_the_cookie_is_locked_to_it(house: House) -> None:
    house.user("viewer")

    async def run() -> str:
        async with caller(house.app(), scheme="https") as client:
            answer = await client.post("/api/login", json={"name": "viewer", "password": PASSWORD})
            assert (await client.get("/v1.1/Things")).status_code == 200
            return answer.headers["set-cookie"]

    cookie = asyncio.run(run())
    assert cookie.startswith("__Host-nervure=")
    assert "; Secure" in cookie


def test_a_certificate_says_who_a_device_is(house: House) -> None:
    thing = house.catalogue.ensure_thing(Thing(name="pump")).id
    made = house.office.add_device(MACHINE, "pump-1", thing, certificate=True)

    async def run(shown: str) -> int:
        async with caller(house.app(shown=shown)) as client:
            return (await client.post("/v1.1/Observations")).status_code

    assert asyncio.run(run(made.credential.hash)) == 200
    assert asyncio.run(run("0" * 64)) == 401
    house.office.revoke_device(MACHINE, "pump-1")
    assert asyncio.run(run(made.credential.hash)) == 401


def test_who_asks_too_often_waits_and_others_do_not(house: House) -> None:
    house.access = Access(requests_s=1.0, burst=3)
    one, two = house.user("viewer"), house.user("operator")

    async def run() -> None:
        app = house.app()
        async with caller(app, one) as first, caller(app, two) as second:
            codes = [(await first.get("/v1.1/Things")).status_code for _ in range(4)]
            assert codes == [200, 200, 200, 429]
            assert int((await first.get("/v1.1/Things")).headers["retry-after"]) >= 1
            assert (await second.get("/v1.1/Things")).status_code == 200

    asyncio.run(run())


def test_who_tries_many_secrets_waits_though_none_is_right(house: House) -> None:
    async def run() -> list[int]:
        async with caller(house.app()) as client:
            return [
                (await client.get("/v1.1/Things", headers={"authorization": f"Bearer nvt_{n}"})).status_code
                for n in range(60)
            ]

    codes = asyncio.run(run())
    assert codes[:50] == [401] * 50
    assert 429 in codes


def test_a_password_that_was_right_is_asked_again_when_the_user_changed(house: House) -> None:
    house.user("viewer")

    async def run() -> None:
        async with caller(house.app(), headers=basic("viewer", PASSWORD)) as client:
            assert (await client.get("/v1.1/Things")).status_code == 200
            house.office.change_user(MACHINE, "viewer", password="another long password")
            assert (await client.get("/v1.1/Things")).status_code == 401

    asyncio.run(run())


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({"host": "127.0.0.1:8088"}, 200),
        ({"host": "localhost"}, 200),
        ({"host": "evil.test"}, 403),
        ({"host": "localhost", "origin": "http://evil.test"}, 403),
        ({"host": "localhost", "origin": "http://localhost:1"}, 200),
        ({"host": "localhost", "origin": "null"}, 403),
    ],
)
def test_an_open_node_answers_pages_of_this_machine_only(
    house: House, headers: dict[str, str], code: int
) -> None:
    async def run() -> int:
        async with caller(house.app(guard=Guard()), headers=headers) as client:
            return (await client.post("/v1.1/Things")).status_code

    assert asyncio.run(run()) == code
