"""EPANET for real, on Hanoi: readings, leaks, places, and what goes wrong."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest

from nervure.core.error import DataError
from nervure.learn.detect.leak.epanet import Hydraulics
from nervure.learn.detect.leak.network import HANOI_SENSORS, hanoi_text, ltown, places
from nervure.learn.detect.leak.residual import Expectation
from nervure.learn.detect.leak.scenario import Hole, Scenario, battle, hanoi_year, network, simulate
from nervure.learn.detect.leak.score import judge
from nervure.learn.detect.leak.suite import SUITE
from nervure.learn.detect.leak.survey import survey
from nervure.learn.detect.leak.watch import Setup, limits, watch
from nervure.learn.detect.place import place

pytest.importorskip("epanet")
DAY = 48
CALM = Scenario(
    network="hanoi", rows=40, clean=10, demand_step=0.0, demand_mean=0.0, roughness=0.0, swing=0.0,
    season=0.0, pressure_m=0.0, flow=0.0,
)  # fmt: skip


def test_hanoi_is_the_published_one() -> None:
    with network("hanoi") as water:
        pipes = water.pipes()
        assert len(water.nodes) == 32
        assert len(pipes.id) == 34
        assert pipes.length_m.sum() == 39_420
        assert water.demand(DAY, 1800).sum(axis=1).max() == pytest.approx(19_940)


def test_a_leak_lowers_what_is_downstream_and_is_drawn_from_the_reservoir(tmp_path: Path) -> None:
    hole = Hole(pipe="12", start=20, stop=30, diameter_m=0.1)
    leak = msgspec.structs.replace(CALM, holes=(hole,))
    before, after = (simulate(one, cache=tmp_path) for one in (CALM, leak))
    change = after.block.value - before.block.value
    heads = [HANOI_SENSORS.pressure.index(one) for one in ("12", "13")]
    assert (change[20:30, heads] < -0.1).all()
    assert np.abs(change[:20]).max() < 1e-3
    assert np.abs(change[30:]).max() < 1e-3
    assert change[20:30, -1] == pytest.approx(after.lost[20:30, 0], rel=1e-3)
    assert (after.lost[30:] == 0).all()


def test_a_simulation_is_kept_and_told_apart(tmp_path: Path) -> None:
    scenario = Scenario(network="hanoi", rows=20, clean=20)
    first = simulate(scenario, cache=tmp_path)
    assert len(list(tmp_path.iterdir())) == 1
    assert (simulate(scenario, cache=tmp_path).block.value == first.block.value).all()
    other = simulate(msgspec.structs.replace(scenario, seed=1), cache=tmp_path)
    assert len(list(tmp_path.iterdir())) == 2
    assert (other.block.value != first.block.value).any()


def test_distances_go_along_the_pipes() -> None:
    with network("hanoi") as water:
        spots = places(water, piece_m=100.0)
    at = int(np.flatnonzero(spots.pipe == spots.pipes.id.index("1"))[0])
    assert spots.distance(at, "1", 0.5) == 0.0
    assert spots.distance(at, "2", 0.5) == pytest.approx(50 + 675)
    assert spots.apart == pytest.approx(spots.apart.T)


def test_a_big_leak_is_found_within_300_m(tmp_path: Path) -> None:
    hole = Hole(pipe="12", start=50 * DAY, stop=56 * DAY, diameter_m=0.1, share=0.4)
    scenario = Scenario(network="hanoi", rows=60 * DAY, clean=48 * DAY, holes=(hole,))
    found = survey(simulate(scenario, cache=tmp_path), draws=2, cache=tmp_path)
    evidence = found.evidence(Expectation(HANOI_SENSORS).fit(found.train()).residual)
    setup = Setup()
    limit = limits(evidence.take(found.quiet), setup, years=1)
    claims = watch(evidence.take(found.rest), limit, setup, found.spots.apart)
    verdict = judge(claims, found.year, found.spots, by_place=False)
    assert verdict.found == 1
    assert verdict.matched[0].off_m <= 300
    assert verdict.abrupt_delay_h <= 6
    assert verdict.false_a_year == 0
    assert verdict.euro > 0


@pytest.mark.parametrize("name", ["night-flow rule", "PCA T2+Q", "network model"])
def test_every_plain_way_makes_claims(name: str, tmp_path: Path) -> None:
    found = survey(simulate(hanoi_year(1, clean_days=48, days=40), cache=tmp_path), draws=1, cache=tmp_path)
    out = SUITE[name](found)
    assert all(0 <= one.row < 40 * DAY for one in out.claims)
    assert [one.row for one in out.claims] == sorted(one.row for one in out.claims)


def test_a_bad_file_is_refused_with_what_epanet_says(tmp_path: Path) -> None:
    bad = tmp_path / "bad.inp"
    bad.write_text(hanoi_text().replace("1 1 2 100 1016 130 0 Open", "1 1 99 100 1016 130 0 Open"))
    with pytest.raises(DataError, match="cannot read the network") as caught:
        Hydraulics(bad)
    assert "undefined" in str(caught.value)
    with pytest.raises(DataError, match="302"):
        Hydraulics(tmp_path / "none.inp")


def test_missing_ltown_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr("nervure.learn.detect.leak.network.find_spec", lambda _: None)
    with pytest.raises(DataError, match="pip install epyt"):
        ltown()
    with pytest.raises(DataError, match="L-TOWN"):
        ltown(tmp_path / "L-TOWN.inp")


@pytest.mark.real
def test_the_battle_has_its_23_leaks() -> None:
    found = battle(place("water/battledim", "dataset_configuration_evaluation.yaml"))
    assert len(found.holes) == 23
    assert sum(one.kind == "abrupt" for one in found.holes) == 9
    assert min(one.start for one in found.holes) == found.clean
