"""Signing in at a real OpenID provider on this machine, and tokens that somebody forged."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from nervure.core.access import Oidc
from nervure.core.error import DeniedError, EnvironmentMissing, SettingError, SignInError
from nervure.trust.office import MACHINE
from nervure.trust.oidc import Provider
from tests.house import PASSWORD, House, caller
from tests.patience import until
from tests.support import free_ports

pytestmark = pytest.mark.service

AUDIENCE = "nervure-api"


@pytest.fixture(scope="module")
def issuer() -> Iterator[str]:
    (port,) = free_ports(1)
    found = f"http://localhost:{port}"
    command = [sys.executable, "-m", "oidc_provider_mock", "--port", str(port)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        until(lambda: _answers(f"{found}/.well-known/openid-configuration"), running=process)
        yield found
        process.terminate()


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, trust_env=False).status_code == 200
    except httpx.TransportError:
        return False


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    found = House(tmp_path)
    yield found
    found.close()


def provider(house: House, issuer: str, **more: Any) -> Provider:
    file = house.folder / "client-secret"
    file.write_text("a secret that the provider knows\n")
    ours = Oidc(issuer=issuer, audience=AUDIENCE, name_claim="sub", client_secret_file=str(file), **more)
    return Provider(ours, house.office)


async def sign_in(house: House, there: Provider, who: str, **changed: str) -> httpx.Response:
    """Go the way a browser goes, as somebody at the provider; ``changed`` is what is brought back."""
    async with caller(house.app(provider=there), follow_redirects=False) as browser:
        sent = await browser.get("/api/oidc/login")
        assert sent.status_code == 302
        asked = parse_qs(urlsplit(sent.headers["location"]).query)
        assert asked["code_challenge_method"] == ["S256"]
        assert asked["response_type"] == ["code"]
        async with httpx.AsyncClient(trust_env=False) as client:
            granted = await client.post(sent.headers["location"], data={"sub": who})
        back = parse_qs(urlsplit(granted.headers["location"]).query)
        query = {name: values[0] for name, values in back.items()} | changed
        if "cookie" in query:
            browser.cookies.set("nervure-oidc", query.pop("cookie"), domain="node.test", path="/api/oidc")
        answer = await browser.get("/api/oidc/back", params=query)
        if answer.status_code == 302:
            return await browser.get("/api/me")
        return answer


def test_who_is_new_is_made_if_the_settings_say_so_and_is_the_same_the_next_time(
    house: House, issuer: str
) -> None:
    there = provider(house, issuer, new_users="viewer")
    for _ in range(2):
        me = asyncio.run(sign_in(house, there, "ann")).json()
        assert (me["name"], me["role"], bool(me["csrf"])) == ("ann", "viewer", True)
    assert [one.name for one in house.office.users(MACHINE)] == ["ann"]
    strict = provider(house, issuer)
    assert asyncio.run(sign_in(house, strict, "bob")).status_code == 403
    house.office.add_user(MACHINE, "bob", "operator")
    assert asyncio.run(sign_in(house, strict, "bob")).json()["role"] == "operator"
    house.office.change_user(MACHINE, "bob", active=False)
    assert asyncio.run(sign_in(house, strict, "bob")).status_code == 401


def test_nobody_takes_over_a_user_who_has_a_password(house: House, issuer: str) -> None:
    house.user("admin")
    answer = asyncio.run(sign_in(house, provider(house, issuer, new_users="viewer"), "admin"))
    assert answer.status_code == 403
    assert house.register.by_password("admin", PASSWORD, "10.0.0.1").issuer is None


@pytest.mark.parametrize(
    "changed", [{"state": "x"}, {"code": "x"}, {"cookie": "x"}, {"error": "access_denied"}]
)
def test_what_comes_back_must_belong_to_what_began(
    house: House, issuer: str, changed: dict[str, str]
) -> None:
    there = provider(house, issuer, new_users="viewer")
    assert asyncio.run(sign_in(house, there, "ann", **changed)).status_code == 401
    assert house.office.users(MACHINE) == []


class Forger:
    """A provider of one key, whose tokens a test writes as it likes."""

    def __init__(self) -> None:
        self.key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.other = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.issuer = "http://localhost:9"

    def keys(self) -> list[dict[str, Any]]:
        found = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(self.key.public_key()))
        return [found | {"kid": "k", "use": "sig", "alg": "RS256"}]

    def claims(self, **changed: Any) -> dict[str, Any]:
        now = int(time.time())
        found = {"iss": self.issuer, "aud": AUDIENCE, "sub": "ann", "iat": now, "exp": now + 60}
        return {name: value for name, value in (found | changed).items() if value is not None}

    def sign(self, claims: dict[str, Any], key: Any = None, algorithm: str = "RS256", **head: Any) -> str:
        return jwt.encode(claims, key or self.key, algorithm=algorithm, headers={"kid": "k", **head})


def forged(forger: Forger) -> dict[str, str]:
    """Return tokens that must not be believed, by what is wrong with them."""
    good = forger.claims()
    public = forger.key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    head, body, signature = forger.sign(good).split(".")
    changed = base64.urlsafe_b64encode(json.dumps(forger.claims(sub="admin")).encode()).decode().rstrip("=")
    hs_head = base64.urlsafe_b64encode(b'{"alg":"HS256","typ":"JWT","kid":"k"}').decode().rstrip("=")
    mac = hmac.new(public, f"{hs_head}.{body}".encode(), hashlib.sha256).digest()
    confused = f"{hs_head}.{body}.{base64.urlsafe_b64encode(mac).decode().rstrip('=')}"
    none = base64.urlsafe_b64encode(b'{"alg":"none","typ":"JWT","kid":"k"}').decode().rstrip("=")
    own = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(forger.other.public_key()))
    return {
        "alg none": f"{none}.{body}.",
        "alg None": f"{none.replace('bm9uZQ', 'Tm9uZQ')}.{body}.",
        "HS with the public key": confused,
        "another key": forger.sign(good, forger.other),
        "its own key in its head": forger.sign(good, forger.other, jwk=own),
        "a key that is not there": forger.sign(good, kid="x"),
        "RS512": forger.sign(good, algorithm="RS512"),
        "PS256": forger.sign(good, algorithm="PS256"),
        "changed body": f"{head}.{changed}.{signature}",
        "no signature": f"{head}.{body}.",
        "wrong aud": forger.sign(forger.claims(aud="nervure")),
        "several aud": forger.sign(forger.claims(aud=[AUDIENCE, "other"])),
        "no aud": forger.sign(forger.claims(aud=None)),
        "wrong iss": forger.sign(forger.claims(iss="http://localhost:8")),
        "no iss": forger.sign(forger.claims(iss=None)),
        "ended": forger.sign(forger.claims(exp=int(time.time()) - 120)),
        "no exp": forger.sign(forger.claims(exp=None)),
        "not yet": forger.sign(forger.claims(nbf=int(time.time()) + 600)),
        "no sub": forger.sign(forger.claims(sub=None)),
        "somebody unknown": forger.sign(forger.claims(sub="bob")),
        "no token": "a.b.c",
    }


def test_a_bearer_token_is_believed_only_if_all_of_it_holds(house: House) -> None:
    forger = Forger()
    there = provider(house, forger.issuer)
    there._keys = (time.monotonic(), forger.keys())
    there._about = (time.monotonic(), {"issuer": forger.issuer, "jwks_uri": f"{forger.issuer}/jwks"})
    house.office.adopt("ann", "operator", forger.issuer, "ann")

    async def ask(token: str) -> int:
        async with caller(house.app(signed=there), token) as client:
            return (await client.get("/v1.1/Things")).status_code

    assert asyncio.run(ask(forger.sign(forger.claims()))) == 200
    assert asyncio.run(ask(forger.sign(forger.claims(aud=[AUDIENCE])))) == 200
    for what, token in forged(forger).items():
        assert asyncio.run(ask(token)) in {401, 403}, what
    house.office.change_user(MACHINE, "ann", active=False)
    assert asyncio.run(ask(forger.sign(forger.claims()))) == 401


def test_without_an_audience_no_signed_token_is_taken(house: House) -> None:
    forger = Forger()
    there = Provider(Oidc(issuer=forger.issuer), house.office)
    with pytest.raises(SignInError):
        asyncio.run(there.bearer(forger.sign(forger.claims())))


def test_a_provider_is_reached_by_https_or_on_this_machine(house: House) -> None:
    with pytest.raises(SettingError, match="https"):
        Provider(Oidc(issuer="http://id.example"), house.office)
    Provider(Oidc(issuer="https://id.example"), house.office)
    with pytest.raises(EnvironmentMissing):
        asyncio.run(Provider(Oidc(issuer="http://localhost:9"), house.office).begin("http://node.test/back"))


def test_a_name_that_is_no_name_makes_no_user(house: House) -> None:
    with pytest.raises(DeniedError):
        house.office.adopt("bob", None, "http://localhost:9", "bob")
