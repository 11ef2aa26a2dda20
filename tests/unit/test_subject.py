from __future__ import annotations

import pytest

from nervure.core.error import DataError
from nervure.stream.subject import (
    alert_subject,
    alert_topic,
    datastream_of,
    is_kept,
    plain_subject,
    reading_subject,
    reading_topic,
    subject_to_topic,
    topic_to_subject,
)


def test_a_reading_has_the_subject_that_nats_gives_its_topic() -> None:
    assert topic_to_subject(reading_topic(7)) == reading_subject(7) == "v1//1.Datastreams(7).Observations"
    assert subject_to_topic(reading_subject(7)) == reading_topic(7)
    assert topic_to_subject(alert_topic(3)) == alert_subject(3)


@pytest.mark.parametrize(
    "topic", ["", "a b", "a\tb", "a\nb", "a/\u00a0b", "/a", "a/", "a//b", "a/*", ">", "a\x00b"]
)
def test_a_topic_that_the_server_refuses_or_would_change_is_refused(topic: str) -> None:
    with pytest.raises(DataError):
        topic_to_subject(topic)


@pytest.mark.parametrize(
    ("subject", "datastream"),
    [
        ("v1//1.Datastreams(0).Observations", 0),
        ("v1//1.Datastreams(123456789012345678).Observations", 123456789012345678),
        ("v1//1.Datastreams(1234567890123456789).Observations", None),
        ("v1//1.Datastreams(-1).Observations", None),
        ("v1//1.Datastreams(٣).Observations", None),
        ("v1//1.Datastreams().Observations", None),
        ("v1//1.Datastreams(x).Observations", None),
        ("v1//1.Observations", None),
        ("v1//1.Datastreams(1).Observations.2", None),
    ],
)
def test_only_a_whole_number_names_a_datastream(subject: str, datastream: int | None) -> None:
    assert datastream_of(subject) == datastream


@pytest.mark.parametrize(
    ("subject", "kept"),
    [
        (reading_subject(1), True),
        ("v1//1.Observations", True),
        ("nv.in.hall.2", True),
        ("nv.in", False),
        ("nv.in.", False),
        ("nv.in.>", False),
        ("v1//1.*.Observations", False),
        ("v1//1.a b.Observations", False),
        ("v1//1.a.b.Observations", False),
        ("$JS.API.STREAM.DELETE.x", False),
        (alert_subject(1), False),
    ],
)
def test_the_log_keeps_readings_and_topics_of_gateways(subject: str, *, kept: bool) -> None:
    assert is_kept(subject) is kept


def test_a_subject_in_the_stream_is_told_without_its_prefix() -> None:
    assert plain_subject(f"$MQTT.msgs.{reading_subject(2)}") == reading_subject(2)
    assert plain_subject(f"nv.log.{reading_subject(2)}") == reading_subject(2)
