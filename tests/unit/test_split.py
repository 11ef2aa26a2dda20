"""The splitter refuses what leaks, and says so in words."""

from __future__ import annotations

import numpy as np
import pytest

from nervure.core.error import DataError, DeclarationError, LeakError
from nervure.core.instant import HOUR_NS
from nervure.learn.split import Split, by_group, by_random, by_time, check, cuts_of


def test_declared_parts_become_rows() -> None:
    assert cuts_of((0.5, 0.25, 0.25), 8, HOUR_NS) == (0, 4, 6, 8)
    assert cuts_of(("2h", "1h", "1h"), 8, HOUR_NS) == (0, 2, 3, 4)
    assert cuts_of(("rest", "1h", "2h"), 8, HOUR_NS) == (0, 5, 6, 8)


def test_parts_that_do_not_fit_are_refused() -> None:
    with pytest.raises(DeclarationError, match="do not add up to 1"):
        cuts_of((0.5, 0.2, 0.2), 100, HOUR_NS)
    with pytest.raises(DataError, match="8 rows are too few"):
        cuts_of(("rest", "1d", "1d"), 8, HOUR_NS)
    with pytest.raises(DataError, match="leave a part empty"):
        by_time((0, 4, 5, 8), purge=1)


def test_a_group_in_two_parts_is_a_leak() -> None:
    with pytest.raises(LeakError, match="group bearing 3 is in validation and in test"):
        by_group(["bearing 1", "bearing 3"], validation=["bearing 3"], test=["bearing 3"])
    with pytest.raises(DataError, match="no group 'x'"):
        by_group(["a", "b"], validation=["x"], test=["b"])
    with pytest.raises(DataError, match="part of the split by group is empty"):
        by_group(["a", "b"], validation=["a"], test=["b"])


def test_overlapping_windows_are_not_dealt_at_random() -> None:
    starts = np.arange(0, 100, 5)
    with pytest.raises(LeakError, match="overlap") as caught:
        by_random(starts, 10)
    assert "allow_leaky" in str(caught.value)
    assert by_random(starts, 10, allow_leaky=True).leaky
    assert not by_random(starts, 5).leaky


def test_a_row_in_two_parts_is_a_leak() -> None:
    rows = np.arange(5)
    with pytest.raises(LeakError, match="row 4 is in train and in test"):
        check(Split(train=rows, validation=rows + 5, test=rows + 4, how="by hand"))
