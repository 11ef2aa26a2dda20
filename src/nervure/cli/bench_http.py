"""``nervure bench http``: requests beside FastAPI, pydantic and SQLite."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from nervure.cli.benched import Out, run
from nervure.cli.option import Json

__all__ = ["http"]

_NOTES = (
    (
        "Both sides are one process with uvicorn, uvloop and httptools; ours has nats-server beside it, "
        "whose time counts. What is posted outlives the death of a process on both, and a power cut of the "
        "last moments on neither: SQLite writes ahead with synchronous = NORMAL, the log syncs at intervals."
    ),
    (
        "The peer checks and keeps a number and a time in one table. The node finds out who asks, looks for "
        "duplicates, scores, tells who follows, and answers with links: its page of 1,000 rows is several "
        "times as long. Both give the newest first. The peer inserts an array by one executemany."
    ),
    (
        "Sixteen connections send one request after the other: readings that come while others are on "
        "their way to the log go together, as one message."
    ),
)


def http(
    *,
    requests: Annotated[int, Parameter(help="How many single POSTs.", show_default=True)] = 30_000,
    rows: Annotated[
        int, Parameter(help="How many Observations lie in the store beforehand.", show_default=True)
    ] = 0,
    out: Out = None,
    json: Json = False,
) -> int:
    """Requests beside FastAPI, pydantic and SQLite."""
    from nervure.bench.speed.http import measure

    return run(
        "http",
        lambda tell: measure(requests=requests, rows=rows, progress=tell),
        packages=("fastapi", "pydantic", "uvicorn"),
        notes=_NOTES,
        out=out,
        json=json,
    )
