"""The time before the demo: what a weather station read in winters, a house lived in under a plain schedule.

So the node has what a node has that ran for a while, and who learns has what to learn from. The winters are
of other seeds than the demo's weather: nothing of what is to come can be in them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime

import httpx

from nervure.act.controller.joined import rooms
from nervure.bench.city.plan import Part
from nervure.core.instant import HOUR_NS, SECOND_NS, iso, to_ns
from nervure.twin.building import Building
from nervure.twin.weather import made_up

__all__ = ["lived", "weeks"]

Rows = dict[str, list[list[object]]]
_SEEDS = tuple(range(901, 911))
"""Of the weather of winters before; the demo's own is 0."""
_WINTER_H, _BEFORE_DAYS = 70 * 24, 35


def lived(api: httpx.Client, part: Part, seed: int) -> int:
    """Load what a building's sensors said in the time before it begins; returns how many readings."""
    if part.lived_days <= 0:
        return 0
    streams = _streams(api, f"{part.twin}/")
    sent = 0
    for rows in (_winters(part), _weeks(part, seed)):
        body = [
            {
                "Datastream": {"@iot.id": streams[name]}, "components": ["phenomenonTime", "result"],
                "dataArray": each,
            }
            for name, each in rows.items()
        ]  # fmt: skip
        api.post("/v1.1/CreateObservations", json=body, timeout=120.0).raise_for_status()
        sent += sum(len(each) for each in rows.values())
    return sent


def _winters(part: Part) -> Rows:
    """Return what the station read by the hour in ten weeks of so many winters, one put after another.

    They end where the weeks begin, and are of the season of the run: summers would teach nothing for it.
    """
    if part.foresee is None:
        return {}
    start_day = part.scenario.get("start_day", 0.0) - part.lived_days - _BEFORE_DAYS
    end_ns = to_ns(datetime.fromisoformat(part.since)) - part.lived_days * 24 * HOUR_NS
    rows: Rows = {"station/temperature": [], "station/sun": []}
    for number, seed in enumerate(_SEEDS):
        begin_ns = end_ns - (len(_SEEDS) - number) * _WINTER_H * HOUR_NS
        read = Building(made_up(seed)).weather(start_day, _WINTER_H)
        for name, each in zip(rows, read, strict=True):
            rows[name] += [
                [iso(begin_ns + hour * HOUR_NS), value] for hour, value in enumerate(each.tolist())
            ]
    return rows


def _weeks(part: Part, seed: int) -> Rows:
    """Return what was read in the last days before."""
    rows: Rows = {}
    sensors = Building().describe().sensors
    seldom = {one.name: one.every_s for one in sensors if one.every_s is not None}
    for moment_s, readings in weeks(part, seed):
        stamp = iso(round(moment_s * SECOND_NS))
        for name, value in readings.items():
            if moment_s % seldom.get(name, 1.0) == 0:
                rows.setdefault(name, []).append([stamp, value])
    return rows


def weeks(part: Part, seed: int) -> Iterator[tuple[float, Mapping[str, float]]]:
    """Yield the moments of the last days before, in seconds since 1970, with what was read then.

    The house was heated as the climate controller heats while it learns: by the schedule, a little warmer at
    times.
    """
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
        yield moment_s + about.step_s, readings


def _streams(api: httpx.Client, prefix: str) -> Mapping[str, int]:
    """Return the Datastreams of a twin by the names that it has for them."""
    path = "/v1.1/Datastreams?$select=id,name&$expand=Thing($select=name)&$top=10000"
    found = api.get(path).raise_for_status().json()["value"]
    return {
        str(one["name"]).removeprefix(prefix): int(one["@iot.id"])
        for one in found
        if one["Thing"]["name"].startswith(prefix)
    }
