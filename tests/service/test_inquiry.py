"""Questions to twins beside a node: bounded, stopped, kept over a restart, and seen by who may see them."""

from __future__ import annotations

import asyncio
import contextlib
import time
import tomllib
from collections.abc import Awaitable, Callable
from operator import not_
from pathlib import Path

import msgspec
import psutil
import pytest

from nervure.core.error import BusyError, NotFoundError, UsageError
from nervure.core.settings import Settings
from nervure.node import inquiry
from nervure.node.inquiry import KEPT, MOST_WAITING, Inquiries
from nervure.serve.control.inquiry import AskedView, Asking
from nervure.store.scope import EVERYTHING, Scope
from nervure.twin.find import open_twin
from nervure.twin.roster import roster
from nervure.twin.state import keep, path_of
from tests.patience import eventually

pytestmark = pytest.mark.service

SHORT = Asking(question="shutting", seeds=2, minutes=1.0, measure={"shut_lane": 3.0}, film=False)
LONG = Asking(question="rush", seeds=50)


def within(folder: Path, work: Callable[[Inquiries], Awaitable[None]]) -> None:
    """Do something with the questions of a node whose data lie in a folder."""

    async def run() -> None:
        inquiries = Inquiries(Settings(data=str(folder)))
        try:
            await work(inquiries)
        finally:
            await inquiries.close()

    asyncio.run(run())


async def until(inquiries: Inquiries, key: int, *states: str) -> AskedView:
    return await eventually(
        lambda: inquiries.one(key, EVERYTHING), lambda seen: seen.state in states, seconds=60
    )


def test_every_engine_of_a_twin_comes_with_the_extra() -> None:
    extra = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())
    comes = " ".join(extra["project"]["optional-dependencies"]["twin"])
    there = roster()
    assert {"roads", "pipes", "building", "flood"} <= {one.name for one in there}
    for one in there:
        engine = one.engine.partition(" ")[0]
        assert engine == "numpy" or f"{engine}>=" in comes, one
        assert one.installed, one
        assert one.about.startswith("The twin of "), one


def test_a_question_may_begin_where_a_twin_is_that_runs(tmp_path: Path) -> None:
    twin = open_twin("building")
    hot, steps = {"start_day": 196.0, "warmer_k": 6.0}, 900  # three days, in which the house has become warm
    twin.reset(scenario=hot)
    for _ in range(steps):
        twin.step()
    begun_ms = time.time() * 1000
    keep(path_of(tmp_path, "building"), twin, 10**18, steps * twin.describe().step_s, hot)

    async def work(inquiries: Inquiries) -> None:
        wish = Asking(question="shade", minutes=2880.0, seeds=3, film=False, now=True)
        with pytest.raises(UsageError, match="circumstances are those of the twin that runs"):
            await asyncio.to_thread(
                inquiries.ask, msgspec.structs.replace(wish, scenario={"warmer_k": 1.0}), EVERYTHING
            )
        key = (await asyncio.to_thread(inquiries.ask, wish, EVERYTHING)).id
        found = await until(inquiries, key, "done", "failed")
        assert (found.state, found.now, found.scenario) == ("done", True, {}), found.said
        hvac = next(one for one in found.changes if one.kpi == "hvac")
        assert hvac.low is not None
        assert hvac.high is not None
        assert hvac.low < (hvac.mean or 0.0) < hvac.high < 0.0  # other people in the same rooms
        kept = {one.name: one.kept for one in inquiries.twins().twins}
        assert begun_ms - 1000 < (kept["building"] or 0) <= time.time() * 1000
        assert kept["roads"] is None

    within(tmp_path, work)


def test_a_question_is_answered_and_there_after_a_restart(tmp_path: Path) -> None:
    async def first(inquiries: Inquiries) -> None:
        await _refused(inquiries)
        asked = await asyncio.to_thread(inquiries.ask, SHORT, Scope(who="maria", project=7))
        assert (asked.id, asked.state, asked.who) == (1, "waiting", "maria")
        assert (asked.scenario, asked.measure) == ({}, {"shut_lane": 3.0})
        wrong = Asking(question="rain", seeds=2, minutes=1.0, scenario={"wet": 5.0})
        await asyncio.to_thread(inquiries.ask, wrong, EVERYTHING)
        done = await until(inquiries, 1, "done", "failed")
        assert done.state == "done", done.said
        assert {one.kpi for one in done.changes} >= {"delay", "wait", "arrived"}
        delay = next(one for one in done.changes if one.kpi == "delay")
        assert delay.low is not None
        assert delay.high is not None
        assert delay.low <= (delay.mean or 0.0) <= delay.high
        failed = await until(inquiries, 2, "done", "failed")
        assert failed.state == "failed"
        assert "wet 0 to 1" in failed.said  # the twin's own words

    within(tmp_path, first)

    async def again(inquiries: Inquiries) -> None:
        assert [one.id for one in inquiries.asked(EVERYTHING)] == [2, 1]
        assert inquiries.one(1, Scope(project=7)).changes
        for scope in (Scope(project=8), Scope(project=7)):
            with pytest.raises(NotFoundError):
                inquiries.one(2, scope)
        with pytest.raises(NotFoundError, match="no film"):
            inquiries.film(1, EVERYTHING)
        inquiries.drop(1, EVERYTHING)
        assert [one.id for one in inquiries.asked(EVERYTHING)] == [2]

    within(tmp_path, again)
    assert {one.name for one in (tmp_path / "whatif").iterdir()} == {"2.json", "2.toml"}


async def _refused(inquiries: Inquiries) -> None:
    """Questions that there are not, and numbers that a question has not."""
    with pytest.raises(UsageError, match="there is no what-if 'sunshine'"):
        await asyncio.to_thread(inquiries.ask, Asking(question="sunshine"), EVERYTHING)
    odd = msgspec.structs.replace(SHORT, scenario={"demand": 2.0})
    with pytest.raises(UsageError, match="has no 'demand' to change"):
        await asyncio.to_thread(inquiries.ask, odd, EVERYTHING)
    odd = msgspec.structs.replace(SHORT, measure={"gate": 2.0})
    with pytest.raises(UsageError, match="has no 'gate' to change"):
        await asyncio.to_thread(inquiries.ask, odd, EVERYTHING)


def test_one_runs_few_wait_and_what_is_stopped_takes_its_processes_along(tmp_path: Path) -> None:
    others = {one.pid for one in psutil.Process().children(recursive=True)}  # of other tests

    async def work(inquiries: Inquiries) -> None:
        await asyncio.to_thread(inquiries.ask, LONG, EVERYTHING)
        await until(inquiries, 1, "running")
        for _ in range(MOST_WAITING):
            await asyncio.to_thread(inquiries.ask, LONG, EVERYTHING)
        with pytest.raises(BusyError, match="wait already"):
            await asyncio.to_thread(inquiries.ask, LONG, EVERYTHING)
        assert [one.state for one in inquiries.asked(EVERYTHING)].count("running") == 1
        await eventually(
            lambda: _all(others), lambda seen: any("nervure.bench.whatif.trial" in one for one in seen)
        )
        for key in range(MOST_WAITING + 1, 0, -1):
            await asyncio.to_thread(inquiries.drop, key, EVERYTHING)
        assert {one.state for one in inquiries.asked(EVERYTHING)} == {"cancelled"}
        await eventually(lambda: _all(others), not_)

    within(tmp_path, work)


def _all(others: set[int]) -> list[str]:
    """Return the command lines of what runs below this process but for others, and is no corpse."""
    found = []
    for one in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            if one.pid not in others and one.status() != psutil.STATUS_ZOMBIE:
                found.append(" ".join(one.cmdline()))
    return found


def test_no_more_are_kept_than_may_be_and_what_ran_at_the_end_has_failed(tmp_path: Path) -> None:
    view = AskedView(
        id=1,
        question="rush",
        title="",
        twin="roads",
        seeds=2,
        minutes=1.0,
        scenario={},
        measure={},
        who="",
        state="done",
    )
    folder = tmp_path / "whatif"
    folder.mkdir()
    for key in range(1, KEPT + 4):
        one = msgspec.structs.replace(view, id=key, state="running" if key == 2 else "done")
        kept = inquiry._Kept(view=one, body={}, wants_film=False)
        (folder / f"{key}.json").write_bytes(msgspec.json.encode(kept))
    (folder / "99.json").write_text("{")

    async def work(inquiries: Inquiries) -> None:
        assert inquiries.one(2, EVERYTHING).state == "failed"
        asked = await asyncio.to_thread(inquiries.ask, LONG, EVERYTHING)
        await asyncio.to_thread(inquiries.drop, asked.id, EVERYTHING)
        assert len(inquiries.asked(EVERYTHING)) == KEPT
        assert min(one.id for one in inquiries.asked(EVERYTHING)) == 5

    within(tmp_path, work)
