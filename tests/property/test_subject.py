from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from nervure.stream.subject import (
    datastream_of,
    is_kept,
    reading_subject,
    subject_to_topic,
    topic_to_subject,
)

LEVEL = st.text(
    st.characters(codec="utf-8", categories=("L", "N", "P", "S"), exclude_characters="/*>"), min_size=1
)


@given(st.lists(LEVEL, min_size=1, max_size=5))
def test_a_topic_comes_back_from_its_subject(levels: list[str]) -> None:
    topic = "/".join(levels)
    subject = topic_to_subject(topic)
    assert subject_to_topic(subject) == topic
    assert subject.count(".") == len(levels) - 1


@given(st.integers(min_value=0, max_value=10**18 - 1))
def test_a_datastream_comes_back_from_its_subject(datastream: int) -> None:
    assert datastream_of(reading_subject(datastream)) == datastream
    assert is_kept(reading_subject(datastream))
