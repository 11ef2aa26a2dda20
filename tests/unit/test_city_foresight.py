"""Forecasts that a controller plans with, and how they are judged afterwards."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from nervure.act.controller.foretold import Foretold
from nervure.act.controller.joined import Rooms, Yesterday, rooms, week_hour
from nervure.act.seat import Loop, Seat
from nervure.bench.city.foresight import WEATHER, leads
from nervure.bench.city.history import lived
from nervure.bench.city.plan import plan
from nervure.cli.foresee import foreseen, teller
from nervure.core.error import UsageError
from nervure.core.instant import DAY_NS, HOUR_NS, SECOND_NS, iso
from nervure.core.observation import Batch
from nervure.solutions import find
from nervure.twin.building import Building
from nervure.twin.enrol import unknown
from nervure.twin.keep import keeps
from nervure.twin.run import Field, Pace

S = SECOND_NS
MONDAY_S = 96 * 3600.0
TOLD = [one.about for one in Building().describe().actuators if one.signal == "heat_setpoint"]


def test_of_every_hour_the_newest_forecast_counts_while_it_is_not_old() -> None:
    seen = Foretold(Yesterday())
    for past in range(24):
        seen.note(float(past), 1.0, 50.0)
    seen.note(24.0, 2.0, 100.0)
    for issued in (22.0, 23.0, 21.0):
        for hour in (25.0, 26.0):
            seen.tell("temperature", hour, issued, hour + issued)
        seen.tell("sun", 25.0, issued, issued - 22.5)
    ahead = seen(24.0, 4)
    assert ahead.outdoor[:3].tolist() == [(2.0 + 48.0) / 2, (48.0 + 49.0) / 2, 49.0]
    assert ahead.sun.tolist() == [100.0, 0.5, 50.0, 50.0]
    assert dict(seen.counts) == {
        "temperature foretold": 2, "temperature as yesterday": 1, "sun foretold": 1, "sun as yesterday": 2,
    }  # fmt: skip
    assert seen.rests
    seen.note(30.5, 2.0, 0.0)
    assert seen(30.5, 1).outdoor.tolist() == [2.0]
    assert not seen.rests


def test_a_controller_says_which_models_its_plan_rests_on() -> None:
    asked: list[dict[str, Any]] = []
    made = rooms("climate", TOLD, learn_h=96, rests=("weather-forecast-temperature",))
    twin, moment_s = Building(), MONDAY_S
    names = dict(enumerate(twin.reset(seed=1, scenario={"start_day": 14.0})))
    seat = Seat(
        made, {"living/heat_setpoint": Loop(7, "heat_setpoint")}, names,
        ask=lambda _, body: asked.append(body) or len(asked), lease_s={7: 3600.0},  # type: ignore[func-returns-value]
    )  # fmt: skip
    for step in range(98 * 12):
        readings, moment_s = twin.step(), MONDAY_S + (step + 1) * 300.0
        if step < 97 * 12 - 1:
            seat.teach(round(moment_s * S), readings)
            continue
        if step == 97 * 12:  # the plan of an hour ago had nothing to rest on
            assert made.rests == ()
            made.ahead.tell("temperature", 99.0, 97.0, -3.0)  # type: ignore[union-attr]
        for stream, name in names.items():
            seat.hear(stream, round(moment_s * S), readings[name])
        while seat.step(0.0 if step > 97 * 12 else 0.3):
            pass
    assert made.rests == ("weather-forecast-temperature",)
    last = asked[-1]["properties"]["act"]
    assert last["rests"] == ["weather-forecast-temperature"]
    assert last["seen"] == iso(round(moment_s * S))
    assert isinstance(rooms("climate", TOLD).ahead, Yesterday)


def test_messages_of_forecasts_come_to_the_plan() -> None:
    rows = [
        {"@iot.id": 5, "name": "b/station/sun/forecast", "Thing": {"properties": {"solution": "weather"}}},
        {"@iot.id": 6, "name": "b/station/sun", "Thing": {"properties": {"solution": "weather"}}},
        {"@iot.id": 7, "name": "b/station/wind/forecast", "Thing": {}},
    ]
    found = foreseen(lambda path: rows if "'b/sta''tion'" in path else [], "b/sta'tion")
    assert (found.streams, found.rests) == ({5: "sun"}, ("weather-forecast-sun",))
    assert foreseen(lambda _: [], None).rests == ()
    with pytest.raises(UsageError, match="nobody foresees"):
        foreseen(lambda _: rows[1:], "b/station")
    made = rooms("climate", TOLD, rests=found.rests)
    take = teller(made, found)
    about = {"resultTime": iso(round(MONDAY_S) * S), "phenomenonTime": iso(round(MONDAY_S + 7200) * S)}
    assert take(5, about | {"result": 210.0})
    assert not take(6, about | {"result": 1.0})
    assert isinstance(made, Rooms)
    made.ahead.note(0.0, 0.0, 0.0)
    assert made.ahead(0.0, 3).sun.tolist() == [0.0, 0.0, 210.0]
    assert week_hour(MONDAY_S + 7200) == 2.0


def test_forecasts_are_judged_beside_what_needs_no_model() -> None:
    begin = 20_000 * DAY_NS
    hours = np.arange(-48, 48)
    read = Batch.of(
        id=hours + 48, datastream=np.ones(96), time=begin + hours * HOUR_NS, value=hours % 24 + 1.0
    )  # fmt: skip
    issued = np.array([-1, 0, 1, 2, 40])
    about = np.concatenate([issued + 1, issued + 6])
    told = Batch.of(
        id=np.arange(10), datastream=np.full(10, 2), time=begin + about * HOUR_NS,
        result_time=begin + np.tile(issued, 2) * HOUR_NS, value=about % 24 + 1.5, low=about % 24 + 1.2,
        high=about % 24 + 9.0,
    )  # fmt: skip
    one, six = leads(read, told, begin, begin + 24 * HOUR_NS)
    assert (one.hours, one.count, one.mae, one.last_value, one.last_day) == (1, 3, 0.5, 1.0, 0.0)
    assert (six.hours, six.count, six.last_value, six.inside) == (6, 3, 6.0, 0.0)


def test_a_station_speaks_by_the_hour_in_the_field() -> None:
    twin = Building()
    about = twin.describe()
    twin.reset()
    field = Field(
        twin, unknown(about, keeps(about)), None, Pace(start_ns=20_000 * DAY_NS, speed=1.0), _no_guard
    )
    assert field.run(24).readings == 24 * 10 + 2 * 2
    first, sun = Building().weather(14.0, 3)
    assert (len(first), len(sun)) == (3, 3)
    twin.reset(scenario={"start_day": 14.0})
    assert [twin.step()["station/temperature"] for _ in range(12)][-1] == pytest.approx(first[1])


def _no_guard(place: Any, clock: Any) -> Any:
    from nervure.cli.field import post

    return post(place, clock)


def test_what_is_learned_from_ends_where_the_run_begins() -> None:
    sent: list[dict[str, Any]] = []

    class Api:
        def get(self, _path: str) -> Api:
            return self

        def post(self, _path: str, *, json: Any, timeout: float) -> Api:
            sent.extend(json)
            return self

        def raise_for_status(self) -> Api:
            return self

        def json(self) -> dict[str, Any]:
            names = [*(one.name for one in Building().describe().sensors if one.thing != "station")]
            rows = [(number, name) for number, name in enumerate(names)]
            rows += [(90, "building/station/temperature"), (91, "building/station/sun")]
            return {
                "value": [
                    {"@iot.id": key, "name": name, "Thing": {"name": "building/x"}} for key, name in rows
                ]
            }

    part = plan().parts[1]
    count = lived(Api(), part, 1)  # type: ignore[arg-type]
    station = [one for one in sent if one["Datastream"]["@iot.id"] == 90]
    assert [len(one["dataArray"]) for one in station] == [10 * 70 * 24, 14 * 24]
    assert count == sum(len(one["dataArray"]) for one in sent)
    assert max(row[0] for one in sent for row in one["dataArray"]) == part.since
    assert {one.of for one in find(WEATHER).problems} == {"temperature"}
