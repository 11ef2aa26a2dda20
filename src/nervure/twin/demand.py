"""Who drives on a net, by where they come from: traffic of one approach made more or less.

Route files as SUMO reads them (its documentation, Definition of Vehicles, Vehicle Types and Routes): flows
get another rate, single vehicles and trips come more than once or not at all, the same ones each time.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping
from pathlib import Path
from xml.etree import ElementTree as ET
from zlib import crc32

import msgspec

from nervure.twin.scene import Scene

__all__ = ["Demand"]

_SINGLE, _FLOW = ("vehicle", "trip"), "flow"
_RATES = ("vehsPerHour", "perHour", "probability", "number")


class Demand:
    """What the route files of a scene let drive; nothing is read before it is asked for."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self._trees: list[ET.Element] | None = None
        self._routes: dict[str, str] = {}

    @property
    def origins(self) -> tuple[str, ...]:
        """The edges that trips begin on, sorted."""
        found = {self._origin(one) for tree in self._read() for one in tree}
        return tuple(sorted(found - {""}))

    def scaled(self, factors: Mapping[str, float], folder: Path) -> Scene:
        """Return the scene with as much more traffic from each origin; its route files are in a folder."""
        files = []
        for number, tree in enumerate(self._read()):
            root = ET.Element(tree.tag, tree.attrib)
            for one in tree:
                root.extend(_times(one, factors.get(self._origin(one), 1.0)))
            file = folder / f"{number}.rou.xml"
            ET.ElementTree(root).write(file, "utf-8")
            files.append(file)
        return msgspec.structs.replace(self._scene, routes=tuple(files))

    def _read(self) -> list[ET.Element]:
        if self._trees is None:
            self._trees = [ET.parse(one).getroot() for one in self._scene.routes]  # noqa: S314  # the user's
            named = (one for tree in self._trees for one in tree.iter("route") if one.get("id"))
            self._routes = {str(one.get("id")): _first(one.get("edges", "")) for one in named}
        return self._trees

    def _origin(self, one: ET.Element) -> str:
        """Return the edge a trip, vehicle or flow begins on; nothing where it is none or does not say."""
        if one.tag not in (*_SINGLE, _FLOW):
            return ""
        own = one.find("route")
        if own is not None:
            return _first(own.get("edges", ""))
        return one.get("from") or self._routes.get(one.get("route", ""), "")


def _first(edges: str) -> str:
    return edges.split(maxsplit=1)[0] if edges.strip() else ""


def _times(one: ET.Element, factor: float) -> list[ET.Element]:
    """Return an element as often, or of as high a rate, as a factor has it."""
    if factor == 1.0 or one.tag not in (*_SINGLE, _FLOW):
        return [one]
    if one.tag == _FLOW:
        return [_faster(one, factor)] if factor > 0 else []
    name = one.get("id", "")
    part = crc32(name.encode()) % 10_000 / 10_000
    copies = [copy.deepcopy(one) for _ in range(int(factor) + (part < factor % 1))]
    for number, twin in enumerate(copies):
        twin.set("id", f"{name}#{number}" if number else name)
    return copies


def _faster(flow: ET.Element, factor: float) -> ET.Element:
    """Return a flow at another rate."""
    found = copy.deepcopy(flow)
    period = flow.get("period")
    if period is not None:
        by_chance = re.fullmatch(r"exp\((.+)\)", period)
        found.set(
            "period", f"exp({float(by_chance[1]) * factor!r})" if by_chance else repr(float(period) / factor)
        )
    for name in _RATES:
        value = flow.get(name)
        if value is not None:
            rate = float(value) * factor
            found.set(name, str(round(rate)) if name == "number" else repr(rate))
    if (chance := found.get("probability")) is not None:
        found.set("probability", repr(min(1.0, float(chance))))
    return found
