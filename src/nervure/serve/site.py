"""The site in sight: what there is, kept until the catalogue changes, and what of it somebody sees."""

from __future__ import annotations

import threading
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from nervure.core.error import NotFoundError
from nervure.store.catalogue import Catalogue
from nervure.store.site import Site, read_site

__all__ = ["Sites", "streams_in_sight", "things_in_sight"]

Longs = NDArray[np.int64]


class Sites:
    """Reads the site when it has changed; may be called from any thread."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._lock = threading.Lock()
        self._site: Site | None = None

    def __call__(self) -> Site:
        """Return the site as it is now."""
        stamp = self._catalogue.stamp()
        found = self._site
        if found is not None and found.stamp == stamp:
            return found
        with self._lock:
            if self._site is None or self._site.stamp != stamp:
                self._site = read_site(self._catalogue.database, stamp)
            return self._site


def things_in_sight(site: Site, project: int | None) -> NDArray[np.bool_]:
    """Tell which Things somebody sees ``[thing]``."""
    things = site.things
    return np.ones(len(things.id), np.bool_) if project is None else things.project == project


def streams_in_sight(
    site: Site,
    project: int | None,
    *,
    ids: Longs | None = None,
    thing: int | None = None,
    solution: str | None = None,
    signal: str | None = None,
    kind: str | None = None,
) -> Longs:
    """Return the places of the Datastreams that are meant and seen, by rising id.

    One of ``ids`` that is not there, or not for them, raises ``NotFoundError``.
    """
    streams = site.streams
    mask = np.ones(len(streams.id), np.bool_) if project is None else streams.project == project
    if ids is not None:
        place = streams.at(ids)
        absent = ids[(place < 0) | ~_at(mask, place)]
        if len(absent):
            raise NotFoundError(f"there is no Datastream {int(absent[0])}")
        chosen = np.zeros(len(streams.id), np.bool_)
        chosen[place] = True
        mask &= chosen
    tests: list[tuple[object, Callable[[], NDArray[np.bool_]]]] = [
        (thing, lambda: streams.thing == thing),
        (solution, lambda: streams.solution == solution),
        (signal, lambda: streams.signal == signal),
        (kind, lambda: streams.kind == kind),
    ]
    for wish, test in tests:
        if wish is not None:
            mask &= test()
    return np.flatnonzero(mask)


def _at(mask: NDArray[np.bool_], place: Longs) -> NDArray[np.bool_]:
    return mask[place] if len(mask) else np.zeros(len(place), np.bool_)
