"""Claims of leaks, their scores, transients and burst risk: small, and without EPANET."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np
import pytest

from nervure.core.error import DataError
from nervure.learn.detect.block import Block
from nervure.learn.detect.leak.burst import AgeOnly, PipeRisk, concordance, histories
from nervure.learn.detect.leak.epanet import Pipes
from nervure.learn.detect.leak.hunt import hunt
from nervure.learn.detect.leak.joint import Tuning
from nervure.learn.detect.leak.network import Places
from nervure.learn.detect.leak.scenario import Hole, Scenario, Year, emitter
from nervure.learn.detect.leak.scene import Scene, Seen
from nervure.learn.detect.leak.score import judge
from nervure.learn.detect.leak.suite import night_flow
from nervure.learn.detect.leak.transient import KINDS, signals
from nervure.learn.detect.leak.watch import Evidence, Setup, likeliest, limits, located, watch, whiten
from nervure.learn.detect.leak.ways import Open, Plant
from nervure.learn.detect.models.leak import InflowLstm, LeakAutoencoder
from nervure.learn.detect.train import Effort

DAY = 48
HALF_HOUR_NS = 1_800_000_000_000
EMPTY, NONE = np.zeros(0), np.zeros(0, np.int64)
APART = np.abs(np.subtract.outer(np.arange(6) * 500.0, np.arange(6) * 500.0))


def noise(rows: int = 4000, seed: int = 0) -> Evidence:
    random = np.random.default_rng(seed)
    way = np.random.default_rng(99).standard_normal((2, 4, 6))
    return Evidence(random.standard_normal((rows, 4)), random.integers(0, 2, rows), way)


def leaking(evidence: Evidence, place: int, start: int, stop: int, size: float = 1.0) -> Evidence:
    z = evidence.z.copy()
    z[start:stop] += size * evidence.way[evidence.load[start:stop], :, place]
    return evidence._replace(z=z)


def test_a_leak_is_claimed_named_and_its_repair_seen() -> None:
    setup = Setup(year=4000)
    limit = limits(noise(seed=1), setup)
    claims = watch(leaking(noise(), 3, 1000, 2000), limit, setup, APART)
    kinds = [claim.kind for claim in claims]
    assert kinds[0] == "leak"
    assert claims[0].place == 3
    assert 1000 <= claims[0].row < 1020
    assert claims[0].size == pytest.approx(1.0, abs=0.3)
    assert any(claim.kind == "repair" and 2000 <= claim.row < 2020 for claim in claims)
    assert kinds.count("leak") == 1


def test_quiet_rows_are_left_in_peace() -> None:
    setup = Setup(year=4000)
    limit = limits(noise(seed=1), setup)
    claims = [watch(noise(seed=seed), limit, setup, APART) for seed in range(5, 9)]
    assert sum(len(one) for one in claims) <= 2 * len(claims)  # two a year are granted


class Toy(Scene):
    """A network that is linear, with leaks of size 5: place, first block, and the block of the repair."""

    def __init__(self, leaks: tuple[tuple[int, int, int], ...], *, fault: float = 0.0, seed: int = 0) -> None:
        random = np.random.default_rng(seed)
        self.count, self.rows, self.heads = 400, 6, 12
        self.way = np.random.default_rng(7).standard_normal((12, 6)).astype(np.float32)
        self.read = random.standard_normal((self.count, 12))
        self.read[200:, 3] += fault
        for place, since, until in leaks:
            self.read[since:until] += 5.0 * self.way[:, place]
        self.spots = Places(Pipes((), np.zeros((0, 2), np.int64), EMPTY, EMPTY), NONE, EMPTY, APART, EMPTY)
        self.plant = Plant.__new__(Plant)
        self.plant.spots = self.spots

    def look(self, blocks: Sequence[int], open_: Open) -> list[Seen]:
        drive = np.array([1.0, 0.2, 0.0])
        return [Seen(self.read[one], self.way, drive, open_) for one in blocks]


def test_leaks_are_told_apart_while_both_are_open() -> None:
    claims = hunt(Toy(((1, 100, 300), (4, 150, 400))), Tuning(), 10)
    told = [(one.kind, one.place) for one in claims if one.kind != "news"]
    assert told == [("leak", 1), ("leak", 4), ("repair", 1)]
    first, second, _ = (one for one in claims if one.kind != "news")
    assert 600 <= first.row < 612
    assert 900 <= second.row < 912
    assert first.size == pytest.approx(5.0, rel=0.3)


def test_quiet_blocks_and_a_sensor_that_is_off_are_no_leaks() -> None:
    assert hunt(Toy(()), Tuning(), 10) == []
    assert [one for one in hunt(Toy((), fault=4.0), Tuning(), 10) if one.kind == "leak"] == []


def test_an_abrupt_leak_that_is_missed_is_as_late_as_it_was_open() -> None:
    hole = Hole(pipe="a", start=10, stop=58, diameter_m=0.02)
    scenario = Scenario(network="hanoi", rows=100, clean=10, holes=(hole,))
    toy = Toy(())
    block = Block(name="x", channels=("a",), value=np.zeros((100, 1)), time=np.arange(100), every_ns=1)
    verdict = judge([], Year(block, np.zeros((100, 1)), scenario), toy.spots, by_place=True)
    assert verdict.abrupt_delay_h == 24.0
    assert verdict.f1 == 0.0


def test_limits_need_rows() -> None:
    with pytest.raises(DataError, match="too few for limits"):
        limits(noise(100), Setup())


def test_what_says_nothing_claims_nothing() -> None:
    silent = noise()._replace(z=np.full((4000, 4), np.nan))
    assert watch(silent, np.array([1.0, 1.0, 1.0]), Setup(), APART) == []


def test_a_claim_of_something_else_is_placed() -> None:
    assert located(leaking(noise(), 4, 1000, 2000), 1003, Setup(), APART) == 4


def test_the_likeliest_place_has_likely_neighbours() -> None:
    apart = np.array([[0, 9e3, 9e3], [9e3, 0, 9], [9e3, 9, 0]])
    assert likeliest(np.array([9.0, 8.5, 8.5]), apart, Setup()) in (1, 2)
    assert likeliest(np.array([90.0, 8.5, 8.5]), apart, Setup()) == 0


def test_whitening_leaves_unit_noise() -> None:
    random = np.random.default_rng(0)
    mixed = random.standard_normal((3000, 3)) @ np.array([[1, 0.8, 0], [0, 1, 0], [0, 0, 0.3]])
    load = random.integers(0, 2, 3000)
    found = whiten(mixed, load, slice(0, 2000), np.ones((2, 3, 5)))
    assert np.cov(found.z[2000:].T) == pytest.approx(np.eye(3), abs=0.15)


def test_an_incipient_hole_grows_and_is_repaired() -> None:
    hole = Hole(pipe="1", start=10, stop=30, diameter_m=0.02, kind="incipient", peak=20)
    widths = [hole.width(row) for row in range(40)]
    assert widths[9] == widths[30] == 0.0
    assert 0 < widths[10] < widths[15] < widths[20] == widths[29] == 0.02
    assert emitter(0.04) == pytest.approx(4 * emitter(0.02))


def test_a_hole_before_the_clean_rows_end_is_refused() -> None:
    with pytest.raises(DataError, match="not within rows"):
        Scenario(
            network="hanoi", rows=100, clean=50, holes=(Hole(pipe="1", start=20, stop=60, diameter_m=0.1),)
        )


def flows(days: int, more_from: int | None = None) -> Block:
    random = np.random.default_rng(0)
    row = np.arange(days * DAY)
    flow = 100 + 40 * np.sin(2 * np.pi * row / DAY) + random.standard_normal(len(row))
    heads = (
        60 - 0.002 * flow[:, None] ** 2 * np.array([1.0, 0.5]) + 0.05 * random.standard_normal((len(row), 2))
    )
    if more_from is not None:
        flow[more_from * DAY :] += 10
    return Block(
        name="toy", channels=("pressure a", "pressure b", "flow 1"),
        value=np.column_stack([heads, flow]), time=row.astype(np.int64) * HALF_HOUR_NS, every_ns=HALF_HOUR_NS,
    )  # fmt: skip


def test_the_night_flow_rule_sees_a_step() -> None:
    score = night_flow(flows(40, more_from=30), (2,))
    said = score[~np.isnan(score)]
    assert len(said) == 26
    assert said[-9] == pytest.approx(10, abs=2)
    assert np.abs(said[:14]).max() < 2


@pytest.fixture(scope="module")
def nets() -> tuple[LeakAutoencoder, InflowLstm]:
    effort = Effort(cpu_s=1e6, epochs=8, batch=64, rate=5e-3)
    block = flows(40)
    return LeakAutoencoder((2,), effort=effort).fit(block), InflowLstm((2,), effort=effort).fit(block)


def test_nets_see_a_leak_in_what_they_watch(nets: tuple[LeakAutoencoder, InflowLstm]) -> None:
    odd = flows(40, more_from=30)
    auto, inflow = nets
    judged = auto.judge(odd.value)
    assert judged.score[30 * DAY :].mean() > 5 * judged.score[: 30 * DAY].mean()
    score = inflow.score(odd.value)
    assert score[30 * DAY : 31 * DAY].mean() > 3
    assert abs(score[20 * DAY : 30 * DAY].mean()) < 1.5
    expected = inflow.expected(odd.value)[30 * DAY : 31 * DAY, 2]
    assert (odd.value[30 * DAY : 31 * DAY, 2] - expected).mean() == pytest.approx(10, abs=4)


def test_nets_step_as_they_judge(nets: tuple[LeakAutoencoder, InflowLstm]) -> None:
    value = flows(9).value
    value[-3, 0] = np.nan
    for net in nets:
        whole, stepper = net.judge(value), net.stepper()
        steps = [stepper.step(row) for row in value]
        assert np.array([one.score for one in steps[-5:]]) == pytest.approx(
            whole.score[-5:], rel=1e-5, abs=1e-6
        )
        assert (whole.part >= 0).all()
        assert np.isfinite(whole.score).all()


def test_nets_are_the_same_in_onnx(nets: tuple[LeakAutoencoder, InflowLstm]) -> None:
    runtime = pytest.importorskip("onnxruntime")
    value = flows(9).value.astype(np.float32)
    for net in nets:
        session = runtime.InferenceSession(net.to_onnx())
        window = value[-net.window :][None]
        found = session.run(None, {"x": window})
        assert found[0][0] == pytest.approx(net.judge(value.astype(np.float64)).score[-1], abs=1e-4)


def test_a_burst_stays_low_and_a_pump_does_not() -> None:
    shown = signals(6, 16, seed=3)
    tail = shown.x[:, -100:, 0].mean(axis=1)
    assert tail[shown.kind == "burst"].mean() < tail[shown.kind == "consumers"].mean() - 0.5
    assert set(shown.kind.tolist()) == set(KINDS)
    assert np.isfinite(shown.x).all()
    assert len(set(shown.group.tolist())) == 6


def test_risk_is_near_the_truth_and_above_age_alone() -> None:
    seen, other = histories(3000, seed=0), histories(3000, 5.0, seed=1)
    cox, age = PipeRisk().fit(seen), AgeOnly().fit(seen)
    ranked = [concordance(model.chance(other, 5.0), other) for model in (cox, age)]
    assert ranked[0] > ranked[1] + 0.01
    assert ranked[0] > concordance(other.chance(5.0), other) - 0.03
    assert cox.chance(other, 5.0).sum() == pytest.approx(other.broke.sum(), rel=0.25)
    assert cox.weight is not None
    assert cox.weight[0] == pytest.approx(-0.6, abs=0.25)


def test_too_few_breaks_teach_nothing() -> None:
    seen = histories(200, seed=0)
    none = seen._replace(broke=np.zeros(len(seen.broke), np.bool_))
    with pytest.raises(DataError, match="too few"):
        PipeRisk().fit(none)


def test_a_setup_is_data() -> None:
    assert msgspec.json.decode(msgspec.json.encode(Setup()), type=Setup) == Setup()
