"""``nervure promote``: choose which model scores; the others stay for going back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from nervure.cli.catalogue import catalogue
from nervure.cli.option import Change, File, Json, Which, read
from nervure.cli.output import say, table, write_json
from nervure.core.error import NotFoundError, UsageError
from nervure.core.instant import iso

if TYPE_CHECKING:
    from nervure.store.model import Model

__all__ = ["promote"]


def promote(
    name: Annotated[str, Parameter(help="The solution.")],
    version: Annotated[
        str | None, Parameter(help="The version, or how it begins; left out: list the models.")
    ] = None,
    /,
    *,
    problem: Which = None,
    settings: File = None,
    change: Change = (),
    json: Json = False,
) -> int:
    """Let a model that was trained before score from now on, or list those there are.

    A running node takes it up at once. The model before stays, so that one can go back to it.
    """
    from nervure.trust.console import CONSOLE

    loaded, _ = read(settings, change)
    with catalogue(loaded, make=False) as kept:
        found = [one for one in kept.models(name) if problem in (None, one.problem)]
        if not found:
            raise NotFoundError(f"there is no model of {name!r} here", hint=f"nervure train {name}")
        if version is None:
            _list(found, json=json)
            return 0
        chosen = kept.promote(_one(found, version).id, CONSOLE)
    if json:
        write_json({"name": chosen.name, "version": chosen.version, "promoted": chosen.promoted})
    else:
        say(f"{chosen.name} {chosen.version} scores from now on")
    return 0


def _one(models: list[Model], version: str) -> Model:
    fits = [one for one in models if one.version.startswith(version)]
    whole = [one for one in fits if one.version == version]
    if len(whole or fits) == 1:
        return (whole or fits)[0]
    known = ", ".join(one.version for one in fits or models)
    if fits:
        raise UsageError(f"several models are of version {version!r}", hint=f"one of: {known}; or --problem")
    raise NotFoundError(f"there is no model of version {version!r}", hint=f"there are: {known}")


def _list(models: list[Model], *, json: bool) -> None:
    if json:
        write_json(
            [
                {
                    "name": one.name,
                    "version": one.version,
                    "added": iso(one.added_ns),
                    "promoted": one.promoted,
                }
                for one in models
            ]
        )
        return
    rows = [
        (
            one.name,
            one.version,
            iso(one.added_ns)[:16],
            " to ".join(one.card.span),
            "*" if one.promoted else "",
        )
        for one in models
    ]
    table(("model", "version", "trained", "was shown", "scores"), rows)
