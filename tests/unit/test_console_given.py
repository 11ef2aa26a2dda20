"""What the console's API reads from queries, reduces and previews."""

from __future__ import annotations

import numpy as np
import pytest

from nervure.core.error import QueryError
from nervure.core.event import Persistence, events
from nervure.serve.control.given import instant_ns, keys, span_ns
from nervure.serve.control.history import reduced
from nervure.serve.control.tuning import stirring
from nervure.store.curve import Curve


def test_instants_and_keys_that_cannot_be_read_are_refused() -> None:
    for text in ("", "yesterday", "-", "-5", "2026-13-01", "99999999999999999", "-9999999d", "+900000d"):
        with pytest.raises(QueryError):
            instant_ns(text)
    for text in ("", "a", "1-", "-1", "1,,2", "1-20000", "0x1"):
        with pytest.raises(QueryError):
            keys(text)
    assert keys("7-5,2").tolist() == [2]
    with pytest.raises(QueryError):
        span_ns("now", "-1h")


@pytest.mark.parametrize(("method", "points"), [("minmax", 2), ("m4", 4), ("lttb", 1)])
def test_a_reduced_series_keeps_its_extremes_and_no_more_points_than_a_pixel_takes(
    method: str, points: int
) -> None:
    chance = np.random.default_rng(5)
    curve = Curve(time=np.cumsum(chance.integers(1, 1000, 50_000)), value=chance.normal(size=50_000))
    for px in (2, 5, 300, 1200):
        kept = reduced(curve, px, method)  # type: ignore[arg-type]  # one of three
        assert kept is not None
        assert 2 <= len(kept) <= max(4, points * px) + 1
        assert (np.diff(kept) > 0).all()
        if method != "lttb":
            assert {int(curve.value.argmin()), int(curve.value.argmax())} <= set(kept.tolist())
    assert reduced(curve, 4000, "m4") is not None
    short = Curve(time=curve.time[:100], value=curve.value[:100])
    assert reduced(short, 100, "minmax") is None


@pytest.mark.parametrize("method", ["minmax", "m4"])
def test_a_reduced_series_keeps_the_reading_that_ends_an_outage(method: str) -> None:
    minute = 60_000_000
    time = 1_700_000_000_000_000 + np.arange(5_000) * minute
    time[-1] += 16_000 * minute
    value = np.zeros(5_000)
    value[-1] = 9.0
    kept = reduced(Curve(time=time, value=value), 300, method)  # type: ignore[arg-type]  # one of two
    assert kept is not None
    assert value[kept].max() == 9.0


@pytest.mark.parametrize("seed", range(20))
def test_rows_that_stir_nothing_change_no_alarm(seed: int) -> None:
    chance = np.random.default_rng(seed)
    moment = np.cumsum(chance.integers(1, 8, 400))
    value = np.convolve(chance.normal(size=400), np.ones(4), "same")
    value[chance.random(400) < 0.05] = np.nan
    span = Persistence(hold_ns=int(chance.integers(0, 12)), gap_ns=int(chance.integers(0, 30)), hole_ns=40)
    chosen = stirring(moment, value, 1.5, span)
    assert len(chosen) < 400
    whole = events(moment, value[:, None], 1.5, span)
    few = events(moment[chosen], value[chosen][:, None], 1.5, span)
    assert [one.raised_ns for one in few] == [one.raised_ns for one in whole]
    assert len(whole) > 2
