"""Answers: what comes of asking about a whole Thing, as Datastreams of its own.

A remaining life is one Datastream, its median with the outer quantiles as interval. Of a class there
is one of words, the likeliest, and one for each class with its probability.
"""

from __future__ import annotations

from typing import Final

import msgspec

from nervure.core.problem import Classify, Problem, RemainingLife

__all__ = ["ANSWER", "JUDGED", "Answer", "answers"]

ANSWER: Final = "answer"
"""The ``kind`` of Datastreams that hold answers."""

JUDGED: Final = ("reading", ANSWER)
"""The kinds of Datastreams that rules look at."""


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """One Datastream of answers: the ``signal`` it stands for, its unit, and what it observes.

    Its name is ``<thing>/<signal>``. ``words`` are no numbers.
    """

    signal: str
    unit: str
    phenomenon: str
    words: bool = False


def answers(problem: Problem) -> tuple[Answer, ...]:
    """Return the Datastreams that a problem's answers go to; those of forecasts are told by their source.

    Of a class the words come first, then probabilities in the order of ``classes``.

    >>> from nervure.core.problem import Wake
    >>> wake = Wake(of=("a",), above=1.0)
    >>> problem = Classify(
    ...     what="state", of=("a",), window="1s", wake=wake, classes=("good", "bad"), model=""
    ... )
    >>> [one.signal for one in answers(problem)]
    ['state', 'state=good', 'state=bad']
    """
    match problem:
        case RemainingLife():
            return (Answer(signal=problem.name, unit=problem.unit, phenomenon="Remaining life"),)
        case Classify():
            likeliest = Answer(signal=problem.what, unit="", phenomenon=problem.what.capitalize(), words=True)
            shares = (
                Answer(
                    signal=f"{problem.what}={one}",
                    unit="1",
                    phenomenon=f"Probability of {problem.what} {one}",
                )
                for one in problem.classes
            )
            return (likeliest, *shares)
        case _:
            return ()
