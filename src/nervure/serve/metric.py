"""The node's status as Prometheus text (exposition format 0.0.4).

A status is a tree of numbers. Each number becomes a gauge named after its path; a branch whose
keys are open-ended (reasons, severities, views) becomes one family with a label. Text and lists
in the tree are for people and are left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from prometheus_client import generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector, CollectorRegistry

__all__ = ["exposition"]

# Branches with open-ended keys → the label that holds the key.
LABELS = {
    "quarantine": "reason",
    "rejected": "reason",
    "alerts": "severity",
    "position": "view",
    "latency_ms": "quantile",
    "age_ms": "quantile",
    "brokers": "broker",
}
# What only ever grows while a node lives.
COUNTERS = {
    "entries",
    "readings",
    "duplicates",
    "conflicts",
    "findings",
    "forecasts",
    "cpu_s",
    "rejected",
    "shed",
}
_HELP = {
    "quarantine": "Readings in quarantine, by reason.",
    "rejected": "Readings put into quarantine since the start, by reason.",
    "alerts": "Active alerts, by severity.",
    "position": "The last log sequence that each view has worked on.",
    "latency_ms": "From reaching the log to being stored and scored, in milliseconds.",
    "age_ms": "From being sensed to being stored and scored, in milliseconds, of live readings.",
    "entries": "Messages read from the log since the start.",
    "readings": "Readings taken since the start.",
    "duplicates": "Readings that were already stored, since the start.",
    "stored": "Readings in the store.",
    "cpu_s": "CPU seconds used.",
    "memory_mb": "Resident memory in megabytes.",
    "uptime_s": "Seconds since the start.",
}


class _Status(Collector):
    """One reading of the status, as metric families."""

    def __init__(self, status: Mapping[str, Any]) -> None:
        self._status = status

    def collect(self) -> Iterator[Metric]:
        """Yield the families."""
        yield from _families(self._status)


def exposition(status: Mapping[str, Any]) -> bytes:
    """Write a status as Prometheus text.

    >>> print(exposition({"stored": 3}).decode())
    # HELP nervure_stored Readings in the store.
    # TYPE nervure_stored gauge
    nervure_stored 3.0
    <BLANKLINE>
    """
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Status(status))
    text: bytes = generate_latest(registry)
    return text


def _families(tree: Mapping[str, Any], prefix: str = "") -> Iterator[Metric]:
    for key, value in tree.items():
        name = f"{prefix}{_clean(key)}"
        if isinstance(value, Mapping) and key in LABELS:
            yield _family(name, key, [((str(one),), amount) for one, amount in value.items()], LABELS[key])
        elif isinstance(value, Mapping):
            yield from _families(value, f"{name}_")
        elif isinstance(value, int | float):
            yield _family(name, key, [((), value)], None)


def _family(name: str, key: str, rows: list[tuple[tuple[str, ...], Any]], label: str | None) -> Metric:
    labels = [label] if label else []
    text = _HELP.get(key, name.replace("_", " ").capitalize() + ".")
    kind = CounterMetricFamily if key in COUNTERS else GaugeMetricFamily
    family = kind(f"nervure_{name}", text, labels=labels)
    for values, amount in rows:
        if isinstance(amount, int | float):
            family.add_metric(list(values), float(amount))
    return family


def _clean(name: str) -> str:
    return re.sub(r"[^a-zA-Z0-9_]", "_", name)
