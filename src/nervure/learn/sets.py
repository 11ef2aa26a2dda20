"""Every set that forecasts are measured on, by name: its data, what is asked, and how it is judged.

    posed = open_set("wind")
    task = posed.tasks[0]

A set is a solution's own problem, a variant of it (weather known ahead, another split), or one of
``learn.extra``. Where a set tells more than is plain from its numbers, ``note`` says so.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from nervure.core.card import Metric
from nervure.core.declaration import Solution
from nervure.core.error import DataError
from nervure.core.instant import duration_text
from nervure.core.problem import Forecast
from nervure.learn import bwdf, extra, gefcom, skill
from nervure.learn.dataset import Dataset, cache_folder, load
from nervure.learn.split import Split, by_time
from nervure.learn.task import ForecastTask, Samples, pose
from nervure.solutions import find

__all__ = ["NAMES", "Posed", "open_set", "rows_of"]

Protocol = Literal["rows", "ett", "bwdf", "gefcom"]
More = Literal["skill", "nse", "exceed"]

AVERAGE = "avg"


class Posed(msgspec.Struct, frozen=True, kw_only=True):
    """A set, ready: ``tasks`` are one, or two where ETT's load and oil temperature are asked apart.

    ``protocol`` says who scores: ``rows`` is ``evaluate.score`` on the test part every ``stride``
    slots, with :func:`rows_of` for what ``extra`` names; the others have ``compete`` of their own.
    The task of ``bwdf`` is that of its first week.
    """

    name: str
    title: str
    dataset: Dataset
    tasks: tuple[ForecastTask, ...]
    protocol: Protocol = "rows"
    stride: int = 1
    extra: tuple[More, ...] = ()
    note: str = ""


class _Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What a set is: a solution, and what is changed in its first forecast (in all of them for ``ett``)."""

    declared: Callable[[], Solution]
    title: str = ""
    protocol: Protocol = "rows"
    stride: int = 1
    extra: tuple[More, ...] = ()
    note: str = ""
    change: Callable[[Forecast], Forecast] | None = None
    split: Callable[[Dataset], Split] | None = None

    def open(self, name: str, folder: Path | None, seed: int) -> Posed:
        solution = self.declared()
        dataset = load(solution, folder)
        asked = [one for one in solution.problems if isinstance(one, Forecast)]
        asked = asked if self.protocol == "ett" else asked[:1]
        asked = [self.change(one) for one in asked] if self.change else asked
        split = self.split(dataset) if self.split else None
        return Posed(
            name=name,
            title=self.title or solution.title,
            dataset=dataset,
            tasks=tuple(pose(dataset, one, split=split, seed=seed) for one in asked),
            protocol=self.protocol,
            stride=self.stride,
            extra=self.extra,
            note=self.note,
        )


def _ahead(problem: Forecast, *, future: tuple[str, ...]) -> Forecast:
    past = tuple(name for name in problem.past if name not in future)
    return msgspec.structs.replace(problem, past=past, future=future)


def _seasons(dataset: Dataset) -> Split:
    return gefcom.month(dataset).task.split


def _event(dataset: Dataset) -> Split:
    """Put the flood of 22 to 25 January 2020 in the test part; there are only quiet days to learn from."""
    table = dataset.table

    def row(text: str) -> int:
        return int(np.datetime64(text, "ns").astype(np.int64) // table.every_ns - table.first)

    return by_time((0, row("2020-01-18"), row("2020-01-21"), row("2020-02-07T16:00")))


def _bwdf(name: str, folder: Path | None, seed: int) -> Posed:
    dataset = load(find("water"), folder)
    return Posed(
        name=name,
        title="Battle of Water Demand Forecasting: four weeks of ten districts",
        dataset=dataset,
        tasks=(bwdf.week(dataset, 1, seed=seed).task,),
        protocol="bwdf",
        note="The weather of the weeks foreseen is known, as it was to the contestants.",
    )


def _gefcom(name: str, folder: Path | None, seed: int) -> Posed:
    dataset = load(find("solar"), folder)
    return Posed(
        name=name,
        title="GEFCom2014 solar, Task 1: April 2013 of three plants",
        dataset=dataset,
        tasks=(gefcom.month(dataset, seed=seed).task,),
        protocol="gefcom",
        note="Power of April is hidden from the forecaster, as it was in the competition.",
    )


_PERFECT = "The weather ahead is what came (a perfect forecast): a real forecast gives less."
_ERA5 = ("era5_u", "era5_v", "era5_wind", "era5_density")
_WEATHER = ("temperature", "pressure", "dew_point", "rain", "wind")
_RIVER: tuple[More, ...] = ("skill", "nse", "exceed")
_HIGH = "Crossings are of the level that each gauge was under for 95 % of its training part."

_SETS: dict[str, _Plan | Callable[[str, Path | None, int], Posed]] = {
    "traffic": _Plan(declared=partial(find, "traffic")),
    "crowd": _Plan(
        declared=partial(find, "crowd"),
        note="Nights and weekends are gaps, so the first two hours of a day are foreseen without a reading"
        " of that day; the literature joins the days and shows the last hours of the day before.",
    ),
    "air": _Plan(declared=partial(find, "air")),
    "air-weather": _Plan(
        declared=partial(find, "air"), title="Fine dust with the weather known ahead",
        change=partial(_ahead, future=_WEATHER), note=_PERFECT,
    ),
    "etth1": _Plan(declared=partial(find, "energy"), protocol="ett"),
    "etth2": _Plan(declared=extra.etth2, protocol="ett"),
    "water": _Plan(declared=partial(find, "water")),
    "bwdf": _bwdf,
    "solar": _Plan(
        declared=partial(find, "solar"), stride=24, split=_seasons,
        note="Forecasts are made at 00:00 UTC, when the weather run they take is of; at other hours the"
        " weather of the next day would not be known yet.",
    ),
    "gefcom": _gefcom,
    "wind": _Plan(declared=partial(find, "wind"), extra=("skill",)),
    "wind-weather": _Plan(
        declared=partial(find, "wind"), title="Wind power of the plant, were the weather known ahead",
        extra=("skill",),
        change=partial(_ahead, future=_ERA5),
        note="ERA5 is a reanalysis, not a forecast: this is the most that a weather forecast could give.",
    ),
    "flood": _Plan(declared=partial(find, "flood"), extra=_RIVER, note=_HIGH),
    "flood-event": _Plan(
        declared=partial(find, "flood"), title="River levels in the flood of January 2020, after quiet days",
        extra=_RIVER, split=_event, note=f"The test part holds a flood, the training part none. {_HIGH}",
    ),
    "runoff": _Plan(
        declared=extra.runoff, extra=("nse", "skill"),
        note="The rain ahead is what fell: this asks how rain becomes discharge. " + _PERFECT,
    ),
    "i94": _Plan(declared=extra.i94),
    "bike": _Plan(declared=extra.bike),
}  # fmt: skip
_OWN: dict[str, Callable[[], Solution]] = {"metr-la": extra.metr_la, "pems08": extra.pems08}

NAMES = (*_SETS, *_OWN)


def open_set(name: str, *, folder: Path | None = None, file: Path | None = None, seed: int = 0) -> Posed:
    """Open a set by name; ``folder`` comes before ``NERVURE_DATA``, ``file`` is the user's own benchmark.

    Raises ``DataError`` where there is no such set, or its data are not here, with what to do.
    """
    if name in _OWN:
        declared = _OWN[name]()
        path = file or _own_file(declared, folder)
        assert declared.data is not None  # noqa: S101  it is declared in our own file
        data = msgspec.structs.replace(declared.data, folder="", files=(path.name,))
        solution = msgspec.structs.replace(declared, data=data)
        return _Plan(declared=lambda: solution).open(name, path.absolute().parent, seed)
    if name not in _SETS:
        raise DataError(f"there is no set {name!r}", hint=f"there are: {', '.join(NAMES)}")
    if file is not None:
        raise DataError(
            f"the set {name!r} takes no file of your own", hint=f"those that do: {', '.join(_OWN)}"
        )
    plan = _SETS[name]
    return plan.open(name, folder, seed) if isinstance(plan, _Plan) else plan(name, folder, seed)


def _own_file(declared: Solution, folder: Path | None) -> Path:
    assert declared.data is not None  # noqa: S101  it is declared in our own file
    named = os.environ.get("NERVURE_DATA")
    bases = [one for one in (folder, Path(named) if named else None, cache_folder()) if one is not None]
    for base in bases:
        for suffix in (".h5", ".npz", ".parquet", ".csv"):
            path = base / declared.data.folder / f"{declared.name}{suffix}"
            if path.exists():
                return path
    raise DataError(
        f"the set {declared.name!r} is not here: it may not be passed on, so bring your own file",
        where=", ".join(str(base / declared.data.folder) for base in bases),
        hint=f"give its file, or put {declared.name}.h5, .npz, .csv or .parquet there ({declared.data.cite})",
    )


def rows_of(
    posed: Posed, task: ForecastTask, chosen: Samples, found: NDArray[np.floating], y: NDArray[np.floating],
    *, subject: str, kind: Literal["baseline", "deep", "peer"] = "baseline",
) -> list[Metric]:  # fmt: skip
    """Return the rows that the set's protocol has beyond ``evaluate.score``, at each of ``report_at``.

    ``found [batch, horizon]`` is what happened to ``chosen``, ``y [batch, horizon, quantile]`` the forecast.
    """
    if not posed.extra:
        return []
    point = y[:, :, task.median]
    last = skill.persistence(task, chosen)
    columns: dict[str, Sequence[float] | NDArray[np.float64]] = {}
    if "skill" in posed.extra:
        columns["skill_MAE"], columns["skill_RMSE"] = skill.skill(found, point, last)
    if "nse" in posed.extra:
        each = skill.efficiency(found, point, chosen.node)
        columns["NSE_median"], columns["NSE_worst"] = np.nanmedian(each, axis=0), np.nanmin(each, axis=0)
    if "exceed" in posed.extra:
        rise = skill.crossings(found, point, last, skill.thresholds(task)[chosen.node])
        columns["crossings"] = rise.happened.astype(np.float64)
        columns["hit_rate"], columns["false_alarm_ratio"] = rise.hit_rate, rise.false_alarms
    every = task.table.every_ns
    return [
        Metric(
            subject=subject, kind=kind, metric=metric, value=float(values[step - 1]),
            horizon=duration_text(step * every),
        )
        for metric, values in columns.items()
        for step in task.report_at
        if step <= task.horizon
    ]  # fmt: skip
