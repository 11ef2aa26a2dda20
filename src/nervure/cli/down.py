"""``nervure down``: stop the node of this data folder, and nothing else."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from nervure.cli.option import Change, File, Json, read
from nervure.cli.output import say, write_json

__all__ = ["down"]


def down(
    *,
    settings: File = None,
    change: Change = (),
    wait: Annotated[float, Parameter(help="How many seconds it may take to stop.", show_default=True)] = 30.0,
    json: Json = False,
) -> int:
    """Stop the platform that runs in the data folder, and wait until it has.

    It is asked with SIGTERM and never killed. A process that is not the one that was started there
    is left alone. It is no error if none runs.
    """
    from nervure.cli.process import find, stop

    loaded, _ = read(settings, change)
    running = find(loaded.folder)
    if running is not None:
        stop(running, wait)
    if json:
        write_json({"stopped": running is not None, "pid": running.pid if running else None})
    else:
        say(f"stopped process {running.pid}" if running else f"no node runs in {loaded.folder}")
    return 0
