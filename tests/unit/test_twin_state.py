"""A what-if that begins where a running twin is now: its state in a file, of that twin and no other."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from nervure.bench.whatif.ask import ask
from nervure.bench.whatif.control import opened
from nervure.bench.whatif.question import SCENARIOS, Measure
from nervure.bench.whatif.trial import Job, once
from nervure.cli import main
from nervure.core.error import UsageError
from nervure.twin.api import TwinError
from nervure.twin.chance import Chancy
from nervure.twin.find import open_twin
from nervure.twin.state import again, keep, kept, path_of

WARM = {"living/cool_setpoint": 27.0, "sleeping/cool_setpoint": 27.0}
JULY = {"start_day": 196.0, "warmer_k": 6.0}


def hot(path: Path, hours: int = 30) -> list[Mapping[str, float]]:
    """Run a house through hot days, keep where it is, and return how it goes on."""
    twin = open_twin("building")
    twin.reset(seed=3, scenario=JULY)
    step = twin.describe().step_s
    for _ in range(round(hours * 3600 / step)):
        twin.step()
    keep(path, twin, 10**18, hours * 3600.0, JULY)
    return [twin.step() for _ in range(8)]


def test_both_sides_begin_where_the_twin_is(tmp_path: Path) -> None:
    path = path_of(tmp_path, "building")
    on = hot(path)
    for measure in (Measure(), Measure(commands=WARM)):
        seen: list[Mapping[str, float]] = []
        job = Job(
            twin="building", net="", minutes=60.0, scenario={}, measure=measure, seeds=(1,), state=str(path)
        )
        once(*opened("building", "", ""), job, 1, seen.append)
        rooms = [one for one in on[0] if one.endswith("/temperature")]
        assert [seen[0][one] for one in rooms] == pytest.approx([on[1][one] for one in rooms], abs=0.1)
    fresh = open_twin("building")
    fresh.reset(seed=1)
    assert max(abs(fresh.step()[one] - on[0][one]) for one in rooms) > 1.0  # anew it would be elsewhere


def test_from_now_only_what_is_done_can_be_asked(tmp_path: Path) -> None:
    path = path_of(tmp_path, "building")
    hot(path, hours=1)
    with pytest.raises(UsageError, match="not other circumstances"):
        ask("heat-wave", SCENARIOS["heat-wave"], state=path)


def test_the_state_of_another_twin_or_none_says_what_to_do(tmp_path: Path) -> None:
    path = path_of(tmp_path, "building")
    with pytest.raises(TwinError, match="no twin has written down where it is") as caught:
        kept(path)
    assert caught.value.hint == "nervure twin run NAME --keep"
    hot(path, hours=1)
    with pytest.raises(TwinError, match="another twin"):
        again(open_twin("machine"), kept(path))
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(TwinError, match="cannot be read"):
        kept(path)


def test_a_twin_that_runs_with_keep_is_asked_by_the_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = ["--set", f"data={tmp_path}"]
    run = ["twin", "run", "building", "--alone", "--minutes", "1800", "--keep", "--json", *place]
    assert main([*run, *(f"--scenario={name}={value}" for name, value in JULY.items())]) == 0
    assert kept(path_of(tmp_path, "building")).elapsed_s == 108_000
    file = tmp_path / "shade.toml"
    wish = "".join(f'"{name}" = {value}\n' for name, value in WARM.items())
    file.write_text(f'twin = "building"\nminutes = 600.0\n[do.commands]\n{wish}')
    capsys.readouterr()
    assert main(["twin", "whatif", str(file), "--now", "--seeds", "3", "--json", *place]) == 0
    told = json.loads(capsys.readouterr().out)
    (hvac,) = [one for one in told["changes"] if one["kpi"] == "hvac"]
    assert told["seeds"] == [1, 2, 3]
    assert hvac["do"] < hvac["base"]
    difference = hvac["difference"]
    assert difference["mean"] == pytest.approx(hvac["do"] - hvac["base"])
    assert difference["low"] < difference["mean"] < difference["high"]
    assert main(["twin", "whatif", "gate", "--now", *place]) == 1  # that twin does not run


STORM: dict[str, tuple[str, dict[str, float], int]] = {
    "building": ("", JULY, 100),
    "flood": ("", {"rain_mm": 110.0}, 40),
    "machine": ("", {"start": 0.1}, 40),
    "structure": ("", {"earthquake_after_s": 1.0}, 150),
    "pipes": ("epanet", {}, 40),
    "sewer": ("pyswmm", {"rain_mm": 55.0, "rain_after_h": 0.5}, 20),
}
"""Circumstances in which chance matters, and after how many steps it goes otherwise; with what engine."""


@pytest.mark.parametrize("name", sorted(STORM))
def test_from_a_state_chance_goes_otherwise_by_seed_and_what_has_been_stays(name: str) -> None:
    engine, scenario, steps = STORM[name]
    if engine:
        pytest.importorskip(engine)
    twin = open_twin(name)
    assert isinstance(twin, Chancy)
    twin.reset(seed=3, scenario=scenario)
    for _ in range(steps):
        twin.step()
    state, before = twin.snapshot(), twin.kpis()

    def on(seed: int | None) -> str:
        twin.restore(state)
        assert twin.kpis() == before
        if seed is not None:
            twin.reseed(seed)
        return str([twin.step() for _ in range(steps)])

    as_it_was = on(None)
    assert as_it_was == on(None)
    assert len({as_it_was, on(1), on(2)}) == 3
    again = on(1)
    twin.restore(state)
    twin.reseed(1)
    first = [twin.step() for _ in range(steps // 2)]
    half = twin.snapshot()  # a state that was come to so goes on so, too
    rest = [twin.step() for _ in range(steps - steps // 2)]
    assert str(first + rest) == again
    twin.restore(half)
    assert str([twin.step() for _ in range(steps - steps // 2)]) == str(rest)
    twin.close()
