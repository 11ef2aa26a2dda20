"""Every page of a proof is what its JSON says, written by the command that it names."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import pytest

from nervure.bench.twin.report import page, read
from nervure.cli.proof import PROOFS

REPORT = Path(__file__).parents[2] / "docs" / "report"


@pytest.mark.parametrize("name", sorted(PROOFS))
def test_a_page_is_written_from_its_json(name: str) -> None:
    proof = read(REPORT / f"{name}.json")
    assert (REPORT / f"{name}.md").read_text("utf-8") == page(proof)
    assert proof.command == f"nervure evaluate {name} --json --out docs/report"
    assert callable(import_module(PROOFS[name]).prove)
