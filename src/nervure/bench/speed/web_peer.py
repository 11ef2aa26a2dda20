"""The peer of ``nervure bench http``: a small service as many are written, FastAPI, pydantic and SQLite.

    python -m nervure.bench.speed.web_peer PORT FILE

It speaks the same paths with the same bodies for one Datastream, commits every request (WAL, as
durable as our log: the death of the process loses nothing), and keeps an index by time. What it does
not do is everything else.
"""

from __future__ import annotations

import sqlite3
import sys
from datetime import datetime
from typing import Annotated, Any

import uvicorn
from fastapi import FastAPI, Query
from pydantic import BaseModel, Field

__all__ = ["DataArray", "Observation", "application", "main"]


class Observation(BaseModel):
    """An Observation as it is posted."""

    result: float
    phenomenonTime: datetime  # noqa: N815 - SensorThings' own name


class DataArray(BaseModel):
    """Observations as rows."""

    components: list[str]
    dataArray: list[tuple[datetime, float]] = Field(max_length=100_000)  # noqa: N815


def application(file: str) -> FastAPI:
    """Return the service; its rows are in a SQLite file."""
    app = FastAPI()
    rows = sqlite3.connect(file, check_same_thread=False)
    rows.execute("PRAGMA journal_mode = WAL")
    rows.execute("PRAGMA synchronous = NORMAL")
    rows.execute("CREATE TABLE observation (id INTEGER PRIMARY KEY, stream INTEGER, time TEXT, result REAL)")
    rows.execute("CREATE INDEX by_time ON observation (stream, time)")
    insert = "INSERT INTO observation (stream, time, result) VALUES (?, ?, ?)"

    @app.post("/v1.1/Datastreams({stream})/Observations", status_code=201)
    async def create(stream: int, given: Observation) -> dict[str, Any]:
        with rows:
            made = rows.execute(insert, (stream, given.phenomenonTime.isoformat(), given.result)).lastrowid
        return {"@iot.id": made, "@iot.selfLink": f"/v1.1/Observations({made})"}

    @app.post("/v1.1/CreateObservations", status_code=201)
    async def create_many(given: list[DataArray]) -> list[str]:
        several = [(1, moment.isoformat(), result) for one in given for moment, result in one.dataArray]
        with rows:  # nobody else writes, so the ids that follow are known
            first = rows.execute("SELECT coalesce(max(id), 0) + 1 FROM observation").fetchone()[0]
            rows.executemany(insert, several)
        return [f"/v1.1/Observations({made})" for made in range(first, first + len(several))]

    @app.get("/v1.1/Datastreams({stream})/Observations")
    async def read(stream: int, top: Annotated[int, Query(alias="$top", le=10_000)] = 100) -> dict[str, Any]:
        found = rows.execute(
            "SELECT id, time, result FROM observation WHERE stream = ? ORDER BY time DESC LIMIT ?",
            (stream, top),
        )
        names = ("@iot.id", "phenomenonTime", "result")
        return {"value": [dict(zip(names, row, strict=True)) for row in found]}

    return app


def main() -> None:
    """Serve until killed."""
    port, file = int(sys.argv[1]), sys.argv[2]
    uvicorn.run(application(file), host="127.0.0.1", port=port, log_level="error", access_log=False)


if __name__ == "__main__":
    main()
