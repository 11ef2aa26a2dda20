"""Lines: a page of plain Observations as JSON text, without an object for each of their properties."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from nervure.core.observation import NO_END, NO_RESULT_TIME, Batch
from nervure.core.sensorthings import BY_NAME
from nervure.serve.shape import EXACT, moment, navigation
from nervure.store.select.row import Found

__all__ = ["columns", "lines"]

_KIND = BY_NAME["Observation"]
_HEAD = '{"@iot.id":%%d,"@iot.selfLink":"%s%%d)","phenomenonTime":"%%s","resultTime":%%s,"result":%%s'
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
            forms[form] = _template(row, start)
        template, links = forms[form]
        value = row["value"]
        if row["marks"]:
            issued = "null"
        else:
            issued = f'"{begun if row["result_time"] == row["time"] else moment(row["result_time"])}"'
        result = int(value) if value.is_integer() else value
        found.append(template % (row["id"], row["id"], begun, issued, result, *(row["id"],) * links))
    return msgspec.Raw(f"[{','.join(found)}]".encode())


def columns(rows: Batch, base: str, *, multi: bool) -> msgspec.Raw | None:
    """Write Observations of one Datastream as `lines` does, column by column; None if one is not plain."""
    if not len(rows):
        return msgspec.Raw(b"[]")
    marked = 0 if rows.marks is None else int(rows.marks[0])
    abroad = rows.feature is not None and bool(rows.feature[0])
    if marked not in _MARKS or not _all_plain(rows, marked, abroad=abroad):
        return None
    start = msgspec.json.encode(f"{base}/Observations(").decode()[1:-1]
    template, links = _template({"multi": multi, "feature": 1 if abroad else None}, start)
    begun = _moments(rows.time // 1000)
    issued: Sequence[str] = begun
    if marked:
        issued = ["null"] * len(rows)
    elif rows.result_time is not rows.time and not np.array_equal(rows.result_time, rows.time):
        issued = _moments(rows.result_time // 1000)
    if not marked:
        issued = [f'"{one}"' for one in issued]
    ids, numbers = rows.id.tolist(), _numbers(rows.value)
    text = ",".join(
        map(template.__mod__, zip(ids, ids, begun, issued, numbers, *(ids,) * links, strict=True))
    )
    return msgspec.Raw(f"[{text}]".encode())


def _all_plain(rows: Batch, marked: int, *, abroad: bool) -> bool:
    value = rows.value
    return bool(
        rows.text is None
        and rows.extra is None
        and (np.abs(value) < EXACT).all()
        and not rows.quality.any()
        and np.isnan(rows.low).all()
        and np.isnan(rows.high).all()
        and (rows.end_time is None or (rows.end_time == NO_END).all())
        and (rows.marks is None or (rows.marks == marked).all())
        and (rows.feature is None or ((rows.feature != 0) == abroad).all())
    )


def _numbers(values: NDArray[np.float64]) -> list[str]:
    """Write numbers, whole ones without a point."""
    exact: list[float] = [int(one) if one.is_integer() else one for one in values.tolist()]
    return msgspec.json.encode(exact).decode()[1:-1].split(",")


def _moments(microseconds: Sequence[int] | NDArray[np.int64]) -> list[str]:
    """Write instants as `moment` does, all at once where none is finer than a millisecond."""
    whole = np.array(microseconds, np.int64)
    if (whole % 1000).any() or (len(whole) and not 0 <= whole.min() <= whole.max() < _YEAR_9999):
        return [moment(one) for one in whole.tolist()]
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


def _template(row: Row, start: str) -> tuple[str, int]:
    """Return the form of an Observation that leads where this one does, and how many links it has."""
    names, safe = navigation(_KIND, row, ""), start.replace("%", "%%")
    links = "".join(f',"{name}@iot.navigationLink":"{safe}%d)/{name}"' for name in names)
    return f"{_HEAD % safe}{links}}}", len(names)
