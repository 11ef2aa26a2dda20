"""The service's root document: what there is, and which requirements of the standard are met (9.2.1)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nervure.core.sensorthings import KINDS

__all__ = ["CONFORMANCE", "document"]

_SENSING = "http://www.opengis.net/spec/iot_sensing/1.1/req"
_TASKING = "http://www.opengis.net/spec/iot_tasking/1.0/req"
_MODELLED = (
    "thing", "location", "historical-location", "datastream", "sensor", "observed-property",
    "observation", "feature-of-interest",
)  # fmt: skip
_ASKED = (
    "order", "expand", "select", "status-code", "query-status-code", "orderby", "top", "skip", "count",
    "filter", "built-in-filter-operations", "built-in-query-functions", "pagination",
)  # fmt: skip
_WRITTEN = (
    "create-entity", "link-to-existing-entities", "deep-insert", "deep-insert-status-code", "update-entity",
    "update-entity-put", "update-entity-jsonpatch", "delete-entity", "historical-location-auto-creation",
    "historical-location-manual-creation",
)  # fmt: skip

_MQTT_CREATE = f"{_SENSING}/create-observations-via-mqtt/observations-creation"
_MQTT_RECEIVE = f"{_SENSING}/receive-updates-via-mqtt/receive-updates"
_MQTT_TASKS = f"{_TASKING}/create-tasks-via-mqtt/task-creation"
_MQTT_TASKING = f"{_TASKING}/receive-updates-via-mqtt/receive-updates"

CONFORMANCE: tuple[str, ...] = (
    f"{_SENSING}/datamodel",
    f"{_SENSING}/datamodel/entity-control-information/common-control-information",
    *(f"{_SENSING}/datamodel/{name}/{part}" for name in _MODELLED for part in ("properties", "relations")),
    f"{_SENSING}/resource-path/resource-path-to-entities",
    f"{_SENSING}/request-data",
    *(f"{_SENSING}/request-data/{name}" for name in _ASKED),
    f"{_SENSING}/create-update-delete",
    *(f"{_SENSING}/create-update-delete/{name}" for name in _WRITTEN),
    f"{_SENSING}/batch-request/batch-request",
    f"{_SENSING}/multi-datastream",
    *(f"{_SENSING}/multi-datastream/{part}" for part in ("properties", "relations", "constraints")),
    f"{_SENSING}/data-array/data-array",
    f"{_TASKING}/tasking-capability",
    f"{_TASKING}/task",
    f"{_TASKING}/actuator",
    *(
        f"{_TASKING}/{name}/{part}"
        for name in ("tasking-capability", "task", "actuator")
        for part in ("properties", "relations")
    ),
    f"{_TASKING}/create-tasks",
    f"{_TASKING}/create-tasks/task-creation",
)
"""The requirements that are met over HTTP (18-088, annex A; 17-079, annex A)."""

_OVER_MQTT = (_MQTT_CREATE, _MQTT_RECEIVE, f"{_TASKING}/create-tasks-via-mqtt", _MQTT_TASKS,
              f"{_TASKING}/receive-updates-via-mqtt", _MQTT_TASKING)  # fmt: skip


def document(base: str, endpoints: Sequence[str] = ()) -> dict[str, Any]:
    """Return the root document; ``endpoints`` are the addresses of the MQTT door."""
    settings: dict[str, Any] = {"conformance": list(CONFORMANCE)}
    if endpoints:
        settings["conformance"] += _OVER_MQTT
        for name in (_MQTT_CREATE, _MQTT_RECEIVE, f"{_TASKING}/create-tasks-via-mqtt",
                     f"{_TASKING}/receive-updates-via-mqtt"):  # fmt: skip
            settings[name] = {"endpoints": list(endpoints)}
    return {
        "value": [{"name": kind.entities, "url": f"{base}/{kind.entities}"} for kind in KINDS],
        "serverSettings": settings,
    }
