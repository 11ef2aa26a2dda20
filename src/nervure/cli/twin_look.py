"""``nervure twin list`` and ``film``: which twins there are, what can be asked, and a run to look at."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec
from cyclopts import Parameter

from nervure.cli.option import Change, File, Json, read
from nervure.cli.output import say, table, write_json
from nervure.cli.progress import progress
from nervure.core.error import EnvironmentMissing, UsageError

__all__ = ["film", "listing"]


def listing(*, json: Json = False) -> int:
    """List the twins, and whether their engines are installed; as JSON with the questions there are."""
    from nervure.bench.whatif.question import SCENARIOS
    from nervure.twin.roster import roster

    twins = roster()
    questions = [
        {
            "name": name, "twin": one.twin, "title": one.title, "minutes": one.minutes,
            "scenario": one.scenario, "measure": {**one.do.scenario, **one.do.commands},
            "ask": msgspec.to_builtins(one),
        }
        for name, one in SCENARIOS.items()
    ]  # fmt: skip
    if json:
        write_json({"twins": twins, "questions": questions})
        return 0
    rows = [(one.name, one.about, one.engine, one.hint or "there") for one in twins]
    table(("twin", "what it is", "engine", "installed"), rows)
    say("nervure twin whatif lists what can be asked of them")
    return 0


def film(
    scenario: Annotated[str, Parameter(help="The name of a what-if, or a TOML file.")],
    /,
    *,
    out: Annotated[Path | None, Parameter(help="Where to write it; else to standard output.")] = None,
    seed: Annotated[int, Parameter(help="Which of its seeds.", show_default=True)] = 1,
    now: Annotated[
        bool, Parameter(help="Begin where the twin that runs with --keep is now.", negative="")
    ] = False,
    settings: File = None,
    change: Change = (),
) -> int:
    """Film one pair of runs of a what-if, step by step, as JSON: for the console, or a plot of your own."""
    from nervure.bench.whatif.ask import show
    from nervure.bench.whatif.question import find
    from nervure.twin.state import path_of

    if seed < 0:
        raise UsageError(f"--seed {seed} draws nothing", hint="--seed 1")
    question = find(scenario)
    state = path_of(read(settings, change)[0].folder, question.twin) if now else None
    with progress(f"film of {scenario}") as tell:
        found = show(question, seed=seed, tell=tell, state=state)
    if out is None:
        say(found.decode())
        return 0
    try:
        out.write_bytes(found)
    except OSError as cause:
        raise EnvironmentMissing(f"cannot write {out}: {cause.strerror}") from cause
    say(f"wrote {out}")
    return 0
