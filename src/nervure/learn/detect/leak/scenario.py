"""Years of a water network with leaks in it, simulated by EPANET, as its sensors would have read them.

The network that is simulated is not the one that a detector knows: every pipe's roughness, every
consumer's mean and every consumer's half hour are off by what :class:`Scenario` says, and all
consumption together swings with season and weather.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path
from typing import Literal, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from nervure.core.error import DataError
from nervure.core.instant import SECOND_NS
from nervure.learn.dataset import cache_folder
from nervure.learn.detect.block import NORMAL, ODD, Block
from nervure.learn.detect.leak.epanet import Hydraulics
from nervure.learn.detect.leak.network import HANOI_SENSORS, LTOWN_SENSORS, Sensors, hanoi_text, ltown

__all__ = ["Hole", "Scenario", "Year", "battle", "emitter", "hanoi_year", "network", "rehearsal", "sensors",
    "simulate",
]  # fmt: skip

Floats = NDArray[np.float64]
_DAY_S = 86_400
_DISCHARGE = 0.75  # coefficient of an orifice, as the Battle's generator has it
_GRAVITY = 9.81


class Hole(msgspec.Struct, frozen=True, kw_only=True):
    """A leak: where, how wide, and from which row to before which; an incipient one grows until ``peak``.

    ``share`` is how far along the pipe it is, from the pipe's first end.
    """

    pipe: str
    start: int
    stop: int
    diameter_m: float
    kind: Literal["abrupt", "incipient"] = "abrupt"
    peak: int = 0
    share: float = 0.5

    def width(self, row: int) -> float:
        """Return its diameter in a row, in m: 0 before it opens and once it is repaired."""
        if not self.start <= row < self.stop:
            return 0.0
        if self.kind == "abrupt" or row >= self.peak:
            return self.diameter_m
        return self.diameter_m * (row - self.start + 1) / (self.peak - self.start + 1)


class Scenario(msgspec.Struct, frozen=True, kw_only=True):
    """What is simulated; the same scenario is the same year to the last digit.

    The first ``clean`` rows have no leak. Noises are standard deviations: of roughness and of a
    consumer's mean (once for the network), of a consumer's step, of what all consume together (a
    day's memory) as shares, of a pressure reading in m and a flow reading as a share. ``season``
    is by how much a summer's consumption is above the mean.
    """

    network: Literal["hanoi", "ltown"]
    rows: int
    clean: int
    step_s: int = 1800
    seed: int = 0
    holes: tuple[Hole, ...] = ()
    roughness: float = 0.05
    demand_mean: float = 0.05
    demand_step: float = 0.05
    swing: float = 0.02
    season: float = 0.05
    pressure_m: float = 0.02
    flow: float = 0.005

    def __post_init__(self) -> None:
        late = next((one for one in self.holes if one.start < self.clean or one.stop > self.rows), None)
        if late is not None:
            raise DataError(
                f"the leak in {late.pipe} is not within rows {self.clean} to {self.rows}",
                hint="leaks come after the clean rows",
            )


class Year(NamedTuple):
    """A simulated scenario: the readings, and what each hole lost, ``[row, hole]`` in m3/h."""

    block: Block
    lost: Floats
    scenario: Scenario


def emitter(diameter_m: float) -> float:
    """Return what a hole loses at 1 m of pressure, m3/h: an orifice's flow goes with the root.

    >>> round(emitter(0.02) * 45**0.5, 1)
    25.2
    """
    area = np.pi / 4 * diameter_m**2
    return float(_DISCHARGE * area * np.sqrt(2 * _GRAVITY) * 3600)


def network(name: str, inp: Path | None = None) -> Hydraulics:
    """Open one of the two networks as published; ``inp`` is where L-TOWN.inp is, else it is looked for."""
    if name == "ltown":
        return Hydraulics(ltown(inp))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "hanoi.inp"
        path.write_text(hanoi_text())
        return Hydraulics(path)


def sensors(name: str) -> Sensors:
    """Return what is read of a network."""
    return LTOWN_SENSORS if name == "ltown" else HANOI_SENSORS


def simulate(scenario: Scenario, *, inp: Path | None = None, cache: Path | None = None) -> Year:
    """Simulate a scenario, or take it from ``cache`` (a folder; the user's by default).

    The block's label is odd while at least one hole is open. L-TOWN at half hours takes about
    25 CPU-s a year, Hanoi 2.
    """
    text = msgspec.json.encode([scenario, sensors(scenario.network), _made_of()])
    name = f"{scenario.network}-{hashlib.sha256(text).hexdigest()[:20]}.npz"
    path = (cache or cache_folder() / "leak") / name
    if path.exists():
        with np.load(path, allow_pickle=False) as file:
            return _year(scenario, file["value"], file["lost"])
    value, lost = _run(scenario, inp)
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{os.getpid()}-{name}")
    np.savez_compressed(draft, value=value.astype(np.float32), lost=lost.astype(np.float32))
    draft.replace(path)
    return _year(scenario, value.astype(np.float32), lost.astype(np.float32))


def _made_of() -> int:
    """Return the version of the simulation: raise it when the same settings mean another year."""
    return 2


def _year(scenario: Scenario, value: NDArray[np.float32], lost: NDArray[np.float32]) -> Year:
    every = scenario.step_s * SECOND_NS
    label = np.full(scenario.rows, NORMAL, np.int8)
    for hole in scenario.holes:
        label[hole.start : hole.stop] = ODD
    rows = np.arange(scenario.rows)
    shut = np.array([(rows < hole.start) | (rows >= hole.stop) for hole in scenario.holes]).T
    lost = np.where(
        shut.reshape(lost.shape), 0.0, lost
    )  # EPANET keeps naming the last flow of a shut emitter
    block = Block(
        name=scenario.network, channels=sensors(scenario.network).channels, value=value.astype(np.float64),
        time=np.arange(scenario.rows, dtype=np.int64) * every, every_ns=every, label=label,
        group=f"{scenario.network} {scenario.seed}",
    )  # fmt: skip
    return Year(block, lost.astype(np.float64), scenario)


def _run(scenario: Scenario, inp: Path | None) -> tuple[Floats, Floats]:
    random = np.random.default_rng(scenario.seed)
    read = sensors(scenario.network)
    with network(scenario.network, inp) as water:
        junction = water.junctions()
        names = [water.nodes[at] for at in junction]
        nominal = water.demand(7 * _DAY_S // scenario.step_s, scenario.step_s)
        water.take_over_demand()
        water.scale_roughness(1 + scenario.roughness * random.standard_normal(len(water.pipes().id)))
        for hole in scenario.holes:
            water.split(hole.pipe, hole.share)
        node = [water.nodes.index(one) for one in names]
        leak = [water.nodes.index(f"{hole.pipe}_at") for hole in scenario.holes]
        own = 1 + scenario.demand_mean * random.standard_normal(len(node))
        all_of_it = _swing(scenario, random)
        width = [0.0] * len(leak)

        def drive(row: int) -> None:
            step = 1 + scenario.demand_step * random.standard_normal(len(node))
            water.set_demand(node, nominal[row % len(nominal)] * own * all_of_it[row] * step)
            for at, hole in enumerate(scenario.holes):
                if hole.width(row) != width[at]:
                    width[at] = hole.width(row)
                    water.set_emitter(leak[at], emitter(width[at]))

        nodes, links = (*read.pressure, *read.level), read.flow
        found = water.run(scenario.rows, scenario.step_s, drive, nodes, links, leak)
    count = len(nodes) + len(links)
    return _noisy(found[:, :count], scenario, len(read.flow), random), found[:, count:]


def _swing(scenario: Scenario, random: np.random.Generator) -> Floats:
    """Return what all consume together, over the mean: season, and weather with a memory of a day."""
    day = np.arange(scenario.rows) * scenario.step_s / _DAY_S
    keep = float(np.exp(-scenario.step_s / _DAY_S))
    noise = random.standard_normal(scenario.rows) * np.sqrt(1 - keep**2)
    from scipy.signal import lfilter

    slow: Floats = lfilter([1.0], [1.0, -keep], noise)
    found: Floats = 1 + scenario.season * np.cos(2 * np.pi * day / 365) + scenario.swing * slow
    return found


def _noisy(value: Floats, scenario: Scenario, flows: int, random: np.random.Generator) -> Floats:
    out = value + 0.0
    heads = value.shape[1] - flows
    out[:, :heads] += scenario.pressure_m * random.standard_normal((len(value), heads))
    out[:, heads:] *= 1 + scenario.flow * random.standard_normal((len(value), flows))
    return out


def hanoi_year(seed: int, *, clean_days: int = 120, days: int = 365, step_s: int = 1800) -> Scenario:
    """Draw a year of Hanoi after ``clean_days`` without leaks: one at a time, repaired, then some quiet.

    A leak lasts 6 to 14 days and the quiet after it 3 to 12; it is anywhere along the pipes, 4 to
    10 cm wide (some 1 to 5 % of the inflow), and as likely incipient as abrupt.
    """
    random = np.random.default_rng(10_000 + seed)
    a_day = _DAY_S // step_s
    clean, rows = clean_days * a_day, (clean_days + days) * a_day
    with network("hanoi") as water:
        pipes = water.pipes()
    at, holes = clean + int(random.integers(2, 12) * a_day), list[Hole]()
    chance = pipes.length_m / pipes.length_m.sum()
    while True:
        stop = at + int(random.uniform(6, 14) * a_day)
        if stop >= rows:
            break
        free = ~np.isin(pipes.id, [one.pipe for one in holes])  # a pipe is cut once
        pipe = str(random.choice(np.array(pipes.id)[free], p=chance[free] / chance[free].sum()))
        holes.append(
            Hole(
                pipe=pipe, start=at, stop=stop, diameter_m=round(float(random.uniform(0.04, 0.10)), 4),
                kind="incipient" if random.random() < 0.5 else "abrupt",
                peak=at + int(0.7 * (stop - at)), share=round(float(random.uniform(0.1, 0.9)), 3),
            )
        )  # fmt: skip
        at = stop + int(random.uniform(3, 12) * a_day)
    return Scenario(network="hanoi", rows=rows, clean=clean, step_s=step_s, seed=seed, holes=tuple(holes))


def battle(folder: Path, *, seed: int = 0, clean_days: int = 182, step_s: int = 1800) -> Scenario:
    """Return 2019 of the Battle with its 23 leaks, after ``clean_days`` of 2018 without any.

    ``folder`` holds ``dataset_configuration_evaluation.yaml``. The four leaks that the Battle has
    running since 2018 open on 1 January, all in the same minute.
    """
    path = folder / "dataset_configuration_evaluation.yaml"
    if not path.exists():
        raise DataError("the leaks of the Battle are not here", where=str(path), hint="set NERVURE_DATA")
    start = np.datetime64("2019-01-01T00:00")
    first, a_day = clean_days * _DAY_S // step_s, _DAY_S // step_s
    rows = first + 365 * a_day

    def row(text: str) -> int:
        seconds = (np.datetime64(text.replace(" ", "T")) - start) / np.timedelta64(1, "s")
        return min(first + int(np.ceil(float(seconds) / step_s)), rows)

    holes = []
    for line in path.read_text().splitlines():
        part = [one.strip() for one in line.removeprefix("- ").split(",")]
        if line.startswith("- p") and len(part) == 6:
            holes.append(
                Hole(
                    pipe=part[0], start=row(part[1]), stop=row(part[2]), diameter_m=float(part[3]),
                    kind="incipient" if part[4] == "incipient" else "abrupt", peak=row(part[5]),
                )
            )  # fmt: skip
    return Scenario(
        network="ltown", rows=rows, clean=first, step_s=step_s, seed=seed, holes=tuple(holes), season=0.05
    )


def rehearsal(scenario: Scenario, seed: int, inp: Path | None = None) -> Scenario:
    """Return a scenario whose leaks are as many, as large and as long, but at other places and times.

    Choices are made on it, so that the scenario itself is looked at once.
    """
    random = np.random.default_rng(20_000 + seed)
    with network(scenario.network, inp) as water:
        pipes = water.pipes()
    chance = pipes.length_m / pipes.length_m.sum()
    chosen = random.choice(np.array(pipes.id), size=len(scenario.holes), replace=False, p=chance)
    holes = []
    for hole, pipe in zip(scenario.holes, chosen.tolist(), strict=True):
        length = min(hole.stop - hole.start, scenario.rows - scenario.clean - 1)
        start = scenario.clean + int(random.integers(0, max(scenario.rows - scenario.clean - length // 3, 1)))
        stop = min(start + length, scenario.rows)
        grown = min(hole.peak - hole.start, stop - start - 1)
        holes.append(msgspec.structs.replace(hole, pipe=pipe, start=start, stop=stop, peak=start + grown))
    return msgspec.structs.replace(scenario, holes=tuple(holes), seed=scenario.seed + seed)
