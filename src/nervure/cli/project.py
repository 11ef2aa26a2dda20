"""``nervure project``: tenants that do not see each other."""

from __future__ import annotations

from typing import Annotated

from cyclopts import App, Parameter

from nervure.cli.office import office
from nervure.cli.option import Change, File, Json
from nervure.cli.output import say, table, write_json

__all__ = ["add", "project", "projects", "remove"]

project = App(name="project", help="Manage projects, which do not see each other.")

Name = Annotated[str, Parameter(help="What it is called.")]


@project.command
def add(
    name: Name,
    /,
    *,
    description: Annotated[str, Parameter(help="What it is, in a sentence.")] = "",
    json: Json = False,
    settings: File = None,
    change: Change = (),
) -> int:
    """Add a project."""
    from nervure.trust.office import MACHINE

    with office(settings, change) as found:
        made = found.add_project(MACHINE, name, description)
    if json:
        write_json({"id": made.id, "name": made.name})
    else:
        say(f"{made.name} is project {made.id}")
    return 0


@project.command(name="list")
def projects(*, json: Json = False, settings: File = None, change: Change = ()) -> int:
    """List the projects."""
    from nervure.trust.office import MACHINE

    with office(settings, change, make=False) as found:
        rows = [(one.id, one.name, one.description) for one in found.projects(MACHINE)]
    columns = ("id", "name", "description")
    if json:
        write_json([dict(zip(columns, row, strict=True)) for row in rows])
    else:
        table(columns, rows)
    return 0


@project.command
def remove(name: Name, /, *, settings: File = None, change: Change = ()) -> int:
    """Remove an empty project, with its users and devices."""
    from nervure.trust.office import MACHINE

    with office(settings, change, make=False) as found:
        found.remove_project(MACHINE, name)
    say(f"{name} is gone")
    return 0
