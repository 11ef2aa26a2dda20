"""A loop that is raised for a reason: what it had not shown is said, written down and kept with its mode."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from nervure.act.standing import Standing, demoted, promoted
from nervure.core.command import Known, Trip
from nervure.core.error import ConflictError
from nervure.node.loops import Loops
from nervure.node.steering import Steering
from nervure.store.catalogue import Catalogue
from nervure.store.scope import EVERYTHING
from nervure.store.write.writer import Writer
from tests.acting import PUMP, SPEED, UNREAD, S, loop_of, pump

MARIA = replace(EVERYTHING, who="maria", kind="user")
LACKS = "advisory and supervised left out: one step at a time; 0 commands were judged in it, 100 are needed"


def test_two_steps_at_once_for_a_reason_say_what_was_left_out(catalogue: Catalogue, writer: Writer) -> None:
    loops = Loops(catalogue, writer, UNREAD, lambda _: "", lambda _: bytes(32), lambda _: "")
    _, loop = loop_of(writer, "pump", PUMP, SPEED)
    steering = Steering(catalogue, writer, loops, lambda: None, lambda *_: True)
    with pytest.raises(ConflictError, match=LACKS):
        steering.change(loop, MARIA, "auto", hours=1.0, because="")
    found = steering.change(loop, MARIA, "auto", hours=1.0, because="a trial")
    assert (found.mode, found.unproven) == ("auto", LACKS)
    line, *_ = steering.log(loop, MARIA, 1, None).lines
    assert (line.detail["why"], line.detail["unproven"], line.detail["to"]) == ("a trial", LACKS, "auto")
    assert steering.change(loop, MARIA, "supervised", hours=1.0, because="enough").unproven == ""
    line, *_ = steering.log(loop, MARIA, 1, None).lines
    assert "unproven" not in line.detail


def test_what_was_shown_needs_no_reason_and_lacks_nothing() -> None:
    shown = Standing(mode="shadow", judged=100, refused=1, drifting=())
    for because in ("", "it is time"):
        found = promoted(shown, pump(), "advisory", "maria", S, because=because)
        assert (found.mode, found.unproven) == ("advisory", "")
    bad = promoted(replace(shown, refused=30, drifting=("m",)), pump(), "advisory", "maria", S, because="so")
    assert bad.unproven == "m drifts; 30.0% of its commands were refused, 2.0% are allowed"
    assert bad.drifting == ("m",)  # known, and no reason to fall again
    assert demoted(bad, S).unproven == ""


def test_no_reason_raises_what_has_tripped_and_none_is_needed_to_lower_it() -> None:
    trip = Trip(rule="belt", time_ns=1, why="")
    stuck = Standing(mode="advisory", judged=500, known=Known(trips=(trip,)))
    with pytest.raises(ConflictError, match="it has tripped"):
        promoted(stuck, pump(), "auto", "maria", S, because="a trial")
    assert promoted(stuck, pump(), "shadow", "maria", S, because="so").mode == "shadow"
