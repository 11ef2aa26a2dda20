"""A guard's local plan while a state that has waited long cuts in."""

from nervure.act.loop import Loop
from nervure.bench.safety.street import rules
from nervure.core.junction import Junction

FOUR = Junction(
    name="J",
    lanes=("a", "b", "c", "d"),
    outs=("o",),
    phases=("0", "1", "2", "3"),
    served=((1, 0, 0, 0), (0, 1, 0, 0), (0, 0, 1, 0), (0, 0, 0, 1)),
    leads=((1.0,),) * 4,
    plan_s=(33.0, 6.0, 33.0, 6.0),
)


def test_a_plan_goes_on_by_its_clock_after_a_state_that_cut_in() -> None:
    """If it began anew each time, its first phase would be shown for ever and its third hardly at all."""
    loop = Loop(rules(FOUR), {"phase": 0.0}, model="nobody", now_ns=0)
    shown = [loop.step(at * 5_000_000_000)["phase"] for at in range(4 * 18)]
    for begin in (18, 36, 54):  # of 90 s each: 36, 9, 36 and 9 s in steps of five
        assert [shown[begin : begin + 18].count(float(phase)) for phase in range(4)] == [7, 2, 7, 2]
