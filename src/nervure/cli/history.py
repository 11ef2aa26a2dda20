"""The newest stored readings of some Datastreams, as moments that a controller can live through."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any, Protocol

from nervure.core.instant import SECOND_NS, iso, to_ns

__all__ = ["Node", "moments"]

Tell = Callable[[float, str], object]


class Node(Protocol):
    """What is asked of the node over HTTP."""

    def get(self, path: str) -> Any:
        """Return what is there."""
        ...

    def pages(self, path: str) -> list[dict[str, Any]]:
        """Return all pages of a set."""
        ...


def moments(node: Node, names: Mapping[int, str], hours: float, tell: Tell) -> dict[int, dict[str, float]]:
    """Return what the newest hours of all read, by time (ns) and the readings' names, the oldest first.

    Only those are asked for: a node of a year has a year of readings. What is no number, or of no
    single instant, is left out. ``tell`` hears how much is here.
    """
    newest = max((_newest_ns(node, stream) for stream in names), default=0)
    since = iso(max(0, newest - round(hours * 3600 * SECOND_NS)))
    found: dict[int, dict[str, float]] = {}
    for done, (stream, name) in enumerate(names.items(), start=1):
        path = f"Datastreams({stream})/Observations?$resultFormat=dataArray&$select=phenomenonTime,result"
        wanted = f"{path}&$filter=phenomenonTime gt {since}&$orderby=phenomenonTime&$top=10000"
        for group in node.pages(wanted):
            when, what = (group["components"].index(one) for one in ("phenomenonTime", "result"))
            for row in group["dataArray"]:
                with suppress(ValueError, TypeError):
                    found.setdefault(_ns(row[when]), {})[name] = float(row[what])
        tell(done / len(names), f"{len(found):,} moments")
    return dict(sorted(found.items()))


def _newest_ns(node: Node, stream: int) -> int:
    """Return when a Datastream was read last, 0 where it never was."""
    path = f"/v1.1/Datastreams({stream})/Observations?$orderby=phenomenonTime desc&$top=1"
    with suppress(ValueError, TypeError):
        for one in node.get(f"{path}&$select=phenomenonTime")["value"]:
            return _ns(one["phenomenonTime"])
    return 0


def _ns(text: str) -> int:
    return to_ns(datetime.fromisoformat(text))
