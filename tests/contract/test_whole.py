"""Every model about whole Things is shown live what it was trained on, and answers as it was judged."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from nervure.core.answer import answers
from nervure.core.case import channels, reach
from nervure.core.declaration import Solution
from nervure.core.entity import Datastream
from nervure.core.error import DataError
from nervure.core.observation import PACK_BITS, Batch
from nervure.core.problem import Classify, RemainingLife
from nervure.learn.course import Course
from nervure.learn.detect.course import Rival, course
from nervure.learn.detect.record import Record, divide, records
from nervure.learn.detect.train import Effort
from nervure.learn.detect.whole import windows
from nervure.learn.renew import Verdict
from nervure.score.assessor import Assessor
from nervure.score.runner import Runner
from nervure.score.scorer import Scored
from nervure.solutions import find, names
from tests.recorded import write
from tests.tiny import KEY

CASES = [
    (name, one.name)
    for name in names()
    for one in find(name).problems
    if isinstance(one, RemainingLife | Classify)
]
EPOCHS = {"machine": 6, "health": 12, "structure": 4}
BEGIN = 400_000  # as a slot
Floats = NDArray[np.float64]


class Spy:
    """A model that keeps what it was shown."""

    def __init__(self, runner: Runner) -> None:
        self.card, self._runner = runner.card, runner
        self.shown: list[NDArray[np.float32]] = []

    def answer(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        self.shown.append(x)
        return self._runner.answer(x)


class Made(NamedTuple):
    solution: Solution
    problem: RemainingLife | Classify
    found: tuple[Record, ...]
    learned: Course


@cache
def _made(name: str, problem: str, folder: Path) -> Made:
    solution = find(name)
    write(solution, folder)
    asked = solution.problem(problem)
    assert isinstance(asked, RemainingLife | Classify)
    if isinstance(asked, RemainingLife):
        asked = msgspec.structs.replace(asked, window=20, clip=40.0)
    found = records(solution, folder)
    effort = Effort(cpu_s=1e6, epochs=EPOCHS[name], batch=32, rate=4e-3, judgements=1)
    return Made(solution, asked, found, course(solution, asked, found, key=KEY, effort=effort))


@pytest.fixture(name="made", params=CASES, ids=" ".join, scope="module")
def _fixture(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Made:
    name, problem = request.param
    return _made(name, problem, tmp_path_factory.getbasetemp() / f"whole-{name}")


def _datastreams(made: Made, thing: int = 1) -> list[Datastream]:
    """Return a Datastream for each signal of a Thing, from 100 a Thing, and for each of its answers."""
    base = 100 * thing
    own: dict[str, Any] = {"thing": thing, "solution": made.solution.name}
    read = [
        Datastream(id=base + at, name=f"{thing}/{one.name}", unit=one.unit, signal=one.name, **own)
        for at, one in enumerate(made.solution.signals)
    ]
    told = [
        Datastream(
            id=base + 50 + at,
            name=f"{thing}/{one.signal}",
            unit=one.unit,
            signal=one.signal,
            kind="answer",
            **own,
        )
        for at, one in enumerate(answers(made.problem))
    ]
    return [*read, *told]


def _batches(made: Made, value: Floats, *, thing: int = 1, rows: int = 1, first: int = BEGIN) -> list[Batch]:
    """Return a recording as messages of ``rows`` readings of one channel each."""
    every = made.learned.card.every_ns
    place = {one.name: at for at, one in enumerate(made.solution.signals)}
    out, sequence = [], first
    for start in range(0, len(value), rows):
        some = np.arange(start, min(start + rows, len(value)))
        for column, name in enumerate(channels(made.problem)):
            kept = some[~np.isnan(value[some, column])]
            sequence += 1
            out.append(
                Batch.of(
                    id=(sequence << PACK_BITS) + np.arange(len(kept)),
                    datastream=np.full(len(kept), 100 * thing + place[name]),
                    time=(first + kept) * every,
                    value=value[kept, column],
                )
            )
    return out


def _assessor(made: Made) -> tuple[Assessor, Spy]:
    spy = Spy(Runner(made.learned.package, [KEY.public]))
    return Assessor(spy, _datastreams(made), solution=made.solution), spy


def _values(made: Made, one: Record) -> Floats:
    return one.block.value[:, [one.block.channels.index(name) for name in channels(made.problem)]]


def _test(made: Made) -> list[Record]:
    return [made.found[row] for row in divide(made.found).test.tolist()]


def _told(parts: list[Scored]) -> list[tuple[str, bytes]]:
    packs = [(one.once, one.encode()) for part in parts for one in part.packs]
    return packs + [(one.once, one.encode()) for part in parts for one in part.words]


def _rows(made: Made) -> int:
    return 1 if isinstance(made.problem, RemainingLife) else 25


def test_it_is_shown_live_what_it_was_trained_on(made: Made) -> None:
    length = reach(made.solution, made.problem)
    for one in _test(made)[:6]:
        assessor, spy = _assessor(made)
        value = _values(made, one)
        for batch in _batches(made, value, rows=_rows(made)):
            assessor.take(batch)
        try:
            wanted = windows(made.problem, [one], length).x
        except DataError:
            wanted = np.empty((0, length, value.shape[1]), dtype=np.float32)
        shown = np.concatenate([*spy.shown, wanted[:0]])
        if isinstance(made.problem, RemainingLife):
            assert len(shown) == len(value)
            shown = shown[-1:]
        np.testing.assert_array_equal(shown, wanted)


def test_its_figures_are_better_than_knowing_nothing(made: Made) -> None:
    own = {one.metric: one.value for one in made.learned.metrics if one.kind == "deep"}
    plain = {one.metric: one.value for one in made.learned.metrics if one.kind == "baseline"}
    assert plain.keys() <= own.keys()
    if isinstance(made.problem, RemainingLife):
        left = np.minimum([one.left for one in _test(made)], made.problem.clip)
        assert own["RMSE clipped"] < 0.5 * float(left.std())
        assert 0.8 <= own["coverage"] <= 1
    else:
        assert own["macro AUROC"] > 0.9
    assert made.learned.verdict.promoted


def test_answers_go_to_their_datastreams(made: Made) -> None:
    assessor, spy = _assessor(made)
    one = next(one for one in _test(made) if len(windows(made.problem, [one], spy.card.window)))
    parts = [assessor.take(batch) for batch in _batches(made, _values(made, one), rows=_rows(made))]
    packs, words = (
        [pack for part in parts for pack in part.packs],
        [word for part in parts for word in part.words],
    )
    y = spy.answer(spy.shown[-1])[-1]
    kinds = answers(made.problem)
    if isinstance(made.problem, RemainingLife):
        assert not words
        assert packs[-1].datastream == 150
        assert [packs[-1].v, packs[-1].low, packs[-1].high] == [
            [pytest.approx(float(y[at]), abs=1e-3)] for at in (2, 0, 4)
        ]
        assert packs[-1].t0_ns == (BEGIN + len(one.block) - 1) * spy.card.every_ns
    else:
        assert words[-1].datastream == 150
        assert words[-1].text == made.problem.classes[int(y.argmax())]
        last = {pack.datastream: pack.v[0] for pack in packs[-len(y) :]}
        assert last == {151 + at: pytest.approx(float(share), abs=1e-3) for at, share in enumerate(y)}
        assert len(kinds) == len(y) + 1
    assert len({one.once for one in packs}) == len(packs)


def test_batches_and_restarts_change_nothing(made: Made) -> None:
    one, other = _test(made)[:2]
    mixed = [
        batch
        for pair in zip(
            _batches(made, _values(made, one), rows=_rows(made)),
            _batches(made, _values(made, other), thing=2, rows=_rows(made), first=2 * BEGIN),
            strict=False,
        )
        for batch in pair
    ]
    streams = [*_datastreams(made), *_datastreams(made, 2)]

    def assessor() -> Assessor:
        return Assessor(Runner(made.learned.package, [KEY.public]), streams, solution=made.solution)

    single = assessor()
    wanted = _told([single.take(batch) for batch in mixed])
    assert wanted
    at_once = assessor()
    assert sorted(_told([at_once.take(Batch.concat(mixed))])) == sorted(wanted)
    half = len(mixed) // 2
    before, after = assessor(), assessor()
    found = _told([before.take(batch) for batch in mixed[:half]])
    assert after.restore(before.state())
    assert sorted(found + _told([after.take(batch) for batch in mixed[half:]])) == sorted(wanted)


def test_a_history_from_the_store_is_as_good_as_having_been_there(made: Made) -> None:
    one = _test(made)[0]
    batches = _batches(made, _values(made, one), rows=_rows(made))
    count = len(channels(made.problem))
    half = len(batches) // (2 * count) * count
    there, late = _assessor(made)[0], _assessor(made)[0]
    for batch in batches[:half]:
        there.take(batch)
    past = Batch.concat(batches[:half])
    late.recall(past.take(np.lexsort((past.time, past.datastream))))
    assert _told([there.take(one) for one in batches[half:]]) == _told(
        [late.take(one) for one in batches[half:]]
    )


def test_a_channel_that_falls_silent_holds_nothing_up_for_ever(made: Made) -> None:
    one = _test(made)[0]
    value = _values(made, one)[:60].copy() if isinstance(made.problem, RemainingLife) else _values(made, one)
    value[10:, 1] = np.nan
    assessor, spy = _assessor(made)
    for batch in _batches(made, value):
        assessor.take(batch)
    if isinstance(made.problem, RemainingLife):
        assert sum(len(x) for x in spy.shown) == len(value)
        assert np.isfinite(np.concatenate([spy.answer(x) for x in tuple(spy.shown)])).all()
    else:
        assert not spy.shown


def test_another_model_starts_anew(made: Made) -> None:
    one, other = _assessor(made)[0], _assessor(made)[0]
    other.card = msgspec.structs.replace(other.card, version="another")
    assert not other.restore(one.state())


def test_a_champion_is_asked_only_what_it_answers(made: Made) -> None:
    runner = Runner(made.learned.package, [KEY.public])
    shown = made.learned.card
    shorter = msgspec.structs.replace(shown, version="old", window=shown.window - 1)
    effort = Effort(cpu_s=1e6, epochs=1, batch=32, rate=4e-3, judgements=1)

    def verdict(champion: Rival | None, unjudged: str = "") -> Verdict:
        told = course(
            made.solution, made.problem, made.found,
            key=KEY, effort=effort, compare=False, champion=champion, unjudged=unjudged,
        ).verdict  # fmt: skip
        assert told is not None
        return told

    asked = verdict(Rival(card=shown, answer=runner.answer))
    assert (asked.champion_version, asked.promoted) == (shown.version, False)
    assert asked.why.endswith(f"the champion {shown.version} is no worse")
    other = verdict(Rival(card=shorter, answer=runner.answer))
    assert (other.promoted, other.champion) == (True, None)
    assert "the champion old answers another question" in other.why
    closed = verdict(None, unjudged="7")
    assert (closed.promoted, closed.champion) == (False, None)
    assert "the champion 7 cannot be asked" in closed.why
