"""Alerts that a commit stored leave the catalogue's outbox by the notifier, each once."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

from nervure.act.engine import Engine
from nervure.act.notify import Notifier
from nervure.core.entity import Datastream, Thing
from nervure.core.finding import Finding
from nervure.core.instant import HOUR_NS
from nervure.core.settings import Notify
from nervure.store.catalogue import Catalogue
from tests.tiny import START, solution


def _findings(stream: Datastream, score: float, hours: range) -> list[Finding]:
    return [
        Finding(
            datastream=stream.id, time_ns=(START + hour) * HOUR_NS, value=9.0, expected=5.0, score=score,
            limit=4.0, sure=0.99,
        )
        for hour in hours
    ]  # fmt: skip


def test_an_alert_is_stored_with_its_position_and_told_once(tmp_path: Path) -> None:
    sent: list[dict[str, object]] = []

    async def send(subject: str, payload: bytes) -> None:
        sent.append({"subject": subject, **json.loads(payload)})

    catalogue = Catalogue.open(tmp_path / "catalogue.db")
    thing = catalogue.ensure_thing(Thing(name="north"))
    stream = catalogue.ensure_datastream(
        Datastream(name="north/inflow", unit="L/s", thing=thing.id, solution="water", signal="inflow")
    )
    engine = Engine(solution(), catalogue.things(), catalogue.datastreams())
    notifier = Notifier(catalogue, send, Notify())
    raised = engine.take(_findings(stream, 9.0, range(3)))
    for _ in range(2):  # the second is the replay of a commit whose answer was lost
        catalogue.commit_view("score", 3, engine.state(), raised)
    assert asyncio.run(notifier.deliver()) == 1
    assert asyncio.run(notifier.deliver()) == 0
    catalogue.acknowledge(raised[0].id, "mara")
    cleared = engine.take(_findings(stream, 0.0, range(3, 16)))
    catalogue.commit_view("score", 16, engine.state(), cleared)
    asyncio.run(notifier.deliver())
    assert [one["id"] for one in sent] == [raised[0].id] * len(sent)
    assert (sent[0]["subject"], sent[0]["state"]) == (f"nervure.alerts.{thing.id}", "unacknowledged")
    assert (sent[-1]["active"], sent[-1]["acknowledged"], sent[-1]["state"]) == (False, True, "normal")
    kept = catalogue.alert(raised[0].id)
    assert kept is not None
    assert (kept.active, kept.acknowledged) == (False, True)
    catalogue.close()
