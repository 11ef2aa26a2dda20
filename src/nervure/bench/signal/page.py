"""The report on signals as a page, ``signals.md`` with one picture, written from its data alone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure

from nervure.bench.figure import svg
from nervure.bench.markdown import number, table
from nervure.bench.signal.document import Document, Row

__all__ = ["picture", "publish", "write_page"]

_INK = {"plan": "#8a97a6", "rule": "#16324f", "learned": "#7b3fa0"}

_HEAD = """# Signals

Rules and learned controllers of signals on the same simulated streets and seeds. Every number here is from
`{command}`, {made}; data: [signals.json](signals.json).

Engine {engine}. Nets `resco/…` are RESCO's (Ault and Sharon, NeurIPS Datasets 2021), read from the installed
`sumo-rl`, an hour each. Decisions every 10 s (Webster: every 5 s), 3 s of yellow, detectors see 80 m. Delay is
time lost plus delay of departure, wait is standing time, travel includes the delay of departure; all are means
over all trips that were to begin, also those that were not over, and nobody is teleported out of a jam (who has
stood within a junction for a minute is driven around). Seeds 201 and on; the constants of rules were set on
seeds 1 to 8, with a run of 101 and on seen before. That a red lane presses by what clearance leaves of its green
(0.6 of ten seconds) follows from yellow and step, the same for all nets; it was held against 0.5 to 0.7 and
against counting once who stands, on seeds 1 to 4. That who stands at an idle junction presses by a vehicle more
for each ten seconds that it has waited was chosen among 52 forms and constants on seeds 1 to 56, by the wait at
ingolstadt1 and what it costs elsewhere at demands of 1 and 1.3. The trips of a RESCO net are always the same,
seeds vary drivers: a learned controller has seen these trips (at 0.8 to 1.3 of their number), with other drivers.

![Delay by net and controller](signals/delay.svg)
"""

_PART = """**Not all of the plan has run**: nets, controllers, demands and faults that are not below have no figure here, and
goals of theirs are not listed."""

_OLDER = """Taken over from an earlier report: measured by the code of its day, before what has been changed since, and not
yet anew. A learned controller that stands here is compared with no rule that has been. All else is of one code."""


def publish(document: Document, out: Path) -> tuple[Path, Path]:
    """Write page and picture into a folder; returns where they lie."""
    page, drawn = out / "signals.md", out / "signals" / "delay.svg"
    drawn.parent.mkdir(parents=True, exist_ok=True)
    drawn.write_text(picture(document), "utf-8")
    page.write_text(write_page(document), "utf-8")
    return page, drawn


def write_page(document: Document) -> str:
    """Return the page as Markdown."""
    command = "nervure evaluate signals --out docs/report"
    parts = [_HEAD.format(command=command, made=document.made[:10], engine=document.engine)]
    if not document.full:
        parts.append(_PART)
    if document.missing:
        parts.append("Missing:\n\n" + "\n".join(f"- {one}" for one in document.missing))
    if document.older:
        parts.append(f"{_OLDER}\n\n" + "\n".join(f"- {one}" for one in document.older))
    parts += [
        f"## {net}\n\n{_rows([one for one in document.rows if one.net == net])}" for net in document.nets
    ]
    parts += [part(document) for part in (_goals, _promotions, _robust, _starved, _claims)]
    if document.failures:
        lines = [(one.set, one.model, one.error) for one in document.failures]
        parts.append("## What failed\n\n" + table(("net", "controller", "why"), lines, 3))
    return "\n\n".join(one.strip() for one in parts if one) + "\n"


def _rows(rows: Sequence[Row]) -> str:
    head = ("controller", "kind", "delay s", "± sd", "wait s", "travel s", "not arrived", "longest red s",
            "decision ms", "seeds")  # fmt: skip
    lines = [
        (
            one.controller, one.kind, *(f"{value:.1f}" for value in (
                one.mean["delay"], one.sd["delay"], one.mean["wait"], one.mean["travel"],
                one.mean["running"] + one.mean["pending"], one.mean["longest_red"],
            )), number(one.decide_ms, 2) if one.kind != "plan" else "", str(one.seeds),
        )
        for one in sorted(rows, key=lambda one: -one.mean["delay"])
    ]  # fmt: skip
    return table(head, lines, 2)


def _goals(document: Document) -> str:
    if not document.goals:
        return ""
    lines = [
        (
            one.net, one.metric, f"≤ {one.bound:g} s", f"{one.value:.1f}",
            "met" if one.met else "missed" if one.by_value is None else f"met by {one.by}, {one.by_value:.1f}",
        )
        for one in document.goals
    ]  # fmt: skip
    met = sum(one.met for one in document.goals)
    text = f"Max-pressure, the default, meets {met} of {len(document.goals)}."
    return f"## Goals\n\n{text}\n\n{table(('net', 'metric', 'goal', 'max-pressure', ''), lines, 2)}"


def _promotions(document: Document) -> str:
    if not document.promotions:
        return ""
    lines = [
        (
            one.net, one.controller, f"{one.rule}, {one.rule_delay_s:.1f}",
            f"{one.delay.mean:+.2f} ({one.delay.low:+.2f} to {one.delay.high:+.2f})", f"{one.gain:+.1%}",
            number(one.delay.p, 2), str(one.delay.pairs), "promoted" if one.promoted else "not promoted",
        )
        for one in document.promotions
    ]  # fmt: skip
    took = [
        f"{one.net} {one.controller} {one.cpu_s:.0f} CPU-s ({one.wall_s / 60:.1f} min), {one.episodes} runs"
        for one in document.trainings
    ]
    text = (
        "A learned controller is promoted if its delay is at least 3 % below that of the best rule over at"
        " least 10 paired seeds, with p < .05 (randomisation test). It runs as a signed ONNX file behind the"
        " shield, and begins as max-pressure at a full junction."
        f" Training: {'; '.join(took)}."
    )
    if earlier := [f"{one.net} {one.controller}" for one in document.trainings if one.earlier]:
        text += f" Taught before code that teaching rests on was changed last: {', '.join(earlier)}."
    head = ("net", "controller", "best rule, s", "difference s (95 %)", "gain", "p", "pairs", "")
    return f"## Learned against rules\n\n{text}\n\n{table(head, lines, 3)}"


def _robust(document: Document) -> str:
    if not document.robust:
        return ""
    lines = [
        (
            one.net, f"{one.demand:g}", f"{one.faults:.0%}", str(one.runs), str(one.gridlocked),
            str(one.worse), f"{one.delay_s:.1f}", f"{one.most_s:.1f}", f"{one.fixed_s:.1f}", str(one.fixed_gridlocked),
            f"{one.longest_red_s:.0f}",
        )
        for one in document.robust
    ]  # fmt: skip
    runs, stuck = sum(one.runs for one in document.robust), sum(one.gridlocked for one in document.robust)
    worse = sum(one.worse for one in document.robust)
    text = (
        "Max-pressure behind the shield, with more or less demand and a share of its detectors silent, late,"
        " biased, stuck or lying. Gridlocked: for five minutes none of ten or more vehicles arrived. Worse:"
        f" more delay than fixed time on the same seed. {runs} runs, {stuck} gridlocked, {worse} worse than"
        " fixed time."
    )
    head = ("net", "demand", "faulty", "runs", "gridlocked", "worse", "delay s", "worst run s", "fixed s",
            "fixed gridlocked", "longest red s")  # fmt: skip
    return f"## Demand and faults\n\n{text}\n\n{table(head, lines, 1)}"


def _starved(document: Document) -> str:
    if not document.starved:
        return ""
    lines = [
        (
            one.net, one.policy, str(one.runs), f"{one.delay_s:.1f}", f"{one.times_fixed:.2f}",
            f"{one.longest_red_s:.0f}", "kept" if one.kept else "not kept",
        )
        for one in document.starved
    ]  # fmt: skip
    text = (
        "A policy that shows one phase for ever, whatever waits elsewhere, behind the shield. Promised:"
        " nobody stands at a red light for more than 120 s, and the delay is at most 1.3 times that of fixed time."
    )
    head = ("net", "policy", "runs", "delay s", "times fixed", "longest red s", "promise")
    return f"## A policy that starves somebody\n\n{text}\n\n{table(head, lines, 2)}"


def _claims(document: Document) -> str:
    if not document.claims:
        return ""
    lines = [
        (one.net, one.plan, f"{one.plan_s:.1f}", f"{one.travel_s:.1f}",
         f"{one.shorter:+.1%} ({one.low:+.1%} to {one.high:+.1%})")
        for one in document.claims
    ]  # fmt: skip
    text = (
        '"Adaptive signals shorten the commute by 15 to 20 %" is said without naming what they are compared'
        " with. Here trips are only as long as the net, so what signals save is a large share of them; a commute"
        " has roads between signals too."
    )
    head = ("net", "against", "travel s", "max-pressure s", "shorter by (95 %)")
    return f"## Shorter trips\n\n{text}\n\n{table(head, lines, 2)}"


def picture(document: Document) -> str:
    """Draw mean delays, a panel a net, as SVG."""
    nets = document.nets
    figure = Figure(figsize=(10, 2.2 * max(1, (len(nets) + 1) // 2)))
    grid = figure.subplots(max(1, (len(nets) + 1) // 2), 2, squeeze=False).ravel()
    for axes, net in zip(grid, nets, strict=False):
        rows = sorted((one for one in document.rows if one.net == net), key=lambda one: -one.mean["delay"])
        axes.barh(
            [one.controller for one in rows], [one.mean["delay"] for one in rows],
            xerr=[one.sd["delay"] for one in rows], color=[_INK[one.kind] for one in rows],
        )  # fmt: skip
        axes.set_title(f"{net}: delay, s", fontsize=9, loc="left")
        axes.tick_params(labelsize=7)
        axes.spines[["top", "right"]].set_visible(False)
    for axes in grid[len(nets) :]:
        axes.set_visible(False)
    figure.tight_layout()
    return svg(figure)
