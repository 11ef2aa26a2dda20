"""What the numbers say, in sentences: each is written from the report's data, none by hand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from statistics import median

from nervure.bench.forecast.document import Compared, Document
from nervure.bench.forecast.goal import BAND, MEMORY_MB, Verdict
from nervure.bench.forecast.job import DEFAULT, Survey

__all__ = [
    "deploy",
    "goal_line",
    "in_short",
    "lost",
    "policy",
    "share",
    "standing",
    "undecided",
    "winner",
    "won",
]

_MANY = 50  # sensors
_YEAR_DAYS = 300.0
_ALIKE = 2.0  # percent


def share(one: Compared) -> str:
    """Say by how much a model errs less (or more) than a baseline, with the interval.

    >>> from nervure.bench.forecast.bootstrap import Gain
    >>> gain = Gain(percent=-3.0, low=-5.0, high=-1.0)
    >>> share(Compared(set="air", model="mixer", horizon="avg", baseline="boosted trees", gain=gain))
    '3.0 % more error than boosted trees (95 % interval 1.0 to 5.0 % more)'
    """
    gain = one.gain
    word = "less" if gain.percent >= 0 else "more"
    text = f"{abs(gain.percent):.1f} % {word} error than {one.baseline}"
    if gain.low is None or gain.high is None:
        return f"{text} (the test part is too short for an interval)"
    low, high = gain.low, gain.high
    if word == "more":
        low, high = -high, -low
    if low < 0 <= high:
        other = "more" if word == "less" else "less"
        return f"{text} (95 % interval {-low:.1f} % {other} to {high:.1f} % {word})"
    return f"{text} (95 % interval {low:.1f} to {high:.1f} % {word})"


def standing(one: Compared | None) -> str:
    """Say whether a model is ahead, behind, or neither can be told: ``won``, ``lost``, ``undecided``."""
    if one is None:
        return "undecided"
    low, high = one.gain.low, one.gain.high
    if low is None or high is None:
        return "undecided"
    return "won" if low > 0 else "lost" if high < 0 else "undecided"


def _stand(document: Document, word: str) -> list[tuple[Survey, Compared]]:
    """Return the sets on which the default stands so on average, the largest gain first."""
    found = [
        (survey, one)
        for survey in document.sets
        if (one := document.against(survey.set)) is not None and standing(one) == word
    ]
    return sorted(found, key=lambda pair: -pair[1].gain.percent)


def in_short(document: Document) -> str:
    """Say in a paragraph on how many sets the default is ahead, and what it costs."""
    words = ("won", "undecided", "lost")
    count = {word: len(_stand(document, word)) for word in words}
    total = sum(count.values())
    if not total:
        return f"The model `{DEFAULT}` was not run on any set."
    spots = [one for one in document.compared if one.model == DEFAULT and one.horizon != "avg"]
    lower = sum(one.gain.percent > 0 for one in spots)
    each = (_costs(document, survey.set, DEFAULT)[0] for survey in document.sets)
    cost = [one for one in each if one is not None]
    return (
        f"Over {_sets(total)}, the default model `{DEFAULT}` has clearly less error than the best plain baseline "
        f"on {count['won']}, clearly more on {count['lost']}, and on {count['undecided']} the test part cannot tell "
        f"them apart (95 % intervals of the mean absolute error over all horizons). Horizon by horizon it has the "
        f"smaller error at {lower} of {len(spots)}. The best baseline was picked for each horizon with the test part "
        f"in view, which favours the baselines. "
        + (
            f"A training took {median(cost):.0f} CPU-s on the set in the middle, {max(cost):.0f} at most."
            if cost
            else ""
        )
    )


def _sets(count: int) -> str:
    return f"{count} set" + ("" if count == 1 else "s")


def winner(document: Document, survey: Survey) -> str:
    """Say who has the smallest error on a set, and how the default stands."""
    name = survey.set
    ranked = sorted(
        (value, model)
        for model in document.models(name)
        if (value := document.value(name, model, "MAE")) is not None
    )
    if not ranked:
        return ""
    text = f"Smallest mean absolute error over all horizons: {ranked[0][1]}."
    one = document.against(name)
    if one is None:
        return text
    verdict = {
        "won": "The difference is clear.",
        "lost": "The baseline is clearly better here.",
        "undecided": "This test part cannot tell them apart.",
    }[standing(one)]
    behind = [
        each.horizon
        for each in document.compared
        if each.set == name and each.model == DEFAULT and each.gain.percent <= 0 and each.horizon != "avg"
    ]
    tail = f" At {', '.join(behind)} the best baseline for that horizon errs less." if behind else ""
    return f"{text} `{DEFAULT}` has {share(one)}. {verdict}{tail}"


def goal_line(one: Verdict) -> str:
    """Say of a goal what was reached."""
    goal = one.goal
    what = f"{goal.metric} {goal.horizon}".strip()
    if one.bound is None:
        return f"{what}: not measured"
    sign = "≥" if goal.least else "≤"
    text = f"{what} {sign} {one.bound:.4g}: "
    text += "not measured" if one.value is None else f"{one.value:.4g}, {one.state}"
    if one.state == "met by another":
        text += f" ({one.other}: {one.other_value:.4g})"
    return text


def won(document: Document) -> str:
    """Say where deep learning pays."""
    found = _stand(document, "won")
    if not found:
        return "On no set is the default model clearly better than the best plain baseline."
    lines = [f"- **{survey.title}** (`{survey.set}`): {share(one)}." for survey, one in found]
    return "\n".join([*lines, "", *_traits(document)])


def _traits(document: Document) -> list[str]:
    """Say what the gains go with: sensors, drivers known ahead, length of history."""
    kinds: Sequence[tuple[str, str, Callable[[Survey], bool]]] = (
        (f"{_MANY} sensors or more", "fewer sensors", lambda one: one.nodes >= _MANY),
        ("drivers known ahead (weather forecasts)", "none known ahead", lambda one: one.ahead > 0),
        (
            f"{_YEAR_DAYS:.0f} days or more to learn from",
            "a shorter history",
            lambda one: one.train_days >= _YEAR_DAYS,
        ),
    )
    lines = [
        "Gain over the best baseline, median over the sets of a kind:",
        "",
        "| sets with | gain | sets without | gain |",
        "|---|---|---|---|",
    ]
    for yes, no, holds in kinds:
        cells = []
        for wanted in (True, False):
            gains = [
                one.gain.percent
                for survey in document.sets
                if holds(survey) is wanted and (one := document.against(survey.set)) is not None
            ]
            cells.append(f"{median(gains):.1f} % ({_sets(len(gains))})" if gains else "none")
        lines.append(f"| {yes} | {cells[0]} | {no} | {cells[1]} |")
    return lines


def lost(document: Document) -> str:
    """Say where a plain baseline is better."""
    found = _stand(document, "lost")
    if not found:
        return "On no set is a plain baseline clearly better than the default model."
    return "\n".join(f"- **{survey.title}** (`{survey.set}`): {share(one)}." for survey, one in found[::-1])


def undecided(document: Document) -> str:
    """Say where the test part cannot tell."""
    found = _stand(document, "undecided")
    if not found:
        return ""
    lines = [f"- {survey.title} (`{survey.set}`): {share(one)}." for survey, one in found]
    return "\n".join(["Where this test part cannot tell them apart:", "", *lines])


def deploy(document: Document) -> str:
    """Say for each set what to run, by accuracy first and cost where accuracy cannot tell."""
    lines = ["| set | deploy | because | train CPU-s | ms a round |", "|---|---|---|---|---|"]
    for survey in document.sets:
        one = document.against(survey.set)
        if one is None:
            continue
        chosen, why = _choice(document, one)
        spent, ms = _costs(document, survey.set, chosen)
        cells = "" if spent is None else f"{spent:.0f}", "" if ms is None else f"{ms:.3g}"
        lines.append(f"| {survey.set} | {chosen} | {why} | {cells[0]} | {cells[1]} |")
    return "\n".join(lines)


def _choice(document: Document, one: Compared) -> tuple[str, str]:
    """Return what to run on a set and why; ``one`` is how the default stands there."""
    word, best = standing(one), document.best(one.set, "deep")
    beside = document.against(one.set, model=best) if best != DEFAULT else None
    if word != "won" and standing(beside) == "won":
        return best, f"clearly less error than any baseline, which `{DEFAULT}` has not"
    if word == "won":
        why = "clearly less error than any baseline"
        if beside is not None:
            spent, _ = _costs(document, one.set, best)
            why += f"; {best} errs less still" + ("" if spent is None else f", for {spent:.0f} CPU-s")
        return DEFAULT, why
    if word == "lost":
        return one.baseline, f"`{DEFAULT}` errs clearly more"
    if abs(one.gain.percent) < _ALIKE:
        ours, theirs = (_costs(document, one.set, model)[0] or 0.0 for model in (DEFAULT, one.baseline))
        chosen = one.baseline if ours > theirs else DEFAULT
        return chosen, f"errors alike (within {_ALIKE:.0f} %); cheaper to train"
    chosen = DEFAULT if one.gain.percent > 0 else one.baseline
    return chosen, "less error on this test part, which is too short to be sure"


def _costs(document: Document, name: str, model: str) -> tuple[float | None, float | None]:
    """Return CPU seconds of a training and milliseconds of a round, None where not measured."""
    for row in document.rows:
        if (row.set, row.model) == (name, model):
            return row.train_cpu_s, row.infer_ms
    return None, None


def policy(document: Document) -> str:
    """Say what follows: data needed, sampling, robustness, cost, privacy."""
    parts = [_data(document), _sampling(document), _faults(document), _cost(document), _PRIVACY]
    return "\n\n".join(one for one in parts if one)


def _data(document: Document) -> str:
    found = [survey for survey, _ in _stand(document, "won")]
    if not found:
        return ""
    least = min(found, key=lambda one: one.train_days)
    text = (
        f"**Data needed.** The shortest history from which the default was clearly better is that of {least.set}: "
        f"{least.train_days:.0f} days of {_sensors(least.nodes)}, one reading every {least.every}."
    )
    short = [survey for survey, _ in _stand(document, "lost") if survey.train_days <= least.train_days]
    if short:
        worst = min(short, key=lambda one: one.train_days)
        text += f" With {worst.train_days:.0f} days it was not ({worst.set})."
    return text


def _sensors(count: int) -> str:
    return "1 sensor" if count == 1 else f"{count} sensors"


def _sampling(document: Document) -> str:
    """Say what share of readings is missing, and from how rare a reading a gain was still had."""
    holed = [one for one in document.sets if one.missing > 0.005]
    if not document.sets:
        return ""
    text = f"**Sampling and upkeep.** {len(holed)} of {_sets(len(document.sets))} miss more than 0.5 % of readings"
    if holed:
        worst = max(holed, key=lambda one: one.missing)
        text += f" ({worst.set} {100 * worst.missing:.1f} %)"
    return text + "; no set was filled in by hand, as a live system cannot be."


def _faults(document: Document) -> str:
    """Say what lost readings and dead sensors cost the default model."""
    said = []
    for metric, words, bound in (
        ("MAE_missing_30_rise", "30 % of all inputs missing", 10.0),
        ("MAE_dead_24h_rise", "the own sensor dead for 24 h", 25.0),
    ):
        found = [row for row in document.rows if (row.model, row.metric) == (DEFAULT, metric)]
        if found:
            within = sum(row.value <= bound for row in found)
            middle = median(row.value for row in found)
            said.append(
                f"with {words} the error rises by {middle:.1f} % in the median over {_sets(len(found))}, "
                f"within {bound:.0f} % on {within}"
            )
    return f"**Faulty sensors.** For `{DEFAULT}`, {'; '.join(said)}." if said else ""


def _cost(document: Document) -> str:
    rows = [row for row in document.rows if row.model == DEFAULT and row.metric == "memory_mb"]
    if not rows:
        return ""
    hours = sum((row.train_cpu_s or 0.0) for row in rows) / 3600
    most = max(rows, key=lambda row: row.value)
    slow = max(rows, key=lambda row: row.infer_ms or 0.0)
    round_ms = (
        ""
        if slow.infer_ms is None
        else (f" The slowest round of forecasts takes {slow.infer_ms:.2g} ms ({slow.set}).")
    )
    covered = [row.value for row in document.rows if row.model == DEFAULT and row.metric == "coverage_80"]
    inside = sum(BAND[0] <= one <= BAND[1] for one in covered)
    return (
        f"**Cost.** One training on each of {_sets(len(rows))} takes {hours:.2f} CPU-hours in all, on one core without "
        f"a GPU, and {most.value:.0f} MB at most ({most.set}; the bound is {MEMORY_MB:.0f} MB).{round_ms} The 80 % "
        f"band covers "
        f"{100 * BAND[0]:.0f} to {100 * BAND[1]:.0f} % on {inside} of {_sets(len(covered))}."
    )


_PRIVACY = (
    "**Privacy.** Every set here holds counts, levels or speeds of places, not of persons, and the forecasts need "
    "nothing finer. Sums over a station, a district or a detector are enough; what could be traced to one person "
    "need not leave the sensor."
)
