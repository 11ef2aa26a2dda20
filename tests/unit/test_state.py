"""States of an alert after ISA-18.2: every way through, and what a person did stays done."""

from __future__ import annotations

import pytest

from nervure.act.state import State, acknowledge, clear, is_shelved, merge, shelve, state_of, unshelve
from nervure.core.alert import Alert
from nervure.core.error import DataError

RAISED = Alert(
    id="a", solution="water", rule="water.burst", severity="major", thing=1, datastream=11, text="",
    start_ns=0, raised_ns=1,
)  # fmt: skip


@pytest.mark.parametrize(
    ("alert", "state"),
    [
        (RAISED, "unacknowledged"),
        (acknowledge(RAISED, "mara"), "acknowledged"),
        (clear(RAISED, 5), "returned"),
        (acknowledge(clear(RAISED, 5), "mara"), "normal"),
        (clear(acknowledge(RAISED, "mara"), 5), "normal"),
        (shelve(RAISED, 99, "mara", "works"), "shelved"),
        (shelve(RAISED, 10, "mara", "works"), "unacknowledged"),
        (unshelve(shelve(RAISED, 99, "mara", "works")), "unacknowledged"),
    ],
)
def test_every_way_through(alert: Alert, state: State) -> None:
    assert state_of(alert, 10) == state


def test_the_first_who_acknowledges_stays_on_it() -> None:
    twice = acknowledge(acknowledge(RAISED, "mara"), "tomas")
    assert twice.properties["acknowledged_by"] == "mara"


def test_the_end_of_what_is_over_does_not_move() -> None:
    assert clear(clear(RAISED, 5), 9).end_ns == 5


@pytest.mark.parametrize(("who", "why"), [("", "works"), ("mara", " ")])
def test_shelving_needs_a_person_and_a_reason(who: str, why: str) -> None:
    with pytest.raises(DataError, match="needs a person and a reason"):
        shelve(RAISED, 99, who, why)


def test_rules_never_overwrite_what_a_person_did() -> None:
    kept = shelve(acknowledge(RAISED, "mara"), 99, "mara", "works")
    new = merge(kept, clear(RAISED, 5))
    assert (new.active, new.end_ns, new.acknowledged, new.shelved_until_ns) == (False, 5, True, 99)
    assert new.properties == kept.properties
    assert is_shelved(new, 98)
