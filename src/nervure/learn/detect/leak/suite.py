"""Ways to claim leaks from a survey, from the night-flow rule to nets; each returns claims and its cost.

All are summed, limited and watched alike (:mod:`nervure.learn.detect.leak.watch`), with limits from
quiet rows alone; what knows no places has them named by the network model. Only the network model itself
goes another way where there is more than one leak at a time (:mod:`nervure.learn.detect.leak.hunt`).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from nervure.learn.detect.baseline import Pca
from nervure.learn.detect.block import Block
from nervure.learn.detect.leak.hunt import hunt
from nervure.learn.detect.leak.joint import Tuning
from nervure.learn.detect.leak.residual import Expectation
from nervure.learn.detect.leak.scenario import network, sensors
from nervure.learn.detect.leak.scene import Scene
from nervure.learn.detect.leak.survey import Survey, scalar
from nervure.learn.detect.leak.watch import Claim, Evidence, Setup, limits, located, watch
from nervure.learn.detect.leak.ways import Modelled, Plant
from nervure.learn.detect.models.leak import InflowLstm, LeakAutoencoder
from nervure.learn.detect.train import Effort

__all__ = ["SUITE", "Outcome", "night_flow"]

Floats = NDArray[np.float64]
_NIGHT = (2, 4)  # o'clock, when least is drawn


class Outcome(NamedTuple):
    """Claims (rows counted from the first watched one), CPU seconds of learning, numbers learnt, ms a row."""

    claims: list[Claim]
    cpu_s: float
    parameters: int
    row_ms: float


class _Asked(NamedTuple):
    survey: Survey
    setup: Setup
    seed: int
    effort: Effort | None


def night_flow(block: Block, inflow: tuple[int, ...], *, nights: int = 14) -> Floats:
    """Return by how much a night's least inflow is above the median of the last nights', ``[row]``.

    It is said once a night, at four, and NaN at all other rows; the first nights say nothing.
    """
    total = block.value[:, list(inflow)].sum(axis=1)
    hour = block.time // 3_600_000_000_000 % 24
    out = np.full(len(block), np.nan)
    last = np.flatnonzero((hour == _NIGHT[1]) & (np.roll(hour, 1) != _NIGHT[1]))
    span = (_NIGHT[1] - _NIGHT[0]) * 3_600_000_000_000 // block.every_ns
    least = np.array([total[max(row - span, 0) : row + 1].mean() for row in last.tolist()])
    for at in range(nights, len(last)):
        out[last[at]] = least[at] - np.median(least[at - nights : at])
    return out


def _inflow(survey: Survey) -> tuple[int, ...]:
    read = sensors(survey.year.scenario.network)
    return tuple(read.channels.index(f"flow {one}") for one in read.inflow)


def _claimed(evidence: Evidence, asked: _Asked, *, placed: bool) -> list[Claim]:
    survey, setup = asked.survey, asked.setup
    limit = limits(evidence.take(survey.quiet), setup, years=4, seed=asked.seed)
    apart = survey.spots.apart if placed else None
    return watch(evidence.take(survey.rest), limit, setup, apart)


def _placed(claims: list[Claim], asked: _Asked, evidence: Evidence) -> list[Claim]:
    """Name the places of claims that know none."""
    own, apart = evidence.take(asked.survey.rest), asked.survey.spots.apart
    return [one._replace(place=located(own, one.row, asked.setup, apart)) for one in claims]


def _network(asked: _Asked) -> Evidence:
    read = sensors(asked.survey.year.scenario.network)
    return asked.survey.evidence(Expectation(read).fit(asked.survey.train()).residual)


def _by_network(asked: _Asked) -> Outcome:
    began = time.process_time()
    many = not asked.setup.single
    claims = _hunted(asked.survey) if many else _claimed(_network(asked), asked, placed=True)
    return Outcome(claims, time.process_time() - began, 0, 0.0)


def _hunted(survey: Survey) -> list[Claim]:
    """Look for leaks beside those that are open, all together (:mod:`nervure.learn.detect.leak.hunt`)."""
    scenario = survey.year.scenario
    read, train, every = sensors(scenario.network), survey.fit.stop, scenario.step_s
    with network(scenario.network) as water:
        expect = Modelled(water, read, step_s=every).fit(survey.train())
    with network(scenario.network) as water:
        scene = Scene(survey.year, Plant(water, read, survey.spots, step_s=every), expect, train)
        claims = hunt(scene, Tuning(), train // scene.rows)
    first = scenario.clean
    return [one._replace(row=one.row - first, named=one.named - first) for one in claims if one.row >= first]


def _by_scalar(
    score: Callable[[_Asked], tuple[Floats, int]], memory: tuple[float, ...]
) -> Callable[[_Asked], Outcome]:
    def way(asked: _Asked) -> Outcome:
        began = time.process_time()
        found, parameters = score(asked)
        learnt = time.process_time() - began
        own = asked._replace(setup=msgspec.structs.replace(asked.setup, memory=memory))
        clean = slice(0, asked.survey.quiet.stop) if parameters == 0 else asked.survey.quiet
        claims = _claimed(scalar(found, clean), own, placed=False)
        return Outcome(_placed(claims, asked, _network(asked)), learnt, parameters, 0.0)

    return way


def _score_night(asked: _Asked) -> tuple[Floats, int]:
    return night_flow(asked.survey.year.block, _inflow(asked.survey)), 0


def _score_pca(asked: _Asked) -> tuple[Floats, int]:
    return np.log(Pca().fit(asked.survey.train()).score(asked.survey.year.block.value) + 1e-9), 0


def _score_lstm(asked: _Asked) -> tuple[Floats, int]:
    net = _lstm(asked)
    score = net.score(asked.survey.year.block.value)
    score[: net.window] = np.nan
    return score, _size(net)


def _lstm(asked: _Asked) -> InflowLstm:
    day = 86_400 // asked.survey.year.scenario.step_s
    net = InflowLstm(_inflow(asked.survey), day=day, seed=asked.seed, effort=asked.effort)
    return net.fit(asked.survey.train())


def _autoencoder(asked: _Asked) -> LeakAutoencoder:
    heads = len(sensors(asked.survey.year.scenario.network).pressure)
    driven = tuple(range(heads, len(asked.survey.year.block.channels)))
    net = LeakAutoencoder(driven, seed=asked.seed, effort=asked.effort)
    return net.fit(asked.survey.train())


def _size(net: InflowLstm | LeakAutoencoder) -> int:
    return sum(one.numel() for one in net.module.parameters()) if net.module is not None else 0


def _by_autoencoder(asked: _Asked) -> Outcome:
    began = time.process_time()
    net = _autoencoder(asked)
    learnt = time.process_time() - began
    heads = len(sensors(asked.survey.year.scenario.network).pressure)

    def residual(block: Block) -> Floats:
        found: Floats = (block.value - net.expected(block.value))[:, :heads]
        return found

    evidence = asked.survey.evidence(residual)
    began = time.process_time()
    net.score(asked.survey.year.block.value[:1000])
    row_ms = time.process_time() - began
    return Outcome(_claimed(evidence, asked, placed=True), learnt, _size(net), row_ms)


_WAYS: dict[str, Callable[[_Asked], Outcome]] = {
    "night-flow rule": _by_scalar(_score_night, (1.0, 48.0, 144.0)),
    "PCA T2+Q": _by_scalar(_score_pca, (4.0, 16.0, 64.0)),
    "network model": _by_network,
    "inflow LSTM": _by_scalar(_score_lstm, (4.0, 16.0, 64.0)),
    "flow/pressure autoencoder": _by_autoencoder,
}


def _entry(name: str) -> Callable[..., Outcome]:
    def run(
        survey: Survey, *, setup: Setup | None = None, seed: int = 0, effort: Effort | None = None
    ) -> Outcome:
        return _WAYS[name](_Asked(survey, setup or Setup(), seed, effort))

    return run


SUITE: dict[str, Callable[..., Outcome]] = {name: _entry(name) for name in _WAYS}
