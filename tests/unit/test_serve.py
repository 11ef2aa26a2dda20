"""The HTTP application, asked in process: SensorThings, health, metrics, alerts, and what it refuses."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import httpx
import numpy as np
import pytest
from prometheus_client.parser import text_string_to_metric_families

from nervure.core.alert import Alert, Evidence
from nervure.core.entity import Datastream, Location, ObservedProperty, Sensor, Thing
from nervure.core.error import NotFoundError, QueryError, StoreError
from nervure.core.observation import Batch, Observation, Quality
from nervure.serve.answer import Receive, Scope, Send, Unsupported, json, send
from nervure.serve.app import application
from nervure.serve.metric import exposition
from nervure.serve.option import parse
from nervure.serve.path import route
from nervure.serve.shape import observations

HOUR = 3_600_000_000_000
BASE = "http://127.0.0.1:8088"


class City:
    """Two districts with one Datastream each, in memory."""

    def __init__(self) -> None:
        self.all = [Thing(id=1, name="A", properties={"solution": "water"}), Thing(id=2, name="B")]
        self.streams = [
            Datastream(
                id=number, name=f"{name} inflow", unit="L/s", thing=number, sensor=1, observed_property=1,
                solution="water", signal="inflow", every_ns=HOUR, low=0.0,
            )
            for number, name in ((1, "A"), (2, "B"))
        ]  # fmt: skip
        self.raised = [
            Alert(
                id="a1", solution="water", rule="burst", severity="major", thing=1, datastream=1, text="Leak",
                start_ns=HOUR, raised_ns=2 * HOUR, sure=0.99,
                evidence=(Evidence(datastream=1, time_ns=HOUR, value=9.0, expected=3.0),),
            )
        ]  # fmt: skip
        self.asked: dict[str, Any] = {}

    def things(self) -> Sequence[Thing]:
        return self.all

    def thing(self, id: int, /) -> Thing:
        return self.all[id - 1]

    def locations(self, thing: int | None = None, /) -> Sequence[Location]:
        place = Location(id=1, name="A", location={"type": "Point", "coordinates": [11.3, 46.5]})
        return [place] if thing in {None, 1} else []

    def sensors(self) -> Sequence[Sensor]:
        return [Sensor(id=1, name="inflow meter")]

    def properties(self) -> Sequence[ObservedProperty]:
        return [ObservedProperty(id=1, name="Net inflow")]

    def datastreams(self, *, thing: int | None = None) -> Sequence[Datastream]:
        return [one for one in self.streams if thing in {None, one.thing}]

    def datastream(self, id: int, /) -> Datastream:
        return self.streams[id - 1]

    def alerts(self, **asked: Any) -> Sequence[Alert]:
        self.asked = asked
        return self.raised


class Readings:
    """Five readings of Datastream 1, the newest late and the oldest text, and none of Datastream 2."""

    batch = Batch.of(
        id=[10, 20, 30, 40, 50],
        datastream=[1] * 5,
        time=[HOUR * hour for hour in range(5)],
        value=[np.nan, 1.5, 2.5, 3.5, 4.5],
        low=[np.nan, np.nan, 2.0, np.nan, np.nan],
        high=[np.nan, np.nan, 3.0, np.nan, np.nan],
        quality=[0, 0, 0, 0, Quality.LATE],
        text=['"off"', None, None, None, None],
    )

    def count(self, datastream: int | None = None, /) -> int:
        return 0 if datastream == 2 else len(self.batch)

    def by_id(self, identity: int, /) -> Observation | None:
        return next((one for one in observations(self.batch) if one.id == identity), None)

    def page(
        self,
        datastream: int | None = None,
        /,
        *,
        limit: int,
        skip: int = 0,
        order: str = "time",
        descending: bool = False,
        after: tuple[int, int] | None = None,
    ) -> Batch:
        rows = np.argsort(getattr(self.batch, order), kind="stable")
        rows = rows[::-1] if descending else rows
        if after is not None:
            rows = rows[self.batch.time[rows] < after[0] if descending else self.batch.time[rows] > after[0]]
        return self.batch.take(rows[:0] if datastream == 2 else rows[skip : skip + limit])


async def echo(scope: Scope, receive: Receive, out: Send) -> None:
    message = await receive()
    await send(json({"path": scope["path"], "got": message["body"].decode()}, status=201), scope, out)


def ask(
    path: str, method: str = "GET", *, status: Any = None, city: City | None = None, **more: Any
) -> httpx.Response:
    app = application(city or City(), Readings(), status or (lambda: {"stored": 5}), more.pop("ingest", echo))

    async def run() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=BASE) as client:
            return await client.request(method, path, **more)

    return asyncio.run(run())


def test_root_lists_what_is_served_and_kept() -> None:
    root = ask("/v1.1").json()
    names = [one["name"] for one in root["value"]]
    assert {"Things", "Locations", "Sensors", "ObservedProperties", "Datastreams", "Observations"} <= set(
        names
    )
    for one in root["value"]:
        assert ask(one["url"]).status_code == 200
    kept = root["serverSettings"]["conformance"]
    assert "http://www.opengis.net/spec/iot_sensing/1.1/req/datamodel/thing" in kept
    assert not any("filter" in one for one in kept)


def test_an_entity_has_its_key_links_and_properties() -> None:
    thing = ask("/v1.1/Things(1)").json()
    assert thing == {
        "@iot.id": 1,
        "@iot.selfLink": f"{BASE}/v1.1/Things(1)",
        "name": "A",
        "description": "",
        "properties": {"solution": "water"},
        "Datastreams@iot.navigationLink": f"{BASE}/v1.1/Things(1)/Datastreams",
        "Locations@iot.navigationLink": f"{BASE}/v1.1/Things(1)/Locations",
    }
    stream = ask("/v1.1/Datastreams(1)").json()
    assert stream["unitOfMeasurement"]["symbol"] == "L/s"
    assert stream["properties"] == {
        "solution": "water", "signal": "inflow", "kind": "reading", "every_s": 3600.0, "low": 0.0
    }  # fmt: skip


def test_every_link_of_every_entity_leads_somewhere_or_says_why_not() -> None:
    seen, unsupported = set(), []
    todo = [one["url"] for one in ask("/v1.1").json()["value"]]
    while todo:
        url = todo.pop()
        if url in seen:
            continue
        seen.add(url)
        answer = ask(url)
        if answer.status_code == 501:
            unsupported.append(url.removeprefix(f"{BASE}/v1.1/"))
            continue
        assert answer.status_code == 200, url
        body = answer.json()
        for entity in body.get("value", [body]):
            todo += [link for name, link in entity.items() if name.endswith(("selfLink", "navigationLink"))]
    assert unsupported == ["FeaturesOfInterest(1)/Observations"]
    assert len(seen) > 30


def test_observations_carry_time_result_band_and_quality() -> None:
    rows = ask("/v1.1/Datastreams(1)/Observations").json()["value"]
    assert [row["result"] for row in rows] == ["off", 1.5, 2.5, 3.5, 4.5]
    assert rows[2]["parameters"] == {"low": 2.0, "high": 3.0}
    assert rows[2]["phenomenonTime"] == "1970-01-01T02:00:00Z"
    assert rows[4]["resultQuality"] == "late"
    assert "resultQuality" not in rows[0]
    assert ask("/v1.1/Observations(30)/FeatureOfInterest").json()["feature"]["type"] == "Point"
    assert ask("/v1.1/Datastreams(1)/Observations(30)/Datastream/Thing").json()["name"] == "A"


@pytest.mark.parametrize("path", ["/v1.1/Datastreams(1)/Observations", "/v1.1/Observations"])
@pytest.mark.parametrize("order", ["phenomenonTime", "resultTime", "id"])
def test_pages_follow_each_other_to_the_end(path: str, order: str) -> None:
    url, found, pages = f"{path}?$top=2&$orderby={order} desc&$count=true", [], 0
    while url:
        page = ask(url).json()
        assert page["@iot.count"] == 5
        found += [row["@iot.id"] for row in page["value"]]
        url, pages = page.get("@iot.nextLink"), pages + 1
    assert (found, pages) == ([50, 40, 30, 20, 10], 3)


def test_entities_are_paged_ordered_and_selected() -> None:
    page = ask("/v1.1/Things?$top=1&$orderby=id desc&$select=id,name,Datastreams").json()
    assert page["value"] == [
        {"@iot.id": 2, "name": "B", "Datastreams@iot.navigationLink": f"{BASE}/v1.1/Things(2)/Datastreams"}
    ]
    assert ask(page["@iot.nextLink"]).json()["value"][0]["name"] == "A"
    assert ask("/v1.1/Things?$top=0&$count=true").json() == {"@iot.count": 2, "value": []}
    assert ask("/v1.1/Observations(10)?$select=result,resultQuality").json() == {"result": "off"}


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/v1.1/Things(9)", 404),
        ("/v1.1/Nothings", 404),
        ("/v1.1/Things(1)/Sensors", 404),
        ("/v1.1/Things(2)/Datastreams(1)", 404),
        ("/v1.1/Datastreams(2)/Observations(10)", 404),
        ("/v1.1/Observations(99)", 404),
        ("/v1.2/Things", 404),
        ("/v1.1/Things(x)", 400),
        ("/v1.1/Things('1')", 400),
        ("/v1.1/Things(1", 400),
        ("/v1.1/Things(-1)", 400),
        ("/v1.1/Things/Datastreams", 400),
        ("/v1.1/Datastreams(1)/Thing(1)", 400),
        ("/v1.1/Things(1)/Datastreams(1)" + "/Thing/Datastreams(1)" * 5, 400),
        ("/v1.1/Things?$top=-1", 400),
        ("/v1.1/Things?$top=ten", 400),
        ("/v1.1/Things?$top=1&$top=2", 400),
        ("/v1.1/Things?$count=yes", 400),
        ("/v1.1/Things?$skip=99999999999", 400),
        ("/v1.1/Things?$orderby=;drop", 400),
        ("/v1.1/Things?$select=", 400),
        ("/v1.1/Things?$select=nonsense", 400),
        ("/v1.1/Things?$nonsense=1", 400),
        ("/v1.1/Observations?$skiptoken=1", 400),
        ("/v1.1/Things?%FF", 400),
        ("/v1.1/Things?$filter=name eq 'A'", 501),
        ("/v1.1/Things?$expand=Datastreams", 501),
        ("/v1.1/Observations?$orderby=result", 501),
        ("/v1.1/Observations?$orderby=phenomenonTime,id", 501),
        ("/v1.1/Things(1)/name", 501),
        ("/v1.1/Things/$ref", 501),
        ("/v1.1/HistoricalLocations", 501),
        ("/alerts?active=perhaps", 400),
        ("/alerts?%FF=1", 400),
    ],
)
def test_what_cannot_be_answered_says_so(path: str, status: int) -> None:
    answer = ask(path)
    assert answer.status_code == status, answer.text
    assert answer.json()["code"] == status
    assert answer.json()["message"]


def test_options_without_a_dollar_belong_to_nobody() -> None:
    assert ask("/v1.1/Things?key=1").status_code == 200


def test_a_page_is_never_larger_than_the_limit() -> None:
    assert parse(b"$top=1000000").top == 1_000


def test_reading_is_all_that_is_answered_without_a_gateway() -> None:
    answer = ask("/v1.1/Things", "POST", json={}, ingest=None)
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD")
    assert ask("/v1.1/Things(1)", "DELETE").status_code == 405
    assert "create" not in ask("/v1.1", ingest=None).text.replace("create-observations-via-mqtt", "")


@pytest.mark.parametrize("path", ["/v1.1/Datastreams(1)/Observations", "/ingest/Datastreams(1)"])
def test_what_is_posted_goes_to_the_gateway(path: str) -> None:
    answer = ask(path, "POST", content=b"{}")
    assert (answer.status_code, answer.json()) == (201, {"path": path, "got": "{}"})


def test_head_has_headers_and_no_body() -> None:
    answer = ask("/v1.1/Things", "HEAD")
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["content-length"] == str(len(ask("/v1.1/Things").content))


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize(
    "headers", [{"host": "evil.example:8088"}, {"origin": "https://evil.example"}, {"origin": "null"}]
)
def test_a_page_of_another_site_reaches_nothing(method: str, headers: dict[str, str]) -> None:
    assert ask("/v1.1/Datastreams(1)/Observations", method, headers=headers).status_code == 403


@pytest.mark.parametrize("host", ["localhost:9", "127.0.0.1", "[::1]:8088"])
def test_names_of_this_machine_are_answered(host: str) -> None:
    answer = ask("/v1.1", headers={"host": host, "origin": f"http://{host}"})
    assert answer.json()["value"][0]["url"] == f"http://{host}/v1.1/Things"


def test_health_follows_the_problems_of_the_status() -> None:
    assert ask("/health").json() == {"status": "ok", "problems": []}
    ill = ask("/health", status=lambda: {"problems": ["the disk is full"]})
    assert (ill.status_code, ill.json()["problems"]) == (503, ["the disk is full"])


def test_a_failing_store_is_503_and_a_fault_of_ours_500() -> None:
    def broken() -> dict[str, Any]:
        raise StoreError("the table cannot be read")

    def wrong() -> dict[str, Any]:
        raise ZeroDivisionError

    assert ask("/status", status=broken).status_code == 503
    answer = ask("/status", status=wrong)
    assert answer.status_code == 500
    assert "ZeroDivision" not in answer.text


def test_alerts_are_filtered_and_say_when() -> None:
    city = City()
    (alert,) = ask("/alerts?active=true&solution=water&limit=7", city=city).json()
    assert city.asked == {"active": True, "solution": "water", "limit": 7}
    assert (alert["start"], alert["end"]) == ("1970-01-01T01:00:00Z", None)
    assert alert["evidence"][0]["time"] == "1970-01-01T01:00:00Z"


def test_metrics_can_be_read_by_prometheus() -> None:
    status = {
        "readings": 12,
        "latency_ms": {"p50": 0.5, "p99": 11.0},
        "quarantine": {"not-a-number": 2, 'a "quoted"\nreason': 1},
        "models": {"water": "2026-01-01"},
        "log": {"first": 1, "last": 9},
        "problems": ["none that counts"],
    }
    text = exposition(status).decode()
    found = {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
    assert found == {
        ("nervure_readings_total",): 12.0,
        ("nervure_latency_ms", "p50"): 0.5,
        ("nervure_latency_ms", "p99"): 11.0,
        ("nervure_quarantine", "not-a-number"): 2.0,
        ("nervure_quarantine", 'a "quoted"\nreason'): 1.0,
        ("nervure_log_first",): 1.0,
        ("nervure_log_last",): 9.0,
    }
    answer = ask("/metrics", status=lambda: status)
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert answer.text == text


def test_paths_and_options_refuse_with_the_kind_of_error_that_fits() -> None:
    with pytest.raises(NotFoundError):
        route("Things(1)/Nothing")
    with pytest.raises(Unsupported):
        parse(b"$filter=x")
    with pytest.raises(QueryError):
        parse(b"$top")
