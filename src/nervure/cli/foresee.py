"""Forecasts of a running node for a controller that plans: where they come, and what they say."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from nervure.core.error import UsageError
from nervure.core.instant import SECOND_NS, to_ns

if TYPE_CHECKING:
    from nervure.act.controller.api import Controller
    from nervure.act.controller.foretold import What

__all__ = ["Foreseen", "foreseen", "teller"]


class Foreseen(NamedTuple):
    """The forecasts of a Thing: what each Datastream foresees, and the names of the models that do."""

    streams: Mapping[int, What]
    rests: tuple[str, ...]


def foreseen(pages: Callable[[str], list[dict[str, Any]]], thing: str | None) -> Foreseen:
    """Return where a Thing's forecasts of temperature and sun come; nothing without a Thing.

    Raises UsageError where it has none.
    """
    from nervure.act.controller.foretold import FORECAST, WHAT

    if thing is None:
        return Foreseen({}, ())
    quoted = thing.replace("'", "''")
    path = f"Datastreams?$filter=Thing/name eq '{quoted}'&$select=id,name&$expand=Thing($select=properties)"
    streams: dict[int, What] = {}
    rests = []
    for one in pages(path):
        name = str(one["name"])
        what = name.removesuffix(FORECAST).rpartition("/")[2]
        if name.endswith(FORECAST) and what in WHAT:
            streams[int(one["@iot.id"])] = what
            solution = (one["Thing"].get("properties") or {}).get("solution", "")
            rests.append(f"{solution}-forecast-{what}")
    if not streams:
        raise UsageError(
            f"nobody foresees temperature or sun of {thing!r}",
            hint="a solution that does, and its Thing, stand in nervure.toml; nervure train makes its models",
        )
    return Foreseen(streams, tuple(sorted(rests)))


def teller(made: Controller, found: Foreseen) -> Callable[[int, Mapping[str, Any]], bool]:
    """Return what takes a message about a Datastream; it says whether that was a forecast."""
    from nervure.act.controller.foretold import Foretold
    from nervure.act.controller.joined import Rooms, week_hour

    ahead = made.ahead if isinstance(made, Rooms) else None

    def take(stream: int, told: Mapping[str, Any]) -> bool:
        what = found.streams.get(stream)
        if what is None or not isinstance(ahead, Foretold):
            return what is not None
        about, issued = (
            week_hour(to_ns(datetime.fromisoformat(told[one])) / SECOND_NS)
            for one in ("phenomenonTime", "resultTime")
        )
        ahead.tell(what, about, issued, float(told["result"]))
        return True

    return take
