"""EPANET for real, on Hanoi: readings, leaks, places, and what goes wrong."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np
import pytest

from nervure.core.error import DataError
from nervure.learn.detect.leak.epanet import Hydraulics
from nervure.learn.detect.leak.hunt import hunt
from nervure.learn.detect.leak.joint import Tuning
from nervure.learn.detect.leak.network import HANOI_SENSORS, hanoi_text, ltown, places
from nervure.learn.detect.leak.residual import Expectation
from nervure.learn.detect.leak.scenario import Hole, Scenario, battle, hanoi_year, network, simulate
from nervure.learn.detect.leak.scene import Scene
from nervure.learn.detect.leak.score import judge
from nervure.learn.detect.leak.suite import SUITE
from nervure.learn.detect.leak.survey import survey
from nervure.learn.detect.leak.watch import Setup, limits, watch
from nervure.learn.detect.leak.ways import Modelled, Plant
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


def test_moves_are_those_that_epanet_finds_by_losing_water() -> None:
    with network("hanoi") as water:
        plant = Plant(water, HANOI_SENSORS, places(water, piece_m=400.0))
        place = int(np.flatnonzero(plant.spots.pipe == plant.spots.pipes.id.index("12"))[4])
        open_ = ((3, 4.0),)
        some, more = (plant.linear((*open_, *one)) for one in ((), ((place, 0.2),)))
    found = (more.shift - some.shift)[0] / 0.2
    expected = (some.move + more.move)[0, :, :, place] / 2
    assert (expected[:, :-1] < -1e-3).sum() > 40
    assert found == pytest.approx(expected, rel=0.02, abs=2e-3)
    assert expected[:, -1] == pytest.approx(plant.unit_m3h, rel=1e-3)


def test_the_model_knows_pressures_that_were_never_read(tmp_path: Path) -> None:
    calm = msgspec.structs.replace(CALM, rows=14 * DAY, clean=14 * DAY, swing=0.03)
    block = simulate(calm, cache=tmp_path).block
    with network("hanoi") as water:
        expect = Modelled(water, HANOI_SENSORS).fit(block.part(0, 10 * DAY))
    assert np.abs(expect.residual(block)).max() < 0.02


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """A year of some weeks in which a second leak opens while the first goes on."""
    holes = (
        Hole(pipe="12", start=33 * DAY, stop=44 * DAY, diameter_m=0.1, share=0.4),
        Hole(pipe="31", start=37 * DAY, stop=48 * DAY, diameter_m=0.09),
    )
    scenario = Scenario(network="hanoi", rows=48 * DAY, clean=32 * DAY, holes=holes)
    year = simulate(scenario, cache=tmp_path_factory.mktemp("two"))
    train = 21 * DAY
    with network("hanoi") as water:
        expect = Modelled(water, HANOI_SENSORS).fit(year.block.part(0, train))
    with network("hanoi") as water:
        yield Scene(year, Plant(water, HANOI_SENSORS, places(water)), expect, train)


def test_a_leak_is_found_while_another_goes_on(two: Scene) -> None:
    claims = hunt(two, Tuning(), 21 * DAY // two.rows)
    leaks = [one for one in claims if one.kind == "leak"]
    assert [33 * DAY <= one.row < 35 * DAY for one in leaks[:1]] == [True]
    assert any(37 * DAY <= one.row < 39 * DAY for one in leaks)
    assert two.plant.spots.distance(leaks[0].place, "12", 0.4) <= 900
    assert [one.row // DAY for one in claims if one.kind == "repair"] == [44]
    assert all(one.row == one.named for one in claims)


def test_nothing_later_is_looked_at(two: Scene) -> None:
    begin, count = 21 * DAY // two.rows, two.count
    whole = hunt(two, Tuning(), begin)
    two.count = 40 * DAY // two.rows
    cut = hunt(two, Tuning(), begin)
    two.count = count
    assert cut == [one for one in whole if one.row < 40 * DAY]
    assert len(cut) >= 2


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


def test_the_network_model_goes_on_where_leaks_are_many(tmp_path: Path) -> None:
    found = survey(simulate(hanoi_year(1, clean_days=48, days=40), cache=tmp_path), draws=1, cache=tmp_path)
    out = SUITE["network model"](found, setup=Setup(single=False))
    assert all(0 <= one.row == one.named < 40 * DAY for one in out.claims)
    assert any(one.kind == "leak" for one in out.claims)


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
