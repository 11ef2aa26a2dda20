"""A simulation that begins anew at an hour that is stored: what was read before is not of its present."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from nervure.act.standing import Standing, rule
from nervure.bench.safety.station import read
from nervure.core.command import Proposal
from nervure.core.error import StoreError
from nervure.core.interlock import Declared
from nervure.core.observation import observation_id
from nervure.core.order import Report
from nervure.node.loops import Loops
from nervure.node.there import Present, by_its_time, sensed
from nervure.node.wish import informed
from nervure.store.catalogue import Catalogue
from nervure.store.observations import Observations
from nervure.store.write.writer import Writer
from tests.acting import PUMP, SPEED, S, loop_of
from tests.reading import START, batch
from tests.unit.test_errand import KEY

LOOP, SHOWN, DOOR = 5, 7, 8
NAMES = {"shown": SHOWN, "door": DOOR}
ACT = {
    "simulated": True, "lease": "60s", "age": "100s", "seen": "20s",
    "interlocks": [{"kind": "fresh", "inputs": ["shown"], "within": "30s"}],
    "plan": [{"hold": "50s", "values": {"phase": 0}}],
}  # fmt: skip
HOUR = 3600


class Street:
    """A loop in auto on a real store: its guard reports, readings come, somebody asks."""

    def __init__(self, store: Observations) -> None:
        self.store, self.standing, self.position = store, Standing(mode="auto"), 0
        self.read: Declared = read(ACT, {"phase": "Quantity"})
        self.present = Present(store.last, store.newest_after)

    def report(self, boot: str, second: int) -> None:
        self.position += 1
        said = Report(boot=boot, clock_ns=START + second * S, rules="", values={"phase": 0.0}, holder="plan")
        self.standing = informed(self.standing, self.read, said, START, self.position)

    def reads(self, *readings: tuple[int, int, float]) -> None:
        """Store readings of a simulation, which say when they were sent too: by that two runs differ."""
        self.position += 1
        sent = [START + 24 * HOUR * S + self.position * 10**6] * len(readings)
        self.store.append(batch(self.position, list(readings), result_time=sent), self.position)

    def refused(self, second: int) -> str:
        """Ask for a phase on what was read at a second; why it is refused, or nothing."""
        given = self.present.readings(LOOP, self.read, NAMES, self.standing.anew)
        known = sensed(self.standing.known, self.read, given, START)
        seen_ns = START + second * S
        wish = Proposal(
            id="1", values={"phase": 1.0}, model="m", actor="m", seen_ns=seen_ns, issued_ns=START,
            until_ns=START + 20 * S,
        )  # fmt: skip
        there = replace(self.standing, known=known)
        self.standing, ruling = rule(by_its_time(wish, self.read, known), self.read, there, START)
        return ruling.detail


@pytest.fixture
def street(tmp_path: Path) -> Iterator[Street]:
    store = Observations.open(tmp_path / "observations")
    found = Street(store)
    found.report("one", 0)
    for second in range(10, HOUR, 10):
        found.reads((SHOWN, second, 1.0), (DOOR, second, 1.0))
    assert found.refused(HOUR - 10) == ""  # what was read tells the time, though no report did
    yield found
    store.close()


def test_what_it_asks_at_the_same_hour_once_more_is_let_through(street: Street) -> None:
    street.report("two", 0)
    assert "shown is not known" in street.refused(0)
    for second in (10, 20, 30):
        street.reads((SHOWN, second, 1.0))
        assert street.refused(second) == ""
    street.report("two", 60)
    assert "30 s old; 20s is allowed" in street.refused(30)


def test_what_was_read_before_is_never_fresh_for_it(street: Street) -> None:
    """The thermometer that spoke at this hour of the run before is silent in this one."""
    street.report("two", 0)
    street.reads((DOOR, 10, 0.0))
    for second in (60, HOUR - 10, HOUR):
        street.report("two", second)
        assert "shown is not known" in street.refused(second)
    street.reads((SHOWN, 100, 1.0))  # it came late: it is as old as it says
    assert f"{HOUR - 100} s old; 30s is allowed" in street.refused(HOUR).replace("3.5e+03", "3500")


def test_past_its_last_hour_newest_readings_count_again(street: Street) -> None:
    street.report("two", HOUR - 20)
    street.reads((SHOWN, HOUR - 10, 1.0), (SHOWN, HOUR, 1.0), (SHOWN, HOUR + 10, 2.0))
    assert street.refused(HOUR + 10) == ""
    assert street.present.readings(LOOP, street.read, NAMES, street.standing.anew) == {
        "shown": (2.0, START + (HOUR + 10) * S)
    }
    street.reads((SHOWN, HOUR + 20, 3.0), (DOOR, 5, 3.0))  # a door that speaks for the first time since
    assert street.present.readings(LOOP, street.read, NAMES, street.standing.anew) == {
        "shown": (3.0, START + (HOUR + 20) * S),
        "door": (3.0, START + 5 * S),
    }


def test_an_older_start_that_is_repeated_makes_nothing_fresh(street: Street) -> None:
    """Who plays back a report of the run before begins anew too: nothing that was stored is of that."""
    street.report("two", 0)
    street.reads((SHOWN, 10, 1.0))
    assert street.refused(10) == ""
    street.report("one", HOUR - 10)
    assert "shown is not known" in street.refused(HOUR - 10)


def test_devices_that_go_by_our_time_are_told_what_is_newest(street: Street) -> None:
    ours = read({**ACT, "simulated": False}, {"phase": "Quantity"})
    found = street.present.readings(LOOP, ours, NAMES, 10**6)
    assert found["shown"] == (1.0, START + (HOUR - 10) * S)


def test_an_input_that_is_learned_of_later_counts_from_the_start_on(street: Street) -> None:
    street.report("two", 0)
    street.reads((SHOWN, 10, 1.0), (DOOR, 10, 4.0))
    alone = street.present.readings(LOOP, street.read, {"shown": SHOWN}, street.standing.anew)
    assert alone == {"shown": (1.0, START + 10 * S)}
    both = street.present.readings(LOOP, street.read, NAMES, street.standing.anew)
    assert both == {**alone, "door": (4.0, START + 10 * S)}


def test_what_the_disk_does_not_tell_is_not_known(street: Street) -> None:
    def away(*_: object) -> dict[int, tuple[int, float, int]]:
        raise StoreError("the disk does not answer")

    street.report("two", 0)
    street.reads((SHOWN, 10, 1.0))
    street.present = Present(street.store.last, away)
    assert "shown is not known" in street.refused(10)


def test_the_newest_after_an_id_are_the_same_in_memory_and_in_files(street: Street) -> None:
    street.reads((SHOWN, 30, 5.0), (SHOWN, 20, 6.0))
    newest = street.position
    street.reads((SHOWN, 5, 7.0))
    for _ in range(2):
        seen = street.store.newest_after([SHOWN, DOOR], observation_id(newest) - 1)
        assert seen == {SHOWN: (START + 30 * S, 5.0, observation_id(newest + 1))}
        assert street.store.newest_after([DOOR], observation_id(newest)) == {}
        street.store.seal()


def test_a_new_start_outlives_what_others_get_wrong(catalogue: Catalogue, writer: Writer) -> None:
    """A message of anybody that cannot be kept has all loops forget what is not in the catalogue."""
    thing, loop = loop_of(writer, "pump", {**PUMP, "simulated": True}, SPEED)
    loops = Loops(
        catalogue, writer, Present(lambda _: {}, lambda *_: {}), lambda _: "", KEY.derived, lambda _: ""
    )
    for position, boot in ((3, "one"), (9, "two")):
        said = Report(boot=boot, clock_ns=START, rules="", values={"speed": 20.0}, holder="plan")
        with loops.turn():
            loops.heard(thing, loop, said, START + position, position)
        with pytest.raises(ValueError, match="garbage"), loops.turn():
            raise ValueError("garbage")
        assert (loops.standing(loop).boot, loops.standing(loop).anew) == (boot, position)
