"""All that a network and its quiet weeks say beforehand: what a leak anywhere would look like.

The network model is the published one. How wrong it may be is known (roughness and demands off by
5 %), so networks drawn with such errors say in which directions its answers are to be doubted.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from nervure.core.error import DataError
from nervure.learn.dataset import cache_folder
from nervure.learn.detect.block import Block
from nervure.learn.detect.leak.network import Places, places
from nervure.learn.detect.leak.residual import Residual, Response, consumed, effect, response, slopes
from nervure.learn.detect.leak.scenario import Year, network, sensors
from nervure.learn.detect.leak.watch import Evidence, whiten

__all__ = ["Survey", "scalar", "survey"]

Floats = NDArray[np.float64]
_VERSION = 3
_SLOPE_DAYS = 14
_MOST = 0.25


class Survey(msgspec.Struct, frozen=True, kw_only=True):
    """A network as its model has it, beside a year of readings: what evidence is made from.

    Of the rows without leaks the first two thirds (``fit``) are learnt from, the last (``quiet``)
    tells limits; the ``rest`` is watched.
    """

    year: Year
    spots: Places
    model: Response
    others: tuple[Response, ...]
    load: NDArray[np.int64]

    @property
    def fit(self) -> slice:
        """The rows that are learnt from."""
        return slice(0, self.year.scenario.clean * 2 // 3)

    @property
    def quiet(self) -> slice:
        """The rows that tell limits."""
        return slice(self.fit.stop, self.year.scenario.clean)

    @property
    def rest(self) -> slice:
        """The rows that are watched."""
        return slice(self.year.scenario.clean, self.year.scenario.rows)

    def train(self) -> Block:
        """Return the block that is learnt from."""
        return self.year.block.part(0, self.fit.stop)

    def evidence(self, residual: Residual) -> Evidence:
        """Turn a residual of the pressures into evidence for leaks, at all rows."""
        rows = min(_SLOPE_DAYS * 86_400 // self.year.scenario.step_s, self.fit.stop)
        some = slice(self.fit.stop - rows, self.fit.stop)
        block = self.year.block.part(some.start, some.stop)
        slope = slopes(residual, block, self.load[some], len(self.model.total_m3h))
        way = effect(self.model, self.spots, slope)
        others = [effect(one, self.spots, slope) for one in self.others]
        found = whiten(residual(self.year.block), self.load, self.fit, way, others)
        return found._replace(most=self._most())

    def _most(self) -> Floats:
        """Return the emitter coefficient at each place that loses a quarter of the mean consumption."""
        head = self.model.pressure.mean(axis=0)[self.spots.pipes.end[self.spots.pipe]].mean(axis=1)
        most: Floats = _MOST * float(self.model.total_m3h.mean()) / np.sqrt(head)
        return most


def survey(year: Year, *, draws: int = 8, inp: Path | None = None, cache: Path | None = None) -> Survey:
    """Let EPANET say what leaks do, in the published network and in ``draws`` that are off like the real one.

    L-TOWN takes some 40 CPU-s, once: answers are kept in ``cache`` (a folder; the user's by default).
    """
    name = year.scenario.network
    with network(name, inp) as water:
        spots = places(water)
    folder = cache or cache_folder() / "leak"
    model, *others = (_response(name, draw, inp, folder) for draw in range(draws + 1))
    load = model.load(consumed(year.block, sensors(name)))
    return Survey(year=year, spots=spots, model=model, others=tuple(others), load=load)


def _response(name: str, draw: int, inp: Path | None, folder: Path) -> Response:
    digest = hashlib.sha256(msgspec.json.encode([name, draw, sensors(name), _VERSION])).hexdigest()[:16]
    path = folder / f"response-{name}-{digest}.npz"
    if path.exists():
        with np.load(path, allow_pickle=False) as file:
            return Response(*(file[one].astype(np.float64) for one in Response._fields))
    with network(name, inp) as water:
        own = None
        if draw:
            random = np.random.default_rng(30_000 + draw)
            water.scale_roughness(1 + 0.05 * random.standard_normal(len(water.pipes().id)))
            own = 1 + 0.05 * random.standard_normal(len(water.junctions()))
        found = response(water, sensors(name), own=own)
    folder.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{os.getpid()}-{path.name}")
    np.savez_compressed(draft, **{key: one.astype(np.float32) for key, one in found._asdict().items()})
    draft.replace(path)
    return found


def scalar(score: Floats, clean: slice) -> Evidence:
    """Turn a score ``[row]`` that rises with a leak into evidence without places; NaN says nothing."""
    own = score[clean]
    own = own[~np.isnan(own)]
    if len(own) < 2:
        raise DataError("the score says nothing of the rows without leaks")
    z = (score - own.mean()) / max(float(own.std()), 1e-9)
    return Evidence(z[:, None], np.zeros(len(z), np.int64), np.ones((1, 1, 1)))
