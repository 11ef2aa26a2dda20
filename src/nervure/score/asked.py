"""What a solution asks of its streams: which are judged by rules, when one is stuck, which node it is."""

from __future__ import annotations

from nervure.core.card import Card
from nervure.core.declaration import Solution, condition, watched
from nervure.core.instant import duration_ns
from nervure.core.problem import Anomaly
from nervure.score.order import PLAIN, SHARED

__all__ = ["FOREVER", "anomaly", "node_of", "ruled_by", "stuck_ns"]

FOREVER = 1 << 62


def anomaly(solution: Solution, card: Card) -> str | None:
    """Return the anomaly problem whose score is the error of a model with that card."""
    for problem in solution.problems:
        if isinstance(problem, Anomaly) and problem.residual == card.problem.name:
            return problem.name
    return None


def ruled_by(solution: Solution) -> set[str]:
    """Return the signals whose every reading some rule wants to see."""
    rules = (rule for rule in solution.rules if condition(rule.when).measure != "score")
    return {name for rule in rules for name in watched(solution, rule)}


def stuck_ns(solution: Solution, name: str) -> int:
    """Return for how long an unchanged value of a signal is believed."""
    for signal in solution.signals:
        if signal.name == name and signal.stuck_after is not None:
            return duration_ns(signal.stuck_after)
    return FOREVER


def node_of(name: str, nodes: dict[str, int], fed: set[int]) -> int:
    """Return the node that a stream is about: its own, the one it feeds, or one of the two constants."""
    if name in nodes:
        return nodes[name]
    if not fed:
        return PLAIN
    return next(iter(fed)) if len(fed) == 1 else SHARED
