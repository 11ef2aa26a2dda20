"""What a bench yields: rows of figures, each beside those of its peers in the same run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec
import numpy as np

__all__ = ["Measured", "Row", "Turns", "short"]


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One figure, the median of ``turns``; ``ratio_to`` is it over that of another subject.

    ``low`` and ``high`` are the least and the most of the turns.
    """

    bench: str
    case: str
    subject: str
    metric: str
    value: float
    low: float | None = None
    high: float | None = None
    turns: int = 1
    ratio_to: dict[str, float] = {}


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """A bench that was run: with which options, on what, and what it found.

    ``machine`` holds versions, cores, the load before and after, and the scheduler's floor in
    milliseconds, measured in between.
    """

    bench: str
    command: str
    when: str
    took_s: float
    machine: dict[str, object]
    rows: tuple[Row, ...]
    notes: tuple[str, ...] = ()


class Turns:
    """Figures of several turns, in which the subjects took turns; their medians become rows.

    >>> turns = Turns("stream")
    >>> for ours, theirs in ((30.0, 10.0), (50.0, 20.0), (40.0, 10.0)):
    ...     turns.add("no model", "ours", "messages per CPU-s", ours)
    ...     turns.add("no model", "theirs", "messages per CPU-s", theirs)
    >>> ours, theirs = turns.rows({"ours": ["theirs"]})
    >>> ours.value, ours.ratio_to
    (40.0, {'theirs': 3.0})
    """

    def __init__(self, bench: str) -> None:
        self.bench = bench
        self._found: dict[tuple[str, str, str], list[float]] = {}

    def add(self, case: str, subject: str, metric: str, value: float) -> None:
        """Note the figure of one turn."""
        self._found.setdefault((case, subject, metric), []).append(value)

    def median(self, case: str, subject: str, metric: str) -> float | None:
        """Return the median of a figure so far; None if nobody has measured it."""
        found = self._found.get((case, subject, metric))
        return float(np.median(found)) if found else None

    def rows(self, beside: Mapping[str, Sequence[str]] | None = None) -> list[Row]:
        """Return the medians; ``beside`` names for a subject those whose figures it is set over.

        A ratio is the median of the turns' own ratios, so that what slowed a turn down is in both.
        """
        return [self._row(key, each, (beside or {}).get(key[1], ())) for key, each in self._found.items()]

    def _row(self, key: tuple[str, str, str], each: list[float], others: Sequence[str]) -> Row:
        case, subject, metric = key
        ratios = {}
        for other in others:
            theirs = self._found.get((case, other, metric), [])
            if len(theirs) == len(each) and all(theirs):
                ratios[other] = short(float(np.median(np.array(each) / np.array(theirs))))
        return Row(
            bench=self.bench,
            case=case,
            subject=subject,
            metric=metric,
            value=short(float(np.median(each))),
            low=short(min(each)),
            high=short(max(each)),
            turns=len(each),
            ratio_to=ratios,
        )


def short(value: float) -> float:
    """Return a number to four digits.

    >>> short(123456.7), short(0.0123456)
    (123500.0, 0.01235)
    """
    return float(f"{value:.4g}")
