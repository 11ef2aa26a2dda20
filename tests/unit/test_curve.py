"""Curves and matrices of the store: the same as plain arithmetic says, from memory and from files."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nervure.core.instant import SECOND_NS
from nervure.core.observation import Batch, Quality
from nervure.store.curve import Summed
from nervure.store.observations import Observations

START = 1_700_000_000 * SECOND_NS
STREAMS, ROWS, COLUMNS = 5, 200, 7


@pytest.fixture(scope="module", params=["memory", "files"])
def stored(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Observations]:
    """Readings at random times of the Datastreams 1, 3, 5, 7, 9, some of them NaN."""
    found = Observations.open(tmp_path_factory.mktemp("curve") / "observations")
    found.append(rows(), ROWS * STREAMS)
    if request.param == "files":
        found.seal()
    yield found
    found.close()


def summed_up(some: np.ndarray[Any, Any], how: Summed) -> float:
    return float({"mean": some.mean(), "min": some.min(), "max": some.max(), "last": some[-1]}[how])


def rows() -> Batch:
    chance = np.random.default_rng(3)
    number = ROWS * STREAMS
    time = START + chance.choice(1_000_000, number, replace=False) * (SECOND_NS // 1000)
    value = chance.normal(size=number)
    value[::17] = np.nan
    text = [None if one == one else '"none"' for one in value.tolist()]  # noqa: PLR0124 - NaN
    stream = 1 + 2 * (np.arange(number) % STREAMS)
    identity = (1 + np.arange(number)) << 16
    return Batch.of(id=identity, datastream=stream, time=time, value=value, text=text)


@pytest.mark.parametrize("summed", ["mean", "min", "max", "last"])
@pytest.mark.parametrize("columns", [COLUMNS, 100_000])
def test_a_matrix_is_what_plain_arithmetic_makes(stored: Observations, summed: Summed, columns: int) -> None:
    ids, end = [1, 5, 9], START + 700 * SECOND_NS
    batch = rows()
    found = stored.matrix(ids, START, end, columns, summed)
    wanted = np.full((3, columns), np.nan)
    inside = (batch.time < end) & ~np.isnan(batch.value)
    place = (batch.time - START) // 1000 * columns // ((end - START) // 1000)
    for row, stream in enumerate(ids):
        for column in np.unique(place[inside & (batch.datastream == stream)]).tolist():
            mine = np.flatnonzero(inside & (batch.datastream == stream) & (place == column))
            wanted[row, column] = summed_up(batch.value[mine[np.argsort(batch.time[mine])]], summed)
    np.testing.assert_allclose(found, wanted, rtol=1e-6)
    assert np.isfinite(found).any()


def test_a_curve_rises_and_keeps_of_each_instant_what_came_last(tmp_path: Path) -> None:
    store = Observations.open(tmp_path / "observations")
    second = START + np.array([3, 1, 2, 2, 1]) * SECOND_NS
    issued = START + np.array([0, 0, 0, 1, -1]) * SECOND_NS
    store.append(
        Batch.of(
            id=np.arange(1, 6) << 16,
            datastream=[4] * 5,
            time=second,
            result_time=issued,
            value=[3.0, 1.0, 2.0, 2.5, 0.5],
            low=[2.0, np.nan, 1.0, 1.5, np.nan],
            high=[4.0, np.nan, 3.0, 3.5, np.nan],
        ),
        5,
    )
    curve = store.curves([4, 6], START, START + 9 * SECOND_NS)[4]
    store.close()
    assert curve.value.tolist() == [1.0, 2.5, 3.0]
    assert (np.diff(curve.time) > 0).all()
    assert curve.low is not None
    assert math.isnan(curve.low[0])
    assert curve.low[1:].tolist() == [1.5, 2.0]


def test_quality_counts_holes_and_bad_rows(tmp_path: Path) -> None:
    store = Observations.open(tmp_path / "observations")
    time = START // (10 * SECOND_NS) * 10 * SECOND_NS + np.array([0, 10, 20, 90, 100]) * SECOND_NS
    marks = [Quality.GOOD, Quality.OUT_OF_RANGE, Quality.GOOD, Quality.STUCK, Quality.GOOD]
    store.append(
        Batch.of(id=np.arange(1, 6) << 16, datastream=[2] * 5, time=time, value=np.ones(5), quality=marks), 5
    )
    found = store.quality(
        [1, 2], [SECOND_NS, 10 * SECOND_NS], START - 99 * SECOND_NS, START + 999 * SECOND_NS
    )
    store.close()
    assert found.rows.tolist() == [0, 5]
    assert found.slots.tolist() == [0, 5]
    assert found.gaps.tolist() == [0, 1]
    assert found.longest_ns.tolist() == [0, 70 * SECOND_NS]
    assert (found.out_of_range[1], found.stuck[1]) == (1, 1)


def test_what_came_after_an_id_is_found_in_its_order(stored: Observations) -> None:
    batch = rows()
    found = stored.since([3, 7], int(batch.id[500]), 30)
    wanted = batch.id[501:][np.isin(batch.datastream[501:], [3, 7])][:30]
    assert found.id.tolist() == wanted.tolist()
