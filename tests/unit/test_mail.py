"""Alerts by e-mail: handed to a real mail server, once each, again after a refusal that may pass."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword
from msgspec.structs import replace

from nervure.act.mail import letter
from nervure.act.notify import Notifier
from nervure.core.alert import Alert
from nervure.core.entity import Datastream, Location, Thing
from nervure.core.notice import Notify
from nervure.store.catalogue import Catalogue
from tests.support import free_ports

RAISED = Alert(
    id="a1", solution="water", rule="water.burst", severity="major", thing=3, datastream=11,
    text="Burst at the harbour: 45 L/s, expected 12.", start_ns=0, raised_ns=1_677_628_800_000_000_000,
    sure=0.98, properties={"thing": "Harbour\r\nBcc: everybody@example.org"},
)  # fmt: skip


class Box:
    """What a mail server got; ``answers`` are said first, one a message."""

    def __init__(self, *answers: str) -> None:
        self.answers = list(answers)
        self.got: list[tuple[list[str], EmailMessage]] = []

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802 - aiosmtpd's name
        if self.answers:
            return self.answers.pop(0)
        mail = message_from_bytes(envelope.content, policy=policy.default)
        assert isinstance(mail, EmailMessage)
        self.got.append((list(envelope.rcpt_tos), mail))
        return "250 OK"


class Waiting:
    def __init__(self, *alerts: Alert) -> None:
        self.rows = {str(key): alert for key, alert in enumerate(alerts, start=1)}

    def outbox(self) -> list[tuple[str, Alert]]:
        return list(self.rows.items())

    def delivered(self, key: str) -> None:
        del self.rows[key]


@contextmanager
def server(box: Box, **more: Any) -> Iterator[Notify]:
    (port,) = free_ports(1)
    running = Controller(box, hostname="127.0.0.1", port=port, **more)
    running.start()
    try:
        yield Notify(mail_to=("ops@example.org", "bo@example.org"), smtp_port=port, timeout_s=3.0)
    finally:
        running.stop()


async def _told(_subject: str, _payload: bytes) -> None:
    return None


def deliver(settings: Notify, *alerts: Alert, rounds: int = 1) -> tuple[list[int], Notifier]:
    now = [1_700_000_000.0]
    notifier = Notifier(Waiting(*alerts), _told, settings, clock=lambda: now[0])

    async def work() -> list[int]:
        done = []
        for _ in range(rounds):
            done.append(await notifier.deliver())
            now[0] += 400.0
        return done

    return asyncio.run(work()), notifier


def test_an_alert_arrives_as_one_plain_message_whatever_things_are_called() -> None:
    box = Box()
    with server(box) as settings:
        done, notifier = deliver(settings, RAISED, rounds=2)
    assert (done, notifier.dropped) == ([1, 0], 0)
    [(people, mail)] = box.got
    assert people == ["ops@example.org", "bo@example.org"]
    assert mail["subject"] == "[major] Harbour Bcc: everybody@example.org: water.burst"
    assert mail["bcc"] is None
    text = mail.get_content()
    assert "45 L/s, expected 12." in text
    assert "since 1970-01-01T00:00:00Z, unacknowledged" in text


def test_it_names_what_it_is_about_where_that_is_and_in_which_unit(tmp_path: Path) -> None:
    """Of a loop's alert it said *Thing 3*, of a reading neither Datastream nor place."""
    catalogue = Catalogue.open(tmp_path / "catalogue.db")
    quay = Location(name="quay 3", location={"type": "Point", "coordinates": [11.34, -44.49]})
    thing = catalogue.ensure_thing(Thing(name="Harbour\npumps"), quay)
    stream = catalogue.ensure_datastream(
        Datastream(name="harbour/flow", unit="m3/h", thing=thing.id, solution="water", signal="flow")
    )
    loop = replace(RAISED, thing=thing.id, datastream=0, properties={"loop": 1})
    read = replace(loop, datastream=stream.id)
    gone = replace(loop, thing=99, properties={})
    texts = []
    for one in (loop, read, gone):
        mail = letter(one, "1", Notify(), 0, catalogue)
        texts.append((mail["subject"], mail.get_content()))
    catalogue.close()
    assert [subject for subject, _ in texts] == [
        "[major] Harbour pumps: water.burst", "[major] Harbour pumps: water.burst",
        "[major] Thing 99: water.burst",
    ]  # fmt: skip
    first, second, third = (text for _, text in texts)
    assert f"Thing: Harbour pumps ({thing.id})\nplace: quay 3, 44.49 S 11.34 E\nsince" in first
    assert f"Datastream: harbour/flow ({stream.id}), in m³/h\nsince" in second
    assert "Thing:" not in third


@pytest.mark.parametrize(
    "where", ["in words", ["quay", 3], 5, {"type": "Point", "coordinates": [10**400, 1]}, {"geometry": None}]
)
def test_a_place_that_is_no_point_goes_by_its_name(tmp_path: Path, where: Any) -> None:
    catalogue = Catalogue.open(tmp_path / "catalogue.db")
    thing = catalogue.ensure_thing(Thing(name="Harbour"), Location(name="quay 3", location=where))
    mail = letter(replace(RAISED, thing=thing.id, datastream=0), "1", Notify(), 0, catalogue)
    catalogue.close()
    assert "\nplace: quay 3\n" in mail.get_content()


def test_a_node_hands_its_mails_the_names_of_its_catalogue() -> None:
    box, catalogue = Box(), Catalogue.open(":memory:")
    thing = catalogue.ensure_thing(Thing(name="Harbour"))
    catalogue.announce([replace(RAISED, thing=thing.id, properties={})])
    with server(box) as settings:
        asyncio.run(Notifier(catalogue, _told, settings, where=catalogue).deliver())
    catalogue.close()
    assert box.got[0][1]["subject"] == "[major] Harbour: water.burst"


def test_only_what_is_grave_enough_is_mailed() -> None:
    box = Box()
    with server(box) as settings:
        done, _ = deliver(settings, replace(RAISED, severity="minor"), replace(RAISED, severity="critical"))
    assert done == [2]
    assert [mail["subject"].partition(" ")[0] for _, mail in box.got] == ["[critical]"]


def test_a_refusal_that_may_pass_is_tried_again_under_the_same_name_and_one_that_stays_is_not() -> None:
    box = Box("451 later")
    with server(box) as settings:
        done, notifier = deliver(settings, RAISED, rounds=3)
    assert (done, len(box.got), notifier.dropped) == ([0, 1, 0], 1, 0)
    assert box.got[0][1]["message-id"].startswith("<a1.1@")
    box = Box("554 never")
    with server(box) as settings:
        done, notifier = deliver(settings, RAISED, rounds=2)
    assert (done, box.got, notifier.dropped) == ([1, 0], [], 1)


def test_a_server_that_is_away_loses_nothing() -> None:
    (port,) = free_ports(1)
    settings = Notify(mail_to=("ops@example.org",), smtp_port=port)
    assert deliver(settings, RAISED, rounds=2)[0] == [0, 0]


@pytest.mark.filterwarnings("ignore:Requiring AUTH")  # the test speaks to itself
def test_it_logs_in_with_the_password_of_a_file(tmp_path: Path) -> None:
    shown: list[Any] = []

    def check(_server: Any, _session: Any, _envelope: Any, _mechanism: str, data: Any) -> AuthResult:
        shown.append(data)
        return AuthResult(success=data == LoginPassword(b"nervure", b"hush"))

    (tmp_path / "password").write_text("hush\n")
    box = Box()
    with server(box, authenticator=check, auth_required=True, auth_require_tls=False) as settings:
        login = replace(settings, smtp_user="nervure", smtp_password_file=str(tmp_path / "password"))
        assert deliver(login, RAISED)[0] == [1]
        assert deliver(replace(login, smtp_password_file=str(tmp_path / "none")), RAISED)[0] == [0]
    assert len(box.got) == 1
    assert shown == [LoginPassword(b"nervure", b"hush")]


@pytest.mark.parametrize("address", ["ops", "a@b,c@d", "a @b", "x@y\r\nBcc: z@z"])
def test_an_address_that_is_none_is_refused(address: str) -> None:
    import msgspec

    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"mail_to": [address]}, Notify)
