"""What is written beside the model of a file of one's own: declaration, settings, what was rejected."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import msgspec
import tomli_w

from nervure.core.declaration import Solution
from nervure.core.instant import duration_text
from nervure.learn.own.ask import Rejected
from nervure.learn.own.data import Own

__all__ = ["declaration", "rejected_file", "settings_file"]

_HEAD = '''"""{title}: made by `nervure train --csv`, to be changed as any other solution.

{said}
"""

from nervure.core.declaration import Rule, Signal, Solution
from nervure.core.problem import Forecast

solution = {body}
'''
_HOW = {
    "last": "A slot of {every} holds the last reading of that time, in training as in a running node.",
    "mean": "A slot of {every} holds the mean of its readings in training. A running node keeps the last\n"
    "reading of a slot: send it one mean for each slot.",
    "sum": "A slot of {every} holds the sum of its readings in training. A running node keeps the last\n"
    "reading of a slot: send it one sum for each slot.",
    "max": "A slot of {every} holds the greatest of its readings in training. A running node keeps the last\n"
    "reading of a slot: send it one maximum for each slot.",
}


def declaration(own: Own) -> str:
    """Return the Python file that declares the solution, for ``project.solutions``."""
    plain = msgspec.structs.replace(own.solution, data=None)
    said = _HOW[own.step.resample].format(every=duration_text(own.step.every_ns))
    title = _quiet(plain.title)
    return _HEAD.format(title=title, said=said, body=_source(plain, 0))


def _quiet(text: str) -> str:
    """Make a text fit for a docstring."""
    return "".join(one for one in text if one.isprintable() and one not in '"\\')


def _source(value: Any, depth: int) -> str:
    """Write a declaration as Python would be written: what is as by default is left out."""
    pad = "    " * (depth + 1)
    if isinstance(value, msgspec.Struct):
        fields = [
            (field.name, one)
            for field in msgspec.structs.fields(value)
            if (one := getattr(value, field.name)) != field.default
        ]
        name = type(value).__name__
        if not isinstance(value, Solution):
            return f"{name}({', '.join(f'{key}={_source(one, depth)}' for key, one in fields)})"
        lines = "".join(f"{pad}{key}={_source(one, depth + 1)},\n" for key, one in fields)
        return f"{name}(\n{lines}{pad[4:]})"
    if isinstance(value, tuple) and value and isinstance(value[0], msgspec.Struct):
        lines = "".join(f"{pad}{_source(one, depth + 1)},\n" for one in value)
        return f"(\n{lines}{pad[4:]})"
    return repr(value)


def settings_file(solution: Solution, things: list[str], *, file: Path, data: Path) -> bytes:
    """Return ``nervure.toml`` for ``nervure up --settings``: the solution in ``file`` and its Things."""
    table: dict[str, Any] = {
        "data": str(data.resolve()),
        "project": {"name": solution.name, "solutions": [str(file.resolve())]},
        "thing": [{"name": name, "solution": str(file.resolve())} for name in things],
    }
    return tomli_w.dumps(table).encode()


def rejected_file(rejected: tuple[Rejected, ...]) -> bytes:
    """Return a CSV of what was rejected: line, column, value, reason."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("line", "column", "value", "reason"))
    writer.writerows((one.line, one.column, one.value, one.reason) for one in rejected)
    return text.getvalue().encode()
