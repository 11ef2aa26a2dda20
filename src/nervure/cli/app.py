"""The verbs, and the application made of them without importing a single one."""

from __future__ import annotations

import difflib

import msgspec
from cyclopts import App, Group, Parameter

import nervure

__all__ = ["VERBS", "Verb", "build", "unknown"]


class Verb(msgspec.Struct, frozen=True):
    """A command: its name, the heading it stands under, and one line on what it does."""

    name: str
    group: str
    help: str


VERBS = (
    Verb("demo", "Run", "Real data through the whole loop: learn, replay, score, alert, report."),
    Verb("up", "Run", "Run the platform until it is stopped."),
    Verb("worker", "Run", "Score partitions of a running platform, here or placed by Ray."),
    Verb("down", "Run", "Stop the platform that runs in the data folder."),
    Verb("status", "Run", "Show how the running platform is doing."),
    Verb("doctor", "Run", "Tell what is missing on this machine, one line each, with the fix."),
    Verb("twin", "Run", "Run simulators in place of the field; ask what would be if."),
    Verb("user", "Access", "Manage who may sign in, and what they may do."),
    Verb("token", "Access", "Manage bearer tokens of users."),
    Verb("device", "Access", "Manage devices, and what they sign in with."),
    Verb("project", "Access", "Manage projects, which do not see each other."),
    Verb("send", "Readings", "Send one reading, as a device would."),
    Verb("listen", "Readings", "Show readings and alerts as they come."),
    Verb("alert", "Readings", "Show alerts, acknowledge them, and say what they were."),
    Verb("act", "Readings", "Control loops: modes, hand, approvals, trips, their signed log."),
    Verb("data", "Learn", "List, fetch and check the real data sets."),
    Verb("train", "Learn", "Train a solution's model and package it as one signed file."),
    Verb("tune", "Learn", "Search for the recipe that suits a solution's data best."),
    Verb("promote", "Learn", "Choose which of the trained models scores; list them."),
    Verb("evaluate", "Learn", "Judge models and plain baselines on the test part of real data."),
    Verb("watch", "Learn", "Watch a file or a running node: promised alarms, which sensor, and why."),
    Verb("explain", "Learn", "Say what a forecast rests on: which sensor, how long ago, which driver."),
    Verb("export", "Learn", "Verify a model package; write it or its card to a file."),
    Verb("maintain", "Learn", "From remaining lives to a work list and a schedule."),
    Verb("bench", "Learn", "Measure speed beside peers, in one run."),
    Verb("solutions", "Declare", "Show what can be watched: signals, problems, rules."),
    Verb("new", "Declare", "Write a commented file to start from: a solution, a project."),
)


def build(*, width: int | None = None) -> App:
    """Return the application; ``width`` fixes the width of its help, for the documentation."""
    groups = {
        name: Group(name, sort_key=place)
        for place, name in enumerate(("Run", "Access", "Readings", "Learn", "Declare"))
    }
    app = App(
        name="nervure",
        help=nervure.__doc__,
        version=nervure.__version__,
        help_flags="--help",
        version_flags="--version",
        help_format="plaintext",
        help_formatter="plain" if width else None,
        default_parameter=Parameter(negative="", show_default=False),
        help_on_error=False,
        print_error=False,
        exit_on_error=False,
        suppress_keyboard_interrupt=False,
        result_action="return_value",
    )
    for place, verb in enumerate(VERBS):
        app.command(
            f"nervure.cli.{verb.name}:{verb.name}",
            name=verb.name,
            help=verb.help,
            group=groups[verb.group],
            sort_key=place,
        )
    return app


def unknown(word: str) -> str:
    r"""Return what to tell someone who asked for a verb that does not exist.

    >>> unknown("statsu")
    "there is no command 'statsu'\nhint: did you mean nervure status?"
    """
    close = difflib.get_close_matches(word, [verb.name for verb in VERBS], 1)
    hint = f"did you mean nervure {close[0]}?" if close else "nervure --help lists them"
    return f"there is no command {word!r}\nhint: {hint}"
