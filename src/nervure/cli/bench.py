"""``nervure bench``: speed beside peers, measured in one run."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from nervure.cli.option import Json
from nervure.cli.output import say, table, write_json
from nervure.cli.progress import progress

if TYPE_CHECKING:
    from nervure.bench.stream import Row

__all__ = ["bench"]


def bench(
    name: Annotated[
        Literal["stream", "http"],
        Parameter(
            help="What to measure: readings by MQTT beside paho, or requests beside FastAPI and SQLite."
        ),
    ] = "stream",
    /,
    *,
    messages: Annotated[int, Parameter(help="How many messages are sent.", show_default=True)] = 200_000,
    streams: Annotated[
        int, Parameter(help="From how many streams, without a model.", show_default=True)
    ] = 1_000,
    requests: Annotated[int, Parameter(help="How many single POSTs (http).", show_default=True)] = 30_000,
    rows: Annotated[
        int, Parameter(help="How many Observations lie in the store beforehand (http).", show_default=True)
    ] = 0,
    model: Annotated[bool, Parameter(help="Also with a model at every message (trains one first).")] = False,
    json: Json = False,
) -> int:
    """Measure the node beside its peers on the same messages or requests, per CPU-second.

    Machines are shared and noisy: the ratio is what counts.
    """
    from nervure.bench import http, stream

    with progress(f"bench {name}") as tell:
        if name == "http":
            found = http.measure(requests=requests, rows=rows, progress=tell)
        else:
            found = stream.measure(messages=messages, streams=streams, progress=tell)
    if name == "stream" and model:
        found += _with_model(messages)
    _show(found, stream.machine(), json=json)
    return 0


def _show(found: list[Row], machine: dict[str, Any], *, json: bool) -> None:
    if json:
        write_json({"machine": machine, "rows": found})
        return
    rows = [(row.case, row.subject, row.metric, f"{row.value:,g}", _ratio(row.ratio_to)) for row in found]
    table(("case", "subject", "metric", "value", "ratio"), rows)
    say(f"measured on {machine}")


def _with_model(messages: int) -> list[Row]:
    """Measure the stream with a model at every message."""
    from nervure.bench.stream import measure
    from nervure.learn.course import course
    from nervure.learn.dataset import load
    from nervure.solutions import find
    from nervure.trust.signature import SigningKey

    with tempfile.TemporaryDirectory(prefix="nervure-keys-") as folder, progress("bench model") as tell:
        key = SigningKey.load_or_create(Path(folder))
        learned = course(load(find("water")), key=key, budget_s=20.0, compare=False)
        return measure(messages=max(1, messages // 10), model=learned, keys=Path(folder), progress=tell)


def _ratio(ratios: dict[str, float]) -> str:
    return ", ".join(f"{value:g} x {name}" for name, value in ratios.items())
