"""Attribution: how much each block of a window moves a forecast, for any model that bears gaps.

A player of the game is a block of cells (a channel over a span of time) that is hidden by setting it
to missing. Its share is its Shapley value: what it adds on average over the orders in which blocks
may become known. The shares add up to the forecast less the forecast with every block hidden, exactly,
however few orders are drawn. Source: Štrumbelj & Kononenko, JMLR 11, 2010; drawn orders: Castro,
Gómez & Tejada, Comput. Oper. Res. 36, 2009; orders in opposite pairs: Mitchell et al., JMLR 23, 2022.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import factorial

import msgspec
import numpy as np
from numpy.typing import NDArray

from nervure.core.window import Window

__all__ = ["Block", "Game", "Predict", "Shares", "game", "hide", "repeat", "shapley"]

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Predict = Callable[[Window], NDArray[np.float32]]
Game = Callable[[Flags], Floats]  # which players are known [coalition, player] -> [coalition, output]

_ROWS = 2048  # windows that a model is asked at a time


class Block(msgspec.Struct, frozen=True, kw_only=True):
    """Cells of a window: a channel of ``rows`` from slot ``start`` up to ``stop`` (not included).

    ``ahead`` says that they lie in ``window.ahead``, where a channel is a driver.
    """

    channel: int
    start: int
    stop: int
    rows: tuple[int, ...] = (0,)
    ahead: bool = False


class Shares(msgspec.Struct, frozen=True, kw_only=True):
    """What each player adds: ``value [player, output]``; ``error`` is the standard error of drawing.

    ``whole`` and ``nothing``, both ``[output]``, are the outputs with all and with no player known;
    ``asked`` counts the coalitions that were asked for. The errors of an exact answer are 0.
    """

    value: Floats
    error: Floats
    whole: Floats
    nothing: Floats
    asked: int


def shapley(play: Game, players: int, *, orders: int = 32, seed: int = 0) -> Shares:
    """Return the Shapley value of each player, from at most ``orders`` drawn orders.

    Where asking for every coalition costs no more than drawing, the values are exact.

    >>> shares = shapley(lambda known: known @ np.array([[3.0], [-1.0]]), 2)
    >>> shares.value.ravel().tolist(), shares.asked
    ([3.0, -1.0], 4)
    """
    if players < 1:
        raise ValueError("a game needs a player")
    if players < 20 and 2**players <= max(4, orders * (players - 1) + 2):
        return _exact(play, players)
    random = np.random.default_rng(seed)
    half = [random.permutation(players) for _ in range(max(1, orders // 2))]
    drawn = np.array([order for one in half for order in (one, one[::-1])])
    place = np.argsort(drawn, axis=1)  # when each player becomes known
    known = place[:, None, :] < np.arange(players + 1)[None, :, None]
    distinct, where = np.unique(known.reshape(-1, players), axis=0, return_inverse=True)
    output = play(distinct)
    course = output[where.ravel()].reshape(len(drawn), players + 1, -1)
    gained = np.take_along_axis(np.diff(course, axis=1), place[:, :, None], axis=1)
    pairs = gained.reshape(-1, 2, *gained.shape[1:]).mean(axis=1)
    error = pairs.std(axis=0, ddof=1) / np.sqrt(len(pairs)) if len(pairs) > 1 else np.abs(pairs[0])
    return Shares(
        value=gained.mean(axis=0),
        error=error,
        whole=course[0, -1],
        nothing=course[0, 0],
        asked=len(distinct),
    )


def _exact(play: Game, players: int) -> Shares:
    """Weigh every coalition."""
    number = np.arange(2**players)
    known = (number[:, None] >> np.arange(players)) & 1 > 0
    output = play(known)
    size = known.sum(axis=1)
    weight = np.array(
        [factorial(one) * factorial(players - one - 1) / factorial(players) for one in range(players)]
    )
    value = np.empty((players, output.shape[1]))
    for player in range(players):
        without = np.flatnonzero(~known[:, player])
        value[player] = weight[size[without]] @ (output[without + 2**player] - output[without])
    return Shares(
        value=value, error=np.zeros_like(value), whole=output[-1], nothing=output[0], asked=len(output)
    )


def repeat(window: Window, count: int) -> Window:
    """Return the window's rows ``count`` times over, in whole rounds."""
    return Window(
        x=np.tile(window.x, (count, 1, 1)),
        node=np.tile(window.node, count),
        calendar=np.tile(window.calendar, (count, 1, 1)),
        ahead=None if window.ahead is None else np.tile(window.ahead, (count, 1, 1)),
    )


def hide(window: Window, blocks: Sequence[Block], known: Flags) -> Window:
    """Return the window once a coalition, the blocks it does not know missing.

    ``known`` is ``[coalition, block]``; the result has ``coalition * row`` rows.
    """
    count = len(known)
    made = repeat(window, count)
    x = made.x.reshape(count, -1, *made.x.shape[1:])
    ahead = None if made.ahead is None else made.ahead.reshape(count, -1, *made.ahead.shape[1:])
    for number, block in enumerate(blocks):
        cells = ahead if block.ahead else x
        if cells is None:
            raise ValueError("the window has nothing ahead to hide")
        slots = np.arange(block.start, block.stop)
        lost = np.flatnonzero(~known[:, number])
        cells[np.ix_(lost, np.array(block.rows), slots, np.array([block.channel]))] = np.nan
    return made


def game(predict: Predict, window: Window, blocks: Sequence[Block], *, row: int, median: int) -> Game:
    """Return the game whose output is the median forecast ``[horizon]`` of the window's ``row``.

    A model that sees all nodes at once gets whole rounds: every row of the window, once a coalition.
    """
    rows = len(window.node)
    each = max(1, _ROWS // rows)

    def play(known: Flags) -> Floats:
        parts = []
        for start in range(0, len(known), each):
            y = predict(hide(window, blocks, known[start : start + each]))
            parts.append(y.reshape(-1, rows, *y.shape[1:])[:, row, :, median].astype(np.float64))
        return np.concatenate(parts)

    return play
