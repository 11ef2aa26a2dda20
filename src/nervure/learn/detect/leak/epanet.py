"""EPANET, as little of it as leaks need: open a network, change it, step through time, read sensors.

A thin face of the toolkit that ``owa-epanet`` brings (Rossman et al., EPANET 2.2 user manual, EPA,
2020). Units are those of SI networks: m, mm, m3/h, s; a file in other units is refused.
"""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from nervure.core.error import DataError, EnvironmentMissing

__all__ = ["Hydraulics", "Pipes"]

Floats = NDArray[np.float64]
Drive = Callable[[int], None]
_ACCURACY = 1e-5  # of the flows, all together


class Pipes(NamedTuple):
    """Pipes of a network: ids, ends ``[pipe, 2]`` as node numbers from 0, length in m, diameter in mm."""

    id: tuple[str, ...]
    end: NDArray[np.int64]
    length_m: Floats
    diameter_mm: Floats


class Hydraulics:
    """One network in EPANET's memory; close it, or use it in ``with``.

    Node and link numbers here count from 0. Raises ``DataError`` for a file that EPANET does not
    read, with what EPANET says of it, and ``EnvironmentMissing`` where EPANET is not installed.
    """

    def __init__(self, path: Path) -> None:
        self._tool = _toolkit()
        self._folder = tempfile.TemporaryDirectory()
        report = Path(self._folder.name) / "report.txt"
        self._project: Any = self._tool.createproject()
        try:
            self._tool.open(self._project, str(path), str(report), "")
        except Exception as cause:  # the toolkit raises nothing narrower
            self.close(keep=True)
            said = _said(report)
            self._folder.cleanup()
            raise DataError(
                f"EPANET cannot read the network: {cause}{said}", where=str(path),
                hint="give an .inp file that EPANET 2.2 opens",
            ) from cause  # fmt: skip
        self._tool.setstatusreport(self._project, self._tool.NO_REPORT)
        self.nodes = self._names(self._tool.NODECOUNT, self._tool.getnodeid)
        self.links = self._names(self._tool.LINKCOUNT, self._tool.getlinkid)
        if self._tool.getflowunits(self._project) != self._tool.CMH:
            self._tool.setflowunits(self._project, self._tool.CMH)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self, *, keep: bool = False) -> None:
        """Let EPANET's memory go, and its report too, unless ``keep``."""
        if self._project is not None:
            with suppress(Exception):  # what was not opened cannot be closed; what it said is written here
                self._tool.close(self._project)
            self._tool.deleteproject(self._project)
            self._project = None
        if not keep:
            self._folder.cleanup()

    def junctions(self) -> NDArray[np.int64]:
        """Return the numbers of the nodes that consume, ``[junction]``."""
        kind = [self._tool.getnodetype(self._project, at + 1) for at in range(len(self.nodes))]
        return np.flatnonzero(np.array(kind) == self._tool.JUNCTION)

    def pipes(self) -> Pipes:
        """Return every pipe; pumps and valves are links, but no pipes."""
        tool, kinds = self._tool, {self._tool.PIPE, self._tool.CVPIPE}
        own = [at + 1 for at in range(len(self.links)) if tool.getlinktype(self._project, at + 1) in kinds]
        end = np.array([tool.getlinknodes(self._project, at) for at in own], dtype=np.int64).reshape(-1, 2)
        length, diameter = (self._link_values(own, what) for what in (tool.LENGTH, tool.DIAMETER))
        return Pipes(tuple(self.links[at - 1] for at in own), end - 1, length, diameter)

    def other_links(self) -> NDArray[np.int64]:
        """Return the ends of pumps and valves, ``[link, 2]``: they join nodes and have no length."""
        tool, kinds = self._tool, {self._tool.PIPE, self._tool.CVPIPE}
        ends = [
            tool.getlinknodes(self._project, at + 1)
            for at in range(len(self.links))
            if tool.getlinktype(self._project, at + 1) not in kinds
        ]
        return np.array(ends, dtype=np.int64).reshape(-1, 2) - 1

    def height(self) -> Floats:
        """Return how high each node lies, ``[node]`` in m; of a tank or reservoir its bottom."""
        tool = self._tool
        return np.array(
            [tool.getnodevalue(self._project, at + 1, tool.ELEVATION) for at in range(len(self.nodes))]
        )

    def resistance(self) -> tuple[NDArray[np.int64], Floats]:
        """Return every link's ends ``[link, 2]`` and its loss of head in m at 1 m3/h, by Hazen and Williams.

        A valve's loss is 0, a pump's NaN.
        """
        tool, project = self._tool, self._project
        at = range(1, len(self.links) + 1)
        end = np.array([tool.getlinknodes(project, one) for one in at], dtype=np.int64) - 1
        kind = np.array([tool.getlinktype(project, one) for one in at])
        length, width, rough = (
            self._link_values(list(at), what) for what in (tool.LENGTH, tool.DIAMETER, tool.ROUGHNESS)
        )
        piped = np.isin(kind, [tool.PIPE, tool.CVPIPE])
        loss = np.where(kind == tool.PUMP, np.nan, 0.0)
        sound = [one[piped] for one in (length, width / 1000, rough)]
        loss[piped] = 10.667 * sound[0] / sound[2] ** 1.852 / sound[1] ** 4.871 / 3600**1.852
        return end, loss

    def set_pumps(self, *, running: bool) -> None:
        """Let all pumps run, or rest, at the beginning of the next run; controls may change that."""
        tool, project = self._tool, self._project
        for at in range(1, len(self.links) + 1):
            if tool.getlinktype(project, at) == tool.PUMP:
                tool.setlinkvalue(project, at, tool.INITSTATUS, float(running))

    def raise_level(self, node: str, by_m: float) -> None:
        """Let a tank stand ``by_m`` higher at the beginning of the next run."""
        at, what = self.nodes.index(node) + 1, self._tool.TANKLEVEL
        self._tool.setnodevalue(
            self._project, at, what, self._tool.getnodevalue(self._project, at, what) + by_m
        )

    def demand(self, steps: int, step_s: int) -> Floats:
        """Return what the file says each junction consumes, ``[step, junction]`` in m3/h; patterns repeat."""
        tool, project = self._tool, self._project
        every = tool.gettimeparam(project, tool.PATTERNSTEP)
        place = np.arange(steps) * step_s // every
        factor = tool.getoption(project, tool.DEMANDMULT)
        seen: dict[int, Floats] = {0: np.ones(steps)}
        out = np.zeros((steps, len(self.junctions())))
        for column, node in enumerate(self.junctions().tolist()):
            for part in range(1, tool.getnumdemands(project, node + 1) + 1):
                base = tool.getbasedemand(project, node + 1, part)
                pattern = tool.getdemandpattern(project, node + 1, part)
                if pattern not in seen:
                    seen[pattern] = self._pattern(pattern)[place % tool.getpatternlen(project, pattern)]
                out[:, column] += base * factor * seen[pattern]
        return out

    def take_over_demand(self) -> None:
        """Let every junction consume only what :meth:`set_demand` says from now on."""
        tool, project = self._tool, self._project
        for node in (self.junctions() + 1).tolist():
            for part in range(tool.getnumdemands(project, node), 1, -1):
                tool.deletedemand(project, node, part)
            tool.setdemandpattern(project, node, 1, 0)
        tool.setoption(project, tool.DEMANDMULT, 1.0)
        tool.setoption(project, tool.EMITBACKFLOW, 0)
        tool.setoption(project, tool.ACCURACY, _ACCURACY)  # a leak is less than what many files let pass

    def scale_roughness(self, factor: Floats) -> None:
        """Multiply each pipe's roughness coefficient by ``factor [pipe]``."""
        for name, one in zip(self.pipes().id, factor.tolist(), strict=True):
            at = self.links.index(name) + 1
            old = self._tool.getlinkvalue(self._project, at, self._tool.ROUGHNESS)
            self._tool.setlinkvalue(self._project, at, self._tool.ROUGHNESS, old * one)

    def split(self, pipe: str, share: float) -> int:
        """Put a node into a pipe, at ``share`` of its length from its first end; return its number."""
        tool, project = self._tool, self._project
        if pipe not in self.links:
            raise DataError(f"there is no pipe {pipe!r} in the network")
        at = self.links.index(pipe) + 1
        first, last = tool.getlinknodes(project, at)
        length, diameter, rough = (
            tool.getlinkvalue(project, at, what) for what in (tool.LENGTH, tool.DIAMETER, tool.ROUGHNESS)
        )
        height = [tool.getnodevalue(project, end, tool.ELEVATION) for end in (first, last)]
        name = f"{pipe}_at"
        tool.addnode(project, name, tool.JUNCTION)
        first, last = tool.getlinknodes(project, at)  # tanks move up when a junction comes in
        node = tool.getnodeindex(project, name)
        tool.setnodevalue(project, node, tool.ELEVATION, height[0] + share * (height[1] - height[0]))
        rest = tool.addlink(project, f"{pipe}_b", tool.PIPE, name, tool.getnodeid(project, last))
        tool.setlinknodes(project, at, first, node)
        tool.setlinkvalue(project, at, tool.LENGTH, length * share)
        tool.setpipedata(project, rest, length * (1 - share), diameter, rough, 0.0)
        self.nodes = self._names(tool.NODECOUNT, tool.getnodeid)
        self.links = self._names(tool.LINKCOUNT, tool.getlinkid)
        return int(node) - 1

    def set_demand(self, node: Sequence[int], value_m3h: Floats) -> None:
        """Set what nodes consume from the next step on."""
        put, project, what = self._tool.setnodevalue, self._project, self._tool.BASEDEMAND
        for at, one in zip(node, value_m3h.tolist(), strict=True):
            put(project, at + 1, what, one)

    def set_emitter(self, node: int, coefficient: float) -> None:
        """Let a node leak ``coefficient`` times the root of its pressure in m, in m3/h."""
        self._tool.setnodevalue(self._project, node + 1, self._tool.EMITTER, coefficient)

    def run(
        self,
        steps: int,
        step_s: int,
        drive: Drive,
        nodes: Sequence[str],
        links: Sequence[str],
        leaks: Sequence[int] = (),
    ) -> Floats:
        """Step through time: node pressures in m, link flows and what ``leaks`` (nodes) lose in m3/h.

        Returned ``[step, node + link + leak]``. ``drive(step)`` is called before each step is solved,
        and may set demands and emitters. Controls, tanks and pumps do as the file says. Raises
        ``DataError`` where there is no solution.
        """
        tool, project = self._tool, self._project
        node = [tool.getnodeindex(project, one) for one in nodes]
        link = [tool.getlinkindex(project, one) for one in links]
        for what in (tool.HYDSTEP, tool.PATTERNSTEP, tool.REPORTSTEP):
            tool.settimeparam(project, what, step_s)
        tool.settimeparam(project, tool.DURATION, (steps - 1) * step_s)
        out = np.full((steps, len(node) + len(link) + len(leaks)), np.nan)
        tool.openH(project)
        tool.initH(project, tool.NOSAVE)
        drive(0)
        try:
            while True:
                now = self._solve()
                if now % step_s == 0:
                    row = [tool.getnodevalue(project, at, tool.PRESSURE) for at in node]
                    row += [tool.getlinkvalue(project, at, tool.FLOW) for at in link]
                    row += [tool.getnodevalue(project, at + 1, tool.EMITTERFLOW) for at in leaks]
                    out[now // step_s] = row
                if (left := tool.nextH(project)) <= 0:
                    break
                if (now + left) % step_s == 0:
                    drive((now + left) // step_s)
        finally:
            tool.closeH(project)
        return out

    def _solve(self) -> int:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # low pressures are an answer too
            try:
                return int(self._tool.runH(self._project))
            except Exception as cause:
                raise DataError(f"EPANET finds no solution: {cause}") from cause

    def _names(self, what: int, name: Callable[[Any, int], str]) -> list[str]:
        count = self._tool.getcount(self._project, what)
        return [name(self._project, at + 1) for at in range(count)]

    def _link_values(self, links: Sequence[int], what: int) -> Floats:
        return np.array([self._tool.getlinkvalue(self._project, at, what) for at in links])

    def _pattern(self, at: int) -> Floats:
        count = self._tool.getpatternlen(self._project, at)
        return np.array([self._tool.getpatternvalue(self._project, at, one + 1) for one in range(count)])


def _toolkit() -> Any:
    try:
        from epanet import toolkit
    except ImportError as cause:
        raise EnvironmentMissing(
            "EPANET is not installed", hint="pip install 'nervure[twin]', which brings owa-epanet"
        ) from cause
    return toolkit


def _said(report: Path) -> str:
    """Return the first error of EPANET's report."""
    text = report.read_text(errors="replace") if report.exists() else ""
    errors = [line.strip() for line in text.splitlines() if "Error 2" in line and "200" not in line]
    return f" ({errors[0]})" if errors else ""
