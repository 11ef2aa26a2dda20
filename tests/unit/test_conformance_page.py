"""``docs/conformance.md`` says what the tests say."""

from __future__ import annotations

from pathlib import Path

from tests.conformance.requirement import REQUIREMENTS
from tools.conformance import collect, page

ROOT = Path(__file__).parents[2]
CASES = collect(ROOT / "tests" / "conformance")


def test_every_requirement_is_checked() -> None:
    checked = {one for case in CASES for one in case.requirements}
    assert checked == set(REQUIREMENTS)


def test_the_page_is_true() -> None:
    written = (ROOT / "docs" / "conformance.md").read_text("utf-8")
    assert written == page(CASES), "run: python tools/conformance.py"


def test_what_is_not_met_says_why() -> None:
    assert all(case.unmet != "see the test" for case in CASES)
