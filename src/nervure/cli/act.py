"""``nervure act``: the control loops of the running node, and what a person does about them."""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, Parameter

from nervure.cli.option import Change, File, Json
from nervure.cli.output import say, table, write_json
from nervure.cli.person import As, look, tell
from nervure.cli.steer import run
from nervure.core.error import UsageError
from nervure.core.task import FINAL, WATCH_H, Mode

__all__ = ["act", "approve", "auto", "guard", "hand", "log", "loops", "mode", "refuse", "reset", "waiting"]

act = App(name="act", help="Control loops: modes, hand, approvals, trips, their signed log.")
trip = App(name="trip", help="What has tripped.")
act.command(trip)
act.command(run)

_PATIENCE_S, _EVERY_S = 3.0, 0.1
_UNDER_WAY = ("requested", "checked", "approved", "dispatched", "acknowledged")
_NOBODY = "its device has not answered yet: nervure act list says whether its guard is here"
_BAD = FINAL - {"completed", "superseded"}

Loop = Annotated[int, Parameter(help="The loop's number, as nervure act list shows it.")]
TaskId = Annotated[int, Parameter(help="The Task's number, as nervure act waiting shows it.")]


@act.command(name="list")
def loops(*, settings: File = None, change: Change = (), json: Json = False) -> int:
    """List the loops: mode, what is in force and by whom, what has tripped or waits."""
    found = look(settings, change, "/api/loops")
    if json:
        write_json(found)
        return 0
    rows = [
        (
            str(one["id"]),
            one["name"],
            one["mode"],
            one["guard"],
            _values(one["values"]),
            _by(one),
            _odd(one),
        )
        for one in found
    ]
    table(("loop", "name", "mode", "guard", "in force", "by", "to see to"), rows)
    return 0


@act.command
def waiting(*, settings: File = None, change: Change = (), json: Json = False) -> int:
    """List the Tasks that wait for somebody to say yes."""
    found = look(settings, change, "/api/tasks")
    if json:
        write_json(found)
        return 0
    rows = [
        (
            str(one["id"]),
            f"{one['loop']} {one['name']}",
            one["model"] or one["by"],
            _values(one["values"]),
            one["created"][:19],
            one["detail"] + (f"; yes: {', '.join(one['approved'])}" if one["approved"] else ""),
        )
        for one in found
    ]
    table(("task", "loop", "of", "wants", "since", "why it waits"), rows)
    return 0


@act.command
def approve(
    task: TaskId, /, *, who: As = None, settings: File = None, change: Change = (), json: Json = False
) -> int:
    """Say yes to a Task."""
    said = tell(settings, change, who, f"/api/tasks/{task}/approve")
    return _task(_settled(said, settings, change), json)


@act.command
def refuse(
    task: TaskId,
    /,
    *,
    why: Annotated[str, Parameter(help="Why not.")] = "",
    who: As = None,
    settings: File = None,
    change: Change = (),
    json: Json = False,
) -> int:
    """Say no to a Task."""
    _task(tell(settings, change, who, f"/api/tasks/{task}/refuse", {"why": why}), json)
    return 0  # that it is rejected is what was wanted


@act.command
def hand(
    loop: Loop,
    /,
    *values: Annotated[str, Parameter(help="What to set: speed=40 valve=open.")],
    minutes: Annotated[float | None, Parameter(help="For how long; without: until nervure act auto.")] = None,
    who: As = None,
    settings: File = None,
    change: Change = (),
    json: Json = False,
) -> int:
    """Take a loop by hand: a person wins over every model, within the interlocks that bind all."""
    body: dict[str, Any] = {"values": dict(_pair(one) for one in values)}
    if not body["values"]:
        raise UsageError("nothing to set", hint="nervure act hand 5 speed=40")
    if minutes is not None:
        if not 0 < minutes < math.inf:
            raise UsageError(f"nothing can be held for {minutes:g} minutes", hint="--minutes 15")
        body["minutes"] = minutes
    asked = tell(settings, change, who, f"/api/loops/{loop}/hand", body)
    return _task(_settled(asked, settings, change), json)


@act.command
def auto(
    loop: Loop, /, *, who: As = None, settings: File = None, change: Change = (), json: Json = False
) -> int:
    """Give back what people hold, in whichever slot."""
    return _done(tell(settings, change, who, f"/api/loops/{loop}/auto", {}), f"loop {loop}: given back", json)


@act.command
def guard(
    loop: Loop,
    /,
    *,
    out: Annotated[Path, Parameter(help="The file to write; its owner alone may read it.")],
    renew: Annotated[
        bool, Parameter(help="Make a new key: who has the old one is believed no more.", negative="")
    ] = False,
    who: As = None,
    settings: File = None,
    change: Change = (),
    json: Json = False,
) -> int:
    """Write the file of a loop's guard: what it keeps to, and the key by which it knows our orders."""
    import msgspec

    from nervure.stream.conf import write_private

    found = tell(settings, change, who, f"/api/loops/{loop}/guard", {"renew": renew})
    write_private(out, msgspec.json.format(msgspec.json.encode(found), indent=2).decode() + "\n")
    said = {"file": str(out), "thing": found["thing"], "capability": found["capability"]}
    return _done(said, f"wrote {out}: bring it to the device of Thing {found['thing']}", json)


@act.command
def mode(
    loop: Loop,
    mode: Annotated[Mode, Parameter(help="shadow, advisory, supervised or auto.")],
    /,
    *,
    hours: Annotated[
        float, Parameter(help="How long you have the watch of a supervised loop.", show_default=True)
    ] = 8.0,
    because: Annotated[str, Parameter(help="A reason in the place of evidence; it stands in the log.")] = "",
    who: As = None,
    settings: File = None,
    change: Change = (),
    json: Json = False,
) -> int:
    """Let a loop do more, on evidence and one step at a time, or less, at once."""
    if not 0 < hours <= WATCH_H:
        raise UsageError(f"nobody has the watch for {hours:g} hours", hint=f"--hours 8, {WATCH_H} at most")
    body = {"mode": mode, "hours": hours, "because": because}
    found = tell(settings, change, who, f"/api/loops/{loop}/mode", body)
    unproven = f", for your reason alone: {found['unproven']}" if because and found["unproven"] else ""
    return _done(found, f"loop {loop}: {found['mode']}{unproven}", json)


@trip.command
def reset(
    loop: Loop,
    /,
    *,
    why: Annotated[str, Parameter(help="What was seen to.")] = "",
    who: As = None,
    settings: File = None,
    change: Change = (),
    json: Json = False,
) -> int:
    """Reset what has tripped in a loop, once somebody has seen to it."""
    found = tell(settings, change, who, f"/api/loops/{loop}/reset", {"why": why})
    return _done(found, f"loop {loop}: reset asked of its guard", json)


@act.command
def log(
    loop: Loop,
    /,
    *,
    limit: Annotated[int, Parameter(help="How many lines at most.", show_default=True)] = 50,
    settings: File = None,
    change: Change = (),
    json: Json = False,
) -> int:
    """Show what was done in a loop, and whether a line was changed since it was written and signed."""
    found = look(settings, change, f"/api/loops/{loop}/log?limit={limit}")
    if json:
        write_json(found)
    else:
        rows = [
            (str(one["number"]), one["time"][:23], one["who"], one["what"], str(one["task"] or ""), _why(one))
            for one in found["lines"]
        ]
        table(("line", "when", "who", "what", "task", "why"), rows)
        broken = found["broken"]
        say("every line is as it was signed" if broken is None else f"line {broken} is not as it was signed")
    return 0 if found["broken"] is None else 1


def _why(line: dict[str, Any]) -> str:
    """Return what a line of the log tells: from where to where, why, which values, what was not shown.

    >>> _why({"detail": {"from": "shadow", "to": "advisory", "why": "a trial"}})
    'shadow → advisory: a trial'
    """
    detail = line["detail"]
    went = f"{detail['from']} → {detail['to']}" if "from" in detail and "to" in detail else ""
    said = str(detail.get("why") or _values(detail.get("values", {})))
    return ": ".join(filter(None, (went, said, str(detail.get("unproven", "")))))


def _by(one: dict[str, Any]) -> str:
    """Return who decides a loop: the actor of the Task that holds it, not its number.

    >>> _by({"holder": "259", "slots": [{"task": "259", "actor": "maria", "slot": 8}]})
    'maria, slot 8'
    """
    held = next((slot for slot in one["slots"] if slot["task"] == one["holder"]), None)
    if held is not None:
        return f"{held['actor']}, slot {held['slot']}"
    return "who has waited too long" if one["holder"] == "starve" else str(one["holder"])


def _values(values: dict[str, Any]) -> str:
    return " ".join(f"{name}={value}" for name, value in values.items())


def _odd(one: dict[str, Any]) -> str:
    """Say what somebody has to see to.

    >>> _odd({"trips": [], "unfit": "", "waiting": 1}), _odd({"trips": [], "unfit": "no key", "waiting": 0})
    ('1 waits for approval', 'cannot be commanded: no key')
    """
    said = [f"tripped: {trip['rule']}" for trip in one["trips"]]
    said += [f"cannot be commanded: {one['unfit']}"] if one["unfit"] else []
    said += [f"{one['waiting']} wait{'s' * (one['waiting'] == 1)} for approval"] if one["waiting"] else []
    return ", ".join(said)


def _pair(text: str) -> tuple[str, float | bool | str]:
    """Read ``name=value``: a number, true or false, else a text.

    >>> _pair("speed=40"), _pair("valve=open"), _pair("on=true")
    (('speed', 40.0), ('valve', 'open'), ('on', True))
    """
    name, sign, value = text.partition("=")
    if not sign or not name:
        raise UsageError(f"{text!r} sets nothing", hint="write speed=40")
    if value in ("true", "false"):
        return name, value == "true"
    try:
        number = float(value)
    except ValueError:
        return name, value
    if not math.isfinite(number):
        raise UsageError(f"{name} cannot be {value}", hint="give a number that is one")
    return name, number


def _settled(found: dict[str, Any], settings: File, change: Change) -> dict[str, Any]:
    """Wait for what becomes of a Task: the judge and the device answer at once, where they are there."""
    until = time.monotonic() + _PATIENCE_S
    while found["status"] in _UNDER_WAY and time.monotonic() < until:
        time.sleep(_EVERY_S)
        found = look(settings, change, f"/api/tasks/{found['id']}")
    return found


def _task(found: dict[str, Any], json: bool) -> int:
    """Say what has become of a Task; the exit code tells whether it did not come to be."""
    detail = found["detail"] or (_NOBODY if found["status"] in _UNDER_WAY else "")
    if found["status"] == "awaiting approval" and found["approved"]:
        detail = f"yes so far from {', '.join(found['approved'])}, and more are needed"
    if json:
        write_json(found)
    else:
        say(f"task {found['id']}: {found['status']}" + (f", {detail}" if detail else ""))
    return int(found["status"] in _BAD)


def _done(found: Any, text: str, json: bool) -> int:
    write_json(found) if json else say(text)
    return 0
