"""``$filter`` with the functions on strings and numbers (18-088 section 9.3.3.5.2)."""

from __future__ import annotations

import pytest

from tests.conformance.client import Client
from tests.conformance.requirement import requirement
from tests.conformance.sample import grid, location, thing

FUNCTIONS = requirement("request-data/built-in-query-functions")


@pytest.fixture(scope="module")
def things(client: Client) -> str:
    place = client.create("Locations", location())
    for name in ("Alpha", "beta", " gamma ", "delta", "Über", "100%", "under_score", "o'clock"):
        body = thing(name=name, properties={"word": name, "size": len(name)}, Locations=[{"@iot.id": place}])
        client.create("Things", body)
    return f"Locations({place})/Things"


@FUNCTIONS
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("substringof('lph',name)", ["Alpha"]),
        ("substringof('LPH',name)", []),
        ("substringof('lta', name)", ["delta"]),
        ("substringof('lta', name) eq true", ["delta"]),
        ("substringof('lta', name) eq false and startswith(name,'A')", ["Alpha"]),
        ("not substringof('a', name) and length(name) eq 4", ["100%", "Über"]),
        ("contains(name,'lta')", ["delta"]),
        ("endswith(name,'ta')", ["beta", "delta"]),
        ("endswith(name,'TA')", []),
        ("startswith(name,'be')", ["beta"]),
        ("startswith(name,'Ü')", ["Über"]),
        ("startswith(name,'%')", []),
        ("endswith(name,'%')", ["100%"]),
        ("substringof('_',name)", ["under_score"]),
        ("substringof('''',name)", ["o'clock"]),
        ("length(name) eq 7", [" gamma ", "o'clock"]),
        ("length(name) gt 7", ["under_score"]),
        ("length(name) eq properties/size and length(name) lt 5", ["100%", "beta", "Über"]),
        ("indexof(name,'lp') eq 1", ["Alpha"]),
        ("indexof(name,'b') eq 0", ["beta"]),
        ("indexof(name,'zzz') eq -1 and length(name) eq 5", ["Alpha", "delta"]),
        ("substring(name,1) eq 'eta'", ["beta"]),
        ("substring(name,0) eq 'beta'", ["beta"]),
        ("substring(name,1,2) eq 'el'", ["delta"]),
        ("substring(name,1,100) eq 'lpha'", ["Alpha"]),
        ("tolower(name) eq 'alpha'", ["Alpha"]),
        ("toupper(name) eq 'BETA'", ["beta"]),
        ("tolower(name) eq 'über'", ["Über"]),
        ("toupper(name) eq 'ÜBER'", ["Über"]),
        ("trim(name) eq 'gamma'", [" gamma "]),
        ("concat(name,'!') eq 'beta!'", ["beta"]),
        ("concat(concat(name,', '),description) eq 'beta, a thing'", ["beta"]),
        ("concat('a',concat('b',name)) eq 'abdelta'", ["delta"]),
        ("length(trim(name)) eq 5 and tolower(trim(name)) eq trim(name)", [" gamma ", "delta"]),
        ("substring(toupper(name),1,1) eq 'E'", ["beta", "delta"]),
        ("startswith(tolower(name),'al')", ["Alpha"]),
        ("startswith(properties/word,'de')", ["delta"]),
        ("length(properties/word) eq 11", ["under_score"]),
        ("substringof('elt',properties/word)", ["delta"]),
        ("concat(properties/word,'x') eq 'betax'", ["beta"]),
    ],
)
def test_a_function_on_strings(client: Client, things: str, text: str, expected: list[str]) -> None:
    found = client.names(things, filter=text)
    assert sorted(found) == expected


@pytest.fixture(scope="module")
def series(client: Client) -> str:
    return f"{grid(client, [-2.5, -1.5, -0.4, 0, 0.5, 1.4, 1.5, 2.5, 10])}/Observations"


@FUNCTIONS
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("round(result) eq 1", [1.4]),
        ("round(result) eq 0", [-0.4, 0]),
        ("round(result) eq 10", [10]),
        ("floor(result) eq 1", [1.4, 1.5]),
        ("floor(result) eq -2", [-1.5]),
        ("floor(result) eq -3", [-2.5]),
        ("ceiling(result) eq 2", [1.4, 1.5]),
        ("ceiling(result) eq -1", [-1.5]),
        ("ceiling(result) eq 0", [-0.4, 0]),
        ("floor(result add 0.5) eq 2", [1.5]),
        ("ceiling(result) mul 2 eq 6", [2.5]),
        ("floor(result) mod 2 eq 0 and result gt 1", [2.5, 10]),
    ],
)
def test_a_function_on_numbers(client: Client, series: str, text: str, expected: list[float]) -> None:
    found = client.results(series, filter=text, orderby="result")
    assert [value for value in found if value != 0.5] == expected


@FUNCTIONS
def test_halves_are_rounded_away_from_zero(client: Client, series: str) -> None:
    assert client.results(series, filter="round(result) eq 3") == [2.5]
    assert client.results(series, filter="round(result) eq -3") == [-2.5]
    assert client.results(series, filter="round(result) eq 2", orderby="result") == [1.5]


@FUNCTIONS
def test_functions_of_properties_that_are_no_text(client: Client, things: str) -> None:
    assert client.names(things, filter="startswith(properties/nothing,'a')") == []
    assert client.names(things, filter="substringof('a',properties/size)") in ([], ["Alpha"])


@FUNCTIONS
def test_functions_in_order_by(client: Client, things: str) -> None:
    answer = client.ask(things, orderby="tolower(name) desc", filter="length(name) eq 5")
    assert answer.status_code == 200
    assert [one["name"] for one in answer.json()["value"]] == ["delta", "Alpha"]


@FUNCTIONS
def test_functions_of_text_results(client: Client) -> None:
    path = f"{grid(client, ['rain', 'snow', 'sun', 4])}/Observations"
    assert client.results(path, filter="startswith(result,'s')", orderby="result") == ["snow", "sun"]
    assert client.results(path, filter="length(result) eq 4", orderby="result") == ["rain", "snow"]
    assert client.results(path, filter="toupper(result) eq 'RAIN'") == ["rain"]
