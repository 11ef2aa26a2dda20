"""Who asks for what only people do: they sign in by name, as the console of the machine may only look."""

from __future__ import annotations

import getpass
import os
import sys
from typing import Annotated, Any

from cyclopts import Parameter

from nervure.cli.option import Change, File, read
from nervure.core.error import DeniedError, NervureError, UsageError
from nervure.core.settings import TOKEN

__all__ = ["As", "look", "tell"]

As = Annotated[
    str | None,
    Parameter(
        name="--as",
        help="Who you are, where one signs in: your password is read from the terminal, or from stdin."
        f" Without it the token in {TOKEN}, which is a program's.",
    ),
]


def look(settings: File, change: Change, path: str) -> Any:
    """Ask the running node for something to look at."""
    from nervure.cli.feed import met
    from nervure.cli.status import ask

    return ask(met(read(settings, change)[0]), path)


def tell(settings: File, change: Change, who: str | None, path: str, body: Any = None) -> Any:
    """Tell the running node what somebody wants, and return what it answers.

    Where one signs in it is told who they are. Raises UsageError where nobody said so.
    """
    from nervure.cli.feed import met
    from nervure.cli.status import ask

    found = met(read(settings, change)[0])
    shown: tuple[str, str] | str | None = None
    if not found.access.open:
        token = os.environ.get(TOKEN)
        if who is None and not token:
            raise UsageError(
                "this changes something: say who you are", hint="--as NAME; your password is asked for"
            )
        shown = str(token) if who is None else (who, _password(who))
    try:
        return ask(found, path, method="POST", body=body, shown=shown)
    except NervureError as cause:
        if who is None and "is no person" in cause.what:
            hint = "a token is a program's: --as NAME; your password is asked for"
            raise DeniedError(cause.what, hint=hint) from cause
        raise


def _password(who: str) -> str:
    """Read a password: without echo from a terminal, else one line of stdin."""
    if sys.stdin is not None and sys.stdin.isatty():
        return getpass.getpass(f"Password of {who}: ")
    return sys.stdin.readline().rstrip("\n") if sys.stdin is not None else ""
