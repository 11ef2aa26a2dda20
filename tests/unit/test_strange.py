"""A learned controller sees that its world is not what it was taught on, says so, and loses a step by it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from nervure.act.controller.watched import LATELY, LEAST, Watched
from nervure.act.seat import Loop, Seat
from nervure.bench.signal.taught import known, with_taught
from nervure.core.error import ModelError
from nervure.core.instant import SECOND_NS
from nervure.core.sight import FEATURES, Sight
from nervure.core.strange import Strange, Taught
from nervure.learn.control.net import PhaseNet
from nervure.learn.control.ship import ship
from nervure.learn.control.street import Floats, Views
from nervure.trust.signature import SigningKey
from tests.unit.test_signal_control import CROSS, seen

KEY = SigningKey(bytes(32))


def traffic(draw: np.random.Generator, most: float) -> dict[str, float]:
    return seen({lane: float(draw.uniform(0, most)) for lane in CROSS.lanes})


class Quiet:
    """A street where few come, which a net is taught on."""

    phases, steps = (2,), 400

    def reset(self, seed: int) -> Views:
        self._draw, self._sight, self._now = np.random.default_rng(seed), Sight(CROSS), 0.0
        return self._view()

    def step(self, choice: NDArray[np.int64]) -> tuple[Views, Floats]:
        self._sight.show(int(choice[0]))
        return self._view(), np.zeros(1, np.float32)

    def _view(self) -> Views:
        self._now += 10.0
        self._sight.look(traffic(self._draw, 4.0), self._now)
        return (self._sight.features(),)


@pytest.fixture(scope="module")
def package() -> bytes:
    torch.manual_seed(0)
    net = PhaseNet()
    shipped = ship(net, name="signals test", by="double DQN", key=KEY, train_cpu_s=0.0)
    return with_taught(shipped, known(Quiet(), net), KEY)


def lived(controller: Watched, most: float, turns: int = LATELY) -> Strange:
    draw = np.random.default_rng(7)
    for turn in range(turns):
        assert np.isfinite(controller.decide(traffic(draw, most), 10.0 * turn)[CROSS.command])
    assert controller.strange is not None
    return controller.strange


def test_traffic_as_it_was_taught_is_usual_and_three_times_as_much_is_strange(package: bytes) -> None:
    usual, busy = (lived(Watched(package, [KEY.public], [CROSS]), most) for most in (4.0, 12.0))
    assert usual.share < usual.usual + 0.1 < 0.25
    assert busy.share > 0.6
    assert (busy.usual, busy.version) == (usual.usual, Watched(package, [KEY.public], [CROSS]).card.version)


def test_it_says_nothing_before_it_has_seen_enough_or_where_nobody_knows(package: bytes) -> None:
    young = Watched(package, [KEY.public], [CROSS])
    for turn in range(LEAST - 1):
        young.decide(traffic(np.random.default_rng(turn), 12.0), 10.0 * turn)
    assert young.strange is None
    plain = ship(PhaseNet(), name="old", by="PPO", key=KEY, train_cpu_s=0.0)
    old = Watched(plain, [KEY.public], [CROSS])
    for turn in range(LEAST + 1):
        old.decide(traffic(np.random.default_rng(turn), 12.0), 10.0 * turn)
    assert old.strange is None
    odd = with_taught(plain, Taught(low=(0.0,), high=(1.0,), usual=0.0), KEY)
    with pytest.raises(ModelError, match=f"told {len(FEATURES)} quantities, and was taught 1"):
        Watched(odd, [KEY.public], [CROSS])


def test_a_seat_says_it_with_every_task() -> None:
    class Same:
        name, every_s = "double DQN", 10.0

        def decide(self, seen: Mapping[str, float], now_s: float) -> Mapping[str, float]:
            return {"J/phase": 1.0}

    asked: list[dict[str, Any]] = []

    def ask(_: int, body: dict[str, Any]) -> int:
        asked.append(body)
        return 1

    told = Strange(share=0.7, usual=0.03, version="3")
    seat = Seat(
        Same(), {"J/phase": Loop(7, "phase")}, {1: "level"}, ask=ask, lease_s={7: 60.0}, strange=lambda: told
    )
    seat.hear(1, 10 * SECOND_NS, 1.0)
    assert seat.step(1.0)
    assert msgspec.convert(asked[0]["properties"]["act"]["strange"], Strange) == told
