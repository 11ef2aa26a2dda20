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

What a client publishes to ``v1.1/Datastreams(1)/Observations`` must not go to those who have
subscribed to that topic, for the standard promises them the Observation as the service keeps it,
once (OGC 18-088, section 14). So the embedded server moves what clients publish aside, to
``nv.dev.`` and the same subject (a subject mapping), before it looks at subscriptions and rights
and before it stores it; and what we publish under ``nv.out.`` comes out on the plain subject.
"""

from __future__ import annotations

import re
from functools import lru_cache

from nervure.core.error import DataError

__all__ = [
    "ALERT_SUBJECTS",
    "CHANGE",
    "DEVICE_PREFIX",
    "DEVICE_SUBJECTS",
    "HEARD_SUBJECTS",
    "LOG_PREFIX",
    "LOG_SUBJECTS",
    "MAPPINGS",
    "MQTT_PREFIX",
    "OUT_PREFIX",
    "PARTITIONS",
    "PARTITION_SUBJECTS",
    "STREAM",
    "TASK_STATUS_SUBJECTS",
    "alert_subject",
    "alert_topic",
    "datastream_of",
    "feature_of",
    "guard_of",
    "is_kept",
    "partition_subject",
    "plain_subject",
    "reading_subject",
    "reading_topic",
    "subject_to_topic",
    "task_of",
    "task_subject",
    "topic_to_subject",
]

STREAM = "$MQTT_msgs"
"""The stream that is the log."""

MQTT_PREFIX = "$MQTT.msgs."
LOG_PREFIX = "nv.log."
LOG_SUBJECTS = (f"{MQTT_PREFIX}>", f"{LOG_PREFIX}>")
"""What the stream holds: messages from MQTT, and those published by `Log.publish`."""

DEVICE_PREFIX = "nv.dev."
OUT_PREFIX = "nv.out."

_PUBLISHED = ("v1//1.*.Observations", "v1//1.Observations", "v1//1.*.Tasks", "v1//1.Tasks")
TASK_STATUS_SUBJECTS = "nervure.tasks.*.*.status"

DEVICE_SUBJECTS = (*(f"{DEVICE_PREFIX}{one}" for one in _PUBLISHED), TASK_STATUS_SUBJECTS)
"""Where what clients publish lies: readings of one Datastream or of several, Tasks, what became of them.

Rights to publish are checked against these, after the mapping.
"""

MAPPINGS = {
    "v1//1.Observations": f"{DEVICE_PREFIX}v1//1.Observations",
    "v1//1.*.Observations": f"{DEVICE_PREFIX}v1//1.{{{{wildcard(1)}}}}.Observations",
    "v1//1.Tasks": f"{DEVICE_PREFIX}v1//1.Tasks",
    "v1//1.*.Tasks": f"{DEVICE_PREFIX}v1//1.{{{{wildcard(1)}}}}.Tasks",
    f"{OUT_PREFIX}v1//1.>": "v1//1.>",
}
"""The subject mappings of the embedded server: what comes from clients goes aside, what we say comes out."""

HEARD_SUBJECTS = "v1//1.>"
"""What those subscribe to who follow entities."""

CHANGE = "nv.change"
"""Where Observations are changed and deleted; only `Log.publish` gets there."""

PARTITIONS = "nervure_partitions"
"""The stream in which the node lays what workers score, a subject a partition: made of the log, and of use
only until they have scored it."""

PARTITION_SUBJECTS = "nv.part.*"

ALERT_SUBJECTS = "nervure.alerts.>"

_TASKS = "nervure.tasks."
_HEAD = "v1//1.Datastreams("
_MULTI_HEAD = "v1//1.MultiDatastreams("
_TAIL = ").Observations"
_FEATURE = re.compile(r"v1\.1/FeaturesOfInterest\((?:(\d{1,18})|'((?:[^']|'')+)')\)/Observations")
_KEPT = re.compile(
    r"v1//1\.(?:[^.\s*>]+\.)?(?:Observations|Tasks)"
    r"|nv\.in(?:\.[^.\s*>]+)+"
    r"|nv\.change"
    r"|nervure\.tasks(?:\.[^.\s*>]+){2}\.status"
)


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


@lru_cache(maxsize=1 << 16)
def reading_subject(datastream: int | str, *, multi: bool = False) -> str:
    """Return the subject of the readings of one Datastream; a key stands in quotes.

    >>> reading_subject(7), reading_subject("'hall'", multi=True)
    ('v1//1.Datastreams(7).Observations', "v1//1.MultiDatastreams('hall').Observations")
    """
    return f"{_MULTI_HEAD if multi else _HEAD}{datastream}{_TAIL}"


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


def feature_of(subject: str) -> int | str | None:
    """Return the id of the FeatureOfInterest whose Observations a subject carries, or None.

    >>> feature_of("v1//1.FeaturesOfInterest(7).Observations"), feature_of("v1//1.Observations")
    (7, None)
    >>> feature_of("v1//1.FeaturesOfInterest('it''s//1').Observations")
    "it's.1"
    """
    found = _FEATURE.fullmatch(subject_to_topic(subject))
    if found is None:
        return None
    return int(found[1]) if found[1] else found[2].replace("''", "'")


def plain_subject(subject: str) -> str:
    """Return the subject under which a message was published, given the one it has in the stream.

    Subjects below ``nv.`` are ours: what somebody sends there by MQTT keeps its long name, and nobody
    takes it for one of ours.

    >>> plain_subject("$MQTT.msgs.nv.dev.v1//1.Observations"), plain_subject("nv.log.nv.in.hall")
    ('v1//1.Observations', 'nv.in.hall')
    """
    if subject.startswith(LOG_PREFIX):
        return subject.removeprefix(LOG_PREFIX)
    plain = subject.removeprefix(MQTT_PREFIX).removeprefix(DEVICE_PREFIX)
    return subject if plain.startswith("nv.") else plain


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


def partition_subject(number: int) -> str:
    """Return the subject of what the worker of a partition scores.

    >>> partition_subject(3)
    'nv.part.3'
    """
    return f"{PARTITION_SUBJECTS[:-1]}{number}"


def task_subject(thing: int) -> str:
    """Return the subject on which a Thing is told its Tasks: the topic ``nervure/tasks/3``.

    >>> task_subject(3)
    'nervure.tasks.3'
    """
    return f"{_TASKS}{thing}"


def guard_of(subject: str) -> tuple[int, int] | None:
    """Return the Thing and the TaskingCapability whose guard reports on a subject, or None.

    >>> guard_of("nervure.tasks.3.guard-5.status"), guard_of("nervure.tasks.3.17.status")
    ((3, 5), None)
    """
    found = re.fullmatch(r"nervure\.tasks\.(\d{1,18})\.guard-(\d{1,18})\.status", subject)
    return (int(found[1]), int(found[2])) if found else None


def task_of(subject: str) -> tuple[int, int] | None:
    """Return the Thing and the Task whose status a subject carries, or None.

    >>> task_of("nervure.tasks.3.17.status"), task_of("v1//1.Tasks")
    ((3, 17), None)
    """
    found = re.fullmatch(r"nervure\.tasks\.(\d{1,18})\.(\d{1,18})\.status", subject)
    return (int(found[1]), int(found[2])) if found else None
