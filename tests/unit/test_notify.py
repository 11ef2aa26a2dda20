"""Delivery: over MQTT and to a real HTTP server, again after failures, once after success."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from nervure.act.notify import TRIES, Notifier, message
from nervure.act.state import shelve
from nervure.core.alert import Alert
from nervure.core.error import StreamError
from nervure.core.settings import Notify
from tests.support import free_ports

RAISED = Alert(
    id="a1", solution="water", rule="water.burst", severity="major", thing=3, datastream=11, text="Burst.",
    start_ns=0, raised_ns=1_677_628_800_000_000_000,
)  # fmt: skip


class Waiting:
    """Alerts that wait in memory."""

    def __init__(self, *alerts: Alert) -> None:
        self.rows = {str(key): alert for key, alert in enumerate(alerts, start=1)}

    def outbox(self) -> list[tuple[str, Alert]]:
        return list(self.rows.items())

    def delivered(self, key: str) -> None:
        del self.rows[key]


class Wire:
    """Messages that went to MQTT; it can be cut."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, bytes]] = []
        self.cut = False

    async def send(self, subject: str, payload: bytes) -> None:
        if self.cut:
            raise StreamError("the log cannot be reached")
        self.sent.append((subject, payload))


class Clock:
    """Time that passes when it is told to."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


@contextmanager
def _hook(answers: list[int]) -> Iterator[tuple[str, list[tuple[str, dict[str, Any]]]]]:
    """Serve a webhook that answers with these codes, then 204; yields its address and what it got."""
    got: list[tuple[str, dict[str, Any]]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            got.append((self.headers["idempotency-key"], json.loads(body)))
            self.send_response(answers.pop(0) if answers else 204)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Keep quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/alerts", got
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


async def _rounds(notifier: Notifier, clock: Clock, waits: list[float]) -> list[int]:
    done = []
    for wait in waits:
        clock.now += wait
        done.append(await notifier.deliver())
    await notifier.close()
    return done


def test_goes_to_the_things_topic_with_its_state_in_words() -> None:
    wire, waiting, clock = Wire(), Waiting(RAISED), Clock()
    notifier = Notifier(waiting, wire.send, Notify(), clock=clock)
    assert asyncio.run(_rounds(notifier, clock, [0.0, 0.0])) == [1, 0]
    ((subject, payload),) = wire.sent
    told = json.loads(payload)
    assert subject == "nervure.alerts.3"
    assert (told["state"], told["raised"], told["end"]) == ("unacknowledged", "2023-03-01T00:00:00Z", None)
    assert waiting.rows == {}


def test_a_webhook_that_fails_is_tried_again_later_and_mqtt_is_not_told_twice() -> None:
    wire, waiting, clock = Wire(), Waiting(RAISED), Clock()
    with _hook([503, 429]) as (url, got):
        notifier = Notifier(waiting, wire.send, Notify(webhook=url), clock=clock)
        done = asyncio.run(_rounds(notifier, clock, [0.0, 0.5, 0.6, 1.0, 1.1, 9.0]))
    assert done == [0, 0, 0, 0, 1, 0]
    assert [key for key, _ in got] == ["a1-1"] * 3
    assert got[0][1]["text"] == "Burst."
    assert len(wire.sent) == 1
    assert notifier.dropped == 0


def test_a_webhook_nobody_listens_to_is_given_up_in_the_end() -> None:
    wire, waiting, clock = Wire(), Waiting(RAISED), Clock()
    nobody = f"http://127.0.0.1:{free_ports(1)[0]}/"
    notifier = Notifier(waiting, wire.send, Notify(webhook=nobody), clock=clock)
    done = asyncio.run(_rounds(notifier, clock, [400.0] * TRIES))
    assert done == [0] * (TRIES - 1) + [1]
    assert (notifier.dropped, len(wire.sent), waiting.rows) == (1, 1, {})


@pytest.mark.parametrize("code", [400, 404, 302])
def test_an_answer_that_will_not_change_is_counted_and_not_asked_for_again(code: int) -> None:
    wire, waiting, clock = Wire(), Waiting(RAISED), Clock()
    with _hook([code]) as (url, got):
        notifier = Notifier(waiting, wire.send, Notify(webhook=url), clock=clock)
        done = asyncio.run(_rounds(notifier, clock, [0.0, 400.0]))
    assert (done, len(got), notifier.dropped) == ([1, 0], 1, 1)


def test_without_mqtt_nothing_is_lost_however_long() -> None:
    wire, waiting, clock = Wire(), Waiting(RAISED), Clock()
    wire.cut = True
    notifier = Notifier(waiting, wire.send, Notify(), clock=clock)
    assert sum(asyncio.run(_rounds(notifier, clock, [400.0] * (TRIES + 5)))) == 0
    wire.cut = False
    assert asyncio.run(_rounds(notifier, clock, [400.0])) == [1]


def test_one_that_waits_does_not_hold_up_the_others() -> None:
    wire, waiting, clock = Wire(), Waiting(RAISED, RAISED), Clock()
    with _hook([503]) as (url, _):
        notifier = Notifier(waiting, wire.send, Notify(webhook=url), clock=clock)
        assert asyncio.run(_rounds(notifier, clock, [0.0, 2.0])) == [1, 1]


def test_what_is_shelved_is_announced_to_nobody() -> None:
    clock = Clock()
    alert = shelve(RAISED, round((clock.now + 60) * 1e9), "mara", "known works")
    wire, waiting = Wire(), Waiting(alert)
    assert asyncio.run(_rounds(Notifier(waiting, wire.send, Notify(), clock=clock), clock, [0.0])) == [1]
    assert wire.sent == []
    assert json.loads(message(alert, 0))["state"] == "shelved"
