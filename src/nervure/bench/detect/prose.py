"""What the numbers of the report on detection say, in sentences: each is computed, none is typed."""

from __future__ import annotations

import math
from statistics import median
from typing import Literal, NamedTuple

from nervure.bench.detect.document import About, Document, Ranked, Verdict
from nervure.bench.markdown import number, table

__all__ = [
    "FAMILIES", "Stand", "aim", "by_family", "claim", "deploy", "goal_line", "in_short", "lost", "stand",
    "standing", "undecided", "won",
]  # fmt: skip

FAMILIES = {
    "promise": "The alarm: promised rate, and which sensor",
    "stream": "Streams of sensors",
    "leak": "Leaks and bursts",
    "structure": "Structures",
    "bearing": "Bearing faults",
    "life": "Remaining life and maintenance",
    "body": "Bodies",
    "fusion": "Fewer bytes over thin lines",
}
CLAIM = "claim"
_CLEAR = 2.0  # how many deviations over seeds a difference must be to count as one

Word = Literal["won", "lost", "undecided"]


class Stand(NamedTuple):
    """How the best deep model of a set stands against the best baseline by the lead metric.

    ``gain`` is the difference, above 0 where the deep model is better, ``spread`` the deviation of that
    difference from seed to seed, None where the deep model was run once.
    """

    about: About
    deep: Ranked
    plain: Ranked
    gain: float
    spread: float | None
    word: Word


def stand(document: Document, about: About) -> Stand | None:
    """Return how deep learning stands on a set, or None where nothing is to be compared."""
    deep, plain = document.ranked(about, "deep"), document.ranked(about, "baseline")
    if not deep or not plain or not about.sense:
        return None
    ours, theirs = deep[0], plain[0]
    gain = (theirs.value - ours.value) * (1 if about.sense == "less" else -1)
    spread = None if ours.deviation is None else math.hypot(ours.deviation, theirs.deviation or 0.0)
    word: Word = "undecided"
    if spread is not None and abs(gain) > _CLEAR * spread:
        word = "won" if gain > 0 else "lost"
    return Stand(about, ours, theirs, gain, spread, word)


def standing(one: Stand) -> str:
    """Say a difference in words, in the metric's unit and in spreads of seeds."""
    text = (
        f"{one.about.lead} {number(one.deep.value)} with `{one.deep.model}`, {number(one.plain.value)} with"
        f" {one.plain.model}"
    )
    if not one.gain:
        return f"{text}: no difference"
    word = "better" if one.gain > 0 else "worse"
    size = f"{number(abs(one.gain), 2)} {word}"
    if one.spread is None:
        return f"{text}: {size}, of one run"
    if not one.spread:
        return f"{text}: {size}, the same from seed to seed"
    return f"{text}: {size}, {abs(one.gain) / one.spread:.1f} times the spread of seeds"


def _stands(document: Document, word: Word | None = None) -> list[Stand]:
    found = [stand(document, about) for about in document.sets]
    return [one for one in found if one is not None and word in (None, one.word)]


def _sets(count: int) -> str:
    return "1 set" if count == 1 else f"{count} sets"


def in_short(document: Document) -> str:
    """Say in a paragraph what came out."""
    stands = _stands(document)
    count = {word: sum(one.word == word for one in stands) for word in ("won", "lost", "undecided")}
    verdicts = [one for about in document.sets for one in document.verdicts(about)]
    met = sum(one.state == "met" for one in verdicts)
    asking = [about for about in document.sets if about.goals]
    whole = sum(all(one.state == "met" for one in document.verdicts(about)) for about in asking)
    deep = [document.row(one.about.set, one.deep.model).train_cpu_s or 0.0 for one in stands]
    plain = [document.row(one.about.set, one.plain.model).train_cpu_s or 0.0 for one in stands]
    text = (
        f"On {_sets(len(stands))} deep models meet plain baselines. By the metric of each set's first goal"
        f" the best deep model is clearly better than the best baseline on {count['won']}, clearly worse on"
        f" {count['lost']}, and on {count['undecided']} seeds spread too widely to tell, or"
        " a model ran once."
    )
    parts = [text]
    others = len(document.sets) - len(stands)
    if others:
        parts.append(f"{others} more {'has' if others == 1 else 'have'} no such pair.")
    if verdicts:
        parts.append(
            f"Of {len(verdicts)} goals {met} are met, by one model a set; all goals of the set are met on"
            f" {whole} of {len(asking)}."
        )
    if stands:
        parts.append(
            f"Fitting took {number(median(deep), 2)} CPU-s for the deep model on the set in the middle,"
            f" {number(median(plain), 2)} for the baseline. The best of a kind was picked with the test part"
            " in view, for both kinds alike."
        )
    return " ".join(parts)


def _listed(document: Document, word: Word) -> str:
    return "\n".join(
        f"- **{one.about.title}** (`{one.about.set}`): {standing(one)}." for one in _stands(document, word)
    )


def won(document: Document) -> str:
    """Say where deep models pay."""
    return (
        _listed(document, "won") or "On no set is a deep model clearly better than the best plain baseline."
    )


def lost(document: Document) -> str:
    """Say where a plain baseline is better."""
    return _listed(document, "lost") or "On no set is a plain baseline clearly better than every deep model."


def undecided(document: Document) -> str:
    """Say where seeds cannot tell."""
    found = _listed(document, "undecided")
    return f"Where the spread of seeds cannot tell, or a model ran once:\n\n{found}" if found else ""


def by_family(document: Document) -> str:
    """Return who won how often, by kind of problem."""
    lines = []
    for family in dict.fromkeys(about.family for about in document.sets):
        own = [one for one in _stands(document) if one.about.family == family]
        if own:
            count = [str(sum(one.word == word for one in own)) for word in ("won", "lost", "undecided")]
            lines.append((FAMILIES.get(family, family), *count))
    if not lines:
        return ""
    return table(("problem", "deep models pay on", "baselines are better on", "cannot be told on"), lines)


def deploy(document: Document) -> str:
    """Say for each set what to run: what meets most goals, and where that is even, what costs less."""
    lines = []
    for about in document.sets:
        chosen, why = _choice(document, about)
        if chosen:
            row = document.row(about.set, chosen)
            value = f"{about.lead} {number(document.value(about.set, chosen, about.lead))}"
            lines.append((about.set, chosen, why, value, number(row.train_cpu_s, 3), number(row.infer_ms, 3)))
    return table(("set", "deploy", "because", "", "train CPU-s", "ms a step"), lines, left=4)


def _choice(document: Document, about: About) -> tuple[str, str]:
    """Return what to run on a set, and why."""
    deep, plain = document.best(about, "deep"), document.best(about, "baseline")
    if not deep or not plain:
        return (plain or deep), "nothing of the other kind competes"
    ours, theirs = (document.reached(about, one) for one in (deep, plain))
    if ours != theirs:
        better, worse = max(ours, theirs), min(ours, theirs)
        all_of = len(about.bounds)
        return (deep if ours > theirs else plain), f"meets {better} of {all_of} goals, the other kind {worse}"
    one = stand(document, about)
    if one is not None and one.word == "won":
        return one.deep.model, "clearly better than any baseline"
    if one is not None and one.word == "lost":
        return one.plain.model, "clearly better than any deep model"
    return plain, "no deep model is clearly better, and this costs less"


def aim(one: Verdict) -> str:
    """Write the bounds of a goal."""
    return " and ".join(f"{'≥' if sign == '>=' else '≤'} {number(bound)}" for sign, bound in one.bounds)


def goal_line(one: Verdict) -> str:
    """Say of a goal what was reached."""
    text = f"{one.metric} {aim(one)}: "
    if one.value is None:
        return f"{text}not measured"
    text += f"{number(one.value)}, {'met' if one.state == 'met' else 'missed'}"
    return text + (f" (met by {one.other}: {number(one.other_value)})" if one.other else "")


def claim(document: Document) -> str:
    """Return what became of the claim that a CNN does far better than thresholds set by hand."""
    about = next((one for one in document.sets if one.set == CLAIM), None)
    if about is None or not about.said:
        return ""
    deep = document.ranked(about, "deep")
    tail = ""
    if deep:
        net = deep[0].model
        held = [metric for metric in about.metrics if document.value(CLAIM, net, metric) is not None]
        beaten = [
            metric
            for metric in held
            if any(
                (document.value(CLAIM, one, metric) or 0.0) >= (document.value(CLAIM, net, metric) or 0.0)
                for one in document.models(CLAIM, "baseline")
            )
        ]
        tail = (
            f" Of the {len(held)} figures, some baseline is as good as `{net}` or better in {len(beaten)}:"
            f" [the table](#{CLAIM})."
        )
    return about.said + tail
