"""``nervure alert``: what rang, and what a person says of it."""

from __future__ import annotations

from typing import Annotated, Any
from urllib.parse import quote

from cyclopts import App, Parameter

from nervure.cli.option import Change, File, Json
from nervure.cli.output import say, table, write_json
from nervure.cli.person import As, look, tell
from nervure.core.guard import Verdict

__all__ = ["acknowledge", "alert", "alerts", "verdict"]

alert = App(name="alert", help="Show alerts, acknowledge them, and say what they were.")

Id = Annotated[str, Parameter(help="The alert's id, as nervure alert list shows it.")]


@alert.command(name="list")
def alerts(
    *,
    active: Annotated[bool, Parameter(negative=(), help="Only those that are not over.")] = False,
    solution: Annotated[
        str | None, Parameter(help="Only of this solution; monitor for those that nervure watch rings.")
    ] = None,
    limit: Annotated[int, Parameter(help="How many at most.", show_default=True)] = 20,
    settings: File = None,
    change: Change = (),
    json: Json = False,
) -> int:
    """List the alerts of the running node, the newest first."""
    path = f"/api/alerts?limit={limit}" + ("&active=true" if active else "")
    found = look(settings, change, path + (f"&solution={quote(solution)}" if solution else ""))
    if json:
        write_json(found)
        return 0
    rows = [
        (one["id"], one["start"][:16], one["severity"], _state(one), _said(one), one["text"]) for one in found
    ]
    table(("alert", "since", "severity", "state", "verdict", "what"), rows)
    return 0


@alert.command
def acknowledge(
    id: Id, /, *, who: As = None, settings: File = None, change: Change = (), json: Json = False
) -> int:
    """Say that you have seen an alert."""
    return _told(tell(settings, change, who, f"/api/alerts/{quote(id, safe='')}/acknowledge"), json)


@alert.command
def verdict(
    id: Id,
    verdict: Annotated[Verdict, Parameter(help="true, false, or planned: somebody worked there.")],
    /,
    *,
    note: Annotated[str, Parameter(help="What it was.")] = "",
    who: As = None,
    settings: File = None,
    change: Change = (),
    json: Json = False,
) -> int:
    """Say what an alert was. The limit of its monitor heeds it at once, and the next fit learns by it."""
    body = {"verdict": verdict, "note": note}
    path = f"/api/alerts/{quote(id, safe='')}/verdict"
    return _told(tell(settings, change, who, path, body), json)


def _told(one: dict[str, Any], json: bool) -> int:
    if json:
        write_json(one)
    else:
        say(f"{one['id']}: {', '.join(word for word in (_state(one), _said(one)) if word)}")
    return 0


def _state(one: dict[str, Any]) -> str:
    return ("active" if one["active"] else "over") + (", seen" if one["acknowledged"] else "")


def _said(one: dict[str, Any]) -> str:
    known = one["properties"].get("verdict")
    return f"{known['verdict']} ({known['by']})" if known else ""
