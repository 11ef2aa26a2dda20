"""The office at the command line: who works at the machine and may read its files manages who may do what."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

from nervure.cli.option import read

if TYPE_CHECKING:
    from pathlib import Path

    from nervure.core.settings import Settings
    from nervure.trust.office import Office

__all__ = ["office", "opened"]


@contextlib.contextmanager
def office(file: Path | None, change: tuple[str, ...]) -> Iterator[Office]:
    """Open the office of the installation that the settings name, whether its node runs or not."""
    loaded, _ = read(file, change)
    with opened(loaded) as found:
        yield found


@contextlib.contextmanager
def opened(loaded: Settings) -> Iterator[Office]:
    """Open the office of an installation."""
    from nervure.store.catalogue import Catalogue
    from nervure.trust.office import Office
    from nervure.trust.register import Register

    loaded.folder.mkdir(parents=True, exist_ok=True)
    catalogue = Catalogue.open(loaded.catalogue_place)
    try:
        yield Office(Register(catalogue.database), loaded.folder.resolve() / "tls")
    finally:
        catalogue.close()
