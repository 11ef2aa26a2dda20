"""Claims as nats-server signs and reads them, what is no question of it, and what nobody may do by MQTT."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nervure.core.entity import Thing
from nervure.core.error import DeniedError, SignInError
from nervure.trust.admission import identify, rights_of, visitor
from nervure.trust.limit import Limit
from nervure.trust.nkey import AccountKey, read_claims
from nervure.trust.office import MACHINE
from tests.house import House


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    found = House(tmp_path)
    yield found
    found.close()


def test_claims_come_back_as_they_were_signed() -> None:
    key = AccountKey()
    assert key.public.startswith("A")
    assert len(key.public) == 56
    found = read_claims(key.sign({"sub": "x", "nats": {"version": 2}}))
    assert (found["iss"], found["sub"], found["nats"]) == (key.public, "x", {"version": 2})


def test_a_token_that_is_signed_another_way_is_not_read() -> None:
    none = base64.urlsafe_b64encode(json.dumps({"alg": "none"}).encode()).decode().rstrip("=")
    with pytest.raises(DeniedError):
        read_claims(".".join((none, *AccountKey().sign({"sub": "x"}).split(".")[1:])))


@pytest.mark.parametrize("text", ["", "a", "a.b.c", "e30.e30.e30", "....", "é.é.é"])
def test_what_is_no_token_is_no_error_of_ours(text: str) -> None:
    with pytest.raises(DeniedError):
        read_claims(text)


def question(**changed: Any) -> dict[str, Any]:
    client = {"id": 7, "host": "10.0.0.1", "type": "mqtt", "mqtt_id": "c"}
    found: dict[str, Any] = {"client_info": client, "connect_opts": {"user": "pump-1", "pass": "x"}}
    return found | changed


@pytest.mark.parametrize(
    "wrong",
    [
        {"client_info": {}},
        {"client_info": None},
        {"connect_opts": []},
        {"client_tls": {"verified_chains": [[]]}},
    ],
)
def test_a_question_that_cannot_be_read_lets_nobody_in(wrong: dict[str, Any]) -> None:
    with pytest.raises(SignInError):
        visitor(question(**wrong))


def test_a_certificate_that_the_server_has_not_verified_counts_for_nothing(house: House) -> None:
    thing = house.catalogue.ensure_thing(Thing(name="pump")).id
    made = house.office.add_device(MACHINE, "pump-1", thing, certificate=True)
    assert made.issued is not None
    pem = made.issued.certificate
    shown = visitor(question(client_tls={"certs": [pem]}, connect_opts={}))
    assert shown.certificate is None
    with pytest.raises(SignInError):
        identify(house.register, shown)
    checked = visitor(question(client_tls={"verified_chains": [[pem]]}, connect_opts={}))
    assert identify(house.register, checked).name == "pump-1"
    other = visitor(question(client_tls={"verified_chains": [[pem]]}, connect_opts={"user": "pump-2"}))
    with pytest.raises(SignInError):
        identify(house.register, other)


def test_only_mqtt_comes_in_and_the_secret_is_not_kept(house: House) -> None:
    thing = house.catalogue.ensure_thing(Thing(name="pump")).id
    token = house.office.add_device(MACHINE, "pump-1", thing).token
    shown = {"user": "pump-1", "pass": token}
    client = question()["client_info"] | {"type": "nats"}
    with pytest.raises(SignInError):
        identify(house.register, visitor(question(connect_opts=shown, client_info=client)))
    known = visitor(question(connect_opts=shown))
    assert token not in str(known.shown)
    found = identify(house.register, known)
    rights = rights_of(house.register, found)
    assert rights.hear == (f"nervure.tasks.{thing}", f"nervure.tasks.{thing}.>", "$MQTT.sub.>")
    assert rights.publish == (f"nervure.tasks.{thing}.*.status",)


def test_the_longest_unseen_is_forgotten_and_a_bucket_fills_again() -> None:
    now = 0.0
    limit = Limit(rate=2.0, burst=1, clock=lambda: now)
    limit.take("a")
    assert limit.wait_s("a") == 0.5
    now = 0.5
    limit.take("a")
    now = 100.0
    limit.take("a")
    assert limit.wait_s("a") == 0.5
