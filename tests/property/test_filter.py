from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from nervure.core.error import QueryError
from nervure.core.instant import iso
from nervure.core.observation import NO_END, NO_RESULT_TIME, Batch
from nervure.core.sensorthings import BY_NAME, KINDS
from nervure.store.catalogue import Catalogue
from nervure.store.engine import Engine
from nervure.store.language.option import parse_options
from nervure.store.language.parse import parse_filter
from nervure.store.language.tree import Expression
from nervure.store.language.way import validate
from nervure.store.sql import METADATA
from tests.filter_plain import holds
from tests.filter_tree import HALF, INSTANTS, NUMBERS, PAIRS, T0, WORDS, bare, expressions, readable
from tests.street import Street, described

if TYPE_CHECKING:
    from collections.abc import Iterator

# --- rows -----------------------------------------------------------------------------------------------

JSON = (
    st.none() | st.booleans() | NUMBERS | WORDS | st.just([1, "a"])
    | st.integers(-2, 4).map(lambda n: iso(T0 + n * 2 * HALF))
)  # fmt: skip


class Stream(msgspec.Struct, frozen=True):
    name: str
    x: Any
    y: Any
    time: tuple[int, int] | None
    sensor: bool


class Reading(msgspec.Struct, frozen=True):
    result: Any
    x: Any
    start: int
    end: int | None
    given: int | None
    stream: int


PAIR = st.none() | PAIRS.map(tuple)
STREAMS = st.lists(st.builds(Stream, WORDS, JSON, JSON, PAIR, st.booleans()), min_size=1, max_size=4)
RESULTS = st.booleans() | NUMBERS | WORDS | st.just([1, "a"])
READINGS = st.lists(
    st.builds(
        Reading, RESULTS, JSON, INSTANTS, st.none() | INSTANTS, st.none() | INSTANTS, st.integers(1, 5)
    ),
    min_size=1,
    max_size=6,
)
SENSOR = "Meter"


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def place(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Catalogue, Engine]]:
    folder = tmp_path_factory.mktemp("filter")
    lite = request.param == "sqlite"
    address = folder / "catalogue.db" if lite else request.getfixturevalue("postgres").catalogue()
    catalogue, engine = Catalogue.open(address), Engine(folder)
    with catalogue.database.write() as connection:
        connection.execute(sa.insert(METADATA.tables["thing"]).values(described(1, "a")))
        sensor = described(1, SENSOR, encoding_type="", metadata="")
        connection.execute(sa.insert(METADATA.tables["sensor"]).values(sensor))
    yield catalogue, engine
    engine.close()
    catalogue.close()


def write(catalogue: Catalogue, streams: list[Stream]) -> None:
    table = METADATA.tables["datastream"]
    with catalogue.database.write() as connection:
        connection.execute(sa.delete(table))
        for number, one in enumerate(streams, 1):
            start, end = one.time or (None, None)
            row = {
                **described(number, one.name, properties={"x": one.x, "y": one.y}),
                "thing_id": 1, "sensor_id": 1 if one.sensor else None, "unit": "", "observation_type": "",
                "phenomenon_start_ns": start, "phenomenon_end_ns": end,
                "solution": "", "signal": "", "kind": "", "every_ns": 0,
            }  # fmt: skip
            connection.execute(sa.insert(table).values(row))


def batch(readings: list[Reading]) -> Batch:
    numbers = [isinstance(one.result, int | float) and not isinstance(one.result, bool) for one in readings]
    pairs = list(zip(readings, numbers, strict=True))
    return Batch.of(
        id=np.arange(1, len(readings) + 1),
        datastream=[one.stream for one in readings],
        time=[one.start for one in readings],
        end_time=[NO_END if one.end is None else max(one.start, one.end) for one in readings],
        result_time=[one.start if one.given is None else one.given for one in readings],
        marks=[NO_RESULT_TIME if one.given is None else 0 for one in readings],
        value=[one.result if plain else np.nan for one, plain in pairs],
        text=[None if plain else msgspec.json.encode(one.result).decode() for one, plain in pairs],
        extra=[msgspec.json.encode({"parameters": {"x": one.x}}).decode() for one in readings],
    )


def seen(one: Stream | None) -> dict[tuple[str | int, ...], Any]:
    """Return what paths from a Datastream lead to; of none all is null."""
    return {
        ("name",): one and one.name,
        ("properties", "x"): one and one.x,
        ("properties", "y"): one and one.y,
        ("phenomenonTime",): one and one.time,
        ("Sensor", "name"): SENSOR if one and one.sensor else None,
        ("Thing", "name"): "a" if one else None,
    }


def seen_reading(one: Reading, streams: list[Stream]) -> dict[tuple[str | int, ...], Any]:
    owner = streams[one.stream - 1] if one.stream <= len(streams) else None
    return {
        ("result",): one.result,
        ("parameters", "x"): one.x,
        ("phenomenonTime",): (one.start, one.start if one.end is None else max(one.start, one.end)),
        ("resultTime",): None if one.given is None else (one.given, one.given),
        **{("Datastream", *steps): value for steps, value in seen(owner).items()},
    }


QUICK = settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))
OF_STREAMS = expressions(
    ["name", "Sensor/name", "Thing/name"], ["properties/x", "properties/y"], ["phenomenonTime"]
)
OF_READINGS = expressions(
    ["Datastream/name", "Datastream/Sensor/name"],
    ["result", "parameters/x", "Datastream/properties/x"],
    ["phenomenonTime", "resultTime", "Datastream/phenomenonTime"],
)


@QUICK
@given(tree=OF_STREAMS, streams=STREAMS)
def test_the_catalogue_finds_what_python_finds(
    tree: Expression, streams: list[Stream], place: tuple[Catalogue, Engine]
) -> None:
    text = readable(tree)
    write(place[0], streams)
    street = Street(*place, batch([]), None)
    wanted = [n for n, one in enumerate(streams, 1) if holds(tree, seen(one))]
    assert street.ids("Datastream", text) == wanted, (text, streams)


@QUICK
@given(tree=OF_READINGS, streams=STREAMS, readings=READINGS)
def test_duckdb_and_the_catalogue_together_find_what_python_finds(
    tree: Expression, streams: list[Stream], readings: list[Reading], place: tuple[Catalogue, Engine]
) -> None:
    text = readable(tree)
    write(place[0], streams)
    street = Street(*place, batch(readings), None)
    wanted = [n for n, one in enumerate(readings, 1) if holds(tree, seen_reading(one, streams))]
    assert street.ids("Observation", text) == wanted, (text, streams, readings)


@QUICK
@given(tree=OF_READINGS)
def test_what_is_written_is_read_as_it_was_meant(tree: Expression) -> None:
    assert bare(parse_filter(readable(tree))) == bare(tree)


# --- nonsense -------------------------------------------------------------------------------------------

PIECES = st.sampled_from(
    [
        "name", "properties/x", "Datastreams/name", "Datastreams", "Observations/result", "location", "id",
        "Thing/", "/", "[0]", "any(d:", "d/name", "(", ")", "((", "))", ",", "'", "'x'", "''", "5", "-", "1e",
        "1e9", "2015-01-01", "2015-01-01T00:00:00Z", "/2016-01-01", "12:00", "eq", "ne", "lt", "and", "or",
        "not", "in", "add", "div", "mod", "null", "true", "length(", "substring(", "st_within(", "now()",
        "geo.distance(", "geography'POINT (1 2)'", "geography'", "duration'PT1H'", "duration'x'", "$", ";",
        "ä", "\x00", "\n", "😀", "%", "{observation}", "--", "/*", "@iot.id", ":", "\\",
    ]
)  # fmt: skip
NONSENSE = (
    st.lists(PIECES, max_size=12).map(" ".join) | st.lists(PIECES, max_size=12).map("".join) | st.text()
)


@contextlib.contextmanager
def soon() -> Iterator[None]:
    """See that nothing hangs: by the processor's time, as the machine may have other work."""
    begun = time.thread_time()
    yield
    assert time.thread_time() - begun < 2.0


@settings(max_examples=400, deadline=None)
@given(NONSENSE, st.sampled_from(KINDS))
@example("a" * 20_000, KINDS[0])
@example("(" * 16_000, KINDS[0])
@example("[" * 9, KINDS[0])
def test_no_text_is_worse_than_refused(text: str, kind: Any) -> None:
    with soon():
        try:
            validate(parse_filter(text), kind)
        except QueryError as refused:
            assert refused.what  # noqa: PT017 - it may well be read


@settings(max_examples=400, deadline=None)
@given(
    st.lists(
        st.sampled_from(["$filter=", "$expand=", "$orderby=", "$select=", "$top=", "$count=", "&", "%27"])
        | PIECES,
        max_size=14,
    ).map("".join)
    | st.text(),
    st.sampled_from(KINDS),
)  # fmt: skip
def test_no_query_is_worse_than_refused(query: str, kind: Any) -> None:
    with soon():
        try:
            parse_options(query, kind)
        except QueryError as refused:
            assert refused.what  # noqa: PT017 - it may well be read


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(text=NONSENSE, kind=st.sampled_from(["Datastream", "Observation", "Location", "Thing"]))
def test_what_can_be_read_can_be_answered_or_is_refused(
    text: str, kind: str, place: tuple[Catalogue, Engine]
) -> None:
    street = Street(*place, batch([]), 1)
    try:
        validate(parse_filter(text), BY_NAME[kind])
        street.ids(kind, text)
    except QueryError as refused:
        assert refused.what  # noqa: PT017 - it may well be read
