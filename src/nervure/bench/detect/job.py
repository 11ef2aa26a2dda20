"""What a measurement of detection is asked, and what comes back.

A room of sets (streams, machines, structures, bodies, leaks) offers :class:`Contest` s; each names the
models that meet on a set and how one of them, with one seed, is fitted and judged. Who runs them,
writes the tables and draws need know no more.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import msgspec

__all__ = ["Contest", "Entry", "Job", "Kind", "Result"]

Kind = Literal["baseline", "deep", "peer"]


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """One model on one set with one seed; ``quick`` asks for the form that runs in CI, in seconds."""

    set: str
    model: str
    kind: Kind
    seed: int = 0
    quick: bool = False


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a job: ``value`` by metric (``"F1"``, ``"RMSE clipped"``, ``"coverage"``), and its cost.

    ``train_cpu_s`` is what fitting took in CPU seconds, ``infer_ms`` one step (a row, a window, a case)
    on one thread, ``parameters`` how many numbers were learnt. ``drawn`` holds short lists for plots, by
    name: a curve ``{"x": [...], "y": [...]}`` of at most 400 points. ``note`` says what a reader must know.
    """

    job: Job
    value: dict[str, float] = {}
    train_cpu_s: float = 0.0
    infer_ms: float = 0.0
    parameters: int = 0
    drawn: dict[str, Any] = {}
    note: str = ""
    error: str = ""


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """A model of a contest and the seeds it is run with; what knows no chance has one."""

    model: str
    kind: Kind
    seeds: tuple[int, ...] = (0,)


class Contest(msgspec.Struct, frozen=True, kw_only=True):
    """A set, its question, the metrics in the order of the table, the models, and what runs one.

    ``quick`` names the models that also run in CI. ``goals`` are what ANCHORS asks, a metric each, as
    ``(metric, "<=" or ">=", value)``. ``text`` is the paragraph that says what the numbers show, made
    from the results, so that no number in it is typed by hand.
    """

    set: str
    title: str
    question: str
    protocol: str
    metrics: tuple[str, ...]
    entries: tuple[Entry, ...]
    perform: Callable[[Job], Result]
    quick: tuple[str, ...] = ()
    goals: tuple[tuple[str, Literal["<=", ">="], float], ...] = ()
    text: Callable[[list[Result]], str] | None = None
