"""What a proof found, as JSON and as a page; the page is written from the JSON alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import msgspec

from nervure.bench.markdown import number, table
from nervure.core.paired import Paired

__all__ = ["Goal", "Part", "Proof", "goal", "page", "pairwise", "read", "write"]


class Goal(msgspec.Struct, frozen=True, kw_only=True):
    """What was to be reached, and what was."""

    what: str
    sign: str
    bound: float
    value: float
    unit: str = ""

    @property
    def met(self) -> bool:
        """Whether it was reached."""
        return self.value <= self.bound if self.sign == "≤" else self.value >= self.bound


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """One table: its rows have a name and figures by column; None where there is nothing to say."""

    title: str
    said: str
    rows: tuple[tuple[str, dict[str, float | str | None]], ...]


class Proof(msgspec.Struct, frozen=True, kw_only=True):
    """All that one command found."""

    name: str
    title: str
    command: str
    said: str
    engine: str
    cpu_s: float
    goals: tuple[Goal, ...]
    parts: tuple[Part, ...]


def goal(what: str, sign: str, bound: float, value: float, unit: str = "") -> Goal:
    """Return a goal: ``sign`` is ≤ or ≥.

    >>> goal("cost saved", "≥", 20.0, 22.5, "%").met
    True
    """
    return Goal(what=what, sign=sign, bound=bound, value=round(value, 6), unit=unit)


def pairwise(rows: Iterable[tuple[str, str, Paired, float | None]], *, of: str, same: str) -> Part:
    """Return the table of how much more of something one has than another, pair by pair.

    Rows are who, beside whom, what came of their pairs, and the mean in percent where that says anything;
    ``same`` is what both of a pair had alike.

    >>> from nervure.core.paired import paired
    >>> row = pairwise([("a", "b", paired([2.0, 3.0], [1.0, 1.0]), None)], of="cost", same="weeks").rows[0]
    >>> row[0], row[1]["cost"], row[1]["pairs"]
    ('a, beside b', 1.5, 2.0)
    """
    return Part(
        title="Pair by pair",
        said=f"The same {same} for both: mean differences, their 95 % intervals, how often chance alone"
        " makes one as large.",
        rows=tuple(
            (f"{one}, beside {other}", {
                of: told.mean, "from": told.low, "to": told.high, **({} if share is None else {"%": share}),
                "p": told.p, "pairs": float(told.pairs),
            })
            for one, other, told, share in rows
        ),
    )  # fmt: skip


def write(proof: Proof, out: Path) -> None:
    """Write ``NAME.json`` and ``NAME.md`` into a folder."""
    out.mkdir(parents=True, exist_ok=True)
    text = msgspec.json.format(msgspec.json.encode(proof), indent=1)
    (out / f"{proof.name}.json").write_bytes(text + b"\n")
    (out / f"{proof.name}.md").write_text(page(read(out / f"{proof.name}.json")), "utf-8")


def read(path: Path) -> Proof:
    """Read what :func:`write` wrote."""
    return msgspec.json.decode(path.read_bytes(), type=Proof)


def page(proof: Proof) -> str:
    """Return the page of a proof in Markdown."""
    met = sum(one.met for one in proof.goals)
    lines = [f"# {proof.title}", ""]
    source = f"`{proof.command}` from [{proof.name}.json]({proof.name}.json)"
    lines += [f"Written by {source}; no number here is typed by hand."]
    lines += ["", proof.said, "", f"Engine: {proof.engine}. {number(proof.cpu_s, 3)} CPU-s.", ""]
    lines += [f"{met} of {len(proof.goals)} goals are met.", ""]
    head = ("goal", "bound", "value", "state")
    goals = [
        (one.what, f"{one.sign} {number(one.bound)} {one.unit}".strip(), number(one.value),
         "met" if one.met else "missed")
        for one in proof.goals
    ]  # fmt: skip
    lines += [table(head, goals), ""]
    for part in proof.parts:
        lines += [f"## {part.title}", "", part.said, "", _rows(part.rows), ""]
    return "\n".join(lines).rstrip() + "\n"


def _rows(rows: Sequence[tuple[str, Mapping[str, float | str | None]]]) -> str:
    columns = list(dict.fromkeys(name for _, row in rows for name in row))
    cells = [[name, *(_cell(row.get(one)) for one in columns)] for name, row in rows]
    return table(["", *columns], cells)


def _cell(value: float | str | None) -> str:
    return value if isinstance(value, str) else number(value)
