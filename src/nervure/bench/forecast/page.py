"""The report as a page, ``forecasting.md``: written whole from ``forecasting.json``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from nervure.bench.forecast import prose
from nervure.bench.forecast.document import Document, Failure, slug
from nervure.bench.forecast.goal import BAND, MEMORY_MB, ROUND_MS, Verdict
from nervure.bench.forecast.job import DEFAULT, Survey
from nervure.bench.forecast.plot import PLOTS, draw
from nervure.bench.forecast.reason import reasons
from nervure.bench.markdown import number, table

__all__ = ["page", "publish"]

_COMMAND = "nervure evaluate --all"
_MEANS = ("RMSE", "pinball", "CRPS", "MSE")
_ELSEWHERE = ("MAE", "MAE_sd", "coverage_80", "coverage_98", "memory_mb", "parameters", *_MEANS)
_FAULTS = {
    "MAE_missing_30_rise": "30 % of inputs missing",
    "MAE_dead_24h_rise": "own sensor dead 24 h",
    "MAE_stuck_24h_rise": "stuck 24 h",
    "MAE_biased_24h_rise": "biased by half a deviation, 24 h",
}
_FAITH = ("deletion_area", "deletion_area_random", "deletion_gain", "deletion_gain_low", "deletion_gain_high")
_FAULTS_ARE = """\
By how much the mean absolute error rises when the windows of the test part are damaged, by a model that
was trained on the data as they are."""
_FAITH_IS = """\
How much sooner the forecast moves when inputs are hidden in the order of their explained importance than
at random (deletion curve; gain is by how much its area is larger, in the set's unit, with a 95 % interval)."""
_HOW = """\
Every model sees the same windows, cut by the code that live scoring uses; scalers, profiles, choice of
model and calibration come from the train and validation parts, and the test part is looked at once, to
judge. Errors count only where something was read. MAE, RMSE and MSE are of the median; the pinball loss
is the mean over the quantiles asked for, CRPS is approximated from them; the 80 % band reaches from the
10 % to the 90 % quantile. Each training ran alone on one thread in a process of its own: CPU time is
that of fitting, memory the peak of the process, libraries included (the most over the seeds), and a round
is the forecast for all sensors at one instant, deep models by ONNX Runtime on one thread, baselines as they
are in Python, peers by their own call: the median of many rounds, and the least of that over the seeds, as
what else runs on a machine only ever slows one. Intervals are of the difference in absolute error, by a bootstrap over moving blocks of
test time (Künsch, 1989), seeds averaged. Deep rows are means over the seeds given, with the standard
deviation of the MAE over them."""


def publish(document: Document, folder: Path) -> list[Path]:
    """Write page and pictures below a folder; pictures that are no longer shown are removed."""
    folder.mkdir(parents=True, exist_ok=True)
    drawn = [path for picture in document.pictures for path in draw(document, picture, folder)]
    for old in set((folder / PLOTS).glob("*.svg")) - set(drawn):
        old.unlink()
    path = folder / "forecasting.md"
    path.write_text(page(document, shown={one.stem for one in drawn}), "utf-8")
    return [path, *drawn]


def page(document: Document, *, shown: set[str] | None = None) -> str:
    """Return the page; ``shown`` are the pictures that exist (all that can be drawn, if left out)."""
    pictures = shown if shown is not None else _drawable(document)
    parts = [
        "# Forecasting: what deep learning adds, set by set",
        f"Written by `{_COMMAND}` from [forecasting.json](forecasting.json); no number here is typed by hand."
        + (
            ""
            if document.full
            else " **This was not the full run:** fewer windows, models, seeds or seconds."
        ),
        prose.in_short(document),
        _summary(document),
        "## Goals",
        _goals(document),
        "## Where deep learning pays",
        prose.won(document),
        "## Where it does not",
        prose.lost(document),
        prose.undecided(document),
        "## What an operator should deploy",
        prose.deploy(document),
        "## What follows for policy",
        prose.policy(document),
        "## Set by set",
        *(_set(document, survey, pictures) for survey in document.sets),
        *_faults(document),
        *_faith(document),
        *_extra(document),
        "## How this was measured",
        _HOW,
        _machine(document),
        *_failures(document.failures),
    ]
    return "\n\n".join(one for one in parts if one) + "\n"


def _drawable(document: Document) -> set[str]:
    return {
        f"{slug(one.set)}-{kind}"
        for one in document.pictures
        for kind, there in (
            ("day", one.round is not None),
            ("horizon", any(len(curve.horizon) > 1 for curve in one.curves.values())),
            ("sensor", any(curve.node for curve in one.curves.values())),
        )
        if there
    }


def _summary(document: Document) -> str:
    lines = []
    for survey in document.sets:
        one = document.against(survey.set)
        if one is None:
            continue
        gain = one.gain
        between = "" if gain.low is None or gain.high is None else f"{gain.low:.1f} to {gain.high:.1f}"
        band = document.value(survey.set, DEFAULT, "coverage_80")
        lines.append(
            (
                f"[{survey.set}](#{slug(survey.set)})",
                one.baseline,
                number(document.value(survey.set, one.baseline, "MAE")),
                number(document.value(survey.set, DEFAULT, "MAE")),
                f"{gain.percent:.1f} %",
                between,
                "" if band is None else f"{100 * band:.1f} %",
            )
        )
    if not lines:
        return ""
    head = (
        "set",
        "best baseline",
        "its MAE",
        f"MAE of {DEFAULT}",
        "less error",
        "95 % interval",
        "80 % band covers",
    )
    return table(head, lines, left=2)


def _goals(document: Document) -> str:
    lines = [_goal(one) for one in document.goals]
    for survey in document.sets:
        band = document.value(survey.set, DEFAULT, "coverage_80")
        if band is not None:
            state = "met" if BAND[0] <= band <= BAND[1] else "missed"
            aim = f"{100 * BAND[0]:.0f} to {100 * BAND[1]:.0f} %"
            lines.append((survey.set, "80 % band covers", aim, "", f"{100 * band:.1f} %", state))
    rows = [one for one in document.rows if one.model == DEFAULT and one.metric == "memory_mb"]
    if rows:
        most = max(one.value for one in rows)
        state = "met" if most <= MEMORY_MB else "missed"
        lines.append(("all", "training, peak MB", f"≤ {MEMORY_MB:.0f}", "", f"{most:.0f}", state))
    crowd = next((one.infer_ms for one in rows if one.set == "crowd"), None)
    if crowd is not None:
        state = "met" if crowd <= ROUND_MS else "missed"
        lines.append(("crowd", "ms a round, one thread", f"≤ {ROUND_MS:g}", "", number(crowd), state))
    lines += _rises(document)
    if not lines:
        return ""
    goals = table(("set", "what", "goal", "stretch", f"{DEFAULT}", "state"), lines, left=2)
    return "\n\n".join(one for one in (goals, reasons(lines)) if one)


def _goal(one: Verdict) -> tuple[str, ...]:
    goal = one.goal
    sign = "≥" if goal.least else "≤"
    state = one.state
    text = f"{state} ({one.other}: {number(one.other_value)})" if state == "met by another" else state
    return (
        goal.set,
        f"{goal.metric} {goal.horizon}".strip(),
        f"{sign} {number(one.bound)}" if one.bound is not None else "",
        "" if goal.stretch is None else f"{sign} {goal.stretch:g}",
        number(one.value),
        text,
    )


def _rises(document: Document) -> list[tuple[str, ...]]:
    lines: list[tuple[str, ...]] = []
    for metric, bound in (("MAE_missing_30_rise", 10.0), ("MAE_dead_24h_rise", 25.0)):
        for survey in document.sets:
            found = document.value(survey.set, DEFAULT, metric)
            if found is not None:
                state = "met" if found <= bound else "missed"
                name = f"error with {_FAULTS[metric]}"
                lines.append((survey.set, name, f"≤ +{bound:.0f} %", "", f"{found:+.1f} %", state))
    return lines


def _set(document: Document, survey: Survey, pictures: set[str]) -> str:
    name = survey.set
    goals = [prose.goal_line(one) for one in document.goals if one.goal.set == name]
    shown = [
        f"![{words}]({PLOTS}/{slug(name)}-{kind}.svg)"
        for kind, words in (
            ("day", f"{name}: forecast and band on a stretch of the test part"),
            ("horizon", f"{name}: error by horizon"),
            ("sensor", f"{name}: error by sensor"),
        )
        if f"{slug(name)}-{kind}" in pictures
    ]
    parts = [
        f'### <a id="{slug(name)}"></a>{survey.title} (`{name}`)',
        _about(survey),
        _main(document, survey),
        _protocol(document, survey),
        prose.winner(document, survey),
        f"Goals: {'; '.join(goals)}." if goals else "",
        "\n".join(shown),
    ]
    return "\n\n".join(one for one in parts if one)


def _about(survey: Survey) -> str:
    sensors = "1 stream" if survey.nodes == 1 else f"{survey.nodes} streams"
    text = (
        f"{sensors}, a reading every {survey.every}, {survey.window} in, {survey.horizon} ahead; unit: {survey.unit or 'none'}. "
        f"{survey.train:,} / {survey.validation:,} / {survey.test:,} slots for training, validation and test, "
        f"{survey.span[0][:10]} to {survey.span[1][:10]}; {survey.origins:,} issue times judged; "
        f"{100 * survey.missing:.1f} % of readings missing."
    )
    further = (
        f"Protocol: {survey.protocol}." if survey.protocol else "",
        survey.note,
        f"Data: {survey.cite}." if survey.cite else "",
    )
    return " ".join(one for one in (text, *further) if one)


def _main(document: Document, survey: Survey) -> str:
    """Return the set's table: baselines worst first, then peers, then deep models, the best last."""
    name = survey.set
    horizons = document.horizons(name)
    means = [one for one in _MEANS if any(row.set == name and row.metric == one for row in document.rows)]
    head = (
        "model", *(f"MAE {one}" for one in horizons), *means, "80 % band", "seeds", "MAE sd", "parameters",
        "train CPU-s", "ms a round", "MB",
    )  # fmt: skip
    least = {
        one: min(
            (row.value for row in document.rows if (row.set, row.metric, row.horizon) == (name, "MAE", one)),
            default=None,
        )
        for one in horizons
    }
    lines = [
        (_called(document, name, model), *_cells(document, name, model, horizons, least), *rest)
        for model in document.models(name)
        for rest in [_rest(document, name, model, means)]
    ]
    return table(head, lines)


def _called(document: Document, name: str, model: str) -> str:
    """Return a model's name as its kind is set: baselines plain, peers slanted, deep models as code."""
    kind = next(one.kind for one in document.rows if (one.set, one.model) == (name, model))
    return {"deep": f"`{model}`", "peer": f"*{model}*"}.get(kind, model)


def _cells(
    document: Document, name: str, model: str, horizons: Sequence[str], least: Mapping[str, float | None]
) -> list[str]:
    """Return the mean absolute errors of a model, the smallest of a column bold."""
    cells = []
    for one in horizons:
        value = document.value(name, model, "MAE", one)
        text = number(value)
        cells.append(f"**{text}**" if text and value == least[one] else text)
    return cells


def _rest(document: Document, name: str, model: str, means: Sequence[str]) -> list[str]:
    """Return what stands right of the errors by horizon: means, band, seeds and costs."""
    row = next(one for one in document.rows if (one.set, one.model) == (name, model))
    cells = [number(document.value(name, model, one)) for one in means]
    band = document.value(name, model, "coverage_80")
    cells += ["" if band is None else f"{100 * band:.1f} %", str(row.seeds)]
    cells += [number(document.value(name, model, "MAE_sd"), 2)]
    cells += [number(document.value(name, model, "parameters", ""))]
    cells += [number(row.train_cpu_s, 3), number(row.infer_ms, 3)]
    return [*cells, number(document.value(name, model, "memory_mb", ""), 3)]


def _protocol(document: Document, survey: Survey) -> str:
    """Return what else the set's protocol asks for, a line a model."""
    name = survey.set
    known = {*_ELSEWHERE, *_FAULTS, *_FAITH}
    further = list(
        dict.fromkeys(
            (row.metric, row.horizon) for row in document.rows if row.set == name and row.metric not in known
        )
    )
    if not further:
        return ""
    lines = []
    for model in document.models(name):
        values = [document.value(name, model, *one) for one in further]
        if any(one is not None for one in values):
            lines.append((model, *(number(one) for one in values)))
    head = ("protocol", *(f"{metric} {horizon}".strip() for metric, horizon in further))
    return table(head, lines)


def _faults(document: Document) -> list[str]:
    """Return the section on faulty sensors."""
    lines = []
    for survey in document.sets:
        for model in document.models(survey.set):
            found = [document.value(survey.set, model, metric) for metric in _FAULTS]
            if any(one is not None for one in found):
                lines.append((survey.set, model, *("" if one is None else f"{one:+.1f} %" for one in found)))
    if not lines:
        return []
    return [
        "## Faulty sensors",
        _FAULTS_ARE,
        table(("set", "model", *_FAULTS.values()), lines, left=2),
    ]


def _faith(document: Document) -> list[str]:
    """Return the section on how faithful explanations are."""
    lines = []
    for survey in document.sets:
        found = [document.value(survey.set, DEFAULT, metric, "") for metric in _FAITH]
        if found[2] is not None:
            lines.append((survey.set, *(number(one, 3) for one in found)))
    if not lines:
        return []
    return [
        "## Explanations",
        _FAITH_IS,
        table(("set", "area", "area at random", "gain", "from", "to"), lines),
    ]


def _extra(document: Document) -> list[str]:
    """Return further tables: cold start, transfer, retraining; columns as their rows name them."""
    parts: list[str] = []
    for name in dict.fromkeys(str(row["table"]) for row in document.extra):
        rows = [row for row in document.extra if row["table"] == name]
        columns = list(dict.fromkeys(key for row in rows for key in row if key != "table"))
        lines = [
            tuple(
                number(value) if isinstance(value, int | float) else str(value or "")
                for value in (row.get(column) for column in columns)
            )
            for row in rows
        ]
        parts += [f"## {name[:1].upper()}{name[1:]}", table(columns, lines)]
    return parts


def _machine(document: Document) -> str:
    one = document.machine
    return (
        f"Nervure {one.nervure}, Python {one.python}, torch {one.torch}, {one.cores} cores of "
        f"{one.processor or 'an unknown processor'}; newest result {document.made}."
    )


def _failures(failures: Sequence[Failure]) -> list[str]:
    if not failures:
        return []
    lines = [(one.set, one.model, one.error.replace("|", "/")) for one in failures]
    return ["## What could not be measured", table(("set", "model", "why"), lines, left=3)]
