"""Findings: what scoring made of each reading, one as a Struct, many as columns.

Rules read nothing else, so a rule can be tested without a model and a model without a rule.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from nervure.core.columnar import endless, taken

__all__ = ["Finding", "Findings", "merged"]

Floats = NDArray[np.float64]
Longs = NDArray[np.int64]


_OPINION = ("expected", "low", "high", "score", "limit", "sure", "onset")


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One reading beside what was expected of it.

    ``expected``, ``low`` and ``high`` are what the forecasts said that the anomaly score trusts;
    they, ``score`` and ``sure`` are NaN where no model has an opinion, and ``limit`` is infinite
    then. ``onset_ns`` is when the score last began to rise, ``sure`` the share of calibration
    scores below this one, ``flat_s`` how long the value has not changed.
    """

    datastream: int
    time_ns: int
    value: float
    expected: float = float("nan")
    low: float = float("nan")
    high: float = float("nan")
    score: float = float("nan")
    limit: float = float("inf")
    sure: float = float("nan")
    flat_s: float = 0.0
    onset_ns: int = 0


class Findings(msgspec.Struct, frozen=True, kw_only=True):
    """Findings as columns, all of length ``[row]``, in log order; iterates as :class:`Finding`.

    >>> len(Findings.of([Finding(datastream=7, time_ns=0, value=1.0)]))
    1
    """

    datastream: Longs
    time: Longs
    value: Floats
    expected: Floats
    low: Floats
    high: Floats
    score: Floats
    limit: Floats
    sure: Floats
    flat_s: Floats
    onset: Longs
    model: str = ""

    def __len__(self) -> int:
        return len(self.datastream)

    def __getitem__(self, row: int) -> Finding:
        return Finding(
            datastream=int(self.datastream[row]),
            time_ns=int(self.time[row]),
            value=float(self.value[row]),
            expected=float(self.expected[row]),
            low=float(self.low[row]),
            high=float(self.high[row]),
            score=float(self.score[row]),
            limit=float(self.limit[row]),
            sure=float(self.sure[row]),
            flat_s=float(self.flat_s[row]),
            onset_ns=int(self.onset[row]),
        )

    def take(self, rows: NDArray[Any]) -> Findings:
        """Return the rows chosen by a boolean mask or by positions."""
        return Findings(**taken(self, _COLUMNS, rows), model=self.model)

    def __iter__(self) -> Iterator[Finding]:
        return (self[row] for row in range(len(self)))

    def overlaid(self, others: Sequence[Findings]) -> Findings:
        """Return the same readings, with what others expected of those that nothing is expected of here.

        >>> ours = Findings.of([Finding(datastream=7, time_ns=0, value=1.0)])
        >>> theirs = Findings.of([Finding(datastream=7, time_ns=0, value=1.0, expected=3.0)])
        >>> ours.overlaid([theirs])[0].expected
        3.0
        """
        rows = {
            key: row for row, key in enumerate(zip(self.datastream.tolist(), self.time.tolist(), strict=True))
        }
        made = {name: getattr(self, name).copy() for name in _OPINION}
        for other in others:
            for theirs in np.flatnonzero(~np.isnan(other.expected)).tolist():
                row = rows.get((int(other.datastream[theirs]), int(other.time[theirs])), -1)
                if row >= 0 and np.isnan(made["expected"][row]):
                    for name in _OPINION:
                        made[name][row] = getattr(other, name)[theirs]
        return msgspec.structs.replace(self, **made)

    @classmethod
    def of(cls, findings: Sequence[Finding], *, model: str = "") -> Findings:
        """Put single findings into columns."""
        return cls(
            datastream=np.array([one.datastream for one in findings], dtype=np.int64),
            time=np.array([one.time_ns for one in findings], dtype=np.int64),
            value=np.array([one.value for one in findings], dtype=np.float64),
            expected=np.array([one.expected for one in findings], dtype=np.float64),
            low=np.array([one.low for one in findings], dtype=np.float64),
            high=np.array([one.high for one in findings], dtype=np.float64),
            score=np.array([one.score for one in findings], dtype=np.float64),
            limit=np.array([one.limit for one in findings], dtype=np.float64),
            sure=np.array([one.sure for one in findings], dtype=np.float64),
            flat_s=np.array([one.flat_s for one in findings], dtype=np.float64),
            onset=np.array([one.onset_ns for one in findings], dtype=np.int64),
            model=model,
        )

    @classmethod
    def blank(
        cls,
        datastream: Longs,
        time: Longs,
        value: Floats,
        flat_s: Floats,
        *,
        model: str = "",
        lasting: bool = False,
    ) -> Findings:
        """Return findings about which no model has an opinion yet; the columns may be written to.

        Where it is ``lasting`` that there is none, they may not, and take no room.
        """
        rows = len(datastream)
        filled = _shown if lasting else _filled
        nothing = {name: filled(_NAN, rows) for name in ("expected", "low", "high", "score", "sure")}
        return cls(
            datastream=datastream,
            time=time,
            value=value,
            **nothing,
            limit=filled(_INFINITE, rows),
            flat_s=flat_s,
            onset=filled(_NO_ONSET, rows),
            model=model,
        )


_NAN, _INFINITE, _NO_ONSET = endless(np.nan), endless(np.inf), endless(np.int64(0))


def _shown(endless_: NDArray[Any], rows: int) -> NDArray[Any]:
    return endless_[:rows]


def _filled(endless_: NDArray[Any], rows: int) -> NDArray[Any]:
    return endless_[:rows].copy()


_COLUMNS = tuple(name for name in Findings.__struct_fields__ if name != "model")


def merged(parts: Sequence[tuple[Longs, Findings]]) -> Findings:
    """Put findings together that are of these rows each, in the order of the rows."""
    if not parts:
        nothing, none = np.zeros(0), np.zeros(0, dtype=np.int64)
        return Findings.blank(none, none, nothing, nothing, lasting=True)
    if len(parts) == 1:
        return parts[0][1]
    order = np.argsort(np.concatenate([rows for rows, _ in parts]), kind="stable")
    columns = {
        name: np.concatenate([getattr(findings, name) for _, findings in parts])[order] for name in _COLUMNS
    }
    return Findings(**columns, model=parts[0][1].model)
