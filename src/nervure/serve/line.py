"""Lines: a page of plain Observations as JSON text, without an object for each of their properties."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
import numpy as np

from nervure.core.observation import NO_RESULT_TIME
from nervure.core.sensorthings import BY_NAME
from nervure.serve.shape import EXACT, moment, navigation
from nervure.store.select.row import Found

__all__ = ["lines"]

_KIND = BY_NAME["Observation"]
_HEAD = '{"@iot.id":%d,"@iot.selfLink":"%s","phenomenonTime":"%s","resultTime":%s,"result":%s'
_MARKS = {None, 0, NO_RESULT_TIME}
_YEAR_9999 = 253_370_764_800_000_000

Row = Mapping[str, Any]


def lines(rows: Sequence[Found], base: str, other: Callable[[Found], dict[str, Any]]) -> msgspec.Raw:
    """Write Observations with all that they have; one that is not plain is written by ``other``.

    Plain is a finite number at an instant, with no quality, interval, parameters or valid time.
    """
    start = msgspec.json.encode(f"{base}/Observations(").decode()[1:-1]
    forms: dict[tuple[bool, bool], tuple[str, int]] = {}
    found: list[str] = []
    for one, begun in zip(rows, _moments([one.row["time"] for one in rows]), strict=True):
        row = one.row
        if not _plain(row):
            found.append(msgspec.json.encode(other(one)).decode())
            continue
        form = (row["multi"], row["feature"] is None)
        if form not in forms:
            forms[form] = _template(row)
        template, links = forms[form]
        value = row["value"]
        if row["marks"]:
            issued = "null"
        else:
            issued = f'"{begun if row["result_time"] == row["time"] else moment(row["result_time"])}"'
        address = f"{start}{row['id']})"
        result = int(value) if value.is_integer() else value
        found.append(template % (row["id"], address, begun, issued, result, *(address,) * links))
    return msgspec.Raw(f"[{','.join(found)}]".encode())


def _moments(microseconds: Sequence[int]) -> list[str]:
    """Write instants as `moment` does, all at once where none is finer than a millisecond."""
    whole = np.array(microseconds, np.int64)
    if (whole % 1000).any() or (len(whole) and not 0 <= whole.min() <= whole.max() < _YEAR_9999):
        return [moment(one) for one in microseconds]
    words: list[str] = np.datetime_as_string(whole.view("M8[us]"), unit="ms", timezone="UTC").tolist()
    return words


def _plain(row: Row) -> bool:
    value = row["value"]
    return (
        value is not None
        and -EXACT < value < EXACT
        and row["end_time"] is None
        and not row["quality"]
        and row["extra"] is None
        and row["low"] is None
        and row["high"] is None
        and row["marks"] in _MARKS
    )


def _template(row: Row) -> tuple[str, int]:
    """Return the form of an Observation that leads where this one does, and how many links it has."""
    names = navigation(_KIND, row, "")
    links = "".join(f',"{name}@iot.navigationLink":"%s/{name}"' for name in names)
    return f"{_HEAD}{links}}}", len(names)
