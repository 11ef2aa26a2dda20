"""``nervure token``: bearer tokens of users."""

from __future__ import annotations

from typing import Annotated

from cyclopts import App, Parameter

from nervure.cli.office import office
from nervure.cli.option import Change, File, Json
from nervure.cli.output import say, table, write_json

__all__ = ["add", "revoke", "token", "tokens"]

token = App(name="token", help="Manage bearer tokens of users.")


@token.command
def add(
    owner: Annotated[str, Parameter(help="The user whose token it is.")],
    name: Annotated[str, Parameter(help="What it is for.")],
    /,
    *,
    right: Annotated[
        tuple[str, ...],
        Parameter(help="What it may do; all that its owner may, if left out. May be repeated."),
    ] = (),
    days: Annotated[float | None, Parameter(help="How long it is good.")] = None,
    json: Json = False,
    settings: File = None,
    change: Change = (),
) -> int:
    """Make a token and show it, this once."""
    from nervure.cli.option import read
    from nervure.core.instant import iso
    from nervure.trust.office import MACHINE
    from nervure.trust.right import as_right

    loaded, _ = read(settings, change)
    rights = [as_right(one) for one in right] or None
    with office(settings, change) as found:
        made, secret = found.add_token(MACHINE, name, rights, days or loaded.access.token_days, owner)
    if json:
        write_json({"id": made.id, "token": secret, "rights": made.rights, "expires": iso(made.expires_ns)})
    else:
        say(f"{secret}\nIt is token {made.id}, good until {iso(made.expires_ns)}, and shown this once.")
    return 0


@token.command(name="list")
def tokens(*, json: Json = False, settings: File = None, change: Change = ()) -> int:
    """List the tokens of all users."""
    from nervure.core.instant import iso
    from nervure.trust.office import MACHINE

    with office(settings, change, make=False) as found:
        owners = {one.id: one.name for one in found.users(MACHINE)}
        rows = [
            (
                one.id,
                owners.get(one.account_id, ""),
                one.name,
                ", ".join(one.rights),
                iso(one.expires_ns),
                one.revoked_ns is not None,
            )
            for one in found.tokens(MACHINE)
        ]
    columns = ("id", "owner", "name", "rights", "expires", "revoked")
    if json:
        write_json([dict(zip(columns, row, strict=True)) for row in rows])
    else:
        table(columns, rows)
    return 0


@token.command
def revoke(
    id: Annotated[int, Parameter(help="Its number; nervure token list shows it.")],
    /,
    *,
    settings: File = None,
    change: Change = (),
) -> int:
    """Take a token back, at once."""
    from nervure.trust.office import MACHINE

    with office(settings, change, make=False) as found:
        found.revoke_token(MACHINE, id)
    say(f"token {id} is taken back")
    return 0
