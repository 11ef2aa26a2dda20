"""Observations written column by column are what they are when written one by one."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import pytest

from nervure.core.observation import NO_END, NO_RESULT_TIME, Batch
from nervure.core.sensorthings import BY_NAME
from nervure.serve.line import columns, lines
from nervure.serve.shape import observation
from nervure.store.select.hand import _dicts
from nervure.store.select.row import Found

BASE = "http://127.0.0.1/50%/v1.1"
TIME = np.array([0, 1_700_000_000_123_000_000, 1_700_000_000_123_456_000])


def batch(**more: Any) -> Batch:
    return Batch.of(
        id=[65536, 65537, 1 << 52], datastream=[7] * 3, time=TIME, **({"value": [1.0, -2.5, 0]} | more)
    )


def one_by_one(rows: Batch, *, multi: bool) -> Any:
    found = [Found(kind=BY_NAME["Observation"], row=row | {"multi": multi}) for row in _dicts(rows)]
    return msgspec.json.decode(lines(found, BASE, lambda _: {}))


@pytest.mark.parametrize("multi", [False, True])
@pytest.mark.parametrize(
    "more",
    [
        {},
        {"feature": [4, 5, 4]},
        {"result_time": TIME + 10**9},
        {"marks": [NO_RESULT_TIME] * 3},
        {"end_time": [NO_END] * 3},
        {"value": [1e-7, 9e15, 123456.789]},
    ],
)
def test_plain_ones_are_written_alike(more: dict[str, Any], multi: bool) -> None:
    rows = batch(**more)
    found = columns(rows, BASE, multi=multi)
    assert found is not None
    assert msgspec.json.decode(found) == one_by_one(rows, multi=multi)


@pytest.mark.parametrize(
    "more",
    [
        {"value": [np.nan, 1, 2]},
        {"value": [1e16, 1, 2]},
        {"text": [None, None, '"a"'], "value": [1, 2, np.nan]},
        {"quality": [0, 0, 1]},
        {"low": [np.nan, 1, np.nan]},
        {"high": [1, 1, 1]},
        {"feature": [4, 0, 4]},
        {"marks": [0, 0, NO_RESULT_TIME]},
        {"marks": [2, 2, 2]},
        {"end_time": [NO_END, NO_END, 1]},
        {"extra": [None, None, "{}"]},
    ],
)
def test_what_is_not_plain_is_left_to_others(more: dict[str, Any]) -> None:
    assert columns(batch(**more), BASE, multi=False) is None


def test_nothing_is_an_empty_list() -> None:
    assert columns(Batch.concat([]), BASE, multi=False) == msgspec.Raw(b"[]")


@pytest.mark.parametrize("kept", ['{"resultQuality":1e400}', '{"parameters":' + "[" * 2000])
def test_what_nobody_can_read_harms_no_question(kept: str) -> None:
    (row,) = _dicts(batch(extra=[kept, None, None]).take(np.array([0])))
    found = observation(row | {"multi": False})
    assert found["result"] == 1
    assert "resultQuality" not in found
