"""``nervure bench http``: requests beside FastAPI, pydantic and SQLite."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from nervure.cli.benched import Out, run
from nervure.cli.option import Json

__all__ = ["http"]


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
        out=out,
        json=json,
    )
