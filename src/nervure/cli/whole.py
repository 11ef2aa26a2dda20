"""``nervure evaluate`` for models about whole Things: beside a plain rival, on recordings that test."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import TYPE_CHECKING

from nervure.cli.export import open_package
from nervure.cli.metric import show
from nervure.cli.output import say, write_json
from nervure.cli.progress import progress
from nervure.core.error import UsageError
from nervure.core.problem import Case, RemainingLife

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nervure.core.card import Metric
    from nervure.core.declaration import Solution
    from nervure.learn.detect.record import Record

__all__ = ["judge_whole"]


def judge_whole(
    solution: Solution,
    problem: Case,
    *,
    model: Path | None,
    keys: Path,
    budget_s: float,
    json: bool,
) -> int:
    """Judge a package, or train one for that alone, and print the table."""
    from nervure.learn.detect.record import records

    found = records(solution)
    if model is not None:
        metrics: Sequence[Metric] = _packaged(solution, problem, found, model, keys)
    else:
        metrics = _trained(solution, problem, found, budget_s)
    unit = problem.unit if isinstance(problem, RemainingLife) else ""
    if json:
        write_json({"solution": solution.name, "problem": problem.name, "unit": unit, "metrics": metrics})
        return 0
    show(metrics, unit)
    say(f"{solution.name} {problem.name}: {solution.data.protocol if solution.data else ''}")
    return 0


def _trained(solution: Solution, problem: Case, found: Sequence[Record], budget_s: float) -> Sequence[Metric]:
    from nervure.learn.detect.course import course
    from nervure.trust.signature import SigningKey

    with progress(f"evaluate {solution.name}") as told:
        key = SigningKey(secrets.token_bytes(32))  # the package is not kept
        return course(solution, problem, found, key=key, budget_s=budget_s, progress=told).metrics


def _packaged(
    solution: Solution, problem: Case, found: Sequence[Record], model: Path, keys: Path
) -> Sequence[Metric]:
    """Judge a package as live scoring runs it; by its card it was made of the part that trains."""
    from nervure.core.case import channels
    from nervure.learn.detect.inquest import judge
    from nervure.learn.detect.record import divide
    from nervure.learn.detect.whole import windows

    runner = open_package(model, keys)
    card = runner.card
    if card.problem != problem or tuple(one.signal for one in card.channels) != channels(problem):
        raise UsageError(
            f"the package is a model of {card.solution} {card.problem.name}, not of this problem"
        )
    test = [found[row] for row in divide(found).test.tolist()]
    cut = windows(problem, test, card.window)
    return judge(solution, problem, test, cut, runner.answer(cut.x)).metrics(card.model, "deep")
