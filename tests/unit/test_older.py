"""Figures of an earlier report that were not measured anew."""

from pathlib import Path

from msgspec.structs import replace

from nervure.bench.signal.document import Promotion, assemble, read
from nervure.bench.signal.job import LEARNED, Job, Kept
from nervure.bench.signal.older import filled
from nervure.bench.signal.page import write_page
from nervure.bench.signal.plan import code_of
from nervure.core.paired import paired

REPORT = read(Path(__file__).parents[2] / "docs" / "report" / "signals.json")


def test_what_was_not_measured_anew_is_kept_and_named() -> None:
    old = replace(REPORT, older=(), made="2026-01-02T00:00:00Z")
    gone = next(one for one in old.rows if one.kind == "rule")
    new = replace(
        old, rows=tuple(one for one in old.rows if one != gone), robust=old.robust[1:],
        made="2026-02-03T00:00:00Z", promotions=(), trainings=(),
        missing=(f"{gone.net}, {gone.controller} at demand 1",),
    )  # fmt: skip
    found = filled(new, old)
    assert set(map(str, found.rows)) == set(map(str, old.rows))
    assert {one.net for one in found.robust} == {one.net for one in old.robust}
    assert found.missing == ()
    assert found.older[0] == f"{gone.net}, {gone.controller} (2026-01-02)"
    assert len(found.older) == 2
    assert f"- {found.older[0]}" in write_page(found)
    again = filled(replace(new, made="2026-03-04T00:00:00Z"), found)
    assert again.older == found.older  # the day on which it was measured stays
    assert filled(old, old) == old


def test_who_was_promoted_over_a_rule_of_another_day_is_not_promoted_over_that_of_today() -> None:
    learned = next(one for one in REPORT.rows if one.kind == "learned")
    rule = next(one for one in REPORT.rows if (one.net, one.controller) == (learned.net, "max-pressure"))
    better = Promotion(
        net=learned.net, controller=learned.controller, rule=rule.controller,
        rule_delay_s=rule.mean["delay"], delay=paired([1.0] * 10, [2.0] * 10), gain=0.1, promoted=True,
    )  # fmt: skip
    old = replace(REPORT, rows=(rule, learned), promotions=(better,), missing=())
    assert filled(replace(old, rows=(rule,), promotions=()), old).promotions == (better,)
    faster = replace(rule, mean=rule.mean | {"delay": rule.mean["delay"] - 3.0})
    found = filled(replace(old, rows=(faster,), promotions=()), old)
    assert found.promotions == ()
    assert found.missing == (f"{learned.net}, {learned.controller} against the rules of today",)


def test_weights_that_earlier_code_taught_are_named() -> None:
    """What a controller is told of a junction may mean something else since."""
    jobs = [Job(net="crossing", controller=one, seeds=(0,), train_s=90.0) for one in LEARNED]
    codes = ("", code_of(learning=True))
    kept = [Kept(job=job, code=code) for job, code in zip(jobs, codes, strict=True)]
    made = assemble(kept, (), made="2026-01-02T00:00:00Z", machine=REPORT.machine, engine="SUMO", full=False)
    assert [one.earlier for one in made.trainings] == [True, False]
    page = write_page(replace(REPORT, trainings=made.trainings))
    assert "Taught before code that teaching rests on was changed last: crossing double DQN." in page
