"""The weeks before the demo: a house lived in under a plain schedule, loaded as readings that are over.

So the node has what a node has that ran for a while, and a controller that learns has what to learn from.
"""

from __future__ import annotations

from datetime import datetime

import httpx

from nervure.bench.city.plan import Part
from nervure.core.instant import SECOND_NS, iso, to_ns
from nervure.core.room import Room
from nervure.twin.building import Building

__all__ = ["lived"]

_DITHER_K = 1.5


def lived(api: httpx.Client, part: Part, seed: int) -> int:
    """Load what a building's sensors said in the days before it begins; returns how many readings.

    It heats for people an hour ahead, and to other temperatures on other days, as people do: from a house
    that is always as warm nothing can be learned.
    """
    if part.lived_days <= 0:
        return 0
    rows: dict[str, list[list[object]]] = {}
    begin_ns = to_ns(datetime.fromisoformat(part.since)) - part.lived_days * 86_400 * SECOND_NS
    twin = Building()
    start = part.scenario.get("start_day", 0.0) - part.lived_days
    twin.reset(seed=seed, scenario={**part.scenario, "start_day": start})
    rooms = [_room(one.about) for one in twin.describe().actuators if one.signal == "heat_setpoint"]
    step_s = twin.describe().step_s
    per_hour = round(3600 / step_s)
    for step in range(part.lived_days * 24 * per_hour):
        hour = step // per_hour
        twin.apply({name: value for one in rooms for name, value in _wish(one, hour).items()})
        stamp = iso(begin_ns + round((step + 1) * step_s * SECOND_NS))
        for name, value in twin.step().items():
            rows.setdefault(name, []).append([stamp, value])
    streams = {one["name"]: one["@iot.id"] for one in _streams(api, f"{part.twin}/")}
    body = [
        {
            "Datastream": {"@iot.id": streams[name]}, "components": ["phenomenonTime", "result"],
            "dataArray": each,
        }
        for name, each in rows.items()
    ]  # fmt: skip
    api.post("/v1.1/CreateObservations", json=body, timeout=120.0).raise_for_status()
    return sum(len(each) for each in rows.values())


def _room(about: object) -> Room:
    import msgspec

    return msgspec.convert(about, dict[str, Room])["room"]


def _wish(room: Room, hour: int) -> dict[str, float]:
    """Return the setpoints of an hour: the band an hour ahead, warmer on some days."""
    low, high = room.comfort.band(float(hour))
    soon, _ = room.comfort.band(float(hour + 1))
    warmer = _DITHER_K * ((hour // 7) % 3) / 2
    return {
        f"{room.name}/heat_setpoint": min(max(low, soon) + warmer, high - 0.5),
        f"{room.name}/cool_setpoint": high,
    }


def _streams(api: httpx.Client, prefix: str) -> list[dict[str, str]]:
    path = "/v1.1/Datastreams?$select=id,name&$expand=Thing($select=name)&$top=10000"
    found = api.get(path).raise_for_status().json()["value"]
    return [one for one in found if one["Thing"]["name"].startswith(prefix)]
