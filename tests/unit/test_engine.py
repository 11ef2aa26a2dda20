"""The engine: alerts rise, last, end and come back as rules say, and a broken meter is no burst."""

from __future__ import annotations

import msgspec
import pytest

from nervure.act.engine import Engine
from nervure.act.rule import rulings
from nervure.act.state import acknowledge, shelve
from nervure.core.alert import Alert
from nervure.core.error import DeclarationError
from nervure.core.finding import Finding
from nervure.core.instant import HOUR_NS
from tests.tiny import START, datastreams, solution, things


@pytest.fixture
def engine() -> Engine:
    return Engine(solution(), things(), datastreams())


def _found(
    hour: float, score: float = 0.0, *, stream: int = 11, value: float = 26.0, flat_h: float = 0.0
) -> Finding:
    time_ns = round((START + hour) * HOUR_NS)
    return Finding(
        datastream=stream, time_ns=time_ns, value=value, expected=20.0, low=19.0, high=21.0, score=score,
        limit=6.0, sure=min(1.0, score / 10), flat_s=flat_h * 3600, onset_ns=time_ns,
    )  # fmt: skip


def _feed(engine: Engine, *findings: Finding) -> list[Alert]:
    return [alert for finding in findings for alert in engine.take([finding])]


def test_an_alert_says_what_where_since_when_how_sure_and_which_readings(engine: Engine) -> None:
    told = _feed(engine, _found(0, 1.0), *(_found(hour, 7.0 + hour / 2) for hour in range(1, 4)))
    (alert,) = told
    assert alert.rule == "water.burst"
    assert (alert.thing, alert.datastream, alert.severity) == (1, 11, "major")
    assert alert.text == (
        "Burst in north: 26.0 L/s, expected 20.0, since Wednesday 1 March 2023, 01:00 (2 h)."
    )
    assert (alert.start_ns, alert.raised_ns) == ((START + 1) * HOUR_NS, (START + 3) * HOUR_NS)
    assert alert.sure == pytest.approx(0.85)
    assert [one.time_ns // HOUR_NS - START for one in alert.evidence] == [1, 2, 3]
    assert alert.evidence[-1].score == 8.5
    assert alert.properties["excess"] == 6.0
    assert alert.properties["unit"] == "L/s"


def test_it_starts_where_the_score_began_to_rise(engine: Engine) -> None:
    onset = (START - 3) * HOUR_NS
    rising = [msgspec.structs.replace(_found(hour, 9.0), onset_ns=onset) for hour in range(3)]
    (alert,) = _feed(engine, *rising)
    assert alert.start_ns == onset
    assert alert.text.endswith("(5 h).")


@pytest.mark.parametrize("restarted", [False, True])
def test_what_comes_back_claims_no_hours_of_the_alert_before(engine: Engine, restarted: bool) -> None:
    onset = (START - 3) * HOUR_NS
    one, other = (
        [msgspec.structs.replace(_found(hour, score), onset_ns=onset) for hour in range(first, last)]
        for first, last, score in ((0, 3, 9.0), (20, 23, 9.0))
    )
    calm = [msgspec.structs.replace(_found(hour, 3.0), onset_ns=onset) for hour in range(3, 16)]
    first, over = _feed(engine, *one, *calm)
    if restarted:
        state, engine = engine.state(), Engine(solution(), things(), datastreams())
        engine.restore(state)
    (second,) = _feed(engine, *other)
    assert (first.start_ns, over.end_ns) == (onset, (START + 2) * HOUR_NS)
    assert second.start_ns == (START + 20) * HOUR_NS
    assert second.id != first.id


def test_too_short_a_spell_raises_nothing(engine: Engine) -> None:
    assert _feed(engine, _found(0, 9.0), _found(1, 9.0), _found(2, 0.0), _found(3, 9.0)) == []


def test_what_goes_on_is_told_again_ever_more_seldom_under_one_id(engine: Engine) -> None:
    told = _feed(engine, *(_found(hour, 9.0) for hour in range(48)))
    assert [alert.raised_ns for alert in told] == [(START + 2) * HOUR_NS] * len(told)
    assert len({alert.id for alert in told}) == 1
    assert len(told) == 5
    assert len(told[-1].evidence) == 12


def test_it_clears_after_the_gap_and_comes_back_as_a_new_one(engine: Engine) -> None:
    raised = _feed(engine, *(_found(hour, 9.0) for hour in range(3)))[0]
    assert _feed(engine, *(_found(hour, 0.0) for hour in range(3, 8))) == []
    assert _feed(engine, _found(8, 9.0))[0].active
    cleared = _feed(engine, *(_found(hour, 0.0) for hour in range(9, 21)))
    assert [(alert.id, alert.active) for alert in cleared] == [(raised.id, False)]
    assert cleared[0].end_ns == (START + 8) * HOUR_NS
    again = _feed(engine, *(_found(hour, 9.0) for hour in range(30, 33)))
    assert again[0].id != raised.id


def test_unknown_scores_neither_raise_nor_clear(engine: Engine) -> None:
    raised = _feed(engine, _found(0, 9.0), _found(1, float("nan")), _found(2, 9.0))
    assert len(raised) == 1
    assert _feed(engine, *(_found(hour, float("nan")) for hour in range(3, 30))) == []
    assert [alert.active for alert in engine.open] == [True]


def test_a_stuck_meter_is_told_once_and_keeps_the_burst_quiet(engine: Engine) -> None:
    stuck = [_found(hour, 9.0 if hour > 6 else 0.0, flat_h=hour) for hour in range(24)]
    told = _feed(engine, *stuck)
    assert {alert.rule for alert in told} == {"water.stuck"}
    assert told[0].start_ns == START * HOUR_NS
    assert told[0].text == "north stuck at 26.0"
    assert told[0].properties["suppresses"] == ["water.burst"]
    assert told[-1].properties["suppressed"] == ["water.burst"]
    over = _feed(engine, *(_found(hour, 9.0, value=49.0 - hour) for hour in range(24, 27)))
    assert [(alert.rule, alert.active) for alert in over] == [("water.stuck", False), ("water.burst", True)]


def test_another_districts_burst_is_not_kept_quiet(engine: Engine) -> None:
    stuck = [_found(hour, flat_h=hour) for hour in range(12)]
    findings = [*stuck, *(_found(hour, 9.0, stream=12) for hour in range(12))]
    assert {alert.rule for alert in engine.take(findings)} == {"water.stuck", "water.burst"}


def test_a_value_rule_holds_and_ends_after_as_long(engine: Engine) -> None:
    high = [_found(hour, value=950.0) for hour in range(2)]
    told = _feed(engine, *high, *(_found(hour) for hour in range(2, 4)))
    assert [(alert.rule, alert.active, alert.severity) for alert in told] == [
        ("water.flood", True, "critical"),
        ("water.flood", False, "critical"),
    ]
    assert told[0].text == "+930"


def test_silence_is_found_as_time_passes_and_ends_with_a_reading(engine: Engine) -> None:
    _feed(engine, _found(0), _found(0, stream=12))
    assert engine.tick((START + 6) * HOUR_NS) == []
    silent = engine.tick((START + 7) * HOUR_NS)
    assert [(alert.rule, alert.datastream, alert.start_ns) for alert in silent] == [
        ("water.silent", 11, START * HOUR_NS),
        ("water.silent", 12, START * HOUR_NS),
    ]
    assert engine.tick((START + 8) * HOUR_NS) == []
    back = _feed(engine, _found(9))
    assert [(alert.id, alert.active, alert.end_ns) for alert in back] == [
        (silent[0].id, False, (START + 9) * HOUR_NS)
    ]


def test_without_a_clock_time_is_what_the_other_streams_say(engine: Engine) -> None:
    assert engine.tick() == []
    _feed(engine, _found(0), *(_found(hour, stream=12) for hour in range(8)))
    assert [alert.datastream for alert in engine.tick()] == [11]


def test_what_a_person_did_stays_on_later_updates(engine: Engine) -> None:
    alert = _feed(engine, *(_found(hour, 9.0) for hour in range(3)))[0]
    engine.note(shelve(acknowledge(alert, "mara"), 10, "mara", "known works"))
    later = _feed(engine, *(_found(hour, 9.0) for hour in range(3, 9)))[-1]
    assert (later.acknowledged, later.shelved_until_ns) == (True, 10)
    assert later.properties["acknowledged_by"] == "mara"


def test_a_restart_goes_on_with_open_alerts(engine: Engine) -> None:
    raised = _feed(engine, *(_found(hour, 9.0) for hour in range(3)))[0]
    other = Engine(solution(), things(), [one for one in datastreams() if one.id > 11])
    other.restore(engine.state())
    other.learn(things(), datastreams())
    assert [alert.id for alert in other.open] == [raised.id]
    assert other.state() == engine.state()
    assert _feed(other, *(_found(hour, 9.0) for hour in range(3, 10)))[0].id == raised.id


def test_a_rule_that_is_gone_takes_its_alerts_with_it(engine: Engine) -> None:
    _feed(engine, *(_found(hour, 9.0) for hour in range(3)))
    fewer = msgspec.structs.replace(solution(), rules=solution().rules[1:])
    other = Engine(fewer, things(), datastreams())
    other.restore(engine.state())
    assert other.open == []


def test_findings_of_others_are_left_alone(engine: Engine) -> None:
    assert _feed(engine, *(_found(hour, 9.0, stream=41) for hour in range(9))) == []


def test_the_state_does_not_grow_with_time(engine: Engine) -> None:
    _feed(engine, *(_found(hour, 9.0) for hour in range(20)))
    long = len(engine.state())
    _feed(engine, *(_found(hour, 9.0) for hour in range(20, 200)))
    assert len(engine.state()) <= long + 8


def test_a_sentence_with_an_unknown_place_is_refused() -> None:
    rule = msgspec.structs.replace(solution().rules[0], say="At {place}")
    with pytest.raises(DeclarationError, match=r"says \{place\}"):
        rulings(msgspec.structs.replace(solution(), rules=(rule,)))
