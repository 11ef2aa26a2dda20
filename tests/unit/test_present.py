"""A simulation that begins anew at an hour that is stored: what was read before is not of its present."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from nervure.act.standing import Standing, rule
from nervure.bench.safety.station import read
from nervure.core.command import Proposal
from nervure.core.interlock import Declared
from nervure.core.order import Report
from nervure.node.there import Present, by_its_time, sensed
from nervure.node.wish import informed
from nervure.store.observations import Observations
from tests.acting import S
from tests.reading import START, batch

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
        self.present = Present(store.last, store.since)

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
