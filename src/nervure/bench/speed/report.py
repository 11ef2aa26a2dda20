"""The report on speed: ``speed.json``, ``speed.md`` and a picture a bench, made of the runs so far.

Each run takes the place of the last one of its bench, so the report grows bench by bench.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import msgspec

from nervure.bench.markdown import number, table
from nervure.bench.speed.goal import held
from nervure.bench.speed.plot import draw
from nervure.bench.speed.row import Measured, Row
from nervure.core.error import UsageError

__all__ = ["BENCHES", "Document", "load", "page", "put"]

BENCHES = ("stream", "latency", "store", "http", "engines", "scale", "soak", "faults", "console")
"""The benches in the order of the report."""

_TITLE = {
    "stream": "The stream: messages and points per CPU-second",
    "latency": "From sensor to decision",
    "store": "The store",
    "http": "Requests by HTTP",
    "engines": "The same job on other engines",
    "scale": "Over several workers",
    "soak": "An hour at half load",
    "faults": "What breaks, and what becomes of it",
    "console": "The console in a browser",
}
_INTRO = """# Speed

Each table is one run of one command, in which the subjects took turns on the same input; medians of the
turns stand here, with the least and the most of them. Machines are shared and noisy: what counts is the
ratio to the others in the same run, and the processor seconds, which other work hardly changes. The
floor is how long a byte takes between two processes that do nothing else, measured meanwhile: nothing
that crosses between processes can be faster.
"""


class Document(msgspec.Struct, frozen=True, kw_only=True):
    """What ``speed.json`` holds: the newest run of each bench."""

    runs: tuple[Measured, ...] = ()


def load(folder: Path) -> Document:
    """Return the document in a folder; an empty one if there is none."""
    file = folder / "speed.json"
    if not file.exists():
        return Document()
    try:
        return msgspec.json.decode(file.read_bytes(), type=Document)
    except msgspec.MsgspecError as cause:
        raise UsageError(f"{file} is no report on speed: {cause}", hint="name another folder") from cause


def put(measured: Measured, folder: Path, *, part: bool = False) -> list[Path]:
    """Put a run into the report in a folder, and return the files that were written.

    A ``part`` of a bench leaves the cases of the run before that it did not measure.
    """
    runs = {one.bench: one for one in load(folder).runs}
    if part and measured.bench in runs:
        measured = _joined(runs[measured.bench], measured)
    runs[measured.bench] = measured
    document = Document(runs=tuple(runs[name] for name in BENCHES if name in runs))
    folder.mkdir(parents=True, exist_ok=True)
    data, text = folder / "speed.json", folder / "speed.md"
    data.write_bytes(msgspec.json.format(msgspec.json.encode(document), indent=1) + b"\n")
    text.write_text(page(document), "utf-8")
    return [data, text, draw(measured, folder)]


def _joined(before: Measured, now: Measured) -> Measured:
    """Return a run with the cases of one before that it did not measure; in what order, the older says."""
    cases = {row.case: list[Row]() for row in (*before.rows, *now.rows)}
    fresh = {row.case for row in now.rows}
    for row in (*(one for one in before.rows if one.case not in fresh), *now.rows):
        cases[row.case].append(row)
    rows = tuple(row for several in cases.values() for row in several)
    command = f"nervure bench {now.bench}"  # in parts, all of it
    took_s = round(before.took_s + now.took_s, 1)
    return msgspec.structs.replace(now, rows=rows, command=command, took_s=took_s)


def page(document: Document) -> str:
    """Return the report in Markdown."""
    parts = [_INTRO, _goals(document), *(_section(one) for one in document.runs)]
    return "\n".join(parts)


def _goals(document: Document) -> str:
    verdicts = held(row for one in document.runs for row in one.rows)
    words = {True: "met", False: "**missed**", None: "not measured"}
    lines = [
        (
            f"{one.goal.bench}: {one.goal.case}",
            one.goal.subject,
            one.goal.metric,
            one.goal.words,
            number(one.found),
            words[one.met],
        )
        for one in verdicts
    ]
    met = sum(one.met is True for one in verdicts)
    head = ("case", "subject", "figure", "goal", "found", "")
    return f"## Goals\n\n{met} of {len(verdicts)} are met.\n\n{table(head, lines, 4)}\n"


def _section(measured: Measured) -> str:
    machine = dict(measured.machine)
    versions = machine.pop("versions", {})
    shown = ", ".join(f"{name} {value}" for name, value in machine.items())
    if isinstance(versions, dict):
        shown += "; " + ", ".join(f"{name} {value}" for name, value in versions.items())
    parts = [
        f"## {_TITLE[measured.bench]}\n",
        f"`{measured.command}`, {measured.when[:10]}, {measured.took_s:,.0f} s. {shown}.\n",
        *(f"{one}\n" for one in measured.notes),
        f"![{_TITLE[measured.bench]}](speed/{measured.bench}.svg)\n",
        _table(measured.rows),
    ]
    return "\n".join(parts)


def _table(rows: Iterable[Row]) -> str:
    lines = [
        (
            row.case,
            row.subject,
            row.metric,
            number(row.value),
            f"{number(row.low)} to {number(row.high)}" if row.turns > 1 else "",
            ", ".join(f"{number(value)} times {name}" for name, value in row.ratio_to.items()),
        )
        for row in rows
    ]
    return table(("case", "subject", "figure", "median", "least to most", "ratio"), lines, 3) + "\n"
