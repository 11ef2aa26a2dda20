"""Tables and numbers of the written reports."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["number", "table"]


def table(head: Sequence[str], lines: Sequence[Sequence[str]], left: int = 1) -> str:
    """Return a table in Markdown; the first ``left`` columns stand left, the others right."""
    rule = ["---" if place < left else "---:" for place in range(len(head))]
    return "\n".join("| " + " | ".join(one) + " |" for one in (head, rule, *lines))


def number(value: float | None, digits: int = 4) -> str:
    """Write a number with the digits that matter.

    >>> number(0.012345), number(12345.6), number(None)
    ('0.01235', '12,346', '')
    """
    if value is None or value != value:  # noqa: PLR0124  # NaN
        return ""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.{digits}g}"
