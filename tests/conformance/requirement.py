"""The requirements of SensorThings 1.1 (OGC 18-088, OGC 17-079), by their URIs.

A test says which of them it checks: ``@requirement("datamodel/thing/properties")``. ``docs/conformance.md``
is generated from that by ``tools/conformance.py``.
"""

from __future__ import annotations

import pytest

__all__ = ["REQUIREMENTS", "SENSING", "TASKING", "requirement", "uri"]

SENSING = "http://www.opengis.net/spec/iot_sensing/1.1/req/"
TASKING = "http://www.opengis.net/spec/iot_tasking/1.0/req/"

_PARTS = {
    SENSING: (
        "datamodel/entity-control-information/common-control-information",
        "datamodel/thing/properties",
        "datamodel/thing/relations",
        "datamodel/location/properties",
        "datamodel/location/relations",
        "datamodel/historical-location/properties",
        "datamodel/historical-location/relations",
        "datamodel/datastream/properties",
        "datamodel/datastream/relations",
        "datamodel/sensor/properties",
        "datamodel/sensor/relations",
        "datamodel/observed-property/properties",
        "datamodel/observed-property/relations",
        "datamodel/observation/properties",
        "datamodel/observation/relations",
        "datamodel/feature-of-interest/properties",
        "datamodel/feature-of-interest/relations",
        "resource-path/resource-path-to-entities",
        "request-data/status-code",
        "request-data/query-status-code",
        "request-data/order",
        "request-data/expand",
        "request-data/select",
        "request-data/orderby",
        "request-data/top",
        "request-data/skip",
        "request-data/count",
        "request-data/filter",
        "request-data/built-in-filter-operations",
        "request-data/built-in-query-functions",
        "request-data/pagination",
        "create-update-delete/create-entity",
        "create-update-delete/link-to-existing-entities",
        "create-update-delete/deep-insert",
        "create-update-delete/deep-insert-status-code",
        "create-update-delete/update-entity",
        "create-update-delete/update-entity-put",
        "create-update-delete/update-entity-jsonpatch",
        "create-update-delete/delete-entity",
        "create-update-delete/historical-location-auto-creation",
        "create-update-delete/historical-location-manual-creation",
        "batch-request/batch-request",
        "multi-datastream/properties",
        "multi-datastream/relations",
        "multi-datastream/constraints",
        "data-array/data-array",
        "create-observations-via-mqtt/observations-creation",
        "receive-updates-via-mqtt/receive-updates",
    ),
    TASKING: (
        "tasking-capability/properties",
        "tasking-capability/relations",
        "task/properties",
        "task/relations",
        "actuator/properties",
        "actuator/relations",
        "create-tasks/task-creation",
        "create-tasks-via-mqtt/task-creation",
        "receive-updates-via-mqtt/receive-updates",
    ),
}

REQUIREMENTS = tuple(start + part for start, parts in _PARTS.items() for part in parts)
"""Every requirement, in the order of the standards."""


def uri(name: str) -> str:
    """Return the URI of a short name; the name of a Tasking requirement begins with ``tasking:``.

    >>> uri("tasking:task/properties")
    'http://www.opengis.net/spec/iot_tasking/1.0/req/task/properties'
    """
    part = name.removeprefix("tasking:")
    found = (TASKING if part != name else SENSING) + part
    if found not in REQUIREMENTS:
        raise ValueError(f"the standards have no requirement {found}")
    return found


def requirement(*names: str) -> pytest.MarkDecorator:
    """Mark a test with the requirements it checks."""
    return pytest.mark.requirement(*(uri(name) for name in names))
