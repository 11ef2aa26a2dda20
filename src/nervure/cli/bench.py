"""``nervure bench``: speed beside peers, measured in one run."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from nervure.cli.option import Json
from nervure.cli.output import say, table, write_json
from nervure.cli.progress import progress

__all__ = ["bench"]


def bench(
    name: Annotated[Literal["stream"], Parameter(help="What to measure.")] = "stream",
    /,
    *,
    messages: Annotated[int, Parameter(help="How many messages are sent.", show_default=True)] = 200_000,
    streams: Annotated[
        int, Parameter(help="From how many streams, without a model.", show_default=True)
    ] = 1_000,
    model: Annotated[bool, Parameter(help="Also with a model at every message (trains one first).")] = False,
    json: Json = False,
) -> int:
    """Measure the node beside a bare paho-mqtt subscriber on the same messages, per CPU-second.

    Machines are shared and noisy: the ratio is what counts.
    """
    from nervure.bench.stream import machine, measure

    with progress(f"bench {name}") as tell:
        rows = measure(messages=messages, streams=streams, progress=tell)
    if model:
        from nervure.learn.course import course
        from nervure.learn.dataset import load
        from nervure.solutions import find
        from nervure.trust.signature import SigningKey

        with tempfile.TemporaryDirectory(prefix="nervure-keys-") as folder, progress("bench model") as tell:
            key = SigningKey.load_or_create(Path(folder))
            learned = course(load(find("water")), key=key, budget_s=20.0, compare=False)
            rows += measure(messages=max(1, messages // 10), model=learned, keys=Path(folder), progress=tell)
    if json:
        write_json({"machine": machine(), "rows": rows})
        return 0
    table(
        ("case", "subject", "metric", "value", "ratio"),
        [(row.case, row.subject, row.metric, f"{row.value:,g}", _ratio(row.ratio_to)) for row in rows],
    )
    say(f"measured on {machine()}")
    return 0


def _ratio(ratios: dict[str, float]) -> str:
    return ", ".join(f"{value:g} x {name}" for name, value in ratios.items())
