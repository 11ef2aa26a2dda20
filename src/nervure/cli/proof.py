"""``nervure evaluate hvac``, ``pipes``, ``pumps``, …: proofs of twins and of what controls them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from nervure.bench.markdown import number
from nervure.cli.output import say, table, write_json
from nervure.cli.progress import progress
from nervure.core.error import UsageError

if TYPE_CHECKING:
    from nervure.bench.twin.report import Proof

__all__ = ["PROOFS", "prove"]

PROOFS = {
    "calibration": "nervure.bench.twin.fitted",
    "chlorine": "nervure.bench.twin.chlorine",
    "gates": "nervure.bench.twin.gates",
    "heating": "nervure.bench.twin.heating",
    "hvac": "nervure.bench.twin.hvac",
    "office": "nervure.bench.twin.bureau",
    "pipes": "nervure.bench.twin.pipes",
    "pumps": "nervure.bench.twin.pumps",
    "structure": "nervure.bench.twin.structure",
    "wear": "nervure.bench.twin.wear",
}


def prove(name: str, out: Path, odd: Mapping[str, object], *, quick: bool, json: bool) -> int:
    """Play a proof's scenarios and write its report; 1 where a goal was missed. Quick ones write nothing."""
    from nervure.bench.twin.report import write

    for option in [one for one, value in odd.items() if value]:
        raise UsageError(f"{option} means nothing for {name}", hint=f"nervure evaluate {name} --json")

    run: Callable[..., Proof] = import_module(PROOFS[name]).prove
    with progress(f"evaluate {name}") as tell:
        proof = run(tell, quick=quick)
    if not quick:
        write(proof, out)
    if json:
        write_json(proof)
    else:
        rows = [
            (one.what, f"{one.sign} {number(one.bound)} {one.unit}".strip(), number(one.value),
             "met" if one.met else "missed")
            for one in proof.goals
        ]  # fmt: skip
        table(("goal", "bound", "value", "state"), rows, title=proof.title)
        say("quick: nothing was written" if quick else f"wrote {out / name}.md and {out / name}.json")
    return 0 if all(one.met for one in proof.goals) else 1
