"""EPANET stepped from outside: a network whose valves, pumps, leaks and doses others set while it runs.

Rossman et al., EPANET 2.2 User Manual, EPA/600/R-20/133, 2020. Consumers get less where pressure is low
(Wagner's relation, `PDA`), so that a part that is cut off has no water instead of a pressure below zero.
Pressures in m, flows in m3/h, whatever the file has.
"""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nervure.core.error import EnvironmentMissing
from nervure.twin.api import TwinError

__all__ = ["Net", "fed"]

Floats = NDArray[np.float64]
Longs = NDArray[np.int64]
_KINDS = 12


class Net:
    """One network in EPANET's memory, between ``open`` and ``close``.

    Nodes and links count from 0 here. ``ends [link, 2]`` are nodes.
    """

    def __init__(self, path: Path) -> None:
        self._tool = _toolkit()
        self._folder = tempfile.TemporaryDirectory()
        self._project: Any = self._tool.createproject()
        try:
            self._tool.open(self._project, str(path), str(Path(self._folder.name) / "report"), "")
        except Exception as cause:  # the toolkit raises nothing narrower
            self.close()
            raise TwinError(
                f"EPANET cannot read the network: {cause}", where=str(path), hint="give an .inp file"
            ) from cause
        tool = self._tool
        tool.setstatusreport(self._project, tool.NO_REPORT)
        tool.setflowunits(self._project, tool.CMH)
        tool.setdemandmodel(self._project, tool.PDA, 0.0, 10.0, 0.5)
        tool.setoption(self._project, tool.EMITBACKFLOW, 0)
        self._running = self._tasting = False
        self.look()

    def look(self) -> None:
        """Read anew what there is; pipes may have been cut."""
        tool, project = self._tool, self._project
        nodes = range(1, tool.getcount(project, tool.NODECOUNT) + 1)
        links = range(1, tool.getcount(project, tool.LINKCOUNT) + 1)
        self.nodes = [str(tool.getnodeid(project, at)) for at in nodes]
        self.links = [str(tool.getlinkid(project, at)) for at in links]
        self.ends: Longs = np.array([tool.getlinknodes(project, at) for at in links], dtype=np.int64) - 1
        kind = np.array([tool.getlinktype(project, at) for at in links])
        self.is_pipe = np.isin(kind, [tool.PIPE, tool.CVPIPE])
        self.is_pump = kind == tool.PUMP
        self.is_source = np.array([tool.getnodetype(project, at) for at in nodes]) != tool.JUNCTION
        self.is_tank = np.array([tool.getnodetype(project, at) for at in nodes]) == tool.TANK
        self.length = np.array([tool.getlinkvalue(project, at, tool.LENGTH) for at in links])

    def close(self) -> None:
        """Let EPANET's memory go."""
        if self._project is not None:
            with suppress(Exception):  # what was not opened cannot be closed
                self._tool.close(self._project)
            self._tool.deleteproject(self._project)
            self._project = None
        self._folder.cleanup()

    def cut(self, pipe: str, share: float) -> int:
        """Put a node into a pipe at a share of its length, and return the node; the second half is new.

        The halves are called as the pipe and ``PIPE_b``.
        """
        tool, project = self._tool, self._project
        at = self.links.index(pipe) + 1
        first, last = tool.getlinknodes(project, at)
        length, wide, rough = (
            tool.getlinkvalue(project, at, what) for what in (tool.LENGTH, tool.DIAMETER, tool.ROUGHNESS)
        )
        height = [tool.getnodevalue(project, end, tool.ELEVATION) for end in (first, last)]
        tool.addnode(project, f"{pipe}_at", tool.JUNCTION)
        first, last = tool.getlinknodes(project, at)  # tanks move up when a junction comes in
        node = tool.getnodeindex(project, f"{pipe}_at")
        tool.setnodevalue(project, node, tool.ELEVATION, height[0] + share * (height[1] - height[0]))
        rest = tool.addlink(project, f"{pipe}_b", tool.PIPE, f"{pipe}_at", tool.getnodeid(project, last))
        tool.setlinknodes(project, at, first, node)
        tool.setlinkvalue(project, at, tool.LENGTH, length * share)
        tool.setpipedata(project, rest, length * (1 - share), wide, rough, 0.0)
        self.look()
        return int(node) - 1

    def own_demand(self) -> Longs:
        """Take demands from the file's patterns, and return the junctions that have any."""
        tool, project = self._tool, self._project
        count = [tool.getnumdemands(project, at + 1) for at in range(len(self.nodes))]
        found = [
            at
            for at in np.flatnonzero(~self.is_source).tolist()
            if any(tool.getbasedemand(project, at + 1, one + 1) for one in range(count[at]))
        ]
        return np.array(found, dtype=np.int64)

    def patterned(self, node: int, hour: float) -> float:
        """Return what the file says a junction consumes at an hour, in m3/h."""
        tool, project = self._tool, self._project
        every = tool.gettimeparam(project, tool.PATTERNSTEP) / 3600
        total = 0.0
        for part in range(1, tool.getnumdemands(project, node + 1) + 1):
            pattern = tool.getdemandpattern(project, node + 1, part)
            share = 1.0
            if pattern:
                at = int(hour / every) % tool.getpatternlen(project, pattern)
                share = tool.getpatternvalue(project, pattern, at + 1)
            total += share * tool.getbasedemand(project, node + 1, part)
        return float(total * tool.getoption(project, tool.DEMANDMULT))

    def take_demand(self, nodes: Longs) -> None:
        """Let junctions consume only what :meth:`set_demand` says."""
        tool, project = self._tool, self._project
        for at in (nodes + 1).tolist():
            for part in range(tool.getnumdemands(project, at), 1, -1):
                tool.deletedemand(project, at, part)
            tool.setdemandpattern(project, at, 1, 0)
        tool.setoption(project, tool.DEMANDMULT, 1.0)

    def set_demand(self, nodes: Longs, value: Floats) -> None:
        """Set what junctions consume, in m3/h."""
        for at, one in zip((nodes + 1).tolist(), value.tolist(), strict=True):
            self._tool.setnodevalue(self._project, at, self._tool.BASEDEMAND, one)

    def set_leak(self, node: int, coefficient: float) -> None:
        """Let a node lose ``coefficient`` times the root of its pressure in m, in m3/h."""
        self._tool.setnodevalue(self._project, node + 1, self._tool.EMITTER, coefficient)

    def set_open(self, link: int, opened: bool) -> None:
        """Open or close a pipe or valve, or start or stop a pump; a check valve stays as it is."""
        if self._tool.getlinktype(self._project, link + 1) == self._tool.CVPIPE:
            return
        what = self._tool.STATUS if self._running else self._tool.INITSTATUS
        self._tool.setlinkvalue(self._project, link + 1, what, float(opened))

    def set_speed(self, link: int, share: float) -> None:
        """Set a pump's speed as a share of its rated one; 0 stops it."""
        what = self._tool.SETTING if self._running else self._tool.INITSETTING
        self.set_open(link, share > 0)
        if share > 0:
            self._tool.setlinkvalue(self._project, link + 1, what, share)

    def hold(self, link: int, *, held: bool) -> bool:
        """Keep the file's own controls and rules from a link, or let them at it again.

        Returns whether there are any.
        """
        tool, project, found = self._tool, self._project, False
        for number in range(1, tool.getcount(project, tool.CONTROLCOUNT) + 1):
            if int(tool.getcontrol(project, number)[1]) == link + 1:
                tool.setcontrolenabled(project, number, int(not held))
                found = True
        for number in range(1, tool.getcount(project, tool.RULECOUNT) + 1):
            if link + 1 in self._ruled(number):
                tool.setruleenabled(project, number, int(not held))
                found = True
        return found

    def _ruled(self, number: int) -> Iterator[int]:
        """Yield the links, from 1, that a rule of the file acts on."""
        tool, project = self._tool, self._project
        _, then, other, _ = tool.getrule(project, number)
        for get, count in ((tool.getthenaction, int(then)), (tool.getelseaction, int(other))):
            for action in range(1, count + 1):
                yield int(get(project, number, action)[0])

    def kinds(self) -> dict[str, float]:
        """Return the kinds of pipes by their roughness coefficient in the file, each with its length in m.

        Of a file with more than a dozen coefficients none: they are no kinds.
        """
        found: dict[str, float] = {}
        for at in np.flatnonzero(self.is_pipe).tolist():
            kind = f"{self._tool.getlinkvalue(self._project, at + 1, self._tool.ROUGHNESS):g}"
            found[kind] = found.get(kind, 0.0) + float(self.length[at])
        return found if len(found) <= _KINDS else {}

    def scale_roughness(self, factor: Floats, more: Mapping[str, float]) -> None:
        """Multiply pipes' roughness coefficients, ``[link]``, and by ``roughness`` and ``roughness/KIND``."""
        tool = self._tool
        for at in np.flatnonzero(self.is_pipe).tolist():
            old = tool.getlinkvalue(self._project, at + 1, tool.ROUGHNESS)
            kind = more["roughness"] * more.get(f"roughness/{old:g}", 1.0)
            tool.setlinkvalue(self._project, at + 1, tool.ROUGHNESS, old * kind * float(factor[at]))

    def levels(self) -> dict[str, float]:
        """Return what tanks hold at first, in m."""
        tool = self._tool
        return {
            self.nodes[at]: float(tool.getnodevalue(self._project, at + 1, tool.TANKLEVEL))
            for at in np.flatnonzero(self.is_tank).tolist()
        }

    def fill(self, levels: Mapping[str, float]) -> None:
        """Let tanks hold so much from now on, in m; raise TwinError where one cannot."""
        tool = self._tool
        for name, level in levels.items():
            node = self.nodes.index(name) + 1
            low, high = (
                tool.getnodevalue(self._project, node, one) for one in (tool.MINLEVEL, tool.MAXLEVEL)
            )
            if not low <= level <= high:
                raise TwinError(f"tank {name} cannot hold {level:g} m", hint=f"give {low:g} to {high:g}")
            tool.setnodevalue(self._project, node, tool.TANKLEVEL, level)

    def carry(self, name: str, bulk_per_day: float) -> None:
        """Carry a substance in mg/L, which decays by first order in the water."""
        tool, project = self._tool, self._project
        tool.setqualtype(project, tool.CHEM, name, "mg/L", "")
        tool.setoption(project, tool.BULKORDER, 1.0)
        for at in np.flatnonzero(self.is_pipe).tolist():
            tool.setlinkvalue(project, at + 1, tool.KBULK, -bulk_per_day)
        for at in range(len(self.nodes)):
            tool.setnodevalue(project, at + 1, tool.INITQUAL, 0.0)
        self._tasting = True

    def dose(self, node: int, mg_l: float) -> None:
        """Let water leave a reservoir with so much of the substance, any other node with at least so much."""
        tool, project = self._tool, self._project
        held = self.is_source[node] and not self.is_tank[node]  # a set point there would never come down
        tool.setnodevalue(project, node + 1, tool.SOURCEQUAL, max(mg_l, 1e-9))  # at 0 the last one would stay
        tool.setnodevalue(project, node + 1, tool.SOURCETYPE, tool.CONCEN if held else tool.SETPOINT)

    def start(self, step_s: int, hours: float) -> None:
        """Begin to run, for so long at most."""
        tool, project = self._tool, self._project
        for what in (tool.HYDSTEP, tool.REPORTSTEP, tool.QUALSTEP):
            tool.settimeparam(project, what, step_s)
        tool.settimeparam(project, tool.DURATION, int(hours * 3600))
        tool.openH(project)
        tool.initH(project, tool.NOSAVE)
        if self._tasting:
            tool.openQ(project)
            tool.initQ(project, tool.NOSAVE)
        self._running = True

    def solve(self) -> int:
        """Solve the state now, and return its time in s."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # low pressures are an answer too
            try:
                now = int(self._tool.runH(self._project))
                if self._tasting:
                    self._tool.runQ(self._project)
            except Exception as cause:
                raise TwinError(f"EPANET finds no solution: {cause}") from cause
        return now

    def go_on(self) -> int:
        """Go to the next moment and return how far it is in s; 0 at the end."""
        left = int(self._tool.nextH(self._project))
        if self._tasting:
            self._tool.nextQ(self._project)
        return left

    def stop(self) -> None:
        """End the run."""
        if self._running:
            if self._tasting:
                self._tool.closeQ(self._project)
            self._tool.closeH(self._project)
        self._running = False

    def node_values(self, what: str) -> Floats:
        """Return pressures in m, or another value of EPANET's by its name, ``[node]``."""
        return self._values(self._tool.getnodevalue, len(self.nodes), what)

    def link_values(self, what: str) -> Floats:
        """Return flows in m3/h, or another value of EPANET's by its name, ``[link]``."""
        return self._values(self._tool.getlinkvalue, len(self.links), what)

    def _values(self, get: Callable[[Any, int, int], float], count: int, what: str) -> Floats:
        code = int(getattr(self._tool, what))
        return np.array([get(self._project, at, code) for at in range(1, count + 1)], dtype=np.float64)


def fed(net: Net, shut: set[int]) -> NDArray[np.bool_]:
    """Return which nodes have a way to a reservoir or tank that no closed pipe blocks, ``[node]``."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    way = np.array([at for at in range(len(net.links)) if at not in shut])
    ends, count = net.ends[way], len(net.nodes)
    graph = coo_matrix((np.ones(len(way)), (ends[:, 0], ends[:, 1])), shape=(count, count))
    label = connected_components(graph, directed=False)[1]
    found: NDArray[np.bool_] = np.isin(label, label[net.is_source])
    return found


def _toolkit() -> Any:
    try:
        from epanet import toolkit
    except ImportError as cause:
        raise EnvironmentMissing(
            "EPANET is not installed", hint="pip install 'nervure[twin]', which brings owa-epanet"
        ) from cause
    return toolkit
