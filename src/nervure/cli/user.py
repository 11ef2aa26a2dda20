"""``nervure user``: who may sign in, and what they may do."""

from __future__ import annotations

import getpass
import sys
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, Parameter

from nervure.cli.office import office, opened
from nervure.cli.option import Change, File, Json
from nervure.cli.output import say, table, write_json

if TYPE_CHECKING:
    from nervure.core.settings import Settings
    from nervure.trust.right import Right

__all__ = ["add", "change", "first_admin", "remove", "user", "users"]

user = App(name="user", help="Manage who may sign in, and what they may do.")

Name = Annotated[str, Parameter(help="The name to sign in with.")]
Role = Annotated[str, Parameter(help="viewer, operator, engineer or admin.")]
Grant = Annotated[
    tuple[str, ...],
    Parameter(help="A right given by name: act, configure-interlock, train. May be repeated."),
]
Project = Annotated[str | None, Parameter(help="The only project they see; every one if left out.")]


def first_admin(loaded: Settings) -> str | None:
    """Make the first user of an installation if it has none, and return their password."""
    if loaded.access.open:
        return None
    with opened(loaded) as found:
        return found.first_admin()


@user.command
def add(
    name: Name,
    /,
    *,
    role: Role = "viewer",
    grant: Grant = (),
    project: Project = None,
    elsewhere: Annotated[
        bool, Parameter(help="They sign in at the OpenID provider only, and have no password here.")
    ] = False,
    json: Json = False,
    settings: File = None,
    change: Change = (),
) -> int:
    """Add a user. The password is read from the terminal, or from stdin; an empty one is made up."""
    from nervure.trust.office import MACHINE
    from nervure.trust.right import as_role
    from nervure.trust.secret import make_password

    given = "" if elsewhere else _password()
    password = None if elsewhere else given or make_password()
    with office(settings, change) as found:
        key = None if project is None else _project(found, project)
        made = found.add_user(
            MACHINE, name, as_role(role), granted=_rights(grant), password=password, project_id=key
        )
    shown = password if password and not given else None
    if json:
        write_json({"name": made.name, "role": made.role, "granted": made.granted, "password": shown})
    else:
        say(f"{made.name} is {made.role} now" + (f", with the password {shown}" if shown else ""))
    return 0


@user.command(name="list")
def users(*, json: Json = False, settings: File = None, change: Change = ()) -> int:
    """List the users."""
    from nervure.trust.office import MACHINE

    with office(settings, change, make=False) as found:
        names = {one.id: one.name for one in found.projects(MACHINE)}
        rows = [
            (
                one.name,
                one.role,
                ", ".join(one.granted),
                names.get(one.project_id or 0, ""),
                one.active,
            )
            for one in found.users(MACHINE)
        ]
    columns = ("name", "role", "granted", "project", "active")
    if json:
        write_json([dict(zip(columns, row, strict=True)) for row in rows])
    else:
        table(columns, rows)
    return 0


@user.command(name="change")
def change(
    name: Name,
    /,
    *,
    role: Annotated[str | None, Parameter(help="The role to have from now on.")] = None,
    grant: Annotated[
        tuple[str, ...] | None, Parameter(help="The rights given by name from now on; '' for none.")
    ] = None,
    password: Annotated[bool, Parameter(help="Read a new password.")] = False,
    active: Annotated[bool | None, Parameter(negative="--shut-out", help="Whether they may sign in.")] = None,
    settings: File = None,
    set_: Annotated[tuple[str, ...], Parameter(name="--set", help="Change one setting.")] = (),
) -> int:
    """Change a user's role, rights or password, or shut them out; their sessions end at once."""
    from nervure.trust.office import MACHINE
    from nervure.trust.right import as_role

    wish: dict[str, Any] = {}
    if role is not None:
        wish["role"] = as_role(role)
    if grant is not None:
        wish["granted"] = _rights(tuple(one for one in grant if one))
    if password:
        wish["password"] = _password()
    if active is not None:
        wish["active"] = active
    with office(settings, set_, make=False) as found:
        changed = found.change_user(MACHINE, name, **wish)
    granted = f" with the right to {', '.join(changed.granted)}" if changed.granted else ""
    say(f"{changed.name} is {changed.role} now{granted}" + ("" if changed.active else ", and shut out"))
    return 0


@user.command
def remove(name: Name, /, *, settings: File = None, change: Change = ()) -> int:
    """Remove a user with their tokens and sessions."""
    from nervure.trust.office import MACHINE

    with office(settings, change, make=False) as found:
        found.remove_user(MACHINE, name)
    say(f"{name} is no user any more")
    return 0


def _rights(names: tuple[str, ...]) -> tuple[Right, ...]:
    from nervure.trust.right import as_right

    return tuple(sorted({as_right(one) for one in names}))


def _project(found: Any, name: str) -> int:
    from nervure.trust.project import by_name

    with found.register.reading() as connection:
        return by_name(connection, name).id


def _password() -> str:
    """Read a password: without echo from a terminal, else one line of stdin."""
    if sys.stdin is not None and sys.stdin.isatty():
        return getpass.getpass("Password (empty: one is made up): ")
    return sys.stdin.readline().rstrip("\n") if sys.stdin is not None else ""
