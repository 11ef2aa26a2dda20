"""Detectors that say that nobody is there, and when that is not believed."""

from nervure.act.controller.pressure import MaxPressure
from nervure.core.junction import Junction
from nervure.core.sight import Sight

CROSS = Junction(
    name="J",
    lanes=("n", "e", "s", "w"),
    outs=("o",),
    phases=("ns", "ew"),
    served=((1.0, 0.0, 1.0, 0.0), (0.0, 1.0, 0.0, 1.0)),
    leads=((1.0,), (1.0,), (1.0,), (1.0,)),
    plan_s=(30.0, 20.0),
)


def seen(**counts: float) -> dict[str, float]:
    found = {CROSS.full("o"): 0.0}
    for lane in CROSS.lanes:
        found |= {CROSS.reading(lane, what): counts.get(lane, 0.0) for what in ("count", "queue", "arrivals")}
        found[CROSS.reading(lane, "wait")] = 0.0
    return found


def test_an_approach_all_of_whose_detectors_are_dead_gets_more_than_the_least() -> None:
    """Both lanes of e and w say for ever that nobody is there: neither gives the other the lie."""
    rule = MaxPressure([CROSS])
    views = [seen(n=1.0 + at % 2, s=float(at % 2)) for at in range(200)]
    shown = [rule.decide(one, at * 10.0)[CROSS.command] for at, one in enumerate(views)]
    assert sum(shown[:30]) <= 4  # until then they are taken at their word, but for the least
    assert sum(shown[50:]) >= 2 * 150 * 10 / CROSS.max_red_s


def test_an_empty_junction_is_believed_to_be_empty() -> None:
    sight = Sight(CROSS)
    for at in range(60):
        sight.look(seen(n=float(at == 3)), at * 10.0)
    assert sight.trusted.all()
    assert sight.count.tolist() == [0.0] * 4


def test_a_lane_where_traffic_was_dense_is_missed_sooner() -> None:
    """It was seen in nearly every look: two minutes of nobody are enough to serve it unseen."""
    sight, due = Sight(CROSS), None
    for at in range(100):
        sight.look(seen(n=1.0 + at % 3, s=1.0 + at % 2, e=float(at % 2)), at * 10.0)
        sight.show(at // 2 % 2)
    sight.show(0)
    for at in range(100, 113):
        sight.look(seen(n=1.0 + at % 3, s=1.0 + at % 2), at * 10.0)
        due = sight.due(10.0)
        if due is not None:
            break
    assert due == 1
    assert at <= 110
