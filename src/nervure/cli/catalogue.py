"""The catalogue of an installation, for commands that work on it whether its node runs or not."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nervure.core.settings import Settings
    from nervure.store.catalogue import Catalogue

__all__ = ["catalogue"]

_NOWHERE = "sqlite://"


@contextlib.contextmanager
def catalogue(settings: Settings, *, make: bool = True) -> Iterator[Catalogue]:
    """Open the catalogue that the settings name, made if there is none yet.

    Who only reads does not ``make`` one: what was never made is empty, and leaves no file.
    """
    from nervure.store.catalogue import Catalogue

    place = settings.catalogue_place
    if make:
        settings.folder.mkdir(parents=True, exist_ok=True)
    elif isinstance(place, Path) and not place.exists():
        place = _NOWHERE
    with contextlib.closing(Catalogue.open(place)) as found:
        yield found
