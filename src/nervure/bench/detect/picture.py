"""From what results leave to be drawn to panels of lines, spans, bars and counts, thinned.

Contests leave what is theirs under a few names: ``ROC ...``, ``timeline``, ``life ...``,
``attribution ...``, ``confusion``, and other curves of ``x`` and ``y``. Of a kind of model the one that
is best by the set's lead metric is drawn, of its seeds the first: ROCs show every model.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from statistics import fmean
from typing import Any, Literal

from nervure.bench.detect.document import Panel, Picture, Span, Trace, meets, sense
from nervure.bench.detect.job import Contest, Result

__all__ = ["pictures_of"]

_PANELS = 4
_POINTS = {"roc": 40, "timeline": 240, "life": 70, "attribution": 120, "curve": 60}
_ASIDE = (
    "x",
    "events",
    "limit",
    "rows",
    "channel",
    "record",
    "lowering",
    "claims",
    "rhythm",
    "engine",
    "read",
)
_MAIN = ("score", "y")
_WORDS = {
    "roc": "true against false alarms",
    "timeline": "score, limit and what happened",
    "life": "remaining life as it was told",
    "attribution": "what an answer rests on",
    "confusion": "what was taken for what",
}

Floats = tuple[float, ...]
Gaps = tuple[float | None, ...]
Role = Literal["baseline", "deep", "truth", "limit", "other", "band"]


def pictures_of(contest: Contest, results: Sequence[Result]) -> list[Picture]:
    """Return what can be drawn of a set."""
    first: dict[str, Result] = {}
    for one in sorted(results, key=lambda one: one.job.seed):
        first.setdefault(one.job.model, one)
    shown = [
        first[one] for one in (_best(contest, results, "baseline"), _best(contest, results, "deep")) if one
    ]
    found = {
        "roc": _curves(first.values(), lambda name: name.startswith("ROC"), "roc"),
        "timeline": _once([panel for one in shown for panel in _timelines(one)]),
        "life": _lives(shown),
        "attribution": _attributions(shown[-1:]),
        "confusion": _confusions(shown[-1:]),
        "curve": _curves(first.values(), _is_other, "line"),
    }
    return [
        Picture(set=contest.set, name=name, words=_WORDS.get(name, panels[0].title), panels=tuple(panels))
        for name, panels in found.items()
        if panels
    ]


def _once(panels: list[Panel]) -> list[Panel]:
    """Return panels without those that come again: what was read is the same for all models."""
    return [one for at, one in enumerate(panels) if one not in panels[at + 1 :]]


def _is_other(name: str) -> bool:
    return not name.startswith(("ROC", "timeline", "life", "attribution", "confusion"))


def _best(contest: Contest, results: Sequence[Result], kind: str) -> str:
    """Return the model of a kind that meets most goals, of those the best by the first goal's metric."""
    lead = contest.goals[0][0] if contest.goals else contest.metrics[0]
    less = contest.goals[0][1] == "<=" if contest.goals else sense(lead) == "less"

    def mean(model: str, metric: str) -> float:
        own = [one.value.get(metric, math.nan) for one in results if one.job.model == model]
        known = [one for one in own if math.isfinite(one)]
        return fmean(known) if known else math.nan

    def rank(model: str) -> tuple[int, float]:
        missed = {one for one, sign, bound in contest.goals if not meets(mean(model, one), sign, bound)}
        return -len(missed), -mean(model, lead) if less else mean(model, lead)

    models = dict.fromkeys(one.job.model for one in results if one.job.kind == kind)
    return max((one for one in models if math.isfinite(mean(one, lead))), key=rank, default="")


def _role(one: Result) -> Role:
    return "deep" if one.job.kind == "deep" else "baseline" if one.job.kind == "baseline" else "other"


def _curves(
    results: Iterable[Result], wanted: Callable[[str], bool], kind: Literal["roc", "line"]
) -> list[Panel]:
    """Return a panel for each curve that models have in common, every model a line."""
    panels: dict[str, list[Trace]] = {}
    points = _POINTS["roc" if kind == "roc" else "curve"]
    for one in results:
        for name, held in one.drawn.items():
            if (
                wanted(name)
                and isinstance(held, dict)
                and _is_list(held.get("x"))
                and _is_list(held.get("y"))
            ):
                x, y = _even(held["x"], held["y"], points=points)
                panels.setdefault(name, []).append(
                    Trace(name=one.job.model, role=_role(one), x=_known(x), y=y)
                )
    return [Panel(title=name, kind=kind, traces=tuple(own)) for name, own in panels.items()][:_PANELS]


def _timelines(one: Result) -> list[Panel]:
    held = one.drawn.get("timeline")
    if not isinstance(held, dict):
        return []
    main = next((name for name in _MAIN if _is_list(held.get(name))), "")
    if not main:
        return []
    rows = len(held[main])
    x = _axis(held, rows)
    points = _POINTS["timeline"]
    truth = "claims" in held  # what leaked is drawn, and when a model said so
    name = "what leaked" if truth else one.job.model
    role: Role = "truth" if truth else _role(one)
    traces = [Trace(name=name, role=role, x=_evenly(x, points), y=_peaks(held[main], points))]
    limit = held.get("limit")
    if limit is not None:
        level = float(limit[0] if _is_list(limit) else limit)
        traces.append(Trace(name="limit", role="limit", x=(x[0], x[-1]), y=(_cut(level), _cut(level))))
    if _is_list(held.get("read")):
        traces.append(_trace("read", "truth", x, held["read"], points))
    title = f"{one.job.model}: {held['channel']}" if "channel" in held else one.job.model
    panels = [Panel(title=title, traces=tuple(traces), spans=_spans(held, x))]
    beside = [name for name, own in held.items() if name not in (*_ASIDE, *_MAIN) and _is_list(own)]
    if beside:
        lines = [
            _trace(name, "other", x, held[name], points // 2) for name in beside if len(held[name]) == rows
        ]
        panels.append(Panel(title=", ".join(beside), traces=tuple(lines), spans=panels[0].spans))
    return panels


def _axis(held: dict[str, Any], rows: int) -> Floats:
    if _is_list(held.get("x")) and len(held["x"]) == rows:
        return tuple(map(float, held["x"]))
    step = float(held.get("rows", rows)) / rows
    return tuple(at * step for at in range(rows))


def _spans(held: dict[str, Any], x: Floats) -> tuple[Span, ...]:
    """Return what happened: pairs of rows, stretches with a name, numbers that are not 0 or grow."""
    found: list[Span] = []
    for one in held.get("events") or ():
        if isinstance(one, dict):
            found.append(Span(start=_cut(one["from"]), stop=_cut(one["to"]), name=str(one.get("kind", ""))))
        else:
            found.append(Span(start=_cut(one[0]), stop=_cut(one[1])))
    claims = held.get("claims") or ()
    found += [
        Span(start=x[at], stop=x[at], name="a leak is claimed")
        for at in range(1, len(claims))
        if claims[at] > claims[at - 1]
    ]
    during, began = held.get("lowering") or (), 0
    for at, own in enumerate(during):
        if at and own != during[at - 1]:
            began = at
        if own and (at + 1 == len(during) or during[at + 1] != own):
            found.append(Span(start=x[began], stop=x[at], name=f"lowering {own:.0f}"))
    return tuple(found)


def _lives(shown: Sequence[Result]) -> list[Panel]:
    """Return lives as the best deep model told them, or the best baseline's beside it where room is left."""
    panels: list[Panel] = []
    for one in reversed(shown):
        for name, held in one.drawn.items():
            if not name.startswith("life") or len(panels) == _PANELS:
                continue
            points = _POINTS["life"]
            traces = [_trace("truth", "truth", held["x"], held["truth"], points)]
            traces.append(_trace("told", _role(one), held["x"], held["expected"], points))
            if "low" in held and "high" in held:
                x, low = _even(held["x"], held["low"], points=points)
                high = _even(held["x"], held["high"], points=points)[1]
                traces.insert(0, Trace(name="90 % interval", role="band", x=_known(x), y=low, high=high))
            title = f"{one.job.model}: {name.removeprefix('life').strip()}"
            panels.append(Panel(title=title, traces=tuple(traces)))
    return panels


def _attributions(shown: Sequence[Result]) -> list[Panel]:
    """Return bars where names stand beside numbers, lines where lists stand beside ``x``."""
    panels: list[Panel] = []
    for one in shown:
        for name, held in one.drawn.items():
            if name.startswith("attribution") and isinstance(held, dict):
                about = name.removeprefix("attribution").strip() or str(held.get("engine", ""))
                panels += _explained(f"{one.job.model} {about}".strip(), held)
    return panels[:_PANELS]


def _explained(title: str, held: dict[str, Any]) -> list[Panel]:
    lists = {name: own for name, own in held.items() if _is_list(own) and own}
    labels = next((own for own in lists.values() if all(isinstance(one, str) for one in own)), None)
    if labels is not None:
        numbers = [
            (name, own) for name, own in lists.items() if own is not labels and len(own) == len(labels)
        ]
        return [
            Panel(title=f"{title}: {name}", kind="bar", labels=tuple(labels), bars=tuple(map(_cut, own)))
            for name, own in numbers
        ]
    x = lists.pop("x", None)
    if x is None:
        return []
    return [
        Panel(title=title if name == "y" else f"{title}: {name}", traces=(
            _trace(name, "deep" if name == "y" else "other", x, own, _POINTS["attribution"]),
        ))
        for name, own in lists.items() if len(own) == len(x)
    ]  # fmt: skip


def _confusions(shown: Sequence[Result]) -> list[Panel]:
    found = [(one.job.model, one.drawn["confusion"]) for one in shown if "confusion" in one.drawn]
    return [
        Panel(
            title=model, kind="grid", labels=tuple(held["classes"]),
            grid=tuple(tuple(int(one) for one in row) for row in held["count"]),
        )
        for model, held in found
    ]  # fmt: skip


def _trace(name: str, role: Role, x: Sequence[float], y: Sequence[float | None], points: int) -> Trace:
    shown, own = _even(x, y, points=points)
    return Trace(name=name, role=role, x=_known(shown), y=own)


def _even(*columns: Sequence[float | None], points: int) -> tuple[Gaps, ...]:
    """Return columns with every so many entries, the first and the last among them."""
    count = len(columns[0])
    some = min(count, points)
    kept = [round(at * (count - 1) / max(some - 1, 1)) for at in range(some)]
    return tuple(tuple(_gap(own[at]) for at in kept) for own in columns)


def _evenly(x: Floats, points: int) -> Floats:
    """Return where the stretches of :func:`_peaks` begin."""
    return tuple(_cut(one) for one in x[:: max(1, -(-len(x) // points))])


def _peaks(values: Sequence[float | None], points: int) -> Gaps:
    """Return the largest of every stretch, so that no alarm is lost."""
    step = max(1, -(-len(values) // points))
    found: list[float | None] = []
    for at in range(0, len(values), step):
        own = [one for one in map(_gap, values[at : at + step]) if one is not None]
        found.append(max(own) if own else None)
    return tuple(found)


def _is_list(value: object) -> bool:
    return isinstance(value, list | tuple) and len(value) > 0


def _cut(value: float) -> float:
    return float(f"{float(value):.4g}")


def _gap(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else _cut(value)


def _known(values: Gaps) -> Floats:
    return tuple(0.0 if one is None else one for one in values)
