"""Signals without an engine: what detectors tell, rules, the shield, faults, and what is promoted."""

import math
from collections.abc import Mapping

import msgspec
import numpy as np
import pytest

from nervure.act.controller.api import Controller
from nervure.act.controller.fixed import FixedPlan
from nervure.act.controller.greedy import GreedyQueue
from nervure.act.controller.pressure import MaxPressure
from nervure.act.controller.shield import Shield
from nervure.act.controller.webster import Webster, split
from nervure.bench.forecast.document import Machine
from nervure.bench.signal.document import assemble
from nervure.bench.signal.job import Job, Kept, Run
from nervure.bench.signal.page import write_page
from nervure.core.error import DataError
from nervure.core.junction import Junction
from nervure.core.paired import paired
from nervure.core.sight import Sight
from nervure.twin.api import TwinError
from nervure.twin.fault import KINDS, Fault, Faults, mixed

CROSS = Junction(
    name="J",
    lanes=("n", "e", "s", "w"),
    outs=("no", "eo"),
    phases=("ns", "ew"),
    served=((1.0, 0.0, 1.0, 0.0), (0.0, 1.0, 0.0, 1.0)),
    leads=((1.0, 0.0), (0.0, 1.0), (1.0, 0.0), (0.0, 1.0)),
    plan_s=(30.0, 20.0),
)


def seen(counts: Mapping[str, float], **more: float) -> dict[str, float]:
    found = dict.fromkeys((CROSS.full(one) for one in CROSS.outs), 0.0)
    for lane in CROSS.lanes:
        count = counts.get(lane, 0.0)
        for what in ("count", "queue", "wait", "arrivals"):
            found[CROSS.reading(lane, what)] = count
    return found | more


class Say:
    """A controller that says what it is told to."""

    name, every_s = "say", 10.0

    def __init__(self, *values: float) -> None:
        self._values = list(values)

    def decide(self, seen: Mapping[str, float], now_s: float) -> Mapping[str, float]:
        value = self._values.pop(0) if len(self._values) > 1 else self._values[0]
        if math.isinf(value):
            raise RuntimeError("broken")
        return {CROSS.command: value}


def phases(
    controller: Controller, views: list[dict[str, float]], every_s: float = 10.0
) -> list[float | None]:
    return [controller.decide(one, at * every_s).get(CROSS.command) for at, one in enumerate(views)]


def test_max_pressure_goes_where_most_waits_and_there_is_room() -> None:
    assert phases(MaxPressure([CROSS]), [seen({"e": 5.0, "n": 2.0})]) == [1.0]
    jam = seen({"e": 5.0, "n": 2.0}, **{CROSS.full("eo"): 1.0})
    assert phases(MaxPressure([CROSS]), [jam]) == [0.0]
    assert phases(GreedyQueue([CROSS]), [jam]) == [1.0]  # which is why it is not the default
    assert phases(MaxPressure([CROSS]), [seen({})]) == [0.0]  # of equals the one that is on


def test_another_phase_has_to_be_worth_its_clearance() -> None:
    near, far = seen({"n": 4.0, "e": 6.0}), seen({"n": 4.0, "e": 7.0})
    assert phases(MaxPressure([CROSS]), [near]) == [0.0]  # 4 of 10 s are lost by a change: 6 count as 3.6
    assert phases(MaxPressure([CROSS]), [far]) == [1.0]
    assert phases(MaxPressure([CROSS]), [far, near]) == [1.0, 1.0]
    both = msgspec.structs.replace(CROSS, served=((1.0, 0.0, 1.0, 0.0), (1.0, 1.0, 0.0, 0.0)))
    keeps = seen({"n": 9.0, "e": 0.1})  # lane n has the way in both and loses nothing
    assert phases(MaxPressure([both]), [keeps]) == [1.0]
    slow = msgspec.structs.replace(CROSS, yellow_s=6.0)
    assert phases(MaxPressure([slow]), [far]) == [0.0]


def test_nobody_waits_for_ever_by_max_pressure() -> None:
    told = phases(MaxPressure([CROSS]), [seen({"n": 9.0 + at % 2, "e": 0.5}) for at in range(40)])
    gaps = np.diff([at for at, one in enumerate(told) if one == 1.0])
    assert 1.0 in told
    assert gaps.max() * 10 <= CROSS.max_red_s


def test_fixed_time_follows_its_plan_and_webster_the_flows() -> None:
    told = phases(FixedPlan([CROSS]), [{} for _ in range(56)], 1.0)
    assert told == [0.0] * 33 + [1.0] * 23
    greens = split(np.array([0.05, 0.2, 0.05, 0.2]), np.array(CROSS.served), yellow_s=3.0, min_green_s=5.0)
    assert greens[1] > 2 * greens[0]
    busy = [seen({"n": 1.0, "e": float(3 + at % 2)}) for at in range(400)]
    told = phases(Webster([CROSS]), busy, 5.0)[200:]
    assert told.count(1.0) > 1.5 * told.count(0.0)


def test_a_shield_lets_pass_what_is_sane() -> None:
    shield = Shield(Say(0.0, 1.0, 1.0, 0.0), [CROSS])
    busy = [seen({"n": 2.0 + at, "e": 2.0 + at}) for at in range(4)]
    assert phases(shield, busy) == [0.0, 1.0, 1.0, 0.0]
    assert shield.verdicts == {"passed": 4}


@pytest.mark.parametrize("value", [math.nan, 0.5, -1.0, 7.0, math.inf])
def test_a_shield_decides_by_itself_where_the_controller_says_nonsense(value: float) -> None:
    shield = Shield(Say(value), [CROSS])
    busy = [seen({"n": 1.0, "e": 5.0 + at}) for at in range(3)]
    assert phases(shield, busy) == [0.0, 1.0, 1.0]  # who knows how young the green was at the start
    assert shield.verdicts["invalid"] == 3


def test_a_green_is_not_cut_short() -> None:
    shield = Shield(Say(0.0, 1.0, 0.0, 1.0), [CROSS])
    busy = [seen({"n": 2.0 + at, "e": 2.0 + at}) for at in range(6)]
    told = phases(shield, busy, 2.0)  # decides every two seconds, green lasts five
    held = np.diff(np.flatnonzero(np.diff(np.array(told, np.float64)))) * 2.0
    assert (held >= CROSS.min_green_s).all()
    assert shield.verdicts["green"]


def test_who_starves_somebody_is_overruled_in_time_and_then_not_asked() -> None:
    shield = Shield(Say(0.0), [CROSS])
    views = [
        seen({"n": 9.0 - at % 2, "e": 3.0 + at % 2}, **{CROSS.reading("e", "wait"): 10.0 * at})
        for at in range(60)
    ]
    told = phases(shield, views)
    assert told.index(1.0) * 10 + CROSS.yellow_s <= CROSS.max_red_s
    assert shield.verdicts["benched"] >= 40
    assert shield.verdicts["red"] >= 1
    assert Sight(CROSS).due(10.0) is None


def test_without_eyes_the_local_plan_has_it() -> None:
    shield = Shield(MaxPressure([CROSS]), [CROSS])
    assert phases(shield, [{}, seen({"n": 1.0, "e": 4.0})]) == [None, 1.0]
    assert shield.verdicts["blind"] == 1


def test_a_detector_that_says_the_same_for_long_is_not_believed() -> None:
    sight = Sight(CROSS)
    for at in range(30):
        sight.look(seen({"n": 8.0, "e": float(at % 3)}), at * 10.0)
    assert sight.trusted.tolist() == [False, True, True, True]
    assert sight.features().shape == (2, 9)
    assert np.isfinite(sight.features()).all()


def test_a_lane_nobody_sees_is_as_those_that_go_with_it() -> None:
    sight = Sight(CROSS)
    for at in range(40):  # n says that nobody ever comes, which s gives the lie
        sight.look(seen({"n": 0.0, "s": 3.0 + at % 2, "e": float(at == 30)}), at * 10.0)
        assert sight.trusted[0] == (at <= 30)
    assert sight.count.tolist() == [4.0, 0.0, 4.0, 0.0]  # nobody in e and w is believed: one came lately
    gone = Sight(CROSS)
    blind = {name: math.nan for lane in "ns" for name in seen({}) if name.startswith(f"J/{lane}/")}
    counts = []
    for at in range(8):
        gone.show(0 if at < 4 else 1)
        gone.look(seen({"e": 2.0 + at % 2}) | blind, at * 10.0)
        counts.append(float(gone.count[0]))
    assert counts[:4] == sorted(counts[:4], reverse=True)  # the longer green, the emptier
    assert counts[3] < 0.5 < counts[4]
    assert counts[4:] == sorted(counts[4:])  # the longer red, the fuller
    assert not gone.trusted[[0, 2]].any()


def test_what_a_stuck_detector_says_is_not_learned() -> None:
    sight = Sight(CROSS)
    for at in range(20):
        sight.look(seen({"n": 9.0, "s": 9.0, "e": float(at % 3)}), at * 10.0)
    assert not sight.trusted[[0, 2]].any()
    assert sight.count[0] < 0.2  # green for long; by what the detector said it would be nine
    full = seen({"e": 5.0, "n": 2.0}, **{CROSS.full("eo"): 8.0})
    sight.look(full, 200.0)
    assert sight.full.tolist() == [0.0, 0.0]  # eight times full is no reading


def test_faults_hit_whole_detectors_the_same_way_for_the_same_seed() -> None:
    names = [CROSS.reading(lane, what) for lane in CROSS.lanes for what in ("count", "queue")]
    values = dict.fromkeys(names, 4.0)
    for kind in KINDS:
        of = "J/e/*"
        faults = Faults([Fault(kind=kind, of=of, value=0.5, begin_s=10.0, steps=2)], names)
        before = faults.through(dict.fromkeys(names, 1.0), 0.0)
        assert before == dict.fromkeys(names, 1.0)
        faults.through(dict.fromkeys(names, 1.0), 10.0)
        hit = faults.through(values, 20.0)
        assert {one for one in names if hit[one] != 4.0} == {"J/e/count", "J/e/queue"}
        wanted = {"drop": math.nan, "delay": 1.0, "bias": 2.0, "stuck": 1.0, "spoof": 0.5}[kind]
        assert hit["J/e/count"] == pytest.approx(wanted, nan_ok=True)
    late = Faults([Fault(kind="delay", of="J/e/count", steps=2)], names)
    told = [late.through({"J/e/count": float(at)}, 10.0 * at)["J/e/count"] for at in range(5)]
    assert told[2:] == [0.0, 1.0, 2.0]
    assert math.isnan(told[0])
    one, other = (mixed(0.5, names, seed=3).names for _ in range(2))
    assert one == other
    assert len(one) == 4
    with pytest.raises(TwinError, match="hits nothing"):
        Faults([Fault(kind="drop", of="K/*")], names)


def test_a_difference_is_chance_until_it_is_not() -> None:
    draw = np.random.default_rng(0)
    base = draw.normal(20.0, 3.0, 12)
    assert paired((base - 2.0 + draw.normal(0, 0.2, 12)).tolist(), base.tolist()).p < 0.01
    assert paired((base + draw.normal(0, 1.0, 12)).tolist(), base.tolist()).p > 0.05
    large = [847409.6, 761736.5, 484997.3, 124444.3, 292748.4, 816721.9, 757086.0, 292082.4]
    assert paired(large, [0.0] * 8).p == 2 / 2**8  # what is summed in another order is the same
    with pytest.raises(DataError):
        paired([1.0], [2.0])


def kept(controller: str, delay: float, seeds: int = 10, **more: float) -> Kept:
    job = Job(net="crossing", controller=controller, seeds=tuple(range(seeds)), **more)  # type: ignore[arg-type]
    kpis = {"delay": delay, "wait": delay / 2, "travel": delay + 40, "arrived": 9.0, "running": 1.0,
            "pending": 0.0, "collisions": 0.0, "standstill": 20.0, "longest_red": 60.0}  # fmt: skip
    runs = tuple(
        Run(seed=seed, kpis={**kpis, "delay": delay + 0.1 * seed, "travel": delay + 40 + 0.1 * seed})
        for seed in job.seeds
    )
    return Kept(job=job, runs=runs)


def test_only_what_is_clearly_better_is_promoted() -> None:
    runs = [kept("fixed", 40.0), kept("max-pressure", 20.0), kept("greedy queue", 25.0),
            kept("double DQN", 18.0), kept("PPO", 19.8), kept("starve 0", 60.0)]  # fmt: skip
    found = assemble([], runs, made="2026-01-01", machine=Machine(), engine="none", full=True)
    told = {one.controller: one for one in found.promotions}
    assert told["double DQN"].promoted
    assert told["double DQN"].rule == "max-pressure"
    assert not told["PPO"].promoted  # better, but by less than 3 %
    few = [kept("max-pressure", 20.0, 5), kept("double DQN", 10.0, 5)]
    again = assemble([], few, made="2026-01-01", machine=Machine(), engine="none", full=False)
    assert not again.promotions[0].promoted
    assert not found.starved[0].kept
    assert round(found.starved[0].times_fixed, 2) == 1.49
    page = write_page(found)
    assert "| double DQN | max-pressure, 20.4" in page.replace("crossing | ", "")
    assert "not kept" in page
