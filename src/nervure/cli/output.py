"""What commands print: JSON for machines, tables for people, errors on stderr."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

__all__ = ["complain", "named", "number", "plain", "say", "table", "tree", "write_json", "write_line"]

WIDE = 160  # into a pipe or a file, lines are for grep


def write_json(value: Any) -> None:
    """Print one JSON value, indented."""
    text = msgspec.json.format(msgspec.json.encode(value, enc_hook=str), indent=2)
    sys.stdout.write(text.decode() + "\n")
    sys.stdout.flush()


def write_line(value: Any) -> None:
    """Print one JSON value on one line, at once: for streams of them."""
    sys.stdout.write(msgspec.json.encode(value, enc_hook=str).decode() + "\n")
    sys.stdout.flush()


def say(text: str) -> None:
    """Print a line for a person."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def complain(text: str) -> None:
    """Print an error on stderr, as it stands."""
    sys.stderr.write(f"error: {text}\n")
    sys.stderr.flush()


def table(columns: Sequence[str], rows: Iterable[Sequence[Any]], *, title: str | None = None) -> None:
    """Print a table; numbers stand right."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    found = [list(row) for row in rows]
    drawn = Table(title=title and Text(title), title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for place, name in enumerate(columns):
        numbers = bool(found) and all(isinstance(row[place], int | float) for row in found)
        drawn.add_column(Text(name), justify="right" if numbers else "left", overflow="fold")
    for row in found:
        drawn.add_row(*(Text(_text(cell)) for cell in row))
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = WIDE
    console.print(drawn)


def tree(value: Mapping[str, Any]) -> None:
    """Print nested figures as two columns, ``a.b.c  1``."""
    table(("what", "value"), list(_flat(value)))


def _flat(value: Mapping[str, Any], prefix: str = "") -> Iterable[tuple[str, str]]:
    for name, one in value.items():
        if isinstance(one, Mapping):
            yield from _flat(one, f"{prefix}{name}.")
        elif isinstance(one, list | tuple):
            yield f"{prefix}{name}", ", ".join(_text(part) for part in one) or "none"
        else:
            yield f"{prefix}{name}", _text(one)


def number(value: float) -> str:
    """Return a number as tables show it: four digits, and no power of ten before ten million.

    >>> number(-457451.3), number(0.01234567), number(1.2e9)
    ('-457,451', '0.01235', '1.2e+09')
    """
    return _text(float(value))


def plain(unit: str) -> str:
    """Return a UCUM unit as people write it: nothing for what is only counted.

    >>> plain("m3/s"), plain("{#}"), plain("1")
    ('m3/s', '', '')
    """
    return "" if unit == "1" or unit.startswith("{") else unit


def named(figure: str, unit: str) -> str:
    """Return a key figure's name with its unit.

    >>> named("peak_level", "m"), named("arrived", "{#}")
    ('peak_level, m', 'arrived')
    """
    return ", ".join(filter(None, (figure, plain(unit))))


def _text(cell: Any) -> str:
    match cell:
        case None:
            return ""
        case bool():
            return "yes" if cell else "no"
        case int():
            return f"{cell:,}"
        case float():
            return f"{cell:,.0f}" if 1e4 <= abs(cell) < 1e7 else f"{cell:,.4g}"
        case _:
            return str(cell)
