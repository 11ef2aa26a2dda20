"""``nervure evaluate calibration``: what twins find back of known changes, and of records of others."""

from __future__ import annotations

import csv
import os
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nervure.bench.twin.frame import FRAME, frame_part
from nervure.bench.twin.refound import CASES, fitted, queues, there
from nervure.bench.twin.report import Goal, Part, Proof, goal
from nervure.learn.dataset import cache_folder
from nervure.twin.dwelling import Record, fit_dwelling, foretold
from nervure.twin.gauge import constant_share, efficiency, fit_basin, storms

__all__ = ["prove"]

Floats = NDArray[np.float64]
Row = dict[str, float | str | None]
RIVER, HOUSE = "flood/airgr_l0123001/daily.parquet", "building/darkgreybox/demo_data.csv"
_DAY = 24


def prove(tell: Callable[[float, str], None], *, quick: bool = False) -> Proof:
    """Fit every twin to another of its kind, then three of them to records of others."""
    names = ["building", "flood", "sewer"] if quick else [one for one in CASES if there(one)]
    found = _all(tell, names)
    goals, parts = _made_up(found)
    if not quick:
        parts.append(_unseen())
    for real in (_frame(), _river(), _house()):
        if real is not None:
            goals += real[0]
            parts.append(real[1])
    return Proof(
        name="calibration",
        title="Calibration of twins, with errors of what was held out",
        command="nervure evaluate calibration --json --out docs/report",
        said=_SAID,
        engine="EnergyPlus 25.2, EPANET 2.3, SUMO, SWMM 5.2, and our own models; least squares and Nelder-Mead by scipy",
        cpu_s=sum(os.times()[:4]),
        goals=tuple(goals),
        parts=tuple(parts),
    )


_SAID = (
    "Each twin fits its own quantities to readings and keeps the last third to tell the error by. First it is shown readings"
    " of another twin of its kind that was changed, with other drivers, people or storms, and noise on its sensors: what was"
    " changed has to be found back. Then a frame of another's finite elements, and two records of what really was: 28 years of a river,"
    " and 33 days of a building. EnergyPlus runs a few dozen times for six days of January; roads run with three seeds, none of them the one that"
    " was watched. Pipes are a small network of ours for six days and L-Town with the sensors of BattLeDIM for three, whose people draw as they"
    " like and whose every pipe scatters; what tanks hold and whether pumps run is told, in the last third too, and noise is 0.1 m of pressure,"
    " 1 m3/h, 2 cm of a tank. Sewers have a storm to learn from and one held out, rain is told, and noise is 2 cm. Six storeys are shaken for two minutes by what is always there,"
    " with a noise of 2 mm/s2 on every floor and on the ground."
)


def _all(tell: Callable[[float, str], None], names: list[str]) -> dict[str, dict[str, float]]:
    """Fit every twin in a process of its own: engines clash."""
    with ProcessPoolExecutor(2, mp_context=get_context("spawn"), max_tasks_per_child=1) as pool:
        todo = {name: pool.submit(fitted, name) for name in names}
        for number, _ in enumerate(as_completed(todo.values())):
            tell((number + 1) / len(todo), f"{number + 1} of {len(todo)} twins")
        return {name: one.result() for name, one in todo.items()}


def _made_up(found: Mapping[str, Mapping[str, float]]) -> tuple[list[Goal], list[Part]]:
    """Tell what was found back: goals on the worst of EnergyPlus and roads, and two tables."""
    back: list[tuple[str, Row]] = []
    held: list[tuple[str, Row]] = []
    worst: dict[str, float] = {}
    for name, own in found.items():
        for what, true in _truth(name, own).items():
            off = 100 * (own[what] / true - 1)
            worst[name] = max(worst.get(name, 0.0), abs(off))
            back.append((f"{name}: {what}", {"true": true, "found": own[what], "off, %": off}))
        held += [(f"{name}: {what}", _beside_it(own, what)) for what in own if what.startswith("held_out")]
    goals = [
        goal(f"{name}: worst factor found back", "≤", bound, worst[name], "% off")
        for name, bound in _BOUNDS.items()
        if name in worst
    ]
    goals += [
        goal(
            f"{name}: error held out, beside the better of as it comes and no twin, worst",
            "≤",
            0.5,
            _beside(own),
        )
        for name, own in found.items()
        if any(what.startswith("usual_") for what in own)
    ]
    return goals, [
        Part(title="Known changes", said=_BACK, rows=tuple(back)),
        Part(title="Errors of what was held out", said=_OUT, rows=tuple(held)),
    ]


_BACK = "Readings of another twin that was changed; 1 is as it comes, for factors."
_OUT = (
    "K, shares of power or of cars, cars a lane, efficiency (1 is perfect), m, shares of flows and of floors' motion: as the name says, or"
    " the twin's page. No twin is, of pipes, the mean of that time of day, of sewers a line through rain smoothed over half an hour to four"
    " hours, of storeys the ground's own motion."
)
_BOUNDS = {
    "EnergyPlus": 10,
    "roads": 15,
    "building": 15,
    "pipes": 10,
    "L-Town": 15,
    "sewer": 10,
    "structure": 10,
}


def _beside(own: Mapping[str, float]) -> float:
    """Return the largest error held out as a share of the smaller of both it stands beside."""
    every = [what for what in own if what.startswith("held_out")]
    return max(own[one] / min(own[f"uncalibrated_{one}"], own[f"usual_{one}"]) for one in every)


def _beside_it(own: Mapping[str, float], what: str) -> Row:
    """Return an error held out beside that of the twin as it comes, and of what needs no twin."""
    both = {"as it comes": own.get(f"uncalibrated_{what}"), "no twin": own.get(f"usual_{what}")}
    return {"fitted": own[what], **both}


def _unseen() -> Part:
    """Tell what the crossing shows of headway: queues with it and without, over seeds."""
    told = CASES["roads"].truth["headway"]
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        mean = {one: np.array(pool.submit(queues, one).result()) for one in (1.0, told)}
    apart = float(mean[told].mean() - mean[1.0].mean())
    alone = float(np.sqrt(np.mean([one.var(ddof=1) for one in mean.values()])))
    rows: tuple[tuple[str, Row], ...] = tuple(
        (
            f"headway {one:g}",
            {"mean queue, cars": float(value.mean()), "over seeds": float(value.std(ddof=1))},
        )
        for one, value in mean.items()
    )
    return Part(
        title="Why headway is not found on this crossing",
        said=f"The lanes' mean queue of an hour, over eight seeds of other cars. A headway of {told:g} moves it by {apart:.3f} cars; who"
        f" happens to come moves it by {alone:.3f} (one standard deviation). One hour was watched: it cannot tell the two apart, and what is found"
        " of headway is chance. Where green is longer than queues need, drivers who keep further apart leave in the same green.",
        rows=rows,
    )  # fmt: skip


def _truth(name: str, own: Mapping[str, float]) -> dict[str, float]:
    """Return what was true of everything that was found."""
    truth = CASES[name].truth
    shares = [one for one in own if one.startswith("demand/")]  # of which only the product with all is told
    product = {*shares, "demand"} if shares else set()
    true = {what: one for what, one in truth.items() if what in own and what not in product}
    return {one: truth.get("demand", 1.0) * truth.get(one, 1.0) for one in shares} | true


def _data() -> Path:
    """Return where data sets lie."""
    return Path(os.environ.get("NERVURE_DATA") or cache_folder())


def _frame() -> tuple[list[Goal], Part] | None:
    """Fit storeys to a frame of another's finite elements."""
    path = _data() / FRAME
    return frame_part(path) if path.is_file() else None


def _river() -> tuple[list[Goal], Part] | None:
    """Fit the river to the first two thirds of a real record."""
    path = _data() / RIVER
    if not path.is_file():
        return None
    import pyarrow.parquet as pq

    table = pq.read_table(path, columns=["P", "Qmm"])
    rain, flow = (table.column(one).to_numpy(zero_copy_only=False).astype(np.float64) for one in ("P", "Qmm"))
    cut = len(rain) * 2 // 3
    every = storms(rain, flow)
    taught, held = [one for one in every if one.begins < cut], [one for one in every if one.begins >= cut]
    own = fit_basin(taught, step_h=24.0)
    share, plain = constant_share(taught, held, own.lag_h, 24.0)
    score = {
        "fitted": efficiency([own.simulate(one) for one in held], held),
        "constant share": efficiency(plain, held),
    }
    taught_score = efficiency([own.simulate(one) for one in taught], taught)
    rows: tuple[tuple[str, Row], ...] = (
        ("curve number and unit hydrograph", {
            "storms taught": float(len(taught)), "held out": float(len(held)), "efficiency, taught": taught_score,
            "efficiency, held out": score["fitted"], "dry": own.dry, "wet": own.wet, "lag, h": own.lag_h,
        }),
        (f"the same lag, {100 * share:.0f} % of all rain", {"efficiency, held out": score["constant share"]}),
    )  # fmt: skip
    return [
        goal("river, real: efficiency on storms held out, above a constant share of rain", "≥", 0, score["fitted"] - score["constant share"]),
    ], Part(
        title="A real river",
        said="Daily rain and discharge of a catchment of 360 km2, 1984 to 2012 (airGR's L0123001; only read, for its licence)."
        " Storms of 20 mm and more after three dry days; nobody tells the model the discharge once a storm has begun. Curve"
        " numbers of ground with more or less base flow than in the middle storm.",
        rows=rows,
    )  # fmt: skip


def _house() -> tuple[list[Goal], Part] | None:
    """Fit the house's equations to a real building; the last five days are held out, as its author has them."""
    path = _data() / HOUSE
    if not path.is_file():
        return None
    seen, cut = _record(path), 28 * _DAY
    own = fit_dwelling(seen, step_s=3600.0, cut=cut)
    late, week = seen.air[cut:], np.arange(len(seen.air)) % (7 * _DAY)
    usual = np.array([seen.air[:cut][week[:cut] == at].mean() for at in range(7 * _DAY)])
    made = {
        "RC model, five days in one go": foretold(own, seen, cut),
        "RC model, told the air at midnight": foretold(own, seen, cut, every=_DAY),
        "the day before": seen.air[cut - _DAY : -_DAY],
        "the same hour's mean of earlier weeks": usual[week[cut:]],
        "the week before": seen.air[cut - 7 * _DAY : -7 * _DAY],
    }
    error = {name: float(np.sqrt(np.mean((one - late) ** 2))) for name, one in made.items()}
    day, before = error["RC model, told the air at midnight"], error["the day before"]
    hours = own.zone.mass_j_k * own.zone.mass_out_k_w / 3600
    return [
        goal("building, real: day ahead, error beside that of the day before", "≤", 0, 100 * (day / before - 1), "%"),
    ], Part(
        title="A real building",
        said="33 days by the hour of a building with a canteen whose boiler's heat, air and outdoors were measured (demo data in the"
        " source package of darkgreybox, MIT), a holiday of two weeks with the boiler off among them. Fitted to 28 days, held out"
        f" five; heat and weather are told, sun and people are not. {100 * own.share:.0f} % of the boiler's heat arrives; the mass"
        f" alone would take {hours:.0f} h to cool down outdoors. A thermostat lets weeks repeat each other: then the week before is hard to beat.",
        rows=tuple((name, {"error, K": one}) for name, one in error.items()),
    )  # fmt: skip


def _record(path: Path) -> Record:
    """Read the demo data: heat in kW, air and outdoors in Cel, by the hour from a Monday's midnight."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    heat, air, outdoor = (np.array([float(row[one]) for row in rows]) for one in ("Ph", "Ti", "Ta"))
    hour = np.arange(len(rows)) % (7 * _DAY)
    busy = (hour < 5 * _DAY) & (hour % _DAY >= 7) & (hour % _DAY < 18)
    return Record(air, 1000 * heat, outdoor, busy.astype(np.float64))
