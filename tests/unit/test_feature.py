"""What an Observation is about: looked up once, and again when the catalogue has changed."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

import numpy as np

from nervure.core.observation import Batch
from nervure.node.feature import Features
from nervure.node.meter import Meter


class Catalogue:
    """Feature 10 times the Datastream, and more with every change."""

    def __init__(self) -> None:
        self.generation = 0
        self.asked = 0
        self.noted: list[tuple[int, int]] = []

    def default_features(self, datastreams: Iterable[int]) -> dict[int, int | None]:
        self.asked += 1
        return {one: None if one == 9 else 10 * one + self.generation for one in datastreams}

    def observed(self, pairs: Iterable[tuple[int, int]]) -> None:
        self.noted += pairs

    def has_feature(self, _datastream: int, feature: int) -> bool:
        return feature < 100


def batch(*streams: int, feature: int | None = None) -> Batch:
    count = len(streams)
    about = None if feature is None else [feature] * count
    return Batch.of(
        id=range(count), datastream=streams, time=range(count), value=[0.0] * count, feature=about
    )


def test_a_datastream_that_comes_alone_is_about_what_it_is_among_others() -> None:
    async def scenario() -> None:
        catalogue = Catalogue()
        features = Features(catalogue)

        async def about(some: Batch) -> list[int] | None:
            found, missing = await features.fill(some)
            await features.note()
            assert len(missing) == 0
            assert found.groups is some.groups or some.feature is not None
            assert found.datastream.tolist() == some.datastream.tolist()
            return None if found.feature is None else found.feature.tolist()

        for _ in range(3):
            assert await about(batch(1, 1)) == [10, 10]
            assert await about(batch(2, 1)) == [20, 10]
            assert await about(batch(2)) == [20]
            assert await about(batch(9, 9)) is None
            assert await about(batch(1, 1, 1, feature=42)) == [42, 42, 42]
            assert await about(batch(1, feature=0)) == [10]
        assert sorted(catalogue.noted) == [(1, 10), (1, 42), (2, 20)]
        catalogue.generation += 1
        asked = catalogue.asked
        assert await about(batch(1, 1)) == [11, 11]
        assert await about(batch(1)) == [11]
        assert catalogue.asked == asked + 1
        assert (1, 11) in catalogue.noted

    asyncio.run(scenario())


def test_a_few_delays_are_noted_as_many_are() -> None:
    now, second = 1_700_000_000 * 10**9, 10**9
    sensed = [now - age * second // 10 for age in (*range(-5, 50), 601, 700)]
    few, many = Meter(), Meter()
    for start in range(0, len(sensed), 19):
        part = np.array(sensed[start : start + 19])
        few.arrival([now - second, now + second], part, now)
    many.arrival([now - second, now + second] * 3 + [now - second] * 60, np.array(sensed), now)
    assert few.figures()["age_ms"] == many.figures()["age_ms"]
    assert few.figures()["latency_ms"]["max"] == 1000.0
    assert few.p95_ms == many.p95_ms
