from __future__ import annotations

import sys
import time

import pytest

from nervure.core.error import QueryError, UnsupportedQuery
from nervure.core.sensorthings import BY_NAME
from nervure.store.language.option import Expand, Options, QueryLimits, parse_options
from nervure.store.language.parse import parse_filter
from nervure.store.language.tree import (
    Binary,
    Call,
    Duration,
    Geometry,
    Instant,
    Interval,
    Junction,
    Listing,
    Literal,
    Negation,
    Not,
    Path,
    Some,
    paths,
)

THING, DATASTREAM, OBSERVATION = (BY_NAME[name] for name in ("Thing", "Datastream", "Observation"))


def shape(text: str) -> str:
    """Write a tree with parentheses around everything, to see what binds what."""

    def write(one: object) -> str:
        match one:
            case Literal(value=value):
                return repr(value)
            case Path(steps=steps):
                return "/".join(map(str, steps))
            case Call(name=name, arguments=parts):
                return f"{name}({', '.join(map(write, parts))})"
            case Binary(operator=operator, left=left, right=right):
                return f"({write(left)} {operator} {write(right)})"
            case Listing(items=parts):
                return f"[{', '.join(map(write, parts))}]"
            case Junction(operator=operator, parts=parts):
                return f"({f' {operator} '.join(map(write, parts))})"
            case Some(path=path, variable=variable, operand=operand):
                return f"any({write(path)}, {variable}, {write(operand)})"
            case Not(operand=operand):
                return f"(not {write(operand)})"
            case Negation(operand=operand):
                return f"(- {write(operand)})"
        raise AssertionError(one)

    return write(parse_filter(text))


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("a eq 1 or b eq 2 and not c", "((a eq 1) or ((b eq 2) and (not c)))"),
        ("(a or b) and c", "((a or b) and c)"),
        ("a and b and (c and d)", "(a and b and c and d)"),
        ("not a lt 5", "(not (a lt 5))"),
        ("not not a", "(not (not a))"),
        ("a add b mul c eq d sub e sub f", "((a add (b mul c)) eq ((d sub e) sub f))"),
        ("a lt b eq true", "((a lt b) eq True)"),
        ("-a mul -2", "((- a) mul -2)"),
        ("a sub -1.5e3", "(a sub -1500.0)"),
        ("  ( ( a ) )  ", "a"),
        ("a eq 'it''s'", '(a eq "it\'s")'),
        ("a eq ''", "(a eq '')"),
        ("a in ('x')", "(a in ['x'])"),
        ("a in (1, -2, 'x')", "(a in [1, -2, 'x'])"),
        ("9 in a/b", "(9 in a/b)"),
        ("properties/a-b/list[1][0]/x:y/@iot.id", "properties/a-b/list/1/0/x:y/id"),
        ("@iot.id eq 5", "(id eq 5)"),
        ("properties/2020/and eq null", "(properties/2020/and eq None)"),
        ("substring( name , 1,2 )", "substring(name, 1, 2)"),
        ("now() gt a", "(now() gt a)"),
        ("time(time) eq 12:00", f"(time(time) eq {Duration(ns=43_200_000_000_000)!r})"),
        ("order eq notes", "(order eq notes)"),
        ("nullable eq trueish", "(nullable eq trueish)"),
        ("D/any(d: d/x eq 1)", "any(D, d, (d/x eq 1))"),
        ("D/E/any( d :d/x and D/any(e:e/y)) or z", "(any(D/E, d, (d/x and any(D, e, e/y))) or z)"),
    ],
)
def test_what_binds_what(text: str, tree: str) -> None:
    assert shape(text) == tree


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1", 1),
        ("9223372036854775807", 9223372036854775807),
        ("9223372036854775808", 9223372036854775808.0),
        (".5", 0.5),
        ("1.", 1.0),
        ("2015-01-01", Instant(ns=1420070400000000000)),
        ("2015-01-01T00:00Z", Instant(ns=1420070400000000000)),
        ("2015-01-01T00:00:00", Instant(ns=1420070400000000000)),
        ("2015-01-01T01:00:00.000000001+01:00", Instant(ns=1420070400000000001)),
        ("2015-01-01T01:00:00 01:00", Instant(ns=1420070400000000000)),
        ("2014-12-31T19:00:00-0500", Instant(ns=1420070400000000000)),
        ("0001-01-01", Instant(ns=-62135596800000000000)),
        (
            "2015-01-01T00:00:00Z/2015-01-01T00:00:01Z",
            Interval(start_ns=1420070400000000000, end_ns=1420070401000000000),
        ),
        ("duration'P1DT2H3M4.5S'", Duration(ns=93_784_500_000_000)),
        ("duration'-PT1S'", Duration(ns=-1_000_000_000)),
        ("geography'POINT (30 10)'", Geometry(wkt="POINT (30 10)")),
        ("geometry'POINT (30 10)'", Geometry(wkt="POINT (30 10)")),
        ("'äö😀'", "äö😀"),
        ("true", True),
        ("null", None),
    ],
)
def test_constants(text: str, value: object) -> None:
    found = parse_filter(text)
    assert isinstance(found, Literal)
    assert found.value == value
    assert type(found.value) is type(value)


@pytest.mark.parametrize(
    ("text", "position", "words"),
    [
        ("", 1, "the end cannot stand"),
        ("a eq", 5, "the end cannot stand"),
        ("a eq  ", 5, "the end cannot stand"),
        ("(a eq 1", 8, "the end cannot stand"),
        ("a eq 1)", 7, "')' cannot stand"),
        ("a b", 3, "'b' cannot stand"),
        ("a = 5", 3, "'=' cannot stand"),
        ("a eq 'x", 6, '"\'x" cannot stand'),
        ("a EQ 5", 3, "'EQ' cannot stand"),
        ("eq 5", 4, "'5' cannot stand"),
        ("length(a, b) eq 1", 1, "length takes 1 arguments, not 2"),
        ("a eq substring(b)", 6, "substring takes 2 or 3 arguments, not 1"),
        ("a eq foo(b)", 6, "there is no function 'foo'"),
        ("a eq 2015-13-01", 6, "'2015-13-01' is not an instant"),
        ("a eq 2015-01-02/2015-01-01", 6, "whose end is not before its start"),
        ("a eq 25:00", 6, "not a time of day"),
        ("a eq duration'P1Y'", 6, "not a duration"),
        ("a eq 1e400", 6, "too large"),
        ("a in 5 add 1", 12, "after 'in'"),
        ("a in (b, 1)", 7, "constants only"),
        ("a eq '\0'", 6, "no text may hold"),
        ("a eq '\ud800'", 6, "no text may hold"),
        ("a/ eq 5", 2, "'/' cannot stand"),
    ],
)
def test_an_error_says_what_was_found_and_where(text: str, position: int, words: str) -> None:
    with pytest.raises(QueryError) as refused:
        parse_filter(text)
    assert words in refused.value.what
    assert refused.value.where == f"position {position}" or text == "a in 5 add 1"
    assert f"position {position}" in refused.value.what or text == "a in 5 add 1"


def test_an_error_says_what_could_stand_there() -> None:
    with pytest.raises(QueryError) as refused:
        parse_filter("name eq )")
    assert refused.value.hint is not None
    for word in ("a number", "a 'text'", "an instant", "a property", "a function"):
        assert word in refused.value.hint


def test_functions_of_odata_that_sensorthings_lacks_are_unsupported() -> None:
    with pytest.raises(UnsupportedQuery):
        parse_filter("cast(a, b) eq 1")


def test_limits_are_kept_before_anything_can_hang() -> None:
    began = time.thread_time()
    assert parse_filter("(" * 8_000 + "a" + ")" * 8_000) == Path(steps=("a",), position=8_001)
    assert len(paths(parse_filter(" or ".join(["a eq 1"] * 125)))) == 125
    for text, words in (
        ("a" * 16_385, "longer than 16384 characters"),
        (" or ".join(["a eq 1"] * 200), "more than 500 parts"),
        ("1 add " * 40 + "1 eq 1", "nested more than 16 deep"),
        ("not " * 4_000 + "a", "nested more than 16 deep"),
        ("-" * 16_000 + "a", "nested more than 16 deep"),
        ("tolower(" * 1_000 + "a" + ")" * 1_000, "nested more than 16 deep"),
        ("'" * 16_383, "cannot stand"),
        ("2015-01-01" * 1_600, "cannot stand"),
    ):
        with pytest.raises(QueryError, match=words):
            parse_filter(text)
    assert time.thread_time() - began < 5  # however much else the machine does
    assert sys.getrecursionlimit() == 1_000  # nothing was bought with a larger stack


# --- options ------------------------------------------------------------------------------------------


def test_options_are_decoded_once_and_read() -> None:
    found = parse_options(
        "$filter=phenomenonTime+gt%202015-01-01T00:00:00%2B01:00+and%20result%20lt%205"
        "&%24top=5&$skip=0&$count=true&$orderby=result%20DESC,%20phenomenonTime,id%20Asc"
        "&$select=result,@iot.id,Datastream&$resultFormat=dataArray&$skiptoken=a.b-C_&key=secret&a=$top",
        OBSERVATION,
    )
    assert (
        [one.steps for one in paths(found.filter)] == [("phenomenonTime",), ("result",)]
        if found.filter
        else 0
    )
    assert (found.top, found.skip, found.count, found.token) == (5, 0, True, "a.b-C_")
    assert [one.descending for one in found.order] == [True, False, False]
    assert found.select == ("result", "id", "Datastream")
    assert found.result_format == "dataArray"


def test_a_literal_plus_comes_percent_encoded_and_a_quote_keeps_its_signs() -> None:
    found = parse_options("$filter=name eq 'a%2Bb+c%26%3B%3D%25'", THING).filter
    assert isinstance(found, Binary)
    assert found.right == Literal(value="a+b c&;=%", position=9)


def test_nothing_said_is_nothing_asked() -> None:
    assert parse_options("", THING) == Options()
    assert parse_options("a=1&b", THING) == Options()
    assert parse_options("$select=*", THING).select is None
    assert parse_options("$top=0", THING).top == 0
    assert parse_options("$top=99999999999999999999", THING).top == 1_000_000_000


def test_expand_has_options_of_its_own() -> None:
    found = parse_options(
        "$expand=Datastreams($filter=name eq 'a;b),(';$select=name;$count=false;"
        "$expand=Observations($top=2;$orderby=phenomenonTime desc),Sensor),Locations/HistoricalLocations",
        THING,
    ).expand
    streams, places = found
    assert streams.relation == "Datastreams"
    assert isinstance(streams.options.filter, Binary)
    assert streams.options.filter.right == Literal(value="a;b),(", position=9)
    assert (streams.options.select, streams.options.count) == (("name",), False)
    observations, sensor = streams.options.expand
    assert (observations.relation, observations.options.top) == ("Observations", 2)
    assert observations.options.order[0].descending
    assert sensor == Expand(relation="Sensor", options=Options())
    assert places.options.expand[0].relation == "HistoricalLocations"


def test_a_relation_that_is_named_twice_is_one() -> None:
    found = parse_options("$expand=Datastreams/Sensor,Datastreams($top=1),Datastreams/Thing/Locations", THING)
    [streams] = found.expand
    assert streams.options.top == 1
    assert [one.relation for one in streams.options.expand] == ["Sensor", "Thing"]
    with pytest.raises(QueryError, match="differently"):
        parse_options("$expand=Datastreams($top=1),Datastreams($top=2)", THING)


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("$top=-1", "$top must be a whole number"),
        ("$top=five", "$top must be a whole number"),
        ("$top=", "$top must be a whole number"),
        ("$top=٣", "$top must be a whole number"),
        ("$skip=1.5", "$skip must be a whole number"),
        ("$count=yes", "$count must be true or false"),
        ("$top=1&$top=1", "$top is given twice"),
        ("$top=1&%24top=2", "$top is given twice"),
        ("$tops=1", "there is no query option '$tops'"),
        ("$filter=", "$filter: the end"),
        ("$filter=nam eq 1", "$filter: Thing has no property 'nam' (position 1)"),
        ("$filter=Datastreams/any(d:d/nam eq 1)", "Datastream has no property 'nam' (position 19)"),
        ("$filter=name/any(d:d eq 1)", "any() stands after a relation"),
        ("$filter=%", "not percent-encoded"),
        ("$filter=%ff", "no text in UTF-8"),
        ("$orderby=", "empty key"),
        ("$orderby=name,,id", "empty key"),
        ("$orderby=name down", "$orderby: 'down' cannot stand at position 6"),
        ("$orderby=nam", "$orderby: Thing has no property"),
        ("$orderby=" + ",".join(["id"] * 11), "more than 10 keys"),
        ("$select=", "$select: Thing has no property"),
        ("$select=nam", "$select: Thing has no property 'nam'"),
        ("$select=name/x", "$select: Thing has no property 'name/x'"),
        ("$expand=", "$expand cannot read"),
        ("$expand=Foo", "Thing has no relation 'Foo'"),
        ("$expand=Datastreams/Foo", "Datastream has no relation 'Foo'"),
        ("$expand=Datastreams(", "a ')' is missing"),
        ("$expand=Datastreams($top=1))", "a ')' too many"),
        ("$expand=Datastreams($top=1)x", "$expand cannot read"),
        ("$expand=Datastreams(top=1)", "$expand cannot read"),
        ("$expand=Datastreams($filter=name eq 'x)", "a quote is missing"),
        ("$expand=Datastreams($top=-1)", "$top must be a whole number"),
        ("$expand=" + "Datastreams/Thing/" * 5, "$expand cannot read"),
        ("$expand=" + "Datastreams/Thing/" * 5 + "Locations", "more than 8 deep"),
        ("$expand=" + "Datastreams($expand=Thing($expand=" * 5 + "Locations" + "))" * 5, "deep"),
        ("$resultFormat=dataArray", "is for Observations"),
        ("$skiptoken=%00", "not one of ours"),
    ],
)  # fmt: skip
def test_a_malformed_query_is_refused(query: str, words: str) -> None:
    with pytest.raises(QueryError) as refused:
        parse_options(query, THING)
    assert words in refused.value.what
    assert not isinstance(refused.value, UnsupportedQuery)


@pytest.mark.parametrize(
    "query",
    ["$search=x", "$format=xml", "$apply=x", "$expand=*", "$expand=Datastreams/$ref", "$resultFormat=csv",
     "$expand=Datastreams($levels=2)"],
)  # fmt: skip
def test_what_odata_has_and_sensorthings_has_not_is_unsupported(query: str) -> None:
    with pytest.raises(UnsupportedQuery):
        parse_options(query, THING)


def test_expansions_are_counted_over_the_whole_query() -> None:
    limits = QueryLimits(expands=3)
    assert len(parse_options("$expand=Thing,Sensor,ObservedProperty", DATASTREAM, limits).expand) == 3
    with pytest.raises(QueryError, match="larger than 3"):
        parse_options("$expand=Thing($expand=Locations),Sensor/Datastreams", DATASTREAM, limits)


def test_select_may_name_relations_and_paths_into_json() -> None:
    found = parse_options(
        "$select=name,Datastreams@iot.navigationLink,@iot.selfLink,properties/a[0]/b", THING
    )
    assert found.select == ("name", "Datastreams", "selfLink", "properties/a[0]/b")
