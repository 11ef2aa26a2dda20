"""What Tasks say of themselves is their client's word: whatever it is, the walk past all loops goes on."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from nervure.core.error import NervureError
from nervure.core.instant import SECOND_NS
from nervure.core.interlock import Promotion
from nervure.node.drift import Drifts, drifting
from nervure.node.patrol import Patrol
from nervure.node.strayed import LEAST, strayed
from nervure.store.catalogue import Catalogue
from nervure.store.scope import EVERYTHING
from nervure.store.write.writer import Writer
from tests.acting import PUMP, SPEED, loop_of
from tests.unit.test_bell import made, rung

S = SECOND_NS


class Nothing:
    """A store without readings."""

    def last(self, _ids: Any, /) -> dict[int, tuple[int, float]]:
        return {}

    def curves(self, _ids: Any, _start: int, _end: int, /) -> dict[int, Any]:
        return {}

    def about(self, _ids: Any, _start: int, _end: int, /) -> float:
        return 0.0


def task(writer: Writer, loop: int, act: Any) -> None:
    body = {"taskingParameters": {"speed": 30.0}, "properties": {"act": act}}
    writer.create("Task", body | {"TaskingCapability": {"@iot.id": loop}}, EVERYTHING)


def strange(share: Any, usual: Any = 0.03, version: Any = "1") -> dict[str, Any]:
    return {"model": "DQN", "strange": {"share": share, "usual": usual, "version": version}}


@pytest.mark.parametrize(
    "act",
    [
        {"model": ["DQN"]},
        {"model": {"DQN": 1}},
        {"model": None},
        "DQN",
        {"model": "DQN"},
        {"model": "DQN", "strange": None},
        {"model": "DQN", "strange": [0.9, 0.03]},
        strange(10**400),
        strange(float("nan")),
        strange(float("inf")),
        strange(0.9, float("nan")),
        strange(1.5),
        strange(-0.5),
        strange("0.9"),
        strange(True),
        strange(0.9, version="1" * 201),
        strange(0.9, version=["1"]),
    ],
)
def test_whatever_a_task_says_ends_no_walk_and_accuses_nobody(
    catalogue: Catalogue, writer: Writer, act: Any
) -> None:
    _, loop = loop_of(writer, "pump", PUMP | {"rests": ["DQN"]}, SPEED)
    for _ in range(LEAST):
        try:
            task(writer, loop, act)
        except NervureError:
            return  # it is refused at the door
    assert list(strayed(catalogue, loop, {"DQN"})) == []
    loops = made(catalogue, writer)
    with loops.turn():
        loops._keep(loop, replace(loops.standing(loop), mode="auto"))
    patrol = Patrol(catalogue, loops, Drifts(catalogue, Nothing()))
    patrol.look(10 * S)
    patrol.judge(700 * S)
    assert loops.standing(loop).mode == "auto"


def test_what_is_said_at_one_loop_costs_no_other_its_mode(catalogue: Catalogue, writer: Writer) -> None:
    """Who may only act at one pump could take all others that rest on the same controller a step down."""
    (_, mine), (_, other) = (loop_of(writer, one, PUMP | {"rests": ["DQN"]}, SPEED) for one in ("a", "b"))
    for _ in range(LEAST):
        task(writer, mine, strange(0.9))
    loops = made(catalogue, writer)
    with loops.turn():
        for one in (mine, other):
            loops._keep(one, replace(loops.standing(one), mode="auto"))
    patrol = Patrol(catalogue, loops, Drifts(catalogue, Nothing()))
    patrol.look(10 * S)
    patrol.judge(700 * S)
    assert (loops.standing(mine).mode, loops.standing(other).mode) == ("supervised", "auto")
    assert loops.standing(mine).drifting == ("DQN 1",)
    (alert,) = rung(catalogue, "drift")
    assert "90% of what DQN 1 sees is unlike what it was taught on, 3% was then" in alert.text
    patrol.judge(1_400 * S)
    assert loops.standing(mine).mode == "supervised"  # once


def test_who_sees_what_it_was_taught_on_is_not_accused(catalogue: Catalogue, writer: Writer) -> None:
    _, loop = loop_of(writer, "pump", PUMP | {"rests": ["DQN"]}, SPEED)
    for number in range(2 * LEAST):
        task(writer, loop, strange(0.1 + 0.01 * (number % 3)) if number % 4 else {"model": "DQN"})
        task(writer, loop, strange(0.9) | {"model": "another"})
    (found,) = strayed(catalogue, loop, {"DQN"})
    assert (found.rows, round(found.share, 2)) == (15, 0.11)
    assert drifting(found, Promotion()) == ""


def test_a_walk_that_fails_is_logged_and_gone_again(
    catalogue: Catalogue, writer: Writer, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken(Drifts):
        def look(self, names: Any) -> Any:
            raise KeyError("nobody thought of it")

    loop_of(writer, "pump", PUMP, SPEED)
    patrol = Patrol(catalogue, made(catalogue, writer), Broken(catalogue, Nothing()))
    for work in (patrol.look, patrol.judge):
        patrol._safely(work)
    assert "a walk past the loops has failed" in caplog.text
