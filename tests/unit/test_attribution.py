"""Shapley values: the planted reason is found, nothing is left over, and the same seed says the same."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from numpy.typing import NDArray

from nervure.core.attribution import Block, Shares, game, hide, shapley
from nervure.core.window import Window

PLAYERS = 5


def _bent(known: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return two outputs in which players help and hinder each other."""
    one = known.astype(float)
    product = 4 * one[:, 0] * one[:, 1] * one[:, 4] - 3 * one[:, 2] * (1 - one[:, 3]) * one[:, 0]
    return np.stack([1 + product + one[:, 4], one.sum(axis=1) ** 2], axis=1)


def _by_all_orders() -> NDArray[np.float64]:
    total = np.zeros((PLAYERS, 2))
    orders = list(permutations(range(PLAYERS)))
    for order in orders:
        known = np.zeros(PLAYERS, dtype=bool)
        for player in order:
            before = _bent(known[None])[0]
            known[player] = True
            total[player] += _bent(known[None])[0] - before
    return total / len(orders)


def _sums_up(shares: Shares) -> bool:
    return bool(np.allclose(shares.value.sum(axis=0), shares.whole - shares.nothing))


def test_few_players_are_answered_exactly() -> None:
    shares = shapley(_bent, PLAYERS, orders=32)
    assert np.allclose(shares.value, _by_all_orders())
    assert not shares.error.any()
    assert shares.asked == 2**PLAYERS
    assert _sums_up(shares)


def test_drawn_orders_come_close_and_leave_nothing_over() -> None:
    shares = shapley(_bent, PLAYERS, orders=6)
    assert shares.asked < 2**PLAYERS
    assert shares.error.max() > 0
    assert _sums_up(shares), "efficiency holds however few orders are drawn"


def test_the_error_is_as_large_as_it_says() -> None:
    def wide(known: NDArray[np.bool_]) -> NDArray[np.float64]:
        one = known.astype(float)
        return np.asarray(one.sum(axis=1) ** 3 + 5 * one[:, 0])[:, None]

    exact = np.full(20, 400.0)  # all alike, so each has a twentieth of 20 ** 3
    exact[0] += 5.0
    away, said = [], []
    for seed in range(30):
        shares = shapley(wide, 20, orders=16, seed=seed)
        assert _sums_up(shares)
        away.append(shares.value[:, 0] - exact)
        said.append(shares.error[:, 0])
    real, told = np.sqrt(np.mean(np.square(away))), np.sqrt(np.mean(np.square(said)))
    assert real < 100
    assert told == pytest.approx(real, rel=0.35)


def test_the_seed_decides() -> None:
    first, again, other = (shapley(_bent, PLAYERS, orders=4, seed=seed) for seed in (1, 1, 2))
    assert np.array_equal(first.value, again.value)
    assert not np.array_equal(first.value, other.value)


def test_a_game_without_players_is_refused() -> None:
    with pytest.raises(ValueError, match="needs a player"):
        shapley(_bent, 0)


def _window(rows: int = 2) -> Window:
    x = np.arange(rows * 8 * 2, dtype=np.float32).reshape(rows, 8, 2)
    return Window(
        x=x,
        node=np.arange(rows),
        calendar=np.zeros((rows, 11, 5), dtype=np.int64),
        ahead=np.ones((rows, 3, 1), dtype=np.float32),
    )


def test_a_hidden_block_is_missing_and_nothing_else() -> None:
    blocks = [Block(channel=1, start=2, stop=5, rows=(1,)), Block(channel=0, start=0, stop=2, ahead=True)]
    window = _window()
    before = window.x.copy()
    made = hide(window, blocks, np.array([[False, True], [True, False], [True, True]]))
    x, ahead = made.x.reshape(3, 2, 8, 2), np.asarray(made.ahead).reshape(3, 2, 3, 1)
    gone = np.isnan(x)
    assert gone[0, 1, 2:5, 1].all()
    assert gone.sum() == 3
    assert np.isnan(ahead[1, 0, :2, 0]).all()
    assert np.isnan(ahead).sum() == 2
    assert np.array_equal(window.x, before), "the window itself stays whole"
    assert made.node.tolist() == [0, 1] * 3


def test_a_model_that_sees_all_nodes_gets_whole_rounds() -> None:
    seen: list[int] = []

    def predict(window: Window) -> NDArray[np.float32]:
        seen.append(len(window.node))
        rounds = np.nan_to_num(window.x[:, :, 0]).reshape(-1, 2, 8).sum(axis=(1, 2))
        return np.repeat(rounds, 2)[:, None, None].astype(np.float32)

    blocks = [Block(channel=0, start=0, stop=8, rows=(row,)) for row in range(2)]
    shares = shapley(game(predict, _window(), blocks, row=0, median=0), 2)
    assert all(count % 2 == 0 for count in seen)
    assert shares.value.ravel().tolist() == [56.0, 184.0]
