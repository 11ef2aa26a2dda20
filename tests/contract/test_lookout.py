"""A Thing under watch in the node: which alerts readings come to, after a restart, and by verdicts."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, cast

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from nervure.core.alert import Alert
from nervure.core.entity import Thing
from nervure.core.error import NotFoundError
from nervure.core.observation import Batch
from nervure.core.settings import Settings
from nervure.learn.detect.block import Block
from nervure.learn.detect.monitor import fit_monitor
from nervure.learn.detect.ship import ship
from nervure.learn.detect.vigil import promise_for
from nervure.node.lookout import Lookout
from nervure.node.monitor import Monitors
from nervure.score.sentinel import Sentinel
from nervure.store.catalogue import Catalogue
from nervure.store.monitor import Posted
from nervure.trust.signature import SigningKey
from tests.contract.test_sentinel import SINCE, STEP, stream

FIRST = 71  # the key of the first Datastream
END = 1_700
Now = tuple[int, float]


@pytest.fixture(scope="module", name="block")
def _block() -> Block:
    return stream()


@pytest.fixture(scope="module", name="key")
def _key(tmp_path_factory: pytest.TempPathFactory) -> SigningKey:
    return SigningKey.load_or_create(tmp_path_factory.mktemp("keys"))


@pytest.fixture(scope="module", name="package")
def _package(block: Block, key: SigningKey) -> bytes:
    promise = promise_for(block, len(block) - SINCE, per_day=0.5)
    return ship(fit_monitor(block.part(0, SINCE), promise, quick=True), key)


def made(package: bytes, key: SigningKey, block: Block) -> Lookout:
    sentinel = Sentinel(package, [key.public], thing="site")
    sentinel.warm(block.time[:SINCE], block.value[:SINCE])
    watched = tuple(range(FIRST, FIRST + 4))
    posted = Posted(
        thing=5, version=sentinel.version, package="p", streams=watched, watched=watched,
        origin_ns=int(block.time[0]), severity="major", state=b"", fitted_ns=1,
    )  # fmt: skip
    return Lookout(posted, sentinel, dict.fromkeys(watched, "Cel"))


def readings(block: Block, rows: slice) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Return what was read, row by row."""
    row, place = np.nonzero(~np.isnan(block.value[rows]))
    return place, block.time[rows][row], block.value[rows][row, place]


def lived(
    lookout: Lookout, block: Block, *, cut: int = 0, key: SigningKey | None = None, package: bytes = b""
) -> list[Alert]:
    """Let rows come one by one, each a step after the one before; with ``cut`` restart every so many."""
    found: list[Alert] = []
    for at in range(SINCE, END):
        now: Now = (int(block.time[at]), block.time[at] / 1e9)
        found += lookout.tick(now[1])
        found += lookout.take(*readings(block, slice(at, at + 1)), now)
        if cut and key and at % cut == 0:
            state = lookout.state()
            lookout = made(package, key, block)
            assert lookout.restore(state, now[1])
    return found + lookout.tick(1e12)


def told(alerts: list[Alert]) -> list[bytes]:
    return [msgspec.json.encode(one) for one in alerts]


def test_an_alarm_is_raised_told_again_and_over_under_one_id(
    package: bytes, key: SigningKey, block: Block
) -> None:
    found = lived(made(package, key, block), block)
    by_id = {one.id: [each for each in found if each.id == one.id] for one in found}
    assert len(by_id) >= 2
    for alerts in by_id.values():
        assert [one.active for one in alerts] == [True] * (len(alerts) - 1) + [False]
        assert len({(one.start_ns, one.raised_ns, one.thing, one.severity) for one in alerts}) == 1
    fault = int(block.time[1_305])
    mine = next(
        alerts for alerts in by_id.values() if alerts[0].start_ns <= fault <= (alerts[-1].end_ns or 0)
    )
    assert 2 <= len(mine) <= 10, "told again as it lasts, not at each row"
    assert len(set(told(mine))) == len(mine), "and only if there is something new"
    alert = mine[-1]
    shares = alert.properties["streams"]
    assert (shares[0]["stream"], shares[0]["datastream"], alert.datastream) == ("b", FIRST + 1, FIRST + 1)
    assert (alert.thing, alert.severity, shares[0]["unit"], alert.solution) == (5, "major", "Cel", "monitor")
    assert alert.end_ns is not None
    assert alert.start_ns <= alert.raised_ns <= alert.end_ns
    assert alert.evidence
    assert alert.sure is not None
    assert alert.sure > 0.9
    assert alert.text.endswith(f"{alert.properties['do'][1:]}.")


def test_a_restart_anywhere_changes_nothing(package: bytes, key: SigningKey, block: Block) -> None:
    whole = lived(made(package, key, block), block)
    cut = lived(made(package, key, block), block, cut=7, key=key, package=package)
    assert told(cut) == told(whole)


def test_a_history_comes_to_the_same_alarms_as_live(package: bytes, key: SigningKey, block: Block) -> None:
    live = {one.id: one for one in lived(made(package, key, block), block)}
    lookout = made(package, key, block)
    now: Now = (int(block.time[END]), 0.0)
    place, time, value = readings(block, slice(0, END))
    found = {one.id: one for one in [*lookout.catch_up(place, time, value, now), *lookout.tick(1e12)]}
    assert found.keys() == live.keys()
    assert lookout.rows == END - SINCE
    for name, one in found.items():
        assert (one.start_ns, one.raised_ns, one.end_ns) == (
            live[name].start_ns, live[name].raised_ns, live[name].end_ns,
        )  # fmt: skip


def test_each_verdict_moves_the_limit_once_also_over_a_restart(
    package: bytes, key: SigningKey, block: Block
) -> None:
    lookout = made(package, key, block)
    alert = lived(lookout, block)[-1]
    before = lookout.sentinel.guard.limit

    def says(verdict: str, model: str = alert.model) -> float:
        said = alert.properties | {"verdict": {"verdict": verdict}, "rarity": before + 3}
        lookout.heed(msgspec.structs.replace(alert, properties=said, model=model))
        return lookout.sentinel.guard.limit

    assert says("false") == says("false") == pytest.approx(before + 1)
    state = lookout.state()
    lookout = made(package, key, block)
    assert lookout.restore(state, 0.0)
    assert says("false") == pytest.approx(before + 1)
    assert says("true") < before
    assert says("false", model="another fit") < before


def test_readings_of_the_future_and_of_the_past_are_left_out(
    package: bytes, key: SigningKey, block: Block
) -> None:
    lookout = made(package, key, block)
    now: Now = (int(block.time[SINCE]), 0.0)
    place, value = np.arange(4), np.ones(4)
    assert lookout.take(place, np.full(4, now[0] + 100 * STEP), value, now) == []
    assert lookout.take(place, np.full(4, block.time[SINCE - 1]), value, now) == []
    assert (lookout.rows, lookout.standing().late) == (0, 4)


def test_an_alert_ends_with_its_watch(package: bytes, key: SigningKey, block: Block) -> None:
    lookout = made(package, key, block)
    found: list[Alert] = []
    for at in range(SINCE, END):
        found += lookout.take(*readings(block, slice(at, at + 1)), (int(block.time[at]), float(at)))
        found += lookout.tick(at + STEP / 1e9)
        if lookout.alert is not None:
            break
    (over,) = lookout.end()
    assert (over.id, over.active, lookout.alert, lookout.end()) == (found[-1].id, False, None, [])


class Shelf:
    """What monitors ask of the log and the store: packages, one of which is late, and a history."""

    def __init__(self, package: bytes, history: Batch) -> None:
        self.package, self.history, self.gate = package, history, asyncio.Event()
        self.missing = False

    async def get_package(self, name: str) -> bytes:
        if self.missing:
            raise NotFoundError(f"there is no {name}")
        if name == "late":
            await self.gate.wait()
        return self.package

    def series(self, ids: Sequence[int], start_ns: int | None = None, end_ns: int | None = None) -> Batch:
        kept = np.isin(self.history.datastream, list(ids)) & (self.history.time >= (start_ns or 0))
        return self.history.take(kept)


@pytest.fixture(name="catalogue")
def _catalogue(tmp_path: Path) -> Iterator[Catalogue]:
    found = Catalogue.open(tmp_path / "catalogue.db")
    yield found
    found.close()


def installed(
    catalogue: Catalogue, package: bytes, key: SigningKey, block: Block, folder: Path
) -> tuple[Shelf, Settings, Monitors]:
    """Two Things that saw the same, both to be watched; the package of the second is long in coming."""
    parts = []
    for number, name in enumerate(("soon", "late")):
        thing = catalogue.ensure_thing(Thing(name=name)).id
        watched = tuple(range(10 * number + 1, 10 * number + 5))
        sentinel = made(package, key, block).sentinel
        state = msgspec.msgpack.encode(sentinel.state())
        posted = Posted(
            thing=thing, version=sentinel.version, package=name, streams=watched, watched=watched,
            origin_ns=int(block.time[0]), severity="minor", state=state, fitted_ns=1,
        )  # fmt: skip
        catalogue.post_monitor(posted, "ann")
        place, time, value = readings(block, slice(0, END))
        parts.append(Batch.of(id=time, datastream=place + watched[0], time=time, value=value))
    shelf, settings = Shelf(package, Batch.concat(parts)), Settings(data=str(folder))
    return (
        shelf,
        settings,
        Monitors(catalogue, cast("Any", shelf), cast("Any", shelf), settings, lambda *_: None),
    )


def test_monitors_are_taken_up_together_with_what_they_found(
    catalogue: Catalogue, package: bytes, key: SigningKey, block: Block, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr("nervure.node.monitor.trusted", lambda _: [key.public])
    shelf, _, monitors = installed(catalogue, package, key, block, tmp_path)

    async def scenario() -> list[Alert]:
        work = asyncio.create_task(monitors.refresh())
        await asyncio.sleep(1.0)
        assert (monitors.states(), monitors.open) == ({}, []), "a commit now holds nothing of either"
        shelf.gate.set()
        return await work

    found = asyncio.run(scenario())
    assert len({one.thing for one in found}) == 2
    states = monitors.states()
    assert len(states) == 2
    assert (monitors.states(), monitors.changed, len(monitors.saved({}))) == ({}, False, 2)
    monitors.committed()
    thing = found[0].thing
    assert monitors.standing()[thing].rows > 500
    far = [msgspec.structs.replace(one, properties=one.properties | {"rarity": 99.0}) for one in found]
    catalogue.announce([one for one in far if one.thing == thing])
    before = monitors.standing()[thing].limit
    catalogue.judge(found[0].id, "false", "ann")
    assert asyncio.run(monitors.refresh()) == []
    assert monitors.changed
    monitors.states()
    monitors.committed()
    assert monitors.standing()[thing].limit > before
    catalogue.drop_monitor(thing, "ann")
    asyncio.run(monitors.refresh())
    assert len(monitors.saved({})) == 1


def test_a_monitor_that_cannot_be_opened_is_tried_again_and_holds_up_nobody(
    catalogue: Catalogue, package: bytes, key: SigningKey, block: Block, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr("nervure.node.monitor.trusted", lambda _: [key.public])
    shelf, settings, monitors = installed(catalogue, package, key, block, tmp_path)
    shelf.gate.set()
    shelf.missing = True
    assert asyncio.run(monitors.refresh()) == []
    assert (len(monitors.trouble), monitors.figures()["failed"], monitors.figures()["things"]) == (2, 2, 0)
    shelf.missing = False
    found = asyncio.run(monitors.refresh())
    assert (len({one.thing for one in found}), monitors.trouble) == (2, {})
    states, saved = monitors.states(), monitors.saved({})

    def stood(name: str, version: str) -> bytes | None:
        return states[name] if saved[name].scorers[""].version == version else None

    again = Monitors(catalogue, cast("Any", shelf), cast("Any", shelf), settings, stood)
    assert asyncio.run(again.refresh()) == [], "what was found before the restart is not found again"
    assert [one.id for one in again.open] == [one.id for one in monitors.open]
    shelf.missing = True
    lame = Monitors(catalogue, cast("Any", shelf), cast("Any", shelf), settings, stood)
    assert asyncio.run(lame.refresh()) == []
    assert (lame.states(), lame.saved(saved)) == ({}, saved), "a commit keeps what could not be taken up"
    assert not lame.due, "it is tried again, but not at once"
