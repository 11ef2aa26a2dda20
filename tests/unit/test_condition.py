from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from nervure.core.error import QueryError, UnsupportedQuery
from nervure.core.sensorthings import BY_NAME
from nervure.store.language.parse import parse_filter
from nervure.store.select.condition import condition
from nervure.store.select.dialect import duck
from nervure.store.select.source import OBSERVATION
from tests.filter_case import AREA, CASES
from tests.street import built, rows

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.street import Street


@pytest.fixture
def street(catalogue_place: str | Path, tmp_path: Path) -> Iterator[Street]:
    tables, batch = rows()
    with built(catalogue_place, tmp_path, tables, batch) as one:
        yield one


def test_every_filter_finds_its_rows(street: Street) -> None:
    wrong = [
        f"{kind}: {text}: {found}, not {ids}"
        for kind, text, ids in CASES
        if (found := street.ids(kind, text)) != ids
    ]
    assert not wrong, "\n".join(wrong)


def test_what_lies_in_another_project_fulfils_nothing(street: Street) -> None:
    other, everybody = street.of(2), street.of(None)
    assert other.ids("Thing", "name ne 'x'") == [90]
    assert everybody.ids("Thing", "Datastreams/id eq 90") == [90]
    assert street.ids("Thing", "Datastreams/Thing/id eq 90") == []
    # its Datastream is of the Sensor of project 1, which must not learn of it
    assert street.ids("Sensor", "Datastreams/id eq 90") == []
    assert everybody.ids("Sensor", "Datastreams/id eq 90") == [1]
    assert other.ids("Datastream", "Sensor/name eq 'Meter'") == []
    assert other.ids("Datastream", "Sensor/name eq null") == [90]
    assert other.ids("Observation", "Datastream/id eq 1") == []
    assert other.ids("Observation", "result lt Datastream/properties/limit") == []
    assert other.ids("Location", f"st_within(location, {AREA})") == [90]
    assert street.ids("Thing", "Locations/name eq 'Foreign'") == []


@pytest.mark.parametrize(
    ("kind", "text", "words"),
    [
        ("Thing", "name", "no condition (position 1)"),
        ("Thing", "name eq 'x' and length(name)", "no condition (position 17)"),
        ("Thing", "nam eq 'x'", "Thing has no property 'nam'"),
        ("Thing", "Datastreams/nam eq 'x'", "Datastream has no property 'nam'"),
        ("Thing", "Datastreams eq 'x'", "leads to entities"),
        ("Thing", "name/x eq 'x'", "has no parts"),
        ("Thing", "length(5) eq 1", "length takes texts (position 1)"),
        ("Thing", "year(name) eq 1", "year takes a time"),
        ("Thing", "name add 1 eq 1", "add takes numbers (position 6)"),
        ("Thing", "(1, 2) eq 1", "a list stands after 'in' only"),
        ("Datastream", "phenomenonTime add 5 gt 2020-01-01", "cannot join these"),
        ("Datastream", "during(phenomenonTime, 2020-01-01)", "nothing is during an instant"),
        ("Datastream", "during(phenomenonTime, 5)", "during takes times"),
        ("Location", "st_equals(location, geography'POINTS (1 2)')", "not well-known text"),
        ("Location", "st_equals(location, 'POINT (1 2)')", "st_equals takes geometries"),
        ("Location", "st_equals(name, geography'POINT (1 2)')", "no geometry (position 11)"),
        ("Location", "st_relate(location, location, 'T')", "pattern of nine"),
        ("Location", "location eq geography'POINT (1 2)'", "a geometry cannot be compared by eq"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused_with_its_place(
    kind: str, text: str, words: str, one_street: Street
) -> None:
    with pytest.raises(QueryError) as refused:
        one_street.ids(kind, text)
    assert words in refused.value.what
    assert not isinstance(refused.value, UnsupportedQuery)


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("Thing", "properties/n in properties/list"),
        ("Observation", "st_within(result, geography'POINT (1 2)')"),
        ("Location", "st_within(location, geography'POINT (1 2)') eq (name eq 'x')"),
        ("Thing", "Datastreams/any(d: d/Observations/result gt properties/n)"),
        ("Location", "geo.distance(location, Things/Locations/location) lt 1"),
    ],
)
def test_what_is_not_answered_says_so(kind: str, text: str, one_street: Street) -> None:
    with pytest.raises(UnsupportedQuery):
        one_street.ids(kind, text)


@pytest.fixture
def one_street(empty_catalogue: Path, tmp_path: Path) -> Iterator[Street]:
    import shutil

    tables, batch = rows()
    with built(shutil.copy(empty_catalogue, tmp_path / "one.db"), tmp_path, tables, batch) as one:
        yield one


def test_rows_are_sorted_with_nulls_last_and_the_other_way_round(street: Street) -> None:
    assert street.sorted("Thing", "name", descending=True) == [4, 3, 2, 1]
    assert street.sorted("Thing", "properties/n", descending=True) == [4, 3, 2, 1]
    assert street.sorted("Thing", "-properties/n") == [3, 2, 1, 4]
    assert street.sorted("Thing", "properties/s") == [1, 2, 3, 4]
    assert street.sorted("Thing", "id") == [1, 2, 3, 4]
    assert street.sorted("Datastream", "phenomenonTime", descending=True) == [4, 3, 2, 1]
    assert street.sorted("Datastream", "Sensor/name") == [1, 2, 3, 4]
    assert street.sorted("Datastream", "Thing/properties/n", descending=True) == [3, 4, 1, 2]
    assert street.sorted("Datastream", "Thing/id", descending=True) == [3, 4, 1, 2]
    near = "geo.distance(location, geography'POINT (3 50)')"
    assert street.sorted("Location", near) == [3, 2, 1, 4, 5]
    assert street.sorted("Observation", "result", descending=True)[:5] == [20, 19, 18, 17, 16]
    assert street.sorted("Observation", "resultTime")[:3] == [2, 4, 6]
    assert street.sorted("Observation", "Datastream/name", descending=True)[:5] == [5, 10, 15, 20, 4]
    assert street.sorted("Observation", "phenomenonTime add duration'PT1S'", descending=True)[0] == 20
    with pytest.raises(QueryError, match="leads to several"):
        street.sorted("Thing", "Datastreams/name")


def test_a_span_of_time_is_asked_of_the_bare_column(one_street: Street) -> None:
    """Only then does DuckDB leave parts of files unread."""
    kind = BY_NAME["Observation"]
    text = "phenomenonTime ge 2020-01-01 and phenomenonTime lt 2020-01-02 and Datastream/id eq 2"
    sql, _ = duck(sa.select(OBSERVATION.c.id).where(condition(parse_filter(text), kind, one_street)))
    assert "make_timestamptz(1577836800000000) <= o.time" in sql
    assert "o.time < make_timestamptz(1577923200000000)" in sql
    assert "o.datastream BETWEEN 2 AND 2" in sql


def test_the_largest_expressions_are_answered(street: Street) -> None:
    deep = {
        "properties/n": "1 add ({})",
        "-properties/n": "1 div ({})",
        "properties/n add 0": "-({})",
        "floor(properties/n)": "round({})",
    }
    for start, form in deep.items():
        text = start
        for _ in range(12):
            text = form.format(text)
        assert len(street.ids("Thing", f"{text} gt -100")) == 3
        assert len(street.ids("Observation", f"{text.replace('properties/n', 'result')} gt -100")) == 17
    many = " or ".join(f"properties/n eq {n}" for n in range(120))
    assert street.ids("Thing", many) == [1, 2, 3]
    listed = ", ".join(map(str, range(400)))
    assert street.ids("Thing", f"properties/n in ({listed})") == [1, 2, 3]
    far = "Datastreams/Thing/" * 5 + "Datastreams/id eq 1"
    assert street.ids("Thing", far) == [1]
