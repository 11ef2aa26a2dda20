"""The twin of a water network: EPANET by the minute, with valves, pumps, bursts and what is carried along.

The network is the user's own ``.inp`` file. Such files have no isolating valves, so they are put where the
n-1 rule has them (Walski, J. AWWA 85(7), 1993): where three pipes or more meet, on all but the longest.
People draw more or less than the file's pattern, junction by junction and minute by minute; pipes are
rougher or smoother than it says. Its local plan leaves valves open and pumps to the file's own controls,
which leave alone a pump that was commanded until it is given back. A day's demand begins anew at midnight,
for as long as it runs: the file's own duration does not count.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nervure.twin.api import Actuator, Description, Sensor, TwinError
from nervure.twin.ask import checked, given
from nervure.twin.hydraulic import Net, fed
from nervure.twin.raw import Raw
from nervure.twin.replay import Course, replay

__all__ = ["Pipes", "valves"]

Floats = NDArray[np.float64]
Longs = NDArray[np.int64]
STEP_S = 60
_KNOWN = {
    "hour": 10.0, "burst_pipe": -1.0, "burst_share": 0.5, "burst_size": 6.0, "burst_after_min": 30.0,
    "noise": 0.1, "rough": 0.05, "demand": 1.0, "town": 0.0, "read_m": 0.03, "read_mg_l": 0.0,
    "chlorine": 0.0, "raw_mg_l": 0.0, "rain_h": -1.0, "decay_per_day": 0.5, "poison_node": -1.0,
    "poison_mg_l": 0.0, "roughness": 1.0,
}  # fmt: skip
_HOURS = 24 * 365 * 50  # nobody waits so long: EPANET has to have an end


def valves(ends: Longs, length: Floats, is_pipe: NDArray[np.bool_]) -> tuple[tuple[int, int], ...]:
    """Return where isolating valves are by the n-1 rule: pipe, and the end node that one is at.

    >>> ends, sure = np.array([[0, 1], [1, 2], [1, 3]]), np.ones(3, bool)
    >>> valves(ends, np.array([10.0, 30.0, 20.0]), sure)
    ((0, 1), (2, 1))
    """
    found = []
    for node in range(int(ends.max()) + 1):
        own = [at for at in np.flatnonzero((ends == node).any(axis=1)).tolist() if is_pipe[at]]
        if len(own) >= 3:
            longest = max(own, key=lambda at: (length[at], -at))
            found += [(at, node) for at in own if at != longest]
    return tuple(sorted(found))


class Pipes:
    """A network by the minute; ``pressure`` are nodes and ``flow`` links that are measured.

    Of the scenario, ``rough`` is how far pipes and people scatter, ``roughness`` a factor on coefficients,
    ``roughness/120`` one more on those of 120 in the file, ``level/TANK`` what a tank holds at first in m.
    """

    def __init__(
        self, path: Path, *, pressure: Sequence[str] = (), flow: Sequence[str] = (), step_s: int = STEP_S
    ) -> None:
        if step_s != int(step_s) or not 1 <= step_s <= 3600:
            raise TwinError(f"a step cannot be {step_s:g} s", hint="whole seconds, an hour at most")
        self.path, self._name, self._step_s = path, path.stem, int(step_s)
        plain = Net(path)
        self.nodes, self.links, self.ends = list(plain.nodes), list(plain.links), plain.ends.copy()
        self.length, self.is_pipe = plain.length.copy(), plain.is_pipe.copy()
        self.is_source = plain.is_source.copy()
        self.kinds = plain.kinds()
        self.valves = valves(self.ends, self.length, self.is_pipe)
        junctions = np.flatnonzero(~plain.is_source).tolist()
        self.pressure = tuple(pressure) or tuple(
            self.nodes[at] for at in junctions[:: len(junctions) // 12 or 1]
        )
        self.flow = tuple(flow) or tuple(
            self.links[at] for at in np.flatnonzero(plain.is_source[self.ends].any(axis=1)).tolist()
        )
        self.tanks = tuple(self.nodes[at] for at in np.flatnonzero(plain.is_tank).tolist())
        self.sources = tuple(
            self.nodes[at] for at in np.flatnonzero(plain.is_source & ~plain.is_tank).tolist()
        )
        self._pumps = tuple(self.links[at] for at in np.flatnonzero(plain.is_pump).tolist())
        self._known = {f"roughness/{one}": 1.0 for one in self.kinds}
        self._known |= {f"level/{one}": level for one, level in plain.levels().items()} | _KNOWN
        plain.close()
        lacking = [one for one in self.pressure if one not in self.nodes]
        lacking += [one for one in self.flow if one not in self.links]
        if lacking:
            raise TwinError(f"the network has no {lacking[0]!r}", where=str(path))
        self._actuators = {one.name: one for one in self._settable()}
        self._net: Net | None = None
        self._base: Floats | None = None
        self._was_shut: set[int] = set()

    def describe(self) -> Description:
        """Say what there is."""
        return Description(
            name="pipes",
            engine=f"EPANET, owa-epanet {version('owa-epanet')}, network {self._name}",
            step_s=float(self._step_s),
            sensors=self._sensors(),
            actuators=tuple(self._actuators.values()),
            kpis={
                "lost": "m3", "unserved": "m3", "lowest_pressure": "m[H2O]", "cut_off": "1", "closed": "1",
                "pumped": "kW.h",
            },
        )  # fmt: skip

    def valve(self, at: int) -> str:
        """Return the name of a valve as an actuator."""
        pipe, node = self.valves[at]
        return f"{self.links[pipe]}@{self.nodes[node]}/valve"

    def reset(self, *, seed: int = 0, scenario: Mapping[str, float] | None = None) -> Mapping[str, float]:
        """Open the network anew, at the scenario's hour."""
        self._given = given(scenario, self._known)
        self.close()
        self._course = Course(seed=seed, scenario=dict(scenario or {}))
        self._rng = np.random.default_rng(seed)
        self._net = net = Net(self.path)
        self._users = net.own_demand()
        if self._base is None:
            self._base = np.array(
                [[net.patterned(at, hour) for hour in np.arange(24.0)] for at in self._users.tolist()]
            )
        self._users_id = [net.nodes[at] for at in self._users.tolist()]
        net.take_demand(self._users)
        spread = np.exp(self._given["rough"] * self._rng.standard_normal(len(net.links)))
        self._own = np.exp(self._given["rough"] * self._rng.standard_normal(len(self._users)))
        self._swing, self._town = np.zeros(len(self._users)), 0.0
        net.scale_roughness(spread, self._given)
        net.fill(
            {one: self._given[f"level/{one}"] for one in self.tanks if f"level/{one}" in (scenario or {})}
        )
        self._cut()
        self._taste()
        self._closed: set[int] = set()
        self._was_shut = set()
        self._speed: dict[str, float] = {}
        self._lost = self._unserved = self._pumped = 0.0
        self._lowest, self._dry = np.inf, 0
        self._drawn = np.nan
        self._settled()
        net.start(self._step_s, _HOURS)
        return self._solved(0)

    def apply(self, commands: Mapping[str, float]) -> None:
        """Set valves (1 open, 0 closed), pumps (share of the rated speed) and doses (mg/L)."""
        net = self._running()
        for name, value in checked(commands, self._actuators).items():
            thing, what = name.rsplit("/", 1)
            if what == "valve":
                at = next(at for at in range(len(self.valves)) if self.valve(at) == name)
                (self._closed.discard if value >= 0.5 else self._closed.add)(at)
            elif what == "pump":
                net.hold(net.links.index(thing), held=True)
                net.set_speed(net.links.index(thing), value)
                self._speed[thing] = value
            else:
                self._dose[thing] = value
        self._dosed()
        self._shut()
        self._course.note(dict(commands))

    def release(self, names: tuple[str, ...] | None = None) -> None:
        """Open valves; pumps go back to the file's controls, and doses to the scenario's."""
        net, back = self._running(), names if names is not None else tuple(self._actuators)
        for name in back:
            thing, what = name.rsplit("/", 1)
            if name not in self._actuators:
                raise TwinError(f"there is no actuator {name!r}")
            if what == "valve":
                self._closed -= {at for at in self._closed if self.valve(at) == name}
            elif what == "dose":
                self._dose[thing] = self._given["chlorine"]
            elif thing in self._speed:
                if not net.hold(net.links.index(thing), held=False) or self._speed[thing] > 0:
                    net.set_speed(net.links.index(thing), 1.0)
                del self._speed[thing]
        self._dosed()
        self._shut()
        self._course.note(dict.fromkeys(back))

    def step(self) -> Mapping[str, float]:
        """Let a minute pass, or what else a step is."""
        net = self._running()
        self._course.steps += 1
        due = self._course.steps * self._step_s
        bursts = max(1, int(self._given["burst_after_min"]) * 60 // self._step_s)
        if self._course.steps == bursts and self._burst is not None:
            net.set_leak(self._burst, self._given["burst_size"])
        if self._given["raw_mg_l"] > 0:
            self._used = self._raw.minute(due / 3600)
            self._dosed()
        self._settled()
        while True:  # a tank that runs full ends a step of EPANET's before ours
            if net.go_on() <= 0:
                raise TwinError(f"the run has ended after {_HOURS} h", hint="reset")
            now = net.solve()
            if now >= due:
                return self._read(now)

    def snapshot(self) -> bytes:
        """Return what has been asked since the reset: EPANET cannot write its state down."""
        return self._course.pack()

    def restore(self, state: bytes) -> None:
        """Go back to a state, by doing again what was asked."""
        replay(self, state)

    def reseed(self, seed: int) -> None:
        """Let people draw, and sensors err, otherwise from here on; pipes are as they are."""
        self._rng = np.random.default_rng([seed, self._course.steps])
        self._course.reseeded(seed)

    def calibrate(self, observed: Mapping[str, tuple[float, ...]]) -> Mapping[str, float]:
        """Fit demand and roughness to pressures, flows and levels, from the scenario's hour; start anew so.

        See :func:`nervure.twin.pressure.fit_pipes`.
        """
        from nervure.twin.pressure import fit_pipes

        return fit_pipes(self, observed)

    def told(self, levels: Mapping[str, float], drawn_m3h: float = np.nan) -> None:
        """Take over what was measured: what tanks hold now, in m by tank, and what all draw in the next step.

        NaN is not measured. A state does not keep it.
        """
        self._running().fill(levels)
        self._drawn = drawn_m3h

    @property
    def scenario(self) -> Mapping[str, float]:
        """What was given at the last reset."""
        return dict(self._course.scenario)

    def kpis(self) -> Mapping[str, float]:
        """Return what was lost and not served, the lowest pressure seen, who is cut off, valves closed."""
        lowest = self._lowest if np.isfinite(self._lowest) else 0.0
        return {
            "lost": self._lost, "unserved": self._unserved, "lowest_pressure": lowest,
            "cut_off": float(self._dry), "closed": float(len(self._closed)), "pumped": self._pumped,
        }  # fmt: skip

    def close(self) -> None:
        """End EPANET."""
        if self._net is not None:
            self._net.stop()
            self._net.close()
            self._net = None

    def pressures(self) -> Mapping[str, float]:
        """Return the true pressure at every junction that consumes and still has a way to a source, in m."""
        net = self._running()
        found = net.node_values("PRESSURE")
        return {net.nodes[at]: float(found[at]) for at in self._users.tolist() if self._fed[at]}

    def drawn(self) -> Mapping[str, float]:
        """Return what every junction draws or would like to draw now, in m3/h."""
        return dict(zip(self._users_id, self._asked.tolist(), strict=True))

    def tastes(self) -> Mapping[str, float]:
        """Return what the water at every junction that consumes truly carries, in mg/L."""
        net = self._running()
        found = net.node_values("QUALITY")
        return {net.nodes[at]: float(found[at]) for at in self._users.tolist()}

    def _running(self) -> Net:
        if self._net is None:
            raise TwinError("the twin is not running", hint="reset it first")
        return self._net

    def _cut(self) -> None:
        """Put the place of the burst into its pipe."""
        net, at = self._running(), int(self._given["burst_pipe"])
        self._burst: int | None = None
        if at < 0:
            return
        if at >= len(self.links) or not self.is_pipe[at]:
            raise TwinError(
                f"link {at} of the network is no pipe", hint=f"give a pipe below {len(self.links)}"
            )
        self._burst = net.cut(self.links[at], self._given["burst_share"])
        self._users = np.array([net.nodes.index(one) for one in self._users_id], dtype=np.int64)

    def _taste(self) -> None:
        """Begin to carry chlorine, or what somebody put in."""
        net, poison = self._running(), int(self._given["poison_node"])
        if self._given["chlorine"] > 0 or poison >= 0:
            net.carry("substance", self._given["decay_per_day"])
        self._raw, self._used = Raw(self._course.seed, self._given["raw_mg_l"], self._given["rain_h"]), 0.0
        self._dose = dict.fromkeys(self.sources, self._given["chlorine"])
        self._dosed()
        if poison >= 0:
            net.dose(net.nodes.index(self.nodes[poison]), self._given["poison_mg_l"])

    def _dosed(self) -> None:
        """Let water leave the works with what raw water leaves of the doses."""
        net = self._running()
        for thing, dose in self._dose.items() if self._given["chlorine"] > 0 else ():
            net.dose(net.nodes.index(thing), max(dose - self._used, 0.0))

    def _settled(self) -> None:
        """Set what everybody draws in the coming minute."""
        hour = (self._given["hour"] + self._course.steps * self._step_s / 3600) % 24
        keep = float(np.exp(-self._step_s / 600))  # what people do lasts some ten minutes
        self._swing = keep * self._swing + np.sqrt(1 - keep**2) * self._rng.standard_normal(len(self._swing))
        low, share = int(hour), hour - int(hour)
        if self._base is None:
            raise TwinError("the twin is not running", hint="reset it first")
        mean = self._base[:, low] * (1 - share) + self._base[:, (low + 1) % 24] * share
        factor = self._given["demand"] * self._own * np.exp(self._given["noise"] * self._swing)
        if self._given["town"] > 0:  # what all of them do alike lasts some three hours
            lasts = float(np.exp(-self._step_s / 10_800))
            self._town = lasts * self._town + float(np.sqrt(1 - lasts**2) * self._rng.standard_normal())
            factor = factor * float(np.exp(self._given["town"] * self._town))
        self._asked = mean * factor
        if np.isfinite(self._drawn):
            self._asked *= max(self._drawn, 0.0) / max(float(self._asked.sum()), 1e-9)
        self._running().set_demand(self._users, self._asked)

    def _solved(self, due: int) -> Mapping[str, float]:
        net = self._running()
        self._shut()
        net.solve()
        return self._read(due)

    def _shut(self) -> None:
        """Close the links that closed valves are on, and find out who is still fed."""
        net = self._running()
        shut = set()
        for at in self._closed:
            pipe, node = self.valves[at]
            name = self.links[pipe]
            second = f"{name}_b" in net.links and node == int(self.ends[pipe, 1])
            shut.add(net.links.index(f"{name}_b" if second else name))
        for link in np.flatnonzero(net.is_pipe).tolist():
            if link in shut or link in self._was_shut:
                net.set_open(link, link not in shut)
        self._was_shut = shut
        self._fed = fed(net, shut)

    def _read(self, now: int) -> Mapping[str, float]:
        """Count this minute, and return what is measured of it."""
        net = self._running()
        pressure, flow = net.node_values("PRESSURE"), net.link_values("FLOW")
        served = net.node_values("DEMAND")[self._users]
        minute = self._step_s / 3600
        if self._burst is not None:
            self._lost += float(net.node_values("EMITTERFLOW")[self._burst]) * minute
        self._unserved += float(np.maximum(self._asked - served, 0.0).sum()) * minute
        fed = self._fed[self._users]
        self._dry = int((~fed).sum())
        self._lowest = min(self._lowest, float(pressure[self._users[fed]].min())) if fed.any() else 0.0
        power = net.link_values("ENERGY") if self._pumps else np.zeros(len(net.links))
        self._pumped += float(power[net.is_pump].sum()) * minute
        noise = self._given["read_m"] * self._rng.standard_normal(len(self.pressure))
        places = [net.nodes.index(one) for one in self.pressure]
        values = {
            f"{one}/pressure": float(pressure[at] + off)
            for one, at, off in zip(self.pressure, places, noise, strict=True)
        }
        values |= {f"{one}/flow": float(flow[net.links.index(one)]) for one in self.flow}
        values |= {f"{one}/level": float(pressure[net.nodes.index(one)]) for one in self.tanks}
        values |= {f"{one}/power": float(power[net.links.index(one)]) for one in self._pumps}
        if self._given["chlorine"] > 0 or self._given["poison_node"] >= 0:
            quality = net.node_values("QUALITY")[places]
            if self._given["read_mg_l"] > 0:
                off = self._given["read_mg_l"] * self._rng.standard_normal(len(places))
                quality = np.maximum(quality + off, 0.0)
            values |= {f"{one}/quality": at for one, at in zip(self.pressure, quality.tolist(), strict=True)}
        return values

    def _sensors(self) -> tuple[Sensor, ...]:
        named = [(one, "pressure", "m[H2O]") for one in self.pressure]
        named += [(one, "flow", "m3/h") for one in self.flow] + [(one, "level", "m") for one in self.tanks]
        named += [(one, "power", "kW") for one in self._pumps]
        named += ((one, "quality", "mg/L") for one in self.pressure)
        return tuple(Sensor(name=f"{a}/{b}", thing="network", signal=b, unit=c) for a, b, c in named)

    def _settable(self) -> tuple[Actuator, ...]:
        valves = [(name, name.removesuffix("/valve")) for name in map(self.valve, range(len(self.valves)))]
        found = [
            Actuator(name=name, thing=thing, signal="valve", unit="1", low=0, high=1, rest=1)
            for name, thing in valves
        ]
        found += [
            Actuator(name=f"{one}/pump", thing=one, signal="pump", unit="1", low=0, high=1.2)
            for one in self._pumps
        ]
        found += [
            Actuator(name=f"{one}/dose", thing=one, signal="dose", unit="mg/L", low=0, high=4)
            for one in self.sources
        ]
        return tuple(found)
