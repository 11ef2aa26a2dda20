"""A model of EnergyPlus with some of its inputs multiplied: what a scenario changes and a calibration finds.

Both formats are read: IDF and epJSON (EnergyPlus, Input Output Reference; the place of each field is that
of its classes there). What EnergyPlus sizes by itself is sized for the changed model.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from nervure.twin.api import TwinError

__all__ = ["FACTORS", "edited"]

FACTORS = ("capacity", "infiltration", "gains")
"""What can be multiplied: heat capacity of the zones' air with what stands in it, outdoor air that leaks in,
electricity of lights and equipment."""

_AIR = "ZoneCapacitanceMultiplier:ResearchSpecial"
_FIELDS: dict[str, tuple[str, tuple[str, ...]]] = {
    "Lights": ("gains", ("lighting_level", "watts_per_zone_floor_area", "watts_per_floor_area",
                         "watts_per_person")),
    "ElectricEquipment": ("gains", ("design_level", "watts_per_zone_floor_area", "watts_per_floor_area",
                                    "watts_per_person")),
    "ZoneInfiltration:DesignFlowRate": ("infiltration", ("design_flow_rate", "flow_rate_per_floor_area",
                                        "flow_rate_per_exterior_surface_area", "air_changes_per_hour")),
}  # fmt: skip
_PLACES = {
    "lights": ("gains", (5, 6, 7)),
    "electricequipment": ("gains", (5, 6, 7)),
    "zoneinfiltration:designflowrate": ("infiltration", (5, 6, 7, 8)),
    _AIR.lower(): ("capacity", (3,)),
}
"""The same in an IDF, whose fields have places; 0 is the class, 1 the name."""


def edited(model: Path, factors: Mapping[str, float], folder: Path) -> Path:
    """Return the model itself where every factor is 1, else a copy in a folder with its inputs multiplied.

    Raises TwinError where a factor has nothing in the model to multiply.
    """
    wanted = {name: one for name, one in factors.items() if one != 1.0}
    if not wanted:
        return model
    out = folder / f"edited{model.suffix}"
    if model.suffix.lower() == ".idf":
        objects = _objects(model.read_text("latin-1"))
        found = _change_places(objects, wanted)
        text = "".join(f"{','.join(one)};\n" for one in objects).encode("latin-1")
    else:
        tree: dict[str, Any] = msgspec.json.decode(model.read_bytes())
        found = _change_fields(tree, wanted)
        text = msgspec.json.encode(tree)
    if lacking := sorted(set(wanted) - found):
        raise TwinError(f"the model has nothing for {lacking[0]!r} to multiply", where=str(model))
    out.write_bytes(text)
    return out


def _change_fields(tree: dict[str, Any], wanted: Mapping[str, float]) -> set[str]:
    found = set()
    for kind, (factor, fields) in _FIELDS.items():
        for one in tree.get(kind, {}).values():
            for field in fields:
                if factor in wanted and isinstance(one.get(field), int | float):
                    one[field] *= wanted[factor]
                    found.add(factor)
    if "capacity" in wanted:
        air = tree.setdefault(_AIR, {}) or {"all zones": {}}
        for one in air.values():
            one["temperature_capacity_multiplier"] = wanted["capacity"] * float(
                one.get("temperature_capacity_multiplier", 1.0)
            )
        tree[_AIR] = air
        found.add("capacity")
    return found


def _change_places(objects: list[list[str]], wanted: Mapping[str, float]) -> set[str]:
    if "capacity" in wanted and not any(one[0].lower() == _AIR.lower() for one in objects):
        objects.append([_AIR, "all zones", "", "1.0", "1.0", "1.0", "1.0"])
    found = set()
    for one in objects:
        factor, places = _PLACES.get(one[0].lower(), ("", ()))
        for at in places if factor in wanted else ():
            if at < len(one) and one[at]:
                one[at] = repr(float(one[at]) * wanted[factor])
                found.add(factor)
    return found


def _objects(text: str) -> list[list[str]]:
    """Return the objects of an IDF as lists of fields, comments left out."""
    bare = "\n".join(_bare(text.splitlines()))
    parts = ([field.strip() for field in one.split(",")] for one in bare.split(";"))
    return [one for one in parts if one != [""]]


def _bare(lines: Iterable[str]) -> Iterable[str]:
    return (line.split("!", 1)[0] for line in lines)
