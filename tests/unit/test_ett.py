"""The scaled protocol of the transformer data, by hand on a small table."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from nervure.core.declaration import Signal, Solution
from nervure.core.error import DataError
from nervure.learn import ett
from nervure.learn.baseline import LastValue
from nervure.learn.dataset import Dataset, load
from nervure.learn.task import pose
from nervure.solutions import find
from tests.made import write


@pytest.fixture(name="dataset", scope="module")
def _dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    folder = tmp_path_factory.mktemp("ett")
    write(find("energy"), folder)
    return load(find("energy"), folder)


def test_the_last_value_by_hand(dataset: Dataset) -> None:
    found = ett.compete(dataset, LastValue)
    values = dataset.table.value
    errors = []
    for column in range(values.shape[1]):
        series = values[:, column]
        scale = np.nanstd(series[:8640])
        known = np.where(np.isnan(series), 0, np.arange(len(series)))
        held = series[np.maximum.accumulate(known)]
        ends = range(8640 + 2880 - 1, 14400 - 96)
        errors += [(series[last + 1 : last + 97] - held[last]) / scale for last in ends]
    assert found.subject == "last value"
    assert found.channels == len(dataset.table.streams)
    assert found.mae == pytest.approx(np.nanmean(np.abs(errors)), rel=2e-3)
    assert found.mse == pytest.approx(np.nanmean(np.square(errors)), rel=2e-3)


def test_channels_count_alike(dataset: Dataset) -> None:
    both = ett.compete(dataset, LastValue)
    load_only = ett.scaled(task := pose(dataset, "forecast-load"), LastValue().fit(task))
    oil = ett.scaled(task := pose(dataset, "forecast-oil_temperature"), LastValue().fit(task))
    wanted = (load_only.mae * load_only.channels + oil.mae) / (load_only.channels + 1)
    assert both.mae == pytest.approx(wanted)


def test_a_solution_that_forecasts_nothing(dataset: Dataset) -> None:

    bare = Solution(name="bare", title="Bare", thing="x", signals=(Signal(name="y", unit="m", every="1h"),))
    with pytest.raises(DataError, match="forecasts nothing"):
        ett.compete(msgspec.structs.replace(dataset, solution=bare), LastValue)
