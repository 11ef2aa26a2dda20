"""The directory of Datastreams: by subject, id and name, with their bounds and units as columns."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

import numpy as np

from nervure.core import unit as units
from nervure.core.declaration import AHEAD_NS
from nervure.core.entity import Datastream
from nervure.sense.reason import WRONG_UNIT, Unreadable, shown
from nervure.stream.subject import reading_subject

__all__ = ["Directory"]

_BY_ID = re.compile(r"(?:Datastreams\()?(\d{1,18})\)?")
_PLAUSIBLE = re.compile(r"[!-~]{1,32}")
_LONG_NUMBER = re.compile(r"\d{4,}|[*^]\D?\d{3,}")
_SUBJECT_KEY = re.compile(r"[^\s*>/\x00-\x1f]{1,200}")
_FOREIGN_UNITS = 8


class Directory:
    """The Datastreams that are known, each with a row: its place in the columns.

    It does not change, but for the conversions it has looked up: a new set of Datastreams is a new
    directory. ``ahead`` says of (solution, signal) how long before its time a value may be known;
    ``reach [stream]`` is the same for each Datastream, in nanoseconds.
    """

    def __init__(
        self, datastreams: Iterable[Datastream], ahead: Mapping[tuple[str, str], int] | None = None
    ) -> None:
        self.datastreams = tuple(
            sorted({one.id: one for one in datastreams}.values(), key=lambda one: one.id)
        )
        self.id = np.array([one.id for one in self.datastreams], dtype=np.int64)
        self.low = np.array([-np.inf if one.low is None else one.low for one in self.datastreams])
        self.high = np.array([np.inf if one.high is None else one.high for one in self.datastreams])
        known = ahead or {}
        self.reach = np.array(
            [
                AHEAD_NS
                if one.kind == "forecast"
                else known.get((one.solution, one.signal), 0)
                if one.kind == "reading"
                else 0
                for one in self.datastreams
            ],
            dtype=np.int64,
        )
        self.declared = np.array([bool(one.solution) for one in self.datastreams], dtype=bool)
        self.all_declared = bool(self.declared.all())
        self.places = tuple(len(one.data_types or ()) if one.multi else 0 for one in self.datastreams)
        several = np.array(self.places, dtype=np.int64) > 0
        self.several = several if several.any() else None
        """Which Datastreams take arrays; ``None``: none does."""
        self.inner = float(self.low.max(initial=-np.inf)), float(self.high.min(initial=np.inf))
        """What is in the physical range of every Datastream."""
        numbered = list(enumerate(self.datastreams))
        self.row_of_id = {one.id: row for row, one in numbered}
        self.plain = {reading_subject(one.id): row for row, one in numbered if not one.multi}
        self.row_of_subject = self.plain | self._other_subjects()
        keys = [(one.key, row) for row, one in numbered if one.key]
        self._row_of_name = _unique([*keys, *((one.name, row) for row, one in numbered)])
        self._unit = [_number_unit(one) for one in self.datastreams]
        self._linear: dict[int, dict[str, tuple[float, float] | None]] = {}

    def __len__(self) -> int:
        return len(self.datastreams)

    def _other_subjects(self) -> dict[str, int]:
        """Return where else readings come in: of MultiDatastreams, and by the keys that clients chose."""
        found: dict[str, int] = {}
        for row, one in enumerate(self.datastreams):
            if one.multi:
                found |= {reading_subject(one.id): row, reading_subject(one.id, multi=True): row}
            if one.key and _SUBJECT_KEY.fullmatch(one.key):
                quoted = one.key.replace("'", "''").replace(".", "//")
                subject = reading_subject(f"'{quoted}'", multi=one.multi)
                found[subject] = -1 if subject in found else row
        return {subject: row for subject, row in found.items() if row >= 0}

    def find(self, identity: object) -> int | None:
        """Return the row of a Datastream by id, by its key, ``"7"``, ``"Datastreams(7)"`` or its name.

        What several Datastreams bear, as a key or a name, names none of them: nobody gets readings of
        another one by choosing its name.

        >>> directory = Directory([Datastream(id=7, name="mill inflow", unit="L/s", thing=1)])
        >>> directory.find("mill inflow"), directory.find("Datastreams(7)"), directory.find(8)
        (0, 0, None)
        """
        if isinstance(identity, bool):
            return None
        if isinstance(identity, int):
            return self.row_of_id.get(identity)
        if not isinstance(identity, str):
            return None
        if identity in self._row_of_name:
            return self._row_of_name[identity]
        return self.numbered(identity)

    def numbered(self, identity: str) -> int | None:
        """Return the row of a Datastream by its number, written as ``"7"`` or ``"Datastreams(7)"``."""
        found = _BY_ID.fullmatch(identity)
        return None if found is None else self.row_of_id.get(int(found[1]))

    def number_unit(self, row: int) -> str | None:
        """Return the unit in which results are numbers, ``None`` where any result is welcome."""
        return self._unit[row]

    def linear(self, row: int, code: str) -> tuple[float, float]:
        """Return ``(factor, offset)`` that turn a value in ``code`` into the Datastream's own unit.

        Units come from outside and reading one takes a millisecond, so each Datastream may bring a
        few foreign ones, and no more.
        """
        own = self.datastreams[row].unit
        if code == own:
            return 1.0, 0.0
        known = self._linear.setdefault(row, {})
        if code not in known:
            if len(known) >= _FOREIGN_UNITS:
                raise Unreadable(
                    WRONG_UNIT,
                    f"unit {shown(code)}: this Datastream has come in {_FOREIGN_UNITS} others already",
                )
            known[code] = _linear(code, own)
        found = known[code]
        if found is None:
            raise Unreadable(
                WRONG_UNIT, f"a value in {shown(code)} cannot be written in {own!r}, the Datastream's unit"
            )
        return found


def _unique(pairs: Iterable[tuple[str, int]]) -> dict[str, int | None]:
    found: dict[str, int | None] = {}
    for name, row in pairs:
        found[name] = row if found.get(name, row) == row else None
    return found


def _linear(code: str, own: str) -> tuple[float, float] | None:
    if not _PLAUSIBLE.fullmatch(code) or _LONG_NUMBER.search(code):
        return None
    try:
        factor, offset = units.linear(code, own)
    except Exception:  # noqa: BLE001 - the parsers behind it raise whatever they meet, from outside
        return None
    return (factor, offset) if np.isfinite(factor) and np.isfinite(offset) and factor else None


def _number_unit(datastream: Datastream) -> str | None:
    """A Datastream measures numbers if its observationType says so, or else if it has a unit.

    Only those that a solution declares are held to it.
    """
    if not datastream.solution:
        return None
    kind = str(datastream.properties.get("observationType", "")).rpartition("/")[2]
    if kind in {"OM_Measurement", "OM_CountObservation"}:
        return datastream.unit or "1"
    return None if kind else (datastream.unit or None)
