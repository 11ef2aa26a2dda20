"""A monitor says the same of a history and live, of one row and of many, and after a restart."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import onnx
import pytest
import torch
from numpy.typing import NDArray

from nervure.core.error import DataError, ModelError
from nervure.core.event import Persistence
from nervure.core.evidence import Alarm
from nervure.core.instant import DAY_NS, iso
from nervure.core.monitor import SETUP_KEY, Setup
from nervure.learn.detect.block import Block
from nervure.learn.detect.monitor import Monitor, fit_monitor
from nervure.learn.detect.ship import ship
from nervure.learn.detect.vigil import promise_for, watched
from nervure.learn.detect.windowed import to_onnx
from nervure.score.sentinel import Sentinel, Verdict
from nervure.trust.signature import SigningKey

STEP = 300 * 10**9
SINCE = 1_000
Floats = NDArray[np.float64]


def stream(rows: int = 2_600) -> Block:
    """Four sensors: two follow the day, all two hidden causes, the third drifts; faults from 1,300 on."""
    random = np.random.default_rng(3)
    time = np.arange(rows, dtype=np.int64) * STEP
    day = np.sin(2 * np.pi * time / DAY_NS)
    value = day[:, None] * [3.0, -2.0, 0.0, 0.0]
    value += random.normal(size=(rows, 2)) @ random.normal(size=(2, 4)) * 0.4
    value += random.normal(size=(rows, 4)) * 0.15 + [20, 5, 0, 100]
    value[:, 2] += np.cumsum(random.normal(size=rows)) * 0.05
    value[random.random(value.shape) < 0.02] = np.nan
    value[1_300:1_320, 1] += 4.0
    value[1_600, 3] += 9.0
    value[1_800:1_880, 0] = value[1_799, 0]
    value[2_560:, 2] -= 5.0
    kept = np.r_[0:2_100, 2_300:rows]  # a hole
    names = ("a", "b", "c", "d")
    return Block(name="site", channels=names, value=value[kept], time=time[kept], every_ns=STEP)


@pytest.fixture(scope="module", name="block")
def _block() -> Block:
    return stream()


@pytest.fixture(scope="module", name="monitor", params=["at once", "held"])
def _monitor(block: Block, request: pytest.FixtureRequest) -> Monitor:
    promise = promise_for(block, len(block) - SINCE, per_day=0.5)
    if request.param == "held":
        span = Persistence(hold_ns=2 * STEP, gap_ns=6 * STEP, hole_ns=9 * STEP)
        promise = msgspec.structs.replace(promise, span=span)
    return fit_monitor(block.part(0, SINCE), promise, quick=True)


@pytest.fixture(scope="module", name="key")
def _key(tmp_path_factory: pytest.TempPathFactory) -> SigningKey:
    return SigningKey.load_or_create(tmp_path_factory.mktemp("keys"))


@pytest.fixture(scope="module", name="package")
def _package(monitor: Monitor, key: SigningKey) -> bytes:
    return ship(monitor, key)


def warmed(package: bytes, key: SigningKey, block: Block) -> Sentinel:
    sentinel = Sentinel(package, [key.public], thing="site")
    sentinel.warm(block.time[:SINCE], block.value[:SINCE])
    return sentinel


def ended(sentinel: Sentinel, verdicts: list[Verdict]) -> list[Alarm]:
    """Return the final form of every alarm, in the order in which they rang."""
    still = sentinel.alarm
    return [one.cleared for one in verdicts if one.cleared is not None] + ([still] if still else [])


def test_history_and_live_rows_give_the_same_alarms(
    monitor: Monitor, package: bytes, key: SigningKey, block: Block
) -> None:
    vigil = watched(monitor, block, SINCE)
    assert len(vigil.alarms) >= 3
    sentinel = warmed(package, key, block)
    verdicts = [sentinel.take(int(block.time[at]), block.value[at]) for at in range(SINCE, len(block))]
    found = ended(sentinel, verdicts)
    assert [one.raised for one in found] == [one.raised for one in vigil.alarms]
    assert [iso(one.time_ns) for one in verdicts if one.raised] == [one.raised for one in vigil.alarms]
    for own, theirs in zip(found, vigil.alarms, strict=True):
        assert own.rarity == pytest.approx(theirs.rarity, abs=1e-3, rel=1e-5)
        assert (own.start, own.end, own.worst) == (theirs.start, theirs.end, theirs.worst)
        assert own.sign == theirs.sign
        assert own.streams[0].stream == theirs.streams[0].stream
        assert own.streams[0].value == theirs.streams[0].value
        assert own.streams[0].share == pytest.approx(theirs.streams[0].share, abs=1e-3)
        assert own.limit == pytest.approx(theirs.limit, abs=2e-3)
    assert np.allclose([one.limit for one in verdicts], vigil.limit, atol=1e-3)


def test_many_rows_at_once_come_to_the_same(package: bytes, key: SigningKey, block: Block) -> None:
    one, many = warmed(package, key, block), warmed(package, key, block)
    singly = [one.take(int(block.time[at]), block.value[at]) for at in range(SINCE, 1_700)]
    time, value = block.time[SINCE:1_700], block.value[SINCE:1_700]
    together = many.take_all(time[:310], value[:310]) + many.take_all(time[310:], value[310:])
    assert np.allclose([v.score for v in singly], [v.score for v in together], atol=1e-4)
    assert [v.raised is None for v in singly] == [v.raised is None for v in together]
    assert [v.cleared is None for v in singly] == [v.cleared is None for v in together]
    assert np.allclose([v.limit for v in singly], [v.limit for v in together], atol=1e-6)
    assert (one.last_ns, one.event) == (many.last_ns, many.event)
    np.testing.assert_array_equal(one.state()["past"], many.state()["past"])


def test_a_restart_anywhere_goes_on_as_if_nothing_had_happened(
    package: bytes, key: SigningKey, block: Block
) -> None:
    whole, cut = warmed(package, key, block), warmed(package, key, block)
    expected, found = [], []
    for at in range(SINCE, 1_650):
        expected.append(whole.take(int(block.time[at]), block.value[at]))
        if at % 97 == 0 or 1_298 <= at <= 1_325:
            text = msgspec.msgpack.encode(cut.state())
            cut = Sentinel(package, [key.public], thing="site")
            assert cut.restore(msgspec.msgpack.decode(text))
        found.append(cut.take(int(block.time[at]), block.value[at]))
    assert msgspec.json.encode(found) == msgspec.json.encode(expected)


def test_an_alarm_is_told_with_the_readings_that_led_to_its_worst(
    package: bytes, key: SigningKey, block: Block
) -> None:
    sentinel = warmed(package, key, block)
    verdicts = sentinel.take_all(block.time[SINCE:1_700], block.value[SINCE:1_700])
    accounts = [one.ended for one in verdicts if one.ended is not None]
    assert accounts
    for one in accounts:
        stream = block.channels.index(one.alarm.streams[0].stream)
        assert one.seen[-1].rarity == max(sight.rarity for sight in one.seen)
        for sight in one.seen:
            assert sight.value == block.value[int(np.searchsorted(block.time, sight.time_ns)), stream]
        assert one.event.start_ns <= one.seen[0].time_ns <= one.seen[-1].time_ns <= one.event.end_ns


def test_a_verdict_moves_the_limit_and_can_be_taken_back(
    package: bytes, key: SigningKey, block: Block
) -> None:
    sentinel = warmed(package, key, block)
    before = sentinel.guard.limit
    moved = sentinel.heed("false", before + 0.5)
    assert moved == pytest.approx(0.5)
    assert sentinel.guard.limit == pytest.approx(before + 0.5)
    sentinel.unheed(moved)
    assert sentinel.guard.limit == pytest.approx(before)
    assert sentinel.heed("true", 9.0) < 0


def test_the_state_of_another_package_is_not_taken(package: bytes, key: SigningKey, block: Block) -> None:
    sentinel = warmed(package, key, block)
    assert not sentinel.restore(sentinel.state() | {"version": "another"})


def test_a_package_says_what_it_was_taught_and_is_signed(
    monitor: Monitor, package: bytes, key: SigningKey, tmp_path: Path
) -> None:
    model = onnx.load_from_string(package)
    text = next(one.value for one in model.metadata_props if one.key == SETUP_KEY)
    assert msgspec.json.decode(text, type=Setup) == monitor.setup
    assert [one.name for one in model.graph.output] == ["score", "part", "expected"]
    with pytest.raises(ModelError, match="changed after it was signed"):
        Sentinel(package.replace(b'"promised"', b'"promises"'), [key.public])
    with pytest.raises(ModelError, match="not trusted"):
        Sentinel(package, [SigningKey.load_or_create(tmp_path).public])


def test_rows_out_of_order_or_of_other_streams_are_refused(
    package: bytes, key: SigningKey, block: Block
) -> None:
    sentinel = warmed(package, key, block)
    with pytest.raises(DataError, match="order of time"):
        sentinel.take(int(block.time[SINCE - 1]), block.value[SINCE])
    with pytest.raises(DataError, match="4 streams"):
        sentinel.take(int(block.time[SINCE]), block.value[SINCE, :3])


class _Off(torch.nn.Module):
    """A graph whose scores are a little off."""

    def __init__(self, inner: torch.nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        score, part, expected = self.inner(x)
        return score * 1.001, part, expected


def test_a_graph_that_answers_otherwise_is_not_signed(
    monitor: Monitor, key: SigningKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "nervure.learn.detect.ship.to_onnx", lambda module, *shape: to_onnx(_Off(module), *shape)
    )
    with pytest.raises(ModelError, match="answers score"):
        ship(monitor, key)
