"""The office at the command line: who works at the machine and may read its files manages who may do what."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

from nervure.cli.catalogue import catalogue
from nervure.cli.option import read

if TYPE_CHECKING:
    from pathlib import Path

    from nervure.core.settings import Settings
    from nervure.trust.office import Office

__all__ = ["office", "opened"]


@contextlib.contextmanager
def office(file: Path | None, change: tuple[str, ...], *, make: bool = True) -> Iterator[Office]:
    """Open the office of the installation that the settings name, whether its node runs or not."""
    loaded, _ = read(file, change)
    with opened(loaded, make=make) as found:
        yield found


@contextlib.contextmanager
def opened(loaded: Settings, *, make: bool = True) -> Iterator[Office]:
    """Open the office of an installation; who does not ``make`` one finds nobody where there was none."""
    from nervure.trust.office import Office
    from nervure.trust.register import Register

    with catalogue(loaded, make=make) as found:
        yield Office(Register(found.database), loaded.folder.resolve() / "tls")
