"""The pages of the city's demo: what was measured stands in them, and nothing is taken for a page of HTML."""

from __future__ import annotations

from pathlib import Path

from nervure.bench.city.hostile import Hostile
from nervure.bench.city.outcome import Delay, Foresight, Happened, Kpi, Lead, Loop, Outcome, Refusal, Side
from nervure.bench.city.page import write
from nervure.bench.city.text import page, publish, read


def _outcome(**more: object) -> Outcome:
    side = Side(
        twin="roads", title="Signals", engine="SUMO <1.28>", controller="max-pressure", simulated_h=1.0,
        wall_s=36.0, event="a detector is stuck", readings=1000, silent=3, acknowledged=20,
        refused_by_guards=1, counts={"rounds": 360},
        kpis=(
            Kpi(name="delay", unit="s", alone=40.0, joined=30.0),
            Kpi(name="arrived", unit="", alone=0.0, joined=5.0),
        ),
    )  # fmt: skip
    fields: dict[str, object] = {
        "seed": 1, "quick": True, "wall_s": 60.0, "sides": (side,), "sent": 1000, "stored": 1000, "lost": 0,
        "doubled": 0, "quarantined": 0, "tasks": {"completed": 3, "superseded": 17},
        "delays": (Delay(what="sensor to acknowledgement", count=20, p50=50.0, p99=90.0, longest=120.0),),
        "hostile": (Refusal(what="a valve half open", state="rejected", why="sequence | no"),),
        "distrusted": {"living: a temperature that can be": 12},
        "loops": (Loop(name="c0/phase", mode="auto", lines={"checked": 20, "mode": 1}, intact=True),),
        "happened": (Happened(twin="roads", after_min=2.5, what="<b>seen</b>"),),
    }  # fmt: skip
    return Outcome(**{**fields, **more})  # type: ignore[arg-type]


def test_pages_say_what_was_measured(tmp_path: Path) -> None:
    outcome = _outcome()
    html = write(outcome, tmp_path / "report.html").read_text("utf-8")
    assert "-25.0% (better)" in html
    assert "100 times" in html.replace("\n", " ")
    assert "<b>seen</b>" not in html
    assert "&lt;b&gt;seen" in html
    publish(outcome, tmp_path)
    assert read(tmp_path / "city.json") == outcome
    text = (tmp_path / "city.md").read_text("utf-8")
    assert text == page(read(tmp_path / "city.json"))
    assert "| delay, s | 40 | 30 | -25.0% |" in text
    assert "sequence / no" in text


def test_a_page_sets_forecasts_beside_what_needs_no_model(tmp_path: Path) -> None:
    lead = Lead(hours=6, count=90, mae=0.875, last_value=3.764, last_day=1.53, inside=0.86)
    foresight = Foresight(
        twin="roads", what="temperature of a & b", unit="Cel", model="weather-forecast-temperature",
        version="20261101-abc", train_s=10.2, slots=17_135, leads=(lead,), cost_last_day=23.67,
        cost_foretold=23.5, cost_known=23.25,
    )  # fmt: skip
    outcome = _outcome(foresight=(foresight,), resting=880)
    text = page(outcome)
    assert "| temperature of a & b | Cel | 6 | 90 | 0.875 | 3.764 | 1.53 | 86% |" in text
    assert "880 Tasks say that they rest on it" in text
    assert "cost 23.67 planned with the last day" in text
    assert "temperature of a &amp; b" in write(outcome, tmp_path / "report.html").read_text("utf-8")
    assert "foreseen" not in page(_outcome())


def test_what_is_lost_or_gets_through_is_not_good() -> None:
    assert _outcome().good
    assert not _outcome(lost=1).good
    assert not _outcome(doubled=1).good
    assert not _outcome(hostile=(Refusal(what="x", state="running", why=""),)).good
    assert not _outcome(loops=(Loop(name="x", mode="auto", lines={}, intact=False),)).good
    assert _outcome().summary()["sides"][0]["kpis"][1]["change"] is None


def test_who_has_not_tried_anything_has_found_nothing() -> None:
    assert Hostile("http://127.0.0.1:1", "t").found == []


def test_the_committed_page_is_what_the_run_found() -> None:
    folder = Path("docs/report")
    assert (folder / "city.md").read_text("utf-8") == page(read(folder / "city.json"))
