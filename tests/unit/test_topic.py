from __future__ import annotations

import pytest

from nervure.core.error import SettingError
from nervure.core.settings import Broker
from nervure.sense.topic import TopicMap


@pytest.mark.parametrize(
    ("filter_", "template", "topic", "name"),
    [
        ("v1.1/+/Observations", "{1}", "v1.1/Datastreams(7)/Observations", "Datastreams(7)"),
        ("v1.1/+/Observations", "{1}", "v1.1/Observations", None),
        ("v1.1/+/Observations", "{1}", "v1x1/a/Observations", None),
        ("a/#", "x {1}", "a/b/c", "x b/c"),
        ("a/#", "x{1}", "a", "x"),
        ("a/#", "x", "ab", None),
        ("#", "{1}", "a/b", "a/b"),
        ("+/+", "{2} {1}", "hall/temperature", "temperature hall"),
        ("+/+", "{1}", "/x", ""),
        ("plain", "Datastreams(3)", "plain", "Datastreams(3)"),
    ],
)
def test_filters_as_mqtt_means_them(filter_: str, template: str, topic: str, name: str | None) -> None:
    assert TopicMap({filter_: template}, where="$").name(topic) == name


def test_the_first_filter_that_matches_counts() -> None:
    topics = TopicMap({"a/b": "one", "a/+": "two {1}"}, where="$")
    assert [topics.name(topic) for topic in ("a/b", "a/c")] == ["one", "two c"]


@pytest.mark.parametrize("filter_", ["a/b+", "#/a", "a#", ""])
def test_what_is_no_filter(filter_: str) -> None:
    with pytest.raises(SettingError, match="no topic filter"):
        TopicMap({filter_: "x"}, where="$.broker[x].topics")


def test_a_name_may_only_speak_of_wildcards_there_are() -> None:
    with pytest.raises(SettingError, match="speaks of wildcard 2"):
        TopicMap({"a/+": "{2}"}, where="$")


def test_the_default_topics_of_a_broker_name_datastreams() -> None:
    topics = TopicMap(Broker(name="x", host="y").topics, where="$")
    assert topics.name("v1.1/Datastreams(7)/Observations") == "Datastreams(7)"
