"""What nobody listened to is no silence: a node that was away, or is behind, rings for no device."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import msgspec
import pytest

from nervure.core.instant import DAY_NS, SECOND_NS
from nervure.core.observation import Batch, observation_id
from nervure.core.settings import Settings
from nervure.node import hearing
from nervure.node.meter import Meter
from nervure.node.past import Elsewhere
from nervure.node.watch import Watch
from nervure.solutions import find
from nervure.store.catalogue import Catalogue
from nervure.store.provision import Place, provision
from nervure.stream.log import Log, address_of

MINUTE_NS = 60 * SECOND_NS
BEGIN = 1_788_000_000_000_000_000
TRAFFIC = find("traffic")  # silent > 15min


class Town:
    """Two detectors, and a clock on the wall that only this moves."""

    def __init__(self, settings: Settings, catalogue: Catalogue) -> None:
        self.now = BEGIN
        self.settings, self.catalogue = settings, catalogue
        provision(catalogue, TRAFFIC, [Place(name="a"), Place(name="b")])
        known = catalogue.datastreams(solution="traffic")
        self.speed = [one.id for one in known if one.signal == "speed" and one.kind == "reading"]
        self.start()

    def start(self) -> None:
        """Begin as a node does, where the last commit was."""
        log = Log(address_of(self.settings, "nats://127.0.0.1:1"), 1 << 20)
        self.watch = Watch(self.catalogue, Elsewhere(), log, Meter(), self.settings)
        self.watch.add(TRAFFIC)
        self.watch.restore()

    def read(self, place: int, position: int, at_ns: int) -> None:
        """Take a reading of one of them, as of ``at_ns``."""
        one = Batch.of(
            id=[observation_id(position)], datastream=[self.speed[place]], time=[at_ns], value=[50.0]
        )
        self.watch.take(one, position)

    def silent(self) -> list[int]:
        """Let time pass as a commit does; return the detectors that are said to be silent."""
        asyncio.run(self.watch.commit())
        open_ = self.catalogue.alerts(active=True, solution="traffic", limit=99)
        return sorted(self.speed.index(one.datastream) for one in open_ if one.rule == "traffic.silent")


@pytest.fixture
def town(tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Town]:
    settings = msgspec.structs.replace(settings, data=str(tmp_path / "town"))
    settings.folder.mkdir(parents=True)
    catalogue = Catalogue.open(settings.catalogue_place)
    found = Town(settings, catalogue)

    def clock() -> int:
        return found.now

    monkeypatch.setattr(hearing, "time", SimpleNamespace(time_ns=clock))
    yield found
    catalogue.close()


def _both(town: Town, position: int) -> None:
    for place in (0, 1):
        town.read(place, position + place, town.now)
    town.watch.ended(position + 1, town.now)


def test_who_is_silent_while_all_is_heard_is_told(town: Town) -> None:
    _both(town, 1)
    assert town.silent() == []
    for minute in range(1, 17):
        town.now = BEGIN + minute * MINUTE_NS
        town.read(0, 2 + minute, town.now)
        town.watch.ended(2 + minute, town.now)
        assert town.silent() == ([1] if minute > 15 else [])


def test_what_lies_in_the_log_unread_is_no_silence(town: Town) -> None:
    """The catalogue was away, or the loop stood still: readings came, and wait to be worked on."""
    _both(town, 1)
    assert town.silent() == []
    town.now += 40 * MINUTE_NS
    town.watch.ended(99, town.now)
    assert town.silent() == []
    town.read(0, 50, town.now - MINUTE_NS)  # and one is read before the other
    assert town.silent() == []
    town.read(1, 99, town.now - MINUTE_NS)
    assert town.silent() == []


def test_a_node_that_was_away_waits_for_devices_to_come_back(town: Town) -> None:
    _both(town, 1)
    assert town.silent() == []
    for away in (40 * MINUTE_NS, 3 * DAY_NS):  # a short repair, a weekend
        town.now += away
        town.start()
        assert town.silent() == []
        position = town.watch.position + 1
        town.watch.ended(position, town.now)
        town.read(0, position, town.now)
        assert town.silent() == []
        for minute in range(1, 17):
            town.now += MINUTE_NS
            town.read(0, position + minute, town.now)
            town.watch.ended(position + minute, town.now)
            found = town.silent()
        assert found == [1], "who does not come back is told after as long as ever"
        town.read(1, position + 20, town.now)
        town.watch.ended(position + 20, town.now)
        assert town.silent() == []


def test_a_clock_that_is_set_makes_nobody_silent(town: Town) -> None:
    _both(town, 1)
    assert town.silent() == []
    town.now += 60 * MINUTE_NS
    town.watch.ended(2, town.now)
    assert town.silent() == []


def test_old_data_that_are_read_again_say_who_was_silent_then(town: Town) -> None:
    for minute in range(30):
        town.read(0, minute + 1, BEGIN - 900 * DAY_NS + minute * MINUTE_NS)
        if minute < 5:
            town.read(1, minute + 1, BEGIN - 900 * DAY_NS + minute * MINUTE_NS)
        if minute == 10:
            assert town.silent() == []
            town.start()
    assert town.silent() == [1]
