"""The weeks before the demo: a house lived in under a plain schedule, loaded as readings that are over.

So the node has what a node has that ran for a while, and a controller that learns has what to learn from.
"""

from __future__ import annotations

from datetime import datetime

import httpx

from nervure.act.controller.joined import rooms
from nervure.bench.city.plan import Part
from nervure.core.instant import SECOND_NS, iso, to_ns
from nervure.twin.building import Building

__all__ = ["lived"]


def lived(api: httpx.Client, part: Part, seed: int) -> int:
    """Load what a building's sensors said in the days before it begins; returns how many readings.

    It was heated as the climate controller heats while it learns: by the schedule, a little warmer at times.
    """
    if part.lived_days <= 0:
        return 0
    rows: dict[str, list[list[object]]] = {}
    begin_s = to_ns(datetime.fromisoformat(part.since)) / SECOND_NS - part.lived_days * 86_400
    twin = Building()
    start = part.scenario.get("start_day", 0.0) - part.lived_days
    readings = twin.reset(seed=seed, scenario={**part.scenario, "start_day": start})
    about = twin.describe()
    learning = rooms("climate", [one.about for one in about.actuators if one.signal == "heat_setpoint"])
    for step in range(round(part.lived_days * 86_400 / about.step_s)):
        moment_s = begin_s + step * about.step_s
        twin.apply(learning.decide(readings, moment_s))
        readings = twin.step()
        stamp = iso(round((moment_s + about.step_s) * SECOND_NS))
        for name, value in readings.items():
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


def _streams(api: httpx.Client, prefix: str) -> list[dict[str, str]]:
    path = "/v1.1/Datastreams?$select=id,name&$expand=Thing($select=name)&$top=10000"
    found = api.get(path).raise_for_status().json()["value"]
    return [one for one in found if one["Thing"]["name"].startswith(prefix)]
