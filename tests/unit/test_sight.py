"""Detectors that say that nobody is there, and when that is not believed; what waits are worth."""

import numpy as np
from numpy.typing import NDArray

from nervure.act.controller.pressure import MaxPressure
from nervure.core.junction import Junction
from nervure.core.sight import FEATURES, Sight

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


def _said(**lanes: tuple[float, float, float]) -> dict[str, float]:
    """Readings about lanes, each with its count, queue and wait."""
    said = seen()
    for lane, told in lanes.items():
        what = zip(("count", "queue", "wait"), told, strict=True)
        said |= {CROSS.reading(lane, one): value for one, value in what}
    return said


def _worth(**lanes: tuple[float, float, float]) -> tuple[Sight, NDArray[np.float64]]:
    """Look at lanes once while ns is on."""
    sight = Sight(CROSS)
    sight.look(_said(**lanes), 0.0)
    return sight, sight.worth(10.0)


def test_who_waits_goes_where_the_junction_is_idle() -> None:
    """Two vehicles roll through on n while one has stood on e for half a minute."""
    rolls, stood = (2.0, 0.0, 0.0), (1.0, 1.0, 30.0)
    assert MaxPressure([CROSS]).decide(_said(n=rolls, e=stood), 0.0) == {CROSS.command: 1.0}
    assert MaxPressure([CROSS]).decide(_said(n=rolls, e=(1.0, 1.0, 5.0)), 0.0) == {CROSS.command: 0.0}
    _, worth = _worth(n=rolls, e=stood)
    np.testing.assert_allclose(worth, [2.0, 0.6 * (2.0 + (1 - 2 / 5) * 30 / 10)])


def test_throughput_counts_where_a_lane_holds_more_than_a_green_clears() -> None:
    """Whoever waits elsewhere: a change would keep many from going."""
    for wait_s in (0.0, 30.0, 90.0):
        lanes = {"n": (6.0, 0.0, 0.0), "e": (4.0, 4.0, wait_s)}
        assert MaxPressure([CROSS]).decide(_said(**lanes), 0.0) == {CROSS.command: 0.0}
        np.testing.assert_allclose(_worth(**lanes)[1], [6.0, 4.8])


def test_only_who_stands_and_has_room_ahead_presses_by_its_wait() -> None:
    _, worth = _worth(e=(1.0, 0.0, 30.0))
    np.testing.assert_allclose(worth, [0.0, 0.6])
    jam, _ = _worth(e=(1.0, 1.0, 30.0))
    jam.full = np.ones(1)
    assert jam.worth(10.0).tolist() == [0.0, 0.0]


def test_a_learned_controller_sees_the_same_press_as_ever() -> None:
    """Packages that are signed already have learned what it means: how waits count is max-pressure's own."""
    sight, worth = _worth(e=(1.0, 1.0, 30.0))
    told = sight.features(10.0)[:, FEATURES.index("press")]
    np.testing.assert_allclose(told, [0.0, 2 * (1 + 30 / 240) * 0.6 / 20], rtol=1e-6)
    assert worth[1] > 20 * told[1]
