"""``nervure bench engines``: the same keyed, windowed ONNX job on other stream engines."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from nervure.cli.benched import Out, Quick, run
from nervure.cli.option import Json

__all__ = ["engines"]

MESSAGES, QUICK_MESSAGES = 200_000, 100_000

_Messages = Annotated[
    int | None,
    Parameter(help="How many, whole turns of 1,000 sensors; 200,000, or 100,000 with --quick, if left out."),
]
_Turns = Annotated[int | None, Parameter(help="How often each has its turn; 3, or 1 with --quick.")]
_Only = Annotated[
    tuple[str, ...], Parameter(help="An engine by its name in the report; may be said several times.")
]
_Cache = Annotated[
    Path | None, Parameter(help="Where the engines' environments lie; below the user's cache if left out.")
]


def engines(
    *,
    messages: _Messages = None,
    turns: _Turns = None,
    only: _Only = (),
    cache: _Cache = None,
    quick: Quick = False,
    out: Out = None,
    json: Json = False,
) -> int:
    """The same keyed, windowed ONNX job on other stream engines."""
    from nervure.bench.speed.engines.bench import chosen, measure
    from nervure.learn.dataset import cache_folder

    where = cache or cache_folder() / "engines"
    subjects = chosen(only, quick=quick, cache=where)
    notes: list[str] = []
    return run(
        "engines",
        lambda tell: measure(
            subjects,
            messages=messages or (QUICK_MESSAGES if quick else MESSAGES),
            turns=turns or (1 if quick else 3),
            cache=where,
            notes=notes,
            progress=tell,
        ),
        packages=("uvloop", "onnx"),
        notes=notes,
        quick=quick,
        out=out,
        json=json,
    )
