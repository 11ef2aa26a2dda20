"""What is known before its time: taken in by declared signals only, seen by the model, read by nobody."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from nervure.act.engine import Engine
from nervure.core.declaration import Signal, Solution, validate
from nervure.core.error import DeclarationError
from nervure.core.instant import DAY_NS, HOUR_NS, iso
from nervure.core.observation import Batch, Quality, Reject
from nervure.core.settings import Limits
from nervure.score.scorer import Scorer
from nervure.sense.intake import Intake
from nervure.store.duplicate import lateness
from nervure.store.latest import Latest
from nervure.stream.subject import reading_subject
from nervure.stream.wire import Entries
from tests.tiny import DAY, START, WINDOW, batch_of, card, datastreams, limit, runner, solution, things

NOW = (START + WINDOW) * HOUR_NS
RAIN, INFLOW = 31, 11


def _told(ahead: range, value: float, *, issued: int = NOW, stream: int = RAIN) -> Batch:
    """Return a forecast of the slots ``ahead`` of ``NOW``."""
    rows = np.array(ahead)
    return Batch.of(
        id=rows << 16,
        datastream=np.full(len(rows), stream),
        time=NOW + rows * HOUR_NS,
        result_time=np.full(len(rows), issued),
        value=np.full(len(rows), value),
    )


@pytest.fixture
def scorer() -> Scorer:
    made = Scorer(runner(card(limits=limit(), future=True)), datastreams(), solution=solution(ahead="48h"))
    made.take(batch_of([(INFLOW, START + slot, 20.0) for slot in range(WINDOW)]))
    return made


def _foreseen(scorer: Scorer, slot: int = WINDOW) -> list[float]:
    return scorer.take(batch_of([(INFLOW, START + slot, 20.0 + 0.01 * slot)])).packs[0].v


def test_a_forecast_reaches_the_horizon_and_is_scored_by_nobody(scorer: Scorer) -> None:
    scored = scorer.take(_told(range(1, 31), 2.0))
    assert (len(scored.packs), len(scored.findings)) == (0, 0)
    plain = [20.0] * (DAY - 1) + [20.48]
    assert _foreseen(scorer) == pytest.approx([one + 2.0 for one in plain], abs=1e-3)


def test_where_nothing_is_foretold_nothing_is_known(scorer: Scorer) -> None:
    scorer.take(_told(range(1, 4), 2.0))
    assert np.round(np.array(_foreseen(scorer)) - 20.0, 2).tolist() == [2.0] * 3 + [0.0] * 20 + [0.48]


def test_a_newer_issue_replaces_an_older_one_however_they_come(scorer: Scorer) -> None:
    for issued, value in ((NOW - 6 * HOUR_NS, 1.0), (NOW, 3.0), (NOW - HOUR_NS, 5.0)):
        scorer.take(_told(range(1, 25), value, issued=issued))
    assert _foreseen(scorer)[0] == pytest.approx(23.0)


def test_what_is_doubted_is_not_believed(scorer: Scorer) -> None:
    forecast = _told(range(1, 25), 900.0)
    forecast.quality[:] = Quality.OUT_OF_RANGE
    scorer.take(forecast)
    assert _foreseen(scorer)[0] == pytest.approx(20.0)


def test_a_reading_replaces_what_was_foretold_of_its_hour(scorer: Scorer) -> None:
    scorer.take(_told(range(1, 40), 2.0))
    assert _foreseen(scorer, WINDOW + 1)[-1] == pytest.approx(20.49 + 2.0 + 2.0)  # the hour itself, and ahead
    scorer.take(batch_of([(RAIN, START + WINDOW + 2, 7.0)]))
    assert _foreseen(scorer, WINDOW + 2)[-1] == pytest.approx(20.5 + 7.0 + 2.0)


def test_a_signal_that_is_not_declared_so_is_read_as_ever() -> None:
    scorer = Scorer(runner(card()), datastreams(), solution=solution())
    scored = scorer.take(_told(range(1), 5.0, issued=NOW - 1, stream=INFLOW))
    assert (len(scored.packs), len(scored.findings)) == (1, 1)


def test_it_is_neither_the_newest_reading_nor_the_clock() -> None:
    declared = solution(ahead="48h")
    scorer = Scorer(None, datastreams(), solution=declared)
    engine = Engine(declared, things(), datastreams())
    engine.take(scorer.take(batch_of([(INFLOW, START + WINDOW, 20.0)])).findings)
    before = scorer.state()
    engine.take(scorer.take(_told(range(1, 48), 1.0)).findings)
    assert scorer.state() == before
    assert engine.clock_ns == NOW + HOUR_NS // 6
    assert engine.tick() == []


def test_it_survives_a_restart_and_is_recalled_from_the_store(scorer: Scorer) -> None:
    scorer.take(_told(range(1, 31), 2.0))
    again = Scorer(runner(card(limits=limit(), future=True)), datastreams(), solution=solution(ahead="48h"))
    assert again.restore(scorer.state())
    fresh = Scorer(runner(card(limits=limit(), future=True)), datastreams(), solution=solution(ahead="48h"))
    fresh.recall(Batch.concat([batch_of([(RAIN, START, 9.0)]), _told(range(1, 31), 2.0)]))
    assert _foreseen(again)[0] == _foreseen(fresh)[0] == pytest.approx(22.0)


def test_a_state_from_before_a_longer_reach_was_declared_is_still_taken(scorer: Scorer) -> None:
    scorer.take(_told(range(1, 31), 2.0))
    longer = Scorer(runner(card(limits=limit(), future=True)), datastreams(), solution=solution(ahead="10d"))
    assert longer.restore(scorer.state())
    assert math.isfinite(_foreseen(longer)[0])


# --- the way in ------------------------------------------------------------------------------------


def _taken(stream: int, *, ahead_ns: int, issued_ns: int | None = 0) -> tuple[Batch, list[Reject]]:
    body = {"result": 1.0, "phenomenonTime": iso(NOW + ahead_ns)}
    if issued_ns is not None:
        body["resultTime"] = iso(NOW + issued_ns)
    entries = Entries(
        sequence=[1],
        subject=[reading_subject(stream)],
        payload=[json.dumps(body).encode()],
        received_ns=[NOW],
    )
    return Intake(datastreams(), Limits(), [solution(ahead="48h")]).take(entries)


def test_only_declared_signals_may_be_ahead_of_their_time_and_only_so_far() -> None:
    batch, rejects = _taken(RAIN, ahead_ns=2 * DAY_NS)
    assert rejects == []
    assert (batch.time.tolist(), batch.result_time.tolist()) == ([NOW + 2 * DAY_NS], [NOW])
    assert batch.quality.tolist() == [Quality.GOOD]
    for stream, ahead_ns in ((RAIN, 2 * DAY_NS + HOUR_NS), (INFLOW, HOUR_NS)):
        assert [one.reason for one in _taken(stream, ahead_ns=ahead_ns)[1]] == ["future"]


def test_a_forecast_must_say_when_it_was_issued_and_not_from_the_future() -> None:
    for issued_ns in (None, 2 * HOUR_NS):
        rejects = _taken(RAIN, ahead_ns=DAY_NS, issued_ns=issued_ns)[1]
        assert [one.reason for one in rejects] == ["future"]
        assert "resultTime" in rejects[0].detail
        assert "2d" in rejects[0].detail


def test_a_pack_of_forecasts_is_one_message() -> None:
    body = {"t0": iso(NOW + HOUR_NS), "dt": 3600, "v": [1.0, None, 3.0], "resultTime": iso(NOW)}
    entries = Entries(
        sequence=[1],
        subject=[reading_subject(RAIN)],
        payload=[json.dumps(body).encode()],
        received_ns=[NOW],
    )
    batch, rejects = Intake(datastreams(), Limits(), [solution(ahead="48h")]).take(entries)
    assert rejects == []
    assert batch.time.tolist() == [NOW + HOUR_NS, NOW + 3 * HOUR_NS]


def test_what_is_read_after_a_forecast_is_not_late_for_it() -> None:
    latest = Latest()
    forecast = _told(range(1, 48), 1.0)
    latest.add(forecast, latest.slots(forecast.datastream))
    read = batch_of([(RAIN, START + WINDOW, 2.0), (RAIN, START + WINDOW - 30, 2.0)])
    both = Batch.concat([forecast, read])
    for batch, rows in ((read, [0, 1]), (both, [47, 48])):
        marked = lateness(batch, latest.slots(batch.datastream), latest).quality[rows]
        assert marked.tolist() == [Quality.GOOD, Quality.LATE]


@pytest.mark.parametrize("ahead", ["0s", "500d"])
def test_a_reach_without_sense_is_refused(ahead: str) -> None:
    with pytest.raises(DeclarationError) as found:
        validate(
            Solution(
                name="sky", title="Sky", thing="sky",
                signals=(Signal(name="rain", unit="mm", every="1h", ahead=ahead),),
            )
        )  # fmt: skip
    assert str(found.value.where).endswith(".ahead")
