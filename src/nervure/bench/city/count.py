"""Counting what came of the demo: readings, Tasks and their ways, the loops' logs, what happened when."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from typing import Any

import httpx
import msgspec
import numpy as np
import sqlalchemy as sa

from nervure.act.controller.foretold import FORECAST
from nervure.act.seat import Asked
from nervure.bench.city.outcome import Delay, Happened, Loop
from nervure.bench.city.parts import Yard
from nervure.bench.city.plan import Part, Plan
from nervure.core.instant import SECOND_NS, to_ns
from nervure.core.settings import Settings
from nervure.store import sql
from nervure.store.catalogue import Catalogue

__all__ = ["counted"]

_TASK = sql.METADATA.tables["task"]
_PAGE = 10_000
_DISTRUST = ("fresh", "require")


def counted(
    plan: Plan, api: httpx.Client, settings: Settings, yard: Yard, told: dict[str, dict[str, Any]], lived: int
) -> dict[str, Any]:
    """Return the fields of the outcome that are counted in the node, which has settled."""
    stored, distinct = _stored(api)
    catalogue = Catalogue.open(settings.catalogue_place)
    quarantined = sum(catalogue.quarantine_counts().values())
    with catalogue.database.read() as connection:
        states = sa.select(_TASK.c.status, sa.func.count()).group_by(_TASK.c.status)
        tasks = {str(status): int(count) for status, count in connection.execute(states)}
        wishes = connection.execute(sa.select(_TASK.c.properties)).scalars()
        resting = sum(bool(((one or {}).get("act") or {}).get("rests")) for one in wishes)
        logs = {row.id: row.run_log for row in connection.execute(sa.select(_TASK.c.id, _TASK.c.run_log))}
    alerts = catalogue.alerts()
    catalogue.close()
    traces = [one for part in plan.parts for one in _traces(yard, part)]
    loops, distrusted, late = _loops(api)
    sent = lived + _sent(yard)
    happened = [one for part in plan.parts for one in _happened(part, told[part.twin], alerts)]
    return {
        "stored": stored,
        "lost": max(0, sent - distinct),
        "doubled": stored - distinct,
        "quarantined": quarantined,
        "tasks": dict(sorted(tasks.items())),
        "delays": _delays(traces, logs),
        "distrusted": distrusted,
        "loops": loops,
        "happened": tuple(happened),
        "resting": resting,
        "late": late,
    }


def _sent(yard: Yard) -> int:
    """Return how many readings the twins have sent."""
    found = [one.result() for one in yard.programs if one.name.startswith("twin-")]
    return sum(int(one["readings"]) for one in found)


def _stored(api: httpx.Client) -> tuple[int, int]:
    """Return how many readings the store has, and how many different ones; forecasts are none."""
    total, keys = 0, set[tuple[int, str]]()
    path = "/v1.1/Datastreams?$select=id,name&$top=10000"
    for one in api.get(path).raise_for_status().json()["value"]:
        if one["name"].endswith(FORECAST):
            continue
        stream = int(one["@iot.id"])
        page: str | None = (
            f"/v1.1/Datastreams({stream})/Observations?$resultFormat=dataArray&$select=phenomenonTime"
            f"&$orderby=phenomenonTime&$top={_PAGE}"
        )
        while page:
            answer = api.get(page).raise_for_status().json()
            for group in answer["value"]:
                at = group["components"].index("phenomenonTime")
                total += len(group["dataArray"])
                keys |= {(stream, row[at]) for row in group["dataArray"]}
            link = answer.get("@iot.nextLink")
            page = link[link.index("/v1.1/") :] if link else None
    return total, len(keys)


def _traces(yard: Yard, part: Part) -> list[Asked]:
    path = yard.trace(part)
    lines = path.read_bytes().splitlines() if path.exists() else []
    return [msgspec.json.decode(line, type=Asked) for line in lines]


def _delays(traces: list[Asked], logs: dict[int, list[dict[str, Any]]]) -> tuple[Delay, ...]:
    """Return how long commands took: from sensor to seat, to Task, to what the guard said of it."""
    spans: dict[str, list[float]] = {
        "sensor to controller": [], "controller to Task": [], "Task to acknowledgement": [],
        "sensor to acknowledgement": [],
    }  # fmt: skip
    for one in traces:
        spans["sensor to controller"].append((one.heard_ns - one.read_ns) / 1e6)
        spans["controller to Task"].append((one.asked_ns - one.heard_ns) / 1e6)
        said = [line["time"] for line in logs.get(one.task, []) if line["status"] == "acknowledged"]
        if said:
            acknowledged = to_ns(datetime.fromisoformat(said[0]))
            spans["Task to acknowledgement"].append((acknowledged - one.asked_ns) / 1e6)
            spans["sensor to acknowledgement"].append((acknowledged - one.read_ns) / 1e6)
    return tuple(
        Delay(what=what, count=len(each), p50=_part(each, 50), p99=_part(each, 99), longest=max(each))
        for what, each in spans.items()
        if each
    )


def _part(each: list[float], percent: float) -> float:
    return float(np.percentile(each, percent))


def _loops(api: httpx.Client) -> tuple[tuple[Loop, ...], dict[str, int], int]:
    """Return how loops stand with their logs, how often which input was not believed, what came too late."""
    found, distrusted, late = [], Counter[str](), set[int]()
    for one in api.get("/api/loops").raise_for_status().json():
        log = api.get(f"/api/loops/{one['id']}/log?limit=10000").raise_for_status().json()
        lines = Counter(str(line["what"]) for line in log["lines"])
        intact = log["broken"] is None
        found.append(Loop(name=one["name"], mode=one["mode"], lines=dict(lines), intact=intact))
        for line in log["lines"]:
            if line["what"] != "rejected":
                continue
            if line["task"] is not None and str(line["detail"].get("why", "")).startswith("seen:"):
                late.add(int(line["task"]))
            distrusted.update(
                f"{one['name']}: {said['rule']}"
                for said in line["detail"].get("verdicts", [])
                if said["kind"] in _DISTRUST and said["outcome"] == "refuse"
            )
    return tuple(found), dict(distrusted), len(late)


def _happened(part: Part, told: dict[str, Any], alerts: Any) -> list[Happened]:
    """Return what was seen and done after something went wrong, in minutes of the twin."""
    if part.event_min is None:
        return []
    begin_ns = to_ns(datetime.fromisoformat(part.since))
    event_ns = begin_ns + round(part.event_min * 60 * SECOND_NS)
    found = [Happened(twin=part.twin, after_min=0.0, what=part.event)]
    if part.watched is not None:
        for one in alerts:
            inside = begin_ns <= one.raised_ns < begin_ns + part.minutes * 60 * SECOND_NS
            if inside and one.solution == "monitor":
                after = (one.raised_ns - event_ns) / 60e9
                found.append(Happened(twin=part.twin, after_min=after, what=f"alert: {one.text[:160]}"))
    for one in told.get("events", []):
        moment = told["begun_s"] + one["minute"] * 60
        after = (moment - event_ns / SECOND_NS) / 60
        valves = f" {len(one['valves'])} valves" if one["valves"] else ""
        found.append(Happened(twin=part.twin, after_min=after, what=f"controller: {one['what']}{valves}"))
    return sorted(found, key=lambda one: one.after_min)
