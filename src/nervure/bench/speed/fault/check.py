"""What became of what was promised: every acknowledged message stored once, every alert and Task once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from nervure.bench.speed.fault.ledger import BEGIN_NS, BLOCK, STEP_NS, moments, steady, values
from nervure.bench.speed.fault.stage import Devices, Stage
from nervure.store.catalogue import Catalogue
from nervure.store.observations import Observations

__all__ = ["Found", "check"]

Longs = NDArray[np.int64]
_MOST_ALERTS = 1 << 20


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """What a check found; ``alerts`` and ``tasks`` count those that are missing or there twice."""

    acknowledged: int
    lost: int
    doubled: int
    altered: int
    alerts: int


def check(stage: Stage, *, left_out: Sequence[str] = ()) -> Found:
    """Compare the ledgers with store and catalogue of a stopped node, message by message.

    Devices ``left_out`` by name sent more than is taken of one, and are not looked at.
    """
    store = Observations.open(stage.home / "observations", write=False)
    try:
        judged = [_judge(store, one) for one in stage.devices if one.plan.name not in left_out]
    finally:
        store.close()
    whole = np.sum(judged, axis=0).tolist() if judged else [0, 0, 0, 0]
    acknowledged, lost, doubled, altered = whole
    return Found(
        acknowledged=acknowledged,
        lost=lost,
        doubled=doubled,
        altered=altered,
        alerts=_alerts(stage, left_out),
    )


def _judge(store: Observations, devices: Devices) -> Longs:
    """Return how many messages were acknowledged, lost, doubled and altered."""
    plan, ledger = devices.plan, devices.ledger
    found = store.series(list(plan.streams))
    whole = np.zeros(4, dtype=np.int64)
    for place, stream in enumerate(plan.streams):
        mine = found.datastream == stream
        time, value = found.time[mine], found.value[mine]
        count, sent = int(ledger.acknowledged[place]), int(ledger.sent[place])
        when = ledger.when[place, :sent] if plan.live else moments(0, sent)
        said = np.arange(sent, dtype=np.float64) if plan.live else values(stream, 0, sent)
        kept, first = np.unique(time, return_index=True)
        lost = int((~np.isin(when[:count], kept)).sum())
        doubled = len(time) - len(kept)
        order = np.argsort(when)
        at = np.searchsorted(when[order], kept).clip(0, max(0, sent - 1))
        altered = int((when[order][at] != kept).sum()) if sent else len(kept)
        altered += int((said[order][at] != value[first]).sum()) if sent else 0
        whole += np.array([count, lost, doubled, altered])
    return whole


def _alerts(stage: Stage, left_out: Sequence[str]) -> int:
    """Return how many alerts of meters that stood still are missing, or told twice."""
    catalogue = Catalogue.open(stage.settings.catalogue_place)
    try:
        alerts = catalogue.alerts(limit=_MOST_ALERTS, solution="gauge")
    finally:
        catalogue.close()
    told = Counter(
        (one.datastream, (one.start_ns - BEGIN_NS) // STEP_NS // BLOCK)
        for one in alerts
        if one.rule.endswith("stuck")
    )
    wrong = sum(count - 1 for count in told.values())
    for one in stage.devices:
        if one.plan.live or one.plan.name in left_out:
            continue
        for place, stream in enumerate(one.plan.streams):
            due = steady(int(one.ledger.acknowledged[place]))
            wrong += sum((stream, block) not in told for block in range(due))
    return wrong
