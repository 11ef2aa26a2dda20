"""Figures of an earlier report that were not measured anew."""

from pathlib import Path

from msgspec.structs import replace

from nervure.bench.signal.document import read
from nervure.bench.signal.older import filled
from nervure.bench.signal.page import write_page

REPORT = read(Path(__file__).parents[2] / "docs" / "report" / "signals.json")


def test_what_was_not_measured_anew_is_kept_and_named() -> None:
    old = replace(REPORT, older=(), made="2026-01-02T00:00:00Z")
    gone = old.rows[-1]
    new = replace(
        old, rows=old.rows[:-1], robust=old.robust[1:], made="2026-02-03T00:00:00Z",
        promotions=(), trainings=(), missing=(f"{gone.net}, {gone.controller} at demand 1",),
    )  # fmt: skip
    found = filled(new, old)
    assert found.rows == old.rows
    assert {one.net for one in found.robust} == {one.net for one in old.robust}
    assert found.missing == ()
    assert found.older[0] == f"{gone.net}, {gone.controller} (2026-01-02)"
    assert len(found.older) == 2
    assert f"- {found.older[0]}" in write_page(found)
    again = filled(replace(new, made="2026-03-04T00:00:00Z"), found)
    assert again.older == found.older  # the day on which it was measured stays
    assert filled(old, old) == old
