"""What a decoder makes of one message: readings as columns, and what was wrong with the others."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from nervure.core.columnar import endless, joined, taken
from nervure.core.observation import NEUTRAL, NO_END, NO_RESULT_TIME
from nervure.core.settings import Limits
from nervure.sense.directory import Directory
from nervure.sense.reason import MALFORMED, NOT_A_NUMBER, OUT_OF_TYPE, UNKNOWN_STREAM, Unreadable, shown

__all__ = ["Fault", "Part", "Place", "Rows", "join", "merge_faults", "require_depth", "result_of", "unissued"]

Floats = NDArray[np.float64]
Longs = NDArray[np.int64]

MOST_BAD = 1000
"""How many bad readings of one message are looked at one by one."""


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """Where a message came in: on which Datastream's subject (``None``: one for all), and when."""

    directory: Directory
    limits: Limits
    row: int | None
    received_ns: int

    def target(self, identity: object) -> int:
        """Return the row of the Datastream that the message itself names, if it may name that one."""
        if identity is None and self.row is not None:
            return self.row
        if identity is None:
            raise Unreadable(
                UNKNOWN_STREAM, 'the message names no Datastream; add "Datastream": {"@iot.id": 7}'
            )
        found = self.directory.find(identity)
        if self.row is not None and found != self.row:  # whether there is another one, is not told
            raise Unreadable(
                UNKNOWN_STREAM,
                f"it is for Datastream {shown(identity)}, but came for {self.directory.id[self.row]}",
            )
        if found is None:
            raise Unreadable(UNKNOWN_STREAM, f"there is no Datastream {shown(identity)}")
        return found

    def result(self, row: int, value: object) -> tuple[float, str | None]:
        """Read one result of a Datastream as :func:`result_of` does; that of several is an array."""
        places = self.directory.places[row]
        if places and not (isinstance(value, list | tuple) and len(value) == places):
            raise Unreadable(OUT_OF_TYPE, f"the result is {shown(value)}, where {places} values are expected")
        if value is None and not self.directory.declared[row]:
            return math.nan, "null"
        return result_of(value, self.directory.number_unit(row))


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """One reason for which readings of a message were not taken: the first of them, and how many."""

    reason: str
    detail: str
    index: int = 0
    count: int = 1


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """The readings of one message as columns ``[row]``; ``stream`` is the row of the directory.

    ``index`` is the place of a reading in its message. ``text`` and what follows it are as in
    ``Batch``.
    """

    stream: Longs
    index: Longs
    time: Longs
    result_time: Longs
    value: Floats
    low: Floats
    high: Floats
    text: list[str | None] | None = None
    end_time: Longs | None = None
    feature: Longs | None = None
    marks: NDArray[np.int8] | None = None
    extra: list[str | None] | None = None
    faults: tuple[Fault, ...] = ()

    def take(self, rows: NDArray[Any]) -> Part:
        """Return the rows chosen by a boolean mask or by positions."""
        return Part(**taken(self, _COLUMNS, rows), faults=self.faults)

    @classmethod
    def concat(cls, parts: Sequence[Part]) -> Part:
        """Put parts end to end."""
        if len(parts) == 1:
            return parts[0]
        faults = tuple(fault for part in parts for fault in part.faults)
        return cls(**joined(parts, _COLUMNS, [len(part.index) for part in parts], _NEUTRAL), faults=faults)


_COLUMNS = tuple(name for name in Part.__struct_fields__ if name != "faults")
_NEUTRAL = NEUTRAL | {"stream": np.int64(0), "index": np.int64(0)}


_UNISSUED = endless(np.int8(NO_RESULT_TIME))


def unissued(count: int) -> NDArray[np.int8]:
    """Return the marks of readings that came without a result time."""
    return _UNISSUED[:count]


class Rows:
    """Gathers readings one by one, for the messages that are not columns already."""

    def __init__(self) -> None:
        self._rows: list[tuple[int, int, int, int, int, int, int, float, float, float]] = []
        self._text: list[str | None] = []
        self._extra: list[str | None] = []
        self._faults: list[Fault] = []

    def add(
        self,
        *,
        stream: int,
        index: int,
        time: int,
        result_time: int | None = None,
        value: float,
        low: float = math.nan,
        high: float = math.nan,
        text: str | None = None,
        end_time: int = NO_END,
        feature: int = 0,
        extra: str | None = None,
    ) -> None:
        """Take one reading."""
        issued, mark = (time, NO_RESULT_TIME) if result_time is None else (result_time, 0)
        self._rows.append((stream, index, time, issued, end_time, feature, mark, value, low, high))
        self._text.append(text)
        self._extra.append(extra)

    def refuse(self, index: int, problem: Unreadable, left: int) -> bool:
        """Leave one reading out, with its reason; ``True`` if the ``left`` that follow are given up too.

        Looking at a bad reading costs more than at a good one, and one message must not cost a
        device's whole second.
        """
        self._faults.append(Fault(reason=problem.reason, detail=problem.detail, index=index))
        if len(self._faults) < MOST_BAD or not left:
            return False
        detail = f"after {MOST_BAD:,} bad readings in a message the rest of it is not looked at"
        self._faults.append(Fault(reason=MALFORMED, detail=detail, index=index + 1, count=left))
        return True

    def part(self) -> Part:
        """Return the columns."""
        columns = list(zip(*self._rows, strict=True)) or [()] * 10
        whole = [np.array(column, dtype=np.int64) for column in columns[:7]]
        real = [np.array(column, dtype=np.float64) for column in columns[7:]]
        return Part(
            stream=whole[0],
            index=whole[1],
            time=whole[2],
            result_time=whole[3],
            end_time=whole[4] if (whole[4] != NO_END).any() else None,
            feature=whole[5] if whole[5].any() else None,
            marks=whole[6].astype(np.int8),
            value=real[0],
            low=real[1],
            high=real[2],
            text=self._text if any(text is not None for text in self._text) else None,
            extra=self._extra if any(text is not None for text in self._extra) else None,
            faults=merge_faults(self._faults),
        )


def merge_faults(faults: list[Fault]) -> tuple[Fault, ...]:
    """Make one fault of all that have the same reason: the first, with their count."""
    first: dict[str, Fault] = {}
    count: dict[str, int] = {}
    for fault in faults:
        first.setdefault(fault.reason, fault)
        count[fault.reason] = count.get(fault.reason, 0) + fault.count
    return tuple(msgspec.structs.replace(one, count=count[one.reason]) for one in first.values())


def result_of(value: Any, unit: str | None) -> tuple[float, str | None]:
    """Read one result as ``(number, None)``, or ``(NaN, its JSON text)`` if it is no number.

    ``unit`` is the unit in which a number is expected, ``None`` where any result is welcome: there a
    whole number that no float is equal to comes with its text, so that no digit is lost.

    >>> result_of(3, "L/s"), result_of(["a", True], None), result_of(2**53 + 1, None)
    ((3.0, None), (nan, '["a",true]'), (9007199254740992.0, '9007199254740993'))
    """
    if isinstance(value, int | float) and not isinstance(value, bool):
        try:
            number = float(value)
        except OverflowError:
            number = math.inf
        if not math.isfinite(number):
            raise Unreadable(NOT_A_NUMBER, f"the result is {shown(value)}, which is not a finite number")
        return number, str(value) if unit is None and number != value else None
    if value is None:
        raise Unreadable(NOT_A_NUMBER, "the result is null: there is no reading")
    if unit is not None:
        kind = {str: "text", bool: "truth value", list: "list", dict: "object"}.get(type(value), "thing")
        raise Unreadable(
            OUT_OF_TYPE, f"the result is the {kind} {shown(value)}, where a number in {unit!r} is expected"
        )
    try:
        return math.nan, msgspec.json.encode(value).decode()
    except (TypeError, ValueError) as cause:
        raise Unreadable(OUT_OF_TYPE, f"the result {shown(value)} has no form in JSON") from cause


def require_depth(item: object, depth: int) -> None:
    """Refuse what is nested deeper: what is kept must be read again, wherever it is asked for."""
    level = [item]
    for _ in range(depth + 1):
        level = [
            inner
            for one in level
            if isinstance(one, list | tuple | dict)
            for inner in (one.values() if isinstance(one, dict) else one)
            if isinstance(inner, list | tuple | dict)
        ]
        if not level:
            return
    raise Unreadable(MALFORMED, f"the message is nested more than {depth} deep")


def join(parts: list[Part], faults: list[Fault]) -> Part:
    """Put the parts of one message end to end, with faults of its own."""
    whole = Part.concat(parts) if parts else Rows().part()
    return msgspec.structs.replace(whole, faults=merge_faults([*whole.faults, *faults]))
