"""What a running node holds of a project: its Things, their Datastreams of numbers, what was read of them."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import msgspec
import numpy as np
from numpy.typing import NDArray

from nervure.cli.status import ask
from nervure.core.error import NervureError, NotFoundError
from nervure.core.label import Label, free
from nervure.core.settings import Settings

__all__ = ["Source", "Stream", "history", "met", "sources"]

Floats = NDArray[np.float64]
Longs = NDArray[np.int64]

_PATIENCE_S = 60.0
_PAGE = 10_000
_SHOWN = 8


class Stream(msgspec.Struct, frozen=True, kw_only=True):
    """One Datastream, by its key, under a name that no other of its Thing has."""

    id: int
    name: str


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """A Thing and its Datastreams of readings, in the order of their keys."""

    id: int
    name: str
    streams: tuple[Stream, ...]


def met(settings: Settings) -> Settings:
    """Return the settings as the running node has them: started with ``--open`` it lets in who says nothing.

    Raises ``NotFoundError`` where none runs.
    """
    ask(settings, "/health", _PATIENCE_S)
    opened = msgspec.structs.replace(settings, access=msgspec.structs.replace(settings.access, open=True))
    try:
        ask(opened, "/api/projects", _PATIENCE_S)
    except NervureError:
        return settings
    return opened


def sources(settings: Settings, project: str) -> list[Source]:
    """Return the Things of a project that have Datastreams of readings, asked of the running node.

    A project is one of ``nervure project list``; the installation's own name stands for all of them.
    Raises ``NotFoundError`` where no node runs, or there is no such project, or nothing in it.
    """
    own = _own(settings, project)
    named: dict[int, str] = {}
    found: dict[int, list[tuple[int, str]]] = {}
    for one in _pages(
        settings, "/v1.1/Datastreams?$select=id,name,properties&$expand=Thing($select=id,name)"
    ):
        thing = one["Thing"]
        key, kind = int(thing["@iot.id"]), (one.get("properties") or {}).get("kind", "reading")
        if kind == "reading" and (own is None or key in own):
            named[key] = thing["name"]
            found.setdefault(key, []).append((int(one["@iot.id"]), one["name"]))
    if not found:
        raise NotFoundError(
            f"the project {project!r} has no Datastreams of readings",
            hint="nervure up makes those of the [[thing]] in nervure.toml; or POST /v1.1/Things",
        )
    return [Source(id=key, name=named[key], streams=_streams(found[key])) for key in sorted(found)]


def _own(settings: Settings, project: str) -> set[int] | None:
    """Return the keys of a project's Things, None for all of them."""
    known = [str(one["name"]) for one in ask(settings, "/api/projects")]
    wanted, whole = project.strip().casefold(), settings.project.name
    if wanted in known:
        return None if len(known) == 1 else _things(settings, wanted)
    if wanted == whole.casefold():
        return None
    names = ", ".join(known[:_SHOWN]) + (" ..." if len(known) > _SHOWN else "")
    raise NotFoundError(
        f"there is no project {project!r}",
        hint=f"there is {names}; {whole} is all of this installation",
    )


def _things(settings: Settings, project: str) -> set[int]:
    """Ask the catalogue, for SensorThings does not tell whose a Thing is."""
    from nervure.cli.office import opened
    from nervure.trust.project import things

    with opened(settings, make=False) as office, office.register.reading() as connection:
        return set(things(connection, project))


def _streams(found: list[tuple[int, str]]) -> tuple[Stream, ...]:
    names = [name for _, name in found]
    return tuple(
        Stream(id=key, name=name if names.count(name) == 1 else f"{name} ({key})")
        for key, name in sorted(found)
    )


def _pages(settings: Settings, path: str) -> list[dict[str, Any]]:
    """Ask for every page of a list."""
    rows: list[dict[str, Any]] = []
    page: str | None = path
    while page:
        answer = ask(settings, page, _PATIENCE_S)
        rows += answer["value"]
        link = answer.get("@iot.nextLink")
        page = link[link.index("/v1.1/") :] if link else None
    return rows


def history(settings: Settings, stream: int, *, most: int) -> tuple[Longs, Floats]:
    """Return the newest numbers of a Datastream by time, no more than ``most``: ``[reading]`` each.

    What a person has labelled as a fault, an event or planned work is left out.
    """
    path = f"/v1.1/Datastreams({stream})/Observations?$resultFormat=dataArray&$select=phenomenonTime,result"
    path += f"&$orderby={quote('phenomenonTime desc')}&$top={_PAGE}"
    times: list[int] = []
    values: list[float] = []
    page: str | None = path
    while page and len(times) < most:
        answer = ask(settings, page, _PATIENCE_S)
        for group in answer["value"]:
            columns = group["components"]
            when, what = columns.index("phenomenonTime"), columns.index("result")
            read = [row for row in group["dataArray"] if _is_number(row[what]) and row[when]]
            times += _instants([row[when] for row in read])
            values += [float(row[what]) for row in read]
        link = answer.get("@iot.nextLink")
        page = link[link.index("/v1.1/") :] if link else None
    time, value = np.array(times[:most], dtype=np.int64), np.array(values[:most])
    kept = free(time, _labels(settings, stream))
    time, value = time[kept], value[kept]
    order = np.argsort(time, kind="stable")
    return time[order], value[order]


def _labels(settings: Settings, stream: int) -> list[Label]:
    said = ask(settings, f"/api/labels?streams={stream}", _PATIENCE_S)
    return [
        Label(since_ns=one["from"] * 1_000_000, until_ns=one["to"] * 1_000_000, label=one["label"])
        for one in said
    ]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _instants(texts: list[str]) -> list[int]:
    """Read stamps as the node writes them, in UTC, as nanoseconds; of an interval the start."""
    plain = [one.split("/")[0].removesuffix("Z") for one in texts]
    found: list[int] = np.array(plain, dtype="datetime64[ns]").astype(np.int64).tolist()
    return found
