"""A partition takes what it is dealt once and whole, however often dealing broke off."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from nervure.core.instant import SECOND_NS
from nervure.core.observation import Batch, observation_id
from nervure.core.settings import Settings
from nervure.node.deal import Dealer, Hand, read
from nervure.node.meter import Meter
from nervure.node.share import Known, Share
from nervure.solutions import find
from nervure.store.catalogue import Catalogue
from nervure.store.provision import Place, provision
from nervure.stream.log import Log, address_of

START = 1_700_000_000 * SECOND_NS


class Gauges:
    """The only partition of ``flood``, and what deals to it."""

    def __init__(self, settings: Settings) -> None:
        self.catalogue = Catalogue.open(settings.catalogue_place)
        self.streams = provision(self.catalogue, find("flood"), [Place(name="a"), Place(name="b")])
        log = Log(address_of(settings, "nats://127.0.0.1:1"), 1 << 20)
        known = Known(self.catalogue)
        share = Share(0, 1, self.catalogue, log, Meter(), settings, known=known)
        share.lay(find("flood"), None)
        self.share = share

    def deal(self, after: int, upto: int, count: int) -> list[Hand]:
        """Return the messages of a batch that goes on after a position, too large for one."""
        dealer = Dealer(_nowhere)
        dealer.begin(1, ["flood"], {}, after)
        dealer.learn(self.catalogue.datastreams())
        rows = np.arange(count)
        batch = Batch.of(
            id=observation_id(after + 1) + rows,
            datastream=[self.streams["a/level"].id] * count,
            time=START + rows * SECOND_NS,
            value=[1.0] * count,
        )
        dealer.take(batch, upto)
        return [read(payload) for _, payload in dealer.turn(all_of_them=True).messages]


async def _nowhere(_: object) -> None:
    raise AssertionError("nothing is put")


@pytest.fixture
def gauges(settings: Settings) -> Iterator[Gauges]:
    settings.folder.mkdir(parents=True)
    found = Gauges(settings)
    yield found
    found.catalogue.close()


def test_readings_that_are_dealt_again_in_other_parts_are_not_mixed_with_those_before(gauges: Gauges) -> None:
    broken, whole = gauges.deal(0, 5, 20_000), gauges.deal(0, 4, 10_000)
    assert (len(broken), len(whole)) == (3, 2)
    assert gauges.share.hear([(1, broken[0]), (2, broken[1])]) == 0, "the third never came"
    assert gauges.share.hear([(3, whole[0])]) == 0, "the second of those before is none of these"
    assert gauges.share.taken == 0
    assert gauges.share.hear([(4, whole[1])]) == 10_000
    assert gauges.share.taken == 4
