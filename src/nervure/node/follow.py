"""What MQTT clients follow: topics of SensorThings read as paths (OGC 18-088, section 14).

v1.1/Things                                       every Thing that is made or changed
v1.1/Things(1)                                    this one
v1.1/Things(1)/name                               its name, when that changes
v1.1/Datastreams(1)/Observations                  the Observations of a Datastream
v1.1/Observations?$select=result,phenomenonTime   some properties of each
"""

from __future__ import annotations

import re
from collections.abc import Iterable

import msgspec

from nervure.core.error import NervureError
from nervure.core.sensorthings import BY_NAME, Kind
from nervure.serve.path import Route, route
from nervure.serve.request import named
from nervure.store.language.option import parse_options
from nervure.stream.subject import subject_to_topic, topic_to_subject

__all__ = ["Follow", "Follows", "owners", "read"]

_ROOT = "v1.1/"


class Follow(msgspec.Struct, frozen=True, kw_only=True):
    """One subject that somebody follows: the way to it, and what is wanted of each entity.

    ``properties`` are those that must have changed for a message; none: any. ``single`` is the
    property of one entity that the topic names. ``stream`` is the Datastream whose Observations
    are followed, where the topic says that plainly.
    """

    subject: str
    kind: Kind
    path: str
    way: Route
    query: str = ""
    properties: frozenset[str] = frozenset()
    single: str = ""
    stream: int | None = None

    @property
    def plain(self) -> bool:
        """Whether it is a whole set, or one entity by its key."""
        return len(self.way.steps) == 1


class Follows(msgspec.Struct, frozen=True, kw_only=True):
    """All that is followed: by kind of entity, and the patterns of topics with wildcards.

    ``streams`` are the follows of one Datastream's Observations, by its id.
    """

    subjects: frozenset[str] = frozenset()
    kinds: dict[str, tuple[Follow, ...]] = {}
    streams: dict[int, tuple[Follow, ...]] = {}
    patterns: tuple[re.Pattern[str], ...] = ()

    def __bool__(self) -> bool:
        return bool(self.kinds or self.streams or self.patterns)

    def of(self, kind: str) -> bool:
        """Whether somebody may want to hear of entities of that kind."""
        return bool(self.patterns) or kind in self.kinds or (kind == "Observation" and bool(self.streams))


def read(subjects: Iterable[str]) -> Follows:
    """Read the subjects that are followed; what leads nowhere is passed over.

    >>> follows = read(["v1//1.Datastreams(7).Observations?$select=result", "v1//1.*.Tasks", "v1//1.Nothing"])
    >>> follows.streams[7][0].query, len(follows.patterns), follows.kinds
    ('$select=result', 1, {})
    """
    subjects = frozenset(subjects)
    kinds: dict[str, list[Follow]] = {}
    streams: dict[int, list[Follow]] = {}
    patterns = []
    for subject in sorted(subjects):
        if re.search(r"(?:^|\.)[*>](?:\.|$)", subject):
            patterns.append(_pattern(subject))
            continue
        try:
            follow = _follow(subject)
        except NervureError:
            continue
        if follow.stream is not None:
            streams.setdefault(follow.stream, []).append(follow)
        else:
            kinds.setdefault(follow.kind.name, []).append(follow)
    return Follows(
        subjects=subjects,
        kinds={name: tuple(found) for name, found in kinds.items()},
        streams={stream: tuple(found) for stream, found in streams.items()},
        patterns=tuple(patterns),
    )


def _follow(subject: str) -> Follow:
    topic = subject_to_topic(subject)
    path, _, query = topic.removeprefix(_ROOT).partition("?")
    way = route(path)
    kind = way.steps[-1].kind
    options = parse_options(query, kind)
    single = way.property[0] if len(way.property) == 1 and not way.value else ""
    if way.value or way.ref or way.count or len(way.property) > 1 or (query and options.select is None):
        raise NervureError(f"{topic} cannot be followed")
    chosen = (single,) if single else tuple(options.select or ())
    first = way.steps[0]
    direct = len(way.steps) == 2 and way.steps[1].many and kind.name == "Observation"
    key = first.key if direct and first.kind.table == "datastream" and isinstance(first.key, int) else None
    return Follow(
        subject=subject,
        kind=kind,
        path=path if not single else path.rpartition("/")[0],
        way=way,
        query=query,
        properties=frozenset(name.partition("/")[0] for name in chosen),
        single=single,
        stream=key,
    )


def _pattern(subject: str) -> re.Pattern[str]:
    """Return what matches the subjects that a subject with wildcards stands for."""
    parts = [{"*": r"[^.]+", ">": r".+"}.get(part, re.escape(part)) for part in subject.split(".")]
    return re.compile(r"\.".join(parts))


def owners(kind: Kind, name: int | str, near: dict[str, int | str]) -> list[str]:
    """Return the plain subjects of an entity: its set, itself, and its place among those it belongs to.

    ``near`` are the ids of what its relations to one lead to. Topics with wildcards are held against
    these.

    >>> owners(BY_NAME["Observation"], 5, {"Datastream": 7})
    ['v1//1.Observations', 'v1//1.Observations(5)', 'v1//1.Datastreams(7).Observations']
    """
    topics = [kind.entities, named(kind.entities, name)]
    for relation in kind.relations:
        if not relation.many and relation.name in near:
            above = BY_NAME[relation.target]
            topics.append(f"{named(above.entities, near[relation.name])}/{relation.inverse}")
    found = []
    for topic in topics:
        try:
            found.append(topic_to_subject(f"{_ROOT}{topic}"))
        except NervureError:  # a key with a blank has no subject
            continue
    return found
