"""Assessor: a model that answers about whole Things, on the readings as they arrive.

What it says goes into Datastreams of its own, like forecasts; rules look at it when it comes back from
the log. The outcome depends on the order of the messages only, so a restart in the middle gives the
same answers under the same names.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from typing import Any, Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from nervure.core.answer import ANSWER, answers
from nervure.core.card import Card
from nervure.core.case import channels, reach
from nervure.core.declaration import Solution
from nervure.core.entity import Datastream
from nervure.core.error import ModelError
from nervure.core.finding import Findings
from nervure.core.instant import DAY_NS
from nervure.core.observation import PACK_BITS, Batch, Quality
from nervure.core.problem import Case, Classify, RemainingLife
from nervure.score.pack import Pack, Word
from nervure.score.rows import Asked, Course, Rows, Tape
from nervure.score.scorer import Scored
from nervure.solutions import find

__all__ = ["Assessor", "Model"]

Floats = NDArray[np.float64]
Longs = NDArray[np.int64]

_LOOKED_BACK_NS = 400 * DAY_NS  # rows of a machine are no older than that
_DIGITS = 4


class Model(Protocol):
    """What an assessor needs of a model: its card, and the run of its graph."""

    @property
    def card(self) -> Card:
        """What the model is and must be fed."""
        ...

    def answer(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        """Answer about windows ``[batch, time, channel]``: ``[batch, answer]``."""
        ...


class Assessor:
    """Answers one problem of a solution about each of its Things that has the signals for it."""

    def __init__(
        self,
        model: Model,
        datastreams: Iterable[Datastream],
        *,
        solution: Solution | None = None,
        batch: int = 64,
    ) -> None:
        card = model.card
        problem = card.problem
        if not isinstance(problem, Case):
            raise ModelError(f"{card.name} answers nothing about whole Things", hint="score it as a forecast")
        self.solution = solution or find(card.solution)
        self.card, self.problem = card, problem
        self.model_name = f"{card.name} {card.version}"
        self._model, self._batch = model, batch
        self._channels = channels(problem)
        if tuple(one.signal for one in card.channels) != self._channels:
            raise ModelError(f"{card.name} eats other channels than its problem names", hint="train it again")
        self._things: dict[int, Rows] = {}
        self._outlets: dict[int, list[int]] = {}
        self.learn(datastreams)

    def learn(self, datastreams: Iterable[Datastream]) -> None:
        """Take up Things and Datastreams that are new; those already known go on undisturbed."""
        own = [one for one in datastreams if one.solution == self.solution.name]
        place = {signal: number for number, signal in enumerate(self._channels)}
        told = {answer.signal: number for number, answer in enumerate(answers(self.problem))}
        feeds: dict[int, dict[int, int]] = {}
        for one in own:
            if one.kind == "reading" and one.signal in place:
                feeds.setdefault(one.thing, {})[place[one.signal]] = one.id
            elif one.kind == ANSWER and one.signal in told:
                self._outlets.setdefault(one.thing, [0] * len(told))[told[one.signal]] = one.id
        whole = {thing: ids for thing, ids in feeds.items() if len(ids) == len(place)}
        for thing in whole:
            if thing not in self._things:
                self._things[thing] = _rows(self.solution, self.problem, self.card.every_ns)
        known = sorted((key, thing, at) for thing, ids in whole.items() for at, key in ids.items())
        self._ids, self._thing, self._channel = (
            np.array([one[part] for one in known], dtype=np.int64) for part in range(3)
        )

    @property
    def inputs(self) -> list[int]:
        """The Datastreams whose readings the model eats."""
        found: list[int] = self._ids.tolist()
        return found

    def since(self, last_ns: int) -> int:
        """Return from when on readings matter that came before ``last_ns``."""
        if isinstance(self.problem, RemainingLife):
            return last_ns - _LOOKED_BACK_NS
        return last_ns - 2 * self.card.window * self.card.every_ns

    def take(self, batch: Batch) -> Scored:
        """Answer what a batch makes possible to answer, in log order."""
        rows, place = self._mine(batch)
        made: list[tuple[int, Asked]] = []
        for part in _runs(batch.id[rows] >> PACK_BITS, batch.datastream[rows]):
            thing = self._put(batch, rows[part], place[part])
            found = self._things[thing].ready()
            if found is not None:
                made.append((thing, found))
        packs, words = self._answered(made)
        return Scored(packs=packs, findings=_nothing(), words=words)

    def recall(self, batch: Batch) -> None:
        """Take in a history, sorted by Datastream, so that the next reading can be answered to."""
        rows, place = self._mine(batch)
        for part in _runs(batch.datastream[rows], batch.datastream[rows]):
            self._put(batch, rows[part], place[part])
        for thing in sorted(set(self._thing[place].tolist())):
            self._things[thing].skip()

    def _mine(self, batch: Batch) -> tuple[Longs, Longs]:
        """Return which rows of a batch the model eats, and the place of their Datastreams."""
        place = np.searchsorted(self._ids, batch.datastream)
        place[place == len(self._ids)] = 0
        mine = self._ids[place] == batch.datastream if len(self._ids) else np.zeros(len(batch), dtype=bool)
        rows = np.flatnonzero(mine)
        return rows, place[rows]

    def _put(self, batch: Batch, rows: Longs, place: Longs) -> int:
        """Hand readings of one Datastream to its Thing; what is not good is hidden."""
        thing, at = int(self._thing[place[0]]), int(self._channel[place[0]])
        value = np.where(batch.quality[rows] == Quality.GOOD, batch.value[rows], np.nan)
        self._things[thing].put(at, batch.time[rows], value)
        return thing

    def _answered(self, made: list[tuple[int, Asked]]) -> tuple[list[Pack], list[Word]]:
        """Run the model on what is asked about and put each answer into its messages."""
        packs: list[Pack] = []
        words: list[Word] = []
        if not made:
            return packs, words
        x = np.concatenate([found.x for _, found in made])
        y = np.concatenate(
            [self._model.answer(x[start : start + self._batch]) for start in range(0, len(x), self._batch)]
        ).astype(np.float64)
        row = 0
        for thing, found in made:
            outlets = self._outlets.get(thing, [])
            for time, issued in zip(found.time.tolist(), found.issued.tolist(), strict=True):
                told = y[row].round(_DIGITS)
                row += 1
                if isinstance(self.problem, Classify) and outlets and outlets[0]:
                    words.append(self._word(outlets[0], time, issued, told))
                packs += self._packs(outlets, time, issued, told)
        return packs, words

    def _word(self, outlet: int, time_ns: int, issued_ns: int, y: Floats) -> Word:
        """Return the message that says the likeliest class."""
        assert isinstance(self.problem, Classify)  # noqa: S101  remaining lives are no words
        text, once = self.problem.classes[int(y.argmax())], f"{self.card.version}.{outlet}.{time_ns}"
        return Word(datastream=outlet, time_ns=time_ns, issued_ns=issued_ns, once=once, text=text)

    def _packs(self, outlets: list[int], time_ns: int, issued_ns: int, y: Floats) -> list[Pack]:
        """Return the messages of one answer's numbers; what has no Datastream is left out."""
        if isinstance(self.problem, RemainingLife):
            levels = self.card.quantiles
            bands = [y[[levels.index(0.5), 0, len(levels) - 1]]]
        else:
            outlets, bands = outlets[1:], [np.array([one, np.nan, np.nan]) for one in y]
        return [
            Pack(
                datastream=outlet,
                issued_ns=issued_ns,
                t0_ns=time_ns,
                dt_ns=self.card.every_ns,
                once=f"{self.card.version}.{outlet}.{time_ns}",
                band=band[:, None].tobytes(),
            )
            for outlet, band in zip(outlets, bands, strict=False)
            if outlet
        ]

    def state(self) -> bytes:
        """Return everything that :meth:`restore` needs.

        What varies in size, readings that are waited for, stands at the end: what comes before keeps its
        place, so that a commit writes little.
        """
        known = {thing: rows.state() for thing, rows in self._things.items()}
        return msgspec.msgpack.encode(
            {
                "version": self.card.version,
                "held": {thing: held for thing, (held, _) in known.items()},
                "rest": {thing: rest for thing, (_, rest) in known.items()},
            }
        )

    def restore(self, state: bytes) -> bool:
        """Take up where :meth:`state` left off; false if that was another model."""
        saved: dict[str, Any] = msgspec.msgpack.decode(state, strict=False)
        if saved["version"] != self.card.version:
            return False
        for thing, held in saved["held"].items():
            if thing in self._things:
                self._things[thing].restore(held, saved["rest"][thing])
        return True


def _rows(solution: Solution, problem: Case, every_ns: int) -> Rows:
    length = reach(solution, problem)
    if isinstance(problem, Classify):
        return Tape(problem, length, every_ns)
    return Course(len(channels(problem)), length, every_ns)


def _runs(message: Longs, stream: Longs) -> list[slice]:
    """Return the stretches of rows that came of one stream in one message."""
    if not len(stream):
        return []
    edges = np.flatnonzero((np.diff(message) != 0) | (np.diff(stream) != 0)) + 1
    bounds = [0, *edges.tolist(), len(stream)]
    return [slice(*pair) for pair in pairwise(bounds)]


def _nothing() -> Findings:
    none, no = np.zeros(0, dtype=np.int64), np.zeros(0)
    return Findings.blank(none, none, no, no)
