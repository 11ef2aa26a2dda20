"""Times of data arrays: read all at once they mean what they mean one by one."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import msgspec
import pytest

from nervure.sense.moment import moment_ns, moments_ns, texts_ns
from nervure.store.write.moment import nanoseconds

_ONE = msgspec.json.Decoder(Annotated[datetime, msgspec.Meta(tz=True)])
_USUAL = [
    "2023-03-01T01:00:00Z",
    "2023-03-01T01:00:00.123456Z",
    "2023-03-01T01:00:00+01:00",
    "9999-12-31T23:59:59Z",
]
_ODD = [
    "2023-03-01T01:00Z", "2023-03-01T01Z", "2023-03-01Z", "2023-03-01 01:00:00Z", "2023-03-01t01:00:00z",
    "2023-03-01T01:00:00.1234567Z", "2023-03-01T23:59:59.9999999+01:00", "2250-01-01T00:00:00.123457Z",
    "2023-03-01T24:00:00Z", "2023-03-01T23:59:60Z", "2023-03-01T01:00:00+0100", "2023-03-01T01:00:00+01",
    "2023-03-01T01:00+01:00", "2023-03-01T01:00:00-00:00", "2023-03-01T01:00:00+25:00",
    "0000-01-01T00:00:00Z", "9999-12-31T23:59:59Z",
    "0001-01-01T00:00:00Z", "2023-3-1T01:00:00Z", "20230301T010000Z", "2023-02-30T00:00:00Z", "", "Z", "é",
]  # fmt: skip


@pytest.mark.parametrize("text", [*_USUAL, *_ODD])
def test_a_time_read_among_others_is_what_it_is_alone(text: str) -> None:
    try:
        alone = moment_ns(_ONE.decode(msgspec.json.encode(text)))
    except msgspec.ValidationError:
        alone = None
    together = texts_ns([text])
    if text in _USUAL:
        assert together is not None
    assert together is None or together.tolist() == [alone]


def test_one_odd_time_sends_all_the_slower_way() -> None:
    assert texts_ns([_USUAL[0], "2023-03-01T01:00Z"]) is None
    assert texts_ns([_USUAL[2], "2023-03-01T01:00:00+01"]) is None


@pytest.mark.parametrize("zone", ["Z", ".5Z", ".123456Z", "+01:00"])
def test_many_equally_long_times_are_what_each_is_alone(zone: str) -> None:
    texts = [f"20{one:02}-03-{one % 28 + 1:02}T0{one % 10}:00:{one % 60:02}{zone}" for one in range(100)]
    found = texts_ns(texts)
    assert found is not None
    assert found.tolist() == [moment_ns(text) for text in texts]


@pytest.mark.parametrize(
    "texts",
    [
        ["2023-03-01T01:00:00", "Z2023-03-01T01:00:00Z"],  # as long together as two usual ones
        ["2023-03-01T01:00:00Z\n2023-03-01T01:00:00Z"],
        ["2023-03-01T01:00:00Z\n", "2023-03-01T01:00:0Z"],
        ["2023-03-01T01:00:00Z", "2023-03-01T01:00:0éZ"[:19] + "Z"],
    ],
)
def test_texts_are_not_cut_elsewhere_than_they_end(texts: list[str]) -> None:
    assert texts_ns(texts) is None


@pytest.mark.parametrize("text", ["2023-03-01T01:00:00.1234567Z", "2250-01-01T00:00:00.123456Z"])
def test_a_time_is_the_same_by_every_way_in(text: str) -> None:
    usual = moments_ns([_ONE.decode(msgspec.json.encode(text))]).tolist()
    assert [moment_ns(text)] == usual == [nanoseconds(text, "$")]
