"""Subjects of the log, and the MQTT topics they stand for.

NATS keeps an MQTT topic ``a/b`` as the subject ``a.b``, and a dot inside a topic level as ``//``
(nats-server, ``mqtt.go``, "MQTT topic to NATS subject conversion"). So the SensorThings topic
``v1.1/Datastreams(1)/Observations`` (OGC 18-088, section 14) lies at
``v1//1.Datastreams(1).Observations``.

The log is the very stream in which NATS puts MQTT messages of QoS 1 and 2 before it acknowledges
them (``$MQTT_msgs``), under ``$MQTT.msgs.`` and their subject. A stream of our own that captured
the devices' subjects would be filled beside that, not before: killed at a bad moment, the server
had acknowledged thousands of messages that such a stream did not hold. What does not come by MQTT
is published under ``nv.log.`` and its subject.
"""

from __future__ import annotations

import re
from functools import lru_cache

from nervure.core.error import DataError

__all__ = [
    "ALERT_SUBJECTS",
    "DEVICE_SUBJECTS",
    "LOG_PREFIX",
    "LOG_SUBJECTS",
    "MQTT_PREFIX",
    "STREAM",
    "alert_subject",
    "alert_topic",
    "datastream_of",
    "is_kept",
    "plain_subject",
    "reading_subject",
    "reading_topic",
    "subject_to_topic",
    "topic_to_subject",
]

STREAM = "$MQTT_msgs"
"""The stream that is the log."""

MQTT_PREFIX = "$MQTT.msgs."
LOG_PREFIX = "nv.log."
LOG_SUBJECTS = (f"{MQTT_PREFIX}>", f"{LOG_PREFIX}>")
"""What the stream holds: messages from MQTT, and those published by `Log.publish`."""

DEVICE_SUBJECTS = ("v1//1.*.Observations", "v1//1.Observations")
"""Where devices publish: the readings of one Datastream, or of several in one message."""

ALERT_SUBJECTS = "nervure.alerts.>"

_HEAD = "v1//1.Datastreams("
_TAIL = ").Observations"
_KEPT = re.compile(r"v1//1\.(?:[^.\s*>]+\.)?Observations|nv\.in(?:\.[^.\s*>]+)+")


def topic_to_subject(topic: str) -> str:
    """Return the NATS subject of an MQTT topic.

    A topic with blanks, control characters, or an empty level at its start, its end or in its
    middle has no subject that comes back as the same topic here, and raises ``DataError``.

    >>> topic_to_subject("v1.1/Datastreams(1)/Observations")
    'v1//1.Datastreams(1).Observations'
    """
    if not topic or not topic.isprintable() or any(sign.isspace() for sign in topic):
        raise DataError(
            f"the topic {topic!r} is empty, or holds blanks or control characters",
            hint="name topics with letters, digits and punctuation: 'hall-2/temperature'",
        )
    levels = topic.split("/")
    if not all(levels):
        raise DataError(f"the topic {topic!r} has an empty level", hint="write one '/' between two levels")
    if any(sign in level for level in levels for sign in ("*", ">")):
        raise DataError(f"the topic {topic!r} holds '*' or '>'", hint="the log reads these as wildcards")
    return ".".join(level.replace(".", "//") for level in levels)


def subject_to_topic(subject: str) -> str:
    """Return the MQTT topic of a NATS subject: the inverse of `topic_to_subject`.

    >>> subject_to_topic("v1//1.Datastreams(1).Observations")
    'v1.1/Datastreams(1)/Observations'
    """
    return "/".join(level.replace("//", ".") for level in subject.split("."))


def reading_subject(datastream: int) -> str:
    """Return the subject of the readings of one Datastream.

    >>> reading_subject(7)
    'v1//1.Datastreams(7).Observations'
    """
    return f"{_HEAD}{datastream}{_TAIL}"


def reading_topic(datastream: int) -> str:
    """Return the MQTT topic to which a device publishes the readings of one Datastream.

    >>> reading_topic(7)
    'v1.1/Datastreams(7)/Observations'
    """
    return f"v1.1/Datastreams({datastream})/Observations"


@lru_cache(maxsize=1 << 16)
def datastream_of(subject: str) -> int | None:
    """Return the Datastream whose readings a subject carries, or None if it names none.

    >>> datastream_of("v1//1.Datastreams(7).Observations"), datastream_of("v1//1.Observations")
    (7, None)
    """
    if not subject.startswith(_HEAD) or not subject.endswith(_TAIL):
        return None
    digits = subject[len(_HEAD) : -len(_TAIL)]
    if not digits.isascii() or not digits.isdigit() or len(digits) > 18:
        return None
    return int(digits)


def plain_subject(subject: str) -> str:
    """Return the subject under which a message was published, given the one it has in the stream.

    >>> plain_subject("$MQTT.msgs.v1//1.Observations"), plain_subject("nv.log.nv.in.hall")
    ('v1//1.Observations', 'nv.in.hall')
    """
    return subject.removeprefix(MQTT_PREFIX).removeprefix(LOG_PREFIX)


@lru_cache(maxsize=1 << 16)
def is_kept(subject: str) -> bool:
    """Whether the log keeps what is published on a subject: readings, and topics of gateways.

    >>> is_kept("v1//1.Datastreams(7).Observations"), is_kept("nv.in.hall.2"), is_kept("nervure.alerts.1")
    (True, True, False)
    """
    return _KEPT.fullmatch(subject) is not None


def alert_subject(thing: int) -> str:
    """Return the subject of the alerts of one Thing; alerts are not kept in the log.

    >>> alert_subject(3)
    'nervure.alerts.3'
    """
    return f"nervure.alerts.{thing}"


def alert_topic(thing: int) -> str:
    """Return the MQTT topic of the alerts of one Thing.

    >>> alert_topic(3)
    'nervure/alerts/3'
    """
    return f"nervure/alerts/{thing}"
