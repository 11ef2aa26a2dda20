"""The report on detection as a page, ``detection.md``: written whole from ``detection.json``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from nervure.bench.detect import prose
from nervure.bench.detect.document import About, Document, sense
from nervure.bench.detect.plot import PLOTS, draw, file_of
from nervure.bench.forecast.document import slug
from nervure.bench.markdown import number, table

__all__ = ["page", "publish", "table_of"]

_COMMAND = "nervure evaluate detection"
_COSTS = ("parameters", "memory_mb", "cpu_s")
_MOST_NOTES = 4
_HOW = """\
Splits are those of each set's protocol, which also says what was seen when something was chosen; no hit is
widened to a whole event (no point-adjust).
Each job ran alone on one thread in a process of its own. CPU time is that of fitting, as each contest counts
it; a step is a row, a window or a case, on one thread, the least over the seeds, as whatever else runs on a
machine only ever slows one; MB is the peak of the process, libraries and data included, the most over the
seeds. What knows no chance ran once. Figures are means over the seeds given, with the standard deviation of
a single run (±). A difference is called clear where it is more than twice the deviation of that difference
from seed to seed, the two kinds' deviations taken together; that says nothing of what another test part
would show. A goal is held against one model a set, that which meets most of the set's goals, picked with the
test part in view; peers do not count."""


def publish(document: Document, folder: Path) -> list[Path]:
    """Write page and pictures below a folder; pictures that are no longer shown are removed."""
    folder.mkdir(parents=True, exist_ok=True)
    drawn = [draw(picture, folder) for picture in document.pictures]
    for old in set((folder / PLOTS).glob("*.svg")) - set(drawn):
        old.unlink()
    path = folder / "detection.md"
    path.write_text(page(document), "utf-8")
    return [path, *drawn]


def page(document: Document) -> str:
    """Return the page."""
    claimed = prose.claim(document)
    parts = [
        "# Detection: what deep learning adds, set by set",
        f"Written by `{_COMMAND}` from [detection.json](detection.json); no number here is typed by hand."
        + ("" if document.full else " **This was not the full run:** fewer sets, models, seeds or seconds."),
        prose.in_short(document),
        _summary(document),
        "## Goals",
        _goals(document),
        "## Where deep models pay",
        prose.won(document),
        prose.by_family(document),
        "## Where they do not",
        prose.lost(document),
        prose.undecided(document),
        "## What an operator should deploy",
        prose.deploy(document),
        *(("## A CNN over 95 % against 70 % for thresholds set by hand?", claimed) if claimed else ()),
        "## Set by set",
        *_families(document),
        "## How this was measured",
        _HOW,
        _machine(document),
        *_failures(document),
    ]
    return "\n\n".join(one for one in parts if one) + "\n"


def _summary(document: Document) -> str:
    lines = []
    for about in document.sets:
        one = prose.stand(document, about)
        if one is not None:
            sets = f"[{about.set}](#{slug(about.set)})"
            spread = "" if one.spread is None else number(one.spread, 2)
            word = {"won": "better", "lost": "worse", "undecided": "cannot be told"}[one.word]
            lines.append(
                (sets, about.lead, f"{one.plain.model}: {number(one.plain.value)}",
                 f"{one.deep.model}: {number(one.deep.value)}", f"{one.gain:+.2g}", spread, word)
            )  # fmt: skip
    if not lines:
        return ""
    head = ("set", "by", "best baseline", "best deep model", "gain", "spread of seeds", "deep is")
    return table(head, lines, left=4)


def _goals(document: Document) -> str:
    lines = []
    for about in document.sets:
        for one in document.verdicts(about):
            state = f"met by {one.other}: {number(one.other_value)}" if one.other else one.state
            lines.append(
                (f"[{about.set}](#{slug(about.set)})", one.metric, prose.aim(one),
                 one.model, number(one.value), f"missed ({state})" if one.other else state)
            )  # fmt: skip
    if not lines:
        return "No set here has a goal."
    return table(("set", "what", "goal", "model", "value", "state"), lines, left=2)


def _families(document: Document) -> list[str]:
    parts = []
    for family in dict.fromkeys(about.family for about in document.sets):
        parts.append(f"### {prose.FAMILIES.get(family, family)}")
        parts += [_set(document, about) for about in document.sets if about.family == family]
    return parts


def _set(document: Document, about: About) -> str:
    goals = [prose.goal_line(one) for one in document.verdicts(about)]
    judged = document.verdicts(about)[0].model if goals else ""
    one = prose.stand(document, about)
    shown = [
        f"![{about.set}: {picture.words}]({file_of(picture)})"
        for picture in document.pictures
        if picture.set == about.set
    ]
    parts = [
        f'#### <a id="{slug(about.set)}"></a>{about.title} (`{about.set}`)',
        f"{_sentence(about.question)} {_sentence(about.protocol)}",
        table_of(document, about),
        _further(document, about),
        about.said if about.set != prose.CLAIM else "",
        f"Best deep model against best baseline: {prose.standing(one)}." if one else "",
        f"Goals, held against {judged}: {'; '.join(goals)}." if judged else "",
        _notes(about),
        "\n".join(shown),
    ]
    return "\n\n".join(part for part in parts if part)


def _sentence(text: str) -> str:
    """Return a text as a sentence.

    >>> _sentence("by block")
    'By block.'
    """
    return text and text[:1].upper() + text[1:] + ("" if text.endswith((".", "!", "?")) else ".")


def table_of(document: Document, about: About) -> str:
    """Return the set's table: baselines, then peers, then deep models, of each kind the best last."""
    metrics = [one for one in about.metrics if _there(document, about, one)]
    models = _ordered(document, about)
    best = {metric: _best(document, about, metric) for metric in metrics}
    lines = []
    for model in models:
        row = document.row(about.set, model)
        cells = [_cell(document, about, model, metric, best[metric]) for metric in metrics]
        costs = (
            number(document.value(about.set, model, "parameters") or None),
            number(row.train_cpu_s, 3),
            number(row.infer_ms, 3),
            number(document.value(about.set, model, "memory_mb"), 3),
        )
        called = {"deep": f"`{model}`", "peer": f"*{model}*"}.get(row.kind, model)
        lines.append((called, *cells, str(row.seeds), *costs))
    if not lines:
        return "Nothing was measured."
    return table(("model", *metrics, "seeds", "parameters", "train CPU-s", "ms a step", "MB"), lines)


def _ordered(document: Document, about: About) -> list[str]:
    """Return a set's models, baselines above peers above deep ones, each kind's best last."""
    found: list[str] = []
    for kind in ("baseline", "peer", "deep"):
        ranked = [one.model for one in document.ranked(about, kind)][::-1]
        found += [one for one in document.models(about.set, kind) if one not in ranked] + ranked
    return found


def _there(document: Document, about: About, metric: str) -> bool:
    return any(row.set == about.set and row.metric == metric for row in document.rows)


def _best(document: Document, about: About, metric: str) -> float | None:
    """Return the best value of a metric on a set, None where neither less nor more is better."""
    way = sense(metric) if about.sense else ""
    values = [
        row.value
        for row in document.rows
        if (row.set, row.metric) == (about.set, metric) and row.kind != "peer"
    ]
    return (min(values) if way == "less" else max(values)) if values and way else None


def _cell(document: Document, about: About, model: str, metric: str, best: float | None) -> str:
    value = document.value(about.set, model, metric)
    if value is None:
        return ""
    text = f"**{number(value)}**" if value == best else number(value)
    deviation = document.value(about.set, model, f"{metric}_sd")
    return text if deviation is None else f"{text} ± {number(deviation, 2)}"


def _further(document: Document, about: About) -> str:
    """Return figures that a contest has beside those of its table."""
    known = {*about.metrics, *_COSTS}
    metrics = [
        row.metric
        for row in document.rows
        if row.set == about.set and row.metric.removesuffix("_sd") not in known
    ]
    metrics = [one for one in dict.fromkeys(metrics) if not (one.endswith("_sd") and one[:-3] in metrics)]
    if not metrics:
        return ""
    lines = [
        (model, *(_cell(document, about, model, metric, None) for metric in metrics))
        for model in _ordered(document, about)
        if any(document.value(about.set, model, metric) is not None for metric in metrics)
    ]
    return table(("further", *metrics), lines)


def _notes(about: About) -> str:
    """Return what results say of themselves; a note that all models share stands once."""
    by_note: dict[str, list[str]] = {}
    for model, note in about.notes:
        by_note.setdefault(note, []).append(model)
    lines = [
        _sentence(note) if len(by_note) == 1 else f"{', '.join(models)}: {_stopped(note)}"
        for note, models in list(by_note.items())[:_MOST_NOTES]
    ]
    return f"Notes. {' '.join(lines)}" if lines else ""


def _stopped(text: str) -> str:
    return text if text.endswith(".") else f"{text}."


def _machine(document: Document) -> str:
    one = document.machine
    return (
        f"Nervure {one.nervure}, Python {one.python}, torch {one.torch}, {one.cores} cores of "
        f"{one.processor or 'an unknown processor'}; newest result {document.made}."
    )


def _failures(document: Document) -> Sequence[str]:
    if not document.failures:
        return ()
    lines = [(one.set, one.model, one.error.replace("|", "/")) for one in document.failures]
    return "## What could not be measured", table(("set", "model", "why"), lines, left=3)
