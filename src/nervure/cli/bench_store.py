"""``nervure bench store``: rows beside DuckDB's own table, PostgreSQL, plain Parquet and plain Delta."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from nervure.cli.benched import Out, Quick, run
from nervure.cli.option import Json

__all__ = ["store"]

QUICK_ROWS = 200_000
ROWS = 10_000_000


def store(
    *,
    rows: Annotated[
        list[int] | None,
        Parameter(
            help="How many rows, one case each; 10000000 if it is not said. Others stay in the report."
        ),
    ] = None,
    postgres: Annotated[
        bool, Parameter(negative="--no-postgres", help="Measure PostgreSQL too, in a server of its own.")
    ] = True,
    quick: Quick = False,
    out: Out = None,
    json: Json = False,
) -> int:
    """Rows written, kept and asked for, beside DuckDB's own table, PostgreSQL, plain Parquet and Delta."""
    from nervure.bench.speed.store import NOTES, measure

    counts = rows or [QUICK_ROWS if quick else ROWS]
    return run(
        "store",
        lambda tell: measure(rows=counts, postgres=postgres, quick=quick, progress=tell),
        packages=("psycopg",),
        notes=NOTES,
        quick=quick,
        part=bool(rows),  # other numbers of rows are other cases
        out=out,
        json=json,
    )
