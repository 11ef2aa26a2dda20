from __future__ import annotations

import threading

from nervure.sense.gate import Gate


def test_who_enters_waits_for_room_in_count_and_bytes() -> None:
    for gate in (Gate(count=2, size=1000), Gate(count=10, size=20)):
        assert gate.enter(10)
        assert gate.enter(10)
        entered = threading.Event()
        thread = threading.Thread(target=lambda gate=gate, entered=entered: gate.enter(10) and entered.set())
        thread.start()
        assert not entered.wait(0.05)
        gate.leave(10)
        assert entered.wait(60)
        thread.join()
        assert gate.waiting == 2


def test_one_that_is_larger_than_all_room_still_gets_through_alone() -> None:
    gate = Gate(count=2, size=10)
    assert gate.enter(1000)


def test_closing_wakes_who_waits() -> None:
    gate = Gate(count=1, size=10)
    gate.enter(1)
    answers: list[bool] = []
    thread = threading.Thread(target=lambda: answers.append(gate.enter(1)))
    thread.start()
    gate.close()
    thread.join(60)
    assert answers == [False]
    assert not gate.drained(0.01)
    gate.leave(1)
    assert gate.drained(1)
