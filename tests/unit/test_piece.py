"""Large states in pieces: only what changed is written, and what was written comes back whole."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from nervure.node.piece import PIECE_BYTES, Pieces
from nervure.store.catalogue import Catalogue


def test_a_state_comes_back_through_the_catalogue(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    states = {name: random.bytes(size) for name, size in (("a", 5 * PIECE_BYTES + 7), ("a/b", 3))}
    catalogue = Catalogue.open(tmp_path / "catalogue.db")
    pieces = Pieces(catalogue.view_parts("score"))
    for turn in range(1, 4):
        changed = pieces.changed(states)
        assert len(changed) == (7 if turn == 1 else 1)
        catalogue.commit_view("score", turn, b"", (), changed)
        pieces.written(changed)
        states["a"] = b"?" + states["a"][1:] if turn == 1 else states["a"][:-1] + bytes([turn])
    catalogue.commit_view("scores", 1, b"", (), {"a/0": b"another view's"})
    again = Pieces(catalogue.view_parts("score"))
    catalogue.close()
    changed = again.changed(states)
    assert list(changed) == ["a/5"]
    again.written(changed)
    assert {name: again.joined(name, len(state)) for name, state in states.items()} == states


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3 * PIECE_BYTES), st.integers(0, 255)), max_size=8))
def test_whatever_lengths_follow_each_other_the_last_comes_back(turns: list[tuple[int, int]]) -> None:
    pieces = Pieces({})
    for size, letter in turns:
        state = bytes([letter]) * size
        pieces.written(pieces.changed({"a": state}))
        assert pieces.joined("a", size) == state
        assert pieces.changed({"a": state}) == {}
