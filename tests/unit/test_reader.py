"""Pages that follow each other, bounds of what one question may take, and bounds of time."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nervure.core.error import QueryError
from nervure.serve.sensorthings import SensorThings
from nervure.store import sql
from nervure.store.catalogue import Catalogue
from nervure.store.language.parse import parse_filter
from nervure.store.observations import Observations
from nervure.store.select.bound import ALL_TIME, Span, bound
from nervure.store.select.session import Limits
from tests.entities import HOUR, START, get, town

Town = tuple[Catalogue, Observations]


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    postgres = request.param == "postgresql"
    database = request.getfixturevalue("postgres").catalogue() if postgres else ""
    with town(tmp_path_factory.mktemp("town"), database) as made:
        with made[0].database.write() as connection:
            for number in range(100, 125):
                connection.execute(sa.insert(sql.thing).values(_thing(number)))
        yield made


def _thing(number: int) -> dict[str, Any]:
    """Return a Thing; some have no number, many share one, and names repeat."""
    properties = {} if number % 5 == 0 else {"n": number % 4, "t": "abc"[number % 3]}
    return {
        "id": number, "name": f"N{number % 7}", "description": "", "definition": "", "properties": properties,
    }  # fmt: skip


def _walk(things: SensorThings, url: str) -> list[Any]:
    found = []
    while url:
        page = get(things, url)
        found += [one["@iot.id"] for one in page["value"]]
        url = page.get("@iot.nextLink", "")
    return found


_KEYS = [
    "name",
    "name desc",
    "id desc",
    "properties/n",
    "properties/n desc",
    "properties/t",
    "description",
    "id",
]
_WHERE = ["", "properties/n gt 1", "startswith(name,'N')", "not (name eq 'N3')", "Datastreams/id eq null"]
_OBSERVED_KEYS = [
    "phenomenonTime", "phenomenonTime desc", "resultTime desc", "result", "result desc", "id", "id desc",
    "Datastream/id desc", "FeatureOfInterest/id",
]  # fmt: skip
_OBSERVED_WHERE = ["", "result gt 4", "phenomenonTime ge 2023-11-15T08:00:00Z", "result mod 2 eq 0"]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    entities=st.sampled_from(["Things", "Observations", "Datastreams(1)/Observations"]),
    keys=st.lists(st.integers(0, 8), max_size=3, unique=True),
    where=st.integers(0, 4),
    top=st.integers(2, 9),
    skip=st.integers(0, 4),
)
def test_pages_show_each_row_once_and_in_order(
    place: Town, entities: str, keys: list[int], where: int, top: int, skip: int
) -> None:
    observed = entities != "Things"
    names = _OBSERVED_KEYS if observed else _KEYS
    conditions = _OBSERVED_WHERE if observed else _WHERE
    parts = {"$select": "id"}
    if keys:
        parts["$orderby"] = ",".join(names[key % len(names)] for key in keys)
    if condition := conditions[where % len(conditions)]:
        parts["$filter"] = condition
    query = "&".join(f"{name}={quote(value)}" for name, value in parts.items())
    things = SensorThings(*place)
    whole = [one["@iot.id"] for one in get(things, f"{entities}?{query}&$top=1000")["value"]]
    assert len(set(whole)) == len(whole)
    assert _walk(things, f"{entities}?{query}&$top={top}&$skip={skip}") == whole[skip:]


def test_pages_hold_while_rows_come_and_go(tmp_path: Path) -> None:
    with town(tmp_path) as (catalogue, observations):
        things = SensorThings(catalogue, observations)
        page = get(things, "Things?$orderby=name&$top=2&$select=name")
        seen = [one["name"] for one in page["value"]]
        with catalogue.database.write() as connection:
            connection.execute(sa.delete(sql.thing).where(sql.thing.c.id == 1))
            connection.execute(sa.insert(sql.thing).values(_thing(100) | {"name": "A first one"}))
            connection.execute(sa.insert(sql.thing).values(_thing(101) | {"name": "Thing 25"}))
        while "@iot.nextLink" in page:
            page = get(things, page["@iot.nextLink"])
            seen += [one["name"] for one in page["value"]]
        assert seen == ["Quoted", "Thing 1", "Thing 2", "Thing 25", "Thing 3", "Thing 4", "Thing 5"]


def test_a_token_belongs_to_its_order(place: Town) -> None:
    things = SensorThings(*place)
    link = get(things, "Things?$orderby=name&$top=2")["@iot.nextLink"]
    assert "$skip=" not in link
    with pytest.raises(QueryError, match="skiptoken"):
        get(things, link.replace("$orderby=name", "$orderby=description"))
    with pytest.raises(QueryError, match="skiptoken"):
        get(things, link.replace("Things", "Sensors").replace("$orderby=name&", ""))


def test_questions_do_not_grow_with_rows(place: Town) -> None:
    things = SensorThings(*place)
    asked: list[str] = []
    engine = place[0].database._engine
    sa.event.listen(engine, "before_cursor_execute", lambda *given: asked.append(given[2]))
    counts = []
    for top in (2, 20):
        asked.clear()
        streams = "Datastreams($expand=Sensor,Observations($top=1))"
        get(things, f"Things?$expand={streams},Locations,HistoricalLocations($expand=Locations)&$top={top}")
        counts.append(len(asked))
    assert counts[0] == counts[1]


def test_an_answer_has_a_largest_size(place: Town) -> None:
    small = SensorThings(*place, limits=Limits(page=50, largest_page=4, rows=8))
    page = get(small, "Things?$top=1000")
    assert len(page["value"]) == 4
    whole = [one["@iot.id"] for one in get(SensorThings(*place), "Things")["value"]]
    assert _walk(small, "Things?$top=1000") == whole
    inner = get(small, "Things?$expand=Datastreams&$select=id&$top=3")["value"]
    assert [len(one["Datastreams"]) for one in inner] == [2, 1, 1]
    tight = SensorThings(*place, limits=Limits(rows=1))
    with pytest.raises(QueryError, match="too large"):
        get(tight, "Things?$top=1&$expand=Datastreams($top=1;$expand=Thing,Sensor,ObservedProperty)")


def test_a_question_has_a_longest_time(place: Town) -> None:
    late = SensorThings(*place, limits=Limits(seconds=-1.0))
    for url in ("Observations?$top=1", "Things?$expand=Datastreams"):
        with pytest.raises(QueryError, match="stopped"):
            get(late, url)


@pytest.mark.parametrize(
    ("text", "span"),
    [
        ("phenomenonTime ge 2023-11-14T22:00:00Z", Span(start=START - 1000, end=ALL_TIME.end)),
        ("2023-11-14T22:00:00Z gt phenomenonTime", Span(start=ALL_TIME.start, end=START + 1000)),
        (
            "phenomenonTime ge 2023-11-14T22:00:00Z and result gt 1 and phenomenonTime lt 2023-11-14T23:00Z",
            Span(start=START - 1000, end=START + HOUR + 1000),
        ),
        ("phenomenonTime eq 2023-11-14T22:00:00Z", Span(start=START - 1000, end=START + 1000)),
        ("phenomenonTime ge 2023-11-14T22:00:00Z or result eq 1", ALL_TIME),
        ("not (phenomenonTime ge 2023-11-14T22:00:00Z)", ALL_TIME),
        ("resultTime ge 2023-11-14T22:00:00Z", ALL_TIME),
    ],
)
def test_conditions_confine_the_time_that_is_read(text: str, span: Span) -> None:
    assert bound(parse_filter(text)) == span


def test_the_times_of_streams_are_brought_up_to_date_for_a_filter(tmp_path: Path) -> None:
    with town(tmp_path) as (catalogue, observations):
        things = SensorThings(catalogue, observations)
        query = "Datastreams?$filter=phenomenonTime%20gt%202023-11-15T00:00:00Z&$select=id"
        assert [one["@iot.id"] for one in get(things, query)["value"]] == []
        ended = "Datastreams?$filter=resultTime%20ge%202023-11-14T22:00:00Z&$select=id"
        assert len(get(things, ended)["value"]) == 4
        observations.drop(datastreams=[5], upto=50)
        assert [one["@iot.id"] for one in get(things, ended)["value"]] == [1, 2, "four"]
