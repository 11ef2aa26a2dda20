"""``$top``, ``$skip``, ``$count``, next links, and the order they are evaluated in (18-088 section 9.3.3)."""

from __future__ import annotations

import pytest

from tests.conformance.client import Client
from tests.conformance.model import KINDS, RELATIONS, Kind
from tests.conformance.requirement import requirement
from tests.conformance.sample import Station, datastream, grid, thing

TOP = requirement("request-data/top")
SKIP = requirement("request-data/skip")
COUNT = requirement("request-data/count")
PAGES = requirement("request-data/pagination")
STATUS = requirement("request-data/query-status-code")
every_kind = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)


@pytest.fixture(scope="module")
def streams(client: Client) -> str:
    """Ten Datastreams of one Thing."""
    body = thing(Datastreams=[datastream(name=f"stream {number}") for number in range(10)])
    return f"Things({client.create('Things', body)})/Datastreams"


@pytest.fixture(scope="module")
def series(client: Client) -> str:
    """Thirty Observations of one Datastream."""
    return f"{grid(client, list(range(30)))}/Observations"


@TOP
@every_kind
@pytest.mark.usefixtures("home")
def test_top_bounds_a_set(client: Client, kind: Kind) -> None:
    assert len(client.values(kind.entities, top=1)) == 1
    assert client.values(kind.entities, top=0) == []


@TOP
@pytest.mark.parametrize(("kind", "relation"), RELATIONS)
def test_top_of_a_relation(client: Client, home: Station, kind: str, relation: str) -> None:
    found = client.get(f"{home.path(kind)}/{relation}", top=1)
    assert len(found.get("value", [found])) == 1


@TOP
def test_top_has_the_first_in_order(client: Client, streams: str, series: str) -> None:
    assert client.names(streams, top=3, orderby="name desc") == ["stream 9", "stream 8", "stream 7"]
    assert client.results(series, top=2, orderby="result desc") == [29, 28]


@TOP
def test_top_larger_than_the_set(client: Client, streams: str) -> None:
    page = client.get(streams, top=100)
    assert len(page["value"]) == 10
    assert "@iot.nextLink" not in page


@TOP
@STATUS
@pytest.mark.parametrize("top", ["-1", "many", "1.5", "", "1,2", "99999999999999999999"])
def test_top_that_is_no_number_is_400(client: Client, top: str) -> None:
    status = client.status("Things", top=top)
    assert status == 400 or (top.startswith("999") and status == 200)


@TOP
def test_a_very_large_top_is_bounded_by_the_service(client: Client, series: str) -> None:
    assert len(client.walk(series, top=1_000_000)) == 30


@SKIP
def test_skip_leaves_out_the_first(client: Client, streams: str, series: str) -> None:
    assert client.names(streams, skip=7, orderby="name") == ["stream 7", "stream 8", "stream 9"]
    assert client.names(streams, skip=2, top=2, orderby="name") == ["stream 2", "stream 3"]
    assert client.results(series, skip=28, orderby="result") == [28, 29]


@SKIP
@every_kind
@pytest.mark.usefixtures("home")
def test_skip_of_every_kind(client: Client, kind: Kind) -> None:
    total = client.get(kind.entities, count=True, top=0)["@iot.count"]
    assert client.values(kind.entities, skip=total + 100) == []


@SKIP
def test_skip_zero_and_beyond_the_end(client: Client, streams: str, series: str) -> None:
    assert len(client.values(streams, skip=0)) == 10
    assert client.values(streams, skip=10) == []
    assert client.values(series, skip=5000) == []


@SKIP
@STATUS
@pytest.mark.parametrize("skip", ["-1", "many", "0.5", ""])
def test_skip_that_is_no_number_is_400(client: Client, skip: str) -> None:
    assert client.status("Things", skip=skip) == 400


@COUNT
@every_kind
def test_count_of_every_kind(client: Client, home: Station, kind: Kind) -> None:
    one = f"id eq {home.ids[kind.name]}"
    assert client.get(kind.entities, count=True, filter=one)["@iot.count"] == 1
    assert "@iot.count" not in client.get(kind.entities, count=False, filter=one)


@COUNT
@pytest.mark.parametrize(("kind", "relation"), RELATIONS)
def test_count_of_a_relation(client: Client, home: Station, kind: str, relation: str) -> None:
    found = client.get(f"{home.path(kind)}/{relation}", count=True)
    if "value" in found:
        assert found["@iot.count"] == len(found["value"])


@COUNT
def test_count_is_of_all_pages(client: Client, streams: str, series: str) -> None:
    assert client.get(streams, count=True, top=2, skip=3)["@iot.count"] == 10
    assert client.get(series, count=True, top=0)["@iot.count"] == 30
    assert client.get(series, count=True, filter="result ge 20", top=1)["@iot.count"] == 10
    assert client.get(streams, count=True, filter="name eq 'stream 3'")["@iot.count"] == 1


@COUNT
def test_count_stays_in_the_next_page(client: Client, streams: str) -> None:
    page = client.get(streams, count=True, top=4)
    assert client.get(page["@iot.nextLink"])["@iot.count"] == 10


@COUNT
def test_count_of_an_empty_set(client: Client, streams: str) -> None:
    assert client.get(streams, count=True, filter="name eq 'nothing'")["@iot.count"] == 0


@COUNT
def test_count_in_any_case(client: Client, streams: str) -> None:
    assert "@iot.count" in client.get(streams, count="True")
    assert "@iot.count" not in client.get(streams, count="FALSE")


@COUNT
@STATUS
@pytest.mark.parametrize("count", ["yes", "1", "", "true false"])
def test_count_that_is_no_boolean_is_400(client: Client, count: str) -> None:
    assert client.status("Things", count=count) == 400


@PAGES
@pytest.mark.parametrize("top", [1, 3, 7, 9])
def test_every_entity_comes_once(client: Client, streams: str, top: int) -> None:
    found = [one["name"] for one in client.walk(streams, top=top)]
    assert sorted(found) == [f"stream {number}" for number in range(10)]


@PAGES
@pytest.mark.parametrize("top", [7, 13, 29, 30])
def test_every_observation_comes_once(client: Client, series: str, top: int) -> None:
    assert sorted(one["result"] for one in client.walk(series, top=top)) == list(range(30))


@PAGES
def test_a_full_page_at_the_end_has_no_next_link(client: Client, streams: str, series: str) -> None:
    assert "@iot.nextLink" not in client.get(streams, top=10)
    assert "@iot.nextLink" not in client.get(series, top=30)
    assert "@iot.nextLink" in client.get(series, top=29)


@PAGES
def test_the_next_page_keeps_every_option(client: Client, series: str) -> None:
    page = client.get(
        series, top=3, filter="result ge 10", orderby="result desc", select="result", expand="Datastream"
    )
    seen = page["value"]
    while following := page.get("@iot.nextLink"):
        page = client.get(following)
        seen += page["value"]
    assert [one["result"] for one in seen] == list(range(29, 9, -1))
    assert all(set(one) == {"result", "Datastream"} for one in seen)


@PAGES
def test_skip_is_not_repeated_on_the_next_page(client: Client, series: str) -> None:
    found = client.walk(series, skip=25, top=2, orderby="result")
    assert [one["result"] for one in found] == [25, 26, 27, 28, 29]


@PAGES
def test_next_links_are_absolute(client: Client, streams: str) -> None:
    assert client.get(streams, top=1)["@iot.nextLink"].startswith(f"{client.root}/")


@PAGES
def test_pages_of_links(client: Client, streams: str) -> None:
    found = client.walk(f"{streams}/$ref", top=3)
    assert len({one["@iot.selfLink"] for one in found}) == 10
    assert all(set(one) == {"@iot.selfLink"} for one in found)


@PAGES
def test_the_service_makes_pages_by_itself(client: Client) -> None:
    path = f"{grid(client, list(range(400)))}/Observations"
    first = client.get(path)
    assert len(first["value"]) < 400
    assert len(client.walk(path)) == 400


@PAGES
@STATUS
def test_a_forged_place_to_go_on_is_400(client: Client, streams: str) -> None:
    assert client.status(f"{streams}?$skiptoken=nonsense") == 400


@requirement("request-data/order")
def test_filter_then_count_then_order_then_skip_then_top(client: Client, series: str) -> None:
    """The order of evaluation, whatever the order they are written in."""
    query = "$top=2&$skip=1&$orderby=result%20desc&$count=true&$filter=result%20lt%2010&$select=result"
    page = client.get(f"{series}?{query}")
    assert page["@iot.count"] == 10
    assert page["value"] == [{"result": 8}, {"result": 7}]


@requirement("request-data/order")
def test_expand_and_select_come_last(client: Client, streams: str) -> None:
    found = client.values(
        streams, select="name", expand="Thing($select=id)", top=1, orderby="id desc", filter="Sensor/id gt 0"
    )
    assert set(found[0]) == {"name", "Thing"}
    assert found[0]["name"] == "stream 9"


@STATUS
@pytest.mark.parametrize("query", ["$nothing=1", "$top=1&$top=2", "$filtre=id%20eq%201", "$top", "$select"])
def test_an_unknown_or_repeated_option_is_400(client: Client, query: str) -> None:
    assert client.status(f"Things?{query}") == 400


@STATUS
def test_an_option_without_its_sign_is_not_ours(client: Client) -> None:
    assert client.status("Things?nothing=1&$top=1") == 200


@STATUS
@pytest.mark.parametrize("query", ["$apply=groupby((name))", "$search=water", "$compute=id as x"])
def test_an_option_of_odata_that_is_not_supported_is_501(client: Client, query: str) -> None:
    assert client.status(f"Things?{query}") in {400, 501}


@STATUS
def test_names_of_options_in_any_case(client: Client, streams: str) -> None:
    """As OData 4.01 has it, which many clients count on."""
    page = client.get(f"{streams}?$orderBy=name%20desc&$TOP=4&$Count=true")
    assert page["@iot.count"] == 10
    seen = [one["name"] for one in page["value"]]
    seen += [one["name"] for one in client.walk(page["@iot.nextLink"])]
    assert seen == [f"stream {number}" for number in range(9, -1, -1)]


@STATUS
@pytest.mark.parametrize("query", ["$top=1", "$filter=id eq 1", "$orderby=id", "$count=true", "$skip=1"])
def test_options_of_sets_on_an_entity(client: Client, home: Station, query: str) -> None:
    """They mean nothing on a single entity: refused, or without effect."""
    assert client.status(f"{home.path('Thing')}?{query}") in {200, 400}
