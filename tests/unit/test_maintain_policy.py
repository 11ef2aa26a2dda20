"""Policies of maintenance on lives that are known, and the contests of remaining life on made-up data."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from nervure.bench.detect.job import Job
from nervure.bench.detect.life import contests
from nervure.bench.detect.renewal import Course, Fleet, at_age, at_threshold, by_schedule, never, simulate
from tests import made_detect

FLEET = Fleet(places=4, days=300, life=60.0)


def course(life: int, off: float = 0.0) -> Course:
    """A life that is told rightly, but for ``off`` days."""
    left = np.maximum(np.arange(life - 1, -1, -1) + off, 0.0)
    return Course(left, np.stack([left * 0.9, left, left * 1.1], axis=1))


COURSES = [course(life) for life in (40, 60, 80)]


def test_run_to_failure_pays_for_every_life() -> None:
    found = simulate(never, [course(50)], FLEET)
    assert found.planned == 0
    assert 4 * 300 / 50 - 4 <= found.failures <= 4 * 300 / 50 + 4
    assert found.cost == pytest.approx(found.failures * FLEET.failure / 1200)


def test_who_knows_the_day_never_fails() -> None:
    rule, plan = (simulate(one, COURSES, FLEET) for one in (at_threshold(6), by_schedule(FLEET)))
    base = simulate(never, COURSES, FLEET)
    assert rule.failures == plan.failures == 0
    assert plan.wasted < 12
    assert max(plan.cost, rule.cost) < 0.4 * base.cost


def test_knowing_wrongly_costs() -> None:
    late = [course(life, off=30) for life in (40, 60, 80)]
    assert simulate(by_schedule(FLEET), late, FLEET).failures > 10


def test_an_age_wastes_what_lasts_longer() -> None:
    found = simulate(at_age(35), COURSES, FLEET)
    assert found.failures == 0
    assert found.wasted > 10
    assert simulate(at_age(70), COURSES, FLEET).failures > 0


def test_the_same_lives_for_all() -> None:
    assert simulate(never, COURSES, FLEET, seed=3) == simulate(at_age(500), COURSES, FLEET, seed=3)
    assert simulate(never, COURSES, FLEET, seed=3) != simulate(never, COURSES, FLEET, seed=4)


def test_work_waits_for_a_crew() -> None:
    busy = Fleet(places=30, days=100, life=40.0, hours=40.0)
    assert simulate(at_age(5), [course(40)], busy).planned <= 100 * 8 / 40 + 1


@pytest.mark.parametrize("name", ["fd001", "pronostia"])
def test_contests_run_on_small_data(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NERVURE_DATA", str(made_detect.write(tmp_path)))
    contest = next(one for one in contests() if one.set == name)
    known = {one.model: one.kind for one in contest.entries}
    results = []
    for model in contest.quick:
        found = contest.perform(Job(set=name, model=model, kind=known[model], quick=True))
        assert set(found.value) <= set(contest.metrics)
        assert all(np.isfinite(one) for one in found.value.values())
        results.append(found)
    assert contest.text is not None
    assert contest.text(results) == ""  # it says nothing where a model is missing


def test_contests_are_declared_whole() -> None:
    found = contests()
    assert [one.set for one in found] == [
        "fd001", "fd002", "fd003", "fd004", "pronostia", "fatigue", "maintenance"
    ]  # fmt: skip
    for one in found:
        assert set(one.quick) <= {entry.model for entry in one.entries}
        assert {goal[0] for goal in one.goals} <= set(one.metrics)
