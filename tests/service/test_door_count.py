"""Those inside are counted now and then: whoever is not there is forgotten."""

from __future__ import annotations

from operator import not_
from pathlib import Path

import pytest

from nervure.core.settings import Settings
from nervure.node import door
from nervure.trust.office import MACHINE
from tests.door import Caller, Place
from tests.patience import eventually
from tests.service.test_device_door import apart, story

pytestmark = pytest.mark.service


def test_who_was_let_in_after_they_had_gone_is_not_inside_for_ever(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The loop stood still for longer than the server waits: the answer goes to nobody."""
    monkeypatch.setattr(door, "COUNT_S", 1.0, raising=False)

    async def told(place: Place) -> None:
        thing, _ = place.thing("mine")
        device = place.office.add_device(MACHINE, "one", thing)
        asked, ask = list[tuple[bytes, bytes]](), place.door._ask
        assert ask is not None
        assert ask.asked is not None
        answer = ask.asked

        def heard(reply: bytes, question: bytes) -> None:
            asked.append((reply, question))
            answer(reply, question)

        ask.asked = heard
        gone = Caller(settings.nats.mqtt_port, "one", device.token, bind="127.0.0.1")
        assert await apart(gone.knock) == 0
        gone.leave()
        await eventually(lambda: place.door.figures()["connected"], equals=0)
        here = Caller(settings.nats.mqtt_port, "one", device.token, bind="127.0.0.2")
        assert await apart(here.knock) == 0
        place.door._asked(*asked[0])
        assert place.door.figures()["connected"] == 2
        await eventually(lambda: place.door.figures()["connected"], equals=1)
        await eventually(lambda: place.catalogue.alerts(active=True, solution="security"), not_)
        assert (place.door.figures()["late"], place.door.figures()["waiting"]) == (0, 0)
        here.leave()
        await eventually(lambda: place.door.figures()["connected"], equals=0)

    story(settings, tmp_path, told)
