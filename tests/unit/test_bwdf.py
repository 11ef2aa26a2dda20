"""The battle's protocol: what contestants had, and the package's own word on last week's forecast."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
import numpy as np
import pytest

from nervure.core.error import DataError
from nervure.core.instant import DAY_NS, iso
from nervure.learn import bwdf
from nervure.learn.baseline import SeasonalNaive
from nervure.learn.dataset import Dataset, load
from nervure.learn.task import samples
from nervure.solutions import find


@pytest.fixture(name="dataset", scope="module")
def _dataset(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dataset]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        patch.delenv("NERVURE_DATA", raising=False)
        yield load(find("water"))


def test_contestants_see_the_weather_of_the_week_but_no_inflow(dataset: Dataset) -> None:
    week = bwdf.week(dataset, 1)
    task, start = week.task, int(week.chosen.last[0]) + 1
    assert iso((task.table.first + start) * task.table.every_ns) == "2022-07-24T22:00:00Z", "Monday, in Rome"
    assert len(task.table.value) == start + bwdf.HORIZON
    assert np.isnan(task.table.value[start:, task.targets]).all()
    assert not np.isnan(task.table.value[start:, task.ahead[0]]).any()
    assert [channel.signal for channel in task.inputs] == ["inflow", *bwdf.WEATHER]
    real = dataset.table.value[start - 24 : start]
    assert np.array_equal(task.table.value[start - 24 : start], real, equal_nan=True)
    assert samples(task, "validation").last.max() + task.horizon < start


def test_what_was_asked_stays_hidden_and_the_rest_becomes_known(dataset: Dataset) -> None:
    one, two = bwdf.week(dataset, 1), bwdf.week(dataset, 2)
    start, later = (int(week.chosen.last[0]) + 1 for week in (one, two))
    value = two.task.table.value[:, two.task.targets]
    assert np.isnan(value[start : start + bwdf.HORIZON]).all(), "the package never gives it back"
    between = slice(start + bwdf.HORIZON, later)
    assert np.array_equal(value[between], dataset.table.value[between][:, two.task.targets], equal_nan=True)
    assert later > start + bwdf.HORIZON


def test_last_week_scores_what_the_package_says_of_it(dataset: Dataset) -> None:
    """Its readme's own example for the first week, where our missing hours are filled from before."""
    found = bwdf.compete(dataset, lambda: SeasonalNaive(7 * DAY_NS, "seasonal naive week"), iterations=(1,))
    assert found.subject == "seasonal naive week"
    assert list(found.weeks) == ["W1"]
    assert found.weeks["W1"] == (found.pi1, found.pi2, found.pi3)
    assert (round(found.pi1, 2), round(found.pi2, 2), round(found.pi3, 2)) == (1.34, 3.89, 1.82)


def test_data_that_end_too_soon(dataset: Dataset) -> None:
    table = msgspec.structs.replace(dataset.table, value=dataset.table.value[:5000])
    with pytest.raises(DataError, match="end before week 1"):
        bwdf.week(msgspec.structs.replace(dataset, table=table), 1)
