"""Bring the Things that the settings name into the catalogue, with their solutions' Datastreams."""

from __future__ import annotations

from nervure.cli.catalogue import catalogue
from nervure.core.error import SettingError
from nervure.core.settings import Settings

__all__ = ["declare"]


def declare(settings: Settings) -> int:
    """Make what ``[[thing]]`` names and is not there yet; return how many Things are named.

    A Thing names its solution as ``project.solutions`` does, or by the name that a file of one's own gives
    it. One of a solution that does not run here is a ``SettingError``: nobody would watch it.
    """
    if not settings.thing:
        return 0
    from nervure.solutions import find
    from nervure.store.provision import Place, provision

    places: dict[str, list[Place]] = {}
    runs = {one: one for one in settings.project.solutions}
    if any(one.solution not in runs for one in settings.thing):
        runs = {find(one).name: one for one in runs} | runs
    for number, thing in enumerate(settings.thing):
        if thing.solution not in runs:
            raise SettingError(
                f"settings: {thing.name!r} is of the solution {thing.solution!r}, which does not run here",
                where=f"$.thing[{number}].solution",
                hint=f"add it to project.solutions, which holds {', '.join(settings.project.solutions)}",
            )
        places.setdefault(runs[thing.solution], []).append(Place(name=thing.name, location=thing.location))
    with catalogue(settings) as found:
        for name, these in places.items():
            provision(found, find(name), these)
    return len(settings.thing)
