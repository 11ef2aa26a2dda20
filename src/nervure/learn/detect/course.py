"""A course for models about whole Things: from recordings to one signed model file, with its proof.

recordings ─▶ split by group ─▶ fit, margins and limits ─▶ graph, held against torch ─▶ judge ─▶ package
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from hashlib import sha256

import msgspec
import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray

from nervure.core.card import CARD_KEY, Card, Channel, Metric
from nervure.core.case import channels, reach
from nervure.core.declaration import Solution
from nervure.core.error import ModelError
from nervure.core.instant import iso, to_ns
from nervure.core.problem import Case, RemainingLife
from nervure.learn.course import Course
from nervure.learn.detect.inquest import Answer, Judged, compared, judge, rivals
from nervure.learn.detect.record import Record, divide
from nervure.learn.detect.train import Effort
from nervure.learn.detect.whole import Fit, Windows, fit, windows
from nervure.learn.detect.windowed import to_onnx
from nervure.learn.renew import Verdict
from nervure.trust.signature import SigningKey, sign

__all__ = ["Rival", "course"]

Progress = Callable[[float, str], None]

_AGREE = 1e-3  # the graph and torch may differ by this share of the largest answer
_PROBE = 24
_TIMED = 20


class Rival(msgspec.Struct, frozen=True, kw_only=True):
    """Who answers now: its card, and what runs its graph."""

    card: Card
    answer: Answer


def course(
    solution: Solution,
    problem: Case,
    found: Sequence[Record],
    *,
    key: SigningKey,
    budget_s: float = 180.0,
    seed: int = 0,
    compare: bool = True,
    progress: Progress | None = None,
    champion: Rival | None = None,
    unjudged: str = "",
    effort: Effort | None = None,
) -> Course:
    """Train a model about whole Things on recordings and package it, signed; ``compare`` with a plain rival.

    ``effort`` is the model's own unless given; ``unjudged`` is a champion that cannot be asked.
    """
    tell = progress or _silent
    started, ((train, held, test), how) = time.monotonic(), _sides(found)
    tell(0.05, f"training {problem.name} on {len(train)} recordings")
    length = reach(solution, problem)
    made = fit(solution, problem, (train, held), length, seed=seed, effort=effort, budget_s=budget_s)
    train_s, cut = time.monotonic() - started, windows(problem, test, length)
    graph = to_onnx(made.module, length, len(channels(problem)), ("y",))
    session = _checked(graph, made, cut)
    own = judge(solution, problem, test, cut, _run(session, cut.x))
    tell(0.75, "judged; fitting the plain rival")
    naive = rivals(solution, problem, train, test, cut, length, seed=seed) if compare else None
    rows = [*(naive[1].metrics(naive[0], "baseline") if naive else ()), *own.metrics(made.name, "deep")]
    card = msgspec.structs.replace(
        _card(solution, problem, made, graph, length),
        infer_ms=_timed(session, cut),
        metrics=tuple(one for one in rows if math.isfinite(one.value)),  # JSON has no word for NaN
        notes=f"trained on {len(train)} recordings, split {how}",
    )
    other, foreign = _asked(champion, solution, problem, test, cut)
    judged = f"{len(test)} recordings of {len({one.block.group for one in test})} that test"
    verdict = compared(own, naive, other, unjudged=unjudged, foreign=foreign, judged=judged)
    return _learned(_signed(graph, card, key), card, rows, train_s, verdict)


def _learned(data: bytes, card: Card, rows: Sequence[Metric], train_s: float, verdict: Verdict) -> Course:
    return Course(
        name=f"{card.name}-{card.version}.onnx", package=data, sha256=sha256(data).hexdigest(), card=card,
        metrics=tuple(rows), train_s=train_s, weights=b"", verdict=verdict,
    )  # fmt: skip


def _asked(
    champion: Rival | None, solution: Solution, problem: Case, test: Sequence[Record], cut: Windows
) -> tuple[tuple[str, Judged] | None, str]:
    """Return what the champion says of the same windows, or its version if it answers another question."""
    if champion is None:
        return None, ""
    if not _fits(champion.card, problem, cut.x.shape[1]):
        return None, champion.card.version
    return (champion.card.version, judge(solution, problem, test, cut, champion.answer(cut.x))), ""


def _sides(found: Sequence[Record]) -> tuple[list[list[Record]], str]:
    """Return the recordings that train, validate and test, and how they were split."""
    split = divide(found)
    sides = (split.train, split.validation, split.test)
    return [[found[row] for row in rows.tolist()] for rows in sides], split.how


def _silent(share: float, text: str) -> None:
    """Tell nobody."""


def _fits(card: Card, problem: Case, length: int) -> bool:
    """Whether the champion answers the very question of the problem."""
    same = tuple(one.signal for one in card.channels) == channels(problem) and card.window == length
    return same and type(card.problem) is type(problem) and _answers(card.problem) == _answers(problem)


def _answers(problem: object) -> tuple[object, ...]:
    return tuple(getattr(problem, name, None) for name in ("classes", "quantiles", "clip", "wake"))


def _checked(graph: bytes, made: Fit, cut: Windows) -> onnxruntime.InferenceSession:
    """Open the graph and hold it against torch, on real windows, with gaps and half unread.

    The last channel stays: of a machine it counts the rows, and is never missing.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    x = cut.x[np.unique(np.linspace(0, len(cut) - 1, _PROBE).astype(np.int64))].copy()
    x[1::3, ::12, :-1] = np.nan
    x[-1, : x.shape[1] // 2, :-1] = np.nan
    expected = made.answer(x)
    apart = float(np.abs(_run(session, x) - expected).max() / (1e-9 + np.abs(expected).max()))
    if not apart <= _AGREE:
        raise ModelError(
            f"the ONNX graph of {made.name} answers {apart:.1e} away from torch",
            hint="a model's forward may use only operations that ONNX knows, and no shape that varies",
        )
    return session


def _run(session: onnxruntime.InferenceSession, x: NDArray[np.float32]) -> NDArray[np.float32]:
    parts = [session.run(["y"], {"x": x[start : start + 64]})[0] for start in range(0, len(x), 64)]
    return np.concatenate(parts)


def _timed(session: onnxruntime.InferenceSession, cut: Windows) -> float:
    """Return the milliseconds of an answer about one window."""
    x, times = cut.x[:1], []
    for _ in range(_TIMED):
        begin = time.perf_counter()
        session.run(["y"], {"x": x})
        times.append(time.perf_counter() - begin)
    return round(float(np.median(times)) * 1e3, 4)


def _card(solution: Solution, problem: Case, made: Fit, graph: bytes, length: int) -> Card:
    created = iso(to_ns(datetime.now(UTC)) // 1_000_000_000 * 1_000_000_000)
    return Card(
        name=f"{solution.name}-{problem.name}",
        version=f"{created[:10].replace('-', '')}-{sha256(graph + created.encode()).hexdigest()[:12]}",
        solution=solution.name,
        problem=problem,
        model=made.name,
        created=created,
        channels=tuple(Channel(signal=name) for name in channels(problem)),
        every_ns=solution.signal(channels(problem)[0]).every_ns,
        window=length,
        quantiles=problem.quantiles if isinstance(problem, RemainingLife) else (),
        unit=problem.unit if isinstance(problem, RemainingLife) else "",
        parameters=made.parameters,
        train_cpu_s=round(made.cpu_s, 1),
    )


def _signed(graph: bytes, card: Card, key: SigningKey) -> bytes:
    model = onnx.load_from_string(graph)
    onnx.helper.set_model_props(model, {CARD_KEY: msgspec.json.encode(card).decode()})
    return sign(model.SerializeToString(deterministic=True), key)
