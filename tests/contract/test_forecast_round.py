"""A forecast goes out as a message and comes back, through the intake, as what was foreseen."""

from __future__ import annotations

import msgspec
import numpy as np

from nervure.core.instant import HOUR_NS
from nervure.core.settings import Limits
from nervure.score.scorer import Scorer
from nervure.sense.intake import Intake
from nervure.stream.subject import reading_subject
from nervure.stream.wire import Entries
from tests.tiny import DAY, START, WINDOW, batch_of, card, datastreams, limit, runner, solution


def test_what_the_scorer_sends_is_what_the_intake_reads() -> None:
    scorer = Scorer(runner(card(limits=limit())), datastreams(), solution=solution())
    rows = [(11, START + slot, 20.0 + np.sin(slot) / 3) for slot in range(WINDOW)]
    pack = scorer.take(batch_of(rows)).packs[-1]
    entries = Entries(
        sequence=[5],
        subject=[reading_subject(pack.datastream)],
        payload=[pack.encode()],
        received_ns=[pack.issued_ns],
    )
    batch, rejects = Intake(datastreams(), Limits()).take(entries)
    assert rejects == []
    assert batch.datastream.tolist() == [21] * DAY
    assert batch.time.tolist() == [(START + WINDOW + ahead) * HOUR_NS for ahead in range(DAY)]
    assert batch.result_time.tolist() == [pack.issued_ns] * DAY
    assert [batch.value.tolist(), batch.low.tolist(), batch.high.tolist()] == [pack.v, pack.low, pack.high]


def test_forecasts_that_come_back_are_not_scored_again() -> None:
    scorer = Scorer(runner(card(limits=limit())), datastreams(), solution=solution())
    scored = scorer.take(batch_of([(21, START, 20.0), (22, START, 20.0)]))
    assert (len(scored.packs), len(scored.findings)) == (0, 0)


def test_limits_travel_in_the_card() -> None:
    described = runner(card(limits=limit())).card
    assert msgspec.convert(described.limits["anomaly-inflow"], type(limit())) == limit()
