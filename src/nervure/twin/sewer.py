"""The twin of sewers in a storm: SWMM by five minutes, with a basin's gate and a pump that others set.

Rossman, Storm Water Management Model User's Manual 5.1, EPA/600/R-14/413b, 2015: runoff of surfaces, dynamic
waves in pipes. The sewers are our own unless another file is given; of any file the rain gauges get the
scenario's storm, orifices are gates and pumps are pumps. Streets are flooded where water leaves a manhole;
what goes over weirs goes to outfalls. Its local plan leaves gates open and pumps on. The file's END_DATE does
not count: when the storms are over it stays dry, and dry weather flows go on.
"""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import nervure.twin
from nervure.core.error import EnvironmentMissing
from nervure.twin.api import Actuator, Description, Sensor, TwinError
from nervure.twin.ask import checked, given, within
from nervure.twin.chance import rest_otherwise
from nervure.twin.replay import Course, replay

__all__ = ["Sewer", "brook"]

Floats = NDArray[np.float64]
STEP_S = 300
_KNOWN = {
    "rain_mm": 35.0, "rain_h": 5.0, "rain_after_h": 2.0, "again_mm": 0.0, "again_after_h": 12.0,
    "area": 1.0, "width": 1.0,
}  # fmt: skip
_CAN = {
    **dict.fromkeys(("rain_mm", "rain_h", "rain_after_h", "again_mm", "again_after_h"), (0.0, 1e6)),
    **dict.fromkeys(("area", "width"), (1e-3, 10.0)),
}
_LONG = timedelta(days=3 * 365)  # nobody waits so long: SWMM has to have an end
_MOST_BYTES, _CELL_BYTES = 1 << 31, 48  # of its results, which it would write: with more it does not begin


def brook() -> Path:
    """Return the file of our own sewers."""
    return Path(nervure.twin.__path__[0]) / "net" / "brook.inp"


class Sewer:
    """A storm over sewers; a step is five minutes. One in a process, as SWMM keeps one model in memory.

    Of the scenario, ``area`` and ``width`` are factors on how much of every catchment drains into the sewers,
    and on its width, which says how fast water comes down it.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._path = path or brook()
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._sim: Any = None
        self._open()
        self.close()
        self._actuators = {
            f"{one}/{what}": Actuator(
                name=f"{one}/{what}", thing=one, signal=what, unit="1", low=0, high=1, rest=1
            )
            for what, names in (("gate", self._gates), ("pump", self._pumps)) for one in names
        }  # fmt: skip

    def describe(self) -> Description:
        """Say what there is."""
        named = [("sky/rain", "rain", "mm/h")]
        named += [(f"{one}/level", "level", "m") for one in self._nodes]
        named += [(f"{one}/flow", "flow", "m3/s") for one in (*self._gates, *self._pumps, *self._outfalls)]
        return Description(
            name="sewer",
            engine=f"SWMM by pyswmm {version('pyswmm')}, sewers {self._path.stem}",
            step_s=float(STEP_S),
            sensors=tuple(Sensor(name=a, thing=a.split("/")[0], signal=b, unit=c) for a, b, c in named),
            actuators=tuple(self._actuators.values()),
            kpis={"flooded": "m3", "flooded_h": "h", **{f"to_{one}": "m3" for one in self._outfalls}},
        )

    def reset(self, *, seed: int = 0, scenario: Mapping[str, float] | None = None) -> Mapping[str, float]:
        """Start anew; the seed sets how the storm's rain falls in time. Lets five minutes pass."""
        self._given = within(given(scenario, _KNOWN), _CAN)
        self._course = Course(seed=seed, scenario=dict(scenario or {}))
        self._rain = self._storm(seed)
        self.close()
        self._open()
        for one in self._catchments:
            one.area *= self._given["area"]
            one.width *= self._given["width"]
        self._sim.end_time = max(self._sim.end_time, self._sim.start_time + self._longest())
        self._sim.step_advance(STEP_S)
        self._sim.start()
        self._set = dict.fromkeys(self._actuators, 1.0)
        self._at, self._flooded_h = 0, 0.0
        return self._pass()

    def apply(self, commands: Mapping[str, float]) -> None:
        """Set gates (share that is open) and pumps (share of their curve)."""
        self._running()
        self._set.update(checked(commands, self._actuators))
        self._course.note(dict(commands))

    def release(self, names: tuple[str, ...] | None = None) -> None:
        """Open gates and let pumps run."""
        back = names if names is not None else tuple(self._actuators)
        for name in back:
            if name not in self._actuators:
                raise TwinError(f"there is no actuator {name!r}")
            self._set[name] = 1.0
        self._course.note(dict.fromkeys(back))

    def step(self) -> Mapping[str, float]:
        """Let five minutes pass."""
        self._running()
        self._course.steps += 1
        return self._pass()

    def snapshot(self) -> bytes:
        """Return what has been asked since the reset: SWMM's hot start goes on a little differently."""
        return self._course.pack()

    def restore(self, state: bytes) -> None:
        """Go back to a state, by doing again what was asked."""
        replay(self, state)

    def reseed(self, seed: int) -> None:
        """Let the rest of the rain fall otherwise in time, as much of it as was to come."""
        self._rain = rest_otherwise(self._rain, self._storm(seed), self._at)
        self._course.reseeded(seed)

    def calibrate(self, observed: Mapping[str, tuple[float, ...]]) -> Mapping[str, float]:
        """Fit ``area`` and ``width`` to levels under the rain that was measured; start anew with them.

        See :func:`nervure.twin.catchment.fit_catchments`.
        """
        from nervure.twin.catchment import fit_catchments

        return fit_catchments(self, observed)

    def rained(self, rain_mm_h: Sequence[float], scenario: Mapping[str, float]) -> None:
        """Start anew under rain in mm/h, one a step, that is told instead of made up; then it is dry.

        A state does not keep it: going back to one brings the scenario's storm.
        """
        self.reset(scenario={**scenario, "rain_mm": 0.0, "again_mm": 0.0})
        self._rain = np.concatenate([[0.0], np.asarray(rain_mm_h, np.float64)])

    def kpis(self) -> Mapping[str, float]:
        """Return what flooded streets, for how long, and what went to each outfall."""
        self._running()
        flooded = sum(self._node[one].statistics["flooding_volume"] for one in self._manholes)
        out = {f"to_{one}": float(self._node[one].cumulative_inflow) for one in self._outfalls}
        return {"flooded": float(flooded), "flooded_h": self._flooded_h, **out}

    def close(self) -> None:
        """End SWMM."""
        if self._sim is not None:
            with suppress(Exception), warnings.catch_warnings():  # what was not started cannot be ended
                warnings.simplefilter("ignore")
                self._sim.close()
            self._sim = None
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None

    def _open(self) -> None:
        tool = _pyswmm()
        self._folder = tempfile.TemporaryDirectory()
        out = Path(self._folder.name)
        try:
            self._sim = tool.Simulation(str(self._path), str(out / "report"), str(out / "out")).__enter__()
        except Exception as cause:  # pyswmm's errors share no class of their own
            self.close()
            raise TwinError(
                f"SWMM cannot read the sewers: {cause}", where=str(self._path), hint="give an .inp file"
            ) from cause
        nodes, links = list(tool.Nodes(self._sim)), list(tool.Links(self._sim))
        self._node = {one.nodeid: one for one in nodes}
        self._link = {one.linkid: one for one in links}
        self._gauges = list(tool.RainGages(self._sim))
        self._catchments = list(tool.Subcatchments(self._sim))
        self._outfalls = tuple(one.nodeid for one in nodes if one.is_outfall())
        self._nodes = tuple(one.nodeid for one in nodes if not one.is_outfall())
        self._manholes = tuple(one.nodeid for one in nodes if one.is_junction())
        self._gates = tuple(one.linkid for one in links if one.is_orifice())
        self._pumps = tuple(one.linkid for one in links if one.is_pump())

    def _longest(self) -> timedelta:
        """Return how long a run may be: as if results were written once a minute, whatever the file says."""
        cells = len(self._node) + len(self._link) + len(self._catchments) + 2
        return min(_LONG, timedelta(minutes=_MOST_BYTES // (_CELL_BYTES * cells)))

    def _running(self) -> None:
        if self._sim is None:
            raise TwinError("the twin is not running", hint="reset it first")

    def _storm(self, seed: int) -> Floats:
        """Return rain in mm/h until it ends, ``[step]``: two storms at most, heaviest in their middle."""
        rng, count = np.random.default_rng([seed, 61]), round(self._given["rain_h"] * 3600 / STEP_S)
        first = self._given["rain_after_h"]
        begins = [round(one * 3600 / STEP_S) for one in (first, first + self._given["again_after_h"])]
        rain = np.zeros(max(begins) + count)
        for total, begin in zip((self._given["rain_mm"], self._given["again_mm"]), begins, strict=True):
            burst = rng.gamma(0.8, 1.0, count) * np.bartlett(count + 2)[1:-1]
            rain[begin : begin + count] += total * burst / max(burst.sum(), 1e-9) * 3600 / STEP_S
        return rain

    def _pass(self) -> Mapping[str, float]:
        """Let five minutes of rain fall, and return what is measured then."""
        rain = float(self._rain[self._at]) if self._at < len(self._rain) else 0.0
        for one in self._gauges:
            one.total_precip = rain
        for name, value in self._set.items():
            self._link[name.rsplit("/", 1)[0]].target_setting = value
        if next(self._sim, None) is None:
            raise TwinError("the sewers have run for as long as SWMM lets them", hint="reset")
        self._at += 1
        flooding = sum(float(self._node[one].flooding) for one in self._manholes)
        self._flooded_h += (flooding > 0) * STEP_S / 3600
        values = {"sky/rain": rain}
        values |= {f"{one}/level": float(self._node[one].depth) for one in self._nodes}
        values |= {f"{one}/flow": float(self._link[one].flow) for one in (*self._gates, *self._pumps)}
        return values | {f"{one}/flow": float(self._node[one].total_inflow) for one in self._outfalls}


def _pyswmm() -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import pyswmm
    except ImportError as cause:
        raise EnvironmentMissing(
            "SWMM is not installed", hint="pip install 'nervure[twin]', which brings pyswmm"
        ) from cause
    return pyswmm
