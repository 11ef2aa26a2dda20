"""Topics of foreign brokers, mapped to Datastreams' names by filters with wildcards."""

from __future__ import annotations

import re
from collections.abc import Mapping

from nervure.core.error import SettingError

__all__ = ["TopicMap"]

_PLACE = re.compile(r"\{(\d+)\}")


class TopicMap:
    """Topic filters and the names they stand for; the first filter that matches counts.

    >>> TopicMap({"hall/+/temperature/#": "{1} temperature"}, where="$").name("hall/b/temperature/2")
    'b temperature'
    """

    def __init__(self, topics: Mapping[str, str], *, where: str) -> None:
        self.filters = tuple(topics)
        self._rules = [
            (_pattern(filter_, f"{where}.{filter_!r}"), _template(filter_, name, where))
            for filter_, name in topics.items()
        ]

    def name(self, topic: str) -> str | None:
        """Return the name that a topic stands for, ``None`` if no filter matches it."""
        for pattern, template in self._rules:
            found = pattern.fullmatch(topic)
            if found:
                parts = found.groups(default="")
                return _PLACE.sub(lambda place, parts=parts: parts[int(place[1]) - 1], template)  # type: ignore[misc]
        return None


def _pattern(filter_: str, where: str) -> re.Pattern[str]:
    """Translate a filter (MQTT 3.1.1, section 4.7.1) into a pattern with a group for each wildcard."""
    levels = filter_.split("/")
    text = ""
    for number, level in enumerate(levels):
        slash = "/" if number else ""
        if level == "#" and number == len(levels) - 1:
            text += f"(?:{slash}(.*))?" if number else "(.*)"
        elif level == "+":
            text += slash + "([^/]*)"
        elif "+" in level or "#" in level or not filter_:
            raise SettingError(
                f"{filter_!r} is no topic filter",
                where=where,
                hint="a wildcard stands for a whole level: '+' for one, '#' for all that follow",
            )
        else:
            text += slash + re.escape(level)
    return re.compile(text, re.DOTALL)


def _template(filter_: str, name: str, where: str) -> str:
    wildcards = sum(level in {"+", "#"} for level in filter_.split("/"))
    for place in _PLACE.findall(name):
        if not 1 <= int(place) <= wildcards:
            raise SettingError(
                f"{name!r} speaks of wildcard {place}, but {filter_!r} has {wildcards}",
                where=where,
                hint="{1} is the first wildcard of the filter",
            )
    return name
