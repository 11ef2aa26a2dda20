"""The API that pages are made from: overview, history, alerts, quality, and what comes live."""

from __future__ import annotations

import asyncio
import base64
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import msgspec
import numpy as np
import pytest

from nervure.core.alert import Alert, Evidence
from nervure.core.entity import Datastream, Location, Thing
from nervure.core.error import BusyError
from nervure.core.instant import DAY_NS, HOUR_NS, SECOND_NS
from nervure.core.observation import Batch, Reject
from nervure.core.settings import Limits
from nervure.sense.intake import Intake
from nervure.serve.answer import ASGI
from nervure.serve.control import data
from nervure.serve.control.room import MOST_ROWS, MOST_WAITING, Room
from nervure.serve.control.vital import Vital
from nervure.store import quarantine
from nervure.stream.subject import reading_subject, reading_topic
from nervure.trust.office import MACHINE
from tests.house import House, caller
from tests.patience import until
from tests.unit.test_catalogue import card

pytestmark = pytest.mark.service

MS = 1_000_000


class Asker:
    """Asks with one token."""

    def __init__(self, app: ASGI, token: str) -> None:
        self.app, self.token = app, token

    def answer(self, method: str, path: str, body: Any = None, **headers: str) -> httpx.Response:
        async def run() -> httpx.Response:
            async with caller(self.app, self.token, headers=headers) as client:
                return await client.request(method, path, json=body)

        return asyncio.run(run())

    def get(self, path: str, code: int = 200) -> Any:
        found = self.answer("GET", path)
        assert found.status_code == code, found.text
        return found.json()

    def post(self, path: str, body: Any, code: int = 200) -> Any:
        found = self.answer("POST", path, body)
        assert found.status_code == code, found.text
        return found.json()


class Town:
    """A house with three Things of the water solution: one well, one silent, one on a line; and readings."""

    def __init__(self, folder: Path) -> None:
        self.house = House(folder)
        self.now = time.time_ns()
        self.streams = [self._thing("well"), self._thing("silent"), self._thing("main", line=True)]
        self.forecast = self._stream(1, "well foretold", kind="forecast", source=self.streams[0]).id
        first = self.now - DAY_NS
        batches = []
        for place, stream in enumerate(self.streams):
            rows = 2880 if place != 1 else 1440  # every 30 s for a day, or half of it
            batches.append((stream, first + np.arange(rows) * 30 * SECOND_NS, np.arange(rows) % 100.0))
        batches.append((self.forecast, first + np.arange(2880) * 30 * SECOND_NS, np.arange(2880) % 100 + 0.5))
        for number, (stream, moment, value) in enumerate(batches, 1):
            identity = (number << 16) + np.arange(len(moment))
            told = stream == self.forecast
            self.house.observations.append(
                Batch.of(
                    id=identity, datastream=np.full(len(moment), stream), time=moment, value=value,
                    result_time=moment - HOUR_NS if told else None,
                    low=value - 1 if told else None, high=value + 1 if told else None,
                ),
                number,
            )  # fmt: skip
        self.app = self.house.app()
        self.operator = Asker(self.app, self.house.user("operator"))
        other = self.house.office.add_project(MACHINE, "other").id
        self.stranger = Asker(self.app, self.house.user("engineer", name="stranger", project_id=other))

    def _thing(self, name: str, *, line: bool = False) -> int:
        shape: dict[str, Any] = {"type": "Point", "coordinates": [8.5, 47.25]}
        if line:
            shape = {"type": "LineString", "coordinates": [[8.0, 47.0], [9.0, 47.5]]}
        made = self.house.catalogue.ensure_thing(Thing(name=name), Location(name=name, location=shape))
        return self._stream(made.id, name).id

    def _stream(self, thing: int, name: str, **more: Any) -> Datastream:
        given = {"unit": "L/s", "solution": "water", "signal": "inflow", "every_ns": 30 * SECOND_NS, **more}
        return self.house.catalogue.ensure_datastream(Datastream(name=name, thing=thing, **given))

    def alert(self, name: str, **more: Any) -> Alert:
        given: dict[str, Any] = {
            "severity": "major", "thing": 1, "datastream": self.streams[0], "raised_ns": self.now - HOUR_NS
        }  # fmt: skip
        given |= more
        one = Alert(
            id=name,
            solution="water",
            rule="water.burst",
            text="A <b>burst</b>",
            start_ns=given["raised_ns"],
            **given,
        )
        self.house.catalogue.announce([one])
        return one


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    found = Town(tmp_path_factory.mktemp("town"))
    yield found
    found.house.close()


def test_the_overview_says_where_what_is_wrong(town: Town) -> None:
    town.house.catalogue.add_rejects(
        [
            Reject(
                sequence=1, subject=reading_subject(town.streams[2]), reason="malformed", received_ns=town.now
            )
        ]
    )
    town.alert("worst", severity="critical", active=True)
    found = town.operator.get("/api/overview")
    names = [found["states"][one] for one in found["things"]["state"]]
    assert names == ["alert", "silent", "quarantined"]
    assert found["things"]["lon"] == [8.5, 8.5, 8.5]
    assert found["things"]["lat"] == [47.25, 47.25, 47.25]
    assert found["abnormal"]["thing"] == [1, 2, 3]
    assert found["abnormal"]["open"] == [1, 0, 0]
    assert found["severities"][found["abnormal"]["severity"][0]] == "critical"
    assert (found["strip"]["expected"], found["strip"]["reporting"]) == (3, 2)
    assert found["incidents"][0]["id"] == "worst"
    assert town.stranger.get("/api/overview")["things"]["id"] == []
    first = town.operator.answer("GET", "/api/overview")
    again = town.operator.answer("GET", "/api/overview", **{"if-none-match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    town.house.vital = Vital(problems=("log: the disk is full",))
    again = town.operator.answer("GET", "/api/overview", **{"if-none-match": first.headers["etag"]})
    assert again.json()["strip"]["problems"] == ["log: the disk is full"]
    town.house.vital = Vital()
    town.house.catalogue.acknowledge("worst", "ann")
    again = town.operator.answer("GET", "/api/overview", **{"if-none-match": first.headers["etag"]})
    assert again.status_code == 200


def test_things_streams_and_shapes_are_of_ones_project(town: Town) -> None:
    assert town.operator.get("/api/things")["name"] == ["well", "silent", "main"]
    streams = town.operator.get("/api/streams?kind=reading")
    assert streams["id"] == town.streams
    assert streams["value"] == [79.0, 39.0, 79.0]
    (shape,) = town.operator.get("/api/shapes")["features"]
    assert shape["geometry"]["type"] == "LineString"
    for path in ("/api/things", "/api/streams"):
        assert town.stranger.get(path)["id"] == []
    assert town.stranger.get("/api/shapes")["features"] == []
    for path in ("series", "heat", "quality"):
        town.stranger.get(f"/api/{path}?streams={town.streams[0]}", 404)


def test_a_series_is_reduced_and_its_forecast_stands_beside_it(town: Town) -> None:
    stream = town.streams[0]
    whole = town.operator.get(f"/api/series?streams={stream}&px=4000&from=-25h")["series"][0]
    assert (whole["rows"], whole["reduced"], len(whole["value"])) == (2880, False, 2880)
    moments = np.cumsum(whole["time"])
    assert abs(int(moments[0]) - (town.now - DAY_NS) // MS) < 31_000
    assert set(np.diff(moments)) == {30_000}
    few = town.operator.get(f"/api/series?streams={stream}&px=50&forecast=true")["series"]
    assert [one["kind"] for one in few] == ["reading", "forecast"]
    assert all(one["reduced"] and len(one["value"]) <= 4 * 50 for one in few)
    assert (min(few[0]["value"]), max(few[0]["value"])) == (0.0, 99.0)
    assert few[1]["low"][0] == few[1]["value"][0] - 1
    silent = town.operator.get(f"/api/series?streams={town.streams[1]}")["series"][0]
    assert silent["gaps"] == []
    for wrong in (
        "streams=",
        "streams=1&px=0",
        "streams=1&from=now&to=-1h",
        "streams=1&method=x",
        "streams=1-65",
    ):
        town.operator.get(f"/api/series?{wrong}", 400)
    town.operator.get("/api/series?streams=4711", 404)


def test_what_others_look_through_leaves_less_to_look_through(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, room = f"/api/series?streams={town.streams[0]}&from=-25h", town.house.room
    with room.lent(MOST_ROWS):
        assert town.operator.get(path)["series"][0]["rows"] == 2880, "so few take no room"
        monkeypatch.setattr(room, "_few", 100)
        monkeypatch.setattr(room, "_patience_s", 0.2)
        refused = town.operator.answer("GET", path)
        assert (refused.status_code, refused.headers["retry-after"]) == (429, "1")
        assert "ask again a little later" in refused.json()["hint"]
        town.operator.get(f"/api/quality?streams={town.streams[0]}", 429)
    assert town.operator.get(path)["series"][0]["rows"] == 2880
    monkeypatch.setattr(room, "_most", 1000)
    assert "1,000 at most" in town.operator.get(path, 400)["message"]


def test_who_finds_no_room_waits_for_it() -> None:
    room, begun = Room(most=10, few=1, patience_s=30.0), threading.Event()

    def first() -> None:
        with room.lent(6):
            begun.set()
            until(lambda: room._waiting, equals=MOST_WAITING)
            with pytest.raises(BusyError, match="others look through 6 readings"), room.lent(5):
                pass

    def after() -> None:
        with room.lent(5):
            pass

    with ThreadPoolExecutor() as pool:
        going = pool.submit(first)
        begun.wait(60)
        waiting = [pool.submit(after) for _ in range(MOST_WAITING)]
        for one in (going, *waiting):
            one.result(60)
    assert room._taken == 0


def test_a_heat_map_is_its_readings(town: Town) -> None:
    found = town.operator.get("/api/heat?solution=water&px=24&from=-24h&encoding=f32")
    cells = np.frombuffer(base64.b64decode(found["data"]), "<f4").reshape(3, 24)
    assert found["stream"] == town.streams
    assert np.isnan(cells[1, 13:]).all()
    assert np.isfinite(cells[0]).all()
    assert 40 < cells[0].mean() < 60
    packed = town.operator.get("/api/heat?solution=water&px=24&from=-24h")
    small = np.frombuffer(base64.b64decode(packed["data"]), np.uint8).reshape(3, 24)
    assert (small[1, 13:] == 255).all()
    low, high = np.array(packed["low"])[:, None], np.array(packed["high"])[:, None]
    back = low + small / 254 * (high - low)
    assert np.abs(back[0] - cells[0]).max() < (high - low)[0] / 250
    town.operator.get("/api/heat?streams=1-10001", 400)


def test_alerts_come_by_pages_and_filters_and_are_counted(town: Town) -> None:
    for number in range(25):
        raised = town.now - 2 * DAY_NS + number // 2 * SECOND_NS  # two of each instant
        town.alert(
            f"p{number:02}",
            severity="minor",
            thing=2,
            raised_ns=raised,
            end_ns=raised + 5 * SECOND_NS,
            active=False,
        )
    seen: list[str] = []
    after = ""
    while True:
        page = town.operator.answer("GET", f"/api/alerts?severity=minor&limit=10{after}")
        seen += [one["id"] for one in page.json()]
        if "x-next" not in page.headers:
            break
        after = f"&after={page.headers['x-next']}"
    assert sorted(seen) == [f"p{number:02}" for number in range(25)]
    assert len(set(seen)) == 25
    counts = town.operator.get("/api/alerts/counts?thing=2")
    assert (counts["total"], counts["open"], counts["severity"]) == (25, 0, {"minor": 25})
    assert town.operator.get("/api/alerts?state=open&severity=minor") == []
    rate = town.operator.get("/api/alerts/rate?from=-3d&step=1h&severity=minor")
    assert (sum(rate["count"]), rate["operators"]) == (25, 1)
    assert max(rate["count"]) > 10
    (chatter,) = town.operator.get("/api/alerts/chatter?days=7")
    assert chatter["fleeting"] == 25
    assert chatter["chatters"]
    assert town.stranger.get("/api/alerts/counts")["total"] == 0
    for wrong in ("severity=bad", "after=x", "from=x", "state=gone", "limit=0"):
        town.operator.get(f"/api/alerts?{wrong}", 400)


def test_an_incident_shows_its_trail_and_what_was_like_it(town: Town) -> None:
    seen = (Evidence(datastream=town.streams[2], time_ns=town.now, value=1.0),)
    town.alert("i0", thing=3, datastream=town.streams[2], raised_ns=town.now - DAY_NS, evidence=seen)
    town.alert("i1", thing=3, datastream=town.streams[2], raised_ns=town.now, evidence=seen)
    ask = town.operator
    ask.post("/api/alerts/i1/assign", {"to": "Operator"})
    ask.post("/api/alerts/i1/assign", {"to": "nobody"}, 404)
    ask.post("/api/alerts/i1/comment", {"text": "<script>alert(1)</script>"})
    ask.post("/api/alerts/i1/shelve", {"reason": "works", "until": "2100-01-01T00:00:00Z"})
    found = ask.get("/api/alerts/i1/detail")
    assert [one["what"] for one in found["trail"]] == ["alert.assign", "alert.comment", "alert.shelve"]
    assert found["trail"][2]["detail"]["reason"] == "works"
    assert (found["thing"]["name"], found["rule"]["severity"]) == ("main", "major")
    assert found["similar"][0]["alert"]["id"] == "i0"
    assert found["similar"][0]["likeness"] == 1.0
    assert [(one["datastream"], one["share"]) for one in found["shares"]] == [(town.streams[2], 1.0)]
    assert [one["id"] for one in ask.get("/api/alerts?assignee=operator")] == ["i1"]
    assert [one["id"] for one in ask.get("/api/alerts?state=shelved")] == ["i1"]
    town.alert("i1", thing=3, datastream=town.streams[2], raised_ns=town.now, active=False, end_ns=town.now)
    assert ask.get("/api/alerts/i1")["properties"]["assigned"]["to"] == "operator"  # what a person did stays
    for path in ("detail", "assign", "comment"):
        method = "GET" if path == "detail" else "POST"
        body = {"to": None} if path == "assign" else {"text": "x"}
        assert town.stranger.answer(method, f"/api/alerts/i1/{path}", body).status_code == 404


def test_a_rule_is_tried_out_on_history(town: Town) -> None:
    ask = town.operator
    silent = ask.get("/api/alerts/preview?rule=water.silent&days=2&limit=20")
    assert (silent["streams"], silent["whole"]) == (3, True)
    assert silent["tried"]["alarms"] > silent["now"]["alarms"] == 0  # readings come every 30 s
    burst = ask.get("/api/alerts/preview?rule=water.burst&days=30")
    assert burst["whole"] is False
    assert sum(burst["by_day"]["alarms"]) == burst["tried"]["alarms"]
    ask.get("/api/alerts/preview?rule=water.none", 404)
    ask.get("/api/alerts/preview?rule=water.burst&for=soon", 400)


def test_quality_and_quarantine_say_what_came_and_what_did_not(town: Town) -> None:
    found = town.operator.get("/api/quality?from=-1d&solution=water")
    assert found["stream"] == town.streams
    assert found["present"][0] == pytest.approx(1.0, abs=0.01)
    assert found["present"][1] == pytest.approx(0.5, abs=0.01)
    engineer = Asker(town.app, town.house.user("engineer", name="tuner"))
    rejects = [
        Reject(sequence=100 + one, subject=reading_subject(town.streams[0]), reason="flood", payload=b"\xff")
        for one in range(30)
    ]
    town.house.catalogue.add_rejects(rejects)
    page = engineer.answer("GET", "/api/quarantine?reason=flood&limit=20")
    rest = engineer.answer("GET", f"/api/quarantine?reason=flood&limit=20&after={page.headers['x-next']}")
    ids = [one["id"] for one in (*page.json(), *rest.json())]
    assert ids == [f"{100 + one}.0" for one in range(29, -1, -1)]
    assert "x-next" not in rest.headers
    assert (page.json()[0]["encoding"], page.json()[0]["payload"]) == ("base64", "/w==")
    assert page.json()[0]["topic"] == reading_topic(town.streams[0])
    assert town.stranger.get("/api/quarantine") == []
    town.stranger.get("/api/quarantine/counts", 403)
    device = engineer.post("/api/devices", {"name": "d", "thing": 2}, 201)["device"]
    assert device["last_seen"] is None
    (listed,) = engineer.get("/api/devices")
    assert abs(listed["last_seen"] - (town.now - DAY_NS // 2) // MS) < 60_000
    water = next(one for one in town.operator.get("/api/solutions") if one["name"] == "water")
    assert (water["watched"], water["signals"][0]["streams"]) == (True, 3)


def test_what_is_tried_out_and_what_a_model_knows_tell_nothing_of_another_project(town: Town) -> None:
    house = town.house
    house.check = Intake(house.catalogue.datastreams(), Limits()).check
    app = house.app()
    stranger, engineer = Asker(app, town.stranger.token), Asker(app, house.user("engineer", name="trier"))
    foreign = {"topic": reading_topic(town.streams[0]), "payload": '{"result":"wet"}'}
    assert engineer.post("/api/decode", foreign)["refused"][0]["detail"]
    stranger.post("/api/decode", foreign, 404)
    named = {"topic": "v1.1/Observations", "payload": '{"result":"wet","Datastream":{"@iot.id":1}}'}
    assert [one["detail"] for one in stranger.post("/api/decode", named)["refused"]] == [""]
    known = msgspec.structs.replace(card("1"), streams=("well", "main"))
    model = house.catalogue.add_model(known, "water-1.onnx", "aa", promoted=True)
    path = f"/api/models/{model.id}"
    assert engineer.get(path)["card"]["streams"] == ["well", "main"]
    assert stranger.get(path)["card"]["streams"] == []


def test_a_page_of_the_quarantine_leads_on_past_what_others_sent(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(data, "MOST_LOOKED", 1000)
    monkeypatch.setattr(quarantine, "KEPT", 3000)
    mine = Reject(sequence=10_000, subject=reading_subject(town.streams[0]), reason="old")
    noise = [Reject(sequence=10_001 + one, subject="noise", reason="old") for one in range(2_500)]
    town.house.catalogue.add_rejects([mine, *noise])
    found, after = [], ""
    for _ in range(5):
        page = town.operator.answer("GET", f"/api/quarantine?reason=old&datastream=1{after}")
        found += page.json()
        if "x-next" not in page.headers:
            break
        after = f"&after={page.headers['x-next']}"
    assert [one["id"] for one in found] == ["10000.0"]


def test_a_preview_bears_evidence_from_before_the_days_looked_at(town: Town) -> None:
    raised = town.now - 2 * DAY_NS + HOUR_NS
    seen = Evidence(time_ns=raised - 30 * HOUR_NS, datastream=town.streams[0], value=1.0, score=1e9)
    town.alert("begun", raised_ns=raised, evidence=(seen,))
    assert town.operator.get("/api/alerts/preview?rule=water.burst&days=2&limit=1&for=0")["days"] == 2
